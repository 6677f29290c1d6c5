"""Exercise files: what ships can be read, a teacher's come beside it, and a broken one is named in one line."""

import os
from importlib import resources
from pathlib import Path

import pytest

from sjplan.core.errors import SjplanError
from sjplan.core.exercise import LEVELS, TASKS, OperateTask
from sjplan.io.exercises import read_exercises, usable_exercises
from sjplan.io.presets import list_presets

OWN = """
schema = "sjplan.exercise/1"
id = "monday"
title = "Monday's exercise"
text = "Operate."
level = 2
kind = "operate"
case = "small"
sides = ["right"]
hints = ["Look twice."]
limit_s = 1200

[task]
implants = 2

[marks]
rating = 60
"""
ASKED = """
schema = "sjplan.exercise/1"
id = "monday"
title = "t"
text = "t"
level = 1
kind = "landmark"
[task]
asked = [{ landmark = "s1-endplate", view = "lateral" }]
[marks]
right = 1
"""


def folder_with(tmp_path: Path, *texts: str) -> Path:
    for n, text in enumerate(texts):
        (tmp_path / f"own{n}.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_what_ships_covers_every_level_and_kind_and_the_cases_that_were_asked_for() -> None:
    exercises = read_exercises()
    assert {e.level for e in exercises.values()} == set(LEVELS)
    assert {e.kind for e in exercises.values()} == set(TASKS)
    assert {e.case for e in exercises.values()} == {"any", "obese", "dysmorphic"} <= {"any", *list_presets()}
    operations = [e for e in exercises.values() if isinstance(e.task, OperateTask)]
    assert {(e.sitting, len(e.sides)) for e in operations} == {("one-sitting", 1), ("one-sitting", 2), ("staged", 2)}
    assert [e.id for e in operations if e.revision] == ["revision"]
    assert [e.level for e in exercises.values()] == sorted(e.level for e in exercises.values())
    assert all(e.hints and e.exam for e in exercises.values())


def test_every_file_that_ships_is_named_by_its_id() -> None:
    files = resources.files("sjplan.data").joinpath("exercises").iterdir()
    assert {f.name for f in files if not f.name.startswith("_")} == {f"{name}.toml" for name in read_exercises()}


def test_a_teacher_s_file_comes_beside_those_that_ship(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, OWN)
    (folder / "notes.txt").write_text("not an exercise", encoding="utf-8")
    (folder / ".hidden.toml").write_text("broken [", encoding="utf-8")
    exercises = read_exercises(folder)
    assert set(exercises) == {*read_exercises(), "monday"}
    own = exercises["monday"]
    assert (own.case, own.sides, own.limit_s, own.hints) == ("small", ("right",), 1200.0, ("Look twice.",))
    assert own.task == OperateTask(2, 60.0)
    assert list(exercises) == sorted(exercises, key=lambda name: (exercises[name].level, name))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (OWN.replace('"monday"', '"one-side"'), "own0.toml: id: found 'one-side', which sjplan itself has"),
        (OWN.replace('"monday"', '"../monday"'), "own0.toml: id: found '../monday'"),
        (OWN.replace("exercise/1", "exercise/9"), "own0.toml: schema"),
        (OWN.replace('"operate"', '"operat"'), "own0.toml: kind: found 'operat'.*did you mean 'operate'"),
        (OWN.replace('kind = "operate"', ""), "own0.toml: kind: found 'nothing'"),
        (OWN.replace('"operate"', "7"), "own0.toml: kind: found '7'"),
        (OWN.replace('"small"', '"smal"'), "own0.toml: case: found 'smal'.*did you mean 'small'"),
        (OWN.replace('"small"', '"/etc/passwd"'), "own0.toml: case: found '/etc/passwd'"),
        (OWN.replace('"right"', '"up"'), "own0.toml: sides.0: found 'up'"),
        (OWN.replace("level = 2", "level = 7"), "own0.toml: level: found 7; wanted 1 to 4"),
        (OWN.replace("level = 2", "level = 2.5"), "own0.toml: level: found 2.5"),
        (OWN.replace("level = 2", "level = true"), "own0.toml: level: found True"),
        (OWN.replace("implants = 2", "implants = 9"), "own0.toml: implants: found 9; wanted 2 to 3"),
        (OWN.replace("implants = 2", "implant = 2"), "own0.toml: task.implant: found an unknown field"),
        (OWN.replace("rating = 60", ""), "own0.toml: marks.rating: found nothing"),
        (OWN.replace("rating = 60", 'rating = "60"'), "own0.toml: marks.rating: found '60'"),
        (OWN.replace("limit_s = 1200", "limit_s = nan"), "own0.toml: limit_s: found nan"),
        (OWN.replace('title = "Monday\'s exercise"', 'title = "a\\nb"'), "own0.toml: title"),
        (OWN.replace('title = "Monday\'s exercise"', f'title = "{"x" * 101}"'), "own0.toml: title"),
        (OWN.replace('"Operate."', '"a\\u0007b"'), "own0.toml: text"),
        (OWN.replace('["Look twice."]', "[1]"), "own0.toml: hints.0: found 1"),
        (OWN + "\n[extra]\n", "own0.toml: extra: found an unknown field"),
        (OWN.split("[task]")[0], "own0.toml: task: found nothing"),
        (OWN.replace("schema", "schema ="), "own0.toml: found no valid TOML"),
        (ASKED.replace("s1-endplate", "s1-endplat"), "own0.toml: landmark: found 's1-endplat'"),
        (ASKED.replace('"lateral"', '"inlet"'), "own0.toml: view of s1-endplate: found 'inlet'"),
        (ASKED.replace("right = 1", "right = 2"), "own0.toml: right: found 2; wanted 1 to 1"),
    ],
)
def test_a_broken_file_is_named_with_key_found_and_wanted_in_one_line(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises(SjplanError, match=wrong) as caught:
        read_exercises(folder_with(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "wanted" in str(caught.value)


def test_two_files_of_a_teacher_with_one_id_are_both_named(tmp_path: Path) -> None:
    with pytest.raises(SjplanError, match=r"own1\.toml: id: found 'monday', which own0\.toml has"):
        read_exercises(folder_with(tmp_path, OWN, OWN))


def test_a_folder_that_is_none_and_a_file_that_cannot_be_read_get_a_line(tmp_path: Path) -> None:
    with pytest.raises(SjplanError, match="found no folder"):
        read_exercises(tmp_path / "nowhere")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(SjplanError, match=r"folder\.toml") as caught:
        read_exercises(tmp_path)
    assert "\n" not in str(caught.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    with pytest.raises(SjplanError, match=r"pipe\.toml"):
        read_exercises(tmp_path)


def test_a_broken_file_is_named_and_the_others_can_be_used(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, OWN, OWN, ASKED.replace("monday", "tuesday").replace("level = 1", "level = 9"))
    found, broken = usable_exercises(folder)
    assert set(found) == {*read_exercises(), "monday"}
    assert [str(error).split(":")[0].rpartition("/")[2] for error in broken] == ["own1.toml", "own2.toml"]
    assert "id: found 'monday', which own0.toml has" in str(broken[0])
    assert "level: found 9; wanted 1 to 4" in str(broken[1])
    with pytest.raises(SjplanError, match=r"own1\.toml"):
        read_exercises(folder)


def test_the_example_of_the_docs_can_be_used(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    example = page.partition("```toml\n")[2].partition("```")[0]
    found = read_exercises(folder_with(tmp_path, example))["right-pin"]
    assert (found.kind, found.sides, len(found.hints), found.limit_s) == ("one-pin", ("right",), 2, 1200.0)
