"""SimpleITK behind one door: no type hints of its own, warnings on stderr, errors by the page."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import SimpleITK

from sjplan.core.errors import InputError

sitk: Any = SimpleITK
"""SimpleITK, which carries no type hints."""


def unreadable(path: str | Path) -> InputError:
    """The error for a file that passed the checks and still cannot be read."""
    return InputError(
        str(path), found="a file that cannot be read as an image", wanted="an intact image file",
        fix="open it in another viewer and save it again",
    )  # fmt: skip


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Keep the libraries inside SimpleITK, some of which know of no switch, from writing on stderr themselves."""
    try:
        kept = os.dup(2)
    except OSError:  # a process without stderr: nobody hears them
        yield
        return
    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123 (a device, not a path of ours)
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextlib.contextmanager
def reading(path: str | Path) -> Iterator[None]:
    """Run SimpleITK on a file: not a word on stderr (what it would tell is checked here), errors in one line.

    Raises
    ------
    InputError
        In place of SimpleITK's exception, whose text is pages of C++.
    """
    before = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    try:
        with silent():
            yield
    except RuntimeError as error:
        raise unreadable(path) from error
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(before)


@contextlib.contextmanager
def image_reader(path: Path, image_io: str, suffix: str) -> Iterator[Any]:
    """A SimpleITK reader for one file, tied to the format that the file's header was checked for.

    The reader sees the file alone in a folder: with `a.nii` beside `a.nii.gz`, the NIfTI library takes the header
    of the one that was asked for and the pixels of the other.

    Raises
    ------
    InputError
        In place of SimpleITK's exceptions raised in the block.
    """
    with tempfile.TemporaryDirectory(prefix="sjplan-") as folder, reading(path):
        only = Path(folder) / f"image{suffix}"
        try:
            only.symlink_to(path.absolute())
        except OSError:  # Windows without the right to make links
            shutil.copyfile(path, only)
        reader = sitk.ImageFileReader()
        reader.SetImageIO(image_io)
        reader.SetFileName(str(only))
        yield reader
