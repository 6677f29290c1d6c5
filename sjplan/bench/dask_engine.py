"""The engine for many machines: Dask workers, each of which watches child processes as this machine would.

A Dask worker runs no planner itself: a task is a batch of runs that it hands to a supervised child of its own, so that
limits hold there too. Anatomies and results travel through the experiment's folder, which all machines share.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import threading
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import sjplan
from sjplan.bench.batches import BATCH_S, RunQueue
from sjplan.bench.engines import Done, do_batch
from sjplan.bench.parts import read_parts, write_part
from sjplan.bench.runs import CaseRef, Run
from sjplan.bench.supervise import Job, Supervisor, row_of
from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from distributed import Client, Future

CONNECT_S: Final = 20.0
WAIT_FOR_WORKERS_S: Final = 3600.0
"""A cluster's queue may take long to give the first of its workers."""

TASKS_PER_S: Final = 100.0
"""So many tasks a second a scheduler takes with ease; with more workers than that pays for, batches are longer."""

_LOOK_EVERY_S: Final = 1.0
_CLOSE_S: Final = 5.0

_NOTHING: Final = Done((), (), ())

_KILLED: Final = {
    "status": "killed", "error_type": "KilledWorker", "error_message": "every Dask worker that was given it died",
}  # fmt: skip

Slot = tuple[str, int]
"""A thread of a worker: its address and a number."""


