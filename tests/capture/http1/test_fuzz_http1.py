"""A short run of the fuzzer of HTTP/1 framing; the long one is `make fuzz`."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

TARGET = Path(__file__).parents[2] / "fuzz" / "fuzz_http1.py"


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is absent")
def test_a_short_run_of_the_fuzzer_finds_nothing(tmp_path: Path) -> None:
    command = [sys.executable, str(TARGET), "-runs=2000", "-max_len=512", "-len_control=0",
               "-timeout=60"]  # fmt: skip
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
