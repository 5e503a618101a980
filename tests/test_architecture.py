"""Imports run one way; only the sanitizer makes what a tape accepts; files keep their size."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "capture": {"capture"},
    "shapes": {"shapes", "capture"},
    "replay": {"replay", "shapes", "capture"},
    "samples": {"samples", "capture", "shapes", "replay", "wiretape"},
    "wiretape": {"capture", "shapes", "replay"},
}
SHAPES_MAY_SEE = {
    "tape",
    "exchange",
    "columns",
    "errors",
    "ledger",
    "defects",
    "options",
    "selector",
    "written",
}
STEPS_OF_A_REPLAY = ("planning", "handover", "sending", "workers")  # each knows those before it
MODULE = {"hdrhistogram": "hdrh"}  # whose module has another name than its package
CODE = [
    ROOT / "wiretape.py",
    *(p for d in ("capture", "shapes", "replay", "samples") for p in (ROOT / d).rglob("*.py")),
]


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> Iterator[str]:
    """The absolute names of every module that a file imports, lazily or not."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            yield stem
            yield from (f"{stem}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", CODE, ids=lambda path: module_name(path))
def test_imports_run_one_way(path: Path) -> None:
    top = module_name(path).split(".")[0]
    for name in imports(path):
        other, _, rest = name.partition(".")
        if other in MAY_IMPORT:
            assert other in MAY_IMPORT[top], f"{path.relative_to(ROOT)} imports {name}"
        if top == "shapes" and other == "capture" and rest:
            assert rest.split(".")[0] in SHAPES_MAY_SEE, f"{path.name} imports {name}"


@pytest.mark.parametrize("step", STEPS_OF_A_REPLAY)
def test_a_step_of_a_replay_knows_only_those_before_it(step: str) -> None:
    later = STEPS_OF_A_REPLAY[STEPS_OF_A_REPLAY.index(step) + 1 :]
    for path in (ROOT / "replay" / step).rglob("*.py"):
        for name in imports(path):
            top, _, rest = name.partition(".")
            assert top != "replay" or rest.split(".")[0] not in later, f"{path.name} imports {name}"


def test_no_import_cycles_within_the_project() -> None:
    names = {module_name(path): path for path in CODE}
    graph = {
        name: {other for other in imports(path) if other in names and other != name}
        for name, path in names.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join([*trail, name])
        if name not in done:
            for other in sorted(graph[name]):
                if not name.startswith(other + "."):  # a module's own package is always loaded
                    visit(other, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_only_the_sanitizer_constructs_what_a_tape_accepts() -> None:
    for path in CODE:
        if (ROOT / "capture" / "sanitize") in path.parents:
            continue
        tree = ast.parse(path.read_text())
        typing = [
            node
            for branch in ast.walk(tree)
            if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
            for node in ast.walk(branch)
        ]
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                called = getattr(node.func, "id", getattr(node.func, "attr", ""))
                assert called != "Sanitized", f"{path.relative_to(ROOT)}:{node.lineno}"
            elif isinstance(node, ast.ImportFrom) and node not in typing:
                names = {alias.name for alias in node.names}
                assert "Sanitized" not in names, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_every_dependency_is_used_and_its_reason_is_told() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    reasons = (ROOT / "docs" / "dependencies.md").read_text()
    imported = {name.split(".")[0] for path in CODE for name in imports(path)}
    for requirement in project["dependencies"]:
        name = re.split(r"[><=\[; ]", requirement)[0]
        assert name in reasons, f"docs/dependencies.md does not say what {name} is for"
        assert MODULE.get(name, name.replace("-", "_")) in imported, f"{name} is never imported"


@pytest.mark.parametrize("path", CODE, ids=lambda path: module_name(path))
def test_every_module_says_what_it_is_for_and_stays_short(path: Path) -> None:
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), f"{path.relative_to(ROOT)} has no docstring"
    assert text.count("\n") <= 350, f"{path.relative_to(ROOT)} has grown too long"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys, wiretape\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(wiretape.cli, ['--help']).exit_code == 0\n"
        "print(*sorted({m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "scapy", "aiohttp", "scipy", "plotly", "hyperscan", "uvloop", "jinja2"}
    heavy |= {"rich", "detect_secrets", "cryptography", "zstandard", "prometheus_client", "asyncio"}
    assert not heavy & set(done.stdout.split())


def test_every_command_and_public_name_exists() -> None:
    import wiretape

    for target, _ in wiretape.COMMANDS.values():
        module, _, name = target.partition(":")
        assert hasattr(importlib.import_module(module), name), target
    for name in wiretape.PUBLIC:
        assert getattr(wiretape, name) is not None
