"""Pure: how many retries a worker grants itself: a share of its requests, and a few more, so that one run alone may."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

SHARE: Final = 0.2
"""Retries for each request of the last while."""
FLOOR: Final = 10.0
"""Retries beyond that share."""
WHILE: Final = 60.0
"""Seconds after which a request, or a retry, counts for a third (1/e) of what it did."""


@dataclass(frozen=True, slots=True)
class RetryBudget:
    """Requests and retries of one model in one worker, as they count at ``at`` (monotonic seconds): they fade."""

    requests: float = 0.0
    retries: float = 0.0
    at: float = 0.0

    def requested(self, now: float) -> RetryBudget:
        """A call begins."""
        faded = self._faded(now)
        return RetryBudget(faded.requests + 1, faded.retries, faded.at)

    def retried(self, now: float) -> RetryBudget:
        """One of them is tried again, or will be when ``wait`` is over: it counts from now on."""
        faded = self._faded(now)
        return RetryBudget(faded.requests, faded.retries + 1, faded.at)

    def wait(self, now: float) -> float:
        """Seconds until there is room for one more retry; 0: there is."""
        faded = self._faded(now)
        beyond = faded.retries + 1 - SHARE * faded.requests
        return WHILE * math.log(beyond / FLOOR) if beyond > FLOOR else 0.0

    def _faded(self, now: float) -> RetryBudget:
        left = math.exp(-max(0.0, now - self.at) / WHILE)
        return RetryBudget(self.requests * left, self.retries * left, max(now, self.at))


class RetryBudgets:
    """The budgets of a worker, by model. ``now`` is in monotonic seconds."""

    def __init__(self) -> None:
        self._by_model: dict[str, RetryBudget] = {}

    def requested(self, model: str, now: float) -> None:
        """A call of ``model`` begins: its first attempt."""
        self._by_model[model] = self._of(model).requested(now)

    def retried(self, model: str, now: float) -> None:
        """A call of ``model`` will be tried again."""
        self._by_model[model] = self._of(model).retried(now)

    def wait(self, model: str, now: float) -> float:
        """Seconds until ``model`` may be tried once more; 0: now."""
        return self._of(model).wait(now)

    def _of(self, model: str) -> RetryBudget:
        return self._by_model.get(model, _FRESH)


_FRESH: Final = RetryBudget()
