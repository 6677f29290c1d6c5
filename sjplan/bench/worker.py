"""One run, done in a process of its own: the case is prepared, the planner asked, its answer judged.

The child's side of `sjplan.bench.supervise`, which holds the limits. It reads requests on stdin and answers in lines of
JSON on what was stdout; what a planner prints goes to stderr, so that it is in nobody's way.
"""

from __future__ import annotations

import errno
import json
import os
import pickle
import re
import resource
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import methodcaller
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any, Final

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.bench.bounds import bound_of
from sjplan.bench.cases import anatomy_of, problem_of, truth_of
from sjplan.bench.external import ProgramError, ProgramTimeout
from sjplan.bench.judging import measures, problem_print, require_unchanged, surfaces_of
from sjplan.bench.offers import Offers
from sjplan.bench.planners import load_capped
from sjplan.bench.rows import Row
from sjplan.bench.runs import CaseRef, Run, RunBudget
from sjplan.bench.warm import warmed
from sjplan.core.errors import InputError, SjplanError
from sjplan.io.processes import adopt_orphans, end_with_parent
from sjplan.phantom.truth.clearance import TrueSurfaces
from sjplan.planning.protocol import Budget, Problem

ANATOMIES, BOUNDS = "anatomies", "bounds"
"""Names of folders of an experiment: what has been made so far and is the same for all workers."""

LONGEST_MESSAGE: Final = 300
MEMORY_LIMIT, WALL_LIMIT, CPU_LIMIT = "MemoryLimit", "WallLimit", "CpuLimit"
"""Types of failure that are none of the planner's own."""

_DISK_TROUBLE: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EFBIG, errno.EMFILE})
"""Errors that say something of the machine and nothing of the run: it is not done, and can be done later."""

_ADDRESS: Final = re.compile(r"0x[0-9a-fA-F]{6,}")
_RESERVED_TIMES: Final = 4
"""Memory that is reserved and not used costs nothing: only so many times the limit on what is used is too much."""


class Unwell(Exception):
    """The machine, not the run, is in trouble: the run has no row, and the experiment stops until that is mended."""


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A run with everything that its planner needs and that its answer is judged by."""

    run: Run
    problem: Problem
    unchanged: str
    bound_mm: float | None
    truth: TrueSurfaces | None


class Desk:
    """Where one process does its runs, one after the other; what those of one case have in common stays on it.

    Parameters
    ----------
    folder : Path
        Of the experiment.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._case: CaseRef | None = None
        self._refused: SjplanError | None = None
        self._prints: dict[tuple[str, ...], str] = {}

    def prepare(self, run: Run) -> Prepared:
        """Read or make the anatomy, the bound and whatever else no planner shall wait for.

        Raises
        ------
        SjplanError
            For a case or a setting that cannot be used.
        Unwell
            If nothing can be written.
        """
        if self._case != run.case:
            self._case, self._refused, self._prints = run.case, None, {}
        if self._refused is not None:
            raise self._refused
        try:
            return self._prepared(run, self._anatomy_of(run.case))
        except (SjplanError, OSError) as error:
            if _is_disk_trouble(error):
                raise Unwell(one_line(error, where=False)) from error
            if isinstance(error, OSError):
                found = (error.strerror or type(error).__name__).lower()
                raise InputError(run.case.key, found=found, wanted="a case that can be read") from error
            raise

    def _anatomy_of(self, case: CaseRef) -> Anatomy:
        try:
            return anatomy_of(case, self.folder / ANATOMIES)
        except SjplanError as error:
            if not _is_disk_trouble(error):
                self._refused = error  # found out once a case, not once a run
            raise

    def _prepared(self, run: Run, anatomy: Anatomy) -> Prepared:
        problem = problem_of(run, anatomy)
        surfaces_of(anatomy, run.side)
        bound = bound_of(run, problem, self.folder / BOUNDS) if run.bound else None
        warmed(run.planner.planner, problem)
        # What has been taken once holds: a process in which a problem was changed does no further run.
        key = (run.side, run.settings_sha256, *run.models)
        if key not in self._prints:
            self._prints[key] = problem_print(problem)
        return Prepared(run, problem, self._prints[key], bound, truth_of(run.case) if run.truth else None)


