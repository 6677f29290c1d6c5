"""The parent's side of a run: a child process that is kept while it does well, watched, and ended where it does not.

Limits hold from outside: a planner that sleeps, loops in compiled code, eats memory or dies takes its process with it,
never the experiment.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import sjplan
from sjplan.bench.child import TICK_S, Child, Ended
from sjplan.bench.rows import Row, checked
from sjplan.bench.runs import Run, RunBudget
from sjplan.bench.worker import CPU_LIMIT, MEMORY_LIMIT, WALL_LIMIT, beyond, identity
from sjplan.core.errors import InputError, SjplanError

START_LIMIT_S: Final = 300.0
PREPARE_LIMIT_S: Final = 3600.0
"""A case may take long to prepare (a phantom is built, a bound is proved); no planner waits meanwhile."""

JUDGE_LIMIT_S: Final = 600.0
_CPU_GRACE_S: Final = 1.0
"""Clocks of processes are coarse."""

TRIES: Final = 3
"""So often is a run begun whose process is ended by somebody else."""

FULL_SHARE: Final = 0.6
"""A child that holds more than this share of a run's memory before it begins is replaced by a new one."""


@dataclass(frozen=True, slots=True)
class Job:
    """What all runs of an experiment have in common.

    Parameters
    ----------
    folder : Path
        Of the experiment; the same on every machine.
    experiment, suite : str
        Id of the experiment, and name in the bench file.
    home : Path
        Folder where planners of one's own are looked for.
    version : str
        Of sjplan; workers of another one would give other rows.
    """

    folder: Path
    experiment: str
    suite: str
    home: Path = field(default_factory=Path.cwd)
    version: str = sjplan.__version__


class Stopped(Exception):
    """The supervisor was told to stop; the run that was being done has no row."""


def row_of(run: Run, job: Job, answer: Row) -> Row:
    """A whole row: what came of a run, with what it is; no answer changes what a run is.

    Raises
    ------
    SjplanError
        If the answer holds what is no value of its column.
    """
    return checked(answer | identity(run) | {"experiment": job.experiment, "suite": job.suite})


