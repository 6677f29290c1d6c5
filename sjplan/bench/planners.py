"""A planner by the name that a person gives it: an id, `module:Class`, or `exec:PROGRAM`."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from sjplan.bench.external import ExternalPlanner
from sjplan.bench.runs import CAP
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


def load_capped(name: str, cap_mm: float, parameters: Mapping[str, float | int | str | bool]) -> Planner:
    """`load_planner`, with the bench file's cap for a planner that has one and was given none.

    Raises
    ------
    SjplanError
        As for `load_planner`.

    Examples
    --------
    >>> load_capped("certified-v1", 2.5, {}).parameters["slack_cap_mm"]
    2.5
    """
    planner = load_planner(name, **parameters)
    if CAP in planner.spec.parameters and CAP not in parameters:
        return load_planner(name, **parameters, **{CAP: cap_mm})
    return planner


def _words(name: str) -> list[str]:
    try:
        words = shlex.split(name.removeprefix(PROGRAM))
    except ValueError as error:
        raise InputError("planner", found=f"{name!r}: {error}", wanted="exec: and a command line") from error
    if not words:
        raise InputError("planner", found=repr(name), wanted="exec: and a command line such as exec:./my_planner")
    return words
