"""Tapes of past versions stay readable: a file of each version is kept in samples/tapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from capture.exchange import Kind
from capture.tape import Tape

TAPES = Path(__file__).parents[2] / "samples" / "tapes"


@pytest.mark.parametrize("path", sorted(TAPES.glob("v*.tape")), ids=lambda path: path.stem)
def test_a_tape_of_each_version_reads_whole_with_its_ledger(path: Path) -> None:
    with Tape.open(path, strict=True) as tape:
        assert tape.header.version == int(path.stem[1:])
        assert not tape.verify()
        assert not tape.losses
        assert tape.ledger.count("exchanges") == tape.exchange_count > 0
        assert not tape.ledger.imbalances()


def test_the_first_tape_has_what_its_generator_put_on_the_wire() -> None:
    with Tape.open(TAPES / "v1.tape") as tape:
        columns = list(tape.columns(["kind", "status", "request_bytes"]))
        kinds = np.concatenate([np.asarray(block["kind"]) for block in columns])
        sizes = np.concatenate([np.asarray(block["request_bytes"]) for block in columns])
        payloads = list(tape.payloads(np.arange(tape.exchange_count)))
    assert len(payloads) == 64
    assert sum(kinds == Kind.MALFORMED) > 0
    whole = [payload for payload in payloads if payload.request.startswith(b"GET /products/")]
    assert len(whole) > 40
    assert all(b"Host: shop.example\r\n" in payload.request for payload in whole[:10])
    assert all(len(p.request) == size for p, size in zip(payloads, sizes, strict=True))
