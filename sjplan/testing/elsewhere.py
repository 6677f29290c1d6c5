"""A planner asked in a fresh process from which a phantom's truth cannot be reached; what it tried there is told."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

from sjplan.core.errors import SjplanError
from sjplan.planning.protocol import Budget, Planner, Problem
from sjplan.testing.problems import fingerprint

PHANTOMS = "sjplan.phantom"
"""The room that knows truth: no planner needs it."""

TRUTH_FILE = "truth.json"
"""Where a phantom's folder holds its truth."""

_CHILD = """
import pickle, sys
path, request = pickle.load(sys.stdin.buffer)
sys.path[:] = path
from sjplan.testing.elsewhere import serve
serve(request)
"""
"""Modules are looked for where the parent looks for them."""


class ChildError(SjplanError):
    """A planner did not answer in another process."""


@dataclass(frozen=True, slots=True)
class There:
    """What came of asking: the answer's fingerprint, and what the planner reached for that is no business of its."""

    fingerprint: str
    reached: tuple[str, ...]


def ask_elsewhere(planner: Planner, problem: Problem, seed: int) -> There:
    """Ask a planner in a new process, with another order of sets and dictionaries.

    The process imports no part of `sjplan.phantom` and opens no truth.json; the planner sees an ImportError, or that
    there is no such file.

    Raises
    ------
    ChildError
        If no answer came back; with the last line that the process wrote.
    """
    request = pickle.dumps((planner, problem, seed))
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=pickle.dumps((sys.path, request)),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONHASHSEED": "1234"},
    )
    if done.returncode != 0:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ChildError("planner in another process", found="; ".join(last) or f"exit code {done.returncode}",
                         wanted="an answer")  # fmt: skip
    reply = json.loads(done.stdout)
    return There(reply["fingerprint"], tuple(reply["reached"]))


def serve(request: bytes) -> None:
    """Answer one request: the child's side, started by `ask_elsewhere`."""
    reply = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a planner prints is no part of the reply
    reached: list[str] = []
    sys.addaudithook(lambda event, args: _watch(event, args, reached))
    planner, problem, seed = pickle.loads(request)
    answer = planner.plan(problem, rng=np.random.default_rng(seed), budget=Budget())
    with reply:
        json.dump({"fingerprint": fingerprint(answer), "reached": reached}, reply)


def _watch(event: str, args: tuple[object, ...], reached: list[str]) -> None:
    if event == "import" and (args[0] == PHANTOMS or str(args[0]).startswith(PHANTOMS + ".")):
        reached.append(str(args[0]))
        raise ImportError(f"{args[0]}: a planner is given no phantom")
    if event == "open" and isinstance(args[0], (str, bytes)) and os.fsdecode(args[0]).endswith(TRUTH_FILE):
        reached.append(os.fsdecode(args[0]))
        raise FileNotFoundError(f"{os.fsdecode(args[0])}: a planner is given no truth")
