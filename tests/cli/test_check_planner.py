"""`sjplan check-planner`, and what docs/bring_a_planner.md promises to somebody in an empty folder."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import Sjplan, one_line

from sjplan.cli.check_planner import parameters_of
from sjplan.core.errors import InputError

PAGE = (Path(__file__).parents[2] / "docs" / "bring_a_planner.md").read_text(encoding="utf-8")
EXAMPLE, TEMPLATE, INHERITS = re.findall(r"^```py\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
(RULE,) = re.findall(r"^```awk\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

FAULTY = """
from sjplan.planning.protocol import PlannerSpec


class Raises:
    spec = PlannerSpec("raises-v1", "raises")

    def plan(self, problem, *, rng, budget):
        return {}["key"]


class Nothing(Raises):
    spec = PlannerSpec("nothing-v1", "answers nothing")

    def plan(self, problem, *, rng, budget):
        return None
"""


def test_the_example_is_under_thirty_lines() -> None:
    assert len(EXAMPLE.splitlines()) < 30


@pytest.mark.slow
def test_the_example_keeps_the_contract_in_an_empty_folder(tmp_path: Path) -> None:
    """As a new user: the file from the page and the command from the page, in a process of their own."""
    (tmp_path / "my_planner.py").write_text(EXAMPLE)
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --no-such-option\n")
    # -P: as the installed command, which does not have the current folder on its path.
    command = [sys.executable, "-P", "-m", "sjplan.cli.main", "check-planner", "my_planner:MyPlanner", "--json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stderr + done.stdout
    said = json.loads(done.stdout)
    assert (said["planner"], said["failed"], said["skipped"]) == ("parallel-v1", 0, 0)
    assert said["passed"] == len(said["tests"]) >= 20
    assert {t["result"] for t in said["tests"]} == {"passed"}
    assert all(t["asks"] for t in said["tests"])
    assert "truth is not reached for" in done.stderr


@pytest.mark.slow
def test_the_example_plans(sjplan: Sjplan, phantom: Path, empty_folder: Path) -> None:
    (empty_folder / "my_planner.py").write_text(EXAMPLE)
    words = ("plan", phantom, "--side", "left", "--planner", "my_planner:MyPlanner", "--no-pictures", "--out", "plan")
    done = sjplan(*words, "--json")
    assert done.code == 0, done.err
    (side,) = done.json["sides"]
    assert (side["planner"], side["status"], len(side["implants"])) == ("parallel-v1", "found", 3)
    assert side["parameters"]["draws"] == 20_000


@pytest.mark.slow
def test_the_template_does_not_keep_it_and_every_failure_says_why(sjplan: Sjplan, empty_folder: Path) -> None:
    (empty_folder / "template.py").write_text(TEMPLATE)
    done = sjplan("check-planner", "template:Template", "--json", "--set", "effort=2")
    assert done.code == 1
    failed = {t["name"]: t["reason"] for t in done.json["tests"] if t["result"] == "failed"}
    why = "an easy problem without a budget ended infeasible: the search is not written yet"
    assert failed["easy problem is solved [left]"] == failed["two implants"] == why
    assert "impossible problem is refused" not in failed
    assert done.json["failed"] == len(failed)
    skipped = [t for t in done.json["tests"] if t["result"] == "skipped"]
    assert {t["reason"] for t in skipped} == {"this planner counts no evaluations"}


@pytest.mark.slow
def test_results_for_people(sjplan: Sjplan, empty_folder: Path) -> None:
    """A planner that raises: type, message and line of what it raised stand below each test that met it."""
    (empty_folder / "faulty.py").write_text(FAULTY)
    done = sjplan("check-planner", "faulty:Raises")
    assert done.code == 1
    lines = done.out.splitlines()
    at = lines.index(next(line for line in lines if line.startswith("failed  easy problem is solved [left]")))
    assert lines[at + 1].strip() == "KeyError: 'key' (faulty.py, line 9)"
    assert lines[at + 2].strip().startswith("asked: The phantom has millimetres to spare")
    assert any(line.startswith("ok      spec is valid") for line in lines)
    assert re.fullmatch(r"raises-v1 does not keep the contract: \d+ passed, \d+ failed", lines[-1])


def test_a_test_class_as_on_the_page_collects_the_contract(tmp_path: Path) -> None:
    (tmp_path / "my_planner.py").write_text(EXAMPLE)
    (tmp_path / "test_my_planner.py").write_text(INHERITS)
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "test_my_planner.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("::TestMyPlanner::test_") >= 20


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("awk") is None, reason="no awk on this machine")
def test_a_program_in_awk_is_judged_like_any_other(sjplan: Sjplan, phantom: Path, empty_folder: Path) -> None:
    """It says `found`; the judge says what is missing, of three implants that do go through the joint."""
    (empty_folder / "rule.awk").write_text(RULE)
    planner = "exec:awk -f rule.awk"
    done = sjplan("plan", phantom, "--side", "left", "--planner", planner, "--no-pictures", "--out", "p", "--json")
    assert done.code == 1, done.err
    (side,) = done.json["sides"]
    assert (side["status"], side["planner"]) == ("infeasible", "exec-awk-f-rule-awk-v0")
    assert side["reasons"][0]["text"].startswith("the planner's plan was rejected by the judge:")
    implants = side["nearest"]["implants"]
    assert [i["crosses_articular"] for i in implants] == [True, True, True]
    assert all(i["sacral_mm"] >= 10 and 0 <= i["protrusion_mm"] <= 5 for i in implants)


@pytest.mark.parametrize(
    ("planner", "said"),
    [("faulty:Raises", "planner raises-v1: found KeyError: 'key' (faulty.py, line 9); wanted an outcome"),
     ("faulty:Nothing", "planner nothing-v1: found a NoneType; wanted an outcome; fix: mend the planner"),
     ("exec:sh -c 'echo oh no >&2; exit 3'", "program sh: found exit code 3, stderr ends 'oh no'"),
     ("faulty:Raizes", "did you mean 'Raises'?")],
)  # fmt: skip
def test_a_planner_that_fails_is_one_line(
    sjplan: Sjplan, phantom: Path, empty_folder: Path, planner: str, said: str
) -> None:
    (empty_folder / "faulty.py").write_text(FAULTY)
    done = sjplan("plan", phantom, "--side", "left", "--planner", planner, "--no-pictures", "--out", "plan")
    assert done.code == 2
    assert said in done.err.splitlines()[-1]
    assert not (empty_folder / "plan").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [(["raster"], "did you mean 'raster-v1'?"),
     (["raster-v1", "--set", "speed=3"], "raster-v1 parameter: found 'speed'"),
     (["raster-v1", "--set", "speed"], "--set: found 'speed'; wanted NAME=VALUE"),
     (["raster-v1", "--tolerance", "-1"], "found -1"),
     (["raster-v1", "--enough-slack", "0"], "wanted lengths in mm"),
     (["exec:./nowhere"], "found no such program")],
)  # fmt: skip
def test_bad_words_are_one_line(sjplan: Sjplan, words: list[str], said: str) -> None:
    done = sjplan("check-planner", *words)
    assert (done.code, done.out) == (2, "")
    assert one_line(done.err)
    assert said in done.err


def test_without_pytest_it_says_what_to_install(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    done = sjplan("check-planner", "raster-v1")
    assert done.code == 2
    assert one_line(done.err)
    assert "found no pytest on this machine; wanted pytest, which runs it; fix: pip install pytest" in done.err


def test_parameters_are_read_as_what_they_are() -> None:
    assert parameters_of(["a=1", "b=-2.5e3", "c=true", "d=inf", "e=", "f=a=b"]) == {
        "a": 1, "b": -2500.0, "c": True, "d": float("inf"), "e": "", "f": "a=b",
    }  # fmt: skip
    with pytest.raises(InputError, match=r"--set: found '=3'; wanted NAME=VALUE"):
        parameters_of(["=3"])
