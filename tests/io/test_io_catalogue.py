"""Implants, pins and limits: the shipped values, a user's own on top, and errors that name file, entry and field."""

from __future__ import annotations

from pathlib import Path

import pytest
from io_makers import message

from sjplan.core.errors import InputError, SjplanError
from sjplan.core.structures import LIMIT_KINDS
from sjplan.io.catalogue import read_implants, read_pins
from sjplan.io.limits import read_limits

ROD = 'summary = "a rod"\nsection = "cylinder"\ninscribed_radius_mm = 4\nlengths_mm = [40, 45]\n'


def test_the_shipped_implants() -> None:
    models = read_implants()
    triangle = models["tri-7"]
    assert (triangle.inscribed_radius_mm, triangle.corner_radius_mm, triangle.circumscribed_radius_mm) == (
        3.5,
        1.0,
        6.0,
    )
    assert triangle.lengths_mm == (30, 35, 40, 45, 50, 55, 60, 65, 70)
    radii = {id_: m.circumscribed_radius_mm for id_, m in models.items() if m.section == "cylinder"}
    assert radii == {"thread-10": 5.0, "thread-11.5": 5.75, "screw-7.3": 3.65}
    assert next(iter(models)) == "tri-7", "the first one is the default"
    pins = read_pins()
    assert {id_: pin.radius_mm for id_, pin in pins.items()} == {"pin-3.2": 1.6}
    assert not set(pins) & set(models)
    for model in (*models.values(), *pins.values()):
        assert model.sources


def test_recalled_sizes_are_marked() -> None:
    """CLINICAL facts table: thread sizes and the 5 mm step are recalled, the 3.2 mm pin was read in a source."""
    recalled = {id_: set(m.recalled) for id_, m in read_implants().items()}
    assert recalled == {
        "tri-7": {"inscribed_radius_mm", "corner_radius_mm", "lengths_mm"},
        "thread-10": {"inscribed_radius_mm", "lengths_mm", "thread"},
        "thread-11.5": {"inscribed_radius_mm", "lengths_mm", "thread"},
        "screw-7.3": {"lengths_mm", "thread"},
    }
    assert read_pins()["pin-3.2"].recalled == ()