class Supervisor:
    """Does runs one after the other in a child process.

    Parameters
    ----------
    job : Job
        What the runs have in common.
    name : str
        What rows call this worker.
    """

    def __init__(self, job: Job, name: str) -> None:
        self.job, self.name = job, name
        self._child: Child | None = None
        self._stop = threading.Event()

    def do(self, run: Run) -> Row:
        """A whole row for a run, whatever becomes of it.

        Raises
        ------
        InputError
            If it cannot be done here now: nothing can be written, or no process be started.
        Stopped
            If `stop` was called.
        """
        for _ in range(TRIES):
            used = self._child is not None
            answer = self._attempt(run)
            if not _is_anothers(answer, used):
                break
        try:
            return row_of(run, self.job, answer | {"worker": self.name})
        except SjplanError as error:
            self._replace()
            rejected = {"status": "rejected", "error_type": "Rejected", "error_message": str(error)[:300]}
            return row_of(run, self.job, rejected | {"worker": self.name})

    def stop(self) -> None:
        """End what is being done and the child with it, from another thread; nothing more can be done."""
        self._stop.set()
        child = self._child
        if child is not None:
            child.end()

    def close(self) -> None:
        """End the child."""
        self._replace()

    def _replace(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _attempt(self, run: Run) -> Row:
        """One try; the child is kept only if all went well."""
        clean = False
        try:
            refused = self._prepared(run)
            if refused is not None:
                clean = True
                return refused
            row, clean = self._planned(run)
            return row
        finally:
            if not clean:
                self._replace()

    def _prepared(self, run: Run) -> Row | None:
        """A child with the case before it; or what comes of a run whose case cannot be used."""
        for last in (False, True):
            fresh = self._child is None
            child = self._started()
            child.ask("prepare", run, self.job.folder)
            try:
                message = self._heard(child, PREPARE_LIMIT_S)
            except Ended as error:
                self._replace()
                if fresh or last:
                    return error.row("while its case was prepared")
                continue
            if message is None:
                self._replace()
                return {"status": "killed", "error_type": WALL_LIMIT,
                        "error_message": f"its case took more than {PREPARE_LIMIT_S:g} s to prepare"}  # fmt: skip
            if "unwell" in message:
                raise InputError("worker", found=str(message["unwell"]), wanted="a place where files can be written",
                                 fix="make room, then give the same command again")  # fmt: skip
            if "row" in message:
                return dict(message["row"])
            if last or child.memory_mb() < FULL_SHARE * run.budget.memory_limit_mb:
                return None
            self._replace()
        return None

    def _planned(self, run: Run) -> tuple[Row, bool]:
        """What comes of the run itself, and whether its process may be kept."""
        assert self._child is not None
        child, watch = self._child, Watch(self._child, run.budget)
        child.ask("plan")
        try:
            while True:
                message = self._heard(child, TICK_S)
                if message is None:
                    limit = watch.broken()
                    if limit:
                        return beyond(limit, run.budget) | watch.measures(), False
                elif "phase" in message:
                    watch.judging()
                elif isinstance(message.get("row"), dict):
                    row = message["row"]
                    failed = row.get("status") in ("crashed", "killed", "rejected")
                    return row, message.get("clean") is True and not failed
                else:
                    return {"status": "crashed", "error_type": "ProtocolError",
                            "error_message": "its process answered what nobody asked"}, False  # fmt: skip
        except Ended as error:
            return error.row("") | watch.measures(), False

    def _started(self) -> Child:
        if self._child is None:
            self._child = Child(self.job.home)
            try:
                message = self._heard(self._child, START_LIMIT_S)
            except Ended as error:
                found = f"a process that {error.told}"
            else:
                if message is not None and "up" in message:
                    return self._child
                found = f"a process that does not come up in {START_LIMIT_S:g} s"
            self._replace()
            raise InputError("worker", found=found, wanted="a child process that runs sjplan",
                             fix="SJPLAN_DEBUG=1 shows what it says")  # fmt: skip
        return self._child

    def _heard(self, child: Child, seconds: float) -> dict[str, Any] | None:
        """The child's next message; None where none comes in time."""
        deadline = time.monotonic() + seconds
        while True:
            if self._stop.is_set():
                self._replace()
                raise Stopped
            left = deadline - time.monotonic()
            message = child.hear(max(0.0, min(left, TICK_S)))
            if message is not None or left <= 0.0:
                return message


class Uses(Protocol):
    """What can be watched."""

    def memory_mb(self) -> float:
        """Resident memory now."""
        ...

    def cpu_seconds(self) -> float:
        """Processor time so far."""
        ...


class Watch:
    """What a run uses, beside what it may use."""

    def __init__(self, child: Uses, budget: RunBudget) -> None:
        self._child, self._budget = child, budget
        self._begun = self._phase = time.monotonic()
        self._cpu = child.cpu_seconds()
        self._spent, self._seconds, self._peak = 0.0, 0.0, 0.0
        self._planning = True

    def judging(self) -> None:
        """The planner has answered: from here on its limits do not count."""
        self._planning, self._phase = False, time.monotonic()

    def broken(self) -> str:
        """Which limit is broken; empty for none."""
        now = time.monotonic()
        if not self._planning:
            return WALL_LIMIT if now - self._phase > JUDGE_LIMIT_S else ""
        self._seconds = now - self._begun
        self._peak = max(self._peak, self._child.memory_mb())
        self._spent = self._child.cpu_seconds() - self._cpu
        if self._peak > self._budget.memory_limit_mb:
            return MEMORY_LIMIT
        if self._seconds > self._budget.wall_limit_s:
            return WALL_LIMIT
        return CPU_LIMIT if self._spent > self._budget.wall_limit_s + _CPU_GRACE_S else ""

    def measures(self) -> Row:
        """Times and memory of a run that could not tell them itself."""
        return {"seconds": self._seconds, "cpu_seconds": max(self._spent, 0.0), "memory_mb": self._peak}


_FROM_OUTSIDE: Final = frozenset({"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT"})


def _is_anothers(answer: Row, used: bool) -> bool:
    """Whether a failure may be the fault of somebody else, so that the run is tried again in a fresh process.

    A process may be killed from outside, and earlier runs in the same process may have left full or broken memory.
    """
    kind = str(answer.get("error_type") or "")
    return kind in _FROM_OUTSIDE or (used and (kind == MEMORY_LIMIT or kind.startswith("SIG")))
