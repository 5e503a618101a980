"""Evidence that may be looked at whenever one likes: money won by betting that something is worse.

Block after block a bounded number X in [−1, 1] is seen. The hypothesis is that, given all that was
before, it is no more than the budget b on average: E[X | past] ≤ b. Whoever starts with 1 and
stakes the share λ has, after a block, 1 + λ(X − b)/(1 + b) times as much, which is never negative
for λ ≤ 1, and under the hypothesis does not grow on average. So neither does any mixture of such
players: over stakes λ, and over the block with which a player begins to bet (what goes bad late is
found by those who came late; one half of the money is there from the beginning, the rest comes in
equal parts). With W the money at stake and U what waits:

    W(t) = (W(t−1) + u(t)) · (1 + λ(X(t) − b)/(1 + b)),  U(t) = U(t−1) − u(t)
    e(t) = mean over λ of W(t) + U(t)

By Ville's inequality P(e ever reaches 1/α) ≤ α, however often one looks and whenever one stops.

Ville 1939; Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting"
(JRSS B 2024) for the stakes; Shin, Ramdas and Rinaldo, "E-detectors" (2022) for late beginnings.
"""

from __future__ import annotations

STAKES = (0.15, 0.5, 0.95)
AT_ONCE = 0.5  # of the money is at stake from the first block on


class Bets:
    """The money of one subject in one step of about so many blocks. `add`; `worth` is e(t)."""

    def __init__(self, budget: float, blocks: int) -> None:
        self._budget = budget
        self._later = (1 - AT_ONCE) / max(1, blocks - 1)
        self._waiting = 1.0
        self._staked = [0.0] * len(STAKES)
        self.blocks = 0
        self.total = 0.0

    def add(self, worse: float) -> None:
        """One block: by how much the candidate was worse, from −1 to 1."""
        if not -1 <= worse <= 1:
            raise ValueError(f"{worse} is no difference of shares")
        fresh = AT_ONCE if not self.blocks else min(self._later, self._waiting)
        self._waiting -= fresh
        gain = (worse - self._budget) / (1 + self._budget)
        self._staked = [
            (money + fresh) * (1 + stake * gain)
            for money, stake in zip(self._staked, STAKES, strict=True)
        ]
        self.blocks += 1
        self.total += worse

    @property
    def worth(self) -> float:
        """What 1 has become."""
        return sum(self._staked) / len(STAKES) + self._waiting

    @property
    def mean(self) -> float:
        """By how much it was worse, on average over blocks."""
        return self.total / self.blocks if self.blocks else 0.0
