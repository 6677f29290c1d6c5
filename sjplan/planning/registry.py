"""Planners by name: those that ship, those that other packages register, and any class of an importable module."""

from __future__ import annotations

import importlib
import traceback
from collections.abc import Callable
from importlib.metadata import entry_points
from inspect import isabstract
from typing import cast

from sjplan.core.errors import InputError, SjplanError, unknown_name
from sjplan.planning.baselines.evolution import EvolutionPlanner
from sjplan.planning.baselines.greedy import GreedyPlanner
from sjplan.planning.baselines.random_search import RandomPlanner
from sjplan.planning.baselines.rule import RulePlanner
from sjplan.planning.baselines.weighted import WeightedPlanner
from sjplan.planning.certified import CertifiedPlanner
from sjplan.planning.protocol import Planner, PlannerSpec
from sjplan.planning.raster import RasterPlanner

GROUP = "sjplan.planners"
DEFAULT_PLANNER = "certified-v1"

_SHIPPED: tuple[type[Planner], ...] = (
    CertifiedPlanner,
    RasterPlanner,
    GreedyPlanner,
    WeightedPlanner,
    RulePlanner,
    RandomPlanner,
    EvolutionPlanner,
)
BUILT_IN: dict[str, type[Planner]] = {planner.spec.id: planner for planner in _SHIPPED}
"""Planners that ship, by id: found whether or not the package is installed with its entry points."""


def planners() -> dict[str, PlannerSpec]:
    """Specs of all planners that are registered, by id; the summary of one that cannot be imported says why.

    Examples
    --------
    >>> "raster-v1" in planners()
    True
    """
    specs = {name: planner.spec for name, planner in BUILT_IN.items()}
    for point in entry_points(group=GROUP):
        if point.name not in specs:
            try:
                specs[point.name] = _class(point.name).spec
            except (InputError, AttributeError) as error:
                specs[point.name] = PlannerSpec(point.name, f"cannot be used: {error}")
    return specs


def load(name: str = DEFAULT_PLANNER, **parameters: float | int | str | bool) -> Planner:
    """Make a planner.

    Parameters
    ----------
    name : str
        The id of one that ships or is registered, or `module:Class` for one that is neither; the module is looked for
        where Python looks for modules.
    **parameters
        What the planner's constructor is given.

    Raises
    ------
    UnknownNameError
        If no planner has that id, or the module no such class.
    InputError
        If a planner cannot be imported or made, or is none.

    Examples
    --------
    >>> load("sjplan.planning.raster:RasterPlanner", starts=3).spec.id
    'raster-v1'
    """
    make = _from_module(name) if ":" in name else _by_id(name)
    try:
        made = make(**parameters)
    except SjplanError:
        raise
    except Exception as error:
        wanted = "a class that is made from its parameters alone"
        raise InputError(f"planner {name}", found=_told(error), wanted=wanted) from error
    if not isinstance(made, Planner):
        raise InputError(f"planner {name}", found=type(made).__name__, wanted="an object with spec and plan()")
    if not isinstance(made.spec, PlannerSpec):
        raise InputError(
            f"planner {name}", found=f"a spec that is a {type(made.spec).__name__}", wanted="a PlannerSpec"
        )
    return made


def _by_id(planner_id: str) -> Callable[..., object]:
    names = {*BUILT_IN, *(point.name for point in entry_points(group=GROUP))}
    if planner_id not in names:
        unknown = unknown_name("planner", planner_id, names)
        other = "module:Class names one that is not installed"
        fix = f"{unknown.fix} {other}" if unknown.fix else other
        raise type(unknown)("planner", found=unknown.found, wanted=unknown.wanted, fix=fix)
    return _class(planner_id)


def _from_module(name: str) -> Callable[..., object]:
    """The class that `module:Class` names."""
    module_name, _, attribute = name.partition(":")
    if not (module_name and all(part.isidentifier() for part in module_name.split(".")) and attribute.isidentifier()):
        raise InputError("planner", found=repr(name), wanted="an id, or module:Class such as my_planner:MyPlanner")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        fix = "mend the module"
        if isinstance(error, ModuleNotFoundError) and error.name and module_name.startswith(error.name):
            fix = f"call from the folder that holds {module_name.split('.')[0]}, or install it"
        what = f"planner {name}"
        raise InputError(
            what, found=_told(error), wanted=f"a module {module_name} that can be imported", fix=fix
        ) from error
    made = getattr(module, attribute, None)
    if not callable(made):
        classes = [
            n for n, v in vars(module).items() if isinstance(v, type) and hasattr(v, "plan") and not isabstract(v)
        ]
        if not classes:
            raise InputError(f"planner {name}", found=f"no {attribute} in it", wanted="a class with spec and plan()")
        raise unknown_name(f"planner in {module_name}", attribute, classes)
    return cast("Callable[..., object]", made)


def _told(error: BaseException) -> str:
    """An exception in a few words: its type, its message, and the line of the planner that raised it."""
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({frames[-1].filename.rpartition('/')[2]}, line {frames[-1].lineno})" if len(frames) > 1 else ""
    if isinstance(error, (SyntaxError, ModuleNotFoundError)):
        where = ""  # a SyntaxError's message says it; the last frame is the import machinery's
    return f"{type(error).__name__}: {error}{where}"


def _class(planner_id: str) -> type[Planner]:
    if planner_id in BUILT_IN:
        return BUILT_IN[planner_id]
    point = next(p for p in entry_points(group=GROUP) if p.name == planner_id)
    try:
        return cast("type[Planner]", point.load())
    except Exception as error:
        raise InputError(
            f"planner {planner_id}",
            found=f"{type(error).__name__} on importing {point.value}",
            wanted="an importable class",
            fix="reinstall the package that registers it",
        ) from error
