"""Every command from its words to its files, on a small phantom."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from cli_support import Done, Sjplan, Stub, good_plan, moved, use_stub

from sjplan.cli.sides import plan_side
from sjplan.core.plan import Outcome, Reason
from sjplan.io.planfile import read_plan, write_plan
from sjplan.planning.protocol import Budget, Problem


def test_plan_writes_plan_and_markups(plan_folder: Path) -> None:
    document = json.loads((plan_folder / "plan.json").read_text(encoding="utf-8"))
    assert document["schema"] == "sjplan.plan/1"
    assert document["not_for_clinical_use"] is True
    (side,) = document["sides"]
    assert (side["side"], side["status"], len(side["implants"])) == ("left", "found", 3)
    assert all(implant["slack_mm"] >= 0 for implant in side["implants"])
    assert {"ap", "lateral", "inlet", "outlet"} <= set(side["views"])
    kinds = sorted(p.suffix for p in (plan_folder / "slicer").iterdir())
    assert kinds == [".json"] * 3 + [".mrml"] + [".stl"] * 3
    assert sorted(p.name for p in plan_folder.iterdir()) == ["plan.json", "slicer"]


@pytest.mark.slow
def test_both_sides_as_json_hold_the_same_left_side(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path
) -> None:
    """One object on stdout; a side's plan does not depend on whether the other is planned too."""
    done = sjplan("plan", phantom, "--no-pictures", "--out", tmp_path / "both", "--json")
    assert done.code == 0
    assert done.json == json.loads((tmp_path / "both" / "plan.json").read_text(encoding="utf-8"))
    left = json.loads((plan_folder / "plan.json").read_text(encoding="utf-8"))["sides"][0]
    assert [side["side"] for side in done.json["sides"]] == ["left", "right"]
    assert done.json["sides"][0] == left


def test_plan_file_holds_breach_probabilities(plan_folder: Path) -> None:
    (side,) = json.loads((plan_folder / "plan.json").read_text(encoding="utf-8"))["sides"]
    construct = side["construct_breach_probability"]
    assert construct["error_model"] == "fluoro-planned"
    assert construct["draws"] == 10_000
    assert 0 <= construct["low"] <= construct["value"] <= construct["high"] <= 1
    each = [implant["breach_probability"] for implant in side["implants"]]
    assert max(p["value"] for p in each) <= construct["value"] <= sum(p["value"] for p in each) + 1e-9
    for p in each:
        assert all(own["value"] <= p["value"] for own in p.get("by_structure", {}).values())


def test_evaluate_agrees_with_the_plan_file(sjplan: Sjplan, phantom: Path, plan_folder: Path) -> None:
    done = sjplan("evaluate", phantom, plan_folder / "plan.json", "--json")
    assert done.code == 0
    assert done.json["accepted"] is True
    assert done.json["notes"] == []
    stored = read_plan(plan_folder / "plan.json").sides[0]
    (side,) = done.json["sides"]
    for again, before in zip(side["implants"], stored.implants, strict=True):
        assert again["margin_mm"] == pytest.approx(before.margin_mm, abs=0.002)
        assert again["slack_mm"] == pytest.approx(before.slack_mm, abs=0.002)
    assert "accepted" in sjplan("evaluate", phantom, plan_folder / "plan.json").out


def test_evaluate_is_no_surer_of_labels_than_their_plan_was(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path
) -> None:
    """The names file that says how far labels may be off stayed behind when they were moved."""
    plan_file = read_plan(plan_folder / "plan.json")
    case = plan_file.case.model_copy(update={"surface_error_mm": 1.5})
    unsure = write_plan(plan_file.model_copy(update={"case": case}), tmp_path / "plan.json")
    before = sjplan("evaluate", phantom, plan_folder / "plan.json", "--json")
    after = sjplan("evaluate", phantom, unsure, "--json")
    assert after.json["notes"] == [
        "labels may be off by 1.5 mm, as when they were planned on: no names file beside them says so now"
    ]
    first, second = (
        min(c["lower_bound_mm"] for i in done.json["sides"][0]["implants"] for c in i["clearances"])
        for done in (before, after)
    )
    assert second == pytest.approx(first - 1.5, abs=0.02)
    # another label map is as sure as it says itself
    other = case.model_copy(update={"sha256": {**case.sha256, "labels": "0" * 64}})
    write_plan(plan_file.model_copy(update={"case": other}), unsure)
    elsewhere = sjplan("evaluate", phantom, unsure, "--json")
    assert elsewhere.json["notes"] == ["the plan was made for another file: sha256 of the labels differs"]
    assert elsewhere.json["sides"] == before.json["sides"]


