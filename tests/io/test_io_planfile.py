"""plan.json: built from reports, reopened identically, unknown keys kept, broken files refused in one line."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from io_makers import blocks, message, plain_grid, write
from io_plans import CATALOGUE, plan, plan_file, refused, report

from sjplan.core.errors import InputError, UnknownNameError
from sjplan.core.implant import ImplantModel
from sjplan.core.labels import LabelMap
from sjplan.core.plan import Certificate, Outcome
from sjplan.core.volume import Source
from sjplan.io.cases import Case
from sjplan.io.planfile import new_plan_file, plan_from_entry, plan_text, read_plan, side_entry, write_plan
from sjplan.io.planschema import PlanFile, SideEntry

SIDE_KEYS = [
    "side", "status", "planner", "parameters", "certificate", "reasons", "nearest", "fallback", "pareto", "views",
    "pairs", "implants",
]  # fmt: skip
IMPLANT_KEYS = [
    "slot", "model", "inscribed_radius_mm", "circumscribed_radius_mm", "length_mm", "entry_lps_mm", "tip_lps_mm",
    "roll_deg", "protrusion_mm", "iliac_mm", "joint_mm", "sacral_mm", "crosses_articular", "overshoot_reserve_mm",
    "margin_mm", "slack_mm", "breach_probability", "clearances",
]  # fmt: skip


@functools.cache
def text_of_a_plan() -> str:
    return plan_text(plan_file())


def table() -> Any:
    return json.loads(text_of_a_plan())


def reopened(data: Any, tmp_path: Path) -> PlanFile:
    return read_plan(write(tmp_path / "plan.json", json.dumps(data).encode()))


def test_every_key_of_the_schema_is_there() -> None:
    data = table()
    assert data["schema"] == "sjplan.plan/1"
    assert data["frame"] == "LPS"
    assert data["units"] == "mm"
    assert data["not_for_clinical_use"] is True
    assert data["seed"] == 5
    assert data["created"] == "2026-11-22T10:00:00+00:00"
    assert set(data["versions"]) >= {"sjplan", "python", "numpy", "SimpleITK", "numba", "pyvista", "vtk"}
    assert data["findings"][0]["code"] == "labels-coarse"
    left, right = data["sides"]
    for side in (left, right):
        assert set(SIDE_KEYS) <= set(side)
        assert side["certificate"] is None
        assert side["pareto"] == []
    for implant in left["implants"] + right["nearest"]["implants"] + right["fallback"]["implants"]:
        assert set(IMPLANT_KEYS) <= set(implant)
        assert implant["breach_probability"] is None
        for clearance in implant["clearances"]:
            assert set(clearance) >= {
                "structure", "distance_mm", "envelope_mm", "limit_mm", "lower_bound_mm", "at_lps_mm",
            }  # fmt: skip
    assert left["status"] == "found"
    assert left["nearest"] is None
    assert left["pairs"] == [{"i": i, "j": i + 1, "gap_mm": 8.0, "spacing_mm": 20.1, "angle_deg": 0.0} for i in (1, 2)]
    assert left["findings"][0]["code"] == "close-to-notch"
    assert left["parameters"] == {"step_mm": 2.0, "tries": 7}
    assert right["implants"] == []
    assert right["nearest"]["accepted"] is False
    assert right["nearest"]["violations"][0]["constraint"] == "clearance:canal"
    assert right["fallback"]["accepted"] is True
    assert len(right["fallback"]["implants"]) == 2


def test_numbers_are_rounded_and_a_bound_stays_a_bound() -> None:
    implant = table()["sides"][0]["implants"][0]
    assert implant["entry_lps_mm"] == [70.333333, 40.142857, 10.0]
    assert implant["length_mm"] == 45.0
    assert implant["iliac_mm"] == 20.123
    by_name = {c["structure"]: c for c in implant["clearances"]}
    assert by_name["canal"]["distance_mm"] == 9.877
    assert by_name["canal"]["lower_bound_mm"] == 9.076, "9.07654 rounded down"
    assert implant["margin_mm"] == 0.0
    assert implant["slack_mm"] == 0.0
    assert implant["clearances"][0]["structure"] == "iliac_border", "the binding one first"


def test_what_has_no_finite_value_is_null() -> None:
    last = table()["sides"][0]["implants"][-1]
    assert last["overshoot_reserve_mm"] is None
    assert last["overshoot_structure"] is None
    assert last["joint_normal_angle_deg"] is None
    assert last["crossing_lps_mm"] is None
    assert table()["sides"][1]["reasons"][0]["missing"] is None


def test_coordinates_stand_on_one_line(tmp_path: Path) -> None:
    text = write_plan(plan_file(), tmp_path / "plan.json").read_text()
    assert '"entry_lps_mm": [70.333333, 40.142857, 10.0],' in text
    assert text.endswith("}\n")


def test_a_reopened_plan_is_written_to_the_same_bytes(tmp_path: Path) -> None:
    path = write_plan(plan_file(), tmp_path / "plan.json")
    again = write_plan(read_plan(path), tmp_path / "again.json")
    assert path.read_bytes() == again.read_bytes()
    assert read_plan(path) == plan_file()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.json", "plan.json"]


def test_a_reopened_plan_is_the_same_plan(tmp_path: Path) -> None:
    entry = read_plan(write_plan(plan_file(), tmp_path / "plan.json")).side("left")
    assert entry is not None
    back, before = plan_from_entry(entry, CATALOGUE), plan()
    assert (back.side, back.planner, dict(back.parameters)) == (before.side, before.planner, dict(before.parameters))
    for ours, theirs in zip(back.trajectories, before.trajectories, strict=True):
        assert ours.model == theirs.model
        assert ours.in_catalogue
        assert np.abs(ours.entry_lps_mm - theirs.entry_lps_mm).max() < 1e-6
        assert np.abs(ours.tip_lps_mm - theirs.tip_lps_mm).max() < 1e-6
        assert abs(ours.roll_deg - theirs.roll_deg) < 1e-6


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
extras = st.dictionaries(st.text(min_size=1, max_size=8).map(lambda s: "x-" + s), json_values, max_size=4)


@settings(max_examples=40, deadline=None)
@given(
    file=extras, side=extras, implant=extras, clearance=extras, pair=extras, nearest=extras, reason=extras, case=extras
)
def test_unknown_keys_survive_at_every_level(
    tmp_path_factory: pytest.TempPathFactory,
    file: Any, side: Any, implant: Any, clearance: Any, pair: Any, nearest: Any, reason: Any, case: Any,
) -> None:  # fmt: skip
    data = table()
    left, right = data["sides"]
    places = (
        (data, file), (left, side), (left["implants"][1], implant), (left["implants"][0]["clearances"][1], clearance),
        (left["pairs"][0], pair), (right["nearest"], nearest), (right["reasons"][0], reason), (data["case"], case),
        (right["nearest"]["implants"][0], implant),
    )  # fmt: skip
    for place, extra in places:
        place.update(extra)
    folder = tmp_path_factory.mktemp("plan")
    path = write(folder / "plan.json", json.dumps(data).encode())
    written = write_plan(read_plan(path), folder / "written.json")
    assert json.loads(written.read_text()) == data
    assert write_plan(read_plan(written), folder / "again.json").read_bytes() == written.read_bytes()


BROKEN_TEXT = {
    "empty": (b"", "an empty file"),
    "truncated": (b'{"schema": "sjplan.plan/1", "created"', "no valid JSON"),
    "not text": (b"\xff\xfe\x00", "bytes that are no UTF-8 text"),
    "a list": (b"[]", "found no plan; wanted sjplan.plan/1"),
    "another schema": (b'{"schema": "sjplan.plan/9"}', "found schema 'sjplan.plan/9'; wanted sjplan.plan/1"),
    "no schema": (b"{}", "found schema None"),
    "nested": (b'{"a":' * 100_000, "no valid JSON"),
    "nothing else": (b'{"schema": "sjplan.plan/1"}', "created: found nothing; wanted a value; fix: add created"),
}


@pytest.mark.parametrize("name", BROKEN_TEXT)
def test_a_broken_file_gets_one_line(name: str, tmp_path: Path) -> None:
    data, expected = BROKEN_TEXT[name]
    path = write(tmp_path / "plan.json", data)
    with pytest.raises(InputError) as caught:
        read_plan(path)
    text = message(caught.value)
    assert expected in text
    assert text.startswith(str(path))


def put(data: Any, place: str, value: Any) -> Any:
    """Set `value` at a place such as sides.0.status."""
    *way, last = place.split(".")
    target = data
    for step in way:
        target = target[int(step)] if step.isdigit() else target[step]
    target[int(last) if last.isdigit() else last] = value
    return data


BROKEN_FIELD = [
    ("units", "cm", "units: found 'cm'; wanted 'mm'"),
    ("frame", "RAS", "frame: found 'RAS'; wanted 'LPS'"),
    ("not_for_clinical_use", False, "not_for_clinical_use: found False; wanted True"),
    ("created", "yesterday", "created: found 'yesterday'"),
    ("seed", "5", "seed: found '5'; wanted a valid integer"),
    ("sides", [], "sides: found []"),
    ("sides.1.side", "left", "wanted each side once"),
    ("sides.0.side", "middle", "sides.0.side: found 'middle'; wanted 'left' or 'right'"),
    ("sides.0.status", "great", "sides.0.status: found 'great'; wanted 'found', 'best_effort'"),
    ("sides.0.status", "infeasible", "wanted implants exactly where status is found or best_effort"),
    ("sides.0.implants.0.entry_lps_mm", [1.0, 2.0], "sides.0.implants.0.entry_lps_mm: found [1.0, 2.0]"),
    ("sides.0.implants.0.roll_deg", "12", "sides.0.implants.0.roll_deg: found '12'; wanted a valid number"),
    ("sides.0.implants.0.length_mm", -45, "sides.0.implants.0.length_mm: found -45"),
    ("sides.0.implants.1.slot", 1, "wanted slots that ascend, each once"),
    ("sides.0.implants.1.slot", 4, "sides.0.implants.1.slot: found 4"),
    ("sides.0.implants.0.clearances.0.at_lps_mm", None, "clearances.0.at_lps_mm: found None"),
]


@pytest.mark.parametrize(("place", "value", "expected"), BROKEN_FIELD)
def test_a_wrong_field_is_named(place: str, value: Any, expected: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        reopened(put(table(), place, value), tmp_path)
    assert expected in message(caught.value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused_even_under_unknown_keys(value: str, tmp_path: Path) -> None:
    for key in ('"seed"', '"roll_deg"'):
        text = plan_text(plan_file()).replace(key, f'"x-extra": {value}, {key}', 1)
        with pytest.raises(InputError, match="no valid JSON"):
            read_plan(write(tmp_path / "plan.json", text.encode()))


def left(**changes: Any) -> SideEntry:
    data = table()["sides"][0]
    data["implants"][0].update(changes)
    return SideEntry.model_validate(data)


def test_a_plan_that_does_not_fit_the_catalogue_is_refused() -> None:
    with pytest.raises(UnknownNameError) as unknown:
        plan_from_entry(left(model="tri-8"), CATALOGUE)
    assert "did you mean 'tri-7'?" in message(unknown.value)
    other = {**CATALOGUE, "tri-7": ImplantModel("tri-7", "", "triangle", 3.5, 0.5, (45.0,))}
    with pytest.raises(InputError) as radius:
        plan_from_entry(left(), other)
    assert "left side, implant 1: circumscribed_radius_mm: found 6; wanted 6.5" in message(radius.value)
    with pytest.raises(InputError) as length:
        plan_from_entry(left(length_mm=50.0), CATALOGUE)
    assert "length_mm: found 50; wanted 45.000, the distance from entry to tip" in message(length.value)
    with pytest.raises(InputError) as point:
        plan_from_entry(left(tip_lps_mm=[70.333333, 40.142857, 10.0]), CATALOGUE)
    assert "entry and tip at one point" in message(point.value)
    right = plan_file().side("right")
    assert right is not None
    with pytest.raises(InputError, match=r"right side: found no implants \(status infeasible\)"):
        plan_from_entry(right, CATALOGUE)


def test_what_the_judge_rejects_is_never_written_as_accepted() -> None:
    with pytest.raises(InputError, match=r"left plan: found a plan that the judge rejects \(clearance:canal\)"):
        side_entry(Outcome("found", plan()), "left", "p", report(plan(), accepted=False))
    outcome = refused()
    assert outcome.nearest is not None
    assert outcome.fallback is not None
    with pytest.raises(InputError, match="right fallback: found a plan that the judge rejects"):
        side_entry(outcome, "right", "p", None, report(outcome.nearest), report(outcome.fallback, accepted=False))
    with pytest.raises(InputError, match="right nearest: found a plan without a report"):
        side_entry(outcome, "right", "p", None, None, report(outcome.fallback))
    with pytest.raises(InputError, match="left plan: found a report without a plan"):
        side_entry(Outcome("timeout"), "left", "p", report(plan()))


def test_paths_that_are_no_utf8_do_not_break_the_file(tmp_path: Path) -> None:
    odd = os.fsdecode(b"caf\xe9.nii.gz")
    labels = blocks(plain_grid())
    case = Case(None, LabelMap(labels.grid, labels.label, labels.names, Source(odd, "0" * 64)))
    sides = [side_entry(Outcome("timeout"), "left", "p")]
    path = write_plan(new_plan_file(case, sides, seed=0), tmp_path / "plan.json")
    assert read_plan(path).case.paths == {"labels": "caf\ufffd.nii.gz"}
    assert read_plan(path).case.sha256 == {"labels": "0" * 64}


def certified_side(certificate: Certificate | None, slack_mm: float = 2.3456) -> SideEntry:
    judged = report(plan())
    implants = tuple(
        dataclasses.replace(i, clearances=(dataclasses.replace(i.clearances[0], envelope_mm=2.0 + slack_mm),))
        for i in judged.implants
    )
    judged = dataclasses.replace(judged, implants=implants)
    longer = plan()
    outcome = Outcome("found", plan(), certificate=certificate, pareto=(plan(), longer))
    return side_entry(outcome, "left", "certified-v1", judged, pareto_reports=(judged, report(longer)))


def test_certificate_is_rounded_so_that_it_still_holds() -> None:
    entry = certified_side(Certificate(2.3456, 2.40001, 3.0)).certificate
    assert entry is not None
    assert (entry.slack_mm, entry.upper_bound_mm, entry.gap_mm, entry.cap_mm) == (2.345, 2.401, 0.056, 3.0)
    assert entry.given is None
    at_cap = certified_side(Certificate(3.0, 3.0, 3.0, given="right"), 4.2).certificate
    assert at_cap is not None
    assert at_cap.model_dump() == {
        "slack_mm": 3.0, "upper_bound_mm": 3.0, "gap_mm": 0.0, "cap_mm": 3.0, "given": "right",
    }  # fmt: skip
    boastful = certified_side(Certificate(2.9, 3.0, 3.0), 2.3456).certificate
    assert boastful is not None
    assert boastful.slack_mm == 2.345, "never above what the judge measured"


def test_a_certificate_without_bound_or_cap_says_null() -> None:
    entry = certified_side(Certificate(2.3456, math.inf, math.inf)).certificate
    assert entry is not None
    assert (entry.slack_mm, entry.upper_bound_mm, entry.gap_mm, entry.cap_mm) == (2.345, None, None, None)
    assert certified_side(None).certificate is None
    assert side_entry(refused(), "right", "certified-v1", None, report(plan("right"), accepted=False),
                      report(plan("right", count=2))).certificate is None  # fmt: skip


@given(st.floats(0.0, 20.0), st.floats(0.0, 5.0), st.one_of(st.just(math.inf), st.floats(0.0, 5.0)))
def test_a_stored_bound_is_never_below_the_proved_one(slack: float, gap: float, beyond: float) -> None:
    certificate = Certificate(slack, slack + gap, slack + gap + beyond)
    entry = certified_side(certificate, slack).certificate
    assert entry is not None
    assert entry.slack_mm <= slack + 1e-12
    assert entry.upper_bound_mm is not None
    assert certificate.upper_bound_mm - 1e-9 <= entry.upper_bound_mm <= certificate.upper_bound_mm + 0.0011
    assert entry.gap_mm is not None
    assert entry.gap_mm == pytest.approx(entry.upper_bound_mm - entry.slack_mm, abs=0.0006)


def test_pareto_holds_the_judged_plans_and_comes_back(tmp_path: Path) -> None:
    entry = certified_side(Certificate(2.3456, 2.5, 3.0))
    first, second = entry.pareto
    assert (first.slack_mm, second.slack_mm) == (2.346, 0.0)
    assert first.sacral_mm == pytest.approx(3 * 19.87655, abs=0.001)
    assert [i.slot for i in first.implants] == [1, 2, 3]
    assert first.implants[0].entry_lps_mm == [70.333333, 40.142857, 10.0]
    whole = plan_file().model_copy(update={"sides": [entry]})
    path = write_plan(whole, tmp_path / "plan.json")
    assert read_plan(path) == whole
    again = write_plan(read_plan(path), tmp_path / "again.json")
    assert again.read_bytes() == path.read_bytes()


def test_unknown_keys_of_certificate_and_pareto_are_kept(tmp_path: Path) -> None:
    data = json.loads(plan_text(plan_file().model_copy(update={"sides": [certified_side(Certificate(1.0, 2.0, 3.0))]})))
    side = data["sides"][0]
    side["certificate"]["boxes"] = 12
    side["pareto"][0]["note"] = "kept"
    side["pareto"][0]["implants"][0]["colour"] = "blue"
    again = reopened(data, tmp_path).model_dump(by_alias=True)
    assert again == data


@pytest.mark.parametrize(("where", "what"), [("certificate", "certificate.slack_mm"), ("pareto", "pareto.0.sacral_mm")])
def test_a_wrong_certificate_or_pareto_is_refused_by_name(where: str, what: str, tmp_path: Path) -> None:
    data = json.loads(plan_text(plan_file().model_copy(update={"sides": [certified_side(Certificate(1.0, 2.0, 3.0))]})))
    entry = data["sides"][0][where]
    (entry[0] if where == "pareto" else entry).pop(what.rsplit(".", 1)[-1])
    with pytest.raises(InputError) as error:
        reopened(data, tmp_path)
    assert what in str(error.value)


def test_a_pareto_plan_that_the_judge_rejects_is_refused() -> None:
    outcome = Outcome("found", plan(), pareto=(plan(),))
    with pytest.raises(InputError, match="left pareto: found 1 plans, 0 of them judged and accepted"):
        side_entry(outcome, "left", "x", report(plan()), pareto_reports=(report(plan(), accepted=False),))
    assert side_entry(outcome, "left", "x", report(plan())).pareto == []
