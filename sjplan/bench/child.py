"""A process that does runs: started, asked, heard, looked at, and ended with all that it has started."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import psutil

from sjplan.bench.rows import Row
from sjplan.core.errors import InputError
from sjplan.io.processes import ONE_THREAD

TICK_S: Final = 0.05
"""How often a child is looked at: one that eats memory gets some hundred megabytes in that time."""

_CHILDREN_EVERY_S, _CHILDREN_SHARE = 0.5, 0.02
"""A child's own children are looked for so often, and for at most this share of the time: it means reading all
processes."""

_MARK: Final = "SJPLAN_BENCH_CHILD"
"""Environment variable by which a child's own children are known, also where they left its session."""

_CHILD: Final = "from sjplan.bench.worker import main; main()"


class Ended(Exception):
    """The child is gone."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code

    @property
    def told(self) -> str:
        """How it ended, in words."""
        return f"was ended by {_signal_name(-self.code)}" if self.code < 0 else f"ended itself with code {self.code}"

    def row(self, when: str) -> Row:
        """What comes of the run that was being done: a signal comes from outside, an exit from the planner."""
        killed = self.code < 0
        return {
            "status": "killed" if killed else "crashed",
            "error_type": _signal_name(-self.code) if killed else "Exit",
            "error_message": f"its process {self.told} {when}".rstrip(),
        }


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _of(process: psutil.Process, measure: Callable[[psutil.Process], float]) -> float:
    """A measure of a process; nothing where it is gone."""
    try:
        return float(measure(process))
    except psutil.Error:
        return 0.0


def _environment(process: psutil.Process) -> dict[str, str]:
    try:
        return dict(process.environ())
    except (psutil.Error, OSError):  # it has gone, or is another user's
        return {}


def _kill(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


class Child:
    """A process that does runs, in a session of its own, with one thread for every library.

    Parameters
    ----------
    home : Path
        Folder where planners of one's own are looked for.
    """

    def __init__(self, home: Path) -> None:
        # Hashes of text differ from process to process otherwise, and with them the order of sets.
        self._mark = secrets.token_hex(16)
        environment = os.environ | ONE_THREAD | {"PYTHONHASHSEED": "0", _MARK: self._mark}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=None if os.environ.get("SJPLAN_DEBUG") else subprocess.DEVNULL,
                cwd=home if home.is_dir() else None, env=environment, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise InputError("worker", found=f"{error.strerror}", wanted="a process more",
                             fix="fewer --workers, or end other programs") from error  # fmt: skip
        self._looked = psutil.Process(self._process.pid)
        self._children: list[psutil.Process] = []
        self._children_at = 0.0
        self._over = False
        self._messages: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def ask(self, *request: object) -> None:
        """Send a request; that the child is gone is found out when it is listened to."""
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.write(pickle.dumps(request))
            self._process.stdin.flush()

    def hear(self, seconds: float) -> dict[str, Any] | None:
        """Its next message, None where none comes in time.

        Raises
        ------
        Ended
            If it is gone.
        """
        try:
            message = self._messages.get(timeout=seconds)
        except queue.Empty:
            if self._process.poll() is None:
                return None
            # A process that it left behind may hold the pipe open, and the last message be on its way.
            try:
                message = self._messages.get(timeout=TICK_S)
            except queue.Empty:
                message = None
        if message is None:
            raise Ended(self._process.wait())
        return message

    def memory_mb(self) -> float:
        """Resident memory of it and of all that it has started."""
        return sum(_of(process, lambda p: p.memory_info().rss) for process in self._family()) / 2**20

    def cpu_seconds(self) -> float:
        """Processor time of it and of all that it has started."""
        return sum(_of(process, lambda p: sum(p.cpu_times()[:4])) for process in self._family())

    def end(self) -> None:
        """End it and all that it has started."""
        if self._process.returncode is not None and self._over:
            return
        self._over = True
        alone = self._process.poll() is not None
        self._end_started()
        with contextlib.suppress(OSError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        if alone:
            self._end_left_behind()
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()

    def _end_started(self) -> None:
        """End all that it has started: what loses its parent meanwhile comes to it, and is seen the next time."""
        known: set[psutil.Process] = set()
        with contextlib.suppress(psutil.Error):
            while new := set(self._looked.children(recursive=True)) - known:
                _kill(new)
                known |= new

    def _end_left_behind(self) -> None:
        """It ended by itself, and what it had started has no parent now: it is known by what it was started with."""
        mine = [process for process in psutil.process_iter() if _environment(process).get(_MARK) == self._mark]
        _kill(mine)

    def _family(self) -> list[psutil.Process]:
        now = time.monotonic()
        if now >= self._children_at:
            with contextlib.suppress(psutil.Error):
                self._children = self._looked.children(recursive=True)
            took = time.monotonic() - now
            self._children_at = now + max(_CHILDREN_EVERY_S, took / _CHILDREN_SHARE)
        return [self._looked, *self._children]

    def _read(self) -> None:
        assert self._process.stdout is not None
        with contextlib.suppress(OSError), self._process.stdout as lines:
            for line in lines:
                try:
                    message = json.loads(line)
                except ValueError:
                    message = {}
                self._messages.put(message if isinstance(message, dict) else {})
        self._messages.put(None)
