"""`wiretape sanitize`: see what a policy does, before anything is recorded."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ..exchange import Exchange, Kind
from .options import SanitizeOptions, sanitizer_from
from .policy import built_in_text


@click.group()
def sanitize() -> None:
    """See what sanitizing does.

    \b
    Example:
      wiretape sanitize policy --level strict > policy.toml
      wiretape sanitize explain --request request.http --policy policy.toml
    """


@sanitize.command()
@click.option("--level", type=click.Choice(["standard", "strict"]), default="standard")
def policy(level: str) -> None:
    """Print a built-in policy, commented, as the place to start.

    \b
    Example:
      wiretape sanitize policy > policy.toml
    """
    click.echo(built_in_text(level), nl=False)


@sanitize.command()
@click.option("--request", "path", required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--policy", "policy_file", default="", metavar="FILE", help="Policy file (TOML).")
@click.option("--level", type=click.Choice(["standard", "strict"]), default=None)
@click.option("--json", "as_json", is_flag=True, help="One JSON array of changes.")
def explain(path: str, policy_file: str, level: str | None, as_json: bool) -> None:
    """Show each change that sanitizing makes to a request in a file, before and after.

    \b
    Example:
      wiretape sanitize explain --request request.http
    """
    raw = Path(path).read_bytes()
    exchange = _request_of(raw)
    options = SanitizeOptions(policy=policy_file, level=level)
    from .explain import explain as explained

    head_bytes = exchange.head_bytes
    sanitizer = sanitizer_from(options)
    new = sanitizer.exchange(exchange).exchange.request
    rows = explained(sanitizer.policy, raw, head_bytes, new)
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['place']} ({row['rule']}): {row['before']!r} -> {row['after']!r}")
    click.echo(f"{len(rows)} changes in {len(raw)} bytes.")


@sanitize.command()
@click.argument("tape", type=click.Path(exists=True))
@click.option("--canary", default="", metavar="FILE", help="Values that must not appear.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON object.")
@click.pass_context
def audit(ctx: click.Context, tape: str, canary: str, as_json: bool) -> None:
    """Look through a tape for secrets that were missed; exit 1 on any suspect.

    The engine is another than the one that sanitizes. A file of canaries, one a line, is looked for
    in every encoding. What a suspect reads is not shown.

    \b
    Example:
      wiretape sanitize audit now.tape
      wiretape sanitize audit now.tape --canary planted.txt --json
    """
    from .audit import audit_tape, read_canaries

    report = audit_tape(tape, read_canaries(canary) if canary else ())
    if as_json:
        click.echo(json.dumps(report.as_dict()))
    else:
        for each in report.findings:
            click.echo(f"{each.kind} in {each.place}: {each.count:,} (first: {each.exchange})")
        suspects = sum(each.count for each in report.findings)
        click.echo(
            f"{suspects:,} suspects in {report.exchanges:,} exchanges, {report.bytes:,} bytes."
        )
    ctx.exit(1 if report.findings else 0)


def _request_of(raw: bytes) -> Exchange:
    """A request as an exchange; malformed where it has no head that ends."""
    exchange = Exchange()
    exchange.request, exchange.request_bytes = raw, len(raw)
    end = raw.find(b"\r\n\r\n")
    exchange.head_bytes = end + 4 if end >= 0 else 0
    exchange.kind = Kind.HTTP1 if end >= 0 else Kind.MALFORMED
    return exchange
