"""`sjplan phantom`: presets and cohorts into folders, the same bytes however they are built, and what is refused."""

import fcntl
import json
import os
import subprocess
import sys
import time
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from cli_support import Sjplan, one_line
from PIL import Image

from sjplan.cli.main import run
from sjplan.cli.phantom_runs import INDEX, SHEET, in_words, workers
from sjplan.core.errors import InputError
from sjplan.io.cases import read_case
from sjplan.io.phantoms import FILES
from sjplan.io.presets import phantoms_folder
from sjplan.io.processes import ONE_THREAD

COHORT = """
schema = "sjplan.cohort/1"
name = "few"
summary = "three of them"
count = 3
spacing_mm = 4.0

[parameters.size]
kind = "normal"
mean = 1.0
sd = 0.04
source = "default"

[parameters.sacral_slope_deg]
kind = "uniform"
low = 30.0
high = 50.0
source = "MACTH"
"""

FOUR = COHORT.replace("count = 3", "count = 4")

FLAT = """
low = 20.0
high = 20.5
source = "MACTH"

[parameters.pelvic_tilt_deg]
kind = "uniform"
low = 8.0
high = 9.0"""
"""In place of the slope's range: each value may be, their sum is no pelvic incidence."""


@pytest.fixture
def few(tmp_path: Path) -> Path:
    path = tmp_path / "few.toml"
    path.write_text(COHORT, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four members as one worker builds them, undisturbed."""
    folder = tmp_path_factory.mktemp("calm")
    (folder / "few.toml").write_text(FOUR, encoding="utf-8")
    assert run(["phantom", "cohort", str(folder / "few.toml"), "--out", str(folder / "out"), "--workers", "1"]) == 0
    return folder / "out"


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file of a folder by its path in it."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def differing(one: Path, two: Path) -> list[str]:
    """Names of files that are not the same in both."""
    first, second = files_of(one), files_of(two)
    return sorted(name for name in first.keys() | second.keys() if first.get(name) != second.get(name))


def test_list_names_presets_and_cohorts(sjplan: Sjplan) -> None:
    found = sjplan("phantom", "list", "--json").json
    assert next(iter(found["presets"])) == "default"
    assert next(iter(found["cohorts"])) == "adults"
    shown = sjplan("phantom", "list").out
    for names in found.values():
        for name, summary in names.items():
            assert name in shown
            assert summary in shown


def test_build_gives_a_case_and_a_spec_that_gives_it_again(sjplan: Sjplan, tmp_path: Path) -> None:
    words = ("phantom", "build", "small", "--spacing", "4", "--seed", "5", "--json")
    done = sjplan(*words, "--out", tmp_path / "one")
    assert (done.code, done.err) == (0, "") or done.code == 0
    assert done.json["files"] == list(FILES)
    assert (done.json["name"], done.json["seed"], done.json["spacing_mm"]) == ("small", 5, 4.0)
    time.sleep(1.1)  # a second apart: a time stamp in a file would show
    again = sjplan("phantom", "build", tmp_path / "one" / "spec.toml", "--out", tmp_path / "two")
    assert again.code == 0
    assert differing(tmp_path / "one", tmp_path / "two") == []
    truth = json.loads((tmp_path / "one" / "truth.json").read_text())
    assert len(truth["foramina"]) == 8
    assert truth["seed"] == 5
    case = read_case(tmp_path / "two")
    assert case.labels is not None
    assert {"sacrum", "hip_left", "hip_right"} <= set(case.labels.present())


def test_a_cohort_goes_on_where_it_stopped(sjplan: Sjplan, few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ("phantom", "cohort", few, "--out", out, "--json")
    first = sjplan(*words, "--count", "1", "--no-sheet").json
    assert (first["built"], first["kept"]) == (1, 0)
    assert "sheet" not in first
    assert sorted(p.name for p in out.iterdir()) == [INDEX, "few-00000"]
    before = files_of(out / "few-00000")
    again = sjplan(*words, "--count", "2").json
    assert (again["built"], again["kept"]) == (1, 1)
    assert files_of(out / "few-00000") == before
    index = json.loads((out / INDEX).read_text())
    assert [m["name"] for m in index["members"]] == ["few-00000", "few-00001"]
    assert (index["cohort"], index["seed"], index["spacing_mm"]) == ("few", 0, 4.0)
    assert len(index["cohort_sha256"]) == 64
    assert index["versions"]["sjplan"]
    sheet = np.asarray(Image.open(BytesIO((out / SHEET).read_bytes())))
    assert (sheet > 200).any()
    assert (sheet < 20).any()


@pytest.mark.slow
def test_the_same_bytes_alone_or_by_one_worker_or_two(sjplan: Sjplan, few: Path, calm: Path, tmp_path: Path) -> None:
    few.write_text(FOUR, encoding="utf-8")
    assert sjplan("phantom", "cohort", few, "--out", tmp_path / "2", "--workers", "2").code == 0
    assert differing(calm, tmp_path / "2") == []
    member = calm / "few-00001"
    assert sjplan("phantom", "build", member / "spec.toml", "--out", tmp_path / "alone").code == 0
    assert differing(member, tmp_path / "alone") == []
    assert sjplan("phantom", "cohort", few, "--out", tmp_path / "other", "--seed", "1", "--count", "1").code == 0
    assert "few-00000/ct.nii.gz" in differing(calm, tmp_path / "other")


@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_with_the_same_files(
    sjplan: Sjplan, few: Path, calm: Path, tmp_path: Path
) -> None:
    few.write_text(FOUR, encoding="utf-8")
    killed = tmp_path / "killed"
    words = ["phantom", "cohort", str(few), "--out", str(killed), "--workers", "2"]
    other = subprocess.Popen([sys.executable, "-m", "sjplan.cli.main", *words], stderr=subprocess.DEVNULL)
    wait_until(lambda: len(list(killed.glob("few-*"))) >= 1 or other.poll() is not None)
    other.kill()
    other.wait()
    there = sorted(p.name for p in killed.glob("few-*"))
    assert 1 <= len(there) < 4
    assert not (killed / INDEX).exists()
    wait_until(lambda: is_free(killed))
    time.sleep(1.0)  # workers that outlive their parent would go on now
    assert len(list(killed.glob("few-*"))) <= len(there) + 1
    spoil(killed, there[0])
    done = sjplan(*words, "--json")
    assert done.code == 0
    assert done.json["built"] >= 4 - len(there)
    assert differing(calm, killed) == []
    assert sjplan(*words, "--json").json["built"] == 0
    assert differing(calm, killed) == []


def spoil(out: Path, member: str) -> None:
    """What else may be found: a temporary folder, and a member of which a file is missing."""
    (out / ".sjplan-left").mkdir()
    (out / ".sjplan-left" / "ct.nii.gz").write_bytes(b"half")
    (out / member / "truth.json").unlink()


def wait_until(true, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def is_free(folder: Path) -> bool:
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(handle)
    return True


@pytest.mark.slow
def test_a_member_of_another_spec_is_built_again_and_other_files_stay(
    sjplan: Sjplan, few: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    words = ("phantom", "cohort", few, "--out", out, "--count", "1", "--no-sheet", "--json")
    assert sjplan(*words).json["built"] == 1
    (out / "few-00000" / "plan.json").write_text("mine")
    before = files_of(out)
    assert sjplan(*words, "--seed", "1").json["built"] == 1
    assert (out / "few-00000" / "plan.json").read_text() == "mine"
    assert sjplan(*words).json["built"] == 1
    assert files_of(out) == before


def test_workers_have_one_thread_each_and_this_process_keeps_its_own() -> None:
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    with workers(2) as each:
        found = dict(each(os.getenv, list(ONE_THREAD), lambda done: None))
    assert set(found.values()) == {"1"}
    assert {name: os.environ.get(name) for name in ONE_THREAD} == before


def test_a_worker_that_is_killed_is_said_to_have_been() -> None:
    told = r"--workers: found 2, one of which was ended from outside.*goes on where this one stopped"
    with pytest.raises(InputError, match=told), workers(2) as each:
        list(each(os._exit, [3], lambda done: None))


def test_what_a_worker_refuses_is_refused(sjplan: Sjplan, few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    names = [f"few-{n:05d}" for n in range(3)]
    for name in names:
        (out / name).write_text("in the way")
    done = sjplan("phantom", "cohort", few, "--out", out, "--workers", "2")
    assert done.code == 2
    assert ": found a file; wanted an output folder" in done.err
    assert sorted(p.name for p in out.iterdir()) == names


def test_two_runs_do_not_write_into_one_folder(sjplan: Sjplan, few: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    handle = os.open(out, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        done = sjplan("phantom", "cohort", few, "--out", out)
    finally:
        os.close(handle)
    assert done.code == 2
    assert "another run is writing" in done.err
    assert list(out.iterdir()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("count = 3", "count = 0", ["count", "found 0", "greater than 0"]),
        ("[parameters.size]", "[parameters.sise]", ["parameters.sise", "did you mean 'size'?"]),
        ("sd = 0.04", "sd = 0.04\nwide = 1", ["parameters.size.wide"]),
        ("high = 50.0", "high = 90.0", ["sacral_slope_deg", "90", "20 to 62", "MACTH"]),
        ("spacing_mm = 4.0", "spacing_mm = 9.0", ["spacing_mm", "found 9", "0.4 to 4 mm"]),
        ("low = 30.0\nhigh = 50.0", FLAT, ["cohort few", "100 draws", "pelvic incidence"]),
    ],
)
def test_a_cohort_that_cannot_be_is_refused_in_one_line(
    sjplan: Sjplan, few: Path, tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    assert old in COHORT
    few.write_text(COHORT.replace(old, new), encoding="utf-8")
    done = sjplan("phantom", "cohort", few, "--out", tmp_path / "out")
    assert done.code == 2
    assert one_line(done.err), done.err
    assert all(word in done.err for word in ["few", *said]), done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--workers", "0"], ["--workers", "1 or more"]),
        (["--count", "0"], ["--count", "1 or more"]),
        (["--seed", "-1"], ["seed", "found -1"]),
        (["--spacing", "40"], ["spacing_mm", "0.4 to 4 mm"]),
    ],
)
def test_bad_numbers_are_refused_before_anything_is_written(
    sjplan: Sjplan, few: Path, tmp_path: Path, words: list[str], said: list[str]
) -> None:
    done = sjplan("phantom", "cohort", few, "--out", tmp_path / "out", *words)
    assert done.code == 2
    assert one_line(done.err), done.err
    assert all(word in done.err for word in said), done.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("closed_foramina = []", "size = 3.0", ["phantom size", "found 3", "0.8 to 1.2", "DRY30"]),
        ("closed_foramina = []", "sise = 1.0", ["parameters.sise", "did you mean 'size'?"]),
        ("closed_foramina = []", 'closed_foramina = ["S7_left"]', ["closed_foramina", "S7_left"]),
        ("closed_foramina = []", "sacral_slope_deg = 62.0\npelvic_tilt_deg = 30.0", ["62 + 30", "30 to 78", "MACTH"]),
    ],
)
def test_a_preset_that_cannot_be_is_refused_in_one_line(
    sjplan: Sjplan, tmp_path: Path, old: str, new: str, said: list[str]
) -> None:
    text = (phantoms_folder() / "default.toml").read_text(encoding="utf-8")
    assert old in text
    keys = [line.split(" ")[0] for line in new.splitlines()]
    sources = "\n".join(f'{key} = "default"' for key in keys)
    path = tmp_path / "mine.toml"
    path.write_text(text.split("[sources]")[0].replace(old, new) + "[sources]\n" + sources + "\n", encoding="utf-8")
    done = sjplan("phantom", "build", path, "--out", tmp_path / "out")
    assert done.code == 2
    assert one_line(done.err), done.err
    assert all(word in done.err for word in ["mine.toml", *said]), done.err
    assert not (tmp_path / "out").exists()


def test_a_place_that_cannot_be_written_is_named(sjplan: Sjplan, few: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    done = sjplan("phantom", "cohort", few, "--out", tmp_path / "file" / "below")
    assert done.code == 2
    assert one_line(done.err), done.err
    assert "cannot be written" in done.err


def test_times_are_said_as_people_say_them() -> None:
    assert [in_words(s) for s in (0.4, 59.4, 61, 3599, 3600)] == [
        "0 s",
        "59 s",
        "1 min 1 s",
        "59 min 59 s",
        "1 h 0 min",
    ]
