"""The contract run on one planner, with pytest as a library: what each test found."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest

from sjplan.planning.protocol import Planner
from sjplan.testing import checked
from sjplan.testing.contract import PlannerContract

Result = Literal["passed", "failed", "skipped"]

_NOT_OURS: Final = {"PYTEST_ADDOPTS": "", "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
"""The contract is the same wherever it is run: options and plug-ins of other packages have no say."""


@dataclass(frozen=True, slots=True)
class Checked:
    """One test of the contract.

    Parameters
    ----------
    name : str
        In words, with its case.
    asks : str
        What it asks of a planner, one sentence.
    result : {"passed", "failed", "skipped"}
        What came of it.
    reason : str
        Why it failed or was skipped, one line; empty where it passed.
    seconds : float
        Wall time.
    """

    name: str
    asks: str
    result: Result
    reason: str
    seconds: float


Heard = Callable[[str, float], None]
"""Told the name of the test that begins, and the share of tests that are over."""


def check(
    make: Callable[[], Planner],
    *,
    invariance_tol_mm: float = PlannerContract.invariance_tol_mm,
    enough_slack_mm: float = PlannerContract.enough_slack_mm,
    heard: Heard | None = None,
) -> tuple[Checked, ...]:
    """Run every test of the contract on the planner that `make` makes.

    Parameters
    ----------
    make : callable
        Makes the planner, anew for each test.
    invariance_tol_mm, enough_slack_mm : float
        As of `PlannerContract`.
    heard : callable, optional
        Told about progress.

    Raises
    ------
    KeyboardInterrupt
        If it is interrupted.
    RuntimeError
        If pytest itself could not run.
    """
    subject = checked.TestPlanner
    subject.invariance_tol_mm, subject.enough_slack_mm = invariance_tol_mm, enough_slack_mm
    # What an earlier planner of the same name answered is not this one's answer.
    subject._answers, subject._glimpses, subject._elsewhere = {}, {}, {}
    run = _Run(make, heard)
    here = Path(checked.__file__)
    words = ["-c", os.devnull, "--rootdir", str(here.parent), "--noconftest", "--import-mode=importlib", "-s"]
    words += ["-p", "no:cacheprovider", "-p", "no:terminal", str(here)]
    with _environment(_NOT_OURS), contextlib.redirect_stdout(sys.stderr):
        code = pytest.main(words, plugins=[run])
    if code == pytest.ExitCode.INTERRUPTED:
        raise KeyboardInterrupt
    if code not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        raise RuntimeError(f"pytest ended with {code!r}; {'; '.join(run.trouble)}")
    return tuple(run.results)


class _Run:
    """A plug-in of pytest: gives the planner, hears the results."""

    def __init__(self, make: Callable[[], Planner], heard: Heard | None) -> None:
        self.results: list[Checked] = []
        self.trouble: list[str] = []
        self._make, self._heard, self._count = make, heard, 0

    @pytest.fixture
    def planner(self) -> Planner:
        """The planner that is checked."""
        return self._make()

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count the tests."""
        self._count = len(session.items)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Keep what went wrong before any test."""
        if report.failed:
            self.trouble.append(report.longreprtext)

    def pytest_runtest_protocol(self, item: pytest.Item) -> None:
        """Tell what begins."""
        if self._heard is not None:
            self._heard(_in_words(item), len(self.results) / max(1, self._count))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
        """Keep the result of the test itself, or of making the planner where that failed."""
        report: pytest.TestReport = yield  # type: ignore[assignment]
        if report.when == "call" or (report.when == "setup" and not report.passed):
            asks = (getattr(item.obj, "__doc__", "") or "").strip().splitlines()  # type: ignore[attr-defined]
            reason = "" if call.excinfo is None else _reason(call.excinfo)
            self.results.append(
                Checked(_in_words(item), asks[0] if asks else "", report.outcome, reason, round(report.duration, 3))
            )
        return report  # type: ignore[return-value]


def _in_words(item: pytest.Item) -> str:
    name, bracket, case = item.name.removeprefix("test_").partition("[")
    return name.replace("_", " ") + (f" [{case}" if bracket else "")


def _reason(caught: pytest.ExceptionInfo[BaseException]) -> str:
    """The message of a failed assertion; of any other exception its type and place too."""
    lines = str(caught.value).strip().splitlines()
    if isinstance(caught.value, (AssertionError, pytest.skip.Exception)):
        return lines[0] if lines else "an assertion failed"
    last = caught.traceback[-1]
    text = f"{caught.typename}: {' '.join(lines)}"
    return f"{text} ({Path(last.path).name}, line {last.lineno + 1})"


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Environment variables for a while."""
    before: dict[str, Any] = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
