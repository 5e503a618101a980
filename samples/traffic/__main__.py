"""`python -m samples.traffic`: make traffic, then say what was made and what came of it."""

from __future__ import annotations

import json
import statistics

import click
import uvloop

from capture.options import options_of

from .client import Tally
from .driver import drive
from .options import TrafficOptions


def _summary(tally: Tally) -> dict[str, object]:
    """What was done, for people and for scripts."""
    return {
        "sessions": tally.sessions,
        "requests": tally.requests,
        "kinds": dict(tally.by_kind.most_common()),
        "statuses": {str(status): n for status, n in sorted(tally.statuses.items())},
        "failures": dict(tally.failures),
        "median_ms": {
            kind: round(statistics.median(times), 1)
            for kind, times in sorted(tally.service_ms.items())
        },
    }


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@options_of(TrafficOptions)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def main(options: TrafficOptions, as_json: bool) -> None:
    """Bursty traffic of users, slow clients and broken ones at the sample shop.

    \b
    Example:
      python -m samples.traffic --url http://127.0.0.1:8080 --for 20s --rate 20 --seed 7
    """
    done = _summary(uvloop.run(drive(options)))
    if as_json:
        click.echo(json.dumps(done))
        return
    for name, value in done.items():
        told = value
        if isinstance(value, dict):
            told = ", ".join(f"{key} {n}" for key, n in value.items()) or "none"
        click.echo(f"{name.replace('_', ' '):>10}  {told}")


if __name__ == "__main__":
    main()
