"""Arrival times of a file, married to the requests of a tape."""

import os
from pathlib import Path

import numpy as np
import pytest

from capture.errors import WiretapeError
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.planning.arrivals import stamps_of
from replay.planning.plan import plan_chunks
from tests.replay.recorder import get, write_tape


def planned(path: Path, **options: object) -> dict[str, np.ndarray]:
    with Tape.open(path) as tape:
        chunks = list(plan_chunks(tape, ReplayOptions(**options)))
    names = ("due_ns", "source", "clone", "lane")
    return {name: np.concatenate([chunk[name] for chunk in chunks]) for name in names}


@pytest.mark.parametrize(
    "text", ["name,when\na,2023-11-16 18:17:03.5000000\nb,2023-11-16 18:17:05.0000000\n",
             "0\n1.5\n", "t\n1.5\n0\n", "2026-01-01T00:00:00Z\n2026-01-01T00:00:01.5Z\n",
             "2026-01-01T02:00:00+02:00\n2025-12-31T19:00:01.5-0500\n",
             "\ufeff0\r\n1.5\r\n\r\n"]
)  # fmt: skip
def test_times_are_read_however_they_are_written(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    assert stamps_of(str(tmp_path / "x.csv")).tolist() == [0, 1_500_000_000]
    assert stamps_of(str(tmp_path / "x.csv"), 2.0).tolist() == [0, 750_000_000]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a,b\nc,d\n",
        "1\nnan\n",
        "0\nlater\n",
        "2024-02-30T00:00:00Z\n2024-03-01T00:00:00Z\n",
        "1700000000123\n1700000000456\n",
    ],
)
def test_what_holds_no_times_gives_one_sentence(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(text)
    with pytest.raises(WiretapeError, match="time"):
        stamps_of(str(tmp_path / "x.csv"))


def test_what_is_no_csv_gives_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("x" * 200_000)
    with pytest.raises(WiretapeError, match="is no CSV"):
        stamps_of(str(tmp_path / "x.csv"))


def test_requests_go_out_at_the_times_of_the_file_and_the_tape_begins_again(
    tmp_path: Path,
) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/a")), (2, 5, get("/b")),
                                            (1, 9, get("/c"))])  # fmt: skip
    (tmp_path / "x.csv").write_text("".join(f"{n * n}\n" for n in range(8)))
    found = planned(tape, arrivals=str(tmp_path / "x.csv"))
    assert found["due_ns"].tolist() == [n * n * 10**9 for n in range(8)]
    assert found["source"].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]
    assert found["clone"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    assert np.unique(found["lane"]).size == 6
    assert planned(tape, arrivals=str(tmp_path / "x.csv"), scale=2.0)["due_ns"].size == 16


def test_a_real_trace_keeps_its_dispersion(tmp_path: Path) -> None:
    from shapes.counts import Counts

    corpus = Path(os.environ.get("WIRETAPE_CORPUS", "../shared/corpus"))
    trace = corpus / "logs" / "AzureLLMInferenceTrace_code.csv"
    if not trace.exists():
        pytest.skip("no corpus: set WIRETAPE_CORPUS")
    tape = write_tape(tmp_path / "x.tape", [(n, n, get("/")) for n in range(100)])
    counts = Counts()
    counts.add(planned(tape, arrivals=str(trace))["due_ns"])
    assert counts.moments(10**9).idc == pytest.approx(13.2, rel=0.02)
