"""Processes that play a session and are killed at a random moment."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from sjplan.training.actions import Action
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre

Step = Callable[[Action], object]


def warmed(theatre: Theatre, moves: Sequence[Action]) -> None:
    """Make once what the moves need: a forked child has it at once."""
    warm = Session(theatre, 9, images=False)
    for move in moves:
        warm.step(move)


def killed(
    begin: Callable[[], Step], moves: Sequence[Action], acknowledged: Path, rng: np.random.Generator
) -> int:  # fmt: skip
    """Steps that a child had acknowledged when it was killed: some random number, and some milliseconds more.

    Steps, not seconds, since how many a second there are is the machine's.
    """
    steps, more_s = int(rng.integers(0, 30)), float(rng.uniform(0.0, 0.01))
    child = get_context("fork").Process(target=_play, args=(begin, moves, acknowledged))
    child.start()
    while not acknowledged.exists() or acknowledged.stat().st_size < steps:
        assert child.is_alive(), "it ended by itself"
        time.sleep(0.0005)
    time.sleep(more_s)
    assert child.pid is not None
    os.kill(child.pid, signal.SIGKILL)
    child.join()
    return acknowledged.stat().st_size


def _play(begin: Callable[[], Step], moves: Sequence[Action], acknowledged: Path) -> None:
    step = begin()
    handle = os.open(acknowledged, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for move in itertools.cycle(moves):
        step(move)
        os.write(handle, b".")
