"""Which runs are done next by whom: runs of one case together, in batches that are worth their hand-over."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable, Iterable
from typing import Final

from sjplan.bench.runs import CaseRef, Run

BATCH_S: Final = 0.5
"""A batch takes at least about so long: handing one over costs milliseconds, and a crash costs at most the batch."""

MOST: Final = 256
"""Runs in a batch, however quick they are."""

_WEIGHT: Final = 0.3
"""Of the newest time in a planner's mean: batches soon follow where a planner gets slower."""

_CaseName = tuple[str, str]


class RunQueue:
    """Runs that are left, given out in batches; may be asked by several threads.

    Whoever comes gets runs of the case that he had before, so that an anatomy is loaded seldom; then a case that
    nobody has; and where there is none left, some of the case with the most runs. How many make a batch follows from
    the time that each planner has taken so far. Rows do not depend on any of this.

    Parameters
    ----------
    runs : iterable of Run
        In the order in which they are to be done, by and large.
    batch_s : float
        Least time that a batch is meant to take.
    """

    def __init__(self, runs: Iterable[Run], batch_s: float = BATCH_S) -> None:
        self._lock = threading.Lock()
        self._left: dict[_CaseName, deque[Run]] = {}
        for run in runs:
            self._left.setdefault(_name(run.case), deque()).append(run)
        self._fresh = deque(self._left)
        self._case_of: dict[Hashable, _CaseName] = {}
        self._seconds: dict[str, float] = {}
        self.batch_s = batch_s

    def __len__(self) -> int:
        with self._lock:
            return sum(map(len, self._left.values()))

    def take(self, who: Hashable) -> tuple[Run, ...]:
        """The next batch for somebody; empty where nothing is left."""
        with self._lock:
            case = self._case_of.get(who)
            if case is None or case not in self._left:
                case = self._next_case()
                if case is None:
                    self._case_of.pop(who, None)
                    return ()
                self._case_of[who] = case
            return self._batch(case)

    def took(self, runs: Iterable[Run], seconds: Iterable[float]) -> None:
        """Learn from runs that were done how long each of their planners takes."""
        with self._lock:
            for run, took in zip(runs, seconds, strict=True):
                before = self._seconds.get(run.planner.name, took)
                self._seconds[run.planner.name] = before + _WEIGHT * (took - before)

    def _next_case(self) -> _CaseName | None:
        while self._fresh:
            case = self._fresh.popleft()
            if case in self._left:
                return case
        return max(self._left, key=lambda case: len(self._left[case]), default=None)

    def _batch(self, case: _CaseName) -> tuple[Run, ...]:
        """Runs from the front of a case: as many as make the time; one where a planner's time is not known."""
        left, batch, seconds = self._left[case], list[Run](), 0.0
        while left and seconds < self.batch_s and len(batch) < MOST:
            batch.append(left.popleft())
            seconds += self._seconds.get(batch[-1].planner.name, self.batch_s)
        if not left:
            del self._left[case]
        return tuple(batch)


def _name(case: CaseRef) -> _CaseName:
    return case.key, case.sha256
