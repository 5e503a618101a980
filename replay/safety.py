"""What is checked before a byte is sent: not the recorded server by mistake, enough descriptors."""

from __future__ import annotations

import resource
from typing import TYPE_CHECKING

from capture.errors import ReplayError

if TYPE_CHECKING:
    from capture.tape import Tape

    from .targets import Target


def refuse_production(tape: Tape, targets: list[Target]) -> None:
    """Refuse a target that the tape names as the server that was recorded."""
    servers: set[str] = set()
    for block in tape.connections(["server"]):
        servers.update(getattr(block["server"], "values", ()))
    for target in targets:
        for place in target.addresses:
            if isinstance(place.sockaddr, str):
                continue
            host, port = place.sockaddr[:2]
            shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            if shown in servers:
                raise ReplayError(
                    f"{target.url} is {shown}, the server that this tape was recorded from: "
                    "choose another target, or add --yes-this-is-production."
                )


def raise_file_limit() -> None:
    """Let this process and its children open as many connections as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
