"""docs/planning.md lists the parameters of raster-v1 with the defaults that the code has."""

import re
from pathlib import Path

from sjplan.planning.raster import DEFAULTS

PAGE = Path(__file__).parents[2] / "docs" / "planning.md"


def test_parameter_table_is_the_code_s() -> None:
    text = PAGE.read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([\d.]+) \| \S.*\|$", text, re.MULTILINE)
    assert {name: float(value) for name, value in rows} == {name: float(value) for name, value in DEFAULTS.items()}
    assert [name for name, _ in rows] == list(DEFAULTS)


def test_every_status_is_explained() -> None:
    text = PAGE.read_text(encoding="utf-8")
    for status in ("found", "best_effort", "timeout", "infeasible"):
        assert re.search(rf"^\| `{status}` \| \S", text, re.MULTILINE)