def test_evaluate_says_no_under_tighter_limits(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path
) -> None:
    limits = tmp_path / "limits.toml"
    limits.write_text("sacral_min_mm = 40.0\nsacral_finding_mm = 45.0\n")
    done = sjplan("evaluate", phantom, plan_folder / "plan.json", "--limits", limits, "--json")
    assert done.code == 1
    assert done.json["accepted"] is False
    violations = done.json["sides"][0]["violations"]
    assert {v["constraint"] for v in violations} == {"sacral_length"}
    assert len(violations) == 3
    people = sjplan("evaluate", phantom, plan_folder / "plan.json", "--limits", limits)
    assert people.code == 1
    assert "not accepted" in people.out
    assert "length in sacrum" in people.out


def test_evaluate_sees_a_changed_plan_and_another_case(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path
) -> None:
    """Implants 15 mm further down go through the foramina, whatever the file claims of them."""
    plan_file = read_plan(plan_folder / "plan.json")
    side = plan_file.sides[0]
    lower = [
        i.model_copy(
            update={
                "entry_lps_mm": [*i.entry_lps_mm[:2], i.entry_lps_mm[2] - 15],
                "tip_lps_mm": [*i.tip_lps_mm[:2], i.tip_lps_mm[2] - 15],
            }
        )
        for i in side.implants
    ]
    case = plan_file.case.model_copy(update={"sha256": {**plan_file.case.sha256, "labels": "0" * 64}})
    changed = plan_file.model_copy(update={"sides": [side.model_copy(update={"implants": lower})], "case": case})
    write_plan(changed, tmp_path / "plan.json")
    done = sjplan("evaluate", phantom, tmp_path / "plan.json", "--json")
    assert done.code == 1
    assert min(i["slack_mm"] for i in done.json["sides"][0]["implants"]) < 0
    assert done.json["notes"] == ["the plan was made for another file: sha256 of the labels differs"]


@pytest.mark.parametrize("kind", ["slicer", "stl", "obj", "ply", "glb", "csv"])
def test_export(sjplan: Sjplan, plan_folder: Path, tmp_path: Path, kind: str) -> None:
    done = sjplan("export", plan_folder / "plan.json", "--to", kind, "--out", tmp_path / "out", "--json")
    assert done.code == 0
    assert done.json["notes"] == []
    assert sorted(done.json["files"]) == sorted(p.name for p in (tmp_path / "out").iterdir())
    if kind == "csv":
        with (tmp_path / "out" / "implants.csv").open(newline="") as file:
            assert len(list(csv.DictReader(file))) == 3
    elif kind != "glb":
        ending = "stl" if kind == "slicer" else kind
        bones = sorted(p.stem for p in (tmp_path / "out").glob(f"bone_*.{ending}"))
        assert bones == ["bone_hip_left", "bone_hip_right", "bone_sacrum"]
        assert len(list((tmp_path / "out").glob(f"left_*.{ending}"))) == 3


def test_export_of_a_case_that_has_moved_or_changed(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path
) -> None:
    """Bones come from the very bytes that were planned on, or not at all; a file that is named must be the one."""
    plan_file = read_plan(plan_folder / "plan.json")
    gone = plan_file.case.model_copy(update={"paths": {"labels": "elsewhere/labels.nii.gz"}})
    write_plan(plan_file.model_copy(update={"case": gone}), tmp_path / "plan.json")
    export = ("export", tmp_path / "plan.json", "--to", "stl")
    done = sjplan(*export, "--out", tmp_path / "without", "--json")
    assert done.code == 0
    assert done.json["notes"] == [
        "no bones: the plan's label map is gone (elsewhere/labels.nii.gz); give it with --labels FILE or --case CASE"
    ]
    assert not list((tmp_path / "without").glob("bone_*"))
    for n, words in enumerate((("--labels", phantom / "labels.nii.gz"), ("--case", phantom))):
        assert sjplan(*export, *words, "--out", tmp_path / f"with {n}", "--json").json["notes"] == []
        assert len(list((tmp_path / f"with {n}").glob("bone_*.stl"))) == 3

    (tmp_path / "elsewhere").mkdir()  # a relative path is looked for beside the plan too
    other = sitk.ReadImage(str(phantom / "labels.nii.gz"))
    other[0, 0, 0] = 25
    sitk.WriteImage(other, str(tmp_path / "elsewhere" / "labels.nii.gz"))
    (note,) = sjplan(*export, "--out", tmp_path / "changed", "--json").json["notes"]
    assert "no longer the label map that the plan was made on" in note
    refused = sjplan(*export, "--labels", tmp_path / "elsewhere" / "labels.nii.gz", "--out", tmp_path / "no")
    assert refused.code == 2
    assert "found another label map than the one that the plan was made on (sha256 differs)" in refused.err
    assert not (tmp_path / "no").exists()


