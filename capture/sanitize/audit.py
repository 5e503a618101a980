"""The audit of a finished tape: whether anything in it looks like a secret that was missed.

Payloads are read part by part (request line, each header, body), each distinct part is looked at
once, and what is suspect is counted by kind and place. What a suspect reads is never told.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..errors import PolicyError, TapeError
from . import codings
from .suspects import Suspect, suspects, views

_REMEMBERED = 100_000
_BATCH = 4096


@dataclass
class Finding:
    """One kind of suspect at one place: how often, and in which exchange first."""

    kind: str
    place: str
    count: int
    exchange: int


@dataclass
class Report:
    """What an audit looked at and found."""

    exchanges: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        """The report as JSON has it."""
        return asdict(self)


class Auditor:
    """Looks at payloads one after the other."""

    def __init__(self, canaries: Iterable[bytes] = ()) -> None:
        self._canaries = [_Canary(value, line) for line, value in enumerate(canaries, 1)]
        self._known: dict[tuple[str, bytes], list[Suspect]] = {}
        self._found: dict[tuple[str, str], Finding] = {}
        self._exchanges = self._bytes = 0

    def look(self, exchange: int, request: bytes, response: bytes = b"") -> bool:
        """Look at an exchange; whether anything in it is suspect."""
        self._exchanges += 1
        self._bytes += len(request) + len(response)
        clean = True
        for side, message in (("", request), ("response ", response)):
            for place, part in _parts(message):
                for suspect in self._suspects(place, part):
                    clean = False
                    self._note(exchange, side + place, suspect)
        return not clean

    def report(self) -> Report:
        """What was found so far, what is most first."""
        found = sorted(self._found.values(), key=lambda each: (-each.count, each.kind, each.place))
        return Report(self._exchanges, self._bytes, found)

    def _note(self, exchange: int, place: str, suspect: Suspect) -> None:
        if suspect.name and suspect.name.lower() != place.rpartition(" ")[2]:
            place = f"{place} ({suspect.name})"
        finding = self._found.setdefault(
            (suspect.kind, place), Finding(suspect.kind, place, 0, exchange)
        )
        finding.count += 1

    def _suspects(self, place: str, part: bytes) -> list[Suspect]:
        key = (place, part)
        known = self._known.get(key)
        if known is None:
            known = list(dict.fromkeys(self._fresh(place, part)))
            if len(part) <= _BATCH:
                if len(self._known) >= _REMEMBERED:
                    self._known.clear()
                self._known[key] = known
        return known

    def _fresh(self, place: str, part: bytes) -> Iterator[Suspect]:
        for suspect in suspects(part):
            # Host names the server that was recorded; sanitizing keeps it so that replay can.
            if place != "header host" or suspect.kind != "IP address":
                yield suspect
        if self._canaries:
            for view in views(part, 3):
                for canary in self._canaries:
                    if canary.stands_in(view):
                        yield Suspect(f"canary {canary.number}", "", canary.size)


class _Canary:
    """A value that must not appear, in its plain and encoded forms."""

    def __init__(self, value: bytes, number: int) -> None:
        self.number = number
        self.size = len(value)
        self._forms = {value.lower(), value.hex().encode()}
        for shift in range(3):  # base64 reads otherwise at each of three offsets
            coded = base64.b64encode(b"\0" * shift + value)
            whole = coded[(0, 2, 3)[shift] : len(coded) // 4 * 4 - 4]
            if len(whole) >= 8:
                self._forms |= {whole.lower(), whole.translate(_URL).lower()}
        digits = re.sub(rb"\D", b"", value)
        self._digits = digits if len(digits) >= 7 and not re.search(rb"[A-Za-z]", value) else b""

    def stands_in(self, view: bytes) -> bool:
        low = view.lower()
        if any(form in low for form in self._forms):
            return True
        return bool(self._digits) and self._digits in re.sub(
            rb"(?<=\d)[ ().-]{1,2}(?=\d)", b"", low
        )


_URL = bytes.maketrans(b"+/", b"-_")


def _parts(message: bytes) -> Iterator[tuple[str, bytes]]:
    """The parts of a message with the names of their places; of broken ones, too."""
    if not message:
        return
    split = re.search(rb"\r?\n\r?\n", message)
    head, body = (message[: split.start()], message[split.end() :]) if split else (message, b"")
    said: dict[str, bytes] = {}
    # Most read a fold as a space, some as nothing: a line that has none is looked at once.
    readings = (_lines(_FOLD.sub(fold, head)) for fold in (b" ", b""))
    for spaced, joined in zip(*readings, strict=True):
        yield from dict.fromkeys((spaced, joined))
        said[spaced[0]] = spaced[1].partition(b":")[2]
    if body:
        kind, coding, transfer = (
            said.get(f"header {name}", b"")
            for name in ("content-type", "content-encoding", "transfer-encoding")
        )
        label = kind.strip().lower().split(b";")[0].strip().decode("latin-1")
        chunked = b"chunked" in transfer.lower()
        yield f"body {label}".strip(), _open(body, codings.names(coding), chunked)


_FOLD = re.compile(rb"\r?\n[ \t]+")


def _lines(head: bytes) -> Iterator[tuple[str, bytes]]:
    """The lines of a head with what each is."""
    first, *rest = re.split(rb"\r?\n", head)
    # The segments of a path also each by itself: none is a part of a longer run.
    yield "first line", first + b"\n" + first.partition(b"?")[0].replace(b"/", b" ")
    for line in rest:
        name, colon, _ = line.partition(b":")
        low = name.strip().lower()
        known = colon and re.fullmatch(rb"[\w-]{1,60}", low)
        yield (f"header {low.decode()}" if known else "head"), line


def _open(body: bytes, coded: list[bytes], chunked: bool) -> bytes:
    if chunked:
        body = _joined(body)
    opened = codings.opened(body, coded) if coded else body
    return body if opened is None else opened


def _joined(body: bytes) -> bytes:
    out: list[bytes] = []
    at = 0
    while match := re.compile(rb"([0-9A-Fa-f]{1,8})[^\r\n]*\r?\n").match(body, at):
        size = int(match[1], 16)
        out.append(body[match.end() : match.end() + size])
        at = match.end() + size + 2
    # What follows the chunks, trailers or a broken rest, is looked at as well.
    return b"".join(out) + b"\n" + body[at:]


def read_canaries(path: str) -> list[bytes]:
    """The values of a file, one a line."""
    try:
        lines = Path(path).read_bytes().splitlines()
    except OSError as failure:
        raise PolicyError(f"{path}: the canaries cannot be read ({failure.strerror}).") from None
    values = [line.strip() for line in lines if line.strip()]
    if not values:
        raise PolicyError(f"{path}: holds no canary; write the values to look for, one a line.")
    if any(len(value) < 4 for value in values):
        raise PolicyError(f"{path}: a canary needs at least 4 bytes, else it is found everywhere.")
    return values


def audit_tape(path: str, canaries: Iterable[bytes] = ()) -> Report:
    """Audit each exchange of a tape that can be read; one that cannot is an error, not a pass."""
    import numpy as np

    from ..tape import Tape

    auditor = Auditor(canaries)
    with Tape.open(path) as tape:
        if tape.losses:
            raise TapeError(f"{tape.losses[0]}, so nothing can be said of it; read what is left "
                            "with `wiretape tape filter`, and audit that.")  # fmt: skip
        for start in range(0, tape.exchange_count, _BATCH):
            numbers = np.arange(start, min(start + _BATCH, tape.exchange_count), dtype=np.int64)
            for number, payload in zip(numbers, tape.payloads(numbers), strict=True):
                if payload.damaged:
                    raise TapeError(
                        f"{path}: exchange {number} cannot be read, so nothing can be said of it; "
                        "run `wiretape tape verify`."
                    )
                auditor.look(int(number), payload.request, payload.response)
    return auditor.report()
