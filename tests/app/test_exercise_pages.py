"""Exercises on the pages, without a browser: from the list to the verdict, broken off and gone on with."""

import asyncio
from dataclasses import replace

import pytest
from training_support import planned

from sjplan.app.house import House
from sjplan.app.visit import Visit
from sjplan.core.errors import InputError, UnknownNameError
from sjplan.io.cases import Case
from sjplan.io.planentries import side_entry
from sjplan.io.planfile import new_plan_file, write_plan
from sjplan.planning.protocol import Outcome
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_labels
from sjplan.training.ask_landmark import shown
from sjplan.training.moves import pose
from sjplan.training.questions import in_plane_lps_mm, shown_at
from sjplan.training.session import Session

pytestmark = pytest.mark.slow


def visitor(house: House, user: str) -> Visit:
    visit = Visit(house, "trainee")
    visit.state.user = user
    return visit


def row(visit: Visit, name: str) -> dict[str, str]:
    return next(one for one in visit.state.ex_list if one["id"] == name)


def test_the_list_has_every_exercise_by_level_and_says_what_is_left_out(house: House, loop: asyncio.Runner) -> None:
    visit = visitor(house, "L-01")
    loop.run(visit.start.refresh())
    listed = visit.state.ex_list
    assert [one["id"] for one in listed] == list(house.exercises)
    assert [bool(one["heading"]) for one in listed].count(True) == 4
    assert "for later" not in listed[0]["heading"]
    assert all("for later" in one["heading"] for one in listed[1:] if one["heading"])
    assert {one["done"] for one in listed} == {""}
    assert row(visit, "dysmorphic")["case"] == "dysmorphic"
    assert visit.state.ex_broken == ["monday.toml: level: found 9"]


def test_nobody_begins_what_is_not_there(house: House, loop: asyncio.Runner) -> None:
    with pytest.raises(UnknownNameError, match="exercise: found 'tuesday'"):
        loop.run(visitor(house, "L-01").exercise.begin("tuesday", "own", False))
    with pytest.raises(UnknownNameError, match="case: found 'dysmorphic'"):
        loop.run(visitor(house, "L-01").exercise.begin("dysmorphic", "own", False))
    with pytest.raises(InputError, match="name or code: found none"):
        loop.run(visitor(house, "").exercise.begin("true-lateral", "own", False))


def test_a_view_is_missed_gone_on_with_and_found(house: House, loop: asyncio.Runner) -> None:
    async def through() -> Visit:
        visit = visitor(house, "L-02")
        page, state = visit.exercise, visit.state
        await page.begin("true-lateral", "own", False)
        assert (state.page, state.ex_on, state.ex_find, state.ex_left) == ("operate", True, True, 3)
        assert state.ex_limit == "10:00"
        await page.hint()
        assert (len(state.ex_hints), state.ex_left) == (1, 2)
        await visit.finish()
        assert (state.page, state.ex_passed) == ("verdict", False)
        assert state.ex_words[0] == "That is not true yet."
        assert state.ex_pictures == ["your lateral", "the true lateral"]
        assert row(visit, "true-lateral")["done"] == "1 try"
        await page.again()
        begun = visit.operate.recorded
        assert begun is not None
        again = visitor(house, "L-02")
        await again.start.resume(begun.id)
        assert again.operate.arm is not None
        assert again.state.ex_title == "Find the true lateral"
        assert again.operate.recorded is not None
        assert again.operate.recorded.session.events == begun.session.events
        true = page.attempt.looks.arms["lateral"] if page.attempt else None
        assert true is not None
        assert again.operate.arm.to(orbital_deg=true.orbital_deg, tilt_deg=true.tilt_deg, wig_wag_deg=true.wig_wag_deg,
                                    lift_mm=true.lift_mm, along_mm=true.along_mm) is None  # fmt: skip
        await again.finish()
        assert again.state.ex_passed
        return again

    visit = loop.run(through())
    assert row(visit, "true-lateral")["done"] == "passed, 2 tries"
    first, second = house.tries.entries("L-02")
    assert (first.passed, first.hints, second.passed, second.hints) == (False, 1, True, 0)
    assert [entry.exercise for entry in house.history.entries("L-02")] == ["true-lateral"] * 2
    assert all(entry.ended for entry in house.history.entries("L-02"))
    assert [line["state"] for line in visit.state.mine] == ["✓ passed", "✗ not passed"]


