"""How fast requests are sanitized, one core, beside the same patterns in Python's `re`.

python -m tests.bench.bench_sanitize [megabytes of an adversarial body]

The peer only finds: every detector's pattern over every request, nothing replaced, no encodings
undone. The second table gives each detector a body that nearly fits it all the way, the third has
bodies of nothing but secrets, the last compares with presidio's recognizers on labelled texts.
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
NEARLY: dict[str, bytes] = {
    "jwt": b"eyJhbGciOi.aaaa.", "pem": b"-----BEGIN A-----aaaa", "email": b"a@b.1 a@b ",
    "basic-auth": b"basic a basics aaaaaaaa ", "bearer": b"bearer a bearers aaaaaaaa ",
    "iban": b"xDE89370400a40532 ", "url-credentials": b"://a:b/c@ ",
    "card": b"4111.1111.1111.1111.", "phone": b"1.234.567.", "ipv4": b"1.1.1.1.",
    "ipv6": b"a:a:a:a:", "mac": b"aa:aa:aa:aa:aa:a", "token": b"aB3dE5gH7",
    "coordinates": b"1.12345, 1.123 ", "us-ssn": b"_123-45-67890_", "br-cpf": b"1123.456.789-0a ",
}  # fmt: skip
"""What a detector's form nearly fits, over and over: what makes others backtrack."""
FAILING: dict[str, bytes] = {
    "card": b"4111 1111 1111 %04d ", "iban": b"DE8937040044053%07d ", "us-ssn": b"000-45-%04d ",
    "ipv4": b"198.51.100.%04d ", "token": b"aaaaaaaaaaaaaaaaaaaaaaa%06d ",
}  # fmt: skip
"""What fits the form, and of which a validator says that it is none, or nearly always none."""
TRUE: dict[str, bytes] = {
    "email": b"user%06d@mail.com ",
    "basic-auth": b"basic dXNlcjpw%06d ",
    "phone": b"+1415%07d ",
    "ipv4": b"198.51.%d.7 ",
    "token": b"aB3dE5gH7jK9mN1pQ3sT%06d ",
}
"""Secrets, one after another: each has to be replaced, which is work that no engine saves."""


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
    """How many in a second of processor time: `count` of them are one piece of work."""
    began = time.process_time()
    work()
    return count / (time.process_time() - began)


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


def body_of(unit: bytes, megabytes: float, fresh: bool = False) -> bytes:
    """A body of this unit over and over, or of another number in each."""
    count = int(megabytes * 1e6 / len(unit))
    if not fresh:
        return (unit % 7 if b"%" in unit else unit) * count
    return b"".join([unit % (number % 10**6) for number in range(count)])


def throughput(level: str, body: bytes) -> float:
    """Megabytes of such a body that a new sanitizer does in a second of processor time."""
    sanitizer = Sanitizer(Policy.built_in(level), b"k" * 32)
    head = b"POST / HTTP/1.1\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n" % len(body)
    made = whole(head, body)
    began = time.process_time()
    sanitizer.exchange(made)
    return len(body) / 1e6 / (time.process_time() - began)


def adversarial(megabytes: float) -> None:
    """Bodies made to be slow; a tenfold length shows whether time grows with it alone."""
    print(f"\n{'nearly, over and over, MB/s':32}{megabytes:>7g} MB{10 * megabytes:>7g} MB")
    for name, unit in NEARLY.items():
        rates = [throughput("standard", body_of(unit, mb)) for mb in (megabytes, 10 * megabytes)]
        print(f"{name:32}{rates[0]:>10.1f}{rates[1]:>10.1f}")
    kinds = {"of the form, but none, MB/s": FAILING, "nothing but secrets, MB/s": TRUE}
    for title, units in kinds.items():
        print(f"\n{title:32}{'the same':>10}{'others':>10}")
        beside(units, megabytes)


def beside(units: dict[str, bytes], megabytes: float) -> None:
    """One of a kind over and over, and each time another."""
    for name, unit in units.items():
        rates = [throughput("standard", body_of(unit, megabytes, fresh)) for fresh in (False, True)]
        print(f"{name:32}{rates[0]:>10.1f}{rates[1]:>10.1f}")


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
    adversarial(megabytes)
    beside_presidio()


if __name__ == "__main__":
    main()
