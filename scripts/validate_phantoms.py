"""Measure a cohort of phantoms beside published tables.

    python scripts/validate_phantoms.py [--cohort adults] [--count 200] [--out docs/results/phantoms.json] [--fresh]

Goes on where an interrupted run stopped; writes the table of docs/phantom_validation.md, failures marked.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

from sjplan.io.cohorts import draw, read_cohort
from sjplan.io.presets import read_targets
from sjplan.io.results import read_rows, write_rows
from sjplan.phantom.measures import pelvic_measures
from sjplan.phantom.pelvis import Pelvis
from sjplan.phantom.survey import survey

PAGE = Path(__file__).resolve().parents[1] / "docs" / "phantom_validation.md"
BEGIN, END = "<!-- table: targets -->\n", "<!-- end -->"
SEED, EVERY = 0, 10
MEAN_SHARE, SD_SHARE = 0.5, 1.0 / 3.0
"""A mean may miss its target by half a standard deviation, a standard deviation by a third of itself."""


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
    table = render(list(rows.values())[: arguments.count])
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    PAGE.write_text(before + BEGIN + table + END + rest.split(END, 1)[1], encoding="utf-8")
    print(table)


def render(rows: list[dict[str, Any]]) -> str:
    """The table: each measure beside its target."""
    lines = ["| measure | target | cohort | mean | spread | source |", "| --- | --- | --- | --- | --- | --- |"]
    for name, target in read_targets().items():
        found = [row[name] for row in rows if name in row]
        mean, sd = statistics.mean(found), statistics.stdev(found)
        verdicts = (
            "holds" if abs(mean - target.mean) <= MEAN_SHARE * target.sd else "**misses**",
            "holds" if abs(sd - target.sd) <= SD_SHARE * target.sd else "**misses**",
        )
        cells = (f"{target.mean:g} +/- {target.sd:.3g}", f"{mean:.1f} +/- {sd:.2g}", *verdicts, target.source)
        lines.append("| " + " | ".join((name, *cells)) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
