"""Files and folders appear whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from io_makers import message

from sjplan.core.errors import InputError
from sjplan.io.atomic import output_folder, replacing, write_bytes, write_text


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.json", "long text before\n")
    write_text(path, "é\n")
    assert path.read_bytes() == "é\n".encode()
    assert names(tmp_path) == ["a.json"]
    assert path.stat().st_mode & 0o077 == 0o066 & ~umask()


def umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_a_failure_leaves_the_old_file(tmp_path: Path) -> None:
    path = write_text(tmp_path / "a.nii.gz", "old")

    def fail() -> None:
        with replacing(path) as temporary:
            assert temporary.name.endswith(".nii.gz")
            temporary.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        fail()
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.nii.gz"]


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for path in (tmp_path / "file" / "a.json", tmp_path / "absent" / "a.json"):
        with pytest.raises(InputError) as caught:
            write_bytes(path, b"x")
        assert "found a place that cannot be written (no" in message(caught.value)
    with pytest.raises(InputError, match="found a folder; wanted a file name"):
        write_bytes(tmp_path, b"x")
    for path in (tmp_path / "file" / "out", tmp_path / "file" / "deep" / "out"):
        with (
            pytest.raises(InputError, match=r"cannot be written \(.*fix: choose another output path"),
            output_folder(path),
        ):
            pytest.fail("the work must not begin")
    with pytest.raises(InputError, match="found a file; wanted an output folder"), output_folder(tmp_path / "file"):
        pytest.fail("the work must not begin")
    assert names(tmp_path) == ["file"]


def test_a_new_folder_appears_when_all_is_done(tmp_path: Path) -> None:
    target = tmp_path / "x" / "y" / "out"
    with output_folder(target) as folder:
        (folder / "views").mkdir()
        (folder / "views" / "ap.png").write_bytes(b"png")
        (folder / "plan.json").write_text("{}")
        assert not target.exists()
    assert names(target) == ["plan.json", "views"]
    assert names(target / "views") == ["ap.png"]
    assert names(tmp_path / "x" / "y") == ["out"]
    assert target.stat().st_mode & 0o777 == 0o777 & ~umask()


def fill(target: Path, text: str, error: type[BaseException]) -> None:
    with output_folder(target) as folder:
        (folder / "plan.json").write_text(text)
        raise error


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_a_failure_leaves_no_folder(error: type[BaseException], tmp_path: Path) -> None:
    with pytest.raises(error):
        fill(tmp_path / "x" / "out", "new", error)
    assert names(tmp_path) == []


def test_an_old_folder_keeps_its_files_on_failure_and_gains_on_success(tmp_path: Path) -> None:
    target = tmp_path / "out"
    (target / "views").mkdir(parents=True)
    (target / "plan.json").write_text("old")
    (target / "views" / "mine.txt").write_text("mine")
    with pytest.raises(RuntimeError):
        fill(target, "new", RuntimeError)
    assert (target / "plan.json").read_text() == "old"
    assert names(target) == ["plan.json", "views"]
    with output_folder(target) as folder:
        (folder / "plan.json").write_text("new")
        (folder / "views").mkdir()
        (folder / "views" / "ap.png").write_bytes(b"png")
    assert (target / "plan.json").read_text() == "new"
    assert names(target / "views") == ["ap.png", "mine.txt"]
    assert names(target) == ["plan.json", "views"]


def test_a_relative_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for target in ("out", "."):
        with output_folder(target) as folder:
            (folder / "a.txt").write_text("a")
    assert names(tmp_path) == ["a.txt", "out"]
