"""The course: what stands in it, who may see it, and that its table is the one of the command line."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import msgpack
import pytest
from app_support import Guest, Trainer, ask, come_in, start
from course_support import COURSE, fill

from sjplan.app.house import House
from sjplan.app.visit import Visit
from sjplan.cli.main import run
from sjplan.core.errors import InputError
from sjplan.io.cases import Case
from sjplan.io.scoring import read_scoring
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training.history import History
from sjplan.training.theatre import open_theatre


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Holds a history of a course."""
    made = tmp_path_factory.mktemp("course")
    theatre = open_theatre("default", Case(None, phantom_labels()), anatomy=phantom_anatomy())
    fill(made / "history.sqlite", theatre)
    return made


@pytest.fixture(scope="module")
def trainer(folder: Path) -> Iterator[Trainer]:
    running = start(folder, None)
    yield running
    running.stop()


@pytest.fixture
def house(folder: Path) -> Iterator[House]:
    made = House({}, History(folder / "history.sqlite"), read_scoring())
    yield made
    made.close()


def test_the_table_has_a_row_for_everybody_and_sorts_by_any_column(house: House) -> None:
    visit = Visit(house, "instructor")
    page, state = visit.course, visit.state
    assert page is not None
    asyncio.run(page.refresh())
    rows = {row["user"]: row for row in state.co_rows}
    assert list(rows) == [*COURSE, "T-05"]
    assert (rows["T-01"]["attempts"], rows["T-01"]["best"], rows["T-01"]["breaches"]) == ("8", "84", "3 of 8")
    assert rows["T-01"]["trend"].startswith("▲ +")
    assert (rows["T-02"]["trend"], rows["T-03"]["trend"], rows["T-05"]["trend"]) == ("none told", "too few", "-")
    assert rows["T-04"]["breaches"] == "1 of 2", "a session without a score is no breach and no clean one"
    assert rows["T-05"]["attempts"] == "0 + 1 open"
    page.sort("best")
    assert [row["user"] for row in state.co_rows] == ["T-01", "T-02", "T-04", "T-03", "T-05"]
    page.sort("best")
    assert [row["user"] for row in state.co_rows] == ["T-03", "T-04", "T-02", "T-01", "T-05"]
    page.sort("breaches; DROP TABLE users")
    assert state.co_sort == "best"
    page.open("T-02")
    assert [s["rating"] for s in state.co_sessions] == ["74", "70", "75", "66", "40", "72"]
    assert [c["key"] for c in state.co_curves] == ["rating", "fluoroscopy_s", "dose_area_ugy_m2", "shots", "margin_mm"]
    asyncio.run(page.show(state.co_sessions[4]["id"]))
    facts = {f["name"]: f["value"] for f in state.co_facts}
    assert facts["malposition"] == "left implant 1 lies 1.0 mm out behind S1 foramen, left"
    page.only("default")
    assert len(state.co_rows) == 5
    page.only("no such case")
    assert state.co_what == ""
    page.open("nobody")
    assert state.co_person == ""
    with pytest.raises(InputError, match="one of the list"):
        asyncio.run(page.show("nothing"))


def test_a_trainee_has_no_course_at_all(house: House) -> None:
    visit = Visit(house, "trainee")
    assert visit.course is None
    assert set(visit.downloads) == {"plan.json"}, "of the own planning page"
    assert not any(name.startswith("co_") for name in visit.state.to_dict())


async def _talk(trainer: Trainer, guest: Guest, *calls: dict[str, object]) -> str:
    """Everything that the websocket says to some calls, as text."""
    headers = {**guest.headers, "Origin": f"http://{trainer.host}"}
    said = b""
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"http://{trainer.host}/v/{guest.visit}/ws", headers=headers) as ws,
    ):
        hello = {"id": "system:c0:0", "method": "wslink.hello", "args": [{"secret": guest.secret}]}
        for call in (hello, *calls, {"id": "rpc:c0:9", "method": "trame.state.get", "args": []}):
            packed = msgpack.packb({"wslink": "1.0", **call})
            await ws.send_bytes(
                b"\x01\x00\x00\x00" + (0).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed
            )
        while b"rpc:c0:9" not in said:
            said += (await ws.receive(10)).data
        await asyncio.sleep(0.5)
        return said.decode(errors="replace")


