"""`sjplan phantom`: analytic pelves with exact truth, one by one or as a cohort."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from sjplan.cli.options import AsJson, OutFolder
from sjplan.cli.output import out_console, print_entry, print_json
from sjplan.cli.phantom_runs import INDEX, SHEET, CohortRequest, build_into, run_cohort
from sjplan.cli.progress import progress

app = App(name="phantom", help="Build analytic pelves whose truth is known exactly.")

Preset = Annotated[
    str, Parameter(help="A preset's name (sjplan phantom list), a TOML file of your own, or a phantom's spec.toml.")
]
Spacing = Annotated[float | None, Parameter(help="Voxel edge in mm; what the file names by default, else 1.")]


@app.command(name="list")
def list_presets(*, json: AsJson = False) -> int:
    """List the phantom presets and cohorts."""
    from sjplan.io import cohorts, presets

    found = {"presets": presets.list_presets(), "cohorts": cohorts.list_cohorts()}
    if json:
        print_json(found)
        return 0
    width = 1 + max(len(name) for names in found.values() for name in names)
    for kind, names in found.items():
        out_console().print(f"{kind} (sjplan phantom {'build' if kind == 'presets' else 'cohort'})", style="dim")
        for name, summary in names.items():
            print_entry(f"  {name:{width}}", summary)
    return 0


@app.command
def build(
    preset: Preset,
    /,
    *,
    out: OutFolder,
    seed: Annotated[
        int | None, Parameter(help="Seed of texture and noise; what the file names by default, else 0.")
    ] = None,
    spacing: Spacing = None,
    json: AsJson = False,
) -> int:
    """Build one phantom into a folder that every command takes as CASE.

    The folder holds ct.nii.gz, labels.nii.gz with labels.names.json, truth.json, and spec.toml, a preset that gives
    the same files again.
    """
    from sjplan.io import presets
    from sjplan.io.atomic import output_folder
    from sjplan.io.phantoms import FILES

    spec = presets.read_spec(preset, seed, spacing)
    with progress("phantom") as reporter, output_folder(out) as folder:
        build_into(spec, folder, reporter)
    if json:
        facts = {"preset": preset, "name": spec.name, "seed": spec.seed, "spacing_mm": float(spec.spacing_mm)}
        print_json({"out": str(out), **facts, "files": list(FILES)})
    else:
        out_console().print(str(out), markup=False)
    return 0


@app.command
def cohort(
    file: Annotated[str, Parameter(help="A cohort's name (sjplan phantom list), or a TOML file of your own.")],
    /,
    *,
    out: OutFolder,
    count: Annotated[int | None, Parameter(help="Build only the first so many of the cohort.")] = None,
    seed: Annotated[int, Parameter(help="Seed of the whole cohort.")] = 0,
    spacing: Spacing = None,
    workers: Annotated[int, Parameter(help="Phantoms built at the same time, each by one thread.")] = 1,
    sheet: Annotated[bool, Parameter(help="Make the contact sheet: an AP radiograph and an axial cut of each.")] = True,
    json: AsJson = False,
) -> int:
    """Build the phantoms of a cohort, each in a folder of its own; run again, it goes on where it was stopped.

    Members that are there, whole and built with the same spec, are kept. At the end come cohort.json and
    contact-sheet.png.
    """
    request = CohortRequest(file, out, count, seed, spacing, workers, sheet)
    with progress("phantom") as reporter:
        run = run_cohort(request, reporter)
    if json:
        files = {"index": str(out / INDEX)} | ({"sheet": str(out / SHEET)} if sheet else {})
        print_json({"out": str(out), "cohort": run.cohort, "built": run.built, "kept": run.kept, **files})
    else:
        more = f"; {SHEET} shows them" if sheet else ""
        out_console().print(f"{out}: {run.built} built, {run.kept} were there{more}", markup=False)
    return 0
