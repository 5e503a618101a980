"""Bodies that are alike but for their values: read by one pattern instead of a walk.

A service sends the same JSON again and again, with other values. Once a structure was walked twice,
it becomes a template: one regular expression of its names and punctuation, with a group for each
value that the policy does something with. Templates hold names and structure, never a value, and
are few; a body that no template of its content type matches to its last byte is walked as ever.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from ..octets import BACKSLASH
from .places import Place, is_quoted
from .policy import Rule
from .relaxed import WELL

MOST_VALUES: Final = 40
MOST_BYTES: Final = 4096
_MOST_TEMPLATES: Final = 512
_SAME_START: Final = 8
_SEEN: Final = 4096
_STRUCTURE: Final = re.compile(rb'(?:"[\w.$@:/ -]{0,64}"\s*:|[\s{}\[\],"]|true|false|null)*+')
_CONSTANT: Final = re.compile(rb"\b(?:true|false|null)\b")


class Action(NamedTuple):
    """What is done with a value: an action of the policy, and the rule that says so."""

    name: str
    rule: Rule | None


class Template:
    """A structure, with what is done at each of its values."""

    def __init__(
        self, literals: Sequence[bytes], texts: Sequence[bool], actions: Sequence[Action | None]
    ) -> None:
        parts = [_escaped(literals[0])]
        self.actions: list[tuple[int, Action]] = []
        for text, action, literal in zip(texts, actions, literals[1:], strict=True):
            value = rb'[^"\\]*+' if text else rb"-?[0-9][0-9.eE+-]*+"
            if action is not None:
                self.actions.append((len(self.actions) + 1, action))
                value = b"(" + value + b")"
            parts += (value, _escaped(literal))
        self.fullmatch = re.compile(b"".join(parts)).fullmatch


class Templates:
    """The structures that were seen, and the templates made of those that were seen again."""

    def __init__(self) -> None:
        self._by_start: dict[bytes, list[Template]] = {}
        self._count = 0
        self._seen: set[int] = set()

    def find(self, data: bytes, kind: bytes) -> tuple[re.Match[bytes], Template] | None:
        """The template of the data of a content type, matched with it."""
        for template in self._by_start.get(_start(data, kind), ()):
            match = template.fullmatch(data)
            if match is not None:
                return match, template
        return None

    def learn(
        self, data: bytes, kind: bytes, places: Sequence[Place], actions: Sequence[Action | None]
    ) -> None:
        """Remember the structure of a body that was walked: its values and what is done there."""
        if len(places) > MOST_VALUES or self._count >= _MOST_TEMPLATES or BACKSLASH in data:
            return
        literals, done = [], 0
        start = _start(data, kind)
        for place in places:
            if place.start < done:
                return  # one within another: no structure of values side by side
            literals.append(data[done : place.start])
            done = place.end
        literals.append(data[done:])
        structure = b"\0".join((start, *literals))
        if hash(structure) not in self._seen:
            if len(self._seen) >= _SEEN:
                self._seen.clear()
            self._seen.add(hash(structure))
            return
        # What only the relaxed walker reads may have other values between the same punctuation.
        if all(map(_STRUCTURE.fullmatch, literals)) and WELL.fullmatch(data):
            texts = [is_quoted(data, place) for place in places]
            alike = self._by_start.setdefault(start, [])
            if len(alike) < _SAME_START:
                alike.append(Template(literals, texts, actions))
                self._count += 1


def _start(data: bytes, kind: bytes) -> bytes:
    return kind + b"\0" + data[: data.find(b":", 0, 100) + 1]


def _escaped(literal: bytes) -> bytes:
    return _CONSTANT.sub(b"(?:true|false|null)", re.escape(literal))
