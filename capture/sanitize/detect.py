"""What a secret or a personal datum looks like, wherever it stands: one row a detector.

Two engines share the work. `trigger` is compiled with every other trigger into one hyperscan
database, which runs over all bytes once, in linear time, whatever they are, and only says which
detectors might match in a chunk. `pattern` (Python `re`, written without nested repeats) then finds
the exact spans in the few chunks where its trigger fired, and `valid` makes a candidate certain.
A trigger asks for what must stand on either side as its pattern does (it takes the neighbours in,
for hyperscan looks at none): else a body of things that only nearly match has each looked at.
"""

from __future__ import annotations

import functools
import heapq
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from operator import itemgetter
from typing import Any

from ..errors import PolicyError
from . import national_ids as id_
from . import validators as is_

CHUNK = 1 << 16
"""Bytes scanned at a time; a trigger that fires has its pattern run over the chunk."""
REACH = 1 << 12
"""How far a match may reach over the edge of its chunk."""


@dataclass(frozen=True)
class Detector:
    """One thing that is found wherever it stands."""

    name: str
    trigger: str  # hyperscan: matches at least wherever `pattern` does; cheap and linear
    pattern: re.Pattern[bytes]  # its group `secret`, or all of it, is what is replaced
    kind: str  # which pseudonym it gets (pseudonym.KINDS)
    valid: Callable[[bytes], bool] | None = None


def _row(
    name: str,
    trigger: str,
    pattern: str,
    kind: str,
    valid: Callable[[bytes], bool] | None = None,
) -> Detector:
    return Detector(name, trigger, re.compile(pattern.encode("latin-1"), re.S), kind, valid)


_A = r"A-Za-z0-9"
_WORD_BEGINS = r"(?:^|[^a-z\d])"  # what a trigger takes in on either side
_NO_DIGIT, _DIGIT_ENDS = r"(?:^|\D)", r"(?:\D|$)"
_NO_DASH, _DASH_ENDS = r"(?:^|[^\d-])", r"(?:[^\d-]|$)"
# A version follows a product (`Server/1.2.3.4`), an address in a path a segment (`/ip/192.0.2.7`).
_IN_PATH = "|".join(rf"(?<=/[\w-]{{{size}}}[A-Za-z]/)" for size in range(16))
_LOCAL = r"A-Za-z0-9._%+'\x80-\xff-"


def _phone_trigger() -> str:
    """The forms of the pattern of telephone numbers, of two groups those with seven digits."""
    begins, ends = r"(?:^|[^\w.+/=-])", r"(?:[^\w.-]|[.-]\D|[.-]?$)"
    more, extension = r"(?:[ .-]\d{2,7})", r"(?:[x#]\d{1,6})?"
    pairs = "|".join(
        rf"\d{{{first}}}[ .-]\d{{{second},7}}"
        for first, second in (("1", 6), ("2", 5), ("3", 4), ("4", 3), ("5,7", 2))
    )
    return "|".join((
        r"(?:^|[^\w.+-])\+\d{8,15}(?:\D|$)",
        rf"{begins}[2-9]\d\d[2-9]\d{{6}}{ends}",
        rf"{begins}\d{{9,12}}\W{{1,3}}(?:fax|mobile|office|phone|home|work|cell)",
        rf"{begins}(?:\+\d{{1,3}}[ .-]?|00\d{{1,3}}[ .-])(?:\(\d{{1,5}}\)[ .-]?)?"
        rf"\d{{1,7}}{more}{{0,5}}{extension}{ends}",
        rf"{begins}\(\d{{1,5}}\)[ .-]?\d{{1,7}}{more}{{0,5}}{extension}{ends}",
        rf"{begins}\d{{1,7}}{more}{{2,5}}{extension}{ends}",
        rf"{begins}(?:{pairs}){extension}{ends}",
        rf"{begins}\d{{7}}[x#]\d{{1,6}}{ends}",
    ))  # fmt: skip


