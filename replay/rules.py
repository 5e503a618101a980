"""What is written on the command line about targets, headers and addresses, read in one place.

Each function reads one text and raises `ReplayError` with one sentence where it makes no sense, so
that a wrong one is told before anything is opened, and rewriting and dialling need not ask again.
Bytes that are no text (a header of another charset) come through as they were given.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import unquote, urlsplit

from capture.errors import ReplayError

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_USER = re.compile(r"//[^/?#\s]*@")
_SPACE = re.compile(r"[\x00-\x20\x7f]")
_REFERENCE = re.compile(r"\\(?:[1-9][0-9]?|g<\w+>|\\)")
_UNIX_PATH = 107
_LIKE = "write http://HOST:PORT, https://HOST or http+unix:///path/to.sock"


@dataclass(frozen=True)
class TargetUrl:
    """A target as it is written; `path` is that of a unix socket."""

    name: str
    url: str
    scheme: str
    authority: str = ""
    host: str = ""
    port: int = 0
    path: str = ""

    @property
    def secure(self) -> bool:
        """Whether it is reached over TLS."""
        return self.scheme == "https"


def shown_url(text: str) -> str:
    """A URL as it may be shown: without a user's name and password."""
    return _USER.sub("//…@", text)


def target_url(text: str, number: int = 0) -> TargetUrl:
    """A target, `URL` or `NAME=URL`; without a name it is called a, b, … by its number."""
    name, equals, url = text.partition("=")
    if not equals or "/" in name:
        name, url = string.ascii_lowercase[number % 26], text
    text = shown_url(text)
    if not name or _SPACE.search(text):
        raise ReplayError(f"{text!r} is no target: {_LIKE}, with NAME= before it if you like.")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ReplayError(f"{text!r} is no target: {_LIKE}, the port from 1 to 65535.") from None
    if parts.scheme == "http+unix":
        return TargetUrl(name, url, parts.scheme, path=_unix_path(text, unquote(parts.path)))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ReplayError(f"{text!r} is no target: {_LIKE}.")
    if port == 0:
        raise ReplayError(f"{text!r} is no target: nothing can be reached at port 0.")
    if parts.username is not None or parts.password is not None:
        raise ReplayError(
            f"The target {parts.hostname!r} comes with a user's name: leave it out, and give "
            "--set-header 'Authorization: …' or --bearer-env."
        )
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ReplayError(
            f"{text!r} has a path, but paths are those of the tape: give scheme, host and port, "
            "and --map-path if the paths are others there."
        )
    try:
        ascii_netloc = parts.netloc.encode("idna").decode()
    except UnicodeError:
        raise ReplayError(f"{text!r} is no target: its host is no name.") from None
    default = 443 if parts.scheme == "https" else 80
    return TargetUrl(name, url, parts.scheme, ascii_netloc, parts.hostname, port or default)


def _unix_path(text: str, path: str) -> str:
    if not path.startswith("/") or "\0" in path or len(path.encode()) > _UNIX_PATH:
        raise ReplayError(
            f"{text!r} is no target: a unix socket has an absolute path of at most {_UNIX_PATH} "
            "bytes, as in http+unix:///run/app.sock."
        )
    return path


def header(text: str) -> tuple[bytes, bytes]:
    """`Name: value`."""
    name, colon, value = text.partition(":")
    if not colon or not _TOKEN.fullmatch(name.strip(" \t")) or _CONTROL.search(value):
        raise ReplayError(f"{text!r} is no header: write 'Name: value', on one line.")
    return _bytes(name.strip(" \t")), _bytes(value.strip(" \t"))


def header_name(text: str) -> bytes:
    """The name of a header."""
    if not _TOKEN.fullmatch(text):
        raise ReplayError(f"{text!r} is no name of a header: write one like X-Trace.")
    return _bytes(text)


def host_name(text: str) -> bytes:
    """What a Host header may hold."""
    if not text or _SPACE.search(text) or "/" in text:
        raise ReplayError(f"{text!r} is no host: write a name, with :PORT if need be.")
    return _bytes(text)


def host_rule(text: str) -> tuple[bytes, bytes]:
    """`OLD=NEW` of hosts."""
    old, equals, new = text.partition("=")
    if not equals:
        raise ReplayError(f"{text!r} is no rule: write OLD=NEW.")
    return host_name(old), host_name(new)


def path_rule(text: str) -> tuple[re.Pattern[bytes], bytes]:
    """`REGEX=REPLACEMENT`, divided at the first `=` before which stands a whole expression."""
    wrong: Exception | None = None
    for sign in re.finditer("=", text):
        pattern, new = text[: sign.start()], text[sign.end() :]
        try:
            compiled = re.compile(_bytes(pattern))
            break
        except (re.error, RecursionError) as failure:
            wrong = wrong or failure
    else:
        why = f"{wrong}" if wrong else "write REGEX=REPLACEMENT, as in '^/v1=/v2'"
        raise ReplayError(f"{text!r} is no rule: {why}.")
    if not pattern:
        raise ReplayError(f"{text!r} is no rule: before the = stands what to look for.")
    if _SPACE.search(new):
        raise ReplayError(f"{text!r} is no rule: a path holds no spaces and no line ends.")
    if "\\" in _REFERENCE.sub("", new):
        raise ReplayError(f"{text!r} is no rule: after a \\ stands a group, as \\1 or \\g<name>.")
    try:
        compiled.sub(_bytes(new), b"")  # tells of groups that the expression lacks
    except (re.error, IndexError) as failure:
        raise ReplayError(f"{text!r} is no rule: {failure}.") from None
    return compiled, _bytes(new)


def address_rule(text: str) -> tuple[tuple[str, int], str]:
    """`HOST:PORT:ADDRESS`, an IPv6 address with or without its brackets."""
    match = re.fullmatch(r"(\[[^\]]+\]|[^:\[\]]+):([0-9]{1,5}):(.+)", text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ReplayError(f"{text!r} is no rule: write HOST:PORT:ADDRESS, as in shop:443:10.0.0.7.")
    host = match[1].strip("[]").lower()
    return (host, int(match[2])), str(address(match[3].strip("[]")))


def source_addresses(text: str) -> list[IPv4Address | IPv6Address]:
    """`A,B,…`, the local addresses to send from."""
    found = [address(part.strip()) for part in text.split(",") if part.strip()]
    if not found:
        raise ReplayError(f"{text!r} names no address: write them like 10.0.0.2,10.0.0.3.")
    return found


def address(text: str) -> IPv4Address | IPv6Address:
    """An IP address."""
    try:
        return ip_address(text)
    except ValueError:
        raise ReplayError(f"{text!r} is no IP address: write one like 10.0.0.7 or ::1.") from None


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