def test_a_plan_that_the_judge_rejects_is_not_accepted(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planner never grades itself: this one calls implants in the canal safe."""
    plan = good_plan(plan_folder)
    bad = replace(plan, trajectories=tuple(moved(t, (-25.0, 0.0, 0.0)) for t in plan.trajectories))
    use_stub(monkeypatch, lambda problem: Outcome("found", plan=bad))
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "out", "--json")
    assert done.code == 1
    (side,) = done.json["sides"]
    assert (side["status"], side["implants"]) == ("infeasible", [])
    assert side["nearest"]["accepted"] is False
    assert "rejected by the judge" in side["reasons"][0]["text"]
    assert any(reason["constraint"].startswith("relax:") for reason in side["reasons"])
    assert not (tmp_path / "out" / "slicer").exists()


def test_infeasible_is_exit_1_with_the_reasons(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = good_plan(plan_folder)
    near = replace(plan, trajectories=tuple(moved(t, (0.0, 0.0, -10.0)) for t in plan.trajectories))
    two = replace(plan, trajectories=plan.trajectories[::2])
    reasons = tuple(Reason(f"limit-{n}", 5.0 - n, "mm", f"limit {n} is missed") for n in range(5))
    use_stub(monkeypatch, lambda problem: Outcome("infeasible", reasons=reasons, nearest=near, fallback=two))
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "out")
    assert done.code == 1
    assert "left: infeasible, no accepted plan" in done.out
    assert "limit 2 is missed" in done.out
    assert "limit 3 is missed" not in done.out
    assert "more, in plan.json" in done.out
    assert "not accepted" in done.out
    assert "two implants would do" in done.out
    side = read_plan(tmp_path / "out" / "plan.json").sides[0]
    assert [reason.constraint for reason in side.reasons[:5]] == [f"limit-{n}" for n in range(5)]
    later = [reason.constraint for reason in side.reasons[5:]]
    assert later[0].startswith("relax:"), "what would have to give way"
    assert later[-1] == "dysmorphism", "and how the way into S1 runs"
    assert not any(name == "other_model" for name in later), "this planner accepts nothing"
    assert side.fallback is not None
    assert side.fallback.accepted
    assert sjplan("evaluate", phantom, tmp_path / "out" / "plan.json").code == 1
    assert sjplan("export", tmp_path / "out" / "plan.json", "--to", "stl", "--out", tmp_path / "e").code == 2


def test_fallback_that_the_judge_rejects_is_dropped(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = good_plan(plan_folder)
    bad = replace(plan, trajectories=tuple(moved(t, (-25.0, 0.0, 0.0)) for t in plan.trajectories[:2]))
    use_stub(monkeypatch, lambda problem: Outcome("timeout", fallback=bad))
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "out", "--json")
    assert done.code == 1
    assert done.json["sides"][0]["fallback"] is None


def test_best_effort_is_not_exit_0(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exit 0 is for `found` alone: the search was completed."""
    plan = good_plan(plan_folder)
    use_stub(monkeypatch, lambda problem: Outcome("best_effort", plan=plan))
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "out", "--json")
    assert done.code == 1
    assert done.json["sides"][0]["status"] == "best_effort"


def test_each_side_and_seed_has_its_own_random_stream(phantom: Path) -> None:
    drawn: dict[tuple[str, int], float] = {}

    class Drawing(Stub):
        def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
            drawn[problem.side, seed] = float(rng.random())
            return Outcome("timeout")

    problem: Any = None
    for seed in (0, 1):
        for side in ("left", "right"):
            problem = SimpleNamespace(side=side, anatomy=None, limits=None)
            plan_side(Drawing(lambda p: Outcome("timeout")), problem, seed=seed, budget=Budget(), input_sha256="")
    assert len(set(drawn.values())) == 4