TABLE: tuple[Detector, ...] = (
    _row(
        "jwt", r"eyJ[\w-]{8,}\.[\w-]{4,}\.",
        r"eyJ[\w-]{8,8000}\.[\w-]{4,16000}\.[\w-]*", "jwt", is_.is_jwt,
    ),
    _row(
        "pem", r"-----BEGIN [A-Z ]{0,40}-----[^-]{16}",
        r"-----BEGIN [A-Z ]{0,40}-----(?P<secret>[^-]{16,16000})", "text",
    ),
    _row(
        "basic-auth", r"(?:^|\W)basic\s+[a-z0-9+/]{8}",
        r"(?i:\bbasic\s+)(?P<secret>[A-Za-z0-9+/]{8,4096}={0,2})", "basic",
    ),
    _row(
        "bearer", r"(?:^|\W)bearer\s+[\w.~+/-]{8}",
        r"(?i:\bbearer\s+)(?P<secret>[\w.~+/-]{8,8192}=*)", "value",
    ),
    _row(
        "url-credentials", r"://[^\s/?#@:\"'<>]{1,200}:[^\s/?#@\"'<>]{1,200}@",
        r"://(?P<secret>[^\s/?#@:\"'<>]{1,200}:[^\s/?#@\"'<>]{1,200})@", "text",
    ),
    _row(
        "email", rf"[{_LOCAL}]@[a-z0-9-][a-z0-9.-]*\.[a-z]{{2}}",
        rf"(?<![{_LOCAL}])[{_LOCAL}]++@(?:[{_A}-]{{1,63}}\.){{1,8}}[A-Za-z]{{2,24}}", "email",
    ),
    _row("aws-key", r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)[A-Z0-9]{16}",
         r"(?:AKIA|ASIA|AGPA|AIDA|AROA|ANPA)(?P<secret>[A-Z0-9]{16})", "key"),
    _row("gcp-key", r"AIza[\w-]{35}", r"AIza(?P<secret>[\w-]{35})", "key"),
    _row("gcp-token", r"ya29\.[\w-]{20,}", r"ya29\.(?P<secret>[\w-]{20,512})", "key"),
    _row("github-key", r"(?:gh[pousr]_[a-z0-9]{36}|github_pat_\w{22,})",
         r"(?:gh[pousr]_|github_pat_)(?P<secret>\w{22,255})", "key"),
    _row("gitlab-key", r"glpat-[\w-]{20}", r"glpat-(?P<secret>[\w-]{20,64})", "key"),
    _row("slack-key", r"(?:xox[abeprs]-|hooks\.slack\.com/services/)[\w/-]{10,}",
         r"(?:xox[abeprs]-|hooks\.slack\.com/services/)(?P<secret>[\w/-]{10,250})", "key"),
    _row("stripe-key", r"(?:[srp]k_(?:live|test)_|whsec_)[a-z0-9]{10,}",
         r"(?:[srp]k_(?:live|test)_|whsec_)(?P<secret>[A-Za-z0-9]{10,250})", "key"),
    _row("twilio-key", r"(?:AC|SK)[0-9a-f]{32}",
         rf"(?<![{_A}])(?:AC|SK)(?P<secret>[0-9a-f]{{32}})", "key"),
    _row("sendgrid-key", r"SG\.[\w-]{16,}\.[\w-]{16,}",
         r"SG\.(?P<secret>[\w-]{16,64}\.[\w-]{16,128})", "key"),
    _row("openai-key", r"sk-[\w-]{20,}", rf"(?<![{_A}])sk-(?P<secret>[\w-]{{20,250}})", "key"),
    _row("azure-key", r"(?:accountkey|sharedaccesskey|sig)=[\w+/%]{20,}",
         r"(?i:accountkey|sharedaccesskey|sig)=(?P<secret>[\w+/%]{20,250}={0,2})", "key"),
    _row("iban", r"(?:^|[^a-z0-9])[a-z]{2}\d\d(?:[ -]?[a-z0-9]{4}){2}",
         rf"(?<![{_A}])[A-Za-z]{{2}}\d\d(?:[ -]?[{_A}]{{4}}){{2,7}}(?:[ -]?[{_A}]{{1,4}})?",
         "iban", is_.is_iban),
    _row("cn-id", rf"{_NO_DIGIT}[1-9]\d{{5}}(?:19|20)\d{{9}}[\dx](?:[^a-z\d]|$)",
         r"(?<!\d)[1-9]\d{5}(?:19|20)\d{9}[\dXx](?![\dA-Za-z])", "digits", id_.is_cn_id),
    _row("card", rf"(?:^|[^\d.])[1-68](?:[ +-]?\d){{11,18}}{_DIGIT_ENDS}",
         r"(?<![\d.])[1-68](?:[ +-]?\d){11,18}(?!\d)", "card", is_.is_card),
    _row("fr-nir",
         rf"{_NO_DIGIT}[12] ?\d\d ?[01]\d ?\d\d ?\d{{3}} ?\d{{3}} ?\d\d{_DIGIT_ENDS}",
         r"(?<!\d)[12] ?\d\d ?[01]\d ?\d\d ?\d{3} ?\d{3} ?\d\d(?!\d)", "digits", id_.is_nir),
    _row("br-cpf", rf"{_NO_DIGIT}\d{{3}}\.\d{{3}}\.\d{{3}}-\d\d{_DIGIT_ENDS}",
         r"(?<!\d)\d{3}\.\d{3}\.\d{3}-\d\d(?!\d)", "digits", id_.is_cpf),
    _row("in-aadhaar", rf"{_NO_DASH}[2-9]\d{{3}}[ -]\d{{4}}[ -]\d{{4}}{_DASH_ENDS}",
         r"(?<![\d-])[2-9]\d{3}([ -])\d{4}\1\d{4}(?![\d-])", "digits", id_.is_aadhaar),
    _row("de-tax-id",
         r"(?:^|[^\d.+-])[1-9](?:\d{10}|\d \d{3} \d{3} \d{3})(?:[^\d.-]|[.-]\D|[.-]?$)",
         r"(?<![\d.+-])[1-9](?:\d{10}|\d \d{3} \d{3} \d{3})(?![.-]?\d)",
         "digits", id_.is_de_tax_id),
    _row("jp-number", rf"{_NO_DASH}\d{{4}}[ -]\d{{4}}[ -]\d{{4}}{_DASH_ENDS}",
         r"(?<![\d-])\d{4}([ -])\d{4}\1\d{4}(?![\d-])", "digits", id_.is_jp_number),
    _row("uk-nhs", rf"{_NO_DASH}\d{{3}}[ -]\d{{3}}[ -]\d{{4}}{_DASH_ENDS}",
         r"(?<![\d-])\d{3}([ -])\d{3}\1\d{4}(?![\d-])", "digits", id_.is_nhs_number),
    _row("ca-sin", rf"{_NO_DASH}\d{{3}}[ -]\d{{3}}[ -]\d{{3}}{_DASH_ENDS}",
         r"(?<![\d-])\d{3}([ -])\d{3}\1\d{3}(?![\d-])", "digits", id_.is_ca_sin),
    _row("it-cf", rf"{_WORD_BEGINS}[a-z]{{6}}\d\d[abcdehlmprst]\d\d[a-z]\d{{3}}[a-z](?:[^a-z\d]|$)",
         rf"(?<![{_A}])(?i:[A-Z]{{6}}\d\d[ABCDEHLMPRST]\d\d[A-Z]\d{{3}}[A-Z])(?![{_A}])",
         "text", id_.is_codice_fiscale),
    _row("us-ssn", rf"{_NO_DASH}\d{{3}}-\d\d-\d{{4}}{_DASH_ENDS}",
         r"(?<![\d-])\d{3}-\d\d-\d{4}(?![\d-])", "ssn", is_.is_ssn),
    _row("ipv4",
         r"(?:^/?|[^\d./]|[^a-z]/|/[\w-]{0,15}[a-z]/)(?:\d{1,3}\.){3}\d{1,3}(?:[^\d.]|\.\D|\.?$)",
         rf"(?<![\d.])(?:(?<![A-Za-z]/)|{_IN_PATH})(?:\d{{1,3}}\.){{3}}\d{{1,3}}(?!\.?\d)",
         "ipv4", is_.is_ipv4),
    _row("ipv6", r"(?:^|[^a-z\d:])(?:[\da-f]{0,4}:){2,7}[\da-f]{1,4}(?:[^a-z\d:]|$)",
         rf"(?<![{_A}:])(?:[0-9A-Fa-f]{{0,4}}:){{2,7}}[0-9A-Fa-f]{{1,4}}(?![{_A}:])",
         "ipv6", is_.is_ipv6),
    _row("mac", r"(?:^|[^a-z\d:-])[\da-f]{2}(?:[:-][\da-f]{2}){5}(?:[^a-z\d:-]|$)",
         rf"(?<![{_A}:-])[0-9A-Fa-f]{{2}}(?:([:-])[0-9A-Fa-f]{{2}})(?:\1[0-9A-Fa-f]{{2}}){{4}}"
         rf"(?![{_A}:-])", "hex"),
    _row("coordinates",
         rf"(?:^|[^\d.])-?\d{{1,3}}\.\d{{4,15}}, ?-?\d{{1,3}}\.\d{{4,15}}{_DIGIT_ENDS}",
         r"(?<![\d.])(?P<secret>-?\d{1,3}\.\d{4,15}, ?-?\d{1,3}\.\d{4,15})(?!\d)", "degrees"),
    _row("phone", _phone_trigger(),
         r"(?<![\w.+-])\+\d{8,15}(?!\d)|(?<![\w.+/=-])(?<!\d )(?:[2-9]\d\d[2-9]\d{6}(?![\w]|[.-]\d)"
         r"|\d{9,12}(?=\W{1,3}(?i:fax|mobile|office|phone|home|work|cell)\b)"
         r"|(?:\+\d{1,3}[ .-]?|00\d{1,3}[ .-])?(?:\(\d{1,5}\)[ .-]?)?"
         r"\d{1,7}(?:[ .-]\d{2,7}){0,5}(?:[xX#]\d{1,6})?(?![\w]|[.-]\d))", "phone", is_.is_phone),
    _row("token", rf"(?:^|[^{_A}_+-])[{_A}_+-]{{24,512}}(?:[^{_A}_+-]|$)",
         rf"(?<![{_A}_+-])(?<![{_A}+/]{{16}}/)[{_A}_+-]{{24,512}}(?![{_A}_+-])(?!/[{_A}+/]{{16}})",
         "text", is_.is_token),
)  # fmt: skip
"""In order of precedence: where two matches overlap, the earlier row has it."""

