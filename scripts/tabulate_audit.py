"""Render the tables of docs/audit.md from docs/results/audit.json.

python scripts/tabulate_audit.py [--check]

With `--check` nothing is written; exit code 1 says that the page and the results differ.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from tabulate_real_pelves import ROOT, main, rows, table

PAGE: Final = ROOT / "docs" / "audit.md"

MEASURES: Final = (
    ("entry", "entry_mm", "mm", 0.7),
    ("tip", "tip_mm", "mm", 0.7),
    ("angle", "angle_deg", "degrees", 1.0),
    ("roll of triangles", "roll_deg", "degrees", 15.0),
)


def errors() -> str:
    """How far what the audit found lies from where the implants are."""
    done = [r for r in rows("audit") if "failed" not in r]
    implants = [i for r in done for i in r["implants"]]
    body: list[list[object]] = []
    for name, key, unit, most in MEASURES:
        values = np.array([i["error"][key] for i in implants if i["error"][key] is not None])
        figures = [f"{v:.2f}" for v in (np.median(values), np.quantile(values, 0.95), values.max())]
        body.append(
            [name, unit, len(values), *figures, f"at most {most:g}", "yes" if values.max() <= most else "**no**"]
        )
    injected = [i["injected"] for i in implants]
    tips, angles = [i["tip_mm"] for i in injected], [i["angle_deg"] for i in injected]
    words = f"{len(implants)} implants in {len(done)} positions of the patient (of {len(rows('audit'))}), "
    words += (
        f"{np.mean(tips):.1f} mm (up to {max(tips):.1f}) and {np.mean(angles):.1f} degrees (up to {max(angles):.1f}) "
    )
    lost, many = sum(6 - len(r["implants"]) for r in done), sum(r["extra"] for r in done)
    words += f"off their plans; {lost} not found, {many} too many.\n\n"
    head = ["error of", "unit", "n", "median", "95 %", "largest", "wanted", "holds"]
    return words + table(head, body)


def positions() -> str:
    """Each position: how the patient lay, what the bones left over, how long it took."""
    head = [
        "",
        "model",
        "turned deg",
        "blur mm",
        "noise HU",
        "bones: left over mm",
        "matched",
        "off mm",
        "off deg",
        "s",
        "CPU s",
    ]
    return table(head, [_position(r) for r in rows("audit")])


def _position(r: dict[str, Any]) -> list[object]:
    cells: list[object] = [r["run"], r.get("model", ""), r["turned_deg"], r["blur_mm"], r["noise_hu"]]
    if "failed" in r:
        return [*cells, f"**failed**: {r['failed']}", "", "", "", "", ""]
    keys = ("bone_residual_mm", "bone_matched", "bone_off_mm", "bone_off_deg", "seconds", "cpu_seconds")
    return cells + [r[key] for key in keys]


if __name__ == "__main__":
    main({PAGE: {"errors": errors, "positions": positions}}, __doc__.splitlines()[0])
