"""`python -m samples.shop`: one copy of the shop, until SIGTERM or Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal

import click
import uvloop
from aiohttp import web

from capture.options import options_of

from .app import Shop
from .options import ShopOptions


async def _serve(options: ShopOptions) -> None:
    """Serve until a signal, having printed the address."""
    # A request that no parser can frame is the business of this shop, not a fault to log.
    logging.getLogger("aiohttp").setLevel(logging.CRITICAL)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner = web.AppRunner(Shop(options).application(), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, options.host, options.port, backlog=4096, shutdown_timeout=1.0)
        await site.start()
        host, port = runner.addresses[0][:2]
        click.echo(f"Shop listening on http://{host}:{port}")
        await stopped.wait()
    finally:
        await runner.cleanup()


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@options_of(ShopOptions)
def main(options: ShopOptions) -> None:
    """A web shop on SQLite, with a switch for each thing that staging hides.

    \b
    Example:
      python -m samples.shop --port 8080
      python -m samples.shop --port 8081 --no-index --rows 120000 --pool 4 --race
    """
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(_serve(options))


if __name__ == "__main__":
    main()
