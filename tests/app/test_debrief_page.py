"""The debrief's page and its two files, without a browser: of an operation that left the bone, and of a clean one."""

import asyncio
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import numpy as np
import pytest
from training_support import implant, into_s1, planned

from sjplan.app.debrief import DebriefPage
from sjplan.app.house import Bed, House
from sjplan.app.monitor import grey_of
from sjplan.app.visit import Visit
from sjplan.core.errors import InputError
from sjplan.io.cases import Case
from sjplan.io.planentries import side_entry
from sjplan.io.planfile import new_plan_file, write_plan
from sjplan.io.scoring import read_scoring
from sjplan.planning.protocol import Outcome
from sjplan.safety.judge import judge
from sjplan.testing.problems import phantom_labels
from sjplan.training import actions as act
from sjplan.training.history import History
from sjplan.training.score import score
from sjplan.training.session import Session, replayed
from sjplan.training.theatre import Theatre

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bed(tmp_path_factory: pytest.TempPathFactory) -> Bed:
    folder = tmp_path_factory.mktemp("bed")
    return Bed("own", "Jane Doe's pelvis", "", lambda: Case(None, phantom_labels()), folder, None, folder, ("false",))


@pytest.fixture(scope="module")
def house(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    opened = House({bed.id: bed}, History(tmp_path_factory.mktemp("h") / "history.sqlite"), read_scoring())
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def theatre(house: House, bed: Bed) -> Theatre:
    found = asyncio.run(house.theatre(bed, lambda _: None))
    plan = planned()
    report = judge(plan, found.anatomy, found.limits)
    entry = side_entry(Outcome("found", plan), plan.side, "raster-v1", report)
    write_plan(new_plan_file(Case(None, phantom_labels()), [entry], seed=0), bed.planned / "plan.json")
    return found


def recorded(house: House, theatre: Theatre, *, bad: bool, rated: bool = True, user: str = "T-01") -> str:
    """An ended operation with one implant in the history: in the S1 foramen, or by the plan."""
    plan = planned()
    session = Session(theatre, 3, images=False)
    kept = house.history.begin(user, session)
    if bad:
        implant(session, plan.side, into_s1(theatre, plan), "outlet")
    else:
        implant(session, plan.side, plan.trajectories[2])
    assert session.step(act.Finish()).refused is None
    kept.finish(score(session, house.scoring, {plan.side: plan}) if rated else None)
    return kept.id


@pytest.fixture(scope="module")
def breached(house: House, theatre: Theatre) -> str:
    return recorded(house, theatre, bad=True)


@pytest.fixture(scope="module")
def clean(house: House, theatre: Theatre) -> str:
    return recorded(house, theatre, bad=False)


async def opened(house: House, key: str, user: str = "T-01") -> Visit:
    """A visitor who has opened a session's debrief."""
    visit = Visit(house, "trainee")
    visit.state.user = user
    await visit.start.debrief(key)
    await visit.debrief._drawing.settled()
    return visit


async def shown(page: DebriefPage, number: int) -> None:
    """Go to a step, and wait until it is drawn."""
    page.go_to(number)
    await page._drawing.settled()


@pytest.fixture(scope="module")
def loop() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as running:
        yield running


@pytest.fixture(scope="module")
def visit(house: House, breached: str, loop: asyncio.Runner) -> Iterator[Visit]:
    """Who looks back at the operation that left the bone."""
    found = loop.run(opened(house, breached))
    yield found
    loop.run(found.debrief.close())
    assert found.debrief.retelling is None


def test_a_breach_is_shown_first_with_the_view_that_would_have_told(
    house: House, visit: Visit, loop: asyncio.Runner
) -> None:
    async def told() -> None:
        s, page = visit.state, visit.debrief
        assert s.page == "debrief"
        assert (s.db_tone, s.db_sign, s.db_tab) == ("bad", "✗", "implants")
        assert s.db_headline.startswith("An implant lies ")
        assert "S1 foramen" in s.db_headline
        assert float(s.db_rating) < 50
        (one,) = s.db_implants
        assert one["tone"] == "bad"
        assert one["clear"].endswith(" out")
        assert one["plan"].startswith("tip ")
        assert one["svg"].startswith("<svg")
        assert {m["name"] for m in s.db_measures} == set(house.scoring.measures)
        assert [c["name"] for c in s.db_complications if not c["modelled"]]
        assert "out of bone" in s.db_path
        outlet = next(e for e in one["seen"] if "S1 foramen" in e["text"])
        assert any("shows it" in shot["text"] for shot in outlet["shots"])
        before = page.shot.image.copy()
        await page.tell_view(0, outlet["n"])
        assert s.db_view.startswith("the view that tells: outlet")
        assert not np.array_equal(page.shot.image, before)
        await page.tell_view(7, 0)
        await page.tell_view("../etc", None)  # type: ignore[arg-type]

    loop.run(told())


def test_steps_are_gone_through_and_the_shots_are_the_real_ones(visit: Visit, loop: asyncio.Runner) -> None:
    async def told() -> None:
        s, page = visit.state, visit.debrief
        last = len(s.db_steps) - 1
        assert s.db_at == s.db_last == last
        assert not page.forward(1)
        await shown(page, 0)
        assert s.db_shot == "no shot yet"
        assert s.db_path == ""
        assert not page.forward(-1)
        assert page.forward(1)
        assert s.db_at == 1
        s.db_main = True
        mains = [row["number"] for row in s.db_steps if row["turning_point"]]
        page.go_to(mains[0])
        assert page.forward(1)
        assert s.db_at == mains[1]
        assert page.retelling is not None
        shots = page.retelling.shots
        await shown(page, shots[0])
        assert s.db_shot == f"shot 1 of {len(shots)}: {s.db_steps[shots[0]]['text'].removeprefix('Shot: ')}"
        real = grey_of(page.retelling.session.shot(shots[0]))
        assert np.array_equal(page.shot.image, real)
        bones = page.replay.image.copy()
        page.look_from("head")
        await page._drawing.settled()
        assert not np.array_equal(page.replay.image, bones)
        for strange in ("nowhere", None, "1e9", "1e999", [3], float("nan")):
            page.go_to(strange)
        page.look_from("../..")
        assert 0 <= s.db_at <= last

    loop.run(told())


def test_a_clean_operation_says_so(house: House, clean: str) -> None:
    async def told() -> None:
        visit = await opened(house, clean)
        s = visit.state
        assert s.db_tone in ("good", "near")
        assert s.db_tab == "sheet"
        assert float(s.db_rating) >= 50
        (one,) = s.db_implants
        assert one["tone"] == "good"
        assert not any(c["signs"] for c in s.db_complications if c["name"] == "nerve-impingement")
        assert "clear at its tightest" in s.db_path
        await visit.debrief.close()

    asyncio.run(told())


class Sources(HTMLParser):
    """What a page would fetch, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_two_files_hold_everything_but_names(
    house: House, theatre: Theatre, visit: Visit, loop: asyncio.Runner
) -> None:
    async def fetched() -> dict[str, tuple[str, bytes]]:
        found = {}
        for name, download in visit.downloads.items():
            if not name.startswith("debrief"):
                continue
            found[name] = download.name, await download.make()
        return found

    files = loop.run(fetched())
    assert set(files) == {"debrief-log", "debrief-report"}
    name, log = files["debrief-log"]
    assert name.endswith(".jsonl")
    lines = [json.loads(line) for line in log.decode().splitlines()]
    assert replayed(theatre, lines[0], lines[1:]).state.finished
    name, body = files["debrief-report"]
    assert re.fullmatch(r"sjplan-[\w-]+-[0-9a-f]{8}\.html", name)
    html = body.decode()
    page = Sources(html)
    taken = sum(line.get("action", {}).get("do") == "shoot" for line in lines)
    assert len(page.sources) >= taken + 3, "every shot, the bones from two sides, and the view that tells"
    assert all(source.startswith("data:image/") for source in page.sources)
    assert not re.search(r"https?://", html)
    assert "Jane" not in html
    assert "Trainee T-01" in page.text
    assert page.text.index("An implant lies") < page.text.index("of 100")
    assert len(body) < 2_000_000


def test_an_operation_without_a_rating_is_told_and_nobody_else_s(house: House, theatre: Theatre) -> None:
    key = recorded(house, theatre, bad=False, rated=False, user="T-09")

    async def told() -> None:
        visit = await opened(house, key, "T-09")
        assert visit.state.db_headline.startswith("This operation has no rating")
        assert visit.state.db_rating == ""
        assert visit.state.db_measures == []
        assert visit.state.db_implants
        visit.state.user = "T-01"
        with pytest.raises(InputError, match="one of your own sessions"):
            await visit.start.debrief(key)
        await visit.debrief.close()

    asyncio.run(told())
