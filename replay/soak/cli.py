"""The command `wiretape soak`: a thin wrapper that prints, and ends in order."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from capture.options import options_of
from capture.written import FOLDER, Written, apart

from ..observe.options import ObserveOptions
from ..verdict.gating import FAILED, Gates, gates_of
from ..workers.crew import ENDS, ending_alike
from .options import SoakOptions


@click.command()
@click.argument("tape", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", default="soak", show_default=True, type=Written(FOLDER),
    help="The folder to write to.", metavar="FOLDER",
)  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print the report as JSON.")
@gates_of
@options_of(ObserveOptions, into="observing")
@options_of(SoakOptions)
def soak(
    tape: Path,
    output: Path,
    as_json: bool,
    options: SoakOptions,
    observing: ObserveOptions,
    gates: Gates,
) -> int:
    """Send TAPE lap after lap, for days, and watch the target for what grows, slows or fails.

    Each new finding is told once. Ctrl-C ends it in order: the runs are valid, the report is
    written, and --resume goes on. A gate is held against each segment; exit 3 where one failed.

    \b
    Example:
      wiretape soak theirs.tape --target http://127.0.0.1:8080 --for 72h \\
        --scrape http://127.0.0.1:8080/metrics --dashboard :8899
    """
    from .report import as_text, content_of, write
    from .soak import soak as carry_out

    if not options.target:
        raise click.UsageError("Say where to send: --target http://HOST:PORT.")
    if not options.soak:
        raise click.UsageError("Say how long: --for 72h.")
    apart({"-o": output, **gates.outputs}, [tape])
    if gates.ask_drift:
        raise click.UsageError("A soak does not measure drift: hold that gate against a report.")
    with _in_order() as steady:
        texts = [gate.text for gate in gates.gates]
        one, summary = carry_out(tape, options, output, texts, _say, observing, steady)
        content = content_of(one.final_state(), not one.stopped, summary.warnings)
        written = write(output, content)
    click.echo(json.dumps(content) if as_json else as_text(content))
    for path in written:
        click.echo(f"wrote {path}", err=True)
    return _end(content, gates)


def _end(content: dict[str, Any], gates: Gates) -> int:
    """What came of the gates, as other commands tell it."""
    import numpy as np

    from capture.exchange import Outcome

    from ..verdict.gate import Checked
    from ..verdict.judge import Finding, Verdict
    from ..verdict.silence import refuse_silence
    from .findings import STANDING

    failed = {each["subject"]: each for each in content["findings"] if each["kind"] == "gate"}
    checked = [
        Checked(gate.text, gate.text in failed, failed.get(gate.text, {}).get("sentence", ""))
        for gate in gates.gates
    ]
    found = [Finding(each["kind"], each["subject"], each["sentence"], 0)
             for each in content["findings"] if each["state"] == STANDING]  # fmt: skip
    gates.tell(content["tape"], checked, Verdict(None, tuple(found), (), np.zeros(0)))
    if failed:
        return FAILED
    outcomes = content["totals"]["outcomes"]
    refuse_silence({each: outcomes[each.words] for each in Outcome if each.words in outcomes})
    if content["verdict"] == "FAIL" and not gates:
        _say("Findings alone do not change the exit code: --fail-if 'findings > 0' does.")
    return 0


def _say(line: str) -> None:
    click.echo(line, err=True)


@contextmanager
def _in_order() -> Iterator[Callable[[], None]]:
    """SIGTERM and SIGHUP end as Ctrl-C does; what is yielded makes all of them wait."""
    before = signal.getsignal(signal.SIGINT)

    def steady() -> None:
        for each in (signal.SIGINT, *ENDS):
            signal.signal(each, signal.SIG_IGN)

    with ending_alike():
        try:
            yield steady
        finally:
            signal.signal(signal.SIGINT, before)
