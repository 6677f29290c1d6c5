"""Exit codes, usage errors, and what reaches stdout and stderr."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_support import Sjplan, one_line

import sjplan as package
from sjplan.core.errors import InputError

COMMANDS = ["demo", "plan", "evaluate", "fluoro", "views", "phantom", "export", "implants", "planners", "doctor"]


def test_help_names_every_command(sjplan: Sjplan) -> None:
    done = sjplan("--help")
    assert done.code == 0
    assert all(f" {name} " in done.out for name in COMMANDS)
    assert "Not for clinical use" in done.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(sjplan: Sjplan, command: str) -> None:
    done = sjplan(command, "--help")
    assert (done.code, done.err) == (0, "")
    assert "Usage: sjplan " + command in done.out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pln"], "Did you mean"),
        (["plan"], "requires an argument"),
        (["plan", "case", "--out", "o", "--sid", "left"], "Did you mean --side?"),
        (["plan", "case", "--out", "o", "--side", "lft"], 'Did you mean "left"?'),
        (["plan", "case", "--out", "o", "--count", "many"], "many"),
        (["plan", "case", "--out", "o", "--robust", "--planner", "raster-v1"], "--robust"),
        (["plan", "case", "--out", "o", "--slack-cap", "1", "--planner", "rule-v1"], "--slack-cap"),
        (["plan", "case", "--out", "o", "--slack-cap", "-1"], "--slack-cap"),
        (["plan", "case", "--out", "o", "--slack-cap", "much"], "a length in mm above 0, or none"),
        (["export", "p.json", "--to", "step", "--out", "o"], "step"),
        (["views", "one", "two"], "two"),
    ],
)
def test_bad_usage_is_one_line_and_exit_2(sjplan: Sjplan, words: list[str], said: str) -> None:
    done = sjplan(*words)
    assert (done.code, done.out) == (2, "")
    assert one_line(done.err)
    assert said in done.err


def test_json_refusal_is_one_object(sjplan: Sjplan) -> None:
    done = sjplan("views", "/nowhere/ct.nii.gz", "--json")
    assert done.code == 2
    assert done.json["status"] == "invalid_input"
    assert done.json["found"] == "no such file or folder"
    assert one_line(done.err)


def test_unexpected_failure_is_one_line_with_a_hint(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise ZeroDivisionError("two\nlines")

    monkeypatch.delenv("SJPLAN_DEBUG", raising=False)
    monkeypatch.setattr("sjplan.io.catalogue.read_implants", lambda extra: broken())
    done = sjplan("implants")
    assert done.code == 2
    assert one_line(done.err)
    assert "ZeroDivisionError: two lines" in done.err
    assert "SJPLAN_DEBUG=1" in done.err
    monkeypatch.setenv("SJPLAN_DEBUG", "1")
    assert "Traceback" in sjplan("implants").err


def test_interrupt_ends_with_130(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(extra: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sjplan.io.catalogue.read_implants", interrupted)
    done = sjplan("implants")
    assert done.code == 130
    assert one_line(done.err)


def test_error_text_of_several_lines_stays_one_line(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(extra: object) -> None:
        raise InputError("a\nfile", found="x\ny", wanted="[red]z[/red]")

    monkeypatch.setattr("sjplan.io.catalogue.read_implants", refuse)
    done = sjplan("implants")
    assert (done.code, done.err) == (2, "sjplan: a file: found x y; wanted [red]z[/red]\n")


def test_installed_command_exits_with_the_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sjplan.cli.main", "views", "nosuch.nii"], capture_output=True, encoding="utf-8"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert one_line(done.stderr)


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["implants"], ["plan", "--help"]])
def test_small_commands_load_nothing_heavy(words: list[str]) -> None:
    """Seconds vary with the machine; what makes them is the heavy libraries, and those are not loaded."""
    code = (
        "import sys\nfrom sjplan.cli.main import run\n"
        f"code = run({words!r})\n"
        "heavy = [m for m in ('vtk', 'vtkmodules', 'pyvista', 'SimpleITK', 'numba', 'scipy') if m in sys.modules]\n"
        "sys.exit(f'loaded {heavy}' if heavy else code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert (done.returncode, done.stderr) == (0, "")


def test_version(sjplan: Sjplan) -> None:
    assert sjplan("--version").out == package.__version__ + "\n"


def test_lists_as_json(sjplan: Sjplan) -> None:
    assert "tri-7" in sjplan("implants", "--json").json["implants"]
    assert {"raster-v1", "greedy-v1", "rule-v1"} <= set(sjplan("planners", "--json").json["planners"])
    assert sjplan("phantom", "list", "--json").json["presets"]
    assert json.loads(sjplan("implants", "--json").out)["implants"]["tri-7"]["circumscribed_radius_mm"] == 6.0


def test_lists_for_people(sjplan: Sjplan) -> None:
    assert "tri-7" in sjplan("implants").out
    assert "recalled" in sjplan("implants").out
    assert "raster-v1" in sjplan("planners").out
    assert "default" in sjplan("phantom", "list").out


def test_own_catalogue_adds_a_model(sjplan: Sjplan, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[implants.mine]\nsummary = "My rod"\nsection = "cylinder"\ninscribed_radius_mm = 4\nlengths_mm = [40, 50]\n'
    )
    models = sjplan("implants", "--catalogue", file, "--json").json["implants"]
    assert {"mine", "tri-7"} <= set(models)


def test_run_never_takes_arguments_from_the_process(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["sjplan", "nonsense"])
    assert sjplan("--version").code == 0
