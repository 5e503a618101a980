"""Sanitizing a head line by line: lines repeat from request to request, so each is done once.

A line is remembered under a keyed 128-bit hash, never as it was: the memory holds only what was
sanitized. Lines that decide where a message ends are never changed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from ..octets import HASH, NEWLINE, RETURN, SEMICOLON
from .blind import Blind
from .credentials import PROTOCOL, WORD
from .places import cookies, pairs, path_values
from .policy import FRAMING, SCAN, Policy
from .templates import Action
from .views import folded

_VALUE_LIKE: Final = re.compile(rb"(?=.*\d)[\w.~%@:+-]{2,}|[^@%;#=\n]*+[@%;#=].*|[\w-]{25,}")
_PARAMETERS: Final = re.compile(rb"[?;#]")
_VERSION: Final = re.compile(rb" HTTP/\d\.\d\s*")
_VERSIONS: Final = frozenset((b" HTTP/1.1\r", b" HTTP/1.0\r"))
"""What most first lines end with."""
_NUMBERS: Final = re.compile(
    rb"(?i)content-length\s*:\s*\d+(?:\s*,\s*\d+)*\s*"
    rb"|range\s*:\s*[a-z]{1,12}=\s*\d*-\d*(?:\s*,\s*\d*-\d*)*\s*"
    rb"|content-range\s*:\s*[a-z]{1,12} (?:\d+-\d+|\*)/(?:\d+|\*)\s*"
)
_OF_HOSTS: Final = frozenset(("ipv4", "ipv6", "phone", "token"))
"""What addresses and names of servers look like: a Host names a service, and that is kept."""
_BOUNDARY: Final = re.compile(rb'(?i)boundary="?[^";\r\n]{1,200}')
_LONG_NAME: Final = 20  # a shorter name of a header is no secret that a detector would know
_NAMES: Final = 10_000
NOTED: Final = frozenset((b"content-type", b"content-encoding", b"transfer-encoding"))


class Named:
    """What a policy says of the headers of a name."""

    def __init__(self, policy: Policy, low: bytes) -> None:
        self.low = low
        self.is_framing, self.is_noted = low in FRAMING, low in NOTED
        self.rule = policy.decide("header", low.decode("latin-1"))
        self.action = policy.default if self.rule is None else self.rule.action


class Head:
    """Sanitizes the lines of a head."""

    def __init__(self, policy: Policy, blind: Blind) -> None:
        self._policy = policy
        self._blind = blind
        self.strict = policy.level == "strict"
        self.by_path, self.by_type = policy.by_path, policy.by_type
        self._actions: dict[tuple[str, str], Action | None] = {}
        self._names: dict[bytes, Named] = {}

    def request_line(self, line: bytes) -> bytes:
        """The first line: the query by names, segments of the path where the policy is strict."""
        first, last = line.find(b" "), line.rfind(b" ")
        if first < 0 or last <= first:
            return self._blind.loose(line)
        edits: list[tuple[int, int, bytes]] = []
        mark = line.find(b"?", first, last)
        path_end = mark if mark >= 0 else last
        odd = None
        if SEMICOLON in line or HASH in line:
            odd = _PARAMETERS.search(line, first, path_end)
        if odd and not self.strict:
            edits += self.named(line, odd.end(), path_end, "query")
        if self.strict or self._policy.by_segment:
            segments = self._segments(line, first + 1, path_end)
            edits = _apart(edits, segments)
        if mark >= 0:
            edits += self.named(line, mark + 1, last, "query")
        version = line[last:]
        if version in _VERSIONS or _VERSION.fullmatch(version):
            edits.append((last, len(line), version))
        return self._blind.clean(line, edits)

    def _segments(self, line: bytes, start: int, end: int) -> list[tuple[int, int, bytes]]:
        """Edits of segments of the path: those that a rule names, in strict all like values."""
        edits: list[tuple[int, int, bytes]] = []
        taken = []
        for place in path_values(line, start, end) if self._policy.by_segment else ():
            rule = self._policy.decide("path", place.name, place.path)
            if rule is None:
                continue
            raw = line[place.start : place.end]
            new = raw if rule.action == "keep" else self.done(raw, Action(rule.action, rule))
            taken.append((place.start, place.end, new))
        if self.strict:
            for segment in line[start:end].split(b"/"):
                if not _is_word(segment) and _VALUE_LIKE.fullmatch(segment):
                    edits.append((start, start + len(segment), self._blind.value(segment)))
                start += len(segment) + 1
        return _apart(taken, edits)

    def named(self, data: bytes, start: int, end: int, kind: str) -> list[tuple[int, int, bytes]]:
        """Edits of the values that the policy names in a query."""
        edits: list[tuple[int, int, bytes]] = []
        for place in pairs(data, start, end, kind):
            if edits and place.start < edits[-1][1]:
                continue
            edit = self.edit(data, kind, place.name, place.start, place.end)
            if edit is not None:
                edits.append(edit)
        return edits

    def edit(
        self, data: bytes, kind: str, name: str, start: int, end: int
    ) -> tuple[int, int, bytes] | None:
        """What the policy makes of one value; None where only detectors look at it."""
        try:
            action = self._actions[kind, name]
        except KeyError:
            action = self._noted(kind, name)
        if action is None or start >= end:
            return None
        return start, end, self.done(data[start:end], action)

    def _noted(self, kind: str, name: str) -> Action | None:
        if len(self._actions) >= _NAMES:
            self._actions.clear()
        action = self._actions[kind, name] = self.action(kind, name)
        return action

    def action(
        self, kind: str, name: str, path: str = "", under: Sequence[str] = ()
    ) -> Action | None:
        """What the policy does with a value; None where only detectors look at it.

        Where no rule names a value, the next container around it whose rule replaces it decides.
        """
        decide, path = self._policy.decide, path if self.by_path else ""
        rule = decide(kind, name, path)
        if rule is None:
            for outer in reversed(under):
                around = decide(kind, outer, path)
                if around is not None and around.action != "keep":
                    rule = around
                    break
        action = self._policy.default if rule is None else rule.action
        if action == SCAN or (action == "keep" and self.strict):
            return None
        return Action(action, rule)

    def done(self, raw: bytes, action: Action) -> bytes:
        """A value after an action."""
        if action.name == "pseudonym":
            return self._blind.value(raw)
        if action.name == "keep":
            return raw
        if action.name == "drop":
            return b""
        if action.name == "fixed" and action.rule is not None:
            return action.rule.value
        return self._blind.value(raw, action.name)

    def body(self, data: bytes, kind: bytes) -> bytes | None:
        """What a rule for its content type makes of a whole body; None where there is none."""
        rule = self._policy.decide("body", kind.decode("latin-1")) if self.by_type else None
        return None if rule is None else self.done(data, Action(rule.action, rule))

    def line(self, line: bytes) -> tuple[bytes, bytes]:
        """A header line with its folds, and its name if it tells how to read the body.

        One that is dropped becomes empty bytes.
        """
        if NEWLINE in line:
            return self._folded(line)
        if RETURN in line[:-1]:  # some take it for the end of a line
            first, _, rest = line.partition(b"\r")
            new, noted = self.line(first)
            return new + b"\r" + self.line(rest)[0], noted
        name, colon, value = line.partition(b":")
        if not colon:
            return (self._blind.loose(line) if line.strip() else self.framing(line, b"")), b""
        named = self._of(name)
        if named.is_framing:
            return self.framing(line, named.low), named.low if named.is_noted else b""
        return self._line(line, self._named(name), named, value), b""

    def is_searched(self, line: bytes) -> bool:
        """Whether of a header line all is searched by detectors as it stands, or nearly so."""
        name, colon, _ = line.partition(b":")
        if not colon:
            return False
        named = self._of(name)
        action = named.action
        return not named.is_framing and (action == SCAN or (action == "keep" and self.strict))

    def _of(self, name: bytes) -> Named:
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= _NAMES:
                self._names.clear()
            known = self._names[name] = Named(self._policy, name.strip().lower())
        return known

    def framing(self, line: bytes, low: bytes) -> bytes:
        """A line on which framing depends: only what a detector is sure of is replaced in it."""
        if _NUMBERS.fullmatch(line):
            return line
        if low == b"host":
            new = self._blind.clean_but(line, _OF_HOSTS)
            start = line.find(b":") + 1
            end = max(start, line.rfind(b"@", start))
            if new[start:end] != line[start:end]:
                return new
            user = WORD.sub(lambda word: self._blind.value(word[0]), line[start:end])
            return new[:start] + user + new[end:]
        edits = [(*match.span(), match[0]) for match in _BOUNDARY.finditer(line)]
        return self._blind.clean(line, edits)

    def _named(self, name: bytes) -> bytes:
        return self._blind.clean(name) if len(name) >= _LONG_NAME else name

    def _folded(self, line: bytes) -> tuple[bytes, bytes]:
        """A line as it reads without its folds; they are put back where its length has stayed."""
        done: list[tuple[bytes, bytes]] = []
        same = False

        def read(plain: bytes) -> bytes:
            nonlocal same
            done.append(self.line(plain))
            same = len(done[0][0]) == len(plain)
            return done[0][0] if same else plain

        new = folded(line, read)
        if not done:  # the breaks in it are no folds
            return self._blind.loose(line), b""
        return self._standing(new) if same else done[0][0], done[0][1]

    def _standing(self, line: bytes) -> bytes:
        """A folded line once more as it stands: most who read it take a fold for a space."""
        low = line.partition(b":")[0].strip().lower()
        if low in FRAMING:
            return self.framing(line, low)
        kept = not self.strict and self._policy.action("header", low.decode("latin-1")) == "keep"
        return line if kept else self._blind.clean(line)

    def _line(self, line: bytes, name: bytes, named: Named, value: bytes) -> bytes:
        rule, action = named.rule, named.action
        if action == "keep" and not self.strict:
            return line
        if action == "drop":
            return b""
        if action == "fixed" and rule is not None:
            return name + b": " + rule.value + line[len(line.rstrip(b"\r")) :]
        if action in (SCAN, "keep"):
            mark = _PARAMETERS.search(value)
            start = len(line) - len(value) + mark.end() if mark else 0
            edits = self.named(line, start, len(line), "query") if mark else []
            return self._blind.clean(line, edits)
        return name + b":" + self._secret(named.low, value, action)

    def _secret(self, name: bytes, value: bytes, action: str) -> bytes:
        if name in (b"cookie", b"set-cookie"):
            # Of Set-Cookie the first pair is a cookie, the others are its attributes.
            end = value.find(b";") if name == b"set-cookie" else -1
            end = len(value.rstrip(b"\r")) if end < 0 else end
            edits, names_only = [], True
            for place in cookies(value, 0, end):
                edit = self.edit(value, "cookie", place.name, place.start, place.end)
                if edit is not None:
                    edits.append(edit)
                elif place.start < place.end:
                    names_only = False
            if names_only and name == b"cookie":
                return self._blind.between(value, edits)
            return self._blind.clean(value, edits)
        if name.endswith(b"authorization"):
            return self._blind.credentials(value, action)
        if name == b"sec-websocket-protocol":  # browsers can put a token nowhere else
            return WORD.sub(
                lambda word: word[0] if PROTOCOL.fullmatch(word[0])
                else self._blind.value(word[0], action),
                value,
            )  # fmt: skip
        return WORD.sub(lambda word: self._blind.value(word[0], action), value)


def _is_word(segment: bytes) -> bool:
    """Whether a segment of a path cannot be a value, as most are not."""
    return len(segment) < 25 and segment.isalpha()


def _apart(
    first: list[tuple[int, int, bytes]], more: list[tuple[int, int, bytes]]
) -> list[tuple[int, int, bytes]]:
    """Edits in order; of those that meet the first list's."""
    if not first:
        return more
    free = [each for each in more if all(each[1] <= a or b <= each[0] for a, b, _ in first)]
    return sorted(first + free)
