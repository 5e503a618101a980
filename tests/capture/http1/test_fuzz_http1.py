"""A short run of the fuzzer of HTTP/1 framing; the long one is `make fuzz`."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is absent")
def test_a_short_run_of_the_fuzzer_sees_where_the_code_goes_and_finds_nothing(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-m", "tests.fuzz.from_source", "http1", "-runs=2000",
               "-max_len=512", "-len_control=0", "-timeout=60",
               f"-artifact_prefix={tmp_path}/"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    kept = re.findall(r"corp: (\d+)/", done.stderr)
    assert kept, done.stderr[-3000:]
    assert int(kept[-1]) > 10, done.stderr[-3000:]  # inputs that led somewhere new
