"""From a case's reference to its anatomy: built once an experiment, kept in its folder, read by every worker."""

from __future__ import annotations

import functools
import hashlib
import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, Final

from sjplan.anatomy.build import anatomy_from_labels, require_plannable
from sjplan.anatomy.types import Anatomy
from sjplan.bench.made_of import name_of
from sjplan.bench.plan_runs import labels_sha256
from sjplan.bench.runs import CaseRef, Run
from sjplan.core.errors import InputError
from sjplan.core.labels import LabelMap
from sjplan.io.atomic import write_bytes
from sjplan.io.bench_settings import Settings, read_settings
from sjplan.io.cohorts import cohort_sha256, member_spec, read_cohort
from sjplan.io.presets import preset_sha256, read_spec
from sjplan.io.volumes import read_labels
from sjplan.phantom.build import build_labels
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.clearance import TrueSurfaces
from sjplan.planning.protocol import Problem

HEADER: Final = b"sjplan.anatomy/1 "
"""A kept file begins with this, the sha256 of the rest, and a line's end."""

ROOMS: Final = ("core", "geometry", "anatomy", "phantom")
"""Whose code makes an anatomy."""

KEPT: Final = 3
"""So many anatomies stay in a process: runs come case by case, so one would nearly do."""

_THREADS: Final = 1
"""Of one build: workers build side by side."""

_CLASSES: Final = {
    "sjplan.anatomy.types": {"Anatomy", "Canal", "Foramen", "Joint", "Mouth"},
    "sjplan.core.findings": {"Finding"},
    "sjplan.core.frames": {"AnatomicalFrame"},
    "sjplan.geometry.surface": {"LabelledSurface"},
    "numpy": {"dtype", "ndarray"},
    "numpy._core.numeric": {"_frombuffer"},
    "numpy._core.multiarray": {"_reconstruct"},
}
"""All that a kept file may name: whoever is given an experiment's folder runs nothing that is in it."""

_kept: OrderedDict[tuple[str, str], Anatomy] = OrderedDict()


def anatomy_of(case: CaseRef, cache: Path) -> Anatomy:
    """The anatomy of a case: from this process, from the folder, else built and put there.

    Parameters
    ----------
    case : CaseRef
        What to build.
    cache : path
        Folder of kept anatomies; made where it is missing. A file in it that is not whole is made again.

    Raises
    ------
    SjplanError
        For a case that cannot be read or is no pelvis, or whose file is another than when the run was named.
    """
    name = anatomy_name(case)
    key = (str(cache), name)
    if key not in _kept:
        _kept[key] = _from_folder(case, Path(cache) / f"{name}.pickle")
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    _kept.move_to_end(key)
    return _kept[key]


def anatomy_name(case: CaseRef) -> str:
    """Name of a case's anatomy among those that are kept."""
    what = [case.kind, case.sha256, case.index, case.seed, case.spacing_mm]
    return name_of(what, *ROOMS)


def forget_anatomies() -> None:
    """Let go of what stays in this process: for one whose anatomies a planner may have changed."""
    _kept.clear()


def problem_of(run: Run, anatomy: Anatomy) -> Problem:
    """The problem of a run.

    Raises
    ------
    SjplanError
        For a side that cannot be planned, and for settings that are others than when the run was named.
    """
    require_plannable(anatomy, run.side)
    settings = settings_of(run)
    return Problem(anatomy, run.side, settings.models, settings.limits)


def settings_of(run: Run) -> Settings:
    """Models, limits and error model of a run.

    Raises
    ------
    SjplanError
        For files that cannot be read, or whose content is another than when the run was named.
    """
    settings = _settings(run.models, run.catalogue, run.limits, run.error_model, run.errors, run.settings_sha256)
    if run.settings_sha256 and settings.sha256(run.bound, run.bound_boxes, run.truth) != run.settings_sha256:
        raise InputError(
            "settings of the run", found="catalogue, limits or error models that have changed",
            wanted="those that the experiment began with", fix="start another experiment",
        )  # fmt: skip
    return settings


def truth_of(case: CaseRef) -> TrueSurfaces | None:
    """The surfaces that a phantom was made from, prepared for measuring; None for a label map.

    Raises
    ------
    SjplanError
        As `anatomy_of`.
    """
    if case.kind == "labels":
        return None
    return _truth(case.kind, case.source, case.sha256, case.index, case.seed)


@functools.lru_cache(maxsize=2)
def _truth(kind: str, source: str, sha256: str, index: int, seed: int) -> TrueSurfaces:
    return TrueSurfaces(Pelvis(_parameters(kind, source, sha256, index, seed)))


@functools.lru_cache(maxsize=8)
def _settings(
    models: tuple[str, ...], catalogue: str, limits: str, error_model: str, errors: str, _sha256: str
) -> Settings:
    return read_settings(models, catalogue, limits, error_model, errors)


def _from_folder(case: CaseRef, path: Path) -> Anatomy:
    kept = kept_anatomy(path)
    if kept is not None:
        return kept
    anatomy = anatomy_from_labels(_labels(case))
    content = pickle.dumps(anatomy, protocol=5)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, HEADER + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    return anatomy


def _labels(case: CaseRef) -> LabelMap:
    if case.kind == "labels":
        labels = read_labels(case.source, names=case.names or None)
        _check_same(case.source, labels_sha256(case.source, case.names), case.sha256)
        return labels
    parameters = _parameters(case.kind, case.source, case.sha256, case.index, case.seed)
    return build_labels(parameters, spacing_mm=case.spacing_mm, threads=_THREADS)[0]


def _parameters(kind: str, source: str, sha256: str, index: int, seed: int) -> PhantomParameters:
    if kind == "preset":
        _check_same(source, preset_sha256(source), sha256)
        return read_spec(source).parameters
    _check_same(source, cohort_sha256(source), sha256)
    return member_spec(read_cohort(source), index, seed).parameters


def _check_same(source: str, found: str, wanted: str) -> None:
    if found != wanted:
        raise InputError(
            source, found="another content than when the experiment began", wanted="the file as it was",
            fix="start another experiment",
        )  # fmt: skip


def kept_anatomy(path: Path) -> Anatomy | None:
    """The anatomy in a kept file; None where there is none, or a file that is not whole or not ours."""
    try:
        head, _, content = path.read_bytes().partition(b"\n")
    except OSError:
        return None
    if head != HEADER + hashlib.sha256(content).hexdigest().encode():
        return None
    try:
        found = _Unpickler(io.BytesIO(content)).load()
    except Exception:  # whatever a foreign or torn file makes pickle raise: it is made again
        return None
    return found if isinstance(found, Anatomy) else None


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if name not in _CLASSES.get(module, ()):
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an anatomy")
        return super().find_class(module, name)
