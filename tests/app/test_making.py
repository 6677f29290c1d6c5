"""Long files are made in short pieces: pictures of others go in between, and the page says how far."""

import asyncio
from collections.abc import Callable

import pytest

from sjplan.app.house import House
from sjplan.app.making import Making
from sjplan.app.visit import Visit
from sjplan.core.errors import InputError
from sjplan.training import actions as act
from sjplan.training.session import Session

pytestmark = pytest.mark.slow


async def others(house: House, work: asyncio.Task[bytes]) -> int:
    """How many pieces of work of somebody else are done while a file is made."""
    count = 0
    while not work.done():
        await house.worker.do(lambda: None)
        count += 1
    return count


def test_pieces_of_others_go_in_between_a_report_and_the_page_says_how_far(house: House, loop: asyncio.Runner) -> None:
    async def through() -> None:
        visit = Visit(house, "trainee")
        await visit.start.sign_in("M-01")
        await visit.start.operate("own", "left")
        for _ in range(4):
            await visit.operate.act(act.Shoot())
        visit.operate.bed = None  # it is told without a rating
        assert await visit.operate.finish()
        assert visit.operate.recorded is not None
        await house.worker.do(visit.operate.recorded.finish)
        await visit.start.debrief(visit.operate.recorded.id)
        await visit.debrief._drawing.settled()

        said: list[str] = []
        visit.state.change("making")(lambda making, **_: said.append(making))
        visit.state.ready()
        download = visit.downloads["debrief-report"]
        making, again = (asyncio.create_task(download.make()) for _ in range(2))
        assert await others(house, making) >= 4
        assert making.result() is await again, "asked for twice, it is made once"
        assert said[:2] == ["", "The report is being made: 0 of 4"]
        assert said[-2:] == ["The report is being made: 3 of 4", ""]

        visit.debrief._pictures.clear()
        visit.debrief._making._task = None  # type: ignore[union-attr]
        making = asyncio.create_task(download.make())
        await asyncio.sleep(0)
        await visit.debrief.close()
        with pytest.raises(InputError, match="The report: found a page that was left; wanted one that is open"):
            await making
        assert visit.state.making == ""

    loop.run(through())


def test_sessions_of_a_course_are_read_one_at_a_time_and_each_once(house: House, loop: asyncio.Runner) -> None:
    async def through() -> None:
        theatre = await house.theatre(house.beds["own"], lambda _: None)
        for n in range(6):
            kept = house.history.begin("M-02", Session(theatre, n, images=False))
            kept.step(act.MoveArm(tilt_deg=1.0))
            kept.finish()
        visit = Visit(house, "instructor")
        assert visit.course is not None
        await visit.course.refresh()
        visit.course.open("M-02")
        house._audited.clear()
        making = asyncio.create_task(visit.downloads["sessions.csv"].make())  # type: ignore[arg-type]
        assert await others(house, making) >= 6
        assert making.result().count(b"M-02") == 6
        again = asyncio.create_task(visit.downloads["sessions.csv"].make())  # type: ignore[arg-type]
        assert await others(house, again) < 6
        assert again.result() == making.result()

    loop.run(through())


def test_what_fails_is_tried_again_when_it_is_asked_for_again(house: House, loop: asyncio.Runner) -> None:
    async def through() -> None:
        tries = []

        async def work(tell: Callable[[int, int], None]) -> bytes:
            tries.append(1)
            tell(0, 1)
            if len(tries) == 1:
                raise InputError("picture", found="none", wanted="one")
            return b"done"

        visit = Visit(house, "trainee")
        making = Making(visit, "It", work)
        with pytest.raises(InputError, match="picture: found none"):
            await making.made()
        assert visit.state.making == ""
        assert await making.made() == await making.made() == b"done"
        assert len(tries) == 2

    loop.run(through())
