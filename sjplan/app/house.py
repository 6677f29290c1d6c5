"""What all visitors share: patients, exercises, rules, the history, and the thread that works for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.checks import check_labels, check_planning_resolution
from sjplan.app.worker import Worker
from sjplan.core.errors import InputError, unknown_name
from sjplan.core.plan import Plan, Side
from sjplan.core.scoring import Scoring
from sjplan.io.cases import Case, require_labels
from sjplan.training.history import History
from sjplan.training.theatre import Theatre, open_theatre

MOST_THEATRES: Final = 4
"""Patients that are kept ready; each takes some 300 MB. The one that was used longest ago goes first."""

Load = Callable[[], Case]
Fetch = Callable[[], "asyncio.Future[None]"]


@dataclass(frozen=True, slots=True)
class Bed:
    """A patient that can be chosen.

    Parameters
    ----------
    id, title, note : str
        What the log calls it, and what a person reads.
    folder : path
        Where its files are, or will be once `prepare` has been called.
    prepare : callable
        Command line that makes the files, or None where they are there.
    load : callable
        Reads the files.
    """

    id: str
    title: str
    note: str
    folder: Path
    load: Load
    prepare: tuple[str, ...] | None = None
    plan: tuple[str, ...] | None = None


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
    worker : Worker
        For everything heavy.
    """

    beds: dict[str, Bed]
    history: History
    scoring: Scoring
    worker: Worker = field(default_factory=Worker)
    _theatres: dict[str, Theatre] = field(default_factory=dict)
    _locks: dict[str, asyncio.Lock] = field(default_factory=dict)
    _plans: dict[str, asyncio.Task[Mapping[Side, Plan]]] = field(default_factory=dict)

    def bed(self, name: str) -> Bed:
        """A patient by id.

        Raises
        ------
        UnknownNameError
            For any other.
        """
        if name not in self.beds:
            raise unknown_name("case", name, self.beds)
        return self.beds[name]

    async def theatre(self, name: str, tell: Callable[[str], None]) -> Theatre:
        """The operating room of a patient: kept, or made ready now.

        Parameters
        ----------
        name : str
            Of the bed.
        tell : callable
            Told what is being done.

        Raises
        ------
        SjplanError
            For a case that cannot be used.
        """
        bed = self.bed(name)
        async with self._locks.setdefault(name, asyncio.Lock()):
            if name in self._theatres:
                self._theatres[name] = self._theatres.pop(name)
                return self._theatres[name]
            if bed.prepare is not None and not bed.folder.exists():
                tell("building the patient, once on this machine")
                await run(bed.prepare, bed.title)
            tell("reading the scan")
            case = await self.worker.do(bed.load)
            tell("finding joints and foramina")
            theatre = await self.worker.do(_opened, bed.id, case)
            tell("warming up the C-arm")
            await self.worker.do(_warmed, theatre)
            self._theatres[name] = theatre
            while len(self._theatres) > MOST_THEATRES:
                del self._theatres[next(iter(self._theatres))]
            return theatre

    def close(self) -> None:
        """Stop working, and close the history."""
        for task in self._plans.values():
            task.cancel()
        self.worker.close()
        self.history.close()


async def run(command: tuple[str, ...], what: str) -> None:
    """Run one of our own commands in a process of its own.

    Raises
    ------
    InputError
        If it fails, with its last line.
    """
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=pipe)
    try:
        _, said = await process.communicate()
    except asyncio.CancelledError:
        process.kill()
        await process.wait()
        raise
    if process.returncode not in (0, 1):
        lines = said.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise InputError(what, found=lines[-1].strip(), wanted="a case that can be made ready")


def _opened(name: str, case: Case) -> Theatre:
    labels = require_labels(case)
    check_labels(labels)
    check_planning_resolution(labels.grid)
    return open_theatre(name, case, anatomy=anatomy_from_labels(labels))


def _warmed(theatre: Theatre) -> None:
    """Everything that a first shot would have to wait for."""
    import numpy as np

    for draft in (True, False):
        theatre.scope.shoot(theatre.start, theatre.maker, rng=np.random.default_rng(0), draft=draft)
    _ = theatre.tissue
    for side in theatre.anatomy.joints:
        theatre.surfaces(side)
        theatre.cortex_normal(side, theatre.labels.grid.centre_lps_mm)
