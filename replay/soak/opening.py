"""What a soak needs before it begins: its folder, and sources that have each given a sample."""

from __future__ import annotations

import os
from pathlib import Path

from capture.errors import ReplayError

from .checkpoint import NAME
from .options import SoakOptions
from .sources import Command, Scrape, Source, SourceLost, process_of


def make_folder(folder: Path, resume: bool) -> None:
    """The folder that files go to; one that holds a soak is only gone on with."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise ReplayError(
            f"{folder}: cannot be made ({problem.strerror}); choose another with -o."
        ) from None
    if not resume and (folder / NAME).exists():
        raise ReplayError(
            f"{folder}: holds a soak already; go on with --resume, or choose another with -o."
        )


def sources_of(options: SoakOptions) -> list[Source]:
    """The sources, each of which has given a sample: what is wrong is known before the start."""
    found: list[Source] = [process_of(pid) for pid in options.pid]
    found += [Scrape(url, options.watch_only) for url in options.scrape]
    found += [Command(text, options.watch_only) for text in options.watch_command]
    for source in found:
        try:
            source.sample()
        except SourceLost as lost:
            raise ReplayError(str(lost)) from None
    return found


def own_rss_mb() -> float:
    """Our own resident memory in MB; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)
