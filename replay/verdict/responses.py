"""What the same requests were answered in two runs: differences with their path and kind.

A JSON body is compared value by value: `$.items[*].price`, and a kind: `added`, `removed`, `type`,
`value`, `length` (of a list), `form` (a text or number of another make, say an id that was hex and
is a UUID). Other bodies differ as `text` or `bytes`; where only digests were kept, as `digest`.

What differs between two runs of the baseline is noise (times, ids, order of chance): such a path
and kind is told as a difference only where it differs far more often than it did there. On a noisy
path a text is still held to the forms that it had. Patterns of `--ignore` are never looked at.

    differ = Differ(Ignored(["$.timestamp"])); differ.learn(...); differ.see(...); differ.render()
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .bodies import Message
from .portrait import CHANGING

CHANCE = 1e-4
EXAMPLES = 3
DEEP = 64
Spot = tuple[str, str, str]  # endpoint, path, kind
Found = tuple[str, str, Any, Any]  # path, kind, before, after
_NAME = re.compile(r"[A-Za-z_][\w-]*")
_FORMS = (
    ("empty", re.compile(r"\s*")),
    ("uuid", re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")),
    ("time", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")),
    ("date", re.compile(r"\d{4}-\d\d-\d\d")),
    ("digits", re.compile(r"-?\d+(?:\.\d+)?")),
    ("hex", re.compile(r"[0-9a-fA-F]{8,}")),
    ("url", re.compile(r"https?://.*", re.S)),
)


@dataclass(frozen=True)
class Example:
    """One pair that differs: its exchange on the tape, what it was, what it is."""

    exchange: int
    a: str
    b: str


@dataclass(frozen=True)
class ResponseDifference:
    """One path and kind of an endpoint: in how many pairs it differs, and in how many it did."""

    endpoint: str
    path: str
    kind: str
    count: int
    compared: int
    baseline: int  # of `baseline_compared` pairs of baseline runs
    baseline_compared: int
    noise: bool
    examples: tuple[Example, ...]


@dataclass(frozen=True)
class Responses:
    """What came of comparing answers."""

    pairs: int
    differing: int
    learnt: int  # pairs of baseline runs that noise was learnt from
    differences: tuple[ResponseDifference, ...]  # those that are no noise, commonest first
    noise: tuple[ResponseDifference, ...]

    @property
    def suppressed(self) -> int:
        """How many single differences were noise."""
        return sum(each.count for each in self.noise)


_PATTERN = re.compile(
    r"""\$(?:\.\.?[^.\[\]\s]+|\[\*\]|\["(?:[^"\\]|\\.)*"\])*|header\s+\S+""", re.IGNORECASE
)


def unreadable(pattern: str) -> str:
    """Why a pattern can cover no path; nothing where it can."""
    if _PATTERN.fullmatch(pattern):
        return ""
    if re.search(r"\[\d+\]", pattern):
        return f"{pattern!r} names one place of a list: write [*], which stands for any."
    return f"{pattern!r} is no path: write it like '$.timestamp', '$.items[*].id' or 'header date'."


class Ignored:
    """Paths that are not looked at: `$.timestamp`, `$..id`, `$.items[*].*`, `header date`."""

    def __init__(self, patterns: tuple[str, ...] = ()) -> None:
        parts = [_as_regex(pattern) for pattern in patterns]
        self._match = re.compile("|".join(parts)).match if parts else None

    def __contains__(self, path: str) -> bool:
        return bool(self._match and self._match(path))


def _as_regex(pattern: str) -> str:
    """A pattern covers the path itself and everything below it."""
    text = re.escape(pattern.lower() if pattern.lower().startswith("header") else pattern)
    text = text.replace(r"\.\.", r"(?:\..+|\[\*\])*\.").replace(r"\[\*\]", r"\[\*\]")
    text = re.sub(r"(?<!\[)\\\*(?!\\\])", r"[^.\\[]+", text)
    return rf"{text}(?=$|\.|\[)"


