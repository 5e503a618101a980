"""Runs the shell steps of a composite action and of a GitLab job, as their runners would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CI = Path(__file__).parents[3] / "samples" / "ci"
BASH = ("bash", "--noprofile", "--norc", "-eo", "pipefail")
PLAIN = ("sh", "-e")
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")


@dataclass
class Ran:
    """What a job came to."""

    code: int = 0
    said: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    steps: list[str] = field(default_factory=list)


def load(name: str) -> dict[Any, Any]:
    told: dict[Any, Any] = yaml.safe_load((CI / name).read_text(encoding="utf-8"))
    return told


def _environment(folder: Path, more: dict[str, str]) -> dict[str, str]:
    told = {key: value for key, value in os.environ.items() if not key.startswith("GITHUB_")}
    told["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{told['PATH']}"
    told["PYTHONPATH"] = str(CI.parents[1])
    return told | {"HOME": str(folder)} | more


def _shell(
    script: str, folder: Path, environment: dict[str, str], ran: Ran, shell: tuple[str, ...] = BASH
) -> int:
    done = subprocess.run(
        [*shell, "-c", script],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    ran.said += done.stdout + done.stderr
    return done.returncode


def composite(folder: Path, /, **given: str) -> Ran:
    """The composite action, with these inputs (`fail_if` for fail-if)."""
    action = load("github/action.yml")
    inputs = {name: str(told.get("default", "")) for name, told in action["inputs"].items()}
    inputs |= {name.replace("_", "-"): value for name, value in given.items()}
    ran, outputs = Ran(), {}
    summary = folder / "summary.md"
    summary.touch()
    for step in action["runs"]["steps"]:
        assert step["shell"] == "bash"  # which a composite action has to say
        assert "${{" not in step["run"]  # text of others must not become code
        if not _wanted(step.get("if", ""), inputs, ran.code):
            continue
        ran.steps.append(step["name"])
        file = folder / "output.txt"
        file.write_text("")
        environment = {name: _filled(value, inputs, outputs) for name, value in step["env"].items()}
        environment |= {
            "GITHUB_ACTIONS": "true",
            "GITHUB_OUTPUT": str(file),
            "GITHUB_STEP_SUMMARY": str(summary),
        }
        code = _shell(step["run"], folder, _environment(folder, environment), ran)
        ran.code = ran.code or code
        pairs = dict(line.split("=", 1) for line in file.read_text().splitlines())
        outputs |= {f"steps.{step.get('id')}.outputs.{name}": text for name, text in pairs.items()}
    ran.outputs = {
        name: _filled(told["value"], inputs, outputs) for name, told in action["outputs"].items()
    }
    ran.summary = summary.read_text()
    return ran


def _wanted(condition: str, inputs: dict[str, str], code: int) -> bool:
    inside = EXPRESSION.fullmatch(condition)
    text = inside[1] if inside else condition
    if text == "always()":
        return True
    unequal = re.fullmatch(r"inputs\.([\w-]+) != ''", text)
    assert unequal or not text, f"a condition that this runner does not know: {text}"
    return not code and (unequal is None or inputs[unequal[1]] != "")


def _filled(text: str, inputs: dict[str, str], outputs: dict[str, str]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("inputs."):
            return inputs[name.removeprefix("inputs.")]
        return outputs.get(name, "")

    return EXPRESSION.sub(value, text)


def gitlab(folder: Path, /, **variables: str) -> Ran:
    """The job of the template, with these variables (`tape` for WIRETAPE_TAPE)."""
    job = load("gitlab/wiretape.yml")[".wiretape"]
    told = job["variables"] | {f"WIRETAPE_{name.upper()}": v for name, v in variables.items()}
    ran = Ran()
    environment = _environment(folder, told)
    script = "\n".join([*job["before_script"], *job["script"]])
    ran.code = _shell(script, folder, environment, ran, PLAIN)
    _shell("\n".join(job["after_script"]), folder, environment, ran, PLAIN)
    ran.outputs = {"junit": job["artifacts"]["reports"]["junit"].replace(
        "$WIRETAPE_FOLDER", told["WIRETAPE_FOLDER"])}  # fmt: skip
    return ran
