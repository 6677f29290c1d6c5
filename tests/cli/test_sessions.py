"""`sjplan sessions`: a history listed, shown and exported; one line where there is none."""

import csv
import json
from pathlib import Path

import pytest
from cli_support import Sjplan, one_line

from sjplan.io.cases import Case
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training import actions as act
from sjplan.training.history import History
from sjplan.training.session import Session
from sjplan.training.theatre import open_theatre


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    theatre = open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())
    path = tmp_path_factory.mktemp("history") / "history.sqlite"
    with History(path) as history:
        for user, moves in (("+cmd", ()), ("anna", (act.PlacePin("left", 20.0, -20.0), act.Drill(3.0)))):
            recorded = history.begin(user, Session(theatre, 1, images=False), indication="degenerative")
            for move in (act.MoveArm(tilt_deg=10.0), *moves):
                recorded.step(move)
        recorded.finish()
    return path


def test_list_and_show(sjplan: Sjplan, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SJPLAN_HISTORY", str(file))
    done = sjplan("sessions", "list")
    assert done.code == 0
    assert "+cmd: contract phantom, goes on after 1 events" in done.out
    assert "anna: contract phantom, no score" in done.out
    (entry,) = sjplan("sessions", "list", "--user", "anna", "--json").json["sessions"]
    assert entry["events"] == 3
    shown = sjplan("sessions", "show", entry["id"])
    assert shown.code == 0
    assert "move-arm, " in shown.out
    assert "tilt_deg 10.0" in shown.out
    assert "refused, bone holds the pin for 0 mm" in shown.out
    whole = sjplan("sessions", "show", entry["id"], "--json").json
    assert whole["session"]["indication"] == "degenerative"
    assert [e["action"]["do"] for e in whole["events"]] == ["move-arm", "place-pin", "drill"]


def test_export_is_a_table_that_no_spreadsheet_runs(sjplan: Sjplan, file: Path, tmp_path: Path) -> None:
    assert sjplan("sessions", "export", "--history", file, "--out", tmp_path / "a.csv").code == 0
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["user"] for row in rows] == ["'+cmd", "anna"]
    assert rows[1]["side"] == "left"
    assert sjplan("sessions", "export", "--history", file, "--to", "json", "--out", tmp_path / "a.json").code == 0
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    assert [row["user"] for row in document["sessions"]] == ["+cmd", "anna"]


def test_what_is_wrong_gets_one_line(sjplan: Sjplan, file: Path, tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello " * 1000, encoding="utf-8")
    for words, wrong in (
        (("list", "--history", tmp_path / "none"), "found no such file; wanted a history"),
        (("list", "--history", tmp_path / "text"), "no usable history"),
        (("show", "nobody", "--history", file), "the id of a session"),
        (("export", "--history", file, "--user", "nobody", "--out", tmp_path / "x"), "none to export"),
    ):
        done = sjplan("sessions", *words)
        assert done.code == 2
        assert one_line(done.err)
        assert wrong in done.err
    assert not (tmp_path / "none").exists()
    assert not (tmp_path / "x").exists()
