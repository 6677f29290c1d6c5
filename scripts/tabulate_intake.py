"""Render the table of docs/intake.md from docs/results/hostile.json.

python scripts/tabulate_intake.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

from typing import Final

from tabulate_real_pelves import ROOT, main, rows, table

PAGE: Final = ROOT / "docs" / "intake.md"


def hostile() -> str:
    """What became of every group of the corpus."""
    found = rows("hostile")
    groups = list(dict.fromkeys(one["group"] for one in found))
    body: list[list[object]] = []
    for group in groups:
        own = [one for one in found if one["group"] == group]
        counts = [sum(one["outcome"] == outcome for one in own) for outcome in ("refused", "read")]
        bad = sum(bool(one["bad"]) for one in own)
        slowest, largest = max(one["seconds"] for one in own), max(one["mb"] for one in own)
        body.append([group, len(own), *counts, bad or "0", slowest, largest])
    total = [len(found), *(sum(one["outcome"] == outcome for one in found) for outcome in ("refused", "read"))]
    bad = sum(bool(one["bad"]) for one in found)
    body.append(["all", *total, bad, max(one["seconds"] for one in found), max(one["mb"] for one in found)])
    return table(["files", "n", "refused in a line", "read", "bad", "longest s", "largest MB"], body)


if __name__ == "__main__":
    main({PAGE: {"hostile": hostile}}, __doc__.splitlines()[0])
