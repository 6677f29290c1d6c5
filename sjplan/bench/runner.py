"""From a bench file to results: what is left is done, part by part, and can be stopped at any moment."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import platform
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.bench.batches import RunQueue
from sjplan.bench.parts import EXPERIMENT, Parts, clear_unfinished, read_parts
from sjplan.bench.plan_runs import runs_of
from sjplan.bench.planners import load_planner
from sjplan.bench.rows import result_hash
from sjplan.bench.runs import Run
from sjplan.core.errors import InputError
from sjplan.io.atomic import write_bytes, write_text
from sjplan.io.benchfiles import BenchFile, bench_path, read_bench
from sjplan.io.phantom_tables import prefixed
from sjplan.io.planfile import versions
from sjplan.io.processes import sole_writer
from sjplan.io.results import commit

if TYPE_CHECKING:
    from sjplan.bench.engines import Engine

SCHEMA: Final = "sjplan.bench/1"
BENCH_FILE: Final = "bench.toml"
_BEFORE: Final = frozenset({BENCH_FILE, "anatomies", "bounds"})
"""What a folder may hold before an experiment is begun in it: what is the same for every experiment may be copied."""

EXTRA: Final = ("duckdb", "psutil")
"""What runs and results need beyond what sjplan always has."""


@dataclass(frozen=True, slots=True)
class BenchRequest:
    """What is asked of `sjplan bench run`: so many processes of this machine, or the Dask scheduler at an address."""

    bench: str
    out: Path
    workers: int = 1
    scheduler: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far an experiment has come: runs that have a row, of all, and what `session` has done in `seconds`."""

    done: int
    wanted: int
    session: int
    seconds: float
    workers: int
    statuses: Mapping[str, int]

    @property
    def rate(self) -> float:
        """Runs a second in this session; 0 where none is done."""
        return self.session / self.seconds if self.seconds > 0.0 else 0.0

    @property
    def left_s(self) -> float:
        """Seconds that the rest takes at that rate; infinite where it is not known."""
        left = self.wanted - self.done
        return left / self.rate if self.rate > 0.0 else (float("inf") if left else 0.0)


@dataclass(frozen=True, slots=True)
class BenchEnd:
    """What became of it: rows that were there and rows that were made, how runs ended, what was found."""

    experiment: str
    wanted: int
    kept: int
    made: int
    statuses: Mapping[str, int]
    result_hash: str
    results: Path


def run_bench(
    request: BenchRequest, tell: Callable[[Progress], None], note: Callable[[str], None]
) -> BenchEnd:  # fmt: skip
    """Do every run of a bench file that has no row yet, and put all rows into the results file.

    Parameters
    ----------
    request : BenchRequest
        What is asked.
    tell : callable
        Told how far the work has come.
    note : callable
        Told in one line what a user should know: parts that are damaged, an experiment that goes on.

    Raises
    ------
    SjplanError
        In one line: for a bench file that cannot be used, a folder that is another experiment's or that another run
        is writing to, a disk that is full, a scheduler that goes away. Rows that were made by then stay.
    """
    _check_machine()
    bench = read_bench(request.bench)
    if not request.scheduler:  # whose workers may have modules and programs that this machine has not
        _check_own_planners(bench, bench_path(request.bench).name)
    text = bench_path(request.bench).read_bytes()
    runs = runs_of(bench)
    wanted = {run.id: run for run in runs}
    if len(wanted) < len(runs):
        raise InputError(request.bench, found=f"{len(runs) - len(wanted)} runs twice", wanted="runs that differ")
    engine = _engine(request)
    with sole_writer(request.out.resolve()) as folder:
        clear_unfinished(folder)
        experiment = _opened(folder, bench.name, text, wanted, engine, note)
        before = _parts(folder, wanted, note)
        _work(folder, experiment, bench.name, [run for run in runs if run.id not in before.rows], engine,
              _Tally(len(runs), before), tell)  # fmt: skip
        return _finished(folder, experiment, wanted, len(before.rows))


