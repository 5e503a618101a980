"""Tapes made from tapes: a part of the time, of the exchanges, or several tapes as one.

The bytes have been through the sanitizer when they were first written; here they are only moved.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ..columns import CONNECTIONS, EXCHANGES
from ..errors import TapeError
from ..ledger import EXCHANGES as UNIT
from ..ledger import KEPT, Ledger
from ..selector import asked_for
from .block import Array, Text
from .format import TapeHeader, order_ns
from .order import Columns, numbers, take
from .reader import Tape
from .writer import TapeWriter

_ALL = [column.name for column in EXCHANGES]
_ALL_CONNECTIONS = [column.name for column in CONNECTIONS]
Keep = Callable[[Columns], Array]


def _copy(tape: Tape, writer: TapeWriter, keep: Keep, shift: int = 0, delay_ns: int = 0) -> None:
    """Copy the rows that `keep` marks (and the connections they belong to) into another tape.

    `shift` is added to connection numbers and `delay_ns` to every time. Which share of the
    connections was kept goes along: what is sampled would else pass for the whole.
    """
    for since_ns, rate in tape.rates:
        writer.note_rate(since_ns + delay_ns, rate)
    kept: set[int] = set()
    for number, place in enumerate(tape.blocks):
        rows = next(tape.columns(_ALL, number, number + 1), None) if place.rows else None
        if rows is None:
            continue
        mask = keep(rows)
        if not mask.any():
            continue
        kept.update(numbers(rows["connection"])[mask].tolist())
        stored = tape.block_heap(number)
        if stored is None:
            continue
        some = {name: take(column, mask) for name, column in rows.items()}
        heap, pieces = _move_payload(some, *stored)
        pieces[:, 1] += delay_ns
        _move(some, shift, delay_ns, [c.name for c in EXCHANGES if c.name.endswith("_ns")])
        writer.write_block(some, {}, heap, pieces)
    for ended in tape.connections(_ALL_CONNECTIONS):
        mask = np.isin(numbers(ended["connection"]), np.fromiter(kept, np.int64, len(kept)))
        if mask.any():
            some = {name: take(column, mask) for name, column in ended.items()}
            _move(some, shift, delay_ns, ["opened_ns", "closed_ns"])
            writer.write_block({}, some)


def cut(
    tape: Tape,
    path: Path,
    start_ns: int | None,
    end_ns: int | None,
    recipients: Sequence[str] = (),
) -> TapeWriter:
    """A tape of what began between two times."""
    low = -(1 << 62) if start_ns is None else start_ns
    high = 1 << 62 if end_ns is None else end_ns

    def keep(rows: Columns) -> Array:
        times = order_ns(rows, len(rows["connection"]))
        return (times >= low) & (times < high)

    return _derive(tape, path, keep, recipients)


def filter_tape(
    tape: Tape,
    path: Path,
    only: Sequence[str],
    status: str | None,
    min_latency_ns: int | None,
    recipients: Sequence[str] = (),
) -> TapeWriter:
    """A tape of the exchanges that match all that is asked for."""

    def keep(rows: Columns) -> Array:
        mask = np.ones(len(rows["connection"]), dtype=bool)
        if only:
            mask &= _matching(rows["method"], rows["target"], only)
        if status is not None:
            mask &= _status_matches(numbers(rows["status"]), status)
        if min_latency_ns is not None:
            last, first = numbers(rows["response_last_ns"]), numbers(rows["request_first_ns"])
            mask &= (last >= 0) & (last - first >= min_latency_ns)
        return mask

    return _derive(tape, path, keep, recipients)


def merge(
    tapes: Sequence[Tape],
    path: Path,
    offsets_ns: Sequence[int],
    apart: bool = False,
    recipients: Sequence[str] = (),
) -> TapeWriter:
    """Several tapes as one, in order of time when read; clocks put right by `offsets_ns`.

    Connections get numbers of their own. With `apart`, equal pseudonyms of clients and sessions
    in different tapes are made different ones.
    """
    header = TapeHeader.from_dict(vars(tapes[0].header))
    header.source = " + ".join(tape.header.source or str(tape.files[0].path.name) for tape in tapes)
    header.level = min((tape.header.level for tape in tapes), key=_LEVELS.index)
    header.created_ns += offsets_ns[0]
    writer = _begin(tapes, path, header, recipients)
    shift = 0
    total = tapes[0].ledger
    for number, (tape, offset) in enumerate(zip(tapes, offsets_ns, strict=True)):
        salt = np.uint64(0x9E3779B97F4A7C15 * number & (1 << 64) - 1) if apart else np.uint64(0)

        def keep(rows: Columns, salt: np.uint64 = salt) -> Array:
            for name in ("client", "session"):
                rows[name] = numbers(rows[name]) ^ salt
            return np.ones(len(rows["connection"]), dtype=bool)

        _copy(tape, writer, keep, shift, offset)
        shift += _connections_of(tape)
        if number:
            total.add(tape.ledger)
        _book(total, "unreadable", _unread(tape))
    writer.close(total)
    return writer


_LEVELS = ["none", "standard", "strict"]  # the least careful first


def _matching(method: Array | Text, target: Array | Text, patterns: Sequence[str]) -> Array:
    if not isinstance(method, Text) or not isinstance(target, Text):
        raise TypeError("method and target are text columns")
    found: Array = asked_for(method, target, patterns)
    return found


def statuses(wanted: str) -> list[tuple[int, int]]:
    """The first and last status of each of `503`, `5xx`, `4xx,5xx` … TapeError for others."""
    found: list[tuple[int, int]] = []
    for each in wanted.lower().split(","):
        if re.fullmatch(r"[1-5]xx", each.strip()):
            hundred = 100 * int(each.strip()[0])
            found.append((hundred, hundred + 99))
        elif re.fullmatch(r"\d{3}", each.strip()):
            found.append((int(each), int(each)))
        else:
            raise TapeError(f"{each!r} is no status; write 503 or 5xx.")
    return found


def _status_matches(status: Array, wanted: str) -> Array:
    mask = np.zeros(len(status), dtype=bool)
    for first, last in statuses(wanted):
        mask |= (first <= status) & (status <= last)
    return mask


def _begin(
    tapes: Sequence[Tape], path: Path, header: TapeHeader, recipients: Sequence[str]
) -> TapeWriter:
    """A writer that encrypts for the recipients; what was encrypted is never written in plain."""
    files = [file for tape in tapes for file in tape.files]
    if any(file.path.resolve() == path.resolve() for file in files):
        raise TapeError(f"{path}: is a tape that is read; give another path with -o.")
    directories = [tape.directory.resolve() for tape in tapes if tape.directory]
    if path.suffix == ".tape" and path.resolve().parent in directories:
        raise TapeError(f"{path}: would be part of the tape that is read; write it elsewhere.")
    if any(file.header.sealed_key for file in files) and not recipients:
        raise TapeError(
            f"{files[0].path}: is encrypted; say with --encrypt-to who may read the new tape."
        )
    header.sealed_key = b""
    cipher = None
    if recipients:
        from .seal import new_cipher

        # A new key: the numbers of sections begin anew, and a nonce must never come twice.
        cipher, header.sealed_key = new_cipher(recipients)
    return TapeWriter(path, header, cipher=cipher)


def _derive(tape: Tape, path: Path, keep: Keep, recipients: Sequence[str]) -> TapeWriter:
    writer = _begin([tape], path, TapeHeader.from_dict(vars(tape.header)), recipients)
    _copy(tape, writer, keep)
    ledger = tape.ledger
    unread = _unread(tape)
    counted = tape.exchange_count + tape.missing_count
    _book(ledger, "unreadable", unread)
    _book(ledger, "cut away", counted - unread - writer.exchanges)
    writer.close(ledger)
    return writer


def _unread(tape: Tape) -> int:
    """How many exchanges of a tape that was copied lay in blocks that cannot be read."""
    return sum(loss.exchanges or 0 for loss in tape.losses)


def _book(ledger: Ledger, fate: str, count: int) -> None:
    """Exchanges that were kept once, and are not in the new tape."""
    if count:
        ledger.became(UNIT, KEPT, -count)
        ledger.became(UNIT, fate, count)


def _move_payload(rows: Columns, heap: bytes, pieces: Array) -> tuple[bytes, Array]:
    """The heap and pieces of the chosen rows alone; their offsets are put right in `rows`."""
    parts: list[bytes] = []
    for at, kept in (("request_at", "request_kept"), ("response_at", "response_kept")):
        begin = sum(map(len, parts))
        starts, sizes = numbers(rows[at]).tolist(), numbers(rows[kept]).tolist()
        parts += [heap[s : s + n] for s, n in zip(starts, sizes, strict=True)]
        rows[at] = begin + np.concatenate(([0], np.cumsum(numbers(rows[kept]))[:-1]))
    counts = numbers(rows["pieces"])
    chosen = list(_ranges(numbers(rows["pieces_at"]).tolist(), counts.tolist()))
    rows["pieces_at"] = np.concatenate(([0], np.cumsum(counts, dtype=np.int64)[:-1]))
    return b"".join(parts), pieces[np.array(chosen, dtype=np.int64)].copy()


def _ranges(starts: list[int], sizes: list[int]) -> Iterator[int]:
    for start, size in zip(starts, sizes, strict=True):
        yield from range(start, start + size)


def _move(rows: Columns, shift: int, delay_ns: int, times: Sequence[str]) -> None:
    rows["connection"] = numbers(rows["connection"]) + shift
    for name in times if delay_ns else ():
        if name not in ("connect_ns", "tls_ns", "recorded_service_ns"):  # durations
            data = numbers(rows[name])
            rows[name] = np.where(data >= 0, data + delay_ns, data)


def _connections_of(tape: Tape) -> int:
    most = [int(numbers(block["connection"]).max()) for block in tape.columns(["connection"])]
    most += [int(numbers(block["connection"]).max()) for block in tape.connections(["connection"])]
    return max(most, default=-1) + 1
