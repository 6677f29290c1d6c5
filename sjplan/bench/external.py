"""A program in any language as a planner: a problem on its stdin, an answer on its stdout, one run a question.

Whatever the program does, the end is an outcome or one line: it has a time limit, what it writes is limited, and it and
all that it started are ended together.
"""

from __future__ import annotations

import contextlib
import os
import re
import selectors
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePath
from typing import IO, Final, cast

import numpy as np

from sjplan.bench.exchange import problem_text, read_answer
from sjplan.core.errors import InputError
from sjplan.core.plan import Outcome
from sjplan.io.processes import end_with_parent
from sjplan.planning.protocol import Budget, PlannerSpec, Problem

TIME_LIMIT_S: Final = 600.0
"""Longest time a program may take where the budget has no seconds."""

GRACE_S: Final = 5.0
"""How much longer than the budget's seconds it may take, for starting and for reading the problem."""

MAX_ANSWER_BYTES: Final = 2**22
"""An answer of three implants takes less than a kilobyte; reasons may be long."""

KEPT_STDERR_BYTES: Final = 2000
SHOWN_CHARACTERS: Final = 300
"""The end of what it wrote on stderr is kept, and shown where it failed."""

_POLL_S: Final = 0.05
_SEEDS: Final = 2**31
"""Seeds are below this: every language has an integer for them."""


class ProgramError(InputError):
    """An external program failed: it ended badly, or wrote what is no answer."""


class ProgramTimeout(ProgramError):
    """An external program did not end in time and was ended."""


class ExternalPlanner:
    """A program that is asked once a problem.

    Parameters
    ----------
    command : sequence of str
        The program and its arguments; a program without a slash is looked for on the search path.
    parameters : mapping, optional
        Handed to the program as `parameters`.
    spec : PlannerSpec, optional
        Who it is. Without one the id is made from the command: `exec-my-rule-v0` of `./my_rule`, `exec-rule-v2` of
        `./rule-v2`.
    time_limit_s : float
        Limit on its wall time where the budget sets no seconds.

    Raises
    ------
    InputError
        If there is no such program, or it may not be run.

    Examples
    --------
    >>> ExternalPlanner(["true"]).spec.summary
    'external program: true'
    """

    def __init__(
        self,
        command: Sequence[str],
        parameters: Mapping[str, float | int | str | bool] | None = None,
        *,
        spec: PlannerSpec | None = None,
        time_limit_s: float = TIME_LIMIT_S,
    ) -> None:
        if os.name != "posix":
            raise InputError("planner exec:", found=f"the system {os.name}", wanted="Linux or macOS")
        if shutil.which(command[0]) is None:
            wanted = "a program that may be run"
            raise InputError(f"planner exec:{command[0]}", found="no such program", wanted=wanted,
                             fix="check the path, and that the file is executable (chmod +x)")  # fmt: skip
        # Workers may stand in another folder, and arguments may name files.
        self.command, self.folder = list(command), str(Path.cwd())
        summary = f"external program: {' '.join(command)}"
        self.parameters, self.time_limit_s = dict(parameters or {}), time_limit_s
        self.spec = spec or PlannerSpec(_id(command), " ".join(summary.split()), parameters=self.parameters)

    def plan(self, problem: Problem, *, rng: np.random.Generator, budget: Budget) -> Outcome:
        """Ask the program.

        Raises
        ------
        ProgramError
            If it ends badly or answers with what is no answer to this problem; ProgramTimeout if it does not end.
        """
        started = time.monotonic()
        budget.report(f"asking {self.spec.id}", 0.0)
        asked = problem_text(problem, int(rng.integers(_SEEDS)), budget, self.parameters)
        seconds = self.time_limit_s if budget.seconds is None else budget.seconds + GRACE_S
        text = self._answer(asked.encode(), seconds)
        try:
            outcome = read_answer(text, self._name, problem, self.spec.id)
        except InputError as error:
            raise ProgramError(error.what, found=error.found, wanted=error.wanted, fix=error.fix) from error
        budget.report("answered", 1.0)
        return replace(outcome, seconds=time.monotonic() - started)

    @property
    def _name(self) -> str:
        return f"program {self.command[0]}"

    def _answer(self, problem: bytes, seconds: float) -> str:
        try:
            # A session of its own: what the program starts can be ended with it.
            process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=end_with_parent if sys.platform == "linux" else None,
            )
        except OSError as error:
            wanted = "a program that can be started"
            raise ProgramError(self._name, found=f"{error.strerror}", wanted=wanted,
                               fix="does its first line name an interpreter (#!)?") from error  # fmt: skip
        talk = _Talk(process, problem, time.monotonic() + seconds)
        try:
            talk.run()
        finally:
            talk.end()
        if talk.too_much:
            wanted = f"an answer of at most {MAX_ANSWER_BYTES} bytes"
            raise ProgramError(self._name, found=f"more than {MAX_ANSWER_BYTES} bytes on stdout", wanted=wanted)
        if talk.late:
            raise ProgramTimeout(self._name, found=f"no answer after {seconds:g} s", wanted="an answer in time")
        if process.returncode != 0:
            said = " ".join(talk.stderr.decode(errors="replace").split())[-SHOWN_CHARACTERS:].strip()
            found = _ending(process.returncode) + (f", stderr ends {said!r}" if said else ", nothing on stderr")
            raise ProgramError(self._name, found=found, wanted="exit code 0 and an answer")
        return talk.stdout.decode(errors="replace")


