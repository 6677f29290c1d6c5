"""Pictures on their way to a page: newest first in line, no more at once than it takes, none lost for good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from aiohttp import ClientWebSocketResponse, web
from aiohttp.test_utils import TestClient, TestServer

from sjplan.app.arm import SIZES, Pace
from sjplan.app.monitor import Monitor
from sjplan.app.stream import AHEAD, HEAD, Pictures

SILENCE_S = 0.2


@asynccontextmanager
async def door(pictures: Pictures) -> AsyncIterator[TestClient[web.Request, web.Application]]:
    app = web.Application()
    app.router.add_get("/pictures", pictures.connect)
    async with TestClient(TestServer(app)) as client:
        yield client


def grey(value: int) -> np.ndarray:
    return np.full((3, 5), value, np.uint8)


async def got(page: ClientWebSocketResponse) -> tuple[str, int] | None:
    """Screen and first pixel of the next picture; None if there comes none."""
    try:
        message = await page.receive(SILENCE_S)
    except TimeoutError:
        return None
    length, channels, columns, rows = HEAD.unpack_from(message.data)
    pixels = np.frombuffer(message.data, np.uint8, offset=HEAD.size + length)
    assert pixels.size == channels * columns * rows
    return message.data[HEAD.size :][:length].decode(), int(pixels[0])


def screens(*names: str) -> tuple[Pictures, dict[str, Monitor]]:
    pictures, monitors = Pictures(), {name: Monitor(4) for name in names}
    for name, monitor in monitors.items():
        pictures.add(name, monitor)
    return pictures, monitors


def test_what_a_slow_page_has_not_drawn_is_not_sent_past_it() -> None:
    async def story() -> None:
        pictures, monitors = screens("live")
        live = monitors["live"]
        async with door(pictures) as client, client.ws_connect("/pictures") as page:
            assert (await got(page)) is not None, "what is shown when a page comes"
            for value in range(1, 20):
                live.show(grey(value))
                await asyncio.sleep(0.005)
            seen = []
            while (picture := await got(page)) is not None:
                seen.append(picture)
            assert len(seen) == AHEAD - 1, "the page has drawn none"
            assert not live.taken.is_set()
            await page.send_str("drawn")
            assert await got(page) == ("live", 19), "the newest; what it overtook is never sent"
            assert live.taken.is_set()
            assert await got(page) is None
            await page.send_str("drawn")
            await page.send_str("drawn")
            assert await got(page) is None, "none is sent twice"

    asyncio.run(story())


def test_screens_take_turns() -> None:
    async def story() -> None:
        pictures, monitors = screens("live", "room")
        async with door(pictures) as client, client.ws_connect("/pictures") as page:
            assert {(await got(page) or ("", 0))[0] for _ in range(2)} == {"live", "room"}
            for value in range(3):
                monitors["live"].show(grey(value))
                monitors["room"].show(np.full((2, 2, 3), 100 + value, np.uint8))
            await page.send_str("drawn")
            await page.send_str("drawn")
            assert [await got(page) for _ in range(2)] == [("live", 2), ("room", 102)]

    asyncio.run(story())


def test_a_page_that_comes_back_is_shown_everything_and_the_one_before_is_let_go() -> None:
    async def story() -> None:
        pictures, monitors = screens("live")
        monitors["live"].show(grey(7))
        assert monitors["live"].taken.is_set(), "nobody waits for a page that is not there"
        async with door(pictures) as client:
            first = await client.ws_connect("/pictures")
            assert await got(first) == ("live", 7)
            for value in (8, 9, 10):
                monitors["live"].show(grey(value))
                await asyncio.sleep(0.01)
            second = await client.ws_connect("/pictures")
            assert await got(second) == ("live", 10)
            while not first.closed:
                await first.receive(5.0)
            for value in (11, 12, 13):
                monitors["live"].show(grey(value))
                await asyncio.sleep(0.01)
            assert not monitors["live"].taken.is_set()
            await second.close()
            await asyncio.wait_for(monitors["live"].taken.wait(), 5.0)

    asyncio.run(story())


def test_a_visit_that_is_over_lets_its_page_go() -> None:
    async def told() -> None:
        pictures, _ = screens("live")
        async with door(pictures) as client:
            page = await client.ws_connect("/pictures")
            assert await got(page) is not None
            await asyncio.gather(pictures.close(), page.receive())
            assert page.closed
            await pictures.close()

    asyncio.run(told())


def test_live_pictures_get_smaller_only_while_others_wait() -> None:
    pace = Pace()
    for _ in range(9):
        pace = pace.after(0.5, others=False)
        assert pace.pixels == SIZES[0], "one person alone keeps them large"
    for _ in range(9):
        pace = pace.after(0.5, others=True)
    assert pace.pixels == SIZES[-1]
    for _ in range(9):
        pace = pace.after(0.01, others=False)
    assert pace.pixels == SIZES[0]
