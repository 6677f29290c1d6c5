"""`sjplan corridors`: one object or a table, and an answer where there is none."""

from pathlib import Path

import pytest
from cli_support import Sjplan

from sjplan.anatomy.types import Anatomy
from sjplan.planning.corridors import Corridor

FOUND = Corridor("S1", "midline", "left", (70, 40, -30), (0, 10, 0), 14.0625, 16.5, 15.2, 4.4, -22.6, "foramen_S1_left")
NONE = Corridor("S1", "transsacral", "both", reason="no straight way of at least 2 mm was found")


def test_json_is_one_object_with_six_corridors(sjplan: Sjplan, phantom: Path) -> None:
    done = sjplan("corridors", phantom, "--json")
    assert done.code == 0
    assert done.json["frame"] == "LPS"
    assert done.json["units"] == "mm"
    assert done.json["not_for_clinical_use"] is True
    found = done.json["corridors"]
    wanted = [(level, side) for level in ("S1", "S2") for side in ("left", "right", "both")]
    assert [(c["level"], c["side"]) for c in found] == wanted
    for c in found:
        assert c["found"] is True
        assert c["reason"] == ""
        assert 2 < c["inscribed_diameter_mm"] <= c["area_equivalent_diameter_mm"]
        assert len(c["start_lps_mm"]) == len(c["end_lps_mm"]) == 3


def test_table_for_people(sjplan: Sjplan, phantom: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One line a corridor; where there is none, the reason stands below."""

    def answer(anatomy: Anatomy, *, progress: object = None) -> tuple[Corridor, ...]:
        return FOUND, NONE

    monkeypatch.setattr("sjplan.planning.corridors.find_corridors", answer)
    done = sjplan("corridors", phantom)
    assert done.code == 0
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert "S1 left 14.1 16.5 15.2 81.9 -23 +4 foramen_S1_left" in lines
    assert "S1 trans-sacral none" in lines
    assert lines[-1] == f"S1 trans-sacral: {NONE.reason}"


@pytest.mark.slow
def test_no_corridor_is_an_answer(sjplan: Sjplan) -> None:
    done = sjplan("corridors", "closed-foramen", "--json")
    assert done.code == 0
    none = [c for c in done.json["corridors"] if not c["found"]]
    assert {(c["level"], c["side"]) for c in none} == {(s, side) for s in ("S1", "S2") for side in ("left", "both")}
    for c in none:
        assert c["reason"] == "the S1 foramen on the left was not found open"
        assert c["inscribed_diameter_mm"] == 0
        assert c["start_lps_mm"] is None
    assert "foramen-missing" in {f["code"] for f in done.json["findings"]}


def test_bad_input_is_one_line(sjplan: Sjplan) -> None:
    done = sjplan("corridors", "no-such-file.nii.gz")
    assert done.code == 2
    assert len(done.err.splitlines()) == 1
    assert done.out == ""
