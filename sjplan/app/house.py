"""What all visitors share: patients, rules, the history, and the thread that works for them."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.checks import check_labels, check_planning_resolution
from sjplan.app.monitor import grey_of
from sjplan.app.worker import Worker
from sjplan.core.errors import InputError
from sjplan.core.exercise import Exercise
from sjplan.core.plan import Plan, Side
from sjplan.core.scoring import Scoring
from sjplan.io.cases import Case, require_labels
from sjplan.io.catalogue import read_implants
from sjplan.io.planfile import plan_from_entry, read_plan
from sjplan.training.curves import Attempt, attempt_of
from sjplan.training.history import Entry, History, audit_row
from sjplan.training.plan_shelf import PlanShelf
from sjplan.training.theatre import Theatre, open_theatre
from sjplan.training.tries import Tries

SJPLAN: Final = (sys.executable, "-m", "sjplan.cli.main")
"""Our own command, for what is made in a process of its own."""

MOST_THEATRES: Final = 4
"""Patients that are kept ready (default). The one that was used longest ago goes first."""

NICE: Final = 10
"""What is made in processes of its own waits for those who operate."""


@dataclass(frozen=True, slots=True)
class Bed:
    """A patient that can be chosen.

    Parameters
    ----------
    id, title, note : str
        What the log calls it, and what a person reads.
    load : callable
        Reads its files.
    made : path
        A folder that has to be there before they can be read.
    make : tuple of str, optional
        Command line that makes that folder.
    planned : path
        Folder of its plan.
    plan : tuple of str
        Command line that makes the plan.
    """

    id: str
    title: str
    note: str
    load: Callable[[], Case]
    made: Path
    make: tuple[str, ...] | None
    planned: Path
    plan: tuple[str, ...]


@dataclass
class House:
    """Everything that is there once.

    Parameters
    ----------
    beds : mapping of id to Bed
        In the order in which they are offered.
    history : History
        Of all trainees.
    scoring : Scoring
        How operations are rated.
    exercises : mapping of id to Exercise
        In the order in which they are offered.
    broken : sequence of str
        What is wrong with a teacher's files that are left out.
    worker : Worker
        For everything heavy.
    """

    beds: Mapping[str, Bed]
    history: History
    scoring: Scoring
    exercises: Mapping[str, Exercise] = field(default_factory=dict)
    broken: Sequence[str] = ()
    worker: Worker = field(default_factory=Worker)
    uploads: list[Path] = field(default_factory=list)
    _theatres: dict[Bed, Theatre] = field(default_factory=dict)
    _locks: dict[Bed, asyncio.Lock] = field(default_factory=dict)
    _plans: dict[Bed, asyncio.Task[Mapping[Side, Plan]]] = field(default_factory=dict)
    _attempts: dict[str, Attempt] = field(default_factory=dict)
    _audited: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.tries = Tries(self.history)

    async def theatre(self, bed: Bed, tell: Callable[[str], None]) -> Theatre:
        """The operating room of a patient: kept, or made ready now.

        Parameters
        ----------
        bed : Bed
            The patient.
        tell : callable
            Told what is being done.

        Raises
        ------
        SjplanError
            For a case that cannot be used.
        """
        async with self._locks.setdefault(bed, asyncio.Lock()):
            if bed in self._theatres:
                self._theatres[bed] = self._theatres.pop(bed)
                return self._theatres[bed]
            if bed.make is not None and not bed.made.exists():
                tell(f"building {bed.title}, once on this machine: half a minute")
                await run(bed.make, bed.title)
            tell("reading the scan")
            case = await self.worker.do(bed.load)
            tell("finding joints and foramina")
            theatre = await self.worker.do(opened, bed.id, case)
            tell("warming up the C-arm")
            await self.worker.do(_warmed, theatre)
            self._theatres[bed] = theatre
            while len(self._theatres) > MOST_THEATRES:
                del self._theatres[next(iter(self._theatres))]
            return theatre

    async def plans(self, bed: Bed) -> Mapping[Side, Plan]:
        """Certified plans of a patient's sides, made once in a process of their own; a side without room has none.

        Raises
        ------
        SjplanError
            If the planner fails.
        """
        if bed not in self._plans or (self._plans[bed].done() and self._plans[bed].exception() is not None):
            self._plans[bed] = asyncio.get_running_loop().create_task(self._planned(bed))
        return await asyncio.shield(self._plans[bed])

    async def _planned(self, bed: Bed) -> Mapping[Side, Plan]:
        if bed.make is not None and not bed.made.exists():
            await run(bed.make, bed.title)
        file = bed.planned / "plan.json"
        if not file.exists():
            await run(bed.plan, f"plan of {bed.title}")
        return await self.worker.do(read_plans, file)

    async def attempts(self, user: str | None = None) -> tuple[list[Attempt], list[Entry]]:
        """Sessions that are over, for learning curves, and those that go on; of one person, or of all.

        Each is read once, and on its own: whoever operates waits for one session at most.
        """
        over: list[Attempt] = []
        going_on: list[Entry] = []
        for entry in await self.worker.do(self.history.entries, user):
            if not entry.ended:
                going_on.append(entry)
                continue
            if entry.id not in self._attempts:
                sheet = await self.worker.do(self.history.sheet, entry.id)
                self._attempts[entry.id] = attempt_of(await self.audited(entry), sheet)
            over.append(self._attempts[entry.id])
        return over, going_on

    async def audited(self, entry: Entry) -> dict[str, Any]:
        """Audit fields of a session; of one that is over they are read once."""
        if entry.id in self._audited:
            return self._audited[entry.id]
        row = await self.worker.do(audit_row, self.history, entry)
        if entry.ended:
            self._audited[entry.id] = row
        return row

    @property
    def shelf(self) -> PlanShelf:
        """Plans that people laid by hand and kept, in a folder beside the history."""
        return PlanShelf(self.history.path.with_name(f"{self.history.path.stem}-plans"))

    def close(self) -> None:
        """Stop working, and close the history."""
        for task in self._plans.values():
            task.cancel()
        self.worker.close()
        self.history.close()
        for folder in self.uploads:
            shutil.rmtree(folder, ignore_errors=True)


def plan_words(case: Path, out: Path, options: Mapping[str, object], *, untrusted: bool = False) -> tuple[str, ...]:
    """Command line that plans a case; options that are None are left out.

    Examples
    --------
    >>> plan_words(Path("a"), Path("b"), {"--labels": None, "--series": "1.2"})[3:]
    ('plan', 'a', '--no-pictures', '--out', 'b', '--series', '1.2')
    """
    words = [*SJPLAN, "plan", str(case), "--no-pictures", "--out", str(out)]
    for option, value in options.items():
        words += [] if value is None else [option, str(value)]
    return (*words, "--untrusted") if untrusted else tuple(words)


async def run(command: Sequence[str], what: str) -> None:
    """Run one of our own commands in a process of its own.

    Raises
    ------
    InputError
        If it fails, with its last line.
    """
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(*command, stdin=nothing, stdout=nothing, stderr=pipe)
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, process.pid, NICE)
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    # 1 is an honest no: a side without a plan is an answer.
    if process.returncode not in (0, 1):
        lines = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise InputError(what, found=lines[-1].strip(), wanted="a case that can be made ready")


def read_plans(file: Path) -> Mapping[Side, Plan]:
    """Plans of a plan file's sides; a side without room has none."""
    shelf = read_implants()
    return {entry.side: plan_from_entry(entry, shelf) for entry in read_plan(file).sides if entry.implants}


def opened(name: str, case: Case) -> Theatre:
    """The operating room of a case that can be planned on.

    Raises
    ------
    SjplanError
        For a case that cannot be used.
    """
    labels = require_labels(case)
    check_labels(labels)
    check_planning_resolution(labels.grid)
    return open_theatre(name, case, anatomy=anatomy_from_labels(labels))


def _warmed(theatre: Theatre) -> None:
    """Everything that a first shot or a first blow would have to wait for."""
    for draft in (True, False):
        grey_of(theatre.scope.shoot(theatre.start, theatre.maker, rng=np.random.default_rng(0), draft=draft))
    _ = theatre.tissue
    for side in theatre.anatomy.joints:
        theatre.surfaces(side)
        theatre.cortex_normal(side, theatre.labels.grid.centre_lps_mm)
