"""Fresh identities for clones: who a request says it is, replaced alike through the whole clone.

A clone that came with the cookie of the user it was cloned from would be that user again: caches
would be warm and carts shared. So in a clone's requests the values of cookies, credentials and API
keys, the values in queries, forms and JSON whose names say who somebody is, the number or token
that follows such a name in a path (`/users/4711/orders`), and e-mail addresses anywhere become
pseudonyms under a key of the seed and the clone's number: equal values stay equal
within a clone, in whatever request and place they stand, and differ between clones. Length and
character class stay, so that no framing changes. Clone 0 is what was recorded and keeps its own.
Cookies that say nothing of a person (a short value, as of a theme) stay too.
"""

from __future__ import annotations

import re
from functools import lru_cache

from capture.sanitize.pseudonym import Pseudonyms

_COOKIE = re.compile(rb"(?im)^Cookie[ \t]*:[ \t]*([^\r\n]*)")
_CREDENTIAL = re.compile(
    rb"(?im)^((?:Proxy-)?Authorization[ \t]*:[ \t]*(?:(?:Bearer|Basic|Token)[ \t]+)?"
    rb"|X-(?:Api-Key|Auth-Token|Access-Token|Session-(?:Id|Token)|User-Id|Csrf-Token)[ \t]*:[ \t]*)"
    rb"([^\s,]+)"
)
_WHO = (
    rb"(?:[\w.-]*(?:session|token|passw(?:or)?d|passwd|secret|e-?mail|phone|user(?:_?name)?|login"
    rb"|account|customer|member|api[-_]?key|csrf|nonce)[\w.-]*|sid|uid|pin|jti|sub)"
)
_LOOSE = re.compile(
    rb"(?i)((?:^|(?<=[?&\r\n]))" + _WHO + rb"=)([^&#\s]+)"
    rb"|(\"" + _WHO + rb"\"\s*:\s*)(\"(?:[^\"\\]|\\.)*\"|\d+)"
    rb"|([A-Za-z0-9._%+-]+(?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)"
)
_EMAIL = re.compile(rb"([A-Za-z0-9._%+-]+?)((?:@|%40)[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
_COOKIE_VALUE = re.compile(
    rb"(?i)((?:^|(?<=[;\s]))(?:" + _WHO + rb"|[^=;\s]+(?==[^;]{8}))=\"?)([^;\"\s]+)"
)
_PATH_VALUE = re.compile(
    rb"(?i)(/(?:users?|accounts?|customers?|members?|people|profiles?|sessions?|tokens?)/)"
    rb"((?=[^/?#\s]*\d)[^/?#\s@]+)(?=[/?#\s])"
)
_ESCAPE = re.compile(rb"(%[0-9A-Fa-f]{2}|\\u[0-9A-Fa-f]{4}|\\.)", re.S)
# Of what is loose, in small letters: what holds none of these, which is most, holds nothing of it.
_HINT = re.compile(
    rb"@|%40|session|token|passw|secret|e-?mail|phone|user|login|account|customer|member|api|csrf"
    rb"|nonce|sid|uid|pin|jti|sub"
)


class Identities:
    """Gives the requests of clones their own identities."""

    def __init__(self, seed: int, remembered: int = 100_000) -> None:
        self._seed = seed
        self._fresh = lru_cache(remembered)(self._made)

    def __call__(self, request: bytes, head_bytes: int, clone: int) -> bytes:
        """The request as that clone sends it, of the same length."""
        if clone <= 0 or not request:
            return request

        def value(match: re.Match[bytes]) -> bytes:
            return match[1] + self._value(match[2], clone)

        def cookie(match: re.Match[bytes]) -> bytes:
            start = match.start(1) - match.start()
            return match[0][:start] + _COOKIE_VALUE.sub(value, match[1])

        head, body = request[:head_bytes], request[head_bytes:]
        line_end = head.find(b"\n") + 1
        line, lines = _PATH_VALUE.sub(value, head[:line_end]), head[line_end:]
        lines = _CREDENTIAL.sub(value, _COOKIE.sub(cookie, lines))
        line, body = (self._loose(part, clone) for part in (line, body))
        return line + lines + body

    def _loose(self, data: bytes, clone: int) -> bytes:
        if not data or _HINT.search(data.lower()) is None:
            return data

        def named(match: re.Match[bytes]) -> bytes:
            name, text = match[1] or match[3] or b"", match[2] or match[4] or match[5]
            return name + self._value(text, clone)

        return _LOOSE.sub(named, data)

    def _value(self, text: bytes, clone: int) -> bytes:
        if text[:1] == b'"':
            return b'"' + self._value(text[1:-1], clone) + b'"'
        address = _EMAIL.fullmatch(text)
        if address is not None:
            return self._fresh(address[1], clone) + address[2]
        return self._fresh(text, clone)

    def _made(self, text: bytes, clone: int) -> bytes:
        pseudonyms = _pseudonyms(self._seed, clone)
        if text.startswith(b"eyJ"):
            return pseudonyms.value(text)
        # What an escape stands for is not looked at, so the escapes stay.
        parts = _ESCAPE.split(text)
        parts[::2] = [pseudonyms.text(part) if part else part for part in parts[::2]]
        return b"".join(parts)


@lru_cache(4096)
def _pseudonyms(seed: int, clone: int) -> Pseudonyms:
    return Pseudonyms(b"clone %d of seed %d" % (clone, seed))
