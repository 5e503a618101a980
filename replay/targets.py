"""Where a replay goes: URLs read, names resolved once, addresses taken in turn, TLS prepared.

Names are resolved before the first request, never on the way: a lookup between a due time and its
send would be our lateness. `http+unix:///path/to.sock` names a unix socket.
"""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Any

from capture.errors import ReplayError
from capture.log import Tell

from . import rules
from .options import ReplayOptions
from .rules import TargetUrl, address_rule, target_url

_PROBE_S = 1.0


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
    """The targets that the options name, resolved; of one family, where local addresses are."""
    if not options.target:
        raise ReplayError("No target is given: add --target http://HOST:PORT.")
    overrides: dict[tuple[str, int], list[str]] = {}
    for rule in options.resolve:
        place, address = address_rule(rule)
        overrides.setdefault(place, []).append(address)
    found = [
        _target(target_url(text, number), overrides) for number, text in enumerate(options.target)
    ]
    family = _source_family(options)
    return [_within(target, family) for target in found] if family else found


def pinned(options: ReplayOptions, targets: list[Target]) -> ReplayOptions:
    """The same, with every address written down: workers do not ask for names again."""
    rules = dict.fromkeys(
        f"{_bracketed(target.hostname)}:{place.sockaddr[1]}:{place.sockaddr[0]}"
        for target in targets
        for place in target.addresses
        if place.family != socket.AF_UNIX
    )
    return replace(options, resolve=tuple(rules))


def reachable(targets: list[Target], on_note: Tell) -> list[Target]:
    """Targets without those of several addresses that take no connection while others do.

    `localhost` is often ::1 as well, where nobody listens: half of the requests would be refused.
    """
    kept = []
    for target in targets:
        places = target.addresses
        if len(places) > 1:
            answering = tuple(place for place in places if _answers(place))
            silent = [place.sockaddr[0] for place in places if place not in answering]
            if answering and silent:
                on_note(
                    f"{target.hostname} is {' and '.join(silent)}, too, where no connection is "
                    "taken: that is left out."
                )
                target = replace(target, addresses=answering)
        kept.append(target)
    return kept


def _answers(place: Address) -> bool:
    with socket.socket(place.family, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_S)
        return probe.connect_ex(place.sockaddr) == 0


def _target(url: TargetUrl, overrides: dict[tuple[str, int], list[str]]) -> Target:
    if url.path:
        place = Address(socket.AF_UNIX, url.path)
        return Target(url.name, url.url, "localhost", "localhost", (place,), False)
    hosts = overrides.get((url.host, url.port), [url.host])
    places = dict.fromkeys(place for host in hosts for place in _addresses(host, url.port))
    return Target(url.name, url.url, url.authority, url.host, tuple(places), url.secure)


def _within(target: Target, family: int) -> Target:
    places = tuple(place for place in target.addresses if place.family in (family, socket.AF_UNIX))
    if not places:
        kind = "IPv6" if family == socket.AF_INET6 else "IPv4"
        raise ReplayError(
            f"--source-ip gives {kind} addresses, and {target.url} has none of that kind."
        )
    return replace(target, addresses=places)


def _source_family(options: ReplayOptions) -> int:
    """The family of the local addresses, which must be those of this machine; 0: none given."""
    families = set()
    for text in source_addresses(options):
        family = socket.AF_INET6 if ":" in text else socket.AF_INET
        families.add(family)
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            try:
                probe.bind((text, 0))
            except OSError as failure:
                raise ReplayError(
                    f"--source-ip {text} cannot be used ({failure.strerror}): give addresses of "
                    "this machine (`ip address` shows them)."
                ) from None
    if len(families) > 1:
        raise ReplayError("--source-ip mixes IPv4 and IPv6: give addresses of one kind.")
    return families.pop() if families else 0


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _addresses(host: str, port: int) -> tuple[Address, ...]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as failure:
        raise ReplayError(
            f"The target's name {host!r} cannot be resolved ({failure}): check it or give "
            f"--resolve {host}:{port}:ADDRESS."
        ) from None
    return tuple(dict.fromkeys(Address(family, place) for family, _, _, _, place in found))


def unverified() -> ssl.SSLContext:
    """TLS that takes any certificate: what it says is to be told, not to be trusted."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


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
