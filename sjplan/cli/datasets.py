"""`sjplan datasets`: open pelvic data by name, with licence, source and sha256; fetched by your own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter

from sjplan.cli.options import AsJson, FilePath
from sjplan.cli.output import out_console, print_entry, print_json
from sjplan.cli.progress import progress
from sjplan.core.errors import unknown_name

app = App(name="datasets", help="Open pelvic data by name: licence, source, sha256. Nothing is fetched unasked.")

Registry = Annotated[FilePath | None, Parameter(help="TOML file with datasets in place of the shipped list.")]


@app.command(name="list")
def list_datasets(*, registry: Registry = None, json: AsJson = False) -> int:
    """List the datasets that can be fetched; nothing is asked of the network."""
    from sjplan.io.datasets import Dataset, read_datasets

    def entry(dataset: Dataset) -> dict[str, Any]:
        return dataset.model_dump() | {"terms": dataset.terms, "unknown_hashes": dataset.unknown}

    found = read_datasets(registry)
    if json:
        print_json({"datasets": {name: entry(dataset) for name, dataset in found.items()}})
        return 0
    for name, d in found.items():
        known = len(d.files) - d.unknown
        hashes = f"{len(d.files)} file(s), sha256 known of {known}"
        print_entry(
            f"{name}\n{'':13}",
            d.title,
            [d.about, f"licence: {d.terms}", f"source: {d.source} at {d.commit[:12]}; {hashes}"],
        )
    return 0


@app.command
def fetch(
    name: Annotated[str, Parameter(help="Name of the dataset (sjplan datasets list).")],
    /,
    *,
    out: Annotated[FilePath, Parameter(help="Folder in which the dataset gets a folder of its own.")] = Path(
        "datasets"
    ),
    accept_unknown_hash: Annotated[
        bool, Parameter(negative="", help="Take files whose sha256 nobody knows; it is printed and recorded.")
    ] = False,
    registry: Registry = None,
    json: AsJson = False,
) -> int:
    """Fetch one dataset into OUT/NAME, with its licence beside it.

    The licence is shown first. Each file is checked by its sha256 before it is put in place; what is there already
    stays, so that an interrupted fetch goes on where it was. Needs the extra `data`.
    """
    from sjplan.io.datasets import read_datasets
    from sjplan.io.fetch import fetch as bring

    found = read_datasets(registry)
    if name not in found:
        raise unknown_name("dataset", name, found)
    dataset = found[name]
    with progress(intake=1.0) as reporter:
        if not json and (dataset.unknown == 0 or accept_unknown_hash):
            out_console().print(f"{name}: {dataset.terms}; cite {dataset.cite}", markup=False)
        done = bring(name, dataset, out, reporter, accept_unknown_hash=accept_unknown_hash)
    if json:
        rows = [{"name": f.name, "sha256": f.sha256, "kept": f.kept, "hash_known": f.known} for f in done]
        print_json({"dataset": name, "out": str(out / name), "licence": dataset.licence,
                    "commercial_use": dataset.commercial, "files": rows})  # fmt: skip
        return 0
    for file in done:
        state = "was there" if file.kept else "fetched"
        check = "as the registry says" if file.known else "not known before: recorded"
        out_console().print(f"{out / name / file.name}: {state}, sha256 {file.sha256} ({check})", markup=False)
    return 0