def test_questions_are_answered_gone_on_with_in_another_visit_and_summed_up(house: House, loop: asyncio.Runner) -> None:
    async def point(visit: Visit) -> None:
        """Where the landmark lies that is asked for."""
        page = visit.question
        question = page._question
        assert question is not None
        assert page.attempt is not None
        found, theatre = shown(page.attempt.looks, question.landmark, question.arm), page.attempt.theatre
        assert found is not None
        at = in_plane_lps_mm(pose(theatre, question.arm), found.lines[0][len(found.lines[0]) // 2][None])
        across, down = 100.0 * shown_at(theatre, question.arm, at)[0]
        page.point(float(across), float(down))
        await page.here()

    async def through() -> Visit:
        visit = visitor(house, "L-03")
        await visit.exercise.begin("landmarks-lateral", "own", False)
        assert (visit.state.page, visit.state.qu_count) == ("question", "Question 1 of 5")
        await visit.question.here()
        assert visit.state.qu_told == [], "nothing was pointed at yet"
        await point(visit)
        assert visit.state.qu_right
        assert "polyline" in visit.state.qu_svg or visit.state.qu_svg.count("circle") == 2
        again = visitor(house, "L-03")
        await again.start.refresh()
        line = again.state.mine[0]
        assert (line["state"], line["open"], line["session"]) == ("goes on (1 answered)", True, False)
        await again.start.resume(line["id"])
        assert again.state.qu_count == "Question 2 of 5"
        for _ in range(3):
            await point(again)
            await again.question.on()
        again.question.point(0.0, 100.0)
        await again.question.here()
        assert not again.state.qu_right
        await again.question.on()
        return again

    visit = loop.run(through())
    assert (visit.state.page, visit.state.ex_passed) == ("verdict", True)
    assert visit.state.ex_words[0] == "4 of 5 right; 4 pass."
    assert [word[:4] for word in visit.state.ex_words[1:]] == ["1. ✓", "2. ✓", "3. ✓", "4. ✓", "5. ✗"]
    assert row(visit, "landmarks-lateral")["done"] == "passed, best 4 of 5, 1 try"


def test_an_exam_has_no_hints_and_a_pin_that_is_not_there_does_not_pass(house: House, loop: asyncio.Runner) -> None:
    async def through() -> Visit:
        visit = visitor(house, "L-04")
        await visit.exercise.begin("one-pin", "own", True)
        await visit.exercise.hint()
        assert (visit.state.ex_hints, visit.state.ex_left, visit.state.ex_as_exam) == ([], 0, True)
        await visit.finish()
        return visit

    visit = loop.run(through())
    assert not visit.state.ex_passed
    assert visit.state.ex_words == ["No pin is in the patient: answer while it is in place."]
    (one,) = house.tries.entries("L-04")
    assert (one.exam, one.hints, one.passed) == (True, 0, False)


def test_a_revision_that_is_gone_on_with_has_its_implants_in_the_patient(house: House, loop: asyncio.Runner) -> None:
    async def through() -> tuple[Visit, Visit]:
        bed = house.beds["own"]
        theatre = await house.theatre(bed, lambda _: None)
        plan = planned()
        report = judge(plan, theatre.anatomy, theatre.limits)
        entry = side_entry(Outcome("found", plan), plan.side, "raster-v1", report)
        write_plan(new_plan_file(Case(None, phantom_labels()), [entry], seed=0), bed.planned / "plan.json")
        visit, again = visitor(house, "L-05"), visitor(house, "L-05")
        await visit.exercise.begin("revision", "own", False)
        assert visit.operate.recorded is not None
        await again.start.resume(visit.operate.recorded.id)
        await again.finish()
        with pytest.raises(InputError, match="plan of the right side: found none"):
            await visitor(house, "L-05").exercise.begin("both-sides", "own", False)
        return visit, again

    visit, again = loop.run(through())
    for one in (visit, again):
        assert one.operate.recorded is not None
        assert len(one.operate.recorded.session.given) == 3
        assert one.exercise.attempt is not None
        assert one.exercise.attempt.questions[0].text.startswith("Of 3 implants on the left the last one lies badly")
    assert not again.state.ex_passed
    assert "The implant that was to be replaced is still in place." in again.state.ex_words
    (entry,) = house.history.entries("L-05")
    assert (entry.revision, entry.exercise, bool(entry.ended), entry.rating) == (True, "revision", True, pytest.approx(
        again.operate.sheet.rating if again.operate.sheet else -1.0, abs=0.01))  # fmt: skip


def test_a_session_of_an_exercise_that_is_gone_goes_on_as_a_free_one(house: House, loop: asyncio.Runner) -> None:
    async def through() -> Visit:
        visit = visitor(house, "L-06")
        await visit.exercise.begin("inlet", "own", False)
        assert visit.operate.recorded is not None
        poorer = replace(house, exercises={})
        again = visitor(poorer, "L-06")
        await again.start.resume(visit.operate.recorded.id)
        return again

    visit = loop.run(through())
    assert (visit.state.page, visit.state.ex_on, visit.exercise.attempt) == ("operate", False, None)


def test_a_view_looked_for_in_a_straight_patient_of_before_is_begun_again(house: House, loop: asyncio.Runner) -> None:
    async def through() -> None:
        visit = visitor(house, "L-07")
        theatre = await house.theatre(house.beds["own"], lambda _: None)
        kept = house.history.begin("L-07", Session(theatre, 4), exercise="true-lateral")
        house.tries.begin("L-07", "true-lateral", "own", 4, exam=False, session=kept.id, after="")
        with pytest.raises(InputError, match="session of true-lateral: found a patient who lies otherwise"):
            await visit.start.resume(kept.id)

    loop.run(through())
