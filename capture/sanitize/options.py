"""The options of sanitizing that every capture and import command takes, and the key.

The key is drawn at random for each capture and forgotten with the process, unless a file or the
environment keeps it so that tapes of several days or hosts join. It is never written or shown.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import click

from ..errors import AuditError, PolicyError
from ..options import option
from .policy import Policy
from .responses import MODES, SHORT
from .rewrite import Sanitizer

KEY_VARIABLE = "WIRETAPE_KEY"
MIN_KEY = 16


@dataclass(frozen=True)
class SanitizeOptions:
    """How the secrets of what is recorded are replaced."""

    policy: str = option(
        "", help="Policy file (TOML); see `wiretape sanitize policy`.", metavar="FILE"
    )
    level: str | None = option(
        None,
        help="Built-in policy; standard where no --policy is given.",
        type=click.Choice(["standard", "strict", "none"]),
    )
    key_file: str = option(
        "", help=f"File with the key of pseudonyms (or ${KEY_VARIABLE}).", metavar="FILE"
    )
    responses: str = option(
        SHORT,
        help="What of responses is kept, sanitized: short (status, sizes, times, harmless headers, "
        "a digest of the body), headers, or body.",
        type=click.Choice(MODES),
    )
    audit: bool = option(
        False, help="Look through each block for secrets before it is written; refuse it on a hit."
    )
    canary: str = option(
        "",
        help="With --audit: file of values that must never appear, one a line, looked for in every "
        "encoding.",
        metavar="FILE",
    )
    unsafe_raw: bool = option(False, help="Allow --level none: write secrets as they are.")


def load_key(path: str = "") -> bytes:
    """The key in a file, else in the environment, else a new random one."""
    if path:
        try:
            key = Path(path).read_bytes().strip()
        except OSError as failure:
            raise PolicyError(f"{path}: the key cannot be read ({failure.strerror}).") from None
        where = path
    else:
        key = os.environ.get(KEY_VARIABLE, "").encode()
        where = f"${KEY_VARIABLE}"
        if not key:
            return secrets.token_bytes(32)
    if len(key) < MIN_KEY:
        raise PolicyError(f"{where}: a key needs at least {MIN_KEY} bytes; make one with "
                          "`openssl rand -hex 32`.")  # fmt: skip
    return key


def sanitizer_from(options: SanitizeOptions) -> Sanitizer:
    """The sanitizer that the options ask for."""
    if options.policy and options.level:
        raise click.UsageError(
            f"--level {options.level} and --policy {options.policy}: a policy file has its own "
            "level; give one of the two."
        )
    level = options.level or "standard"
    policy = Policy.load(options.policy) if options.policy else Policy.built_in(level)
    if policy.level == "none" and not options.unsafe_raw:
        raise click.UsageError(
            "level none would write secrets as they are; add --unsafe-raw if that is meant."
        )
    return Sanitizer(policy, load_key(options.key_file), options.responses)


def block_audit(
    options: SanitizeOptions,
) -> Callable[[int, Iterable[tuple[bytes, bytes]]], None] | None:
    """What looks through the payloads of each block before it is sealed, and raises on a hit."""
    if not options.audit:
        if options.canary:
            raise click.UsageError(f"--canary {options.canary}: nothing looks for it; add --audit.")
        return None
    from .audit import Auditor, read_canaries

    auditor = Auditor(read_canaries(options.canary) if options.canary else ())

    def look(first: int, payloads: Iterable[tuple[bytes, bytes]]) -> None:
        for number, (request, response) in enumerate(payloads, first):
            if auditor.look(number, request, response):
                found = auditor.report().findings[0]
                raise AuditError(
                    f"the audit found what looks like a secret ({found.kind} in {found.place}), so "
                    "its block was not written; name that place in the policy, or leave out --audit"
                )

    return look
