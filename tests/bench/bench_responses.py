"""Differences of answers among noise: 100,000 pairs with times and ids that always differ.

Two runs of a baseline teach the noise; a third run has the same noise and a few planted faults:
fields that are gone, that are new, of another type, values that are wrong once in 100,000, a list
that is one short, an id of another form. Each must be found, and hardly any noise be told.
"""

from __future__ import annotations

import json
import random
import time
import uuid
from typing import Any

from replay.verdict.bodies import Message
from replay.verdict.responses import Differ, Responses

PAIRS = 100_000
ENDPOINTS = ("GET /orders/{id}", "GET /search", "POST /payment")
HEAD = ((b"content-type", b"application/json"), (b"server", b"shop/1"))


def answer(number: int, noise: random.Random) -> dict[str, Any]:
    """The answer to one request: its content from its number, its noise from the run."""
    return {
        "order": number,
        "total_cents": number * 37 % 10_000,
        "state": "paid" if number % 3 else "open",
        "items": [{"id": number * 10 + n, "price": n * 5 + 1, "etag": noise.randbytes(8).hex()}
                  for n in range(number % 4)],
        "request_id": str(uuid.UUID(int=noise.getrandbits(128))),
        "at": f"2026-01-0{noise.randint(1, 9)}T10:00:{noise.randint(10, 59)}Z",
        "took_ms": noise.random() * 10,
        "shard": noise.choice(("a", "b", "c")),
        "flags": {"beta": number % 7 == 0},
    }  # fmt: skip


def plant(number: int, told: dict[str, Any]) -> set[tuple[str, str]]:
    """Faults of the candidate; what must be found of them: (path, kind)."""
    planted: set[tuple[str, str]] = set()
    if number == 777:
        told["total_cents"] += 1
        planted.add(("$.total_cents", "value"))
    if number % 20_000 == 5:
        del told["state"]
        planted.add(("$.state", "removed"))
    if number % 25_000 == 7:
        told["debug"] = {"sql": "…"}
        planted.add(("$.debug", "added"))
    if number == 4_242:
        told["order"] = str(number)
        planted.add(("$.order", "type"))
    if number == 50_003 and told["items"]:
        told["items"].pop()
        planted.add(("$.items", "length"))
    if number % 30_000 == 11:
        told["request_id"] = f"req-{number}"
        planted.add(("$.request_id", "form"))
    if number == 60_001:
        told["took_ms"] = None
        planted.add(("$.took_ms", "type"))
    if number == 70_000:
        told["flags"]["beta"] = 1
        planted.add(("$.flags.beta", "type"))
    return planted


def measure(pairs: int = PAIRS) -> tuple[Responses, set[tuple[str, str, str]], int, int]:
    """What was told, what was planted, how many single differences were noise, how many told."""
    runs = [random.Random(seed) for seed in (1, 2, 3)]
    differ, planted = Differ(), set()
    first: list[Message] = []
    for number in range(pairs):
        a, again = (_message(answer(number, noise)) for noise in runs[:2])
        differ.learn(ENDPOINTS[number % 3], a, again)
        first.append(a)
    for number in range(pairs):
        content = answer(number, runs[2])
        endpoint = ENDPOINTS[number % 3]
        planted |= {(endpoint, *spot) for spot in plant(number, content)}
        differ.see(endpoint, number, first[number], _message(content))
    told = differ.render()
    wrong = sum(each.count for each in told.differences
                if (each.endpoint, each.path, each.kind) not in planted)  # fmt: skip
    return told, planted, told.suppressed, wrong


def _message(content: dict[str, Any]) -> Message:
    return Message(HEAD, json.dumps(content).encode())


def main() -> None:
    """Print the figures."""
    began = time.perf_counter()
    told, planted, suppressed, wrong = measure()
    took = time.perf_counter() - began
    found = {(each.endpoint, each.path, each.kind) for each in told.differences}
    print(f"{told.pairs:,} pairs and {told.learnt:,} to learn from, {took:.1f} s")
    print(f"planted and found   {len(planted & found)} of {len(planted)}")
    print(f"noise suppressed    {suppressed:,} of {suppressed + wrong:,} differences "
          f"({suppressed / (suppressed + wrong):.4%})")  # fmt: skip
    for each in told.differences:
        right = "" if (each.endpoint, each.path, each.kind) in planted else "  NOISE"
        print(f"  {each.endpoint:<18}{each.path:<16}{each.kind:<9}{each.count:>5}{right}")


if __name__ == "__main__":
    main()