def plan(prepared: Prepared, tell: Callable[[str], None] = lambda phase: None) -> Row:
    """Ask the planner and judge its answer, whatever it is.

    Parameters
    ----------
    prepared : Prepared
        As `Desk.prepare` gives it.
    tell : callable
        Called with "judging" once the planner has answered.

    Returns
    -------
    Row
        What was found: status, measures, times; without what identifies the run.
    """
    run, problem = prepared.run, prepared.problem
    row: Row = {"started": datetime.now(UTC).isoformat(timespec="seconds")}
    try:
        planner = load_capped(run.planner.planner, run.cap_mm, run.planner.parameters)
        row["planner_id"] = str(planner.spec.id)
    except BaseException as error:
        known = isinstance(error, SjplanError)
        return row | _failure("invalid_input" if known else "crashed", error, where=not known)
    rng, offers = np.random.default_rng(run.seed), Offers()
    budget = Budget(run.budget.seconds, run.budget.evaluations, listener=offers.note)
    begun, cpu = time.perf_counter(), _cpu_seconds()
    failed, outcome = _asked(lambda: planner.plan(problem, rng=rng, budget=budget), run.budget)
    row |= {"seconds": time.perf_counter() - begun, "cpu_seconds": _cpu_seconds() - cpu, "memory_mb": peak_memory_mb()}
    tell("judging")
    if failed is not None:
        return row | failed
    try:
        require_unchanged(problem, prepared.unchanged)
        row |= measures(
            run, problem, outcome, bound_mm=prepared.bound_mm, truth=prepared.truth, planner_id=row["planner_id"]
        )
    except Exception as error:
        # The judge takes whatever a planner hands over: what it stumbles on is no answer either.
        return row | _failure("rejected", error, where=not isinstance(error, SjplanError))
    answered = None
    if outcome.plan is not None:
        offers.note(outcome.plan, int(outcome.evaluations), row["seconds"])  # not when it had been judged
        answered = outcome.plan, row["slack_mm"], row["accepted"]
    return row | offers.judged(problem, surfaces_of(problem.anatomy, problem.side), answered)


def _asked(ask: Callable[[], object], budget: RunBudget) -> tuple[Row | None, Any]:
    """What went wrong, or nothing and what a planner answers: nothing that it raises gets past here."""
    try:
        return None, ask()
    except MemoryError:
        return beyond(MEMORY_LIMIT, budget), None
    except ProgramError as error:
        late, no_answer = isinstance(error, ProgramTimeout), isinstance(error.__cause__, InputError)
        return _failure("killed" if late else "rejected" if no_answer else "crashed", error, where=False), None
    except BaseException as error:
        return _failure("crashed", error), None


def _failure(status: str, error: BaseException, *, where: bool = True) -> Row:
    return {"status": status, "error_type": type(error).__name__[:80], "error_message": one_line(error, where=where)}


def beyond(limit: str, budget: RunBudget) -> Row:
    """What comes of a run that went beyond a limit: said in the same words whoever noticed.

    Examples
    --------
    >>> beyond(WALL_LIMIT, RunBudget(wall_limit_s=60.0))["error_message"]
    'more than 60 s'
    """
    told = {
        WALL_LIMIT: f"more than {budget.wall_limit_s:g} s",
        CPU_LIMIT: f"more than {budget.wall_limit_s:g} s of processor time: a run has one thread",
        MEMORY_LIMIT: f"more than {budget.memory_limit_mb:g} MB of memory",
    }
    return {"status": "killed", "error_type": limit, "error_message": told[limit]}


def run_one(run: Run, folder: Path) -> Row:
    """Do one run here and now, without limits; the supervisor's child does the same.

    Parameters
    ----------
    run : Run
        What to do.
    folder : Path
        Of the experiment, for anatomies and bounds.

    Returns
    -------
    Row
        With what identifies the run; `sjplan.bench.rows.checked` completes it.
    """
    return identity(run) | answer(Desk(folder), run)


def answer(desk: Desk, run: Run) -> Row:
    """What comes of a run on a desk; a case or setting that cannot be used is `invalid_input`."""
    try:
        prepared = desk.prepare(run)
    except SjplanError as error:
        return refusal(error)
    return plan(prepared)


def refusal(error: SjplanError) -> Row:
    """What comes of a run whose case or settings cannot be used."""
    return _failure("invalid_input", error, where=False)


