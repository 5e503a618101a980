"""What was found is told once, and again when it is withdrawn."""

from __future__ import annotations

import json

from replay.soak.findings import MOST, Findings, Found


def test_a_finding_is_news_once_and_again_when_it_is_withdrawn() -> None:
    news: list[tuple[str, str]] = []
    findings = Findings(lambda f: news.append((f.subject, f.state)))
    for at in (1.0, 2.0, 3.0):
        findings.see("leak", "rss", f"grows at {at}", at)
    findings.see("leak", "fds", "grows", 3.0)
    findings.withdraw("leak", "fds", "does not", 4.0)
    findings.withdraw("leak", "never told", "does not", 4.0)
    assert news == [("rss", "standing"), ("fds", "standing"), ("fds", "withdrawn")]
    assert [(f.subject, f.times, f.first_s, f.last_s) for f in findings.standing] == [
        ("rss", 3, 1.0, 3.0)
    ]
    again = Findings(lambda f: news.append((f.subject, "again")))
    again.restore(json.loads(json.dumps(findings.as_list())))
    again.see("leak", "rss", "grows", 9.0)
    assert len(news) == 3, "what was told before a restart is no news after it"


def test_findings_without_end_are_counted_and_not_kept() -> None:
    findings = Findings(lambda _: None)
    for number in range(MOST + 7):
        findings.see("slow", f"GET /{number}", "is slow", 1.0)
    assert (len(findings.as_list()), findings.untold) == (MOST, 7)


def test_a_full_pool_is_told_once_whoever_waits_for_it():
    told: list[Found] = []
    findings = Findings(told.append)
    for at, who in enumerate(("GET /a, GET /b", "GET /b, GET /c", "GET /a")):
        findings.see("pool", who, f"a pool of about {at}", float(at))
    findings.see("slow", "GET /a", "GET /a went", 3.0)
    assert [(found.kind, found.times) for found in findings] == [("pool", 3), ("slow", 1)]
    assert len(told) == 2
