"""Files appear whole or not at all: temporary file, fsync, rename; folders are built beside and moved in."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sjplan.core.errors import InputError

_PREFIX = ".sjplan-"


@contextlib.contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside `path` to write to; it takes the place of `path` when the block succeeds.

    The temporary name keeps the suffixes of `path`, because writers choose the format by them.

    Raises
    ------
    InputError
        If the folder is missing or cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise InputError(str(path), found="a folder", wanted="a file name to write to", fix="name a file")
    handle, temporary = _temporary_beside(target)
    os.close(handle)
    try:
        yield temporary
        _sync(temporary)
        temporary.replace(target)
    except OSError as error:
        raise _unwritable(target, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_beside(target: Path) -> tuple[int, Path]:
    try:
        handle, name = tempfile.mkstemp(prefix=_PREFIX, suffix="".join(target.suffixes[-2:]), dir=target.parent)
    except OSError as error:
        raise _unwritable(target, error) from error
    os.chmod(name, 0o666 & ~_umask())  # noqa: PTH101 - mkstemp makes a private file; ours is an ordinary one
    return handle, Path(name)


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Write `data` to `path` atomically and return the path.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_bytes(Path(folder) / "a.bin", b"123").read_bytes()
    b'123'
    """
    with replacing(path) as temporary:
        temporary.write_bytes(data)
    return Path(path)


def write_text(path: str | Path, text: str) -> Path:
    """Write `text` to `path` atomically as UTF-8 with plain newlines, and return the path."""
    return write_bytes(path, text.encode("utf-8"))


@contextlib.contextmanager
def output_folder(path: str | Path) -> Iterator[Path]:
    """Give a temporary folder to fill; its files are moved into `path` when the block succeeds.

    Whether `path` can be written is found out first, before any work is done. If the block raises, `path` is
    as it was before: not created where it was missing, its files untouched where it was there.

    Parameters
    ----------
    path : path
        Folder to fill; made, with its parents, where it is missing. Files of the same name are replaced.

    Raises
    ------
    InputError
        If the folder cannot be made or written.

    Examples
    --------
    >>> with tempfile.TemporaryDirectory() as parent:
    ...     with output_folder(Path(parent) / "out") as folder:
    ...         _ = (folder / "a.txt").write_text("whole")
    ...     (Path(parent) / "out" / "a.txt").read_text()
    'whole'
    """
    target = Path(path)
    if target.exists() and not target.is_dir():
        raise InputError(str(path), found="a file", wanted="an output folder", fix="name another --out folder")
    made = _make_parents(target)
    finished = False
    try:
        # Inside a folder that is there already, so that a mounted folder whose parent is read-only works too.
        try:
            name = tempfile.mkdtemp(prefix=_PREFIX, dir=target if target.is_dir() else target.parent)
        except OSError as error:
            raise _unwritable(target, error) from error
        building = Path(name)
        try:
            yield building
            _move_in(building, target)
            finished = True
        except OSError as error:
            raise _unwritable(target, error) from error
        finally:
            shutil.rmtree(building, ignore_errors=True)
    finally:
        if not finished:
            for folder in reversed(made):
                with contextlib.suppress(OSError):
                    folder.rmdir()


def _make_parents(target: Path) -> list[Path]:
    """Make the missing parents of `target`; return those made, outermost first."""
    missing = [p for p in reversed(target.absolute().parents) if not p.exists()]
    made: list[Path] = []
    try:
        for folder in missing:
            folder.mkdir()
            made.append(folder)
        if not target.absolute().parent.is_dir():
            raise NotADirectoryError(20, "a parent is not a folder")
    except OSError as error:
        for folder in reversed(made):
            folder.rmdir()
        raise _unwritable(target, error) from error
    return made


def _move_in(building: Path, target: Path) -> None:
    for file in sorted(building.rglob("*")):
        if file.is_file():
            _sync(file)
    if not target.exists():
        building.chmod(0o777 & ~_umask())
        building.rename(target)
        return
    for file in sorted(building.rglob("*")):
        place = target / file.relative_to(building)
        if file.is_dir():
            place.mkdir(exist_ok=True)
        else:
            file.replace(place)


def _sync(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(path: Path, error: OSError) -> InputError:
    reason = (error.strerror or type(error).__name__).lower()
    return InputError(
        str(path), found=f"a place that cannot be written ({reason})", wanted="a place where files can be made",
        fix="choose another output path, or change the permissions of this one",
    )  # fmt: skip
