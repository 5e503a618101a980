"""What the README promises is there: its links, its commands, its make targets."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import wiretape

from .reference import commands

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\(([^)#:]+)\)", TEXT)
    assert len(links) > 5
    assert [link for link in links if not (ROOT / link).is_file()] == []


def test_every_command_and_script_it_shows_exists() -> None:
    known = {" ".join(names) for names, _ in commands(wiretape.cli)}
    shown = re.findall(r"(?<![\w/])wiretape ((?:capture )?[a-z]+) \S*\.(?:pcap|tape)", TEXT)
    assert {"capture pcap", "replay", "report"} <= set(shown)
    assert set(shown) <= known
    scripts = re.findall(r"python -m (tests\.[\w.]+)", TEXT)
    assert len(scripts) > 5
    assert [name for name in scripts if importlib.util.find_spec(name) is None] == []
    targets = re.findall(r"make ([a-z]+) +#", TEXT)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert len(targets) == 3
    assert all(f"\n{target}:" in makefile for target in targets)
