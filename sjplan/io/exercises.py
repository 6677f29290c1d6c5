"""Exercises of the trainer: those that ship, and a teacher's own in a folder beside them."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from sjplan.core.errors import InputError, SjplanError, UnknownNameError, unknown_name
from sjplan.core.exercise import (
    ANY_CASE,
    TASKS,
    Asked,
    Exercise,
    JudgePinTask,
    LandmarkTask,
    OnePinTask,
    OperateTask,
    Task,
    ViewTask,
)
from sjplan.io.catalogue import read_implants
from sjplan.io.phantom_tables import known_files, phantoms_folder
from sjplan.io.tables import read_toml, validated

MOST_FILES: Final = 500
"""More exercises than this in one folder are no course but a mistake."""

Line = Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[^\x00-\x1f\x7f]+$")]
Text = Annotated[str, Field(min_length=1, max_length=3000, pattern=r"^[^\x00-\x08\x0b-\x1f\x7f]+$")]
"""Words for people: without control signs, a title on one line."""

Name = Annotated[str, Field(max_length=60)]
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Whole = Annotated[int, Field(strict=True)]


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)


class _ViewTask(_Table):
    views: list[Name]
    off_deg: Number = 20.0


class _ViewMarks(_Table):
    times: Number = 2.0
    straight_deg: Number = 5.0
    right: Whole | None = None


class _Asked(_Table):
    landmark: Name
    view: Name


class _LandmarkTask(_Table):
    asked: list[_Asked]
    count: Whole | None = None


class _LandmarkMarks(_Table):
    within_mm: Number = 5.0
    right: Whole


class _JudgePinTask(_Table):
    shows: Literal["implant", "pin"] = "implant"
    ways: list[Name]
    views: list[Name] = ["lateral", "inlet", "outlet"]
    count: Whole
    out_mm: Number = 2.0
    deepest_mm: Number = 4.0
    clear_mm: Number = 1.0


class _JudgePinMarks(_Table):
    right: Whole


class _OnePinTask(_Table):
    model: Name = "tri-7"


class _OnePinMarks(_Table):
    margin_mm: Number = 2.0
    sacral_mm: Number = 15.0
    iliac_mm: Number = 8.0


class _OperateTask(_Table):
    implants: Whole = 3
    sitting: Literal["one-sitting", "staged"] = "one-sitting"
    replaces: list[Name] = []


class _OperateMarks(_Table):
    rating: Number


class _File(_Table):
    schema_: Literal["sjplan.exercise/1"] = Field(alias="schema")
    id: Name
    title: Line
    text: Text
    level: Whole
    kind: str
    case: Name = ANY_CASE
    sides: list[Literal["left", "right"]] = ["left"]
    hints: Annotated[list[Text], Field(max_length=12)] = []
    exam: Annotated[bool, Field(strict=True)] = True
    limit_s: Number | None = None


class _ViewFile(_File):
    task: _ViewTask
    marks: _ViewMarks = _ViewMarks()

    def built(self) -> Task:
        views = tuple(self.task.views)
        right = len(views) if self.marks.right is None else self.marks.right
        return ViewTask(views, self.task.off_deg, self.marks.times, self.marks.straight_deg, right)


class _LandmarkFile(_File):
    task: _LandmarkTask
    marks: _LandmarkMarks

    def built(self) -> Task:
        asked = tuple(Asked(one.landmark, one.view) for one in self.task.asked)
        count = len(asked) if self.task.count is None else self.task.count
        return LandmarkTask(asked, count, self.marks.within_mm, self.marks.right)


class _JudgePinFile(_File):
    task: _JudgePinTask
    marks: _JudgePinMarks

    def built(self) -> Task:
        values = self.task.model_dump()
        values |= {name: tuple(values[name]) for name in ("ways", "views")}
        return JudgePinTask(**values, right=self.marks.right)


class _OnePinFile(_File):
    task: _OnePinTask = _OnePinTask()
    marks: _OnePinMarks = _OnePinMarks()

    def built(self) -> Task:
        if self.task.model not in read_implants():
            raise unknown_name("model", self.task.model, read_implants())
        return OnePinTask(self.task.model, **self.marks.model_dump())


class _OperateFile(_File):
    task: _OperateTask
    marks: _OperateMarks

    def built(self) -> Task:
        task = self.task
        return OperateTask(task.implants, self.marks.rating, task.sitting, tuple(task.replaces))


_FILES: Final[Mapping[str, type[_ViewFile | _LandmarkFile | _JudgePinFile | _OnePinFile | _OperateFile]]] = {
    "view": _ViewFile,
    "landmark": _LandmarkFile,
    "judge-pin": _JudgePinFile,
    "one-pin": _OnePinFile,
    "operate": _OperateFile,
}
assert set(_FILES) == set(TASKS)


def read_exercises(folder: str | Path | None = None) -> Mapping[str, Exercise]:
    """Exercises by id, by level and then by name: those that ship, and those in a teacher's folder.

    Parameters
    ----------
    folder : path, optional
        Every `*.toml` file that lies in it (not deeper) is an exercise; see docs/training.md.

    Raises
    ------
    InputError, UnknownNameError
        Naming file, key, what was found and what was wanted; also where a teacher's exercise has an id that is taken.

    Examples
    --------
    >>> exercises = read_exercises()
    >>> exercises["true-lateral"].kind, exercises["true-lateral"].level
    ('view', 1)
    """
    exercises, broken = usable_exercises(folder)
    if broken:
        raise broken[0]
    return exercises


def usable_exercises(folder: str | Path | None = None) -> tuple[Mapping[str, Exercise], tuple[SjplanError, ...]]:
    """Exercises as `read_exercises` gives them, and what is wrong with those files of the folder that are left out.

    Raises
    ------
    InputError
        For a folder that is none, or that holds too many files.
    """
    found: dict[str, Exercise] = {}
    files: dict[str, str] = {}
    broken: list[SjplanError] = []
    for where, what, read in (*_shipped(), *_own(folder)):
        try:
            exercise = _exercise(read(), what)
            if exercise.id in found:
                taken = f"{exercise.id!r}, which {files[exercise.id]} has"
                raise InputError(f"{what}: id", found=taken, wanted="an id that no other exercise has", fix="rename it")
        except SjplanError as error:
            broken.append(error)
        else:
            found[exercise.id], files[exercise.id] = exercise, where
    return dict(sorted(found.items(), key=lambda item: (item[1].level, item[0]))), tuple(broken)


def _shipped() -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    for file in sorted(resources.files("sjplan.data").joinpath("exercises").iterdir(), key=lambda f: f.name):
        if file.name.endswith(".toml"):
            yield "sjplan itself", file.name, partial(tomllib.loads, file.read_text("utf-8"))


def _own(folder: str | Path | None) -> Iterator[tuple[str, str, Callable[[], dict[str, Any]]]]:
    if folder is None:
        return
    place = Path(folder)
    if not place.is_dir():
        raise InputError(str(place), found="no folder", wanted="a folder with exercise files (*.toml)")
    files = sorted(path for path in place.iterdir() if path.suffix == ".toml" and not path.name.startswith("."))
    if len(files) > MOST_FILES:
        raise InputError(str(place), found=f"{len(files)} files", wanted=f"at most {MOST_FILES} exercises")
    for path in files:
        yield path.name, str(path), partial(read_toml, path)


def _exercise(table: dict[str, Any], what: str) -> Exercise:
    """One file's table as an exercise."""
    kind = table.get("kind")
    if not isinstance(kind, str) or kind not in _FILES:
        raise unknown_name(f"{what}: kind", "nothing" if kind is None else str(kind)[:60], _FILES)
    file = validated(_FILES[kind], table, what)
    if file.case != ANY_CASE and file.case not in known_files(phantoms_folder()):
        raise unknown_name(f"{what}: case", file.case, [ANY_CASE, *known_files(phantoms_folder())])
    try:
        return Exercise(
            id=file.id, title=file.title, text=file.text.strip(), level=file.level, task=file.built(), case=file.case,
            sides=tuple(file.sides), hints=tuple(hint.strip() for hint in file.hints), exam=file.exam,
            limit_s=file.limit_s,
        )  # fmt: skip
    except SjplanError as error:
        kept = UnknownNameError if isinstance(error, UnknownNameError) else InputError
        raise kept(f"{what}: {error.what}", found=error.found, wanted=error.wanted, fix=error.fix) from error
