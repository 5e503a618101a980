"""What the sample shop hides is found by replaying its sample capture: from pcap to verdict."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.bench_faults import sample_tape, verdict_of


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_tape(tmp_path_factory.mktemp("faults"))


def test_a_payment_that_staging_takes_twice_is_named_on_the_first_screen(tape: Path) -> None:
    verdict = verdict_of(tape, ("--rows", "2000", "--race"), 4.0)
    assert "POST /payment charged twice" in verdict.sentence
    assert "POST /payment" in {row.endpoint for row in verdict.worst}


def test_a_shop_without_the_race_charges_nobody_twice(tape: Path) -> None:
    verdict = verdict_of(tape, ("--rows", "2000"), 4.0)
    assert "duplicate" not in {finding.kind for finding in verdict.findings}