def form_of(value: Any) -> str:
    """What make a value is of."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return next((name for name, fits in _FORMS if fits.fullmatch(value)), "text")
    return "list" if isinstance(value, list) else "object"


def differences(a: Any, b: Any, path: str = "$", deep: int = 0) -> Iterator[Found]:
    """In what two values of JSON differ."""
    if type(a) is not type(b) and not (_number(a) and _number(b)):
        yield path, "type", a, b
    elif isinstance(a, dict):
        for name, value in a.items():
            below = _below(path, name)
            if name not in b:
                yield below, "removed", value, None
            elif deep < DEEP and not _same(value, b[name]):
                yield from differences(value, b[name], below, deep + 1)
        for name in b.keys() - a.keys():
            yield _below(path, name), "added", None, b[name]
    elif isinstance(a, list):
        if len(a) != len(b):
            yield path, "length", len(a), len(b)
        if deep < DEEP:
            for one, other in zip(a, b, strict=False):
                yield from differences(one, other, f"{path}[*]", deep + 1)
    elif a != b and not (a != a and b != b):  # NaN, which is like no value, not even itself
        yield path, "value", a, b


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(a: Any, b: Any) -> bool:
    """Whether two plain values are alike; Python takes True for 1, JSON does not."""
    return type(a) is type(b) and not isinstance(a, dict | list) and bool(a == b)


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if _NAME.fullmatch(name) else f"{path}[{json.dumps(name)}]"


class Differ:
    """Learns noise from pairs of the baseline, then sees pairs of baseline and candidate."""

    def __init__(self, ignored: Ignored | None = None) -> None:
        self._ignored = ignored or Ignored()
        self._noise: Counter[Spot] = Counter()
        self._forms: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
        self._counts: Counter[Spot] = Counter()
        self._examples: defaultdict[Spot, list[Example]] = defaultdict(list)
        self._learnt: Counter[str] = Counter()
        self._seen: Counter[str] = Counter()
        self._differing = 0

    def learn(self, endpoint: str, a: Message, b: Message, same: bool = True) -> None:
        """Take a pair of answers of two runs of the baseline; `same` as in `see`."""
        self._learnt[endpoint] += 1
        once = set()
        for path, kind, before, after in self._of(a, b, same):
            once.add((endpoint, path, kind))
            if kind == "value":
                self._forms[endpoint, path].update((form_of(before), form_of(after)))
        self._noise.update(once)

    def learn_digest(self, endpoint: str, same: bool) -> None:
        """The same where only digests were kept."""
        self._learnt[endpoint] += 1
        self._noise[endpoint, "$", "digest"] += not same

    def see(self, endpoint: str, exchange: int, a: Message, b: Message, same: bool = True) -> None:
        """Take a pair of answers of baseline and candidate.

        Not `same` are bodies that were cut when they were kept, and differ by their digests.
        """
        self._seen[endpoint] += 1
        once: dict[Spot, tuple[Any, Any]] = {}
        for path, kind, before, after in self._of(a, b, same):
            told = kind
            if kind == "value" and self._noise.get((endpoint, path, kind)):
                told = "value" if form_of(after) in self._forms[endpoint, path] else "form"
            once.setdefault((endpoint, path, told), (before, after))
        self._book(exchange, once)

    def see_digest(self, endpoint: str, exchange: int, same: bool) -> None:
        """The same where only digests were kept."""
        self._seen[endpoint] += 1
        self._book(exchange, {} if same else {(endpoint, "$", "digest"): ("", "")})

    def _book(self, exchange: int, once: dict[Spot, tuple[Any, Any]]) -> None:
        self._counts.update(once.keys())
        self._differing += bool(once)
        for spot, (before, after) in once.items():
            if len(self._examples[spot]) < EXAMPLES:
                quoted = spot[2] == "type"  # 1 and "1" are told apart by nothing else
                was = "–" if spot[2] == "added" else _short(before, quoted)
                now = "–" if spot[2] == "removed" else _short(after, quoted)
                self._examples[spot].append(Example(exchange, was, now))

    def _of(self, a: Message, b: Message, same: bool) -> Iterator[Found]:
        found = [*_headers(a, b)]
        if a.body != b.body:
            found += _bodies(a.body, b.body)
        elif not same:
            found.append(("$", "digest", "", ""))
        return (each for each in found if each[0] not in self._ignored)

    def render(self) -> Responses:
        """The differences, told apart from noise."""
        limit = CHANCE / max(1, len(self._counts))
        told = [self._told(spot, count, limit) for spot, count in self._counts.items()]
        told.sort(key=lambda each: (-each.count, each.endpoint, each.path))
        return Responses(
            sum(self._seen.values()),
            self._differing,
            sum(self._learnt.values()),
            tuple(each for each in told if not each.noise),
            tuple(each for each in told if each.noise),
        )

    def _told(self, spot: Spot, count: int, limit: float) -> ResponseDifference:
        endpoint = spot[0]
        before, learnt, seen = self._noise[spot], self._learnt[endpoint], self._seen[endpoint]
        noise = before > 0 and _as_often(count, seen, before, learnt) > limit
        return ResponseDifference(
            *spot, count, seen, before, learnt, noise, tuple(self._examples[spot])
        )


def _as_often(count: int, seen: int, before: int, learnt: int) -> float:
    """The chance of so many where the baseline had so many (Fisher, one-sided)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(count - 1, seen + learnt, count + before, seen))


def _headers(a: Message, b: Message) -> Iterator[Found]:
    if a.fields == b.fields:
        return
    before, after = dict(a.fields), dict(b.fields)
    for name in before.keys() | after.keys():
        was, now = before.get(name), after.get(name)
        text = name.decode("latin-1")
        if was == now or (text in CHANGING and was is not None and now is not None):
            continue
        kind = "added" if was is None else "removed" if now is None else "value"
        yield f"header {text}", kind, _text(was), _text(now)


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")


def _bodies(a: bytes, b: bytes) -> Iterator[Found]:
    try:
        before, after = (json.loads(body, object_pairs_hook=_object) for body in (a, b))
    except (ValueError, RecursionError):
        readable = b"\0" not in a[:512] and b"\0" not in b[:512]
        yield "$", "text" if readable else "bytes", _where(a, b), _where(b, a)
        return
    yield from differences(before, after)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, of whose names that come again each has its number: none is lost."""
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    found, times = {}, Counter[str]()
    for name, value in pairs:
        times[name] += 1
        found[name if times[name] == 1 else f"{name} (no. {times[name]})"] = value
    return found


def _where(mine: bytes, other: bytes) -> str:
    """The text from where two bodies part."""
    at = next((n for n, (x, y) in enumerate(zip(mine, other, strict=False)) if x != y), None)
    at = min(len(mine), len(other)) if at is None else at
    return mine[max(0, at - 10) : at + 50].decode("utf-8", "replace")


def _short(value: Any, quoted: bool = False) -> str:
    text = value if isinstance(value, str) and not quoted else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:79]}…"
