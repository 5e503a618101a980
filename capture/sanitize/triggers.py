"""Which detectors may find something in a text: hyperscan's part of the work, in linear time.

A short text, of which a call costs more than its bytes, goes through one database of all triggers.
Of a long one each form that is costly to look for is sieved first: only what its sieves let pass is
looked at for the form itself. A sieve is a database of its own, which ends with its first hit; one
of everything would keep a dozen automata at work on every byte. Short texts that are at hand
together are sieved as one long text, and each is looked at for those forms only that it holds.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Any, Final

from ..errors import PolicyError
from .detect import TABLE, Detector

SHORT: Final = 1024
"""Bytes up to which one scan for everything is faster than one for each sieve."""
_TOGETHER: Final = 1 << 14
"""Bytes of texts that are sieved as one: the more, the more likely one of them holds a form."""
_FEW: Final = 3
"""Forms up to which a text is looked at for each faster than for everything."""
_LARGE: Final = 500
"""Characters of a trigger that multiplies the automata of a database: it is always sieved."""
_64: Final = r"[A-Za-z0-9+/_-]"
_TEXT_QUAD: Final = "|".join((
    rf"[CDI-Za-f][AC-HQS-Xgi-nwyz0-3][ABEFIJMNQRUVYZcdghklopstwx014589]{_64}",  # printable
    rf"{_64}[AQgw][A-D]{_64}",  # a zero between two bytes, as in UTF-16 and UTF-32
    rf"A[A-P]{_64}{{2}}|{_64}{{2}}[AEIMQUYcgkosw048]A",  # a zero before or after them
))  # fmt: skip
_BASE64_RUN: Final = rf"{_64}{{16}}"
_BASE64_TEXT: Final = rf"(?-i)(?:{_TEXT_QUAD}){{2}}"
"""Both fire where base64 is to be undone: a run, and two quads (RFC 4648, section 4) in a row that
spell three bytes of text each: of what is text for the most part, there are some anywhere."""
EMPTY: Final = "it matches empty text"
_OURS: Final = frozenset(detector.trigger for detector in TABLE)


@functools.lru_cache(maxsize=256)
def compiled(triggers: tuple[str, ...], numbers: tuple[int, ...]) -> Any:
    """A database of triggers that tells their numbers; PolicyError where hyperscan takes none."""
    import hyperscan

    flags = hyperscan.HS_FLAG_SINGLEMATCH | hyperscan.HS_FLAG_CASELESS | hyperscan.HS_FLAG_DOTALL
    texts = [trigger.encode() for trigger in triggers]
    size, database = len(texts), hyperscan.Database()
    try:
        database.compile(expressions=texts, ids=list(numbers), elements=size, flags=[flags] * size)
    except hyperscan.error as failure:
        told = str(failure).rstrip(".")
        told = EMPTY if "ALLOWEMPTY" in told else f"hyperscan takes none: {told}"
        raise PolicyError(told) from None
    return database


class Scan:
    """A database at work."""

    def __init__(self, numbered: Sequence[tuple[int, str]]) -> None:
        import hyperscan

        # The database is shared with others, what a scan writes into is not.
        database = compiled(tuple(t for _, t in numbered), tuple(number for number, _ in numbered))
        self._scan = database.scan
        self._scratch: Any = hyperscan.Scratch(database)
        self._fired: list[int] = []
        fire = self._fired.append

        def note(number: int, _start: int, _end: int, _flags: int, _context: object) -> None:
            fire(number)

        self._note = note

    def fired(self, text: bytes) -> list[int]:
        """The numbers of the triggers that fire, in a list that is valid until the next call."""
        fired = self._fired
        fired.clear()
        self._scan(text, self._note, 0, None, self._scratch)
        return fired


class Triggers:
    """The triggers of detectors, which are known by their places in a row."""

    def __init__(self, detectors: tuple[Detector, ...]) -> None:
        forms: dict[tuple[str, ...], list[tuple[int, str]]] = {}
        theirs: list[tuple[int, str]] = []
        for number, each in enumerate(detectors):
            # A trigger of a policy's may ask for `^`: nothing is set before the data for it.
            row = forms.setdefault(each.sieves, []) if each.trigger in _OURS else theirs
            row.append((number, each.trigger))
        size = self._size = len(detectors)
        # Behind the detectors' numbers come two that both fire where base64 is to be undone.
        forms[(_BASE64_RUN,)] = [(size, _BASE64_RUN), (size + 1, _BASE64_TEXT)]
        self._marks = size + 2
        """From here on numbers stand for forms that are to be looked for by themselves."""
        every: list[tuple[int, str]] = []
        for place, (sieves, row) in enumerate(forms.items()):
            if sum(len(trigger) for _, trigger in row) > _LARGE and sieves:
                every.append((self._marks + place, sieves[0]))
            else:
                every += row
        self._all = Scan(every)
        self._theirs = Scan(theirs) if theirs else None
        self._sieves = {sieve: Scan([(0, sieve)]) for sieves in forms for sieve in sieves}
        self._forms = [(sieves, Scan(row)) for sieves, row in forms.items()]
        self._ahead: dict[bytes, list[int]] = {}

    def ahead(self, texts: Sequence[bytes]) -> None:
        """Look at many texts at once, of which `fired` tells then; what it knew before goes."""
        self._ahead.clear()
        for some in _groups(texts):
            forms = self._held(b"\n".join((b"", *some, b"")))
            for data in some:
                self._ahead[data] = self._short(data, forms)

    def fired(self, data: bytes) -> list[int]:
        """The numbers of the detectors that may find something in the data."""
        if len(data) > SHORT:
            return self.within(data, 0, len(data))
        fired = self._ahead.get(data)
        if fired is None:
            fired = self._everything(b"\n" + data + b"\n")
        return fired + self._theirs.fired(data) if self._theirs else fired

    def _short(self, data: bytes, forms: list[Scan]) -> list[int]:
        """The numbers that fire in a text that may hold some forms, and no other."""
        if not forms:
            return []
        text = b"\n" + data + b"\n"
        if len(forms) > _FEW:
            return self._everything(text).copy()
        fired: list[int] = []
        for form in forms:
            fired += form.fired(text)
        return fired

    def _everything(self, text: bytes) -> list[int]:
        fired = self._all.fired(text)
        if fired and max(fired) >= self._marks:
            marks = [number - self._marks for number in fired if number >= self._marks]
            fired = [number for number in fired if number < self._marks]
            for mark in marks:
                fired += self._forms[mark][1].fired(text)
        return fired

    def within(self, data: bytes, low: int, high: int) -> list[int]:
        """The numbers of the detectors that may find something in a part of long data."""
        begin, end = b"" if low else b"\n", b"\n" if high == len(data) else b""
        fired = self._long(begin + data[max(0, low - 1) : high + 1] + end)
        return fired + self._theirs.fired(data[low:high]) if self._theirs else fired

    def _held(self, text: bytes) -> list[Scan]:
        """The forms of which a text holds something."""
        return [form for form, fired in self._by_form(text) if fired != [self._size]]

    def _long(self, text: bytes) -> list[int]:
        fired: list[int] = []
        for _, found in self._by_form(text):
            fired += found
        return fired

    def _by_form(self, text: bytes) -> Iterator[tuple[Scan, list[int]]]:
        """The forms that a long text holds, each with the numbers that fire."""
        passed: dict[str, bool] = {}
        for sieves, form in self._forms:
            for sieve in sieves:
                if sieve not in passed:
                    passed[sieve] = bool(self._sieves[sieve].fired(text))
                if not passed[sieve]:
                    break
            else:
                fired = form.fired(text)
                if fired:
                    yield form, fired


def _groups(texts: Sequence[bytes]) -> Iterator[list[bytes]]:
    """The short ones of the texts, some together, where they are as much as a long one."""
    some: list[bytes] = []
    size = 0
    for text in texts:
        if len(text) > SHORT:
            continue
        some.append(text)
        size += len(text) + 1
        if size > _TOGETHER:
            yield some
            some, size = [], 0
    if size > SHORT:
        yield some
