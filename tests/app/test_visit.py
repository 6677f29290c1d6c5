"""One tab, several people, and visits that end in the middle of something: nothing is seen, and nothing stays open."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sjplan.app.house import House
from sjplan.app.visit import COMMON, Visit
from sjplan.app.windows import Windows
from sjplan.core.errors import InputError
from sjplan.render.plan_window import PlanWindow
from sjplan.render.room import RoomWindow

pytestmark = pytest.mark.slow

PAGES = ("op_", "arm_", "ex_", "qu_", "db_", "pl_")


@pytest.fixture
def left_open(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Windows that were opened and not closed; one that is merely forgotten stays here."""
    windows: list[object] = []
    for kind in (RoomWindow, PlanWindow):
        monkeypatch.setattr(kind, "__init__", _noting(kind.__init__, windows.append))
        monkeypatch.setattr(kind, "close", _noting(kind.close, windows.remove))
    return windows


def _noting(method: Callable[..., None], note: Callable[[object], None]) -> Callable[..., None]:
    def noted(self: object, *given: object, **named: object) -> None:
        method(self, *given, **named)
        note(self)

    return noted


def dark(visit: Visit) -> bool:
    """Whether no screen of a visit shows anything."""
    screens = [visit.operate.live, visit.operate.second, visit.operate.room, visit.debrief.replay, visit.debrief.shot]
    screens += [visit.exercise.left, visit.exercise.right, visit.question.screen, *visit.planning.screens.values()]
    screens += [visit.planning.pictures.xray, visit.planning.pictures.solid]
    return all(int(np.ptp(screen.image)) == 0 for screen in screens)


def test_nothing_of_one_person_is_there_for_the_next_and_their_drafts_wait(house: House, loop: asyncio.Runner) -> None:
    async def through() -> None:
        visit = Visit(house, "trainee")
        start, state = visit.start, visit.state
        untouched = {key: value for key, value in state.initial.items() if key.startswith(PAGES)}
        assert len(untouched) > 100
        visit.bring(replace(house.beds["own"], id="mine", title="a patient of my own"))
        await start.sign_in("V-01")
        assert list(visit.beds) == ["mine", "own"], "what was brought before one said who one is is one's own"

        await start.operate("own", "left")
        state.op_drill, state.op_message = 77.0, "half done"
        await visit.operate.shoot()
        await visit.exercise.begin("landmarks-lateral", "own", False)
        visit.question.point(30.0, 40.0)
        await start.plan("own", "left")
        await visit.planning.add()
        await visit.planning.pictures._latest.settled()
        drafts = visit.planning.desk.draft if visit.planning.desk else None
        assert drafts is not None
        assert drafts.paths
        assert not dark(visit)

        visit.go("start")
        await start.sign_in("V-02")
        assert {key: state[key] for key in untouched if key != "ex_list"} == {
            key: value for key, value in untouched.items() if key != "ex_list"
        }
        assert (state.mine, state.bed, list(visit.beds)) == ([], "own", ["own"])
        assert all(one["done"] == "" for one in state.ex_list)
        assert visit.operate.recorded is visit.operate.arm is visit.exercise.attempt is visit.question.attempt is None
        assert visit.planning.desk is visit.planning.report is visit.debrief.retelling is None
        assert dark(visit)
        with pytest.raises(InputError, match="plan: found no patient"):
            visit.planning.keeping.download()
        await start.plan("own", "left")
        assert visit.planning.desk is not None
        assert visit.planning.desk.draft.paths == ()

        await start.sign_in("V-01")
        assert list(visit.beds) == ["mine", "own"]
        assert [line["state"] for line in state.mine] == ["goes on (0 answered)", "goes on (1 steps)"]
        await start.plan("own", "left")
        assert visit.planning.desk.draft is drafts
        await visit.planning.pictures._latest.settled()
        await visit.planning.close()

    loop.run(through())


def test_what_is_under_way_for_one_does_not_come_up_for_the_next(
    house: House, loop: asyncio.Runner, left_open: list[object]
) -> None:
    async def through() -> None:
        visit = Visit(house, "trainee")
        await visit.start.sign_in("V-03")
        visit.soon(visit.start.operate("own", "left"))
        while not await house.worker.do(house.history.entries, "V-03"):
            pass
        await visit.start.sign_in("V-04")
        await asyncio.sleep(0.3)
        assert (visit.state.page, visit.state.user, visit.operate.recorded) == ("start", "V-04", None)
        await house.worker.do(lambda: None)
        assert left_open == []
        assert [entry.ended for entry in house.history.entries("V-03")] == [""], "it waits to be gone on with"

        visit.ending = True
        with pytest.raises(InputError, match="name or code: found another, while an operation is being rated"):
            await visit.start.sign_in("V-03")
        assert visit.state.user == "V-04"

    loop.run(through())


def test_a_visit_that_closes_while_it_opens_a_window_leaves_none(
    house: House, loop: asyncio.Runner, left_open: list[object]
) -> None:
    async def through() -> None:
        for n in range(3):
            visit = Visit(house, "trainee")
            visit.open()
            await visit.start.sign_in("V-05")
            if n == 2:
                await visit.start.plan("own", "left")  # its pictures are drawn by nobody's task
            else:
                visit.soon(visit.start.operate("own", "left"))
                while len(await house.worker.do(house.history.entries, "V-05")) == n:
                    pass
                await asyncio.sleep(0.02 * n)
            await visit.close()
        await asyncio.sleep(0.3)
        await house.worker.do(lambda: None)
        assert left_open == []

    loop.run(through())


def test_windows_are_closed_once_and_never_opened_in_a_visit_that_is_over(house: House, loop: asyncio.Runner) -> None:
    class Window:
        closed = 0

        def close(self) -> None:
            self.closed += 1

    async def through() -> None:
        windows = Windows(house.worker)
        first, second = await windows.open(Window), await windows.open(Window)
        assert first is not None
        assert second is not None
        await windows.close(first)
        await windows.close(first)
        opening = asyncio.create_task(windows.open(Window))
        await asyncio.sleep(0)
        opening.cancel()
        await windows.close_all(for_good=True)
        assert (first.closed, second.closed, windows._open) == (1, 1, [])
        assert await windows.open(Window) is None

    loop.run(through())


def test_all_that_is_not_common_is_blanked(house: House) -> None:
    visit = Visit(house, "trainee")
    assert set(COMMON) <= set(visit.state.initial)
    assert {key for key in visit.state.initial if key not in visit._blank} == set(COMMON)


def test_a_page_that_falls_silent_is_given_up(
    house: House, loop: asyncio.Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sjplan.app.mount.HEART_BEAT_S", 1)

    async def through() -> None:
        visit = Visit(house, "trainee")
        visit.open()
        app = web.Application()
        app.router.add_get("/ws", visit.mounted.connect)
        async with (
            TestServer(app) as server,
            aiohttp.ClientSession() as client,
            client.ws_connect(server.make_url("/ws"), autoping=False) as silent,
        ):
            # No line is cut and nothing is closed: pings go without an answer, as on a machine that has gone to sleep.
            said = [(await silent.receive(timeout=5)).type for _ in range(2)]
        assert said == [aiohttp.WSMsgType.PING, aiohttp.WSMsgType.CLOSED]
        await visit.close()

    loop.run(through())
