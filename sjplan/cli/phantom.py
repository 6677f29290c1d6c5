"""`sjplan phantom`: analytic pelves with exact truth, one by one or as a cohort."""

from __future__ import annotations

import concurrent.futures
import json as json_module
import multiprocessing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter

from sjplan.cli.options import AsJson, OutFolder
from sjplan.cli.output import out_console, print_entry, print_json
from sjplan.cli.progress import Report, progress
from sjplan.core.errors import InputError

if TYPE_CHECKING:
    from sjplan.phantom.parameters import PhantomParameters
    from sjplan.phantom.truth import PhantomTruth

app = App(name="phantom", help="Build analytic pelves whose truth is known exactly.")

Preset = Annotated[str, Parameter(help="A preset's name (sjplan phantom list), or a TOML file of your own.")]
Spacing = Annotated[float, Parameter(help="Voxel edge in mm.")]
Seed = Annotated[int, Parameter(help="Seed of whatever is random.")]


@app.command(name="list")
def list_presets(*, json: AsJson = False) -> int:
    """List the phantom presets."""
    from sjplan.io import presets

    found = presets.list_presets()
    if json:
        print_json({"presets": found})
        return 0
    for name, summary in found.items():
        print_entry(name, summary)
    return 0


@app.command
def build(preset: Preset, /, *, out: OutFolder, seed: Seed = 0, spacing: Spacing = 1.0, json: AsJson = False) -> int:
    """Build one phantom: ct.nii.gz, labels.nii.gz and truth.json, in a folder that every command takes as CASE."""
    from sjplan.io import presets
    from sjplan.io.atomic import output_folder

    with progress("phantom") as reporter, output_folder(out) as folder:
        write_phantom(presets.read_preset(preset), folder, seed, spacing, reporter)
    if json:
        print_json({"out": str(out), "preset": preset, "seed": seed, "spacing_mm": spacing})
    else:
        out_console().print(str(out), markup=False)
    return 0


@app.command
def cohort(
    file: Annotated[str, Parameter(help="A cohort's name, or a TOML file of your own.")],
    /,
    *,
    out: OutFolder,
    count: Annotated[int | None, Parameter(help="Build only the first so many of the cohort.")] = None,
    seed: Seed = 0,
    spacing: Spacing = 1.0,
    workers: Annotated[int, Parameter(help="Phantoms built at the same time.")] = 1,
    json: AsJson = False,
) -> int:
    """Build the phantoms of a cohort, each in a folder of its own; those already built are kept, so it can go on."""
    from sjplan.io import presets

    if workers < 1:
        raise InputError("--workers", found=str(workers), wanted="1 or more")
    if count is not None and count < 1:
        raise InputError("--count", found=str(count), wanted="1 or more")
    members = presets.read_cohort(file)
    indices = range(min(members.count, count or members.count))
    jobs = [
        (presets.draw(members, i, seed), out / f"{members.name}-{i:05d}", _member_seed(seed, i), spacing)
        for i in indices
    ]
    left = [job for job in jobs if not (job[1] / "truth.json").is_file()]
    with progress("phantom") as reporter:
        _build_all(left, workers, reporter)
    if json:
        print_json({"out": str(out), "cohort": members.name, "built": len(left), "kept": len(jobs) - len(left)})
    else:
        out_console().print(f"{out}: {len(left)} built, {len(jobs) - len(left)} were there", markup=False)
    return 0


Job = tuple["PhantomParameters", Path, int, float]


def _member_seed(seed: int, index: int) -> int:
    """Seed of one member's texture and noise: differs between members, the same in every process."""
    import numpy as np

    return int(np.random.SeedSequence([seed, index]).generate_state(1)[0])


def _build_all(jobs: list[Job], workers: int, report: Report) -> None:
    report("building phantoms", 0.0)
    if workers == 1:
        for n, job in enumerate(jobs):
            _build_member(job)
            report(f"{n + 1} of {len(jobs)} phantoms", (n + 1) / len(jobs))
        return
    # A fresh process each: forking after numba has started its threads may hang.
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(workers, mp_context=context) as pool:
        for n, _ in enumerate(pool.map(_build_member, jobs)):
            report(f"{n + 1} of {len(jobs)} phantoms", (n + 1) / len(jobs))


def _build_member(job: Job) -> None:
    from sjplan.io.atomic import output_folder

    parameters, place, seed, spacing = job
    with output_folder(place) as folder:
        write_phantom(parameters, folder, seed, spacing, lambda what, fraction: None)


def write_phantom(parameters: PhantomParameters, folder: Path, seed: int, spacing_mm: float, report: Report) -> None:
    """Build a phantom into a folder; truth.json is written last, as the sign that all is there."""
    from sjplan.io import cases, volumes
    from sjplan.io.atomic import write_text
    from sjplan.phantom.build import build_phantom

    phantom = build_phantom(parameters, spacing_mm, seed, lambda what, fraction: report(what, 0.8 * fraction))
    report("writing CT and labels", 0.8)
    volumes.write_ct(phantom.ct, folder / cases.PHANTOM_CT)
    volumes.write_labels(phantom.labels, folder / cases.PHANTOM_LABELS)
    document = {"parameters": parameters.as_dict(), "seed": seed, "spacing_mm": spacing_mm} | truth_document(
        phantom.truth
    )
    write_text(folder / "truth.json", json_module.dumps(document, indent=1, allow_nan=False) + "\n")


def truth_document(truth: PhantomTruth) -> dict[str, Any]:
    """The truth in plain numbers (LPS, mm): landmarks, mouths of the foramina, canal, joints."""
    return {
        "frame": "LPS",
        "units": "mm",
        "landmarks": {name: _plain(point) for name, point in truth.landmarks.items()},
        "foramina": [
            {
                "name": f.name,
                "ventral_mouth_lps_mm": _plain(f.ventral_mouth_lps_mm),
                "ventral_mouth_radius_mm": round(float(f.ventral_mouth_radius_mm), 4),
                "dorsal_mouth_lps_mm": _plain(f.dorsal_mouth_lps_mm),
                "dorsal_mouth_radius_mm": round(float(f.dorsal_mouth_radius_mm), 4),
            }
            for f in truth.foramina
        ],
        "canal_axis_lps_mm": [_plain(point) for point in truth.canal.axis_lps_mm],
        "joints": {
            side: {
                "gap_mm": round(float(j.gap_mm), 4),
                "area_mm2": round(float(j.area_mm2), 1),
                "mean_normal": _plain(j.mean_normal),
            }
            for side, j in truth.joints.items()
        },
    }


def _plain(values: Any) -> list[float]:
    return [round(float(v), 4) for v in values]
