"""What is sent: selected, cut to a span, rewritten in as few bytes as possible."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture.exchange import Flag
from capture.tape import Tape
from replay.options import ReplayOptions
from replay.planning.plan import plan_chunks
from replay.rewrite import Rewriter
from replay.run import replay
from replay.workers.loading import Loader
from tests.replay.recorder import get, recorder
from tests.replay.taping import Request, tape_of

POST = b"POST /orders/7 HTTP/1.1\r\nHost: shop.test\r\nX-Old: 1\r\nContent-Length: 2\r\n\r\nhi"
ODD = b"\x00\xff no request at all\r\n"


def sent(tmp_path: Path, requests: list[Request], **more: object) -> list[bytes]:
    """What arrives of a tape, in order of the request lines."""
    tape = tape_of(tmp_path / "x.tape", requests)
    settings = {"host": "keep", "no_calibrate": True, "timeout": 2_000_000_000, **more}
    with recorder() as target:
        options = ReplayOptions(target=(target.url,), **settings)  # type: ignore[arg-type]
        replay(tape, options, tmp_path / "run.tape")
    return sorted(piece for pieces in target.received for piece in pieces)


MIXED = [
    Request(1, 0, get("/api/a")),
    Request(2, 50, get("/api/b")),
    Request(3, 100, POST),
    Request(4, 150, ODD),
]


@pytest.mark.parametrize(
    ("how", "kept"),
    [
        ({"only": ("GET /api/*",)}, [0, 1]),
        ({"drop": ("/api/*",)}, [2, 3]),
        ({"read_only": True}, [0, 1]),
        ({"start": 60_000_000}, [2, 3]),
        ({"end": 60_000_000}, [0, 1]),
        ({"start": 40_000_000, "length": 70_000_000}, [1, 2]),
    ],
)
def test_what_is_not_selected_is_not_sent(
    tmp_path: Path, how: dict[str, object], kept: list[int]
) -> None:
    assert sent(tmp_path, MIXED, **how) == sorted(MIXED[n].raw for n in kept)


def test_with_host_keep_every_byte_is_as_it_was(tmp_path: Path) -> None:
    assert sent(tmp_path, MIXED) == sorted(each.raw for each in MIXED)


@pytest.mark.parametrize(
    ("how", "old", "new"),
    [
        ({"host": "other.test"}, b"shop.test", b"other.test"),
        ({"set_header": ("x-old: 22",)}, b"X-Old: 1", b"X-Old: 22"),
        ({"set_header": ("X-New: 3",)}, b"Host", b"X-New: 3\r\nHost"),
        ({"del_header": ("X-OLD",)}, b"X-Old: 1\r\n", b""),
        ({"map_path": ("^/orders=/v2/orders",)}, b"/orders", b"/v2/orders"),
        ({"map_host": ("shop.test=eu.test",)}, b"shop.test", b"eu.test"),
    ],
)
def test_a_rewrite_changes_only_its_own_bytes(
    tmp_path: Path, how: dict[str, object], old: bytes, new: bytes
) -> None:
    assert sent(tmp_path, [Request(1, 0, POST)], **how) == [POST.replace(old, new, 1)]


def test_a_bearer_comes_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STAGING_TOKEN", "of-staging")
    (raw,) = sent(tmp_path, [Request(1, 0, POST)], bearer_env="STAGING_TOKEN")
    assert b"\r\nAuthorization: Bearer of-staging\r\n" in raw


def test_a_hook_changes_and_drops_and_the_length_is_put_right(tmp_path: Path) -> None:
    hook = tmp_path / "my.py"
    hook.write_text(
        "def rewrite(request):\n"
        "    if b'/api/b' in request:\n        return None\n"
        "    return request.replace(b'hi', b'hello')\n"
    )
    wanted = POST.replace(b"hi", b"hello").replace(b"Length: 2", b"Length: 5")
    assert sent(tmp_path, MIXED, hook=str(hook)) == sorted([MIXED[0].raw, wanted, ODD])


def test_silences_can_be_shortened_and_the_tape_repeated(tmp_path: Path) -> None:
    requests = [Request(1, 0, get("/a")), Request(1, 60_000, get("/b"))]
    came = sent(tmp_path, requests, max_gap=50_000_000, loop=2)
    assert came == [get("/a"), get("/a"), get("/b"), get("/b")]


def test_a_share_of_sessions_is_the_same_every_time(tmp_path: Path) -> None:
    users = [get(f"/{n}").replace(b"\r\n\r\n", b"\r\nCookie: session=%032x\r\n\r\n" % (n + 9))
             for n in range(20)]  # fmt: skip
    requests = [Request(n, n, raw, Flag.NONE) for n, raw in enumerate(users)]
    some = sent(tmp_path, requests, sessions=0.5)
    assert some == sent(tmp_path, requests, sessions=0.5)
    assert 2 < len(some) < 18


@pytest.mark.parametrize(
    "odd",
    [
        b"",
        get("/c", "other.test"),
        get("/c", "shop.test "),
        b"GET /c HTTP/1.1\r\nHost: shop.test\r\nHost: shop.test\r\n\r\n",
        b"GET /c HTTP/1.0\r\n\r\n",
        b"GET /c HTTP/1.1\nHost: shop.test\n\n\r\n\r\n",
        b"POST /c HTTP/1.0\r\nContent-Length: 17\r\n\r\n\nHost: shop.test\r\n",
        ODD,
    ],
)
@pytest.mark.parametrize("place", [0, 2, 3])
def test_a_host_is_changed_in_many_requests_at_once_as_it_is_in_one(
    tmp_path: Path, odd: bytes, place: int
) -> None:
    raw = [get("/a"), get("/b"), POST]
    raw[place:place] = [odd] if odd else []
    tape = tape_of(tmp_path / "x.tape", [Request(n, n, each) for n, each in enumerate(raw)])
    options = ReplayOptions(target=("http://a.test:8080",))
    one = Rewriter(options)
    with Tape.open(tape) as opened:
        loader = Loader(opened, options, ["a.test:8080"])
        (made,) = loader.batches(plan_chunks(opened, options))
        with made.written.blob as blob:
            sent = bytes(blob)
    heads = [max(0, each.find(b"\r\n\r\n") + 4) if b"\r\n\r\n" in each else 0 for each in raw]
    pairs = zip(raw, heads, strict=True)
    assert sent == b"".join(one(each, head, "a.test:8080") or b"" for each, head in pairs)
    assert loader.rewriter.counts == one.counts
