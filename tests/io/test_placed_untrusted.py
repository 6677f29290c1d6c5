"""What a stranger says was placed: read in a child process, the same as anybody's, or refused in one line."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from io_makers import ct_on, message, plain_grid
from io_plans import plan, plan_file

from sjplan.core.errors import InputError
from sjplan.geometry.solids import outline
from sjplan.io import child, placed
from sjplan.io.markups import Line
from sjplan.io.meshes import stl_bytes, write_stl
from sjplan.io.placed import STRANGERS_BYTES, read_placed
from sjplan.io.planfile import write_plan
from sjplan.io.volumes import write_ct

pytestmark = pytest.mark.usefixtures("nothing_left_behind")

STL = stl_bytes(*outline(plan().trajectories[0]))


def markup(**change: Any) -> dict[str, Any]:
    points = [{"position": [60, 10, 5]}, {"position": [20, 4, 9]}]
    return {"type": "Line", "coordinateSystem": "LPS", "controlPoints": points} | change


def lines(*markups: dict[str, Any]) -> bytes:
    return json.dumps({"markups": markups}).encode()


def at(position: str) -> bytes:
    return lines(markup()).replace(b"60", position.encode())


HOSTILE: dict[str, tuple[bytes, str]] = {
    "cut.stl": (STL[:-7], "no triangles of an STL"),
    "claims.stl": (STL[:80] + struct.pack("<I", 4_000_000_000) + STL[84:], "no triangles of an STL"),
    "no triangles.stl": (STL[:80] + bytes(4), "no triangles of an STL"),
    "nan.stl": (STL[:96] + struct.pack("<f", float("nan")) + STL[100:], "no coordinates in mm"),
    "huge.stl": (STL[:96] + struct.pack("<f", 3e38) + STL[100:], "no coordinates in mm"),
    "cut text.stl": (b"solid\n" + b"vertex 1 2 3\n" * 4, "no triangles of an STL"),
    "nan text.stl": (b"solid\n" + b"vertex nan 2 3\n" * 3, "no coordinates in mm"),
    "huge text.stl": (b"solid\n" + b"vertex 1e999 2 3\n" * 3, "no coordinates in mm"),
    "words.stl": (b"solid\n" + b"vertex a b c\n" * 3, "no triangles of an STL"),
    "empty.stl": (b"", "an empty file"),
    "cut.mrk.json": (lines(markup())[:-20], "no valid JSON"),
    "deep.mrk.json": (b'{"markups": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "no valid JSON"),
    "nan.mrk.json": (at("NaN"), "three numbers in mm"),
    "infinite.mrk.json": (at("1e999"), "three numbers in mm"),
    "huge.mrk.json": (at("9" * 400), "coordinate"),
    "endless number.mrk.json": (at("9" * 5000), "no valid JSON"),
    "many.mrk.json": (lines(*[markup()] * 65), "65 lines"),
    "no text.mrk.json": (b"\xff\xfe\x00", "no UTF-8 text"),
    "deep.json": (b'{"schema": ' + b"[" * 100_000, "no valid JSON"),
    "huge.json": (b'{"schema": "sjplan.plan/1", "seed": 1e999}', "no valid JSON"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    data, words = HOSTILE[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_placed(tmp_path / name)
    assert words in message(caught.value)


@pytest.mark.parametrize("name", ["claims.stl", "deep.mrk.json", "huge.mrk.json"])
def test_the_child_says_the_same(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name][0])
    with pytest.raises(InputError) as here:
        read_placed(tmp_path / name)
    with pytest.raises(InputError) as there:
        read_placed(tmp_path / name, untrusted=True)
    assert str(here.value) == str(there.value)
    assert capfd.readouterr() == ("", "")


def _folder_of_meshes(folder: Path) -> Path:
    for name in ("a.stl", "b.stl", "bone_sacrum.stl"):
        write_stl(folder / name, *outline(plan().trajectories[0]))
    return folder


def _lines_file(folder: Path) -> Path:
    (folder / "a.mrk.json").write_bytes(lines(markup(), markup(name="left 2")))
    return folder / "a.mrk.json"


@pytest.mark.parametrize(
    "make",
    [
        _folder_of_meshes,
        _lines_file,
        lambda folder: write_plan(plan_file(), folder / "placed.json"),
        lambda folder: write_ct(ct_on(plain_grid()), folder / "ct.nii.gz"),
    ],
    ids=["meshes", "lines", "plan", "CT"],
)
def test_the_child_reads_what_is_sound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path)
    here = read_placed(path)
    for reader in ("read_stl", "read_lines", "read_plan", "read_ct"):
        monkeypatch.delattr(placed, reader)
    there = read_placed(path, untrusted=True)
    assert (there.kind, there.notes, there.plan) == (here.kind, here.notes, here.plan)
    assert [line.name for line in there.lines] == [line.name for line in here.lines]
    for a, b in zip(there.lines, here.lines, strict=True):
        assert np.array_equal(a.ends_lps_mm, b.ends_lps_mm)
    for c, d in zip(there.meshes, here.meshes, strict=True):
        assert c.name == d.name
        assert np.array_equal(c.vertices_lps_mm, d.vertices_lps_mm)
        assert np.array_equal(c.triangles, d.triangles)
    if here.ct is not None and there.ct is not None:
        assert np.array_equal(there.ct.hu, here.ct.hu)
        assert there.ct.source == here.ct.source


def test_a_plan_of_a_stranger_is_short(tmp_path: Path) -> None:
    path = write_plan(plan_file(), tmp_path / "plan.json")
    assert child.plan_in_child(path) == plan_file()
    table = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(table | {"more": "x" * child.MOST_ANSWER_BYTES}), encoding="utf-8")
    with pytest.raises(InputError, match=r"found a file that says \d+ bytes beside pixels and meshes; wanted a file"):
        child.plan_in_child(path)


def test_what_a_stranger_sends_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In bytes, so that the slowest text is read within 15 s, and in time."""
    with (tmp_path / "a.stl").open("wb") as file:
        file.truncate(STRANGERS_BYTES + 1)
    with pytest.raises(InputError, match=rf"{STRANGERS_BYTES + 1} bytes of lines or meshes; .* save binary STL"):
        read_placed(tmp_path / "a.stl", untrusted=True)
    monkeypatch.setattr(child, "TIME_LIMIT_S", 0.01)
    with pytest.raises(InputError, match=r"took longer than 0\.01 s to read"):
        read_placed(tmp_path / "a.stl", untrusted=True)


def test_links_out_of_a_strangers_folder_are_not_followed(tmp_path: Path) -> None:
    write_stl(tmp_path / "elsewhere.stl", *outline(plan().trajectories[0]))
    folder = tmp_path / "placed"
    folder.mkdir()
    (folder / "a.stl").symlink_to(tmp_path / "elsewhere.stl")
    with pytest.raises(InputError, match=r"a\.stl: found a link that leads outside of its folder"):
        read_placed(folder, untrusted=True)
    assert len(read_placed(folder).meshes) == 1


def test_names_can_be_shown(tmp_path: Path) -> None:
    (tmp_path / "a.mrk.json").write_bytes(lines(markup(name="\x1b[2J\n\ud800 left 1")))
    (line,) = read_placed(tmp_path / "a.mrk.json").lines
    assert isinstance(line, Line)
    assert line.name == "?[2J?? left 1"
