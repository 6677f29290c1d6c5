"""Bench files: what ships reads, what is wrong gets one line that names it, paths are found from the file."""

import re
from pathlib import Path

import pytest

from sjplan.core.errors import SjplanError
from sjplan.io.bench_settings import read_settings
from sjplan.io.benchfiles import BenchFile, CaseEntry, label_files, list_suites, read_bench, suites_folder
from sjplan.io.phantom_tables import phantoms_folder
from sjplan.planning.registry import BUILT_IN

LEAST = """
schema = "sjplan.bench-file/1"
name = "mine"
[[planners]]
planner = "raster-v1"
[[cases]]
presets = ["default"]
"""


def bench(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", [n for n in list_suites() if n != "real"])
def test_suites_ask_every_planner_that_ships_and_count_evaluations(name: str) -> None:
    suite = read_bench(name)
    assert suite.name == name
    assert suite.summary
    assert [entry.planner for entry in suite.planners] == list(BUILT_IN)
    assert all(b.seconds is None and b.evaluations for b in suite.budgets), "seconds give no reproducible numbers"


def test_the_real_suite_takes_the_label_maps_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SJPLAN_REAL_DATA", raising=False)
    with pytest.raises(SjplanError, match="SJPLAN_REAL_DATA is not set"):
        read_bench("real")
    monkeypatch.setenv("SJPLAN_REAL_DATA", str(tmp_path))
    with pytest.raises(SjplanError, match="labels: found none"):
        read_bench("real")
    for name in ("b/maps/02_labels.nii.gz", "a/01_labels.nii.gz", "a/notes.txt", "a/ct.nii.gz"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (entry,) = read_bench("real").cases
    assert [file.name for file in label_files(entry)] == ["01_labels.nii.gz", "02_labels.nii.gz"]


WRONG = {
    "a key": ('name = "mine"', 'name = "mine"\nseds = [1]', r"mine.toml: seds: .*did you mean 'seeds'"),
    "a key of a case": ('["default"]', '["default"]\nspacing = 2', "cases.0.spacing: .*did you mean 'spacing_mm'"),
    "a planner": ("raster-v1", "rastr-v1", "planner: found 'rastr-v1'.*did you mean 'raster-v1'"),
    "a parameter": (
        '"raster-v1"',
        '"raster-v1"\nparameters = { refinement = 3 }',
        "raster-v1: parameters: found 'refinement'.*did you mean 'refinements'",
    ),
    "a parameter's value": ('"raster-v1"', '"raster-v1"\nparameters = { refinements = -3 }', "raster-v1.refinements"),
    "a preset": ('["default"]', '["defalt"]', "did you mean 'default'"),
    "a cohort": ('presets = ["default"]', 'cohort = "adult"', "did you mean 'adults'"),
    "an implant": ('name = "mine"', 'name = "mine"\nimplants = "tri7"', "implants: .*did you mean 'tri-7'"),
    "how many implants": (
        'name = "mine"',
        'name = "mine"\nimplants = ["tri-7", "tri-7", "tri-7", "tri-7"]',
        "4 of them",
    ),
    "an error model": ('name = "mine"', 'name = "mine"\nerror_model = "freehnd"', "did you mean 'freehand'"),
    "errors for nothing": ('name = "mine"', 'name = "mine"\nerrors = "x.toml"', "errors: .*error_model"),
    "no planner": ('[[planners]]\nplanner = "raster-v1"', "planners = []", "planners"),
    "no case": ('[[cases]]\npresets = ["default"]', "cases = []", "cases"),
    "an empty case": ('presets = ["default"]', 'prefix = "x"', "cases.0: .*one of presets, cohort and labels"),
    "two kinds": ('["default"]', '["default"]\ncohort = "adults"', "found presets and cohort"),
    "count without a cohort": ('["default"]', '["default"]\ncount = 3', "count: found a value beside presets"),
    "a cohort's end": ('presets = ["default"]', 'cohort = "adults"\nfirst = 990\ncount = 20', "up to 1009.*0 to 999"),
    "indices and count": ('presets = ["default"]', 'cohort = "adults"\nindices = [1]\ncount = 2', "indices"),
    "an index twice": ('presets = ["default"]', 'cohort = "adults"\nindices = [1, 1]', "1 twice"),
    "too coarse": ('["default"]', '["default"]\nspacing_mm = 3.0', "cases.0.spacing_mm"),
    "a planner twice": ("[[cases]]", '[[planners]]\nplanner = "raster-v1"\n[[cases]]', "twice.*another name"),
    "a seed twice": ('name = "mine"', 'name = "mine"\nseeds = [1, 1]', "seeds: found 1 twice"),
    "one seed": ('name = "mine"', 'name = "mine"\nseeds = 1', r"seeds: found 1; wanted a list, such as \[...\]"),
    "a sealed suite": ("bench-file/1", "bench-sealed/1", r"found a sealed suite; .*fix: .*sjplan bench open"),
    "a seed as text": ('name = "mine"', 'name = "mine"\nseeds = ["1"]', "seeds.0"),
    "seconds beyond the wall": ("[[cases]]", "[[budgets]]\nseconds = 200.0\n[[cases]]", "wall_limit_s"),
    "no budget": ("[[cases]]", "[[budgets]]\nevaluations = 0\n[[cases]]", "budgets.0.evaluations"),
    "no folder": ('presets = ["default"]', 'labels = "nowhere"', "labels: found nothing at .*nowhere"),
    "a schema of the future": ("bench-file/1", "bench-file/2", "schema"),
    "no TOML": ("[[cases]]", "[[cases]", "mine.toml: found"),
    "limits": ('name = "mine"', 'name = "mine"\nlimits = "none.toml"', "none.toml"),
    "sides": ('name = "mine"', 'name = "mine"\nsides = "lft"', "sides"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_gets_one_line_that_names_it(name: str, tmp_path: Path) -> None:
    old, new, message = WRONG[name]
    assert old in LEAST
    with pytest.raises(SjplanError, match=message) as caught:
        read_bench(bench(tmp_path, LEAST.replace(old, new)))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("mine.toml: ")


def test_a_suite_that_does_not_exist_gets_the_nearest() -> None:
    with pytest.raises(SjplanError, match="did you mean 'adults-200'"):
        read_bench("adults-20")


def test_a_cohort_file_with_a_typo_is_named(tmp_path: Path) -> None:
    text = (phantoms_folder() / "cohorts" / "adults.toml").read_text(encoding="utf-8")
    (tmp_path / "people.toml").write_text(text.replace("[parameters.size]", "[parameters.sise]"), encoding="utf-8")
    path = bench(tmp_path, LEAST.replace('presets = ["default"]', 'cohort = "people.toml"\ncount = 2'))
    with pytest.raises(SjplanError, match=r"mine.toml: cases.0: people.toml: .*sise.*did you mean 'size'"):
        read_bench(path)


def test_paths_are_relative_to_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "one.nii.gz").write_bytes(b"no image")
    (tmp_path / "limits.toml").write_text("sacral_min_mm = 12.0\n", encoding="utf-8")
    text = LEAST.replace('presets = ["default"]', 'labels = "maps"').replace(
        'name = "mine"', 'name = "mine"\nlimits = "limits.toml"'
    )
    path = bench(tmp_path, text)
    monkeypatch.chdir("/")
    found = read_bench(path)
    assert found.settings().limits.sacral_min_mm == 12.0
    assert label_files(found.cases[0]) == [tmp_path / "maps" / "one.nii.gz"]


def test_one_implant_stands_for_three_and_two_for_two(tmp_path: Path) -> None:
    assert read_bench(bench(tmp_path, LEAST)).models == ("tri-7",) * 3
    two = LEAST.replace('name = "mine"', 'name = "mine"\nimplants = ["tri-7", "thread-10"]')
    assert read_bench(bench(tmp_path, two)).models == ("tri-7", "thread-10")


def test_settings_are_fingerprinted_by_their_numbers(tmp_path: Path) -> None:
    usual = read_settings(("tri-7",) * 3)
    (tmp_path / "same.toml").write_text(f"sacral_min_mm = {usual.limits.sacral_min_mm}\n", encoding="utf-8")
    (tmp_path / "other.toml").write_text("sacral_min_mm = 11.0\n", encoding="utf-8")
    assert read_settings(("tri-7",) * 3, limits=tmp_path / "same.toml").sha256() == usual.sha256()
    others = [
        read_settings(("tri-7",) * 3, limits=tmp_path / "other.toml").sha256(),
        read_settings(("tri-7",) * 2).sha256(),
        read_settings(("tri-7",) * 3, error_model="freehand").sha256(),
        usual.sha256(True),
    ]
    assert len({usual.sha256(), *others}) == 5


def test_every_suite_lies_where_the_wheel_takes_it_from() -> None:
    assert suites_folder().parent.name == "data"
    assert list(list_suites()) == ["smoke", "adults-200", "dysmorphic-100", "osteoporotic-100", "real"]


def test_the_bench_file_in_the_docs_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "benchmark.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```toml\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    (tmp_path / "limits.toml").write_text("sacral_min_mm = 12.0\n", encoding="utf-8")
    (tmp_path / "names.toml").write_text("sacrum = 1\nhip_left = 2\nhip_right = 3\n", encoding="utf-8")
    (tmp_path / "maps").mkdir()
    (tmp_path / "maps" / "one_labels.nii.gz").write_bytes(b"")
    monkeypatch.setenv("MY_PELVES", str(tmp_path))
    found = read_bench(bench(tmp_path, text))
    keys = set(BenchFile.model_fields) - {"format", "summary", "catalogue", "errors"}
    assert keys <= found.model_fields_set, "the page shows every key"
    shown = set[str]().union(*(entry.model_fields_set for entry in found.cases))
    assert set(CaseEntry.model_fields) - {"first", "indices"} <= shown
