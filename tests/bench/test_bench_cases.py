"""Anatomies of cases: the same from the folder as when built, made again where a file is not whole, never code."""

import dataclasses
import hashlib
import os
import pickle
from pathlib import Path

import pytest

from sjplan.bench.cases import (
    HEADER,
    anatomy_name,
    anatomy_of,
    forget_anatomies,
    kept_anatomy,
    problem_of,
    settings_of,
    truth_of,
)
from sjplan.bench.made_of import code_sha256
from sjplan.bench.plan_runs import file_sha256, runs_of
from sjplan.bench.runs import CaseRef
from sjplan.bench.traits import SIGNS, traits_of
from sjplan.core.errors import AnatomyError, InputError
from sjplan.io.benchfiles import read_bench
from sjplan.io.presets import preset_sha256, read_preset
from sjplan.io.volumes import write_labels
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.variants import VARIANT_RANGES, Variants
from sjplan.planning.answers import fingerprint
from sjplan.testing.problems import phantom_anatomy, phantom_labels

DEFAULT = CaseRef("default", "preset", "default", preset_sha256("default"), spacing_mm=2.0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("experiment") / "anatomies"
    anatomy_of(DEFAULT, folder)
    return folder


def test_a_kept_anatomy_is_the_one_that_was_built(cache: Path) -> None:
    (file,) = cache.iterdir()
    assert file.stem == anatomy_name(DEFAULT)
    forget_anatomies()
    before = file.stat().st_mtime_ns
    kept = anatomy_of(DEFAULT, cache)
    assert file.stat().st_mtime_ns == before, "read, not built"
    assert fingerprint(kept) == fingerprint(phantom_anatomy())
    assert anatomy_of(DEFAULT, cache) is kept, "once a process"
    assert not kept.sacrum.vertices_lps_mm.flags.writeable


def test_a_file_that_is_torn_is_made_again(cache: Path) -> None:
    (file,) = cache.iterdir()
    whole = file.read_bytes()
    assert kept_anatomy(file) is not None
    for torn in (b"", whole[:-1] + bytes([whole[-1] ^ 1]), whole[: len(whole) // 2]):
        file.write_bytes(torn)
        assert kept_anatomy(file) is None
    forget_anatomies()
    anatomy_of(DEFAULT, cache)
    assert file.read_bytes() == whole


def test_a_foreign_pickle_runs_nothing(cache: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return os.mkdir, (str(tmp_path / "ran"),)

    (file,) = cache.iterdir()
    content = pickle.dumps(Evil())
    file.write_bytes(HEADER + hashlib.sha256(content).hexdigest().encode() + b"\n" + content)
    assert kept_anatomy(file) is None
    assert not (tmp_path / "ran").exists()


def test_names_are_made_of_all_that_decides() -> None:
    changes = ({"sha256": "0"}, {"index": 1}, {"seed": 1}, {"spacing_mm": 1.0}, {"kind": "cohort"})
    names = {anatomy_name(dataclasses.replace(DEFAULT, **change)) for change in changes}  # type: ignore[arg-type]
    assert len(names | {anatomy_name(DEFAULT)}) == len(changes) + 1
    assert anatomy_name(dataclasses.replace(DEFAULT, key="other", source="/elsewhere.toml")) == anatomy_name(DEFAULT)
    assert code_sha256("core") != code_sha256("anatomy")


def test_a_label_map_enters_by_the_same_door(tmp_path: Path) -> None:
    path = tmp_path / "pelvis.nii.gz"
    write_labels(phantom_labels(), path)
    case = CaseRef("pelvis", "labels", str(path), file_sha256(path))
    found = anatomy_of(case, tmp_path / "anatomies")
    assert found.levels("left") == phantom_anatomy().levels("left")
    assert truth_of(case) is None


def test_a_file_that_has_changed_is_refused(tmp_path: Path) -> None:
    for case in (
        dataclasses.replace(DEFAULT, sha256="0" * 64),
        CaseRef("adults-00001", "cohort", "adults", "0" * 64, 1, 0, 2.0),
    ):
        with pytest.raises(InputError, match="another content than when the experiment began"):
            anatomy_of(case, tmp_path)
        with pytest.raises(InputError, match="another content"):
            truth_of(case)


def test_a_side_that_cannot_be_planned_and_settings_that_changed_are_refused(cache: Path) -> None:
    run = dataclasses.replace(runs_of(read_bench("smoke"))[0], case=DEFAULT)
    anatomy = anatomy_of(DEFAULT, cache)
    problem = problem_of(run, anatomy)
    assert problem.side == run.side
    assert [m.id for m in problem.models] == list(run.models)
    with pytest.raises(InputError, match="have changed"):
        settings_of(dataclasses.replace(run, settings_sha256="0"))
    closed = dataclasses.replace(anatomy, foramina=tuple(f for f in anatomy.foramina if f.level != "S1"))
    with pytest.raises(AnatomyError, match="foramen_S1_left"):
        problem_of(run, closed)


def test_traits_are_plain_and_dysmorphism_goes_from_none_to_all() -> None:
    assert traits_of(read_preset("dysmorphic"))["dysmorphism"] > 0.2
    strongest = Variants(**{name: VARIANT_RANGES[name].high for name in SIGNS})
    assert traits_of(PhantomParameters(variants=strongest))["dysmorphism"] == 1.0
    assert all(isinstance(value, str | float) for value in traits_of(PhantomParameters()).values())
