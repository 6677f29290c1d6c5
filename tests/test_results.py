"""The tables in the docs are what the results say, and the results are what the scripts find."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sjplan.planning.registry import BUILT_IN

ROOT = Path(__file__).parents[1]


def run(script: str, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / script), *map(str, words)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8", timeout=500, check=False)


def test_the_page_on_real_pelves_agrees_with_its_results() -> None:
    done = run("tabulate_real_pelves.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_page_on_planners_agrees_with_its_results() -> None:
    done = run("tabulate_planners.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_page_on_the_benchmark_agrees_with_its_results() -> None:
    done = run("tabulate_benchmark.py", "--check")
    assert done.returncode == 0, done.stderr


def test_every_planner_that_ships_is_in_the_results() -> None:
    """Every planner on every real side; nobody is called accepted by himself alone."""
    rows = json.loads((ROOT / "docs/results/planners.json").read_text(encoding="utf-8"))["rows"]
    asked = [row for row in rows if row["cap"] == "3" and not row["run"].startswith("adults-")]
    for planner in BUILT_IN:
        assert sum(row["planner"] == planner for row in asked) == 32, planner
    assert all(row["accepted"] == (row["status"] in ("found", "best_effort")) for row in rows)


def test_every_real_side_is_in_the_results() -> None:
    rows = json.loads((ROOT / "docs/results/real_pelves.json").read_text(encoding="utf-8"))["rows"]
    assert len({row["case"] for row in rows}) == 32
    for row in rows:
        if row["status"] != "found":
            assert row["slow_search"]["status"] != "found", f"{row['case']} was refused, a finer search finds a plan"


def test_the_page_on_phantoms_agrees_with_its_results() -> None:
    done = run("tabulate_phantoms.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_cohort_of_phantoms_is_in_the_results() -> None:
    for name, count in (("phantoms", 200), ("phantom_anatomy", 200)):
        rows = json.loads((ROOT / f"docs/results/{name}.json").read_text(encoding="utf-8"))["rows"]
        assert len({row["run"] for row in rows}) == count


def test_the_page_on_training_agrees_with_its_results() -> None:
    done = run("tabulate_training.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_page_on_corridors_agrees_with_its_results() -> None:
    done = run("tabulate_corridors.py", "--check")
    assert done.returncode == 0, done.stderr


def test_corridors_of_every_pelvis_and_every_expert_are_in_the_results() -> None:
    rows = json.loads((ROOT / "docs/results/corridors.json").read_text(encoding="utf-8"))["rows"]
    assert len({row["case"] for row in rows}) == 16
    assert all(len(row["corridors"]) == 6 for row in rows)
    assert all(c["found"] or c["reason"] for row in rows for c in row["corridors"])
    assert sum(len(row.get("experts", [])) for row in rows) == 12


@pytest.mark.slow
@pytest.mark.real
def test_corridors_of_one_pelvis_again_are_the_tabled_ones(real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.json"
    done = run("validate_corridors.py", "--data", real_data, "--only", "jhu-03", "--out", out)
    assert done.returncode == 0, done.stderr
    tabled = json.loads((ROOT / "docs/results/corridors.json").read_text(encoding="utf-8"))["rows"]
    (before,) = (row for row in tabled if row["case"] == "jhu-03")
    (again,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    for a, b in zip(again["corridors"], before["corridors"], strict=True):
        assert a["inscribed_diameter_mm"] == pytest.approx(b["inscribed_diameter_mm"], abs=0.1)
    for a, b in zip(again["experts"], before["experts"], strict=True):
        assert a["measured"]["inscribed_diameter_mm"] == pytest.approx(b["measured"]["inscribed_diameter_mm"], abs=0.01)


@pytest.mark.slow
@pytest.mark.real
def test_one_pelvis_planned_again_gives_the_tabled_answer(real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.json"
    done = run("validate_planning.py", "--data", real_data, "--only", "vsd-z013", "--out", out)
    assert done.returncode == 0, done.stderr
    tabled = json.loads((ROOT / "docs/results/real_pelves.json").read_text(encoding="utf-8"))["rows"]
    before = {row["case"]: row for row in tabled}
    for row in json.loads(out.read_text(encoding="utf-8"))["rows"]:
        assert row["status"] == before[row["case"]]["status"]
        assert row["slack_mm"] == pytest.approx(before[row["case"]]["slack_mm"], abs=0.15)


@pytest.mark.slow
@pytest.mark.real
def test_one_pelvis_asked_again_gives_the_tabled_answers(real_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "again.json"
    planners = ("greedy-v1", "rule-v1", "evolution-v1")
    done = run("validate_planners.py", "--data", real_data, "--only", "vsd-z013", "--planners", *planners, "--out", out)
    assert done.returncode == 0, done.stderr
    tabled = json.loads((ROOT / "docs/results/planners.json").read_text(encoding="utf-8"))["rows"]
    before = {row["run"]: row for row in tabled}
    again = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert len(again) == 2 * len(planners)
    for row in again:
        assert row["status"] == before[row["run"]]["status"]
        assert row["slack_mm"] == pytest.approx(before[row["run"]]["slack_mm"], abs=0.15)


@pytest.mark.slow
def test_two_phantoms_measured_again_give_the_tabled_rows(tmp_path: Path) -> None:
    again = {}
    for script, name, words in (
        ("validate_phantoms.py", "phantoms", ()),
        ("validate_phantom_truth.py", "phantom_anatomy", ("--poses", 0)),
    ):
        out = tmp_path / f"{name}.json"
        done = run(script, "--count", 2, "--out", out, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        again[name] = json.loads(out.read_text(encoding="utf-8"))
        tabled = json.loads((ROOT / f"docs/results/{name}.json").read_text(encoding="utf-8"))
        assert again[name]["settings"] == tabled["settings"]
        before = {row["run"]: row for row in tabled["rows"]}
        for row in again[name]["rows"]:
            assert near(row, before[row["run"]] | {"seconds": row.get("seconds")}), row["run"]


def near(a: object, b: object, tolerance: float = 0.02) -> bool:
    """Whether two rows say the same, numbers to the tolerance."""
    if isinstance(a, dict) and isinstance(b, dict):
        return all(near(a[key], b.get(key)) for key in a)
    if isinstance(a, float | int) and isinstance(b, float | int):
        return abs(a - b) <= tolerance
    return a == b


def test_the_page_on_audits_agrees_with_its_results() -> None:
    done = run("tabulate_audit.py", "--check")
    assert done.returncode == 0, done.stderr


def test_every_audited_implant_is_in_the_results() -> None:
    rows = json.loads((ROOT / "docs/results/audit.json").read_text(encoding="utf-8"))["rows"]
    assert len({row["run"] for row in rows}) == 20
    assert all(len(row["implants"]) == 6 and row["extra"] == 0 for row in rows)


@pytest.mark.slow
def test_misplaced_implants_of_one_phantom_are_found_again(tmp_path: Path) -> None:
    words = ("--pelves", 1, "--positions", 1, "--spacing", 1.5)
    done = run("validate_audit.py", *words, "--out", tmp_path / "again.json")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_on_speed_agrees_with_its_results() -> None:
    done = run("tabulate_speed.py", "--check")
    assert done.returncode == 0, done.stderr


def test_the_page_on_intake_agrees_with_its_results() -> None:
    done = run("tabulate_intake.py", "--check")
    assert done.returncode == 0, done.stderr


def test_no_hostile_file_of_the_results_was_anything_but_read_or_refused() -> None:
    content = json.loads((ROOT / "docs/results/hostile.json").read_text(encoding="utf-8"))
    assert len(content["rows"]) >= 500
    assert content["settings"]["every"] == 1
    assert [row["run"] for row in content["rows"] if row["bad"]] == []
    assert max(row["seconds"] for row in content["rows"]) < 15
    assert len({row["group"] for row in content["rows"]}) >= 13


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="who opens a file is told by Linux's inotify")
def test_one_hostile_file_in_thirty_is_read_or_refused_as_tabled(tmp_path: Path) -> None:
    out = tmp_path / "again.json"
    done = run("validate_hostile.py", "--every", 30, "--out", out)
    assert done.returncode == 0, done.stdout + done.stderr
    tabled = json.loads((ROOT / "docs/results/hostile.json").read_text(encoding="utf-8"))["rows"]
    before = {row["run"]: row["outcome"] for row in tabled}
    again = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert len(again) >= 30
    assert {row["run"]: row["outcome"] for row in again} == {row["run"]: before[row["run"]] for row in again}


def test_the_page_on_segmentation_agrees_with_its_results() -> None:
    done = run("tabulate_segmentation.py", "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_coarse_phantom_segmented_again_is_a_pelvis(tmp_path: Path) -> None:
    """The script end to end on one phantom of 2 mm, where a voxel of hip is a tenth of its thickness."""
    out = tmp_path / "again.json"
    words = ("--kinds", "phantom", "--phantoms", 1, "--spacing", 2.0, "--no-plans", "--out", out)
    done = run("validate_segmentation.py", *words)
    assert done.returncode == 0, done.stderr
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert min(row["dice"][bone] for bone in ("sacrum", "hip_left", "hip_right")) > 0.9
    needed = {f"foramen_{level}_{side}" for level in ("S1", "S2") for side in ("left", "right")}
    assert needed <= set(row["foramina"])
    assert row["trusted"]
