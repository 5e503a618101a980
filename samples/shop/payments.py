"""Taking payment: a bank that takes its time, and a desk that must charge an order once.

A careful desk marks the order as being paid before it asks the bank, and refuses whoever comes with
the same order meanwhile or soon after (409). With the race it looks whether the order was charged,
asks the bank, and only then notes the charge: two clicks within the bank's time are charged twice.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

BANK_SECONDS = 0.060
REMEMBERED_SECONDS = 2.0
"""How long an order is known: the same payment later than that is another purchase."""

Order = tuple[str, int]


class AlreadyPaid(Exception):
    """The order has been charged, or is being charged."""


@dataclass(frozen=True)
class Receipt:
    """What the bank gives for a charge; a second charge of an order says so."""

    number: int
    charges_of_order: int


@dataclass
class Bank:
    """The third party: slow, and quite willing to charge twice."""

    slower_seconds: float
    receipts: int = 0
    recent: deque[tuple[float, Order]] = field(default_factory=deque)

    async def charge(self, order: Order) -> Receipt:
        await asyncio.sleep(BANK_SECONDS + self.slower_seconds)
        now = time.monotonic()
        self.receipts += 1
        self.recent.append((now, order))
        while self.recent[0][0] < now - REMEMBERED_SECONDS:
            self.recent.popleft()
        return Receipt(self.receipts, sum(order == charged for _, charged in self.recent))


class Desk:
    """Charges each order once, unless it has the race."""

    def __init__(self, bank: Bank, race: bool) -> None:
        self._bank = bank
        self._race = race
        self._known: dict[Order, float] = {}

    async def pay(self, order: Order) -> Receipt:
        """Charge an order; `AlreadyPaid` if that was done."""
        self._forget_old()
        if order in self._known:
            raise AlreadyPaid
        if self._race:
            receipt = await self._bank.charge(order)
            self._known[order] = time.monotonic()
            return receipt
        self._known[order] = time.monotonic()
        try:
            return await self._bank.charge(order)
        except BaseException:
            del self._known[order]
            raise

    def _forget_old(self) -> None:
        horizon = time.monotonic() - REMEMBERED_SECONDS
        for order, since in list(self._known.items()):
            if since > horizon:
                break
            del self._known[order]
