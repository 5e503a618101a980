"""Taking payment: a desk that must charge an order once, though the bank takes its time.

A careful desk marks the order as being paid before it asks the bank, and refuses whoever comes with
the same order meanwhile or soon after (409). With the race it looks whether the order was charged,
asks the bank, and only then notes the charge: two clicks within the bank's time are charged twice.
"""

from __future__ import annotations

import time

from .bank import REMEMBERED_SECONDS, Order, Receipt, Teller


class AlreadyPaid(Exception):
    """The order has been charged, or is being charged."""


class Desk:
    """Charges each order once, unless it has the race."""

    def __init__(self, bank: Teller, race: bool) -> None:
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
