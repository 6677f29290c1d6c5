"""The list of runs: always the same, case by case, each named by what decides it; a bad label map is no end."""

import subprocess
import sys
from pathlib import Path

import pytest

from sjplan.bench.cases import anatomy_of
from sjplan.bench.plan_runs import cases_of, runs_of
from sjplan.core.errors import InputError
from sjplan.io.benchfiles import read_bench

TEXT = """
schema = "sjplan.bench-file/1"
name = "mine"
seeds = [0, 1]
cap_mm = 2.0
[[budgets]]
evaluations = 100
[[budgets]]
evaluations = 200
[[planners]]
planner = "raster-v1"
[[planners]]
planner = "raster-v1"
name = "raster-high"
parameters = { slack_cap_mm = 5.0 }
[[planners]]
planner = "my.module:Mine"
[[cases]]
cohort = "adults"
first = 5
count = 2
[[cases]]
cohort = "adults"
first = 5
count = 1
seed = 3
"""


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def more(line: str) -> str:
    return TEXT.replace("seeds = ", f"{line}\nseeds = ")


def test_runs_go_case_by_case_and_repeat_nothing(tmp_path: Path) -> None:
    runs = runs_of(read_bench(written(tmp_path)))
    assert len(runs) == 3 * 2 * 3 * 2 * 2 == len({run.id for run in runs})
    keys = [run.case.key for run in runs]
    assert sorted(set(keys), key=keys.index) == ["adults-00005", "adults-00006", "adults-s3-00005"]
    assert keys == sorted(keys), "a case's runs lie side by side, so that its anatomy is read once"
    assert runs == runs_of(read_bench(written(tmp_path)))


def test_names_of_runs_are_the_same_in_another_process(tmp_path: Path) -> None:
    path = written(tmp_path)
    code = (
        "from sjplan.io.benchfiles import read_bench; from sjplan.bench.plan_runs import runs_of\n"
        f"print(*(run.id for run in runs_of(read_bench({str(path)!r}))))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.split() == [run.id for run in runs_of(read_bench(path))]


def test_planners_with_a_cap_get_the_file_s_unless_they_name_their_own(tmp_path: Path) -> None:
    caps = {
        run.planner.name: run.planner.parameters.get("slack_cap_mm") for run in runs_of(read_bench(written(tmp_path)))
    }
    assert caps == {"raster-v1": 2.0, "raster-high": 5.0, "my.module:Mine": None}


def test_alternate_asks_for_one_side_a_case(tmp_path: Path) -> None:
    runs = runs_of(read_bench(written(tmp_path, more('sides = "alternate"'))))
    assert sorted({(run.case.key, run.side) for run in runs}) == [
        ("adults-00005", "left"),
        ("adults-00006", "right"),
        ("adults-s3-00005", "left"),
    ]


def test_where_settings_lie_names_no_run_but_what_they_hold_does(tmp_path: Path) -> None:
    ids = []
    for n, value in enumerate((12.0, 12.0, 11.0)):
        folder = tmp_path / str(n)
        folder.mkdir()
        (folder / f"limits{n}.toml").write_text(f"sacral_min_mm = {value}\n", encoding="utf-8")
        text = more(f'limits = "limits{n}.toml"')
        ids.append([run.id for run in runs_of(read_bench(written(folder, text)))])
    assert ids[0] == ids[1]
    assert not set(ids[0]) & set(ids[2])


def test_what_is_measured_names_the_run(tmp_path: Path) -> None:
    plain = {run.id for run in runs_of(read_bench(written(tmp_path)))}
    for line in ("truth = true", "bound = false", "bound_boxes = 5", 'error_model = "freehand"'):
        assert not plain & {run.id for run in runs_of(read_bench(written(tmp_path, more(line))))}, line


def test_two_cases_of_one_name_are_refused(tmp_path: Path) -> None:
    text = TEXT.replace("seed = 3", 'prefix = ""')
    with pytest.raises(InputError, match=r"adults-00005 twice.*prefix"):
        runs_of(read_bench(written(tmp_path, text)))
    keys = [case.key for case in cases_of(read_bench(written(tmp_path, text.replace('prefix = ""', 'prefix = "b-"'))))]
    assert keys[-1] == "b-adults-00005"


def test_label_maps_are_named_by_their_file_or_folder_and_a_bad_one_keeps_its_place(tmp_path: Path) -> None:
    for name in ("one.nii.gz", "two_labels.nii.gz", "three/labels.nii.gz"):
        (tmp_path / "maps" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "maps" / name).write_bytes(b"no image")
    (tmp_path / "maps" / "zero.nii.gz").symlink_to(tmp_path / "gone.nii.gz")
    text = TEXT[: TEXT.index("[[cases]]")] + '[[cases]]\nlabels = "maps"\npattern = "**/*"\ntraits = { lab = "ours" }\n'
    cases = cases_of(read_bench(written(tmp_path, text)))
    assert [case.key for case in cases] == ["one", "three", "two", "zero"]
    assert [bool(case.sha256) for case in cases] == [True, True, True, False]
    assert {case.traits["lab"] for case in cases} == {"ours"}
    for case in cases:
        with pytest.raises(InputError):
            anatomy_of(case, tmp_path / "anatomies")


def test_a_names_file_belongs_to_the_case(tmp_path: Path) -> None:
    (tmp_path / "one.nii.gz").write_bytes(b"no image")
    text = TEXT[: TEXT.index("[[cases]]")] + '[[cases]]\nlabels = "one.nii.gz"\n'
    (before,) = cases_of(read_bench(written(tmp_path, text)))
    (tmp_path / "one.names.toml").write_text("sacrum = 1\nhip_left = 2\nhip_right = 3\n", encoding="utf-8")
    (after,) = cases_of(read_bench(written(tmp_path, text)))
    assert before.sha256 != after.sha256


def test_a_member_that_cannot_be_keeps_its_place(tmp_path: Path) -> None:
    law = '[{}]\nkind = "constant"\nvalue = {}\nsource = "none"\n'
    people = 'schema = "sjplan.cohort/1"\nname = "people"\nsummary = "too steep to be"\ncount = 3\n'
    people += law.format("parameters.sacral_slope_deg", 60.0) + law.format("parameters.pelvic_tilt_deg", 30.0)
    (tmp_path / "people.toml").write_text(people, encoding="utf-8")
    text = TEXT[: TEXT.index("[[cases]]")] + '[[cases]]\ncohort = "people.toml"\n'
    cases = cases_of(read_bench(written(tmp_path, text)))
    assert [(case.key, dict(case.traits)) for case in cases] == [(f"people-0000{n}", {}) for n in range(3)]
    with pytest.raises(InputError, match="contradict each other"):
        anatomy_of(cases[0], tmp_path / "anatomies")