def _check_machine() -> None:
    if os.name != "posix":
        raise InputError("sjplan bench", found=f"the system {os.name}", wanted="Linux or macOS")
    missing = [name for name in EXTRA if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError("sjplan bench", found=f"no {' and no '.join(missing)}", wanted="the extra batch",
                         fix="pip install 'sjplan[batch]'")  # fmt: skip


def _check_own_planners(bench: BenchFile, file: str) -> None:
    """Make each planner that is no id once: a name with a slip of the pen is found before anything runs."""
    for entry in bench.planners:
        if ":" in entry.planner:
            with prefixed(f"{file}: planners"), contextlib.redirect_stdout(sys.stderr):
                load_planner(entry.planner, **entry.parameters)


def _engine(request: BenchRequest) -> Engine:
    if request.scheduler:
        from sjplan.bench.dask_engine import DaskEngine

        return DaskEngine(request.scheduler)
    from sjplan.bench.engines import ProcessEngine

    return ProcessEngine(request.workers)


class _Tally:
    """Counts runs that have a row; one that was done twice, because a worker was lost, counts once."""

    def __init__(self, wanted: int, before: Parts) -> None:
        self._wanted, self._seen = wanted, set(before.rows)
        self._statuses = Counter(str(row["status"]) for row in before.rows.values())
        self._begun, self._session = time.monotonic(), 0

    def add(self, runs: Iterable[str], statuses: Iterable[str]) -> None:
        """Count runs that were done."""
        for run, status in zip(runs, statuses, strict=True):
            if run not in self._seen:
                self._seen.add(run)
                self._statuses[status] += 1
                self._session += 1

    def progress(self, workers: int) -> Progress:
        """How far it has come."""
        seconds = time.monotonic() - self._begun
        return Progress(len(self._seen), self._wanted, self._session, seconds, workers, dict(self._statuses))


def _work(
    folder: Path, experiment: str, suite: str, left: Sequence[Run], engine: Engine, tally: _Tally,
    tell: Callable[[Progress], None],
) -> None:  # fmt: skip
    from sjplan.bench.supervise import Job

    if not left:
        return
    tell(tally.progress(engine.workers))
    # Closed at once, whatever happens: no worker goes on writing when this has ended.
    with closing(engine.work(Job(folder, experiment, suite), RunQueue(left))) as batches:
        for done in batches:
            tally.add(done.runs, done.statuses)
            tell(tally.progress(engine.workers))


def _parts(folder: Path, wanted: Mapping[str, Run], note: Callable[[str], None]) -> Parts:
    """What is there already; damaged parts are put aside, so that their runs are done again."""
    parts = read_parts(folder)
    for file in parts.damaged:
        file.unlink(missing_ok=True)
    if parts.damaged:
        note(f"{len(parts.damaged)} damaged parts in {folder.name}: their runs are done again")
    rows = {run: row for run, row in parts.rows.items() if run in wanted}
    if rows:
        note(f"{len(rows)} of {len(wanted)} runs were there")
        own = sorted({run.planner.planner for key, run in wanted.items() if key in rows and ":" in run.planner.planner})
        if own:
            note(f"if the code of {', '.join(own)} has changed since, name another --out: these runs stay as they are")
    return Parts(rows, parts.damaged)


def _finished(folder: Path, experiment: str, wanted: Mapping[str, Run], kept: int) -> BenchEnd:
    from sjplan.bench.store import compile_results

    rows = {run: row for run, row in read_parts(folder).rows.items() if run in wanted}
    if len(rows) < len(wanted):
        raise InputError(str(folder), found=f"{len(rows)} rows", wanted=f"{len(wanted)}",
                         fix="give the same command again")  # fmt: skip
    statuses = Counter(str(row["status"]) for row in rows.values())
    results = compile_results(folder)
    return BenchEnd(experiment, len(wanted), kept, len(wanted) - kept, statuses, result_hash(rows.values()), results)


def _opened(
    folder: Path, name: str, text: bytes, wanted: Mapping[str, Run], engine: Engine, note: Callable[[str], None]
) -> str:
    """Begin an experiment in a folder, or go on with the one that is there; its id.

    Raises
    ------
    InputError
        If the folder is that of other runs, or holds something else.
    """
    runs_sha256 = hashlib.sha256("\n".join(sorted(wanted)).encode()).hexdigest()
    session = {"started": _now(), "commit": commit(), "versions": versions(), "host": host(), "engine": engine.name}
    file = folder / EXPERIMENT
    if file.is_file():
        document = _read(file)
        if document["runs_sha256"] != runs_sha256:
            raise InputError(
                str(folder), found="an experiment with other runs", wanted="those of this bench file",
                fix="name another --out folder",
            )  # fmt: skip
        same = all(document[key] == session[key] for key in ("commit", "versions"))
        if not same:
            note(f"{folder.name} was begun with another sjplan, or with other libraries: rows of both will stand in it")
    elif any(place.name not in _BEFORE for place in folder.iterdir()):
        raise InputError(str(folder), found="a folder with other files", wanted="an empty one, or an experiment's",
                         fix="name another --out folder")  # fmt: skip
    else:
        document = {
            "schema": SCHEMA,
            "not_for_clinical_use": NOT_FOR_CLINICAL_USE,
            "experiment": f"{name}-{secrets.token_hex(4)}",
            "name": name,
            "suite_sha256": hashlib.sha256(text).hexdigest(),
            "runs_sha256": runs_sha256,
            "created": session["started"],
            "wanted": len(wanted),
            **{key: value for key, value in session.items() if key != "started"},
            "sessions": [],
        }
    document["sessions"].append(session)
    write_bytes(folder / BENCH_FILE, text)
    write_text(file, json.dumps(document, indent=1) + "\n")
    return str(document["experiment"])


def _read(file: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        schema = document["schema"]
        _ = document["experiment"], document["runs_sha256"], document["sessions"].append
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(str(file), found="a file that is no experiment's", wanted=SCHEMA,
                         fix="name another --out folder") from error  # fmt: skip
    if schema != SCHEMA:
        raise InputError(str(file), found=f"schema {schema}", wanted=SCHEMA, fix="update sjplan")
    return document


def host() -> dict[str, Any]:
    """What kind of machine this is, and nothing that says which.

    Examples
    --------
    >>> sorted(host())
    ['cores', 'machine', 'memory_gb', 'processor', 'system']
    """
    import psutil

    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        facts = ""
    models = [line.partition(":")[2].strip() for line in facts.splitlines() if line.startswith("model name")]
    return {
        "processor": models[0] if models else platform.processor(),
        "machine": platform.machine(),
        "cores": cores(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
    }


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
