"""Progress on stderr: a bar in a terminal, a line per step elsewhere, silent for what is over at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import sjplan
from sjplan.cli.output import err_console

Report = Callable[[str, float], None]
"""What a room below calls: what it is doing, and the share of its work that is done (0 to 1)."""

QUIET_S: Final = 0.5
"""Steps that begin sooner than this after the command print no line in a log: a quick command stays quiet."""

_ROUNDING: Final = 1e-6
"""Shares are sums of floats: the end of the intake may come out a little beyond itself."""

COMPILING: Final = "first run here: compiling the numerical kernels, up to a minute; later runs start at once"


def part_of(report: Report, start: float, stop: float, prefix: str = "") -> Report:
    """A callback for one part of the work: its 0 to 1 becomes `start` to `stop` of the whole.

    Examples
    --------
    >>> seen = []
    >>> part = part_of(lambda what, share: seen.append((what, share)), 0.5, 1.0, "left: ")
    >>> part("measuring", 0.5)
    >>> seen
    [('left: measuring', 0.75)]
    """

    def part(what: str, fraction: float) -> None:
        report(prefix + what, start + (stop - start) * fraction)

    return part


class Reporter:
    """One bar for one command; itself a `Report`, to be divided with `part_of`.

    Parameters
    ----------
    console : Console
        Where to write; a terminal gets a bar, anything else a line per step.
    intake : float
        Share of the work (0 to 1) during which bad input may still be refused. Until it is over a log stays empty,
        so that a refusal is one line and nothing else.
    opening : str
        What to say before the first step.
    """

    def __init__(self, console: Console, intake: float = 0.0, opening: str = "") -> None:
        self._console, self._intake = console, intake
        self._start = time.monotonic()
        self._last = "done"
        self._held = [opening] if opening else []
        self._bar: Progress | None = None
        if console.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("starting", total=1.0)
            self._print_held()

    def __call__(self, what: str, fraction: float) -> None:
        """Say what is being done, and how much of the whole command is over."""
        if self._bar is not None:
            self._bar.update(self._task, description=what, completed=min(max(fraction, 0.0), 1.0))
            return
        seconds = time.monotonic() - self._start
        if what not in (self._last, "done") and seconds >= QUIET_S:
            self._held.append(f"[{seconds:6.1f} s] {what}")
            self._last = what
        if fraction > self._intake + _ROUNDING:
            self._print_held()

    def _print_held(self) -> None:
        for line in self._held:
            self._console.print(line, markup=False)
        self._held.clear()

    @contextmanager
    def shown(self) -> Iterator[Reporter]:
        """Show the bar while the body runs, and clear it whatever happens."""
        if self._bar is None:
            yield self
        else:
            with self._bar:
                yield self


@contextmanager
def progress(*rooms: str, intake: float = 0.0) -> Iterator[Reporter]:
    """Progress for one command; says when kernels of these rooms will be compiled.

    Parameters
    ----------
    *rooms : str
        Rooms whose numba kernels every run of the command calls, so that a finished run leaves them compiled.
    intake : float
        See `Reporter`.
    """
    opening = "" if kernels_cached(rooms) else COMPILING
    with Reporter(err_console(), intake, opening).shown() as reporter:
        yield reporter


def kernels_cached(rooms: tuple[str, ...]) -> bool:
    """Whether every room has compiled kernels in one of the places where numba keeps them.

    Numba writes an index file (.nbi) per kernel: into NUMBA_CACHE_DIR if that is set, else beside the module,
    else (where that folder cannot be written) into the user's cache folder. One that is older than its module
    belongs to an earlier version.
    """
    return all(any(_is_fresh(index, room) for index in _indices(room)) for room in rooms)


def _indices(room: str) -> Iterator[Path]:
    named = os.environ.get("NUMBA_CACHE_DIR")
    if not named:
        yield from (Path(sjplan.__file__).parent / room / "__pycache__").glob("*.nbi")
    yield from (Path(named) if named else Path.home() / ".cache" / "numba").glob(f"{room}_*/*.nbi")


def _is_fresh(index: Path, room: str) -> bool:
    module = Path(sjplan.__file__).parent / room / f"{index.name.split('.')[0]}.py"
    return module.is_file() and index.stat().st_mtime >= module.stat().st_mtime
