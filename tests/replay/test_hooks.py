"""A user's own functions over requests: what they change, what becomes of what they do wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from capture.errors import ReplayError
from replay.cli import replay as command
from replay.hooks import Hook, _apart
from replay.options import ReplayOptions
from replay.run import replay
from tests.replay.recorder import get, recorder, write_tape

ROOT = Path(__file__).resolve().parents[2]
ODD = (
    b"POST /x HTTP/1.1\r\nHost:a\r\nX-Fold: one\r\n\t two\r\nx-twice:  1\r\nX-Twice: 1 \r\n"
    b"Content-Length: 2\r\n\r\nhi"
)


def hook(folder: Path, text: str) -> Hook:
    path = folder / "my.hook"  # whatever its name ends with
    path.write_text(text)
    return Hook(str(path))


def test_headers_that_come_back_as_they_were_keep_every_byte(tmp_path: Path) -> None:
    same = hook(tmp_path, "def rewrite_headers(headers):\n    return headers\n")
    assert same(ODD, True) == ODD


def test_headers_are_pairs_in_order_with_their_case(tmp_path: Path) -> None:
    seen = hook(
        tmp_path,
        "def rewrite_headers(headers):\n"
        "    assert headers[0] == (b'Host', b'a')\n"
        "    assert headers[1] == (b'X-Fold', b'one\\r\\n\\t two')\n"
        "    assert [n for n, _ in headers] == "
        "[b'Host', b'X-Fold', b'x-twice', b'X-Twice', b'Content-Length']\n"
        "    return [(b'X-New', b'1'), *headers[1:]]\n",
    )
    wanted = ODD.replace(b"Host:a\r\n", b"X-New: 1\r\n")
    assert seen(ODD, True) == wanted


def test_a_request_without_a_head_has_no_headers_to_change(tmp_path: Path) -> None:
    never = hook(tmp_path, "def rewrite_headers(headers):\n    raise AssertionError\n")
    assert never(b"\x00\xff", False) == b"\x00\xff"


def test_with_both_functions_headers_come_first(tmp_path: Path) -> None:
    both = hook(
        tmp_path,
        "def rewrite_headers(headers):\n    return [*headers, (b'X-Mark', b'1')]\n"
        "def rewrite(request):\n    return request.replace(b'X-Mark: 1', b'X-Mark: 2')\n",
    )
    assert b"X-Mark: 2\r\n\r\nhi" in (both(ODD, True) or b"")


@pytest.mark.parametrize("name", ["rewrite", "rewrite_headers"])
def test_none_leaves_a_request_out(tmp_path: Path, name: str) -> None:
    assert hook(tmp_path, f"def {name}(_):\n    return None\n")(ODD, True) is None


@pytest.mark.parametrize(
    "text",
    [
        "def rewrite(request):\n    return 'text'\n",
        "def rewrite(request):\n    return 1 / 0\n",
        "def rewrite(request):\n    return b''\n",
        "def rewrite(request):\n    raise SystemExit(7)\n",
        "def rewrite(request):\n    raise KeyboardInterrupt\n",
        "class Own(BaseException): pass\ndef rewrite(request):\n    raise Own\n",
        "raise SystemExit(7)\n",
        "def rewrite_headers(headers):\n    return [(b'X', b'1\\r\\nEvil: 2')]\n",
        "def rewrite_headers(headers):\n    return ['X: 1']\n",
        "def rewrite_headers(headers):\n    return [(b'', b'1')]\n",
        "rewrite = 1\n",
        "this is no Python\n",
    ],
)
def test_what_a_hook_does_wrong_is_one_sentence(tmp_path: Path, text: str) -> None:
    with pytest.raises(ReplayError, match="--hook") as told:
        hook(tmp_path, text)(ODD, True)
    assert "\n" not in str(told.value)


def test_a_hook_that_cannot_be_loaded_is_told_before_a_run_is_written(tmp_path: Path) -> None:
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    bad = tmp_path / "bad.py"
    bad.write_text("import no_such_module_anywhere\n")
    run = tmp_path / "run.tape"
    with recorder() as target:
        args = [str(tape), "--target", target.url, "-o", str(run), "--hook", str(bad)]
        said = CliRunner().invoke(command, args)
    assert said.exit_code == 1
    assert "cannot be loaded" in str(said.exception)
    assert not run.exists()
    assert not target.received


def test_what_a_hook_prints_is_no_part_of_the_result(tmp_path: Path) -> None:
    (tmp_path / "my.py").write_text(
        "def rewrite(request):\n    print('mine')\n    return request\n"
    )
    tape = write_tape(tmp_path / "x.tape", [(1, 0, get("/"))])
    with recorder() as target:
        command = [sys.executable, "-m", "wiretape", "replay", str(tape), "--target", target.url]
        more = ["-o", str(tmp_path / "r"), "--hook", str(tmp_path / "my.py"), "--json"]
        done = subprocess.run(
            [*command, *more, "--no-calibrate"], cwd=ROOT, capture_output=True, text=True,
            timeout=60, check=True,
        )  # fmt: skip
    assert json.loads(done.stdout)["summary"]["answered"] == 1
    assert "mine" in done.stderr


@given(st.binary(max_size=200))
def test_whatever_the_bytes_nothing_is_lost_between_line_headers_and_rest(data: bytes) -> None:
    first, lines, rest = _apart(data)
    assert b"".join([first, *lines, rest]) == data


def test_what_a_hook_drops_is_not_planned(tmp_path: Path) -> None:
    text = "def rewrite(request):\n    return None if b'/odd' in request else request\n"
    (tmp_path / "my.py").write_text(text)
    requests = [(n % 2, float(n), get("/odd" if n % 2 else "/even")) for n in range(40)]
    tape = write_tape(tmp_path / "x.tape", requests)
    with recorder() as one, recorder() as other:
        chosen = ReplayOptions(
            target=(one.url, f"b={other.url}"), hook=str(tmp_path / "my.py"), no_calibrate=True
        )
        summary = replay(tape, chosen, tmp_path / "run.tape")
        assert sum(map(len, one.received)) == sum(map(len, other.received)) == 20
    assert summary.planned == 40
    assert summary.outcomes == {"ANSWERED": 40}
    assert summary.rewritten["dropped by hook"] == 40
