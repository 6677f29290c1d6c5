"""The parent's side of a run: a child process that is kept while it does well, watched, and ended where it does not.

Limits hold from outside: a planner that sleeps, loops in compiled code, eats memory or dies takes its process with it,
never the experiment.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import psutil

import sjplan
from sjplan.bench.rows import Row, checked
from sjplan.bench.runs import Run, RunBudget
from sjplan.bench.worker import CPU_LIMIT, MEMORY_LIMIT, WALL_LIMIT, beyond, identity
from sjplan.core.errors import InputError, SjplanError
from sjplan.io.processes import ONE_THREAD

TICK_S: Final = 0.05
"""How often a child is looked at: one that eats memory gets some hundred megabytes in that time."""

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

_CHILDREN_EVERY_S, _CHILDREN_SHARE = 0.5, 0.02
"""A child's own children are looked for so often, and for at most this share of the time: it means reading all
processes."""

_CHILD: Final = "from sjplan.bench.worker import main; main()"


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
            except _Ended as error:
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
        except _Ended as error:
            return error.row("") | watch.measures(), False

    def _started(self) -> Child:
        if self._child is None:
            self._child = Child(self.job.home)
            try:
                message = self._heard(self._child, START_LIMIT_S)
            except _Ended as error:
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


class _Ended(Exception):
    """The child is gone."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    @property
    def told(self) -> str:
        return f"was ended by {_signal_name(-self.code)}" if self.code < 0 else f"ended itself with code {self.code}"

    def row(self, when: str) -> Row:
        """What comes of the run that was being done: a signal comes from outside, an exit from the planner."""
        killed = self.code < 0
        return {
            "status": "killed" if killed else "crashed",
            "error_type": _signal_name(-self.code) if killed else "Exit",
            "error_message": f"its process {self.told} {when}".rstrip(),
        }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _of(process: psutil.Process, measure: Callable[[psutil.Process], float]) -> float:
    """A measure of a process; nothing where it is gone."""
    try:
        return float(measure(process))
    except psutil.Error:
        return 0.0


class Child:
    """A process that does runs, in a session of its own, with one thread for every library.

    Parameters
    ----------
    home : Path
        Folder where planners of one's own are looked for.
    """

    def __init__(self, home: Path) -> None:
        # Hashes of text differ from process to process otherwise, and with them the order of sets.
        environment = os.environ | ONE_THREAD | {"PYTHONHASHSEED": "0"}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=None if os.environ.get("SJPLAN_DEBUG") else subprocess.DEVNULL,
                cwd=home if home.is_dir() else None, env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise InputError("worker", found=f"{error.strerror}", wanted="a process more",
                             fix="fewer --workers, or end other programs") from error  # fmt: skip
        self._looked = psutil.Process(self._process.pid)
        self._children: list[psutil.Process] = []
        self._children_at = 0.0
        self._over = False
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, *request: object) -> None:
        """Send a request; that the child is gone is found out when it is listened to."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(pickle.dumps(request))
            self._process.stdin.flush()

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """Its next message, None where none comes in time.

        Raises
        ------
        _Ended
            If it is gone.
        """
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            if self._process.poll() is None:
                return None
            # A process that it left behind may hold the pipe open, and the last message be on its way.
            try:
                message = self._messages.get(timeout=TICK_S)
            except queue.Empty:
                message = None
        if message is None:
            raise _Ended(self._process.wait())
        return message

    def memory_mb(self) -> float:
        """Resident memory of it and of all that it has started."""
        return sum(_of(process, lambda p: p.memory_info().rss) for process in self._family()) / 2**20

    def cpu_seconds(self) -> float:
        """Processor time of it and of all that it has started."""
        return sum(_of(process, lambda p: sum(p.cpu_times()[:4])) for process in self._family())

    def end(self) -> None:
        """End it and all that it has started."""
        if self._process.returncode is not None and self._over:
            return
        self._over = True
        with contextlib.suppress(psutil.Error):
            for process in self._looked.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    process.kill()
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _family(self) -> list[psutil.Process]:
        now = time.monotonic()
        if now >= self._children_at:
            with contextlib.suppress(psutil.Error):
                self._children = self._looked.children(recursive=True)
            took = time.monotonic() - now
            self._children_at = now + max(_CHILDREN_EVERY_S, took / _CHILDREN_SHARE)
        return [self._looked, *self._children]

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError), self._process.stdout as lines:
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    message = {}
                self._messages.put(message if isinstance(message, dict) else {})
        self._messages.put(None)
