"""What README and docs show is run: Python examples as doctests, commands and options against the command line."""

import doctest
import re
import shlex
from pathlib import Path

import pytest

from sjplan.cli.main import app

ROOT = Path(__file__).parents[1]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEAVY = {"docs/api.md", "docs/bring_a_planner.md"}
"""Pages whose examples make a whole plan or a phantom: run with the slow tests."""


def blocks(page: Path, *languages: str) -> list[str]:
    """Fenced blocks of the given languages."""
    return [text for language, text in FENCE.findall(page.read_text(encoding="utf-8")) if language in languages]


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def pages_with_examples() -> list[object]:
    found = [page for page in PAGES if any(">>>" in text for text in blocks(page, "python"))]
    return [pytest.param(p, id=name(p), marks=[pytest.mark.slow] if name(p) in HEAVY else []) for p in found]


@pytest.mark.parametrize("page", pages_with_examples())
def test_examples_do_what_they_say(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = "\n".join(blocks(page, "python"))
    test = doctest.DocTestParser().get_doctest(text, {}, name(page), str(page), 0)
    assert test.examples
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test)
    assert result.failed == 0


def test_python_blocks_are_all_doctests() -> None:
    """A block without a prompt would be shown and never run."""
    silent = [name(page) for page in PAGES for text in blocks(page, "python") if ">>>" not in text]
    assert silent == []


def commands_shown() -> list[tuple[str, str]]:
    shown = []
    for page in PAGES:
        for text in blocks(page, "sh", "console"):
            joined = text.replace("\\\n", " ")
            shown += [
                (name(page), found) for found in re.findall(r"(?:^|[ /])(sjplan [^&|;\n]+)", joined, re.MULTILINE)
            ]
    return shown


@pytest.mark.parametrize(("page", "command"), commands_shown())
def test_shown_command_parses(page: str, command: str) -> None:
    words = shlex.split(command.split(" #")[0])[1:]
    app.parse_args(words, exit_on_error=False, print_error=False)


def test_readme_starts_with_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    found = [block for language, block in FENCE.findall(text)][:2]
    assert all(len(block.splitlines()) == 1 for block in found)
    assert "pip install . &&" in found[0]
    assert found[0].rstrip().endswith("sjplan demo --out demo")
    assert "python -m pytest" in found[1]


def test_ci_runs_the_second_command_to_the_letter() -> None:
    """The CI script cuts the command out of README by these marks, and runs both halves of it."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    marked = re.search(r"^<!-- command: tests -->\n```sh\n(.*)\n```$", readme, re.MULTILINE)
    assert marked is not None
    assert marked.group(1).count(" && .venv-tests/bin/python -m pytest") == 2
    assert "python3 -m venv --clear .venv-tests" in marked.group(1)
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "/^<!-- command: tests -->$/,/^```$/p" in script
    assert 'eval "$setup"' in script
    assert 'eval "$tests"' in script
    assert '"$setup && $tests" = "$command"' in script


def test_links_lead_somewhere() -> None:
    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
            if "://" not in target and not (page.parent / target).exists():
                broken.append(f"{name(page)}: {target}")
    assert broken == []
