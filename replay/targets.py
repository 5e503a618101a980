"""Where a replay goes: URLs read, names resolved once, addresses taken in turn, TLS prepared.

Names are resolved before the first request, never on the way: a lookup between a due time and its
send would be our lateness. `http+unix:///path/to.sock` names a unix socket.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from capture.errors import ReplayError

from .options import ReplayOptions


@dataclass(frozen=True)
class Address:
    """One place to connect to."""

    family: int
    sockaddr: Any


@dataclass(frozen=True)
class Target:
    """One target: its name in reports, its authority for Host, its addresses, its TLS."""

    name: str
    url: str
    authority: str
    hostname: str
    addresses: tuple[Address, ...]
    secure: bool

    @property
    def loopback(self) -> bool:
        """Whether every address is this machine's own loopback."""
        return all(
            place.family == socket.AF_UNIX
            or place.sockaddr[0].startswith("127.")
            or place.sockaddr[0] == "::1"
            for place in self.addresses
        )


def targets_of(options: ReplayOptions) -> list[Target]:
    """The targets that the options name, resolved."""
    if not options.target:
        raise ReplayError("No target is given: add --target http://HOST:PORT.")
    overrides = dict(_override(rule) for rule in options.resolve)
    return [_target(text, number, overrides) for number, text in enumerate(options.target)]


def _target(text: str, number: int, overrides: dict[tuple[str, int], str]) -> Target:
    name, url = _named(text, number)
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ReplayError(f"{text!r} is no target; write it like http://HOST:PORT.") from None
    if parts.scheme == "http+unix":
        path = unquote(parts.path)
        place = Address(socket.AF_UNIX, path)
        return Target(name, url, "localhost", "localhost", (place,), False)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        raise ReplayError(
            f"{text!r} is not a target: write http://HOST:PORT, https://HOST or "
            "http+unix:///path/to.sock."
        )
    authority = parts.netloc.rpartition("@")[2]
    host = overrides.get((parts.hostname, port), parts.hostname)
    return Target(
        name, url, authority, parts.hostname, _addresses(host, port), parts.scheme == "https"
    )


def _named(text: str, number: int) -> tuple[str, str]:
    name, equals, url = text.partition("=")
    if equals and "/" not in name:
        return name, url
    return (chr(ord("a") + number % 26), text)


def _addresses(host: str, port: int) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as failure:
        raise ReplayError(
            f"The target's name {host!r} cannot be resolved ({failure}): check it or give "
            f"--resolve {host}:{port}:ADDRESS."
        ) from None
    return tuple(dict.fromkeys(Address(family, place) for family, _, _, _, place in found))


def _override(rule: str) -> tuple[tuple[str, int], str]:
    host, _, rest = rule.partition(":")
    port, _, address = rest.partition(":")
    if not host or not port.isdigit() or not address:
        raise ReplayError(f"--resolve {rule!r} is not understood: write HOST:PORT:ADDRESS.")
    return (host, int(port)), address.strip("[]")


def tls_context(options: ReplayOptions) -> ssl.SSLContext:
    """The TLS settings that the options ask for; one context, so that sessions are resumed."""
    try:
        context = ssl.create_default_context(cafile=options.ca or None)
        if options.insecure:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if options.cert:
            context.load_cert_chain(options.cert, options.cert_key or None)
    except (OSError, ssl.SSLError) as failure:
        raise ReplayError(
            f"A certificate cannot be read ({failure}): check --ca, --cert and --cert-key."
        ) from None
    context.set_alpn_protocols(["http/1.1"])
    return context


def source_addresses(options: ReplayOptions) -> list[str]:
    """The local addresses to send from, in turn."""
    return [part.strip() for text in options.source_ip for part in text.split(",") if part.strip()]
