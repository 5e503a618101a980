"""The shop's database and the pool of connections to it.

Products and ratings are made by SQLite itself from their numbers, so two shops of as many rows hold
the same. A search reads all product names (a few ms) and then the ratings of the twenty it found:
through the index that costs nothing, without it each of the twenty scans every rating.

The pool is a stack of connections and as many threads: whoever finds none waits, and after
`pool_wait` seconds is told so. SQLite gives up the interpreter lock while it works.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

RATINGS_PER_PRODUCT = 1
PAGE = 20
ADJECTIVES = ("amber", "brisk", "copper", "dusty", "early", "faded", "grand", "hollow")
NOUNS = ("lamp", "kettle", "chair", "jacket", "bicycle", "clock", "basket", "mirror", "teapot")

Row = tuple[Any, ...]

_NUMBERS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
_PRODUCTS = """
INSERT INTO product (id, name, price_cents, sold)
SELECT i, a.word || ' ' || b.word || ' no. ' || i, 100 + (i * 7919) % 20000, (i * 104729) % 10007
FROM n JOIN adjective a ON a.id = i % ? JOIN noun b ON b.id = (i / 3) % ?
"""
_RATINGS = "INSERT INTO rating (product, stars) SELECT 1 + (i * 31) % ?, 1 + (i * 17) % 5 FROM n"

SEARCH = f"""
SELECT id, name, price_cents,
       (SELECT round(avg(stars), 1) FROM rating WHERE rating.product = found.id) AS stars
FROM (SELECT id, name, price_cents FROM product
      WHERE name LIKE '%' || ? || '%' ORDER BY sold DESC LIMIT {PAGE}) AS found
"""
CATALOGUE = f"SELECT id, name, price_cents FROM product WHERE id > ? ORDER BY id LIMIT {PAGE}"
PRODUCT = "SELECT id, name, price_cents, sold FROM product WHERE id = ?"


def build(path: Path, rows: int, index: bool) -> None:
    """Write the database of a shop with that many products."""
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT, price_cents, sold)")
        db.execute("CREATE TABLE rating (product INTEGER, stars INTEGER)")
        for table, words in (("adjective", ADJECTIVES), ("noun", NOUNS)):
            db.execute(f"CREATE TEMP TABLE {table} (id INTEGER PRIMARY KEY, word TEXT)")
            db.executemany(f"INSERT INTO {table} VALUES (?, ?)", enumerate(words))
        db.execute(_NUMBERS + _PRODUCTS.strip(), (rows, len(ADJECTIVES), len(NOUNS)))
        db.execute(_NUMBERS + _RATINGS, (rows * RATINGS_PER_PRODUCT, rows))
        if index:
            db.execute("CREATE INDEX rating_of_product ON rating (product, stars)")
    db.close()


class PoolExhausted(Exception):
    """No connection came free in time."""


class Connection:
    """One connection to the database, and the thread its queries run in."""

    def __init__(self, path: Path, threads: ThreadPoolExecutor) -> None:
        self._db = sqlite3.connect(
            f"file:{path}?mode=ro&immutable=1", uri=True, check_same_thread=False
        )
        # SQLite would otherwise make itself the index that a careless release forgot.
        self._db.execute("PRAGMA automatic_index = OFF")
        self._threads = threads

    async def rows(self, query: str, *values: object) -> list[Row]:
        """All rows of a query."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._fetch, query, values)

    def _fetch(self, query: str, values: tuple[object, ...]) -> list[Row]:
        return self._db.execute(query, values).fetchall()

    def close(self) -> None:
        self._db.close()


def _stand_back() -> None:
    """A query must not take the processor from who speaks HTTP, as it would not on two machines."""
    if sys.platform == "linux":
        me = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, me, os.getpriority(os.PRIO_PROCESS, me) + 10)


class Pool:
    """So many connections and not one more."""

    def __init__(self, path: Path, size: int, wait: float) -> None:
        self._threads = ThreadPoolExecutor(size, "db", initializer=_stand_back)
        self._all = [Connection(path, self._threads) for _ in range(size)]
        self._free: asyncio.LifoQueue[Connection] = asyncio.LifoQueue()
        for connection in self._all:
            self._free.put_nowait(connection)
        self._wait = wait

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A connection of one's own until the block ends."""
        try:
            connection = await asyncio.wait_for(self._free.get(), self._wait)
        except TimeoutError:
            raise PoolExhausted from None
        try:
            yield connection
        finally:
            self._free.put_nowait(connection)

    def close(self) -> None:
        self._threads.shutdown()
        for connection in self._all:
            connection.close()
