"""`sjplan export`: the implants of a plan, for another program."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import Parameter

from sjplan.cli.options import AsJson, CatalogueFile, FilePath, OutFolder
from sjplan.cli.output import out_console, print_json

Kind = Literal["slicer", "stl", "obj", "csv"]


def export(
    plan: Annotated[FilePath, Parameter(help="A plan.json.")],
    /,
    *,
    to: Annotated[Kind, Parameter(help="3D Slicer markups and models, meshes, or a table.")],
    out: OutFolder,
    catalogue: CatalogueFile = None,
    json: AsJson = False,
) -> int:
    """Write a plan's accepted implants for another program. Every coordinate is LPS in mm."""
    from sjplan.io.catalogue import read_implants
    from sjplan.io.exports import export as write_export
    from sjplan.io.planfile import read_plan

    written = write_export(read_plan(plan), to, out, read_implants(catalogue))
    if json:
        print_json({"out": str(out), "files": [path.name for path in written]})
        return 0
    for path in written:
        out_console().print(str(path), markup=False)
    return 0
