"""What docs/replay.md shows can be used as it stands."""

from __future__ import annotations

import re
from pathlib import Path

from replay import abort
from replay.cli import replay as replay_command
from replay.hooks import Hook
from replay.progress import Progress

PAGE = (Path(__file__).parents[2] / "docs/replay.md").read_text()


def test_every_option_it_names_is_one() -> None:
    known = {name for param in replay_command.params for name in (*param.opts, "--html")}
    named = set(re.findall(r"--[a-z][a-z-]+", PAGE))
    assert named <= known, named - known


def test_every_condition_it_shows_is_one_and_every_measure_is_shown() -> None:
    shown = re.findall(r"--abort-if '([^']+)'", PAGE)
    assert len(shown) >= 2
    for text in shown:
        abort.parse(text)
    for measure in abort.MEASURES:
        assert f"`{measure}" in PAGE


def test_its_hook_is_one(tmp_path: Path) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)
    path = tmp_path / "my.py"
    path.write_text(code)
    hook = Hook(str(path))
    request = b"GET /a HTTP/1.1\r\nHost: x\r\nX-Internal: 1\r\n\r\n"
    assert hook(request, True) == request.replace(b"X-Internal: 1\r\n", b"")
    assert hook(request.replace(b"/a", b"/internal/a"), True) is None


def test_the_fields_of_progress_are_those_it_lists() -> None:
    (listed,) = re.findall(r'\{"progress": \{(.*?)\}\}', PAGE, re.S)
    assert set(re.findall(r'"(\w+)"', listed)) == set(Progress.__dataclass_fields__)
