"""Who does the runs: one small interface, and the engine that uses processes of this machine."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Protocol

from sjplan.bench.batches import BATCH_S, RunQueue
from sjplan.bench.parts import write_part
from sjplan.bench.rows import Row
from sjplan.bench.runs import Run
from sjplan.bench.supervise import Job, Stopped, Supervisor
from sjplan.core.errors import InputError


class Engine(Protocol):
    """What the runner asks for; whoever implements it writes every row into a part before telling of it."""

    name: str
    workers: int

    def work(self, job: Job, runs: RunQueue) -> Generator[Done, None, None]:
        """Do all runs, in any order; they come when their rows are safe. Closing the iterator stops the work.

        Raises
        ------
        InputError
            If the work cannot go on. What has been written counts.
        """
        ...


@dataclass(frozen=True, slots=True)
class Done:
    """Runs that were done and whose rows are safe: ids, statuses, and the seconds that each took, all told."""

    runs: tuple[str, ...]
    statuses: tuple[str, ...]
    seconds: tuple[float, ...]


def do_batch(job: Job, worker: Supervisor, runs: Sequence[Run], least_s: float = BATCH_S) -> Done:
    """Do runs one after the other and write their rows: together where they are quick, else each when it is done.

    Raises
    ------
    InputError
        If nothing can be written.
    Stopped
        If the worker was stopped; what was done by then is written.
    """
    rows: list[Row] = []
    seconds: list[float] = []
    written, written_at = 0, time.monotonic()
    try:
        for run in runs:
            begun = time.monotonic()
            rows.append(worker.do(run))
            seconds.append(time.monotonic() - begun)
            if time.monotonic() - written_at >= least_s:
                write_part(job.folder, rows[written:])
                written, written_at = len(rows), time.monotonic()
    finally:
        if rows[written:]:
            write_part(job.folder, rows[written:])
    return Done(tuple(str(r["run"]) for r in rows), tuple(str(r["status"]) for r in rows), tuple(seconds))


class ProcessEngine:
    """Processes of this machine: each of so many threads watches one, which is replaced when it fails.

    Parameters
    ----------
    workers : int
        Runs that are done at the same time.

    Raises
    ------
    InputError
        For less than one.
    """

    name = "processes"

    def __init__(self, workers: int) -> None:
        if workers < 1:
            raise InputError("--workers", found=str(workers), wanted="1 or more")
        self.workers = workers

    def work(self, job: Job, runs: RunQueue) -> Generator[Done, None, None]:
        """See `Engine.work`."""
        count = min(self.workers, max(1, len(runs)))
        supervisors = [Supervisor(job, str(n + 1)) for n in range(count)]
        done: _Results = queue.SimpleQueue()
        threads = [threading.Thread(target=_work, args=(job, runs, s, done), daemon=True) for s in supervisors]
        for thread in threads:
            thread.start()
        try:
            working = count
            while working:
                result = done.get()
                if result is None:
                    working -= 1
                elif isinstance(result, BaseException):
                    raise result
                else:
                    yield result
        finally:
            for supervisor in supervisors:
                supervisor.stop()
            for thread in threads:
                thread.join()


_Results = queue.SimpleQueue[Done | BaseException | None]
"""Of a worker's thread: what it has done, what stopped it, or None when it has nothing more to do."""


def _work(job: Job, runs: RunQueue, supervisor: Supervisor, done: _Results) -> None:
    """One worker's thread: batch after batch until none is left."""
    try:
        while batch := runs.take(supervisor.name):
            result = do_batch(job, supervisor, batch)
            runs.took(batch, result.seconds)
            done.put(result)
        done.put(None)
    except Stopped:
        done.put(None)
    except BaseException as error:
        done.put(error)
    finally:
        supervisor.close()
