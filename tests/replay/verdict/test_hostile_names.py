"""Names that anybody may have sent are shown as they are, and do nothing where they are shown."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from capture.describe import printable
from capture.tape import Tape, TapeHeader, TapeWriter
from replay.verdict.gate import Checked
from replay.verdict.gate_files import annotation
from replay.verdict.markdown import code, prose
from replay.verdict.report_cli import report
from tests.replay.recorder import write_tape
from tests.replay.runs import ENDPOINTS, run_columns

NAMES = (
    "GET /<img src=x onerror=alert(1)>",
    "GET /</script><script>document.title='taken'</script>",
    "GET /a|b%0A\n::error::x\"'`[x](http://e)\x1b[31m\x07\u2028\x00&lt; <!-- *b* ~~s~~",
)
ESCAPED = re.compile(r"\\([\\|*_`\[\]#~!])")


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    columns = run_columns(slow=100)
    columns["endpoint"] = [NAMES[ENDPOINTS.index(name)] for name in columns["endpoint"]]
    columns["target"] = ["/<script>alert(2)</script>"] * len(columns["endpoint"])
    path = tmp_path / "run\udcff.tape"
    writer = TapeWriter(path, TapeHeader(kind="run"))
    writer.append_rows(columns)
    writer.close()
    return path


def test_a_report_of_hostile_names_is_well_formed_and_runs_no_command(
    hostile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    files = {name: tmp_path / name for name in ("html", "markdown", "junit", "summary")}
    asked = [word for name, path in files.items() for word in (f"--{name}", str(path))]
    gates = ["--fail-if", "p99(*) > 1ms", "--fail-if", "p99(/</script>*) > 1us"]
    done = CliRunner().invoke(report, [str(hostile), "--json", *asked, *gates])
    assert done.exit_code == 3, done.exception
    json.loads(done.stdout)
    # A line of a log that begins with :: is a command of GitHub's.
    commands = [line for line in done.stderr.splitlines() if line.startswith("::")]
    assert len(commands) == 2
    assert all(line.startswith("::error title=wiretape gate") for line in commands)
    assert all(line.isprintable() for line in done.stderr.split("\n"))
    suite = ElementTree.fromstring(files["junit"].read_bytes())
    assert [case.get("name") for case in suite] == gates[1::2]
    page = files["html"].read_text(encoding="utf-8")
    assert not re.search(r"<img|<script>(alert|document)", page)
    for name in ("markdown", "summary"):
        told = files[name].read_text(encoding="utf-8")
        assert not re.search(r"(?m)^::|[\x00-\x09\x0b-\x1f]", told)
        assert not re.search(r"<(?!!)", re.sub(r"`[^\n]*?`", "", told))
        assert "| failed |" in told


@given(st.text())
def test_a_text_as_prose_is_read_back_as_its_words_and_has_no_special_left(text: str) -> None:
    told = prose(text)
    assert html.unescape(ESCAPED.sub(r"\1", told)) == printable(" ".join(text.split()))
    assert not re.search(r"[|*_`\[\]#~!<]", ESCAPED.sub("", told))
    assert told.isprintable()


@given(st.text(alphabet="`|\\ a\n\x1b<"))
def test_code_ends_where_its_text_ends(text: str) -> None:
    told = code(text)
    fence = re.match("`+", told)
    assert fence is not None
    within = told[fence.end() : -fence.end()]
    assert within.strip() == printable(" ".join(text.split()))
    assert fence[0] not in re.findall("`+", within)


def test_a_name_ends_no_annotation_and_adds_no_property_to_it() -> None:
    done = Checked("errors > 0", True, "100%\r\n::warning::x")
    told = annotation("a,file=/etc/x::b%\n.tape", done)
    assert told == (
        "::error title=wiretape gate of a%2Cfile=/etc/x%3A%3Ab%25\\n.tape::100%25\\r\\n::warning::x"
    )


def test_an_endpoint_moves_no_cursor_however_its_request_was_written(tmp_path: Path) -> None:
    raw = b"GET /a\x1b[31mred\x07/\xff\xc2\x85 HTTP/1.1\r\nHost: x\r\n\r\n"
    with Tape.open(write_tape(tmp_path / "x.tape", [(1, 0, raw)])) as tape:
        (block,) = tape.columns(("endpoint",))
        assert block["endpoint"].strings() == [r"GET /a\x1b[31mred\x07/\xff\x85"]