_64 = r"[A-Za-z0-9+/_-]"
_TEXT_QUAD = "|".join((
    rf"[CDI-Za-f][AC-HQS-Xgi-nwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589]{_64}",  # printable
    rf"{_64}[AQgw][A-D]{_64}",  # a zero between two bytes, as in UTF-16 and UTF-32
    rf"A[A-P]{_64}{{2}}|{_64}{{2}}[AEIMQUYcgkosw048]A",  # a zero before or after them
))  # fmt: skip
_BASE64_TRIGGERS = (rf"{_64}{{16}}", rf"(?-i)(?:{_TEXT_QUAD}){{2}}")
"""Both fire where base64 is to be undone: a run, and two quads (RFC 4648, section 4) in a row that
spell three bytes of text each: of what is text for the most part, there are some anywhere."""
EMPTY = "it matches empty text"
_START = itemgetter(0)


@functools.lru_cache(maxsize=16)
def compiled(triggers: tuple[str, ...]) -> Any:
    """A database of triggers, numbered in order; PolicyError where hyperscan takes one for none."""
    import hyperscan

    flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL
    texts = [trigger.encode() for trigger in triggers]
    size, database = len(texts), hyperscan.Database()
    try:
        database.compile(
            expressions=texts, ids=list(range(size)), elements=size, flags=[flags] * size
        )
    except hyperscan.error as failure:
        told = str(failure).rstrip(".")
        told = EMPTY if "ALLOWEMPTY" in told else f"hyperscan takes none: {told}"
        raise PolicyError(told) from None
    return database


