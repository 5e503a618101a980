"""How fast requests are sanitized, one core, beside the same patterns in Python's `re`.

python tests/bench/bench_sanitize.py [megabytes of an adversarial body]

The peer only finds: every detector's pattern over every request, nothing replaced, no encodings
undone. The second table gives each detector the body that is worst for it, the third compares with
the pattern recognizers of presidio on labelled texts.
"""

from __future__ import annotations

import json
import random
import statistics
import sys
import time
from collections.abc import Callable

from capture.exchange import Exchange
from capture.recording import calm_collector
from capture.sanitize import Policy, Sanitizer
from capture.sanitize.detect import TABLE

REQUESTS, ROUNDS, BATCH = 4000, 5, 128
AGENT = b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
# What makes a trigger fire, or nearly, again and again.
NEARLY: dict[str, bytes] = {
    "jwt": b"eyJhbGciOi.aaaa.", "pem": b"-----BEGIN A-----aaaaaaaaaaaaaaaaaaaa", "email": b"a@b.c",
    "basic-auth": b"basic aaaaaaaa ", "bearer": b"bearer aaaaaaaa ", "iban": b"DE89370400440532 ",
    "url-credentials": b"://a:b@", "card": b"4111 1111 1111 ", "phone": b"1 234 567 ",
    "ipv4": b"1.1.1.1.", "ipv6": b"a:a:a:a:", "mac": b"aa:aa:aa:aa:aa:a", "token": b"aB3dE5gH7",
    "coordinates": b"1.12345, ", "us-ssn": b"123-45-6789-", "br-cpf": b"123.456.789-0 ",
}  # fmt: skip


def request(draw: random.Random) -> Exchange:
    """A request of about 600 bytes with a session, an address and some fields."""
    token = b"%032x" % draw.getrandbits(128)
    body = (
        b'{"item":%d,"quantity":%d,"email":"user%d@mail%d.com",'
        b'"note":"please leave it at the door, thank you","coupon":"SPRING%d"}'
    ) % tuple(draw.randrange(10**k) for k in (6, 1, 6, 3, 2))
    head = (
        b"POST /cart/%d/items?ref=home HTTP/1.1\r\nHost: shop.internal\r\nUser-Agent: %s\r\n"
        b"Accept: application/json\r\nAccept-Encoding: gzip, deflate\r\nAccept-Language: en\r\n"
        b"Cookie: session=%s; theme=dark\r\nX-Request-Id: %d\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n"
    ) % (draw.randrange(10**5), AGENT, token, draw.randrange(10**9), len(body))
    return whole(head, body)


def whole(head: bytes, body: bytes) -> Exchange:
    """A request as an exchange."""
    made = Exchange()
    made.request, made.head_bytes = head + body, len(head)
    made.request_bytes = len(made.request)
    return made


def rate(count: int, work: Callable[[], object]) -> float:
    """How many a second: `count` of them are one piece of work."""
    began = time.perf_counter()
    work()
    return count / (time.perf_counter() - began)


def sanitizing(level: str, fresh: bool, seed: int) -> float:
    """Requests a second; repeating ones were seen before, in another order."""
    draw = random.Random(seed)
    few = [request(draw) for _ in range(REQUESTS if fresh else 200)]
    sanitizer = Sanitizer(Policy.built_in(level), b"k" * 32)
    texts = [(each.request, each.head_bytes) for each in few] * (REQUESTS // len(few))

    def all_of_them() -> None:
        # In batches, as a recorder has them from its packets.
        for start in range(0, len(texts), BATCH):
            batch = []
            for text, head in texts[start : start + BATCH]:
                made = Exchange()
                made.request, made.head_bytes, made.request_bytes = text, head, len(text)
                batch.append(made)
            sanitizer.exchanges(batch)

    if not fresh:
        all_of_them()
    return rate(len(texts), all_of_them)


def in_python_re(seed: int) -> float:
    """Requests a second of all patterns one after the other, finding only."""
    draw = random.Random(seed)
    texts = [request(draw).request for _ in range(REQUESTS // 10)]

    def all_of_them() -> None:
        for text in texts:
            for detector in TABLE:
                for _ in detector.pattern.finditer(text):
                    pass

    return rate(len(texts), all_of_them)


def adversarial(sanitizer: Sanitizer, name: str, megabytes: float) -> float:
    """Megabytes a second of a body that nearly is what a detector looks for, all the way."""
    unit = NEARLY[name]
    body = unit * int(megabytes * 1e6 / len(unit))
    head = b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    made = whole(head, body)
    return rate(1, lambda: sanitizer.exchange(made)) * megabytes


def beside_presidio() -> None:
    """Recall and speed on labelled texts, ours (replacing) beside presidio's patterns (finding)."""
    from tests.bench.sanitize_peers import KINDS, presidio
    from tests.capture.sanitize.test_pii_corpus import TEXTS, tally

    if not TEXTS.exists():
        print("\nno corpus: nothing to compare with presidio on")
        return
    peer = presidio(TEXTS)
    if isinstance(peer, str):
        print(f"\n{peer}")
        return
    ours = tally("text", "standard")
    print(f"\n{'labelled texts, standard':32}{'labelled':>10}{'wiretape':>10}{'presidio':>10}")
    for kind in KINDS:
        total, hits = peer["tally"][kind]
        recall = 1 - ours.missed[kind] / ours.spans[kind]
        print(f"{kind:32}{total:>10}{recall:>10.3f}{hits / total:>10.3f}")
    bodies = [row["full_text"].encode() for row in json.loads(TEXTS.read_text("utf-8"))]
    sanitizer = Sanitizer(Policy.built_in(), b"k" * 32)
    head = b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\n\r\n"
    made = [whole(head, body) for body in bodies]
    mine = rate(len(made), lambda: sanitizer.exchanges(made))
    print(f"{'texts/s':32}{'':>10}{mine:>10,.0f}{len(bodies) / peer['took']:>10,.0f}")


def main() -> None:
    """Print the tables."""
    calm_collector()  # as every recording does
    megabytes = float(sys.argv[1]) if len(sys.argv) > 1 else 1.0
    rows: tuple[tuple[str, Callable[[int], float]], ...] = (
        ("standard, values repeating", lambda seed: sanitizing("standard", False, seed)),
        ("standard, every value fresh", lambda seed: sanitizing("standard", True, seed)),
        ("strict, values repeating", lambda seed: sanitizing("strict", False, seed)),
        ("strict, every value fresh", lambda seed: sanitizing("strict", True, seed)),
        ("Python re, finding only", in_python_re),
    )
    figures: dict[str, list[float]] = {name: [] for name, _ in rows}
    for turn in range(ROUNDS):
        for name, measure in rows:
            figures[name].append(measure(turn))
    for name, rates in figures.items():
        print(f"{name:32}{statistics.median(rates):>12,.0f} requests/s")
    sanitizer = Sanitizer(Policy.built_in(), b"k" * 32)
    print(f"\nadversarial bodies of {megabytes:g} MB, standard")
    for name in NEARLY:
        print(f"{name:32}{adversarial(sanitizer, name, megabytes):>12,.1f} MB/s", flush=True)
    beside_presidio()


if __name__ == "__main__":
    main()
