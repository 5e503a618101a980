"""What is checked before a byte is sent: not the recorded server by mistake, no unsafe method
unnoticed, enough descriptors; and what a damaged tape has to be told of."""

from __future__ import annotations

import resource
from ipaddress import ip_address
from typing import TYPE_CHECKING

from capture.errors import ReplayError

from .planning.needs import RESERVED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from capture.tape import Tape

    from .targets import Target


_LOSSES = 5
_LEAST_FILES = RESERVED + 64  # for a few connections beside what each process has open


def refuse_production(tape: Tape, targets: list[Target], resolved: Iterable[str] = ()) -> None:
    """Refuse a target that the tape names as the server that was recorded.

    By its address: on loopback, where much else listens, together with the port. By its name, if
    requests were sent to that: but for names that `resolved` says are somewhere else.
    """
    servers = _servers(tape)
    addresses = {place.rpartition(":")[0] for place in servers}
    far = any(not target.loopback for target in targets)
    names = _names(tape) - set(resolved) if far else set()  # it takes a look at every block
    for target in targets:
        for place in target.addresses:
            if isinstance(place.sockaddr, str):
                continue
            shown = _shown(*place.sockaddr[:2])
            host = shown.rpartition(":")[0]
            if shown in servers or (not target.loopback and host in addresses):
                raise _refusal(f"{target.url} is {shown}, the server")
        if not target.loopback and target.hostname.rstrip(".") in names:
            raise _refusal(f"{target.url} has the name of the server")


def refuse_run(tape: Tape, path: object) -> None:
    """Refuse a run as what is to be sent: it tells times and outcomes, and holds no requests."""
    if tape.header.kind == "run":
        raise ReplayError(
            f"{path}: is a run, which holds no bytes of requests: give the tape that it was made "
            f"from{f' ({tape.header.source})' if tape.header.source else ''}."
        )


def damage(losses: Collection[str], whole: bool) -> list[str]:
    """What is warned of where a tape cannot be read whole."""
    told = [f"The tape is damaged: {loss}." for loss in [*losses][:_LOSSES]]
    if len(losses) > _LOSSES:
        more = len(losses) - _LOSSES
        told.append(f"The tape is damaged at {more:,} more places: see `wiretape tape verify`.")
    if not whole:
        told.append("The tape has no end: its writer was stopped or still writes, or it was cut.")
    return told


def _refusal(what: str) -> ReplayError:
    return ReplayError(
        f"{what} that this tape was recorded from: choose another target, or add "
        "--yes-this-is-production."
    )


def _servers(tape: Tape) -> set[str]:
    """Address and port of each server that was recorded."""
    found: set[str] = set()
    for block in tape.connections(["server"]):
        found.update(getattr(block["server"], "values", ()))
    return {_shown(*_apart(server)) for server in found if server}


def _names(tape: Tape) -> set[str]:
    """The hosts that requests named, in lower case and without ports."""
    found: set[str] = set()
    for block in tape.columns(["host"]):
        found.update(getattr(block["host"], "values", ()))
    return {_apart(value)[0].lower().rstrip(".") for value in found if value}


def _apart(server: str) -> tuple[str, str]:
    host, colon, port = server.rpartition(":")
    if not colon or not port.isdigit():
        host, port = server, ""
    return host.strip("[]"), port


def _shown(host: str, port: object) -> str:
    host = _address(host)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(host: str) -> str:
    """An address as it is usually written; what is no address stays."""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    mapped = getattr(found, "ipv4_mapped", None)
    return str(mapped or found)


def unsafe_notice(unsafe: dict[str, int], targets: list[Target], about: bool) -> str:
    """What is said where methods that may change something go to another machine; or nothing."""
    far = [target.url for target in targets if not target.loopback]
    if not far or not unsafe:
        return ""
    counts = ", ".join(f"{name or '(none)'} {count:,}" for name, count in unsafe.items())
    return (
        f"requests that may change something go to {' and '.join(far)}, which is not this machine: "
        f"{'about ' if about else ''}{counts}; --read-only leaves them out."
    )


def raise_file_limit() -> None:
    """Let this process and its children open as many connections as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < _LEAST_FILES:
        raise ReplayError(
            f"The system allows {hard} open files, which leaves none for connections: raise the "
            f"hard limit (ulimit -Hn) to {_LEAST_FILES} or more."
        )
