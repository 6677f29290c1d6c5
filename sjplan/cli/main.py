"""The `sjplan` command: reads the arguments, runs one command, and turns its end into an exit code.

Exit codes: 0 done and accepted; 1 done, and the honest answer is no; 2 bad input or usage; 130 interrupted.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from sjplan import NOT_FOR_CLINICAL_USE, __version__
from sjplan.cli.audit import audit
from sjplan.cli.bench import app as bench
from sjplan.cli.check_planner import check_planner
from sjplan.cli.corridors import corridors
from sjplan.cli.datasets import app as datasets
from sjplan.cli.demo import demo
from sjplan.cli.doctor import doctor
from sjplan.cli.evaluate import evaluate
from sjplan.cli.export import export
from sjplan.cli.fluoro import fluoro
from sjplan.cli.lists import implants, planners
from sjplan.cli.output import error_line, print_failure
from sjplan.cli.phantom import app as phantom
from sjplan.cli.plan import plan
from sjplan.cli.segment import segment
from sjplan.cli.series import series
from sjplan.cli.sessions import app as sessions
from sjplan.cli.simulate_trainees import simulate_trainees
from sjplan.cli.train import train
from sjplan.cli.views import views
from sjplan.core.errors import SjplanError

INTERRUPTED: Final = 130
"""What a shell expects of a command that was stopped from the keyboard (128 + SIGINT)."""

app = App(
    name="sjplan",
    help=f"Plan and rehearse lateral transarticular sacroiliac joint fusion. {NOT_FOR_CLINICAL_USE}",
    help_epilogue="Exit codes: 0 done and accepted, 1 the honest answer is no, 2 bad input or usage.",
    version=__version__,
    suppress_keyboard_interrupt=False,
)
for _command in (
    *(demo, series, segment, plan, evaluate, fluoro, views, corridors, phantom, export, audit, datasets),
    *(train, sessions, simulate_trainees, bench, implants, planners, check_planner, doctor),
):
    app.command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Parameters
    ----------
    arguments : sequence of str
        The words after `sjplan`.

    Returns
    -------
    int
        0 done and accepted, 1 the honest answer is no, 2 bad input or usage, 130 interrupted.

    Examples
    --------
    >>> run(["--version"])
    0.1.0
    0
    """
    as_json = "--json" in arguments
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        print_failure(_usage_line(error), as_json=as_json)
        return 2
    except SjplanError as error:
        print_failure(str(error), as_json=as_json, error=error)
        return 2
    except KeyboardInterrupt:
        error_line("interrupted; nothing half-written was left behind")
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has gone; anything more that is written would fail again, at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except Exception as error:
        if os.environ.get("SJPLAN_DEBUG"):
            traceback.print_exc()
        text = " ".join(f"{type(error).__name__}: {error}".split())
        print_failure(f"unexpected {text}; set SJPLAN_DEBUG=1 for the traceback, and report it", as_json=as_json)
        return 2
    return code if isinstance(code, int) else 0


def _usage_line(error: CycloptsError) -> str:
    text = " ".join(str(error).split())
    return f"usage: {text} (sjplan --help lists the commands, sjplan COMMAND --help their options)"


def main() -> None:
    """Entry point of the installed command."""
    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
