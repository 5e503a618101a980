"""What an environment reveals of itself, gathered from the heads of its answers.

A portrait counts, for each place (endpoint and class of status, `GET /products 2xx`), which values
each header had, and holds facts that belong to the whole: TLS, clock, limits. Values that no two
answers share (dates, lengths, ids) are known by presence only. Recordings keep the headers that say
nothing of a person, so what such a portrait lacks is unknown rather than absent: `partial`.

    portrait = portrait_of(tape, "theirs.tape"); portrait.add("GET /", answer)
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from capture.errors import ReplayError
from capture.exchange import NEVER
from capture.tape import Tape

from .rows import Array

ABSENT = "–"
SOME = "(differs each time)"
CHANGING = frozenset(
    ("age", "content-length", "content-range", "date", "etag", "expires", "last-modified",
     "ratelimit-remaining", "ratelimit-reset", "retry-after", "x-ratelimit-remaining",
     "x-ratelimit-reset", "x-request-id", "x-correlation-id", "traceparent", "x-amzn-trace-id",
     "x-runtime", "x-response-time", "server-timing", "cf-ray", "via")
)  # fmt: skip
READ = 5_000  # heads of a tape: more say nothing new
MANY = 8  # different values, beyond which a header is one that differs each time
_COLUMNS = ("endpoint", "response_head_bytes", "response_first_ns")


@dataclass(frozen=True)
class Answer:
    """The head of one response: `headers` in order, as spelt. `at` is when, s since the epoch."""

    version: str  # HTTP/1.1
    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    at: float = 0.0
    page: str = ""  # what kind of page an error has, where its body was seen

    def value(self, name: str) -> str | None:
        """The value of a header, by its name in lower case."""
        found = [text for each, text in self.headers if each.lower() == name]
        return ", ".join(found) if found else None


@dataclass
class Portrait:
    """What one environment showed."""

    name: str
    places: Counter[str] = field(default_factory=Counter)
    values: dict[tuple[str, str], Counter[str]] = field(default_factory=dict)
    spelling: dict[str, str] = field(default_factory=dict)
    cookies: dict[str, Counter[str]] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    cookie_places: dict[str, str] = field(default_factory=dict)
    skews: list[float] = field(default_factory=list)
    live: bool = False

    def add(self, endpoint: str, answer: Answer) -> None:
        """See one answer."""
        place = f"{endpoint} {answer.status // 100}xx"
        self.places[place] += 1
        self._saw(place, "status line", f"{answer.version} {answer.status} {answer.reason}".strip())
        if answer.page:
            self._saw(place, "error page", answer.page)
        for name in {each.lower() for each, _ in answer.headers} - {"set-cookie"}:
            value = answer.value(name) or ""
            self._saw(place, name, SOME if name in CHANGING else _steady(name, value))
        for name, text in answer.headers:
            self.spelling.setdefault(name.lower(), name)
            if name.lower() == "set-cookie":
                cookie, attributes = cookie_of(text)
                self.cookies.setdefault(cookie, Counter())[attributes] += 1
                self.cookie_places.setdefault(cookie, place)
        self._see_clock(answer)

    def _saw(self, place: str, name: str, value: str) -> None:
        self.values.setdefault((place, name), Counter())[value] += 1

    def _see_clock(self, answer: Answer) -> None:
        date = answer.value("date")
        if date and answer.at:
            try:
                # A date has whole seconds: on average it is half a second old.
                self.skews.append(parsedate_to_datetime(date).timestamp() + 0.5 - answer.at)
            except ValueError:
                pass

    @property
    def skew_s(self) -> float | None:
        """How far its clock is ahead of ours."""
        return median(self.skews) if self.skews else None

    @property
    def partial(self) -> bool:
        """Whether only headers that say nothing of a person were kept."""
        return not self.live and set(self.spelling) <= kept_names() | {"set-cookie"}

    def shares(self, place: str, name: str) -> dict[str, float]:
        """The share of each value of a header at a place; `ABSENT` for answers without it."""
        seen = self.places[place]
        counts = self.values.get((place, name), Counter())
        told = sum(counts.values())
        found = dict(counts) if len(counts) <= MANY or 2 * len(counts) <= told else {SOME: told}
        if seen > told:
            found[ABSENT] = seen - told
        return {value: count / max(1, seen) for value, count in found.items()}


def kept_names() -> set[str]:
    """The headers of answers whose values a sanitized recording keeps."""
    from capture.sanitize.responses import HARMLESS

    return {name.decode() for name in HARMLESS}


def cookie_of(text: str) -> tuple[str, str]:
    """The name of a cookie and its attributes in order, without what changes each time."""
    first, *parts = (part.strip() for part in text.split(";"))
    kept = []
    for part in parts:
        name, _, value = part.partition("=")
        lower = name.strip().lower()
        kept.append(
            "Expires" if lower == "expires" else f"{name.strip()}={value}" if value else name
        )
    return first.partition("=")[0], "; ".join(sorted(kept, key=str.lower))


_OWN = re.compile(r"(https?)://[^/]+")
_SPAN = re.compile(r"timeout=\d+")


def _steady(name: str, value: str) -> str:
    """The value without what belongs to this one answer."""
    if name == "location":
        scheme = _OWN.match(value)
        path = _OWN.sub("", value).partition("?")[0]
        return f"{scheme[1]}://…{path}" if scheme else path
    if name == "keep-alive":
        # `max` counts down on each connection.
        found = _SPAN.search(value)
        return found[0] if found else value
    return value


def answer_of(head: bytes, at: float) -> Answer | None:
    """The answer that the bytes of a head are; None where they are none."""
    lines = head.decode("latin-1").replace("\r\n", "\n").split("\n")
    version, _, rest = lines[0].partition(" ")
    status, _, reason = rest.strip().partition(" ")
    if not version.startswith("HTTP/") or not status.isdigit():
        return None
    pairs = (line.partition(":") for line in lines[1:] if ":" in line)
    headers = tuple((name.strip(), value.strip()) for name, _, value in pairs)
    return Answer(version, int(status), reason.strip(), headers, at)


def portrait_of(path: str | Path) -> Portrait:
    """The portrait of a tape or run whose heads of responses were kept."""
    with Tape.open(path) as tape:
        found = Portrait(Path(path).name)
        read_heads(tape, found)
        if not found.places:
            raise ReplayError(
                f"{path}: kept no heads of responses; replay with --responses headers, "
                "or give the URL of the target."
            )
    return found


def read_heads(tape: Tape, portrait: Portrait) -> None:
    """Add the heads that a tape keeps, evenly over it where it keeps very many."""
    names: dict[str, int] = {}
    parts: list[Array] = []
    first = 0
    for block in tape.columns(_COLUMNS):
        endpoint: Any = block["endpoint"]
        sizes = np.asarray(block["response_head_bytes"], np.int64)
        times = np.asarray(block["response_first_ns"], np.int64)
        kept = np.flatnonzero((sizes > 0) & (times != NEVER))
        known = np.array([names.setdefault(name, len(names)) for name in endpoint.values] or [0])
        codes = known[endpoint.codes[kept]]
        parts.append(np.stack([kept + first, codes, sizes[kept], times[kept]], axis=1))
        first += len(sizes)
    table = np.concatenate(parts) if parts else np.zeros((0, 4), np.int64)
    table = table[:: max(1, len(table) // READ)]
    endpoints = list(names)
    for (_, code, size, at), payload in zip(
        table.tolist(), tape.payloads(table[:, 0].copy()), strict=True
    ):
        answer = answer_of(payload.response[:size], at / 1e9)
        if answer is not None:
            portrait.add(endpoints[code], answer)
