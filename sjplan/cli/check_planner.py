"""`sjplan check-planner`: whether a planner keeps the contract that every planner keeps."""

from __future__ import annotations

import importlib.util
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter
from rich.text import Text

from sjplan.cli.options import AsJson
from sjplan.cli.output import out_console, print_json
from sjplan.cli.progress import progress
from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from sjplan.testing.checking import Checked

TOLERANCE_MM: Final = 0.5
"""A search that samples finds another plan on a turned grid; margins themselves hold to 0.05 mm."""

WORD: Final = {"passed": ("ok", "green"), "failed": ("failed", "bold red"), "skipped": ("skipped", "yellow")}


def check_planner(
    planner: Annotated[str, Parameter(help="Planner: an id (sjplan planners), module:Class, or exec: and a program.")],
    /,
    *,
    parameters: Annotated[
        list[str] | None,
        Parameter(name="--set", negative="", help="A parameter of the planner, NAME=VALUE; may be given again."),
    ] = None,
    tolerance: Annotated[
        float, Parameter(help="By how much the worst slack may differ where the patient lies elsewhere, in mm.")
    ] = TOLERANCE_MM,
    enough_slack: Annotated[
        float | None,
        Parameter(help="Worst slack in mm beyond which plans count as equal (the planner's slack_cap_mm, else none)."),
    ] = None,
    json: AsJson = False,
) -> int:
    """Run the contract for planners on one planner: about thirty tests, which cost a dozen plans of a phantom.

    Exit code 0 means that every test passed or was skipped; 1 that one failed, with the reason.
    """
    from sjplan.bench.planners import load_planner

    if not tolerance >= 0 or not (enough_slack is None or enough_slack > 0):
        raise InputError("--tolerance, --enough-slack", found=f"{tolerance:g}, {enough_slack}", wanted="lengths in mm")
    given = parameters_of(parameters or [])
    made = load_planner(planner, **given)
    if importlib.util.find_spec("pytest") is None:
        fix = "pip install pytest"
        raise InputError("check-planner", found="no pytest on this machine", wanted="pytest, which runs it", fix=fix)
    from sjplan.testing.checking import check

    cap = given.get("slack_cap_mm", made.spec.parameters.get("slack_cap_mm", math.inf))
    enough = float(cap) if enough_slack is None else enough_slack
    with progress("anatomy", "geometry", "planning", "safety") as reporter:
        results = check(
            lambda: load_planner(planner, **given),
            invariance_tol_mm=tolerance,
            enough_slack_mm=enough,
            heard=reporter,
        )
    count = {result: sum(r.result == result for r in results) for result in WORD}
    if json:
        print_json(
            {"planner": made.spec.id, "summary": made.spec.summary, **count, "tests": [asdict(r) for r in results]}
        )
    else:
        print_results(made.spec.id, results, count)
    return 1 if count["failed"] else 0


def parameters_of(words: list[str]) -> dict[str, float | int | str | bool]:
    """Parameters from NAME=VALUE: numbers, true and false are read as such, anything else is text.

    Examples
    --------
    >>> parameters_of(["draws=200", "cap=2.5", "fast=true", "way=down"])
    {'draws': 200, 'cap': 2.5, 'fast': True, 'way': 'down'}
    """
    parameters: dict[str, float | int | str | bool] = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name.isidentifier():
            raise InputError("--set", found=repr(word), wanted="NAME=VALUE")
        parameters[name] = _value(value)
    return parameters


def _value(text: str) -> float | int | str | bool:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def print_results(planner_id: str, results: tuple[Checked, ...], count: dict[str, int]) -> None:
    """One line a test; below one that did not pass what it asks and why it did not."""
    console = out_console()
    for r in results:
        word, style = WORD[r.result]
        console.print(Text(f"{word:8}", style=style) + Text(f"{r.name}  ") + Text(f"{r.seconds:.1f} s", style="dim"))
        if r.reason:
            console.print(Text(f"{'':8}{r.reason}", style="bold" if r.result == "failed" else "dim"))
        if r.result == "failed":
            console.print(Text(f"{'':8}asked: {r.asks}", style="dim"))
    verdict = "keeps the contract" if not count["failed"] else "does not keep the contract"
    numbers = ", ".join(f"{number} {result}" for result, number in count.items() if number)
    console.print(Text(f"{planner_id} {verdict}: {numbers}", style="bold"))