def identity(run: Run) -> Row:
    """Columns that a run has before it is done."""
    case, budget = run.case, run.budget
    return {
        "run": run.id,
        "case_key": case.key,
        "case_kind": case.kind,
        "source": Path(case.source).name.split(".")[0],
        "traits": dict(case.traits),
        "side": run.side,
        "planner": run.planner.name,
        "parameters": dict(run.planner.parameters),
        "models": list(run.models),
        "limits": Path(run.limits).name,
        "error_model": run.error_model,
        "seed": run.seed,
        "budget_s": budget.seconds,
        "budget_evaluations": budget.evaluations,
        "cap_mm": run.cap_mm,
        "problem": run.problem,
    }


def one_line(error: BaseException, *, where: bool = True) -> str:
    r"""An error's message in one line, with the place that raised it, and nothing that differs from run to run.

    Examples
    --------
    >>> one_line(ValueError("two\nlines at 0x7f00aabbccdd"))
    'two lines at 0x...'
    """
    try:
        text = str(error)
    except Exception:
        text = "a message that cannot be shown"
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if where and len(frames) > 1 else ""
    text = _ADDRESS.sub("0x...", " ".join(text.split()))
    return text[: LONGEST_MESSAGE - len(place)] + place


def peak_memory_mb() -> float:
    """Largest resident memory that this process has had."""
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) / unit


def _cpu_seconds() -> float:
    """Processor time of this process and of those that it has started and waited for."""
    uses = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(use.ru_utime + use.ru_stime for use in uses)


def _is_disk_trouble(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in _DISK_TROUBLE:
            return True
        error = error.__cause__
    return False


def main() -> None:
    """Answer requests until there are no more: the child's life."""
    requests, answers = _own_streams()
    end_with_parent()  # also where a planner lets no thread of ours run
    adopt_orphans()
    inbox: SimpleQueue[tuple[Any, ...]] = SimpleQueue()
    # A thread of its own reads: it sees at once that the supervisor is gone, whatever the planner is doing.
    threading.Thread(target=_receive, args=(requests, inbox), daemon=True).start()

    def say(**message: Any) -> None:
        answers.write(_text(message).encode() + b"\n")
        answers.flush()

    say(up=True)
    desk: Desk | None = None
    prepared: Prepared | None = None
    while True:
        request, *given = inbox.get()
        if request == "prepare":
            run, folder = given
            if desk is None or desk.folder != folder:
                desk = Desk(folder)
            prepared = None
            try:
                prepared = desk.prepare(run)
                say(ready=True)
            except SjplanError as error:
                say(row=refusal(error), clean=True)
            except Unwell as error:
                say(unwell=str(error))
        elif prepared is not None:
            before = _surroundings()
            _limit_reserved(prepared.run.budget.memory_limit_mb)
            row = plan(prepared, lambda phase: say(phase=phase))
            say(row=row, clean=_surroundings() == before and not _has_children())


def _own_streams() -> tuple[IO[bytes], IO[bytes]]:
    """Where requests come from and answers go; what a planner reads is empty, what it prints goes to stderr."""
    requests, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    os.close(nothing)
    return requests, answers


def _text(message: dict[str, Any]) -> str:
    """A message as one line; numbers of numpy count as numbers, and a row that is none is said to be none."""
    try:
        return json.dumps(message, allow_nan=False, default=methodcaller("item"))
    except (TypeError, ValueError, AttributeError) as error:
        return json.dumps(message | {"row": _failure("rejected", error)})


def _receive(requests: IO[bytes], inbox: SimpleQueue[tuple[Any, ...]]) -> None:
    try:
        while True:
            inbox.put(pickle.load(requests))
    except (EOFError, OSError, pickle.UnpicklingError):
        if os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        os._exit(1)


def _limit_reserved(memory_limit_mb: float) -> None:
    """Bound what may be reserved from now on, for a planner that asks for far too much at once (Linux alone)."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        return
    now = int(status.partition("VmData:")[2].split()[0]) * 1024
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    soft = now + int(_RESERVED_TIMES * memory_limit_mb * 2**20)
    resource.setrlimit(resource.RLIMIT_DATA, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _surroundings() -> tuple[Any, ...]:
    """What a planner finds in its process, and the next one would find otherwise than the first."""
    try:
        folder = os.getcwd()  # noqa: PTH109 - Path.cwd() is the same
    except FileNotFoundError:
        folder = ""
    return threading.active_count(), folder, dict(os.environ), np.geterr()


def _has_children() -> bool:
    """Whether a process goes on that the planner started; those that have ended are let go of."""
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return False
    return True


if __name__ == "__main__":
    main()
