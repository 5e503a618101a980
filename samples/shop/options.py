"""The switches of the shop, declared once."""

from __future__ import annotations

from dataclasses import dataclass

import click

from capture.options import option


@dataclass(frozen=True)
class ShopOptions:
    """How one copy of the shop is set up; the defaults are its production."""

    host: str = option("127.0.0.1", help="Address to listen on.")
    port: int = option(0, help="Port to listen on; 0 takes a free one.", type=click.IntRange(0))
    rows: int = option(100_000, help="Products in the catalogue.", type=click.IntRange(1))
    index: bool = option(
        True, help="Whether ratings have their index.", names=("--index/--no-index",)
    )
    pool: int = option(32, help="Connections to the database.", type=click.IntRange(1))
    pool_wait: float = option(
        5.0, help="Seconds to wait for a connection before 503.", type=click.FloatRange(0.001)
    )
    race: bool = option(False, help="Let two payments of an order overtake each other.")
    leak: int = option(0, help="Bytes that each request leaves behind.", type=click.IntRange(0))
    version: str = option("1", help="Which release's configuration.", type=click.Choice(["1", "2"]))
    slow_third_party: int = option(
        0, help="Milliseconds that the bank takes longer.", type=click.IntRange(0)
    )
