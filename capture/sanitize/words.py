"""What is made of words and what of chance: by the pairs of letters that words are made of.

A pair of letters in a text of words is one of the commonest 240 pairs of 676 in nineteen of twenty
cases, one drawn by chance in seven of twenty.
"""

from __future__ import annotations

import re

_RUN = re.compile(rb"[A-Z]?[a-z]{2,}|[A-Z]{3,}")
_FIRST_AND_SECOND = """
a:bcdgiklmnprstuvy b:aeiloruy c:aehiklortu d:adeilorsu e:acdefgilmnpqrstvwxy f:aefiloru
g:aehilmrsu h:aeiot i:abcdefglmnoprstvxz k:e l:adefilostuy m:abeilmopsu n:acdefginostu
o:abcdgiklmnoprstuvw p:aeiloprstuy q:u r:acdegiklmnorstuy s:acehiopstuy t:acefhiloprstuy
u:abcdefilmnprst v:aei w:aehior x:ept y:glpstw z:e
"""
_PAIRS = frozenset(
    (first + second).encode()
    for row in _FIRST_AND_SECOND.split()
    for first, _, seconds in (row.partition(":"),)
    for second in seconds
)
"""The commonest pairs in English prose and documentation."""


def in_words(text: bytes, least: float) -> int:
    """How many characters of a text stand in words.

    A word is a run of letters (`Order`, `order`, `ORDER`) of whose neighbouring pairs at least this
    share is common. Of random letters and digits a third and more in one text are so rare that the
    share tells the two apart (tests/capture/sanitize/test_words.py).
    """
    found = 0
    for run in _RUN.findall(text):
        letters = run.lower()
        pairs = len(letters) - 1
        common = sum(letters[at : at + 2] in _PAIRS for at in range(pairs))
        if common >= least * pairs:
            found += len(run)
    return found
