"""A staged operation in a real browser: the first session is ended there, the second begins with what it left."""

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from browser_support import PATIENCE_MS, open_page
from playwright.sync_api import Page, expect
from training_support import implant, mirrored, planned

from sjplan.app.door import Door, serve
from sjplan.app.guard import Gate
from sjplan.app.house import Bed, House
from sjplan.core.plan import Plan
from sjplan.io.cases import Case
from sjplan.io.exercises import read_exercises
from sjplan.io.planentries import side_entry
from sjplan.io.planfile import new_plan_file, write_plan
from sjplan.io.scoring import read_scoring
from sjplan.planning.protocol import Outcome
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training.exercise import begin
from sjplan.training.history import History
from sjplan.training.theatre import Theatre, open_theatre

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPLAINTS: list[str] = []
STAGED = "both-sides-staged"


def written(folder: Path, theatre: Theatre, *plans: Plan) -> None:
    """A plan file of both sides."""
    entries = [
        side_entry(Outcome("found", p), p.side, p.planner, judge(p, theatre.anatomy, theatre.limits)) for p in plans
    ]
    write_plan(new_plan_file(Case(None, phantom_labels()), entries, seed=0), folder / "plan.json")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """Where the left side of a staged operation has been done, but for its end."""
    folder = tmp_path_factory.mktemp("staged")
    bed = Bed("own", "a pelvis", "", lambda: Case(None, phantom_labels()), folder, None, folder, ("false",))
    # No shots are taken here, so that little is left of the rating; what is asked is how one session follows another.
    exercise = read_exercises()[STAGED]
    exercise = replace(exercise, task=replace(exercise.task, rating=50.0))  # type: ignore[arg-type]
    made = House({bed.id: bed}, History(folder / "history.sqlite"), read_scoring(), {STAGED: exercise})
    theatre = open_theatre(bed.id, Case(None, phantom_labels()), anatomy=phantom_anatomy())
    plan = planned()
    written(folder, theatre, plan, mirrored(plan))
    attempt = begin(exercise, theatre, 1, plans={"left": plan, "right": mirrored(plan)})
    session = attempt.session(images=False)
    kept = made.history.begin("T-08", session, exercise=STAGED, sitting="staged")
    made.tries.begin("T-08", STAGED, bed.id, 1, exam=False, session=kept.id, after="")
    for path in plan.trajectories:
        implant(session, "left", path)
    made._theatres[bed] = theatre
    return made


@pytest.fixture(scope="module")
def url(house: House) -> Iterator[str]:
    """A door to that house, in a thread of its own."""
    gate, there, found = Gate.new(), threading.Event(), []

    async def running() -> None:
        def ready(host: str, port: int) -> None:
            found.extend([f"http://{host}:{port}/?token={gate.tokens['trainee']}", asyncio.get_running_loop(), task])
            there.set()

        task = asyncio.current_task()
        await serve(Door(house, gate), "127.0.0.1", 0, ready)

    def serving() -> None:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(running())

    thread = threading.Thread(target=serving)
    thread.start()
    assert there.wait(30.0)
    address, loop, task = found
    yield address
    loop.call_soon_threadsafe(task.cancel)
    thread.join(30.0)
    assert not thread.is_alive()


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page(COMPLAINTS) as opened:
        yield opened


def test_the_second_session_begins_with_what_the_first_left(page: Page, url: str, house: House) -> None:
    COMPLAINTS.clear()
    page.goto(url)
    page.wait_for_selector("#who", timeout=PATIENCE_MS)
    page.fill("#who", "T-08")
    page.press("#who", "Tab")
    page.click("#mine >> text=Go on", timeout=PATIENCE_MS)
    expect(page.locator("#task")).to_contain_text("session 1 of 2", timeout=PATIENCE_MS)
    page.click("#finish")
    expect(page.locator("#verdict")).to_contain_text("✓Passed", timeout=PATIENCE_MS)
    expect(page.locator("#again")).to_have_text("Second session")

    page.click("#verdict_done")
    row = page.locator(f"#exercise_{STAGED}")
    expect(row.locator("button")).to_have_text("Second session", timeout=PATIENCE_MS)
    expect(row).not_to_contain_text("passed")
    row.locator("button").click()
    expect(page.locator("#task")).to_contain_text("session 2 of 2", timeout=PATIENCE_MS)
    expect(page.locator("#task")).to_contain_text("Operate on the right: 3 implants a side")
    expect(page.locator("#in_place")).to_contain_text("left tri-7")
    assert page.inner_text("#in_place").count("left tri-7") == 3
    page.click("#task_close")
    page.click("#finish")
    expect(page.locator("#verdict")).to_contain_text("✗Not passed yet", timeout=PATIENCE_MS)
    expect(page.locator("#verdict_words")).to_contain_text("0 of 3 implants are in on the right")
    expect(page.locator("#again")).to_have_text("Once more")  # a failed second session cannot be repeated alone

    second, first = house.tries.entries("T-08")[::-1]
    assert (first.passed, second.passed, second.after) == (True, False, first.id)
    header, _ = house.history.log(second.session)
    assert len(header["given"]) == 3
    assert [entry.sitting for entry in house.history.entries("T-08")] == ["staged", "staged"]
    assert COMPLAINTS == []
