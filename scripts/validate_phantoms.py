"""Measure a cohort of phantoms beside published tables.

    python scripts/validate_phantoms.py [--cohort adults] [--count 200] [--out docs/results/phantoms.json] [--fresh]

Goes on where an interrupted run stopped. scripts/tabulate_phantoms.py renders the table, failures marked.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from sjplan.io.cohorts import draw, read_cohort
from sjplan.io.results import read_rows, write_rows
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.truth.measures import pelvic_measures
from sjplan.phantom.truth.survey import survey

SEED, EVERY = 0, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cohort", default="adults")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--out", type=Path, default=Path("docs/results/phantoms.json"))
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    cohort = read_cohort(arguments.cohort)
    settings = {"cohort": cohort.model_dump(mode="json", by_alias=True)}
    rows: dict[str, dict[str, Any]] = {} if arguments.fresh else read_rows(arguments.out, "run", settings)
    for index in range(arguments.count):
        key = f"{cohort.name} {index}"
        if key not in rows:
            measures = pelvic_measures(survey(Pelvis(draw(cohort, index, SEED))))
            rows[key] = {"run": key} | {name: round(value, 3) for name, value in measures.items()}
        if (index + 1) % EVERY == 0 or index + 1 == arguments.count:
            write_rows(arguments.out, rows.values(), seed=SEED, settings=settings)
            print(f"{index + 1} of {arguments.count}", flush=True)


if __name__ == "__main__":
    main()