def test_a_user_adds_and_overrides(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(f'[implants.rod-8]\n{ROD}[implants.tri-7]\n{ROD}[pins.pin-2]\nsummary = "thin"\nradius_mm = 1\n')
    models = read_implants(own)
    assert models["rod-8"].lengths_mm == (40.0, 45.0)
    assert models["tri-7"].section == "cylinder"
    assert "thread-10" in models
    assert set(read_pins(own)) == {"pin-3.2", "pin-2"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[implants.a", "no valid TOML"),
        ("[implants.a]\n", "own.toml: implants.a.summary: found nothing; wanted a value"),
        (f"[implants.a]\n{ROD}colour = 'red'", "implants.a.colour: found an unknown field"),
        (f"[implants.a]\n{ROD}".replace("= 4", "= -4"), "implants.a.inscribed_radius_mm: found -4"),
        (f"[implants.a]\n{ROD}".replace("= 4", "= nan"), "implants.a.inscribed_radius_mm: found nan"),
        (f"[implants.a]\n{ROD}".replace("[40, 45]", "[45, 40]"), "implants.a.lengths_mm: found (45.0, 40.0)"),
        (f"[implants.a]\n{ROD}".replace("[40, 45]", "[]"), "implants.a.lengths_mm: found []"),
        (
            f"[implants.a]\n{ROD}".replace("cylinder", "square"),
            "section: found 'square'; wanted 'cylinder' or 'triangle'",
        ),
        (f"[implants.a]\n{ROD}".replace("cylinder", "triangle"), "implants.a.corner_radius_mm: found nothing"),
        (f"[implants.a]\n{ROD}corner_radius_mm = 5".replace("cylinder", "triangle"), "a.corner_radius_mm: found 5"),
        (f"[implants.a]\n{ROD}thread = {{ pitch_mm = 3, core_radius_mm = 4 }}", "a.thread.core_radius_mm: found 4"),
        (f"[implants.a]\n{ROD}thread = {{ pitch_mm = 3 }}", "implants.a.thread.core_radius_mm: found nothing"),
        (f"[implants.a]\n{ROD}thread = {{ pitch_mm = 0, core_radius_mm = 3 }}", "a.thread.pitch_mm: found 0"),
        (f"[implants.a]\n{ROD}recalled = ['size']", "implants.a.recalled: found 'size'"),
        (f"[implants.'../a']\n{ROD}", "../a"),
        ("[screws.a]\n", "screws: found an unknown field"),
    ],
)
def test_a_bad_catalogue_is_named_by_file_entry_and_field(text: str, expected: str, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(InputError) as caught:
        read_implants(own)
    assert expected in message(caught.value)
    assert message(caught.value).startswith(str(own))


def test_the_default_limits() -> None:
    """Every number of the design's paragraph on default limits."""
    limits = read_limits()
    assert dict(limits.clearance_mm) == {
        "foramen": 2, "canal": 2, "anterior": 1, "superior": 1, "notch": 1, "posterior": 0, "inferior": 0,
        "iliac_inner": 0, "iliac_border": 0, "scan_edge": 0, "metal": 3,
    }  # fmt: skip
    assert set(limits.clearance_mm) == set(LIMIT_KINDS)
    assert dict(limits.clearance_finding_mm) == {
        "anterior": 2, "superior": 2, "notch": 10, "posterior": 1, "inferior": 1, "iliac_inner": 1, "iliac_border": 1,
        "scan_edge": 1,
    }  # fmt: skip
    assert limits.lower_bound_kinds == ("foramen", "canal", "anterior")
    assert (limits.sacral_min_mm, limits.sacral_finding_mm, limits.iliac_min_mm) == (10, 15, 8)
    assert (limits.crossing_spacing_min_mm, limits.solid_gap_min_mm) == (13, 3)
    assert (limits.mutual_angle_max_deg, limits.joint_normal_angle_max_deg) == (20, 35)
    assert limits.articular_min_count == 2
    assert (limits.protrusion_min_mm, limits.protrusion_target_mm, limits.protrusion_max_mm) == (0, 3, 5)


def test_single_limits_can_be_overridden(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text("sacral_min_mm = 20\n[clearance_mm]\ncanal = 3.5\n")
    limits, default = read_limits(own), read_limits()
    assert (limits.sacral_min_mm, limits.clearance_mm["canal"]) == (20.0, 3.5)
    assert limits.clearance_mm["foramen"] == default.clearance_mm["foramen"]
    assert limits.iliac_min_mm == default.iliac_min_mm


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sacral_min = 20", "field: found 'sacral_min'; wanted one of"),
        ("sacral_min = 20", "did you mean 'sacral_min_mm'?"),
        ("sacral_min_mm = 'ten'", "sacral_min_mm: found 'ten'"),
        ("sacral_min_mm = nan", "sacral_min_mm: found nan"),
        ("mutual_angle_max_deg = 200", "mutual_angle_max_deg: found 200"),
        ("clearance_mm = 3", "clearance_mm: found 3"),
        ("[clearance_mm]\nforamina = 3", "clearance_mm: found 'foramina'"),
        ("[clearance_finding_mm]\nnotsch = 3", "did you mean 'notch'?"),
        ("lower_bound_kinds = ['bone']", "lower_bound_kinds: found 'bone'"),
        ("protrusion_target_mm = 9", "wanted min <= target <= max"),
        ("a = ", "no valid TOML"),
    ],
)
def test_bad_limits_are_named(text: str, expected: str, tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(text)
    with pytest.raises(SjplanError) as caught:
        read_limits(own)
    assert expected in message(caught.value)
    assert message(caught.value).startswith(str(own))


def test_missing_tables(tmp_path: Path) -> None:
    for read in (read_limits, read_implants, read_pins):
        with pytest.raises(InputError, match="no such file"):
            read(tmp_path / "absent.toml")
