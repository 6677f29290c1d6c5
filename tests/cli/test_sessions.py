"""`sjplan sessions`: a history listed, shown and exported; one line where there is none."""

import csv
import json
import re
import sqlite3
from pathlib import Path

import pytest
from cli_support import Sjplan, one_line

from sjplan.io.cases import Case, read_case
from sjplan.io.volumes import write_labels
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


@pytest.mark.parametrize("command", [("sessions", "list"), ("train", "--port", "0")])
def test_a_history_that_cannot_be_used_is_left_as_it_is(
    sjplan: Sjplan, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    """Older, damaged, of another program, in use: one line, exit 2, and not a byte of it is other than it was."""
    monkeypatch.setattr("sjplan.training.history.WAIT_S", 0.1)
    older, damaged, foreign, held = (tmp_path / f"{name}.sqlite" for name in ("older", "damaged", "foreign", "held"))
    for path in (older, held):
        path.write_bytes(file.read_bytes())
    damaged.write_bytes(file.read_bytes()[:-6000])
    foreign.write_text("hello " * 1000, encoding="utf-8")
    with sqlite3.connect(older) as db:
        db.execute("PRAGMA user_version = 0")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    other = sqlite3.connect(held, isolation_level=None)
    other.execute("PRAGMA journal_mode = DELETE")
    other.execute("BEGIN EXCLUSIVE")
    for path, wrong in (
        (older, "version 0 of an older sjplan"), (damaged, "malformed"), (foreign, "not a database"),
        (held, "in use by another program"), (tmp_path / "foreign.sqlite" / "below", "no"),
    ):  # fmt: skip
        before = path.read_bytes() if path.is_file() else b""
        done = sjplan(*command, "--history", path)
        assert done.code == 2, path
        assert one_line(done.err)
        assert wrong in done.err
        assert (path.read_bytes() if path.is_file() else b"") == before
    other.execute("ROLLBACK")
    other.close()
    assert sjplan("sessions", "list", "--history", held).code == 0


@pytest.mark.slow
def test_the_report_of_a_session_is_one_file_of_the_right_patient(sjplan: Sjplan, file: Path, tmp_path: Path) -> None:
    labels, history, report = tmp_path / "John Doe.nii.gz", tmp_path / "h.sqlite", tmp_path / "report.html"
    write_labels(phantom_labels(), labels)
    session = Session(open_theatre(labels.name, read_case(labels)), 1, images=False)
    with History(history) as opened:
        recorded = opened.begin("anna", session)
        for move in (act.Shoot(), act.Finish()):
            assert recorded.step(move).refused is None
        recorded.finish()
    words = ("sessions", "show", recorded.id, "--history", history, "--report", report)
    done = sjplan(*words, "--case", labels)
    assert done.code == 0, done.err
    html = report.read_text(encoding="utf-8")
    assert "Trainee anna" in html
    assert "John" not in html
    assert html.count("data:image/jpeg") == 1
    assert not re.search(r"https?://", html)
    report.unlink()
    for more, wrong in (((), "wanted one of"), (("--case", tmp_path / "none"), "no such file or folder")):
        done = sjplan(*words, *more)
        assert done.code == 2
        assert one_line(done.err)
        assert wrong in done.err
    assert not report.exists()


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
