"""Where a replay goes: URLs read, names resolved once, addresses taken in turn, TLS prepared.

Names are resolved before the first request, never on the way: a lookup between a due time and its
send would be our lateness. `http+unix:///path/to.sock` names a unix socket.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from capture.errors import ReplayError

from . import rules
from .options import ReplayOptions
from .rules import TargetUrl, address_rule, target_url


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
            place.family == socket.AF_UNIX or _loops_back(place.sockaddr[0])
            for place in self.addresses
        )


def _loops_back(host: str) -> bool:
    found = ip_address(host.partition("%")[0])
    found = getattr(found, "ipv4_mapped", None) or found
    return found.is_loopback or found.is_unspecified


def targets_of(options: ReplayOptions) -> list[Target]:
    """The targets that the options name, resolved."""
    if not options.target:
        raise ReplayError("No target is given: add --target http://HOST:PORT.")
    overrides = dict(address_rule(rule) for rule in options.resolve)
    return [
        _target(target_url(text, number), overrides) for number, text in enumerate(options.target)
    ]


def _target(url: TargetUrl, overrides: dict[tuple[str, int], str]) -> Target:
    if url.path:
        place = Address(socket.AF_UNIX, url.path)
        return Target(url.name, url.url, "localhost", "localhost", (place,), False)
    host = overrides.get((url.host, url.port), url.host)
    return Target(
        url.name, url.url, url.authority, url.host, _addresses(host, url.port), url.secure
    )


def _addresses(host: str, port: int) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as failure:
        raise ReplayError(
            f"The target's name {host!r} cannot be resolved ({failure}): check it or give "
            f"--resolve {host}:{port}:ADDRESS."
        ) from None
    return tuple(dict.fromkeys(Address(family, place) for family, _, _, _, place in found))


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
    return [str(place) for text in options.source_ip for place in rules.source_addresses(text)]
