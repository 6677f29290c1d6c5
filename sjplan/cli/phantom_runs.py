"""Building phantoms into folders: one, or a cohort by several workers that may be stopped at any time and goes on."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sjplan import NOT_FOR_CLINICAL_USE, __version__
from sjplan.cli.progress import Report, part_of
from sjplan.core.errors import InputError
from sjplan.io.processes import ONE_THREAD, sole_writer

if TYPE_CHECKING:
    from sjplan.io.cohorts import Cohort
    from sjplan.io.phantom_spec import PhantomSpec
    from sjplan.render.contact_sheet import Tile

Job = TypeVar("Job")
Result = TypeVar("Result")

INDEX: Final = "cohort.json"
INDEX_SCHEMA: Final = "sjplan.cohort-index/1"
SHEET: Final = "contact-sheet.png"

BUILD_SHARE: Final = 0.92
"""Share of a cohort's time that goes by until its contact sheet is begun."""


@dataclass(frozen=True, slots=True)
class CohortRequest:
    """What is asked of `sjplan phantom cohort`."""

    file: str
    out: Path
    count: int | None = None
    seed: int = 0
    spacing_mm: float | None = None
    workers: int = 1
    sheet: bool = True

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise InputError("--workers", found=str(self.workers), wanted="1 or more")
        if self.count is not None and self.count < 1:
            raise InputError("--count", found=str(self.count), wanted="1 or more")


@dataclass(frozen=True, slots=True)
class CohortRun:
    """What became of it: members built now, and members that were there."""

    cohort: str
    built: int
    kept: int


def build_into(spec: PhantomSpec, folder: Path, report: Report) -> None:
    """Build a phantom and write its files into a folder that is there."""
    from sjplan.io.phantoms import write_phantom
    from sjplan.phantom.build import build_phantom

    phantom = build_phantom(spec.parameters, spec.spacing_mm, spec.seed, part_of(report, 0.0, 0.8))
    report("writing CT and labels", 0.8)
    write_phantom(phantom, spec, folder)


def run_cohort(request: CohortRequest, report: Report) -> CohortRun:
    """Build what is missing of a cohort, then its index and its contact sheet.

    A member counts as there if its folder is whole and was built with the same spec by the same version.

    Raises
    ------
    SjplanError
        For a cohort that cannot be used, before anything is written; for a folder that cannot be written, or that
        another run is writing to.
    """
    from sjplan.io import cohorts, phantoms

    cohort = cohorts.read_cohort(request.file)
    count = min(cohort.count, request.count or cohort.count)
    report("drawing the members", 0.0)
    specs = [cohorts.member_spec(cohort, i, request.seed, request.spacing_mm) for i in range(count)]
    with sole_writer(request.out):
        phantoms.clear_half_written(request.out)
        left = [spec for spec in specs if not phantoms.is_complete(request.out / spec.name, spec)]
        if left:
            for name in (INDEX, SHEET):
                (request.out / name).unlink(missing_ok=True)
        with workers(request.workers) as each:
            jobs = [(spec, request.out / spec.name) for spec in left]
            for _ in each(_build_member, jobs, _with_rate(part_of(report, 0.0, BUILD_SHARE), len(jobs))):
                pass
            if request.sheet:
                _write_sheet(request, cohort, specs, each, part_of(report, BUILD_SHARE, 1.0))
        _write_index(request, cohort, specs)
    report("done", 1.0)
    return CohortRun(cohort.name, len(left), count - len(left))


def _build_member(job: tuple[PhantomSpec, Path]) -> None:
    from sjplan.io.atomic import output_folder
    from sjplan.io.phantoms import clear_half_written, clear_phantom

    spec, place = job
    if place.is_dir():
        clear_half_written(place)
        clear_phantom(place)
    with output_folder(place) as folder:
        build_into(spec, folder, lambda what, fraction: None)


def _tile_of(place: Path) -> Tile:
    """Both pictures of one member, from its files."""
    from sjplan.io import cases, phantoms, volumes
    from sjplan.render.contact_sheet import BELOW_ENDPLATE_MM, tile
    from sjplan.views.standard import standard_views

    frame, landmarks = phantoms.frame_and_landmarks(phantoms.read_truth(place))
    ct = volumes.read_ct(place / cases.PHANTOM_CT)
    s1 = landmarks["s1_endplate_centre"] - BELOW_ENDPLATE_MM * frame.cranial
    return tile(ct, standard_views(frame, landmarks)["ap"], s1)