def test_a_trainee_reaches_nothing_of_it_whatever_their_page_says(trainer: Trainer) -> None:
    guest = come_in(trainer)
    for name in ("sessions.csv", "sessions.json"):
        assert ask(trainer, f"/v/{guest.visit}/download/{name}", headers=guest.headers).status == 404
    forged = [
        {"id": f"rpc:c0:{n}", "method": "trame.state.update", "args": [[{"key": key, "value": value}]]}
        for n, (key, value) in enumerate({"page": "course", "role": "instructor", "co_person": "T-01"}.items(), 1)
    ]
    triggers = [
        {"id": f"rpc:c0:t{n}", "method": "trame.trigger", "args": [f"trigger__{n}", ["T-01"], {}]} for n in range(1, 60)
    ]
    said = asyncio.run(_talk(trainer, guest, *forged, *triggers))
    assert "page_operate" in said, "this is the page's own template"
    assert "co_table" not in said
    assert "foramen_S1_left" not in said
    assert "S1 foramen, left" not in said
    assert not any(f'"{user}"' in said or f"data {user}" in said for user in COURSE if user != "T-01")
    after = ask(trainer, f"/v/{guest.visit}/download/sessions.csv", headers=guest.headers)
    assert after.status == 404
    for path in ("/", f"/v/{guest.visit}/index.html?role=instructor"):
        assert b"T-02" not in ask(trainer, path, headers=guest.headers).body


def test_a_trainees_key_is_no_instructors_and_the_other_way_round(trainer: Trainer) -> None:
    assert trainer.token != trainer.instructor
    assert "co_table" in asyncio.run(_talk(trainer, come_in(trainer, trainer.instructor)))
    assert "co_table" not in asyncio.run(_talk(trainer, come_in(trainer, trainer.token)))


@pytest.mark.parametrize("to", ["csv", "json"])
def test_the_download_is_what_the_command_line_exports(trainer: Trainer, tmp_path: Path, to: str) -> None:
    guest = come_in(trainer, trainer.instructor)
    answer = ask(trainer, f"/v/{guest.visit}/download/sessions.{to}", headers=guest.headers)
    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == f'attachment; filename="sessions.{to}"'
    out = tmp_path / f"sessions.{to}"
    assert run(["sessions", "export", "--history", str(trainer.history), "--to", to, "--out", str(out)]) == 0
    assert answer.body == out.read_bytes()
    if to == "json":
        assert len(json.loads(answer.body)["sessions"]) == sum(map(len, COURSE.values())) + 1


def test_whoever_leaves_is_forgotten(trainer: Trainer) -> None:
    guest = come_in(trainer, trainer.instructor)
    left = ask(trainer, "/leave", "POST", {**guest.headers, "Origin": f"http://{trainer.host}"}, b"")
    assert left.status == 200
    assert b"left" in left.body
    for path in (f"/v/{guest.visit}/download/sessions.csv", f"/v/{guest.visit}/index.html", "/"):
        assert ask(trainer, path, headers=guest.headers).status == 403


def test_a_course_without_a_session_has_nothing_to_download(tmp_path: Path) -> None:
    house = House({}, History(tmp_path / "history.sqlite"), read_scoring())
    visit = Visit(house, "instructor")
    assert visit.course is not None
    asyncio.run(visit.course.refresh())
    assert visit.state.co_rows == []
    assert not visit.state.co_any
    with pytest.raises(InputError, match="none to export"):
        asyncio.run(visit.downloads["sessions.csv"].make())
    house.close()
