"""`sjplan demo`: a phantom is built, planned, looked at and reported, to see in a minute what sjplan does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sjplan.cli.intake import CaseArguments
from sjplan.cli.opengl import require_opengl
from sjplan.cli.options import AsJson, OutFolder
from sjplan.cli.output import note_line, print_json
from sjplan.cli.phantom_runs import build_into
from sjplan.cli.pipeline import PlanRequest
from sjplan.cli.plan import KERNEL_ROOMS, plan_into, print_summary
from sjplan.cli.progress import part_of, progress

PRESET = "default"
CASE_FOLDER = "phantom"
PHANTOM_SHARE = 0.2


def demo(
    *,
    out: OutFolder = Path("sjplan-demo"),
    spacing: Annotated[float, Parameter(help="Voxel edge of the phantom in mm.")] = 1.0,
    json: AsJson = False,
) -> int:
    """Build a phantom pelvis, plan both sides, and write plan, views, pictures and report.

    The phantom lands in OUT/phantom, where every other command takes it as CASE.
    """
    from sjplan.io import presets
    from sjplan.io.atomic import output_folder

    require_opengl()
    case = out / CASE_FOLDER
    with progress("phantom", *KERNEL_ROOMS, "xray") as reporter:
        with output_folder(case) as folder:
            build_into(presets.read_spec(PRESET, 0, spacing), folder, part_of(reporter, 0.0, PHANTOM_SHARE))
        rest = part_of(reporter, PHANTOM_SHARE, 1.0)
        run = plan_into(PlanRequest(CaseArguments(str(case))), out, rest, pictures=True)
    if json:
        print_json(run.plan_file.model_dump(by_alias=True))
    else:
        print_summary(run, out)
        note_line(f"open {out / 'report.html'}; next: sjplan plan {case} --out another-folder")
    return run.exit_code