class DaskEngine:
    """Workers of a Dask cluster that is there, as many as it has, also while it grows and shrinks.

    Parameters
    ----------
    address : str
        Of the scheduler, such as tcp://10.0.0.1:8786; or a scheduler file.

    Raises
    ------
    InputError
        If `dask[distributed]` is not installed.
    """

    name = "dask"
    workers = 0

    def __init__(self, address: str) -> None:
        try:
            import distributed  # noqa: F401
        except ImportError as error:
            raise InputError("--scheduler", found="no dask on this machine", wanted="dask[distributed]",
                             fix="pip install 'sjplan[batch]'") from error  # fmt: skip
        self.address = address

    def work(self, job: Job, runs: RunQueue) -> Generator[Done, None, None]:
        """See `sjplan.bench.engines.Engine.work`. Runs of a worker that is lost are done by others."""
        with self._client() as client:
            flight = _Flight(client, job, runs)
            try:
                while flight.fill():
                    self.workers = flight.workers
                    yield flight.land()
            except _Lost as error:
                raise InputError(
                    "--scheduler", found=f"{self.address}, which went away", wanted="a scheduler that stays",
                    fix="the same command goes on where this one stopped",
                ) from error  # fmt: skip
            finally:
                flight.end()

    @contextlib.contextmanager
    def _client(self) -> Iterator[Client]:
        from distributed import Client

        # Whatever happens to a scheduler is said here, in one line; its own words come until the process ends.
        for name in ("distributed", "distributed.client"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        client = None
        try:
            try:
                client = Client(self.address, timeout=CONNECT_S, set_as_default=False, name="sjplan-bench")
                client.wait_for_workers(1, timeout=WAIT_FOR_WORKERS_S)
            except (OSError, TimeoutError, ValueError) as error:
                raise InputError(
                    "--scheduler", found=f"no scheduler with workers at {self.address}", wanted="a Dask cluster",
                    fix="dask scheduler, and dask worker ADDRESS on every machine",
                ) from error  # fmt: skip
            yield client
        finally:
            if client is not None:
                with contextlib.suppress(OSError, TimeoutError):
                    client.close(timeout=_CLOSE_S)


class _Lost(Exception):
    """The scheduler went away."""


@contextlib.contextmanager
def _scheduler_there() -> Iterator[None]:
    """Turn whatever a broken connection raises into one thing."""
    try:
        yield
    except (OSError, TimeoutError, CancelledError) as error:
        raise _Lost from error


class _Flight:
    """Tasks that are under way: one for each thread of each worker, wherever the scheduler then puts it."""

    def __init__(self, client: Client, job: Job, runs: RunQueue) -> None:
        self._client, self._job, self._runs = client, job, runs
        self._tasks: dict[str, tuple[Slot, tuple[Run, ...], Future[Any]]] = {}
        self._landed: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._slots: list[Slot] = []
        self._looked = -_LOOK_EVERY_S
        self._count = 0

    def fill(self) -> bool:
        """Give every free thread a batch; False once nothing is under way and nothing is left."""
        self._look()
        taken = {slot for slot, _, _ in self._tasks.values()}
        for slot in self._slots:
            if slot not in taken:
                batch = self._runs.take(slot)
                if batch:
                    self._submit(slot, batch)
        return bool(self._tasks) or len(self._runs) > 0

    @property
    def workers(self) -> int:
        """Threads of all workers that are there."""
        return len(self._slots)

    def land(self) -> Done:
        """What the next task has done; nothing where none comes for a while."""
        try:
            key = self._landed.get(timeout=_LOOK_EVERY_S)
        except queue.Empty:
            return _NOTHING
        _, batch, future = self._tasks.pop(key)
        if future.status == "finished":
            with _scheduler_there():
                done: Done = future.result()
            self._runs.took(batch, done.seconds)
            return done
        if future.status != "error":
            raise _Lost
        return self._failed(batch, future.exception())

    def end(self) -> None:
        """Leave nothing behind: no task that waits, no process of a worker."""
        futures = [future for _, _, future in self._tasks.values()]
        with contextlib.suppress(Exception):
            self._client.cancel(futures, force=True)
        if self._client.status == "running":
            with contextlib.suppress(Exception):
                self._client.run(_close_supervisors, self._job.experiment, on_error="ignore")

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < _LOOK_EVERY_S:
            return
        self._looked = now
        if self._client.status != "running":
            raise _Lost
        with _scheduler_there():
            threads: dict[str, int] = self._client.nthreads()
        self._slots = [(address, n) for address, count in sorted(threads.items()) for n in range(count)]
        self._runs.batch_s = max(BATCH_S, len(self._slots) / TASKS_PER_S)

    def _submit(self, slot: Slot, batch: tuple[Run, ...]) -> None:
        self._count += 1
        key = f"sjplan-bench-{self._job.experiment}-{id(self)}-{self._count}"
        with _scheduler_there():
            # A task that names its worker waits for ever where that one died and was the only one; without a name it
            # goes to who is idle, mostly the one whose place it takes.
            future = self._client.submit(do_task, self._job, batch, self._runs.batch_s, key=key, pure=False)
        self._tasks[key] = slot, batch, future
        future.add_done_callback(lambda _: self._landed.put(key))

    def _failed(self, batch: tuple[Run, ...], error: Any) -> Done:
        """A batch whose workers die is tried run by run; a run whose workers die again and again gets its row."""
        from distributed import KilledWorker

        if not isinstance(error, KilledWorker):
            if isinstance(error, InputError):
                raise error
            text = " ".join(f"{type(error).__name__}: {error}".split())
            raise InputError("--scheduler", found=f"a worker that fails ({text})"[:300],
                             wanted="workers with the same sjplan and the same folder") from error  # fmt: skip
        # What a worker had done and written before it died counts: no row takes its place.
        rows = read_parts(self._job.folder).rows
        there = [run.id for run in batch if run.id in rows]
        left = [run for run in batch if run.id not in rows]
        if len(batch) > 1:
            for n, run in enumerate(left):
                self._submit(("", n), (run,))
        elif left:
            row = row_of(left[0], self._job, _KILLED)
            write_part(self._job.folder, [row])
            rows, there = {left[0].id: row}, [left[0].id]
        return Done(tuple(there), tuple(str(rows[run]["status"]) for run in there), (0.0,) * len(there))


_SUPERVISORS: Final[dict[int, Supervisor]] = {}
"""On a Dask worker: of each of its threads."""


def do_task(job: Job, runs: Sequence[Run], least_s: float) -> Done:
    """Do a batch on a Dask worker, in a child process of this thread.

    Raises
    ------
    InputError
        If this worker has another version of sjplan, or does not see what the runs need.
    """
    if job.version != sjplan.__version__:
        raise InputError("--scheduler", found=f"a worker with sjplan {sjplan.__version__}", wanted=job.version)
    _require_shared(job, runs)
    thread = threading.get_ident()
    supervisor = _SUPERVISORS.get(thread)
    if supervisor is None or supervisor.job != job:
        if supervisor is not None:
            supervisor.close()
        supervisor = _SUPERVISORS[thread] = Supervisor(job, _worker_name())
    return do_batch(job, supervisor, runs, least_s)


def _require_shared(job: Job, runs: Sequence[Run]) -> None:
    """Refuse to go on where files are missing here that are there for the runner: a row would blame the run for it."""
    if not job.folder.is_dir():
        raise InputError("--scheduler", found=f"a worker that does not see {job.folder}",
                         wanted="an --out folder that all machines share")  # fmt: skip
    if not job.home.is_dir() and any(":" in run.planner.planner for run in runs):
        raise InputError("--scheduler", found=f"a worker that does not see {job.home}",
                         wanted="planners of one's own in a folder that all machines share",
                         fix="give the command from there")  # fmt: skip
    files = {name for run in runs for name in (*_files_of(run.case), run.limits, run.catalogue, run.errors) if name}
    for name in sorted(files):
        if not Path(name).exists():
            raise InputError("--scheduler", found=f"a worker that does not see {name}",
                             wanted="bench files and cases in folders that all machines share")  # fmt: skip


def _files_of(case: CaseRef) -> tuple[str, ...]:
    """Files that a case is read from and that the runner could read; what ships is none."""
    own = case.kind == "labels" or case.source.endswith(".toml")
    return (case.source, case.names) if own and case.sha256 else ()


def _worker_name() -> str:
    """What rows call a Dask worker: nothing that names a machine."""
    from distributed import get_worker

    return "dask-" + hashlib.sha256(f"{get_worker().id} {threading.get_ident()}".encode()).hexdigest()[:8]


def _close_supervisors(experiment: str) -> None:
    for thread, supervisor in list(_SUPERVISORS.items()):
        if supervisor.job.experiment == experiment:
            supervisor.stop()
            del _SUPERVISORS[thread]
