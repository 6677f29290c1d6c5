"""Processes that play a session and are killed at a random moment."""

import itertools
import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing import get_context
from pathlib import Path

from sjplan.training.actions import Action
from sjplan.training.session import Session
from sjplan.training.theatre import Theatre

Step = Callable[[Action], object]


def warmed(theatre: Theatre, moves: Sequence[Action]) -> None:
    """Make once what the moves need: a forked child has it at once."""
    warm = Session(theatre, 9, images=False)
    for move in moves:
        warm.step(move)


def killed(begin: Callable[[], Step], moves: Sequence[Action], acknowledged: Path, after_s: float) -> int:
    """Steps that a child had acknowledged when it was killed, so long after its first."""
    child = get_context("fork").Process(target=_play, args=(begin, moves, acknowledged))
    child.start()
    while not acknowledged.exists():
        time.sleep(0.001)
    time.sleep(after_s)
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
