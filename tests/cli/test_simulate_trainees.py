"""`sjplan simulate-trainees`: logs that replay, a table of scores, and one line for what is wrong."""

import csv
from pathlib import Path

import pytest
from cli_support import Sjplan, one_line

from sjplan.io.cases import read_case
from sjplan.training.log import read_log
from sjplan.training.session import replayed
from sjplan.training.theatre import open_theatre


@pytest.mark.slow
def test_every_operation_leaves_a_log_and_a_row(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "runs"
    words = ("simulate-trainees", phantom, plan_folder / "plan.json", "--operations", 1, "--seed", 3, "--out", out)
    done = sjplan(*words, "--trainees", "novice,expert", "--json")
    assert done.code == 0
    rows = done.json["operations"]
    assert [(row["trainee"], row["seed"]) for row in rows] == [("novice", 3), ("expert", 3)]
    with (out / "scores.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert [float(row["rating"]) for row in table] == [row["rating"] for row in rows]
    theatre = open_theatre("phantom with a space", read_case(phantom))
    header, events, _ = read_log(out / "expert-3.jsonl")
    assert header["trainee"] == "expert"
    state = replayed(theatre, header, events).state
    assert state.finished
    assert len(state.implants) == rows[1]["implants"]
    again = sjplan(*words[:-1], tmp_path / "again", "--trainees", "novice,expert", "--json")
    assert again.json["operations"] == rows


@pytest.mark.parametrize(
    ("words", "wrong"),
    [
        (("--trainees", "expertt"), "did you mean 'expert'"),
        (("--operations", 0), "--operations: found 0; wanted 1 to 10000"),
        (("--seed", -1), "--seed: found -1"),
        (("--scoring", "nothing.toml"), "nothing.toml"),
    ],
)
def test_what_is_wrong_gets_one_line(sjplan: Sjplan, tmp_path: Path, words: tuple[object, ...], wrong: str) -> None:
    done = sjplan("simulate-trainees", "default", tmp_path / "plan.json", "--out", tmp_path / "out", *words)
    assert done.code == 2
    assert one_line(done.err)
    assert wrong in done.err
    assert not (tmp_path / "out").exists()
