"""Where metrics of the target come from: its Prometheus endpoint, /proc, or a command.

A source is asked for a sample and gives numbers by name, or says in one sentence why it cannot.
It only reads. Of what Prometheus exposes, counters are left out, for they rise by nature, and so
are times of day; what remains is what is in use now.
"""

from __future__ import annotations

import fnmatch
import math
import os
import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from capture.errors import ReplayError

from ..rules import shown_url
from .web import request_to

LARGEST = 16 << 20
PATIENCE_S = 10.0
MOST_METRICS = 1000  # of one source; how many are watched is for the watcher to say
_NEVER = re.compile(
    r"(_total|_created|_bucket|_count|_sum|_info)$|start_time|timestamp|uptime|_last_"
)
_USED = ("gauge", "unknown", "untyped")
Sample = dict[str, float]


class SourceLost(ReplayError):
    """A source gave no sample; the text is the sentence."""

    def __init__(self, sentence: str, final: bool = False) -> None:
        super().__init__(sentence)
        self.final = final  # whether it will never give one again


class Source(Protocol):
    """Something that metrics come from."""

    name: str

    def sample(self) -> Sample:
        """The metrics now, or SourceLost."""


class Scrape:
    """A Prometheus endpoint."""

    def __init__(self, url: str, only: Sequence[str] = ()) -> None:
        self._url, self.name = url, shown_url(url)
        self._only = tuple(only)
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def sample(self) -> Sample:
        """What is in use now."""
        request = request_to(self._url, {"Accept": "text/plain"})
        try:
            with self._opener.open(request, timeout=PATIENCE_S) as answer:
                raw = answer.read(LARGEST + 1)
        except urllib.error.HTTPError as refused:
            refused.close()
            raise SourceLost(f"--scrape {self.name}: cannot be read ({refused}).") from None
        except (OSError, ValueError) as failure:
            reason = getattr(failure, "reason", failure)
            raise SourceLost(f"--scrape {self.name}: cannot be read ({reason}).") from None
        if len(raw) > LARGEST:
            raise SourceLost(f"--scrape {self.name}: answers with more than {LARGEST >> 20} MB.")
        return parsed(raw, f"--scrape {self.name}", self._only)


class Command:
    """A command of the user's that prints metrics."""

    def __init__(self, command: str, only: Sequence[str] = ()) -> None:
        self.name = command
        self._only = tuple(only)

    def sample(self) -> Sample:
        """What it prints now."""
        told = f"--watch-command {self.name!r}"
        try:
            done = subprocess.run(
                self.name, shell=True, stdin=subprocess.DEVNULL, capture_output=True,
                timeout=PATIENCE_S, check=False, start_new_session=True,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise SourceLost(f"{told}: took longer than {PATIENCE_S:g} s.") from None
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()
            why = f": {said[-1][:200]}" if said else ""
            raise SourceLost(f"{told}: ended with {done.returncode}{why}.")
        return parsed(done.stdout[:LARGEST], told, self._only)


def parsed(raw: bytes, told: str, only: Sequence[str]) -> Sample:
    """The metrics of a text in Prometheus' format that are in use, not counted."""
    from prometheus_client.parser import text_string_to_metric_families

    found: Sample = {}
    try:
        text = raw.decode("utf-8")
        for family in text_string_to_metric_families(text):
            for name, value in _used(family):
                if len(found) < MOST_METRICS and _wanted(name, only):
                    found[name] = value
    except Exception as failure:  # the parser raises whatever its code happens to meet
        raise SourceLost(f"{told}: gives no metrics ({str(failure)[:80]!r}).") from None
    if not found:
        raise SourceLost(f"{told}: gives no metric that can be watched.")
    return found


def _used(family: Any) -> Iterator[tuple[str, float]]:
    if family.type not in _USED:
        return
    for sample in family.samples:
        if _NEVER.search(sample.name) or not math.isfinite(sample.value):
            continue
        labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
        yield f"{sample.name}{{{labels}}}" if labels else sample.name, float(sample.value)


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(fnmatch.fnmatchcase(name, pattern) for pattern in only)


class Process:
    """A process on this machine: resident memory, descriptors, threads."""

    def __init__(self, pid: int, proc: Path = Path("/proc")) -> None:
        self.name = f"process {pid}"
        self._pid = pid
        self._folder = proc / str(pid)
        self._page = os.sysconf("SC_PAGE_SIZE")
        self._born = self._birth()

    def sample(self) -> Sample:
        """What it uses now."""
        if self._birth() != self._born:
            raise SourceLost(f"--pid {self._pid}: the process has ended.", final=True)
        prefix = f"pid_{self._pid}_"
        try:
            pages = int((self._folder / "statm").read_text().split()[1])
            threads = re.search(r"^Threads:\s*(\d+)", (self._folder / "status").read_text(), re.M)
        except (OSError, IndexError, ValueError):
            raise SourceLost(f"--pid {self._pid}: the process has ended.", final=True) from None
        found = {f"{prefix}rss_bytes": float(pages * self._page)}
        if threads is not None:
            found[f"{prefix}threads"] = float(threads[1])
        try:
            found[f"{prefix}open_fds"] = float(len(os.listdir(self._folder / "fd")))
        except PermissionError:
            pass  # another user's process shows its memory and threads only
        except OSError:
            raise SourceLost(f"--pid {self._pid}: the process has ended.", final=True) from None
        return found

    def _birth(self) -> str:
        """When it was started, which tells it from another of the same pid; "" if it is gone."""
        try:
            stat = (self._folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if stat[0] in "ZX" else stat[19]


def process_of(pid: int) -> Process:
    """The source of a pid that is there, or a sentence."""
    if not Path("/proc/self/statm").exists():
        raise ReplayError("--pid needs /proc, which this system has not; use --scrape.")
    found = Process(pid)
    try:
        found.sample()
    except SourceLost:
        raise ReplayError(f"--pid {pid}: there is no such process.") from None
    return found