def closed(level: str, sides: list[str], preset: Path) -> Path:
    from sjplan.io.presets import phantoms_folder

    text = (phantoms_folder() / "default.toml").read_text(encoding="utf-8")
    names = ", ".join(f'"{level}_{side}"' for side in sides)
    preset.write_text(text.replace("closed_foramina = []", f"closed_foramina = [{names}]"), encoding="utf-8")
    return preset


def test_a_closed_foramen_is_refused_by_name(sjplan: Sjplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = tmp_path / "case"
    preset = closed("S1", ["left"], tmp_path / "closed.toml")
    assert sjplan("phantom", "build", preset, "--out", case, "--spacing", "2").code == 0
    use_stub(monkeypatch, lambda problem: Outcome("timeout"))
    alone = sjplan("plan", case, "--side", "left", "--no-pictures", "--out", tmp_path / "left")
    assert alone.code == 2
    assert "foramen_S1_left" in alone.err
    assert not (tmp_path / "left").exists()
    both = sjplan("plan", case, "--no-pictures", "--out", tmp_path / "both", "--json")
    assert both.code == 1
    left, right = both.json["sides"]
    assert (left["status"], right["status"]) == ("invalid_input", "timeout")
    assert "foramen_S1_left" in left["reasons"][0]["text"]


def test_interrupted_plan_leaves_nothing(
    sjplan: Sjplan, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(problem: Problem) -> Outcome:
        raise KeyboardInterrupt

    use_stub(monkeypatch, stop)
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "deep" / "out")
    assert done.code == 130
    assert list(tmp_path.iterdir()) == []


def test_crashing_planner_leaves_nothing(
    sjplan: Sjplan, phantom: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(problem: Problem) -> Outcome:
        raise ZeroDivisionError("in a planner")

    use_stub(monkeypatch, crash)
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "out")
    assert done.code == 2
    assert "ZeroDivisionError: in a planner" in done.err
    assert list(tmp_path.iterdir()) == []


def test_views(sjplan: Sjplan, phantom: Path) -> None:
    done = sjplan("views", phantom, "--json")
    assert done.code == 0
    found = done.json["views"]
    assert found["inlet"]["tilt_deg"] < 0 < found["outlet"]["tilt_deg"]
    assert abs(found["ap"]["orbital_deg"]) < 2
    assert found["lateral"]["orbital_deg"] - found["ap"]["orbital_deg"] == pytest.approx(90, abs=1)
    assert "inlet" in sjplan("views", phantom).out


def test_views_without_labels_say_so(sjplan: Sjplan, phantom: Path) -> None:
    done = sjplan("views", phantom / "ct.nii.gz", "--labels", phantom / "labels.nii.gz", "--json")
    assert done.json["notes"] == []
    import shutil

    bare = phantom.parent / "bare.nii.gz"
    shutil.copy(phantom / "ct.nii.gz", bare)
    done = sjplan("views", bare, "--json")
    assert done.code == 0
    assert "population" in done.json["notes"][0]
    assert done.json["views"]["ap"]["orbital_deg"] == 0


def test_fluoro_with_a_plan(sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path) -> None:
    """The implants add metal to the radiograph, and only there."""

    def taken(name: str, *more: object) -> tuple[Done, np.ndarray]:
        out, npy = tmp_path / f"{name}.png", tmp_path / f"{name}.npy"
        done = sjplan("fluoro", phantom, "--view", "outlet", "--out", out, "--npy", npy, "--json", *more)
        assert done.code == 0, done.err
        assert out.read_bytes().startswith(b"\x89PNG")
        return done, np.load(npy)

    done, plain = taken("plain", "--no-overlays")
    _, implanted = taken("implanted", "--plan", plan_folder / "plan.json")
    assert done.json["assumed_density"] is False
    assert plain.shape == implanted.shape == (512, 512)
    more = implanted - plain
    assert more.min() > -1e-3
    assert more.max() > 1.0
    assert 0.001 < (more > 0.1).mean() < 0.1


def test_fluoro_draws_the_lines_to_look_for(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    """In their own colours, which the picture without them has nowhere."""
    import matplotlib.colors
    import matplotlib.image

    from sjplan.render.style import landmark_colour

    def coloured(name: str, line: str, view: str, *more: object) -> int:
        out = tmp_path / f"{name}.png"
        assert sjplan("fluoro", phantom / "labels.nii.gz", "--view", view, "--out", out, *more).code == 0
        colour = np.array(matplotlib.colors.to_rgb(landmark_colour(line)))
        return int((np.abs(matplotlib.image.imread(out)[..., :3] - colour).max(axis=-1) < 0.06).sum())

    assert coloured("lateral", "alar_line", "lateral", "--landmarks") > 50
    assert coloured("outlet", "arcuate", "outlet", "--landmarks") > 50
    assert coloured("plain", "alar_line", "lateral") < 5


def test_fluoro_shows_the_room_beside_the_radiograph(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    import matplotlib.image

    out = tmp_path / "a.png"
    assert sjplan("fluoro", phantom, "--view", "inlet", "--out", out, "--scene", "--no-overlays").code == 0
    rows, columns, _ = matplotlib.image.imread(out).shape
    assert columns > 1.9 * rows


def test_views_on_one_sheet(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    """A radiograph for each of the twelve views, none of them empty."""
    import matplotlib.image

    out = tmp_path / "views.png"
    done = sjplan("views", phantom, "--montage", out, "--json")
    assert done.code == 0
    sheet = matplotlib.image.imread(out)[..., 0]
    cells = [cell for row in np.array_split(sheet, 3) for cell in np.array_split(row, 4, axis=1)]
    assert len(cells) == len(done.json["views"])
    assert all(cell.std() > 0.05 for cell in cells)
    refused = sjplan("views", phantom, "--montage", tmp_path / "views.jpg")
    assert refused.code == 2
    assert "--montage" in refused.err


@pytest.mark.slow
def test_fluoro_explains_what_views_show(sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path) -> None:
    """A plan that was accepted has nothing out; with one implant moved up by a centimetre a view hides it."""
    plan = plan_folder / "plan.json"
    words = ("fluoro", phantom, "--view", "outlet", "--out", tmp_path / "a.png", "--explain")
    done = sjplan(*words, "--plan", plan, "--json")
    assert done.code == 0, done.err
    assert [row["implant"] for row in done.json["explain"]] == [1, 2, 3]
    assert all(row["envelope_mm"] > 0 and row["extra"] is None for row in done.json["explain"])

    document = json.loads(plan.read_text(encoding="utf-8"))
    implant = document["sides"][0]["implants"][0]
    for end in ("entry_lps_mm", "tip_lps_mm"):
        implant[end][2] += 10.0
    moved = tmp_path / "moved.json"
    moved.write_text(json.dumps(document), encoding="utf-8")
    done = sjplan(*words, "--plan", moved, "--json")
    assert not any("another file" in note for note in done.json["notes"])
    rows = {row["structure"]: row for row in done.json["explain"] if row["implant"] == 1}
    assert rows["superior"]["envelope_mm"] < 0
    assert set(rows["superior"]["seen_mm"]) == {"ap", "lateral", "inlet", "inlet-canal", "outlet", "outlet-s1"}
    seen = rows["superior"]["seen_mm"]
    assert rows["superior"]["hidden_on"] == [name for name, clearance in seen.items() if clearance >= 0]
    assert 0 < len(rows["superior"]["hidden_on"]) < len(seen)
    assert rows["superior"]["most_deceptive"] == max(seen, key=lambda name: seen[name])
    document["case"]["sha256"]["labels"] = "0" * 64
    moved.write_text(json.dumps(document), encoding="utf-8")
    other = sjplan(*words, "--plan", moved, "--json").json["notes"]
    assert "the plan was made for another file: sha256 of the labels differs" in other
    said = sjplan(*words, "--plan", moved).out
    assert "implant 1, ala top, S1 endplate: out;" in said
    assert "hidden on" in said


def test_fluoro_of_a_device_says_how_it_was_exposed(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    """Live frames take less dose and are noisier than single shots; a seed makes the same noise again."""
    exposures, signals = [], []
    for n, more in enumerate((["--mode", "fluoroscopy"], [], [], ["--seed", "2"])):
        out, npy = tmp_path / f"{n}.png", tmp_path / f"{n}.npy"
        words = ("fluoro", phantom, "--view", "outlet", "--device", "flat-panel", "--signal", npy, "--json")
        done = sjplan(*words, "--out", out, *more)
        assert done.code == 0, done.err
        exposures.append(done.json["exposure"])
        signals.append(np.load(npy))
    live, shot = exposures[:2]
    assert 60 <= live["kvp"] == shot["kvp"] <= 120
    assert shot["mas"] == pytest.approx(15 * live["mas"], rel=0.01)
    assert shot["entrance_ugy"] > live["entrance_ugy"] > 1.0
    assert np.array_equal(signals[1], signals[2])
    assert np.std(signals[0] / signals[3]) > 2 * np.std(signals[1] / signals[3])
    assert all((signal > 0).all() for signal in signals)


def test_table_and_lift_carry_the_picture(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    """40 mm towards the feet is 40 mm magnified on the detector; a device's arm that is lifted far meets the table."""
    words = ("fluoro", phantom, "--view", "0,0", "--distances", "600,1000", "--json")
    arrays, middles = [], []
    for n, move in enumerate(("0,0,0", "-15,0,-40")):
        npy = tmp_path / f"{n}.npy"
        done = sjplan(*words, f"--move={move}", "--out", tmp_path / "a.png", "--npy", npy)
        assert done.code == 0, done.err
        assert (done.json["carm"]["source_to_isocentre_mm"], done.json["carm"]["source_to_detector_mm"]) == (600, 1000)
        middles.append(done.json["carm"]["isocentre_lps_mm"])
        arrays.append(np.load(npy))
    assert np.subtract(*middles) == pytest.approx([15, 0, 40])
    # what lies in the plane through the isocentre moves by so much; the pelvis is that thick only in the mean
    across, down = (round(mm * 1000 / 600 / 0.58) for mm in (15, 40))
    shifted = arrays[1][: 512 - down, across:]
    similar = np.corrcoef(shifted.ravel(), arrays[0][down:, : 512 - across].ravel())[0, 1]
    assert similar > 0.9 > np.corrcoef(arrays[0].ravel(), arrays[1].ravel())[0, 1]
    low = sjplan("fluoro", phantom, "--view", "outlet", "--device", "flat-panel", "--move=0,215,0",
                 "--out", tmp_path / "b.png", "--json")  # fmt: skip
    assert any("may touch the table" in note for note in low.json["notes"])


def test_a_collimated_frame_is_black_outside(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    import matplotlib.image

    out = tmp_path / "a.png"
    words = ("fluoro", phantom, "--view", "ap", "--device", "flat-panel", "--no-overlays", "--out", out, "--json")
    open_field = sjplan(*words).json["exposure"]
    done = sjplan(*words, "--field", "80,100")
    assert done.code == 0, done.err
    assert done.json["exposure"]["dose_area_ugy_m2"] < 0.4 * open_field["dose_area_ugy_m2"]
    picture = matplotlib.image.imread(out)[..., 0]
    rows, columns = picture.shape
    assert (picture[: rows // 8] == 0).all()
    assert (picture[:, : columns // 8] == 0).all()
    assert picture[rows // 3 : 2 * rows // 3, columns // 3 : 2 * columns // 3].std() > 0.05


def test_fluoro_of_labels_alone_is_marked_as_assumed(sjplan: Sjplan, phantom: Path, tmp_path: Path) -> None:
    out = tmp_path / "a b.png"
    done = sjplan("fluoro", phantom / "labels.nii.gz", "--view", "-10,25", "--out", out, "--inverted", "--json")
    assert done.code == 0
    assert done.json["assumed_density"] is True
    assert (done.json["carm"]["orbital_deg"], done.json["carm"]["tilt_deg"]) == (-10, 25)
    assert out.is_file()


def test_a_preset_is_a_case(sjplan: Sjplan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from sjplan.phantom import build

    original = build.build_phantom
    monkeypatch.setattr(build, "build_phantom", lambda p, **more: original(p, spacing_mm=3.0, **more))
    done = sjplan("views", "default", "--json")
    assert done.code == 0
    assert "inlet" in done.json["views"]


@pytest.mark.slow
def test_demo_makes_everything(sjplan: Sjplan, tmp_path: Path) -> None:
    out = tmp_path / "the demo"
    done = sjplan("demo", "--out", out, "--spacing", "2")
    assert done.code == 0, done.err
    names = {p.name for p in out.iterdir()}
    assert {"plan.json", "report.html", "slicer", "phantom", "anatomy.png"} <= names
    for side in ("left", "right"):
        for view in (
            "ap",
            "lateral",
            "inlet",
            "outlet",
            "3d-posterior",
            "slices-1",
            "entries",
            "pareto",
            "profiles",
            "tightest-1",
        ):
            assert (out / f"{side}-{view}.png").read_bytes().startswith(b"\x89PNG")
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "ot for clinical use" in report
    assert "http://" not in report.replace("http://www.w3.org/", "")
    assert "pin at the joint" in report
    assert sjplan("evaluate", out / "phantom", out / "plan.json").code == 0