def _write_sheet(
    request: CohortRequest, cohort: Cohort, specs: Sequence[PhantomSpec], each: Each, report: Report
) -> None:
    from sjplan.io.atomic import write_bytes
    from sjplan.render.contact_sheet import contact_sheet, sampled

    shown = [specs[n] for n in sampled(len(specs))]
    tiles = dict(each(_tile_of, [request.out / spec.name for spec in shown], _counting(report, len(shown))))
    some = "" if len(shown) == len(specs) else f", {len(shown)} of them shown, evenly spread"
    title = f"{cohort.name}: {len(specs)} members of seed {request.seed}{some}   ({NOT_FOR_CLINICAL_USE})"
    picture = contact_sheet([(spec.name, tiles[n]) for n, spec in enumerate(shown)], title)
    write_bytes(request.out / SHEET, picture)


def _write_index(request: CohortRequest, cohort: Cohort, specs: Sequence[PhantomSpec]) -> None:
    """What the folder holds; nothing of when or by how many workers, so that it is the same whoever built it."""
    import numpy as np

    from sjplan.io.atomic import write_text
    from sjplan.io.cohorts import cohort_sha256, stratum_of

    strata = [stratum_of(cohort, n, request.seed) for n in range(len(specs))]
    document = {
        "schema": INDEX_SCHEMA,
        "not_for_clinical_use": True,
        "cohort": cohort.name,
        "cohort_sha256": cohort_sha256(request.file),
        "seed": request.seed,
        "spacing_mm": float(specs[0].spacing_mm),
        "versions": {"sjplan": __version__, "numpy": np.__version__, "python": platform.python_version()},
        "members": [
            {"name": spec.name, "index": n, "seed": spec.seed} | ({"stratum": stratum.name} if stratum else {})
            for n, (spec, stratum) in enumerate(zip(specs, strata, strict=True))
        ],
    }
    write_text(request.out / INDEX, json.dumps(document, indent=1) + "\n")


Each = Callable[[Callable[[Any], Any], Sequence[Any], Callable[[int], None]], Iterator[tuple[int, Any]]]
"""Does a function for each job, tells how many are done, and gives number and result of each, in any order."""


@contextlib.contextmanager
def workers(count: int) -> Iterator[Each]:
    """Do jobs one by one here, or by several processes of one thread each.

    Raises
    ------
    InputError
        If one of the processes is ended from outside, as systems do that run out of memory.
    """
    if count == 1:
        yield _one_by_one
        return
    # A fresh process each: forking after numba has started its threads may hang.
    context = multiprocessing.get_context("spawn")
    with _environment(ONE_THREAD), ProcessPoolExecutor(
        count, mp_context=context, initializer=_die_with_parent
    ) as pool:  # fmt: skip

        def each(
            work: Callable[[Any], Any], jobs: Sequence[Any], tell: Callable[[int], None]
        ) -> Iterator[tuple[int, Any]]:
            numbers = {pool.submit(work, job): n for n, job in enumerate(jobs)}
            for done, future in enumerate(as_completed(numbers), start=1):
                result = future.result()
                tell(done)
                yield numbers[future], result

        try:
            yield each
        except BrokenProcessPool as error:
            raise InputError(
                "--workers", found=f"{count}, one of which was ended from outside", wanted="workers that live",
                fix="fewer workers need less memory; the same command goes on where this one stopped",
            ) from error  # fmt: skip
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _one_by_one(
    work: Callable[[Any], Any], jobs: Sequence[Any], tell: Callable[[int], None]
) -> Iterator[tuple[int, Any]]:
    for n, job in enumerate(jobs):
        result = work(job)
        tell(n + 1)
        yield n, result


def _die_with_parent() -> None:
    """End this worker as soon as its parent is gone: a killed run must not go on writing beside the next one."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextlib.contextmanager
def _environment(names: dict[str, str]) -> Iterator[None]:
    """Environment variables for children; this process's own are put back."""
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(names)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _with_rate(report: Report, total: int) -> Callable[[int], None]:
    """Says how many are done, how fast it goes, and how long it will still take."""
    start = time.monotonic()
    report(f"building {total} phantoms" if total else "all members are there", 0.0)

    def tell(done: int) -> None:
        seconds = time.monotonic() - start
        left = in_words(seconds / done * (total - done))
        report(f"{done} of {total} phantoms, {60.0 * done / seconds:.1f} a minute, {left} left", done / total)

    return tell


def _counting(report: Report, total: int) -> Callable[[int], None]:
    report(f"taking radiographs of {total} phantoms", 0.0)

    def tell(done: int) -> None:
        report("composing the contact sheet" if done == total else f"radiographs of {total} phantoms", done / total)

    return tell


def in_words(seconds: float) -> str:
    """A time as a person says it.

    Examples
    --------
    >>> in_words(41.2), in_words(150.0), in_words(7400.0)
    ('41 s', '2 min 30 s', '2 h 3 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
