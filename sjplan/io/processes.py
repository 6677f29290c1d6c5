"""What several processes of one machine have to agree on: one thread each, one writer a folder, who ends with whom."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from sjplan.core.errors import InputError

ONE_THREAD: Final = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS",
     "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"), "1",
)  # fmt: skip
"""What keeps each of several workers to one thread: else they get in each other's way, and more are no faster."""

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None) if sys.platform == "linux" else None


def end_with_parent() -> None:
    """From now on this process is killed when the thread that started it ends, however that happens (Linux alone)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def adopt_orphans() -> None:
    """From now on whatever this process has started stays below it, also when what was between has ended (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(_PR_SET_CHILD_SUBREAPER, 1)


@contextlib.contextmanager
def sole_writer(folder: str | Path) -> Iterator[Path]:
    """Make a folder, and keep other runs out of it; the system lets go of the lock however this process ends.

    Raises
    ------
    InputError
        If the folder cannot be made, or another run is writing to it.

    Examples
    --------
    >>> import tempfile
    >>> with sole_writer(Path(tempfile.mkdtemp()) / "out") as folder:
    ...     folder.is_dir()
    True
    """
    place = Path(folder)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise InputError(
            str(folder), found=f"a place that cannot be written ({reason})", wanted="an output folder",
            fix="name another --out folder",
        ) from error  # fmt: skip
    if sys.platform == "win32":
        yield place
        return
    import fcntl

    handle = os.open(place, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                str(folder), found="a folder that another run is writing to", wanted="one run at a time",
                fix="wait for it, or name another --out folder",
            ) from error  # fmt: skip
        except OSError:
            pass  # a file system without locks: there the user has to mind it
        yield place
    finally:
        os.close(handle)
