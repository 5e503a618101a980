"""The shop does what its switches say, seen from outside."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

from samples.services import shop
from samples.shop.store import SEARCH, build


def ask(url: str, body: object = None) -> tuple[int, dict[str, str], bytes]:
    data = None if body is None else json.dumps(body).encode()
    asked = urllib.request.Request(url, data, {"Cookie": "session=0123456789abcdef0123"})
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), refused.read()


def pay_twice_at_once(url: str) -> list[int]:
    statuses: list[int] = []

    def pay() -> None:
        statuses.append(ask(f"{url}/payment", {"order": 7, "amount_cents": 1})[0])

    clicks = [threading.Thread(target=pay) for _ in range(2)]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join()
    return sorted(statuses)


def test_production_charges_a_double_click_once_and_forgets_nothing_of_the_cart() -> None:
    with shop("--rows", "500") as url:
        assert pay_twice_at_once(url) == [200, 409]
        assert ask(f"{url}/cart", {"product": 3, "quantity": 2})[0] == 201
        assert json.loads(ask(f"{url}/cart")[2])["items"] == 1
        assert ask(f"{url}/products/501")[0] == 404
        assert ask(f"{url}/cart", [1])[0] == 400
        assert len(json.loads(ask(f"{url}/search?q=lamp")[2])) == 20


def test_the_race_charges_a_double_click_twice_and_the_receipt_says_so() -> None:
    with shop("--rows", "50", "--race") as url:
        assert pay_twice_at_once(url) == [200, 200]


def test_without_the_index_a_search_finds_the_same_by_scanning_all_ratings(tmp_path: Path) -> None:
    plans, found = [], []
    for index in (True, False):
        path = tmp_path / f"{index}.db"
        build(path, 300, index)
        with contextlib.closing(sqlite3.connect(path)) as db:
            db.execute("PRAGMA automatic_index = OFF")
            steps = db.execute(f"EXPLAIN QUERY PLAN {SEARCH}", ("lamp",)).fetchall()
            plans.append(" ".join(step[3] for step in steps))
            found.append(db.execute(SEARCH, ("lamp",)).fetchall())
    assert found[0] == found[1]
    assert "SCAN rating" not in plans[0]
    assert "SCAN rating" in plans[1]


def test_a_pool_of_one_turns_away_whoever_waits_too_long_for_the_bank() -> None:
    switches = ("--rows", "50", "--pool", "1", "--pool-wait", "0.05", "--slow-third-party", "400")
    with shop(*switches) as url:
        slow = threading.Thread(target=ask, args=(f"{url}/payment", {"order": 1}))
        slow.start()
        time.sleep(0.2)
        assert ask(f"{url}/products/1")[0] == 503
        slow.join()
        assert ask(f"{url}/products/1")[0] == 200


def test_two_releases_differ_in_server_caching_and_cookie() -> None:
    heads = []
    for version in ("1", "2"):
        with shop("--rows", "50", "--version", version) as url:
            heads.append(ask(f"{url}/products")[1])
    assert heads[0]["Server"] != heads[1]["Server"]
    assert heads[0]["Cache-Control"] != heads[1]["Cache-Control"]
