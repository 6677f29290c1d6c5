"""A planner by the name that a person gives it: an id, `module:Class`, or `exec:PROGRAM`."""

from __future__ import annotations

import importlib
import shlex
import sys
from pathlib import Path

from sjplan.bench.external import ExternalPlanner
from sjplan.core.errors import InputError
from sjplan.planning import registry
from sjplan.planning.protocol import Planner

PROGRAM = "exec:"
"""What the name of an external program begins with."""


def load_planner(name: str = registry.DEFAULT_PLANNER, **parameters: float | int | str | bool) -> Planner:
    """Make the planner that a command line or a bench file names; modules of the current folder count as importable.

    Parameters
    ----------
    name : str
        An id (`sjplan planners`), `module:Class`, or `exec:` and a command line such as `exec:./my_planner --fast`.
    **parameters
        What the planner is made with; an external program is given them in its problem.

    Raises
    ------
    SjplanError
        In one line, for a planner that cannot be found or made.

    Examples
    --------
    >>> load_planner("rule-v1").spec.id, load_planner("exec:true").spec.id
    ('rule-v1', 'exec-true-v0')
    """
    if name.startswith(PROGRAM):
        return ExternalPlanner(_words(name), parameters)
    if ":" in name:
        here = str(Path.cwd())
        if here not in sys.path:
            sys.path.insert(0, here)
            importlib.invalidate_caches()
    return registry.load(name, **parameters)


def _words(name: str) -> list[str]:
    try:
        words = shlex.split(name.removeprefix(PROGRAM))
    except ValueError as error:
        raise InputError("planner", found=f"{name!r}: {error}", wanted="exec: and a command line") from error
    if not words:
        raise InputError("planner", found=repr(name), wanted="exec: and a command line such as exec:./my_planner")
    return words
