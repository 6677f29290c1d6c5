"""Kept plans: each person's own, of the patient at hand, under names that nobody outside chooses."""

from pathlib import Path

import pytest

from sjplan.core.errors import InputError
from sjplan.io.cases import Case
from sjplan.io.planfile import PlanFile, new_plan_file, read_plan
from sjplan.io.planschema import CaseEntry, SideEntry
from sjplan.testing.problems import phantom_labels
from sjplan.training import plan_shelf
from sjplan.training.plan_shelf import PlanShelf

CASE = Case(None, phantom_labels())


def plan_file(planner: str = "by-hand") -> PlanFile:
    return new_plan_file(CASE, [SideEntry(side="left", status="timeout", planner=planner, implants=[])], seed=0)


def test_what_is_kept_comes_back_newest_first_and_only_to_its_owner(tmp_path: Path) -> None:
    shelf = PlanShelf(tmp_path / "plans")
    assert shelf.kept("A", CASE) == []
    first, second = (shelf.keep("A", title, plan_file(title)) for title in ("one", "two"))
    again = PlanShelf(tmp_path / "plans")
    assert [k.key for k in again.kept("A", CASE)] == [second.key, first.key]
    assert again.opened("A", CASE, first.key).file == first.file
    assert (again.opened("A", CASE, first.key).title, first.file.sides[0].planner) == ("one", "one")
    assert again.kept("B", CASE) == []
    with pytest.raises(InputError, match="one of your own plans"):
        again.opened("B", CASE, first.key)


@pytest.mark.parametrize("user", ["..", "../../x", "a/b", "."])
def test_no_name_becomes_a_path(tmp_path: Path, user: str) -> None:
    shelf = PlanShelf(tmp_path / "deep" / "plans")
    kept = shelf.keep(user, "../../../etc/passwd\n\x00 x", plan_file())
    (file,) = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert file.parent.parent == tmp_path / "deep" / "plans"
    assert file.stem == kept.key
    assert read_plan(file) == kept.file
    assert kept.title == "../../../etc/passwd x"
    for key in ("../x", f"../{file.parent.name}/{kept.key}", "", kept.key + ".json"):
        with pytest.raises(InputError):
            shelf.opened(user, CASE, key)


def test_plans_of_other_patients_and_broken_files_are_left_out(tmp_path: Path) -> None:
    shelf = PlanShelf(tmp_path)
    kept = shelf.keep("A", "", plan_file())
    other = CaseEntry(sha256={"labels": "0" * 64})
    strange = shelf.keep("A", "of another", plan_file().model_copy(update={"case": other}))
    (file,) = tmp_path.rglob(f"{kept.key}.json")
    (file.parent / "20990101T000000-broken.json").write_text("{", encoding="utf-8")
    assert [(k.key, k.title) for k in shelf.kept("A", CASE)] == [(kept.key, "a plan")]
    with pytest.raises(InputError):
        shelf.opened("A", CASE, strange.key)


def test_a_shelf_can_be_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan_shelf, "MOST_KEPT", 2)
    shelf = PlanShelf(tmp_path)
    for _ in range(2):
        shelf.keep("A", "x", plan_file())
    with pytest.raises(InputError, match="download this one instead"):
        shelf.keep("A", "x", plan_file())
    shelf.keep("B", "x", plan_file())
