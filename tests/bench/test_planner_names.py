"""A planner by the name that a person gives it; whatever is wrong with the name or behind it is one line."""

from pathlib import Path

import pytest

from sjplan.bench.external import ExternalPlanner
from sjplan.bench.planners import load_capped, load_planner
from sjplan.core.errors import InputError, SjplanError, UnknownNameError
from sjplan.planning.baselines.rule import RulePlanner
from sjplan.planning.registry import DEFAULT_PLANNER

BRINGS = """
from sjplan.core.plan import Outcome
from sjplan.planning.protocol import PlannerSpec


class Mine:
    spec = PlannerSpec("mine-v1", "times out")

    def __init__(self, effort=1):
        self.effort = effort

    def plan(self, problem, *, rng, budget):
        return Outcome("timeout")


class Capped(Mine):
    spec = PlannerSpec("capped-v1", "times out, up to a cap", parameters={"slack_cap_mm": 3.0})

    def __init__(self, slack_cap_mm=3.0):
        self.cap = slack_cap_mm


class NoSpec:
    spec = "mine"

    def plan(self, problem, *, rng, budget):
        return Outcome("timeout")


class Needy(Mine):
    def __init__(self, need):
        raise ValueError("needs nothing less")
"""


def test_ids_go_to_the_registry() -> None:
    assert load_planner().spec.id == DEFAULT_PLANNER
    planner = load_planner("rule-v1", foramen_margin_mm=2.0)
    assert isinstance(planner, RulePlanner)
    assert planner.parameters == {"foramen_margin_mm": 2.0}


def test_a_module_of_the_current_folder(empty_folder: Path) -> None:
    (empty_folder / "brings.py").write_text(BRINGS)
    planner = load_planner("brings:Mine", effort=3)
    assert planner.spec.id == "mine-v1"
    assert planner.effort == 3  # type: ignore[attr-defined]


def test_the_bench_files_cap_is_every_planners_that_has_one(empty_folder: Path) -> None:
    (empty_folder / "brings.py").write_text(BRINGS)
    assert load_capped("brings:Capped", 2.5, {}).cap == 2.5  # type: ignore[attr-defined]
    assert load_capped("brings:Capped", 2.5, {"slack_cap_mm": 1.0}).cap == 1.0  # type: ignore[attr-defined]
    assert load_capped("brings:Mine", 2.5, {"effort": 2}).effort == 2  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "match"),
    [("brings:Mien", r"planner in brings: found 'Mien'; wanted one of .*Mine.*; fix: did you mean 'Mine'\?"),
     ("brings:NoSpec", r"planner brings:NoSpec: found a spec that is a str; wanted a PlannerSpec"),
     ("brings:Needy", r"planner brings:Needy: found TypeError: .*missing 1 required positional argument: 'need'"),
     ("nowhere:Mine", r"found ModuleNotFoundError.*fix: call from the folder that holds nowhere"),
     ("syntax:Mine", r"found SyntaxError: .*\(syntax.py, line 1\); wanted a module syntax that can be imported"),
     ("raises:Mine", r"found ZeroDivisionError: division by zero \(raises.py, line 2\)"),
     ("leaves:Mine", r"found SystemExit: 3 \(leaves.py, line 2\)"),
     ("lacks:Mine", r"found ModuleNotFoundError: No module named 'nonsuch'; .*; fix: mend the module"),
     ("empty:Mine", r"planner empty:Mine: found no Mine in it; wanted a class with spec and plan\(\)"),
     ("my planner:Mine", r"planner: found 'my planner:Mine'; wanted an id, or module:Class"),
     (":", "wanted an id, or module:Class")],
)  # fmt: skip
def test_what_is_wrong_with_a_module_is_one_line(empty_folder: Path, name: str, match: str) -> None:
    (empty_folder / "brings.py").write_text(BRINGS)
    for module, text in (("syntax", "def ("), ("raises", "\n1 / 0"), ("leaves", "import sys\nsys.exit(3)"),
                         ("lacks", "import nonsuch"), ("empty", "")):  # fmt: skip
        (empty_folder / f"{module}.py").write_text(text)
    with pytest.raises(SjplanError, match=match) as caught:
        load_planner(name)
    assert "\n" not in str(caught.value)


def test_what_a_constructor_raises_is_named(empty_folder: Path) -> None:
    (empty_folder / "brings.py").write_text(BRINGS)
    with pytest.raises(InputError, match=r"found ValueError: needs nothing less \(brings.py, line \d+\)"):
        load_planner("brings:Needy", need=1)


def test_an_unknown_id_gets_a_suggestion_and_the_other_way() -> None:
    with pytest.raises(
        UnknownNameError, match=r"wanted one of certified-v1, .*did you mean 'raster-v1'\? module:Class"
    ):
        load_planner("raster")


def test_a_program_with_arguments_and_parameters() -> None:
    planner = load_planner("exec:cat -u 'a file'", draws=3)
    assert isinstance(planner, ExternalPlanner)
    assert planner.command == ["cat", "-u", "a file"]
    assert planner.parameters == planner.spec.parameters == {"draws": 3}


@pytest.mark.parametrize(
    ("name", "match"),
    [("exec:", "wanted exec: and a command line"), ("exec:'", "No closing quotation"),
     ("exec:./nowhere", r"planner exec:./nowhere: found no such program; .*fix: .*chmod \+x"),
     ("exec:/etc/passwd", "found no such program; wanted a program that may be run")],
)  # fmt: skip
def test_a_program_that_is_none(name: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        load_planner(name)
