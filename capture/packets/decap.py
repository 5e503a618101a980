"""Decapsulation: frames of any link layer and tunnel become TCP packets; each frame has one fate.

Two paths. Frames that begin with a plain header (Ethernet with or without VLANs, cooked, raw) and
carry IPv4 or IPv6 with TCP are done by numpy, the whole batch at once: every header field is one
gather. All others go one by one through `layers.py`, which knows tunnels, extension
headers and fragments, and arrives at the same tuples.

Of the packets that carry nothing and change nothing (bare acknowledgements) a batch passes on only
the latest of each direction: it tells reassembly what must have been received, seen here or not.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from ..ledger import (
    CAPTURED_BYTES,
    CONNECTIONS,
    FRAGMENTS,
    KEPT,
    NEVER_COMPLETED,
    PACKETS,
    SAMPLED_OUT,
    Ledger,
)
from .frames import Frames, Packet
from .layers import Layers
from .links import IPV4, IPV6, LINKS, VLANS
from .tcp import FIN, RST, SYN, TCP, URG

if TYPE_CHECKING:
    from ..live.sampling import Sampler

_ENDS = SYN | FIN | RST
_MIXER = 0x9E3779B97F4A7C15
# link type -> (offset of the ethertype or -1, length of the link header)
_PLAIN = {0: (-1, 4), 1: (12, 14), 12: (-1, 0), 14: (-1, 0), 101: (-1, 0), 108: (-1, 4),
          228: (-1, 0), 229: (-1, 0)}  # fmt: skip
_MOST_VLANS = 2

BARE = "carried nothing (acknowledgements)"
OTHER_PORT = "of another port"


class Decapsulator:
    """Turns frames into TCP packets, and books what became of every frame."""

    def __init__(
        self, ledger: Ledger, ports: Collection[int] = (), sampler: Sampler | None = None
    ) -> None:
        self._ledger = ledger
        self._ports = frozenset(ports)
        self._sampler = sampler
        self._layers = Layers()

    def packets(self, frames: Frames) -> list[Packet]:
        """The TCP packets of a batch that carry something, in order."""
        import numpy as np

        count = len(frames)
        wires = np.maximum(frames.wires, frames.lengths)
        self._ledger.saw(PACKETS, count)
        self._ledger.saw(CAPTURED_BYTES, int(wires.sum()))
        if frames.link not in LINKS:
            fate = f"of link type {frames.link}, which is not read"
            self._ledger.became(PACKETS, fate, count)
            self._ledger.became(CAPTURED_BYTES, fate, int(wires.sum()))
            return []
        plain = _Plain(frames, wires, self._ports)
        found = plain.packets() if frames.link in _PLAIN else ([], np.zeros(count, bool))
        rows, done = found
        for fate, which in plain.fates.items():
            self._book(fate, which, wires)
        rest = np.flatnonzero(~done).tolist()
        if rest:
            rows = self._merge(rows, plain.order, self._one_by_one(frames, wires, rest))
        if self._sampler is not None:
            rows = self._sample(rows)
        return rows

    def close(self) -> None:
        """Book the fragments that still wait for others."""
        self._book_fragments(self._layers.fragments.pending())
        self._layers = Layers()

    @property
    def held_bytes(self) -> int:
        """What is held of fragments, in bytes."""
        return self._layers.fragments.held_bytes

    def _book(self, fate: str, which: Any, wires: Any) -> None:
        count = int(which.sum())
        if count:
            self._ledger.became(PACKETS, fate, count)
            self._ledger.became(CAPTURED_BYTES, fate, int(wires[which].sum()))

    def _one_by_one(self, frames: Frames, wires: Any, rest: list[int]) -> list[tuple[int, Packet]]:
        data, link, layers = frames.data, frames.link, self._layers
        starts, lengths = frames.starts, frames.lengths
        became = self._ledger.became
        found: list[tuple[int, Packet]] = []
        for number in rest:
            start = int(starts[number])
            frame = data[start : start + int(lengths[number])]
            wire = int(wires[number])
            fate, packet = layers.packet(link, frame, wire, int(frames.times[number]))
            if packet is not None:
                fate = self._wanted(packet)
                if fate in (KEPT, BARE):
                    found.append((number, packet))
            became(PACKETS, fate)
            became(CAPTURED_BYTES, fate, wire)
        self._book_fragments(layers.fragments.given_up)
        layers.fragments.given_up = 0
        return found

    def _wanted(self, packet: Packet) -> str:
        if self._ports and packet[3] not in self._ports and packet[4] not in self._ports:
            return OTHER_PORT
        return KEPT if _carries(packet) else BARE

    def _book_fragments(self, count: int) -> None:
        if count:
            self._ledger.book(FRAGMENTS, NEVER_COMPLETED, count)

    @staticmethod
    def _merge(
        rows: list[Packet], order: list[int], others: list[tuple[int, Packet]]
    ) -> list[Packet]:
        if not others:
            return rows
        both = [*zip(order, rows, strict=True), *others]
        both.sort(key=lambda item: item[0])
        return [row for _, row in both]

    def _sample(self, rows: list[Packet]) -> list[Packet]:
        sampler = self._sampler
        if sampler is None or sampler.whole:
            return rows
        kept = sampler.keep(rows)
        out = sum(map(_carries, rows)) - sum(map(_carries, kept))
        if out:
            # They had been counted as kept when they were decoded.
            self._ledger.became(PACKETS, KEPT, -out)
            self._ledger.became(PACKETS, SAMPLED_OUT, out)
            lost = sum(len(row[8]) + row[9] for row in rows) - sum(
                len(row[8]) + row[9] for row in kept
            )
            if lost:  # openings carry nothing
                self._ledger.book("payload bytes", SAMPLED_OUT, lost)
        if sampler.let_go:
            self._ledger.book(CONNECTIONS, SAMPLED_OUT, sampler.let_go)
            sampler.let_go = 0
        return kept


def _carries(packet: Packet) -> bool:
    """Whether a packet carries bytes, or opens or ends something."""
    return bool(packet[8] or packet[9] or packet[7] & _ENDS)


class _Plain:
    """The batch path: header fields by gathers."""

    def __init__(self, frames: Frames, wires: Any, ports: frozenset[int]) -> None:
        self._frames = frames
        self._wires = wires
        self._ports = ports
        self.fates: dict[str, Any] = {}
        self.order: list[int] = []  # numbers of the frames of the packets

    def packets(self) -> tuple[list[Packet], Any]:
        """The packets, and which frames of the batch were dealt with."""
        import numpy as np

        frames = self._frames
        size = len(frames.data)
        done = np.zeros(len(frames), bool)
        if size < 64:
            return [], done
        octets = np.frombuffer(frames.data, np.uint8)
        words = np.ndarray((size - 1,), ">u2", frames.data, strides=(1,))
        ip, kind, number = self._network(octets, words)
        rows: list[Packet] = []
        numbers: list[int] = []
        for version in (IPV4, IPV6):
            mine = np.flatnonzero(kind == version)
            if not len(mine):
                continue
            some, some_numbers = self._tcp(octets, words, ip[mine], number[mine], version, done)
            if rows:
                merged = Decapsulator._merge(
                    rows, numbers, list(zip(some_numbers, some, strict=True))
                )
                rows, numbers = merged, sorted(numbers + some_numbers)
            else:
                rows, numbers = some, some_numbers
        self.order = numbers
        return rows, done

    def _network(self, octets: Any, words: Any) -> tuple[Any, Any, Any]:
        """Where the network header of each frame is, of which kind, and the frame's number."""
        import numpy as np

        frames = self._frames
        type_at, header = _PLAIN[frames.link]
        # 60 bytes hold the longest plain header that is gathered without looking at lengths.
        number = np.flatnonzero(frames.lengths >= header + 40)
        start = frames.starts[number]
        ip = start + header
        if type_at < 0:
            nibble = octets[ip] >> 4
            return ip, np.where(nibble == 4, IPV4, np.where(nibble == 6, IPV6, 0)), number
        kind = words[start + type_at].astype(np.int64)
        for _ in range(_MOST_VLANS):
            tagged = np.isin(kind, list(VLANS)) & (ip + 44 <= start + frames.lengths[number])
            if not tagged.any():
                break
            kind[tagged] = words[ip[tagged] + 2]
            ip[tagged] += 4
        return ip, kind, number

    def _tcp(
        self, octets: Any, words: Any, ip: Any, number: Any, version: int, done: Any
    ) -> tuple[list[Packet], list[int]]:
        import numpy as np

        frames = self._frames
        end = frames.starts[number] + frames.lengths[number]
        wire_end = frames.starts[number] + self._wires[number]
        if version == IPV4:
            head = (octets[ip] & 15).astype(np.int64) * 4
            size = words[ip + 2].astype(np.int64)
            whole = (head >= 20) & (octets[ip] >> 4 == 4) & (words[ip + 6] & 0x3FFF == 0)
            protocol = octets[ip + 9]
        else:
            head = np.full(len(ip), 40, np.int64)
            size = words[ip + 4].astype(np.int64)
            size = np.where(size, size + 40, 0)
            whole = octets[ip] >> 4 == 6
            protocol = octets[ip + 6]
        # A size of zero is what segmentation offload leaves: the frame tells.
        packet_end = np.where(size == 0, wire_end, np.minimum(ip + size, wire_end))
        tcp = ip + head
        plain = whole & (protocol == TCP) & (tcp + 20 <= np.minimum(end, packet_end))
        ip, number, tcp, end = ip[plain], number[plain], tcp[plain], end[plain]
        packet_end = packet_end[plain]
        if not len(ip):
            return [], []
        payload = tcp + (octets[tcp + 12] >> 4).astype(np.int64) * 4
        good = (payload >= tcp + 20) & (payload <= packet_end)
        if not good.all():
            ip, number, tcp, end, packet_end, payload = (
                part[good] for part in (ip, number, tcp, end, packet_end, payload)
            )
        done[number] = True
        return self._rows(octets, words, ip, number, tcp, payload, end, packet_end, version)

    def _rows(
        self, octets: Any, words: Any, ip: Any, number: Any, tcp: Any, payload: Any, end: Any,
        packet_end: Any, version: int,
    ) -> tuple[list[Packet], list[int]]:  # fmt: skip
        import numpy as np

        flags = octets[tcp + 13]
        sport, dport = words[tcp], words[tcp + 2]
        carries = (packet_end > payload) | (flags & _ENDS != 0)
        self._fate(BARE, number[~carries])
        if self._ports:
            asked = np.isin(sport, list(self._ports)) | np.isin(dport, list(self._ports))
            self._fate(OTHER_PORT, number[carries & ~asked])
            self._fate(OTHER_PORT, number[~carries & ~asked])
            self.fates[BARE][number[~carries & ~asked]] = False
            carries &= asked
        self._fate(KEPT, number[carries])
        if (bare := np.flatnonzero(~carries & self._bare(number))).size:
            carries[bare[self._latest(ip[bare], tcp[bare], version)]] = True
        number, ip, tcp, payload = number[carries], ip[carries], tcp[carries], payload[carries]
        last = np.minimum(packet_end, end)[carries]
        data = self._frames.data
        longs = np.ndarray((len(data) - 3,), ">u4", data, strides=(1,))
        width = 4 if version == IPV4 else 16
        address = np.ndarray((len(data) - width + 1,), f"V{width}", data, strides=(1,))
        source = ip + (12 if version == IPV4 else 8)
        first = np.minimum(payload, last)
        tellings = flags[carries].astype(np.int64)
        if (urgent := tellings & URG != 0).any():
            tellings[urgent] |= words[tcp[urgent] + 18].astype(np.int64) << 16
        cut = packet_end[carries] - np.maximum(last, payload)
        rows = [
            (time, src, dst, sp, dp, seq, ack, flag, data[a:b], lost)
            for time, src, dst, sp, dp, seq, ack, flag, a, b, lost in zip(
                self._frames.times[number].tolist(), address[source].tolist(),
                address[source + width].tolist(), sport[carries].tolist(),
                dport[carries].tolist(), longs[tcp + 4].tolist(), longs[tcp + 8].tolist(),
                tellings.tolist(), first.tolist(), last.tolist(), cut.tolist(),
                strict=True,
            )
        ]  # fmt: skip
        return rows, number.tolist()

    def _bare(self, number: Any) -> Any:
        """Which of some frames were booked as bare acknowledgements."""
        return self.fates[BARE][number]

    def _latest(self, ip: Any, tcp: Any, version: int) -> Any:
        """The latest packet of each direction of a connection, told by a hash of its ends."""
        import numpy as np

        data = self._frames.data
        longs = np.ndarray((len(data) - 3,), ">u4", data, strides=(1,))
        at, width = (ip + 12, 4) if version == IPV4 else (ip + 8, 16)
        mixed = longs[tcp].astype(np.uint64)  # both ports
        for place in range(0, 2 * width, 4):
            mixed = (mixed ^ longs[at + place]) * _MIXER
            mixed ^= mixed >> np.uint64(29)
        _, latest = np.unique(mixed[::-1], return_index=True)
        return len(mixed) - 1 - latest

    def _fate(self, fate: str, numbers: Any) -> None:
        import numpy as np

        if fate not in self.fates:
            self.fates[fate] = np.zeros(len(self._frames), bool)
        self.fates[fate][numbers] = True
