"""How far our tiers agree with those of http-desync-guardian, which has four as well.

Theirs weigh how a proxy should treat a request, ours whether two servers can disagree on where it
ends: what can smuggle is `severe` here though they route some of it, as `Ambiguous`, on a
connection that is closed afterwards.
"""

from __future__ import annotations

from collections import Counter

import pytest

from capture.defects import FATAL, HARMLESS, SEVERE, Defect, verdict
from tests.capture.malformed_corpora import MALFORMED, needs_corpus, ours, samples
from tests.capture.test_malformed_corpora import figure

GUARDIAN = "http-desync-guardian"
SMUGGLES = Defect.LENGTH_AND_CODING | Defect.CODING_OLD | Defect.LOOKALIKE | Defect.CODING_INVALID
MILDER = {
    "severe: Bad Content-Length: 1000,1000": "RFC 9110 8.6: a recipient may take a list of equal "
    "values for one; who accepts it knows one length",
    "uri-specific-test-cases: [space] in URI resulted in a bad version": "the head ends in one "
    "place however the line is read",
    "uri-specific-test-cases: Request Smuggling in URI": "a CRLF within a target, as parts can "
    "hold it, is on the wire two requests, each with a tab",
}
"""`Severe` there, and less here."""


def test_the_tiers_of_classes_do_not_overlap() -> None:
    assert not SEVERE & (FATAL | HARMLESS)
    assert not FATAL & HARMLESS


@needs_corpus
def test_what_is_severe_there_is_severe_or_fatal_here() -> None:
    severe = [sample for sample in samples(GUARDIAN) if sample.tier == "Severe"]
    milder = {s.name for s in severe if verdict(ours(s)) not in ("severe", "fatal")}
    assert milder == set(MILDER)


@needs_corpus
def test_what_is_ambiguous_there_is_never_valid_here_and_severe_only_where_it_can_smuggle() -> None:
    for sample in samples(GUARDIAN):
        if sample.tier == "Ambiguous":
            tier = verdict(ours(sample))
            assert tier != "valid", sample.name
            named = tier == "ambiguous" or ours(sample) & (SMUGGLES | Defect.BAD_REQUEST_LINE)
            assert named, sample.name


@needs_corpus
def test_what_is_acceptable_there_is_never_severe_here() -> None:
    for sample in samples(GUARDIAN):
        if sample.tier == "Acceptable":
            assert verdict(ours(sample)) in ("valid", "ambiguous"), sample.name


@needs_corpus
@pytest.mark.parametrize("tier", ["Compliant", "Acceptable", "Ambiguous", "Severe"])
def test_the_counts_of_the_documentation_are_so(tier: str) -> None:
    found = Counter(verdict(ours(sample)) for sample in samples(GUARDIAN) if sample.tier == tier)
    total = sum(found.values())
    assert figure(f"`{tier}`") == [
        (found[each], total) for each in ("valid", "ambiguous", "severe", "fatal")
    ]


@needs_corpus
def test_no_other_tier_is_in_the_corpus() -> None:
    assert MALFORMED.is_dir()
    assert {s.tier for s in samples(GUARDIAN)} == {"Compliant", "Acceptable", "Ambiguous", "Severe"}
