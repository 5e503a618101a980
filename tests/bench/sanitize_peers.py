"""A peer of the detectors: presidio-analyzer's pattern recognizers, on the same labelled texts.

It is installed into an environment of its own under build/, once; where that cannot be done the
bench says so and goes on. Only finding is asked of it, and no language model: names of persons and
the like are not what detectors by form are for.
"""

from __future__ import annotations

import json
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

BUILD = Path(__file__).parents[2] / "build" / "peers"
PATIENCE_S = 300
KINDS = ("CREDIT_CARD", "EMAIL_ADDRESS", "IBAN_CODE", "IP_ADDRESS", "PHONE_NUMBER", "US_SSN")

_CHILD = """
import json, sys, time
from presidio_analyzer import predefined_recognizers as known
names = ("CreditCard", "Email", "Iban", "Ip", "Phone", "UsSsn")
recognizers = [getattr(known, name + "Recognizer")() for name in names]
rows = json.load(sys.stdin)
found = {}
began = time.perf_counter()
for row in rows:
    row["found"] = [
        (each.entity_type, each.start, each.end)
        for recognizer in recognizers
        for each in recognizer.analyze(row["full_text"], recognizer.supported_entities, None)
    ]
took = time.perf_counter() - began
tally = {}
for row in rows:
    for span in row["spans"]:
        kind = span["entity_type"]
        if kind in sys.argv[1:]:
            hit = any(
                start < span["end_position"] and span["start_position"] < end
                for _, start, end in row["found"]
            )
            total, hits = tally.get(kind, (0, 0))
            tally[kind] = (total + 1, hits + hit)
print(json.dumps({"took": took, "tally": tally}))
"""


def presidio(texts: Path) -> dict[str, Any] | str:
    """Seconds for all texts and (labelled, found) by kind; or why there is nothing to tell."""
    python = BUILD / "bin" / "python"
    try:
        if not python.exists():
            venv.create(BUILD, with_pip=True)
        if _run(python, "-c", "import presidio_analyzer").returncode:
            done = _run(python, "-m", "pip", "install", "-q", "presidio-analyzer")
            if done.returncode:
                return "presidio-analyzer cannot be installed here"
        done = _run(python, "-c", _CHILD, *KINDS, text=texts.read_text("utf-8"))
    except (OSError, subprocess.SubprocessError) as failure:
        return f"presidio-analyzer cannot be run here ({type(failure).__name__})"
    if done.returncode:
        return f"presidio-analyzer failed: {done.stderr.strip().splitlines()[-1:]}"
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _run(python: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(python), *arguments],
        input=text, capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip


if __name__ == "__main__":
    print(presidio(Path(sys.argv[1])))
