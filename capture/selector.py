"""How a user names requests, everywhere: `POST /pay*`, a path alone, or a method alone.

`*` stands for anything; every other sign, as `?` and brackets, for itself. What begins with a
slash or a star, or holds a slash, is a path of any method; another word is a method with any path.
A target is also matched without its query.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .tape import Text

_SPECIAL = re.compile(r"[\[?]")


class Selector(NamedTuple):
    """A pattern, parsed."""

    method: re.Pattern[str]
    path: re.Pattern[str]


@lru_cache(512)
def parsed(pattern: str) -> Selector:
    """The selector that a pattern writes; nothing selects everything."""
    words = pattern.split(maxsplit=1)
    if not words:
        method, path = "*", "*"
    elif len(words) == 2:
        method, path = words[0], words[1].rstrip()
    elif words[0].startswith("*") or "/" in words[0]:
        method, path = "*", words[0]
    else:
        method, path = words[0], "*"
    return Selector(_glob(method), _glob(path))


def named(endpoint: str, pattern: str) -> bool:
    """Whether a pattern names an endpoint (`GET /orders/{id}`)."""
    wanted = parsed(pattern)
    method, _, path = endpoint.partition(" ")
    return bool(wanted.method.fullmatch(method) and wanted.path.fullmatch(path))


def asked_for(methods: Text, targets: Text, patterns: Sequence[str]) -> Any:
    """The rows (a mask) whose method and target one of the patterns selects."""
    import numpy as np

    found = np.zeros(len(methods), dtype=bool)
    for method, path in map(parsed, patterns):
        verbs = [bool(method.fullmatch(value)) for value in methods.values] or [False]
        paths = [_goes_to(value, path) for value in targets.values] or [False]
        found |= np.array(verbs)[methods.codes] & np.array(paths)[targets.codes]
    return found


def _goes_to(target: str, path: re.Pattern[str]) -> bool:
    return bool(path.fullmatch(target) or path.fullmatch(target.split("?", 1)[0]))


def _glob(pattern: str) -> re.Pattern[str]:
    return re.compile(fnmatch.translate(_SPECIAL.sub(r"[\g<0>]", pattern)))