class Scanner:
    """A set of detectors compiled for one pass over any bytes."""

    def __init__(self, detectors: Iterable[Detector] = TABLE) -> None:
        self.detectors = tuple(detectors)
        import hyperscan

        triggers = [detector.trigger for detector in self.detectors]
        self._database: Any = compiled((*triggers, *_BASE64_TRIGGERS))
        self._fired: list[int] = []
        fire = self._fired.append

        def note(number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
            fire(number)

        self._note = note
        # The database is shared with other scanners, what a scan writes into is not.
        self._scan = self._database.scan
        self._scratch: Any = hyperscan.Scratch(self._database)
        self._base64 = len(self.detectors)
        self._parts = [replace(detector, kind="text") for detector in self.detectors]
        self._rows = [
            (each.pattern.finditer, "secret" if "secret" in each.pattern.groupindex else 0, each)
            for each in self.detectors
        ]

    def find(
        self, data: bytes, taken: Sequence[tuple[int, int, bytes]] = ()
    ) -> tuple[Sequence[tuple[int, int, Detector]], bool]:
        """Spans of what was found, apart and in order, and whether base64 may stand somewhere.

        What stands within one of the spans that are taken (in order) is not looked at closer.
        """
        size = len(data)
        if size <= CHUNK:
            fired = self._fired
            fired.clear()
            self._scan(data, self._note, 0, None, self._scratch)
            if not fired:
                return (), False
        found: list[tuple[int, int, int]] = []
        base64 = False
        for start in range(0, size, CHUNK):
            low, high = max(0, start - REACH), min(size, start + CHUNK + REACH)
            base64 |= self._chunk(data, low, high, found, taken)
        return (self._apart(found) if found else ()), base64

    def _chunk(
        self,
        data: bytes,
        low: int,
        high: int,
        found: list[tuple[int, int, int]],
        taken: Sequence[tuple[int, int, bytes]],
    ) -> bool:
        fired = self._fired
        if len(data) > CHUNK:  # else it was scanned already
            fired.clear()
            self._scan(data[low:high], self._note, 0, None, self._scratch)
        base64 = 0
        for number in fired:
            if number >= self._base64:
                base64 += 1
            else:
                self._spans(data, number, low, high, found, taken)
        return base64 == len(_BASE64_TRIGGERS)

    def _spans(
        self,
        data: bytes,
        number: int,
        low: int,
        high: int,
        found: list[tuple[int, int, int]],
        taken: Sequence[tuple[int, int, bytes]],
    ) -> None:
        finditer, secret, detector = self._rows[number]
        valid = detector.valid
        judged: dict[bytes, list[tuple[int, int]]] = {}  # what repeats is judged once
        for match in finditer(data, low, high):
            start, end = match.span(secret)
            if taken:
                at = bisect_right(taken, start, key=_START) - 1
                if at >= 0 and end <= taken[at][1]:
                    continue
            if valid is None:
                found.append((start, end, number))
                continue
            text = data[start:end]
            spans = judged.get(text)
            if spans is None:
                spans = judged[text] = _within(text, detector)
            found.extend((start + a, start + b, number) for a, b in spans)

    def _apart(self, found: list[tuple[int, int, int]]) -> list[tuple[int, int, Detector]]:
        """What precedes in the table wins; the rest of an overlapped span stays a span."""
        if len(found) == 1:
            start, end, number = found[0]
            return [(start, end, self.detectors[number])]
        spans = set(found)
        return [
            # A part of a thing is no longer the thing: no address, no card.
            (a, b, (self.detectors if (a, b, number) in spans else self._parts)[number])
            for a, b, number in apart(spans)
            # What another row leaves of a random-looking string is its prefix, which tells its
            # kind ("ghp_"): nothing secret, and without it nobody knows the key for one.
            if b - a > _PREFIX or self.detectors[number].name != "token" or (a, b, number) in spans
        ]


def apart(found: Iterable[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Spans (start, end, rank) that overlap no more: at each byte the lowest rank has it."""
    spans = sorted(set(found))
    if all(before[1] <= after[0] for before, after in pairwise(spans)):
        return spans
    edges = sorted({edge for span in spans for edge in span[:2]})
    out: list[tuple[int, int, int]] = []
    held: list[tuple[int, int, int]] = []  # heap of (rank, start, -end) of the spans begun
    last: tuple[int, int, int] | None = None
    at = 0
    for low, high in pairwise(edges):
        while at < len(spans) and spans[at][0] == low:
            start, end, rank = spans[at]
            heapq.heappush(held, (rank, start, -end))
            at += 1
        while held and -held[0][2] <= low:
            heapq.heappop(held)
        if not held:
            last = None
        elif held[0] == last:
            out[-1] = (out[-1][0], high, last[0])
        else:
            last = held[0]
            out.append((low, high, last[0]))
    return out


_PREFIX = 12


def _within(text: bytes, detector: Detector) -> list[tuple[int, int]]:
    """The spans of a match that are the thing: all of it, or nothing; but of cards some digits."""
    if detector.valid is None or detector.valid(text):
        return [(0, len(text))]
    return is_.cards_in(text) if detector.kind == "card" else []