class _Talk:
    """One conversation with a process: all three pipes are served at once, until it ends or a limit is reached."""

    def __init__(self, process: subprocess.Popen[bytes], sent: bytes, deadline: float) -> None:
        self.process, self.left, self.deadline = process, memoryview(sent), deadline
        self.stdout, self.stderr = bytearray(), bytearray()
        self.too_much = self.late = False

    def run(self) -> None:
        """Talk until the pipes are closed or the process has ended."""
        stdin, stdout, stderr = self._pipes()
        with selectors.DefaultSelector() as ready:
            ready.register(stdin, selectors.EVENT_WRITE, self._write)
            ready.register(stdout, selectors.EVENT_READ, self._read_answer)
            ready.register(stderr, selectors.EVENT_READ, self._read_complaint)
            for pipe in (stdin, stdout, stderr):
                os.set_blocking(pipe.fileno(), False)
            ended = False
            while not self.too_much and {stdout, stderr} & {key.fileobj for key in ready.get_map().values()}:
                if time.monotonic() > self.deadline:
                    self.late = True
                    return
                events = ready.select(_POLL_S)
                for key, _ in events:
                    if not key.data(key.fd):
                        ready.unregister(key.fileobj)
                        key.fileobj.close()  # type: ignore[union-attr]
                if ended and not any(key.fileobj is not stdin for key, _ in events):
                    return  # something that it left behind holds the pipes open
                ended = self.process.poll() is not None
        self._wait()

    def end(self) -> None:
        """End the process and whatever it started, and close the pipes."""
        with contextlib.suppress(ProcessLookupError, PermissionError):  # all of them have ended
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for pipe in self._pipes():
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _wait(self) -> None:
        """It has closed its outputs; it still has to end in time."""
        try:
            self.process.wait(max(0.0, self.deadline - time.monotonic()) if not self.too_much else 0.0)
        except subprocess.TimeoutExpired:
            self.late = not self.too_much

    def _pipes(self) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
        pipes = self.process.stdin, self.process.stdout, self.process.stderr
        return cast("tuple[IO[bytes], IO[bytes], IO[bytes]]", pipes)

    def _write(self, fd: int) -> bool:
        try:
            self.left = self.left[os.write(fd, self.left[: 2**16]) :]
        except BrokenPipeError:  # it does not read its problem to the end, which it need not
            return False
        return len(self.left) > 0

    def _read_answer(self, fd: int) -> bool:
        data = os.read(fd, 2**16)
        self.stdout += data
        self.too_much = len(self.stdout) > MAX_ANSWER_BYTES
        return bool(data)

    def _read_complaint(self, fd: int) -> bool:
        data = os.read(fd, 2**16)
        self.stderr = (self.stderr + data)[-KEPT_STDERR_BYTES:]
        return bool(data)


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"


def _id(command: Sequence[str]) -> str:
    """An id in the form that planners have: the command's words, without folders."""
    words = "-".join(PurePath(word).name for word in command).lower()
    name = "exec-" + re.sub(r"[^a-z0-9]+", "-", words).strip("-")[:60].strip("-")
    return name if re.search(r"-v[0-9]+$", name) else name.rstrip("-") + "-v0"
