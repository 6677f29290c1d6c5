"""Lines to look for, on the phantom: they lie on its bones, where their names say, and mirror with it."""

from dataclasses import replace

import numpy as np
import pytest

from sjplan.core.frames import SIDE_SIGN
from sjplan.geometry.surface import LabelledSurface
from sjplan.testing.problems import phantom_anatomy
from sjplan.views.landmarks import iliac_density, landmark_lines, lines_seen
from sjplan.views.patient import views_of_anatomy
from sjplan.views.quality import inlet_offset_mm, outlet_offset_mm


@pytest.fixture(scope="module")
def anatomy():
    return phantom_anatomy()


@pytest.fixture(scope="module")
def lines(anatomy):
    return landmark_lines(anatomy)


def test_every_line_is_there(anatomy, lines):
    sided = {f"{name}_{side}" for name in ("notch", "alar_line", "iliac_density") for side in ("left", "right")}
    arcuate = {f"arcuate_{f.level}_{f.side}" for f in anatomy.foramina if f.ventral is not None}
    assert set(lines) == sided | arcuate | {"s1_endplate", "posterior_body_line"}
    assert all(line.ndim == 2 and line.shape[1] == 3 and np.isfinite(line).all() for line in lines.values())


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_arch_lies_on_its_hip_and_is_its_lowest_bone(anatomy, lines, side):
    bone = anatomy.frame.frame_from_lps(anatomy.ilium[side].vertices_lps_mm)
    notch = anatomy.frame.frame_from_lps(lines[f"notch_{side}"])
    apex = anatomy.frame.frame_from_lps(anatomy.landmarks[f"notch_{side}"])
    assert (notch[:, 0] * SIDE_SIGN[side] > 0).all()
    for point in notch:
        assert np.linalg.norm(bone - point, axis=1).min() < 1.5
        roof = bone[(np.abs(bone[:, 1] - point[1]) <= 0.5) & (np.abs(bone[:, 2] - apex[2]) <= 12.0)]
        assert point[2] <= roof[:, 2].min() + 1e-9


def stepped_hip(anatomy, side, height_mm, slope):
    """The anatomy with, for its hip, two plates joined by a step that runs at a known height above the notch's apex.

    The step's face is steep: 6 mm across within 1 mm of height.
    """
    apex = anatomy.frame.frame_from_lps(anatomy.landmarks[f"notch_{side}"])
    backs, ups = np.arange(apex[1] - 15, apex[1] + 50, 0.5), np.arange(apex[2], apex[2] + 70, 0.25)
    back, up = np.meshgrid(backs, ups, indexing="ij")
    step = np.clip(up - (apex[2] + height_mm + slope * (back - apex[1])) + 0.5, 0.0, 1.0)
    points = np.stack([(60.0 + 6.0 * step) * SIDE_SIGN[side], back, up], axis=-1).reshape(-1, 3)
    cell = np.arange(back.size).reshape(back.shape)
    a, b, c, d = cell[:-1, :-1].ravel(), cell[1:, :-1].ravel(), cell[1:, 1:].ravel(), cell[:-1, 1:].ravel()
    triangles = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)]).astype(np.int32)
    surface = LabelledSurface(anatomy.frame.lps_from_frame(points), triangles, np.zeros(len(triangles), np.uint8))
    return replace(anatomy, ilium={**anatomy.ilium, side: surface}), apex


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(("height", "slope"), [(26.0, 0.0), (34.0, 0.2), (38.0, -0.15)])
def test_the_density_is_found_where_the_step_is(anatomy, side, height, slope):
    """Its line lies in the cortex, a millimetre below the step's face."""
    changed, apex = stepped_hip(anatomy, side, height, slope)
    line = anatomy.frame.frame_from_lps(iliac_density(changed, side)) - apex
    assert len(line) == 19
    assert line[:, 2] == pytest.approx(height + slope * line[:, 1] - 1.0, abs=0.6)
    assert (np.abs(np.abs(line[:, 0] + apex[0]) - 63.0) <= 3.1).all()


def test_a_hip_without_a_step_has_no_density(anatomy):
    """Edges here and there, at another height every few millimetres, are no step that can be followed."""
    edges = np.repeat(np.random.default_rng(0).uniform(24.0, 48.0, 13), 10)[:, None]
    rough, _ = stepped_hip(anatomy, "left", height_mm=edges, slope=0.0)
    assert iliac_density(rough, "left").shape == (0, 3)


def test_the_alar_line_lies_above_the_joint_and_below_the_endplate(anatomy, lines):
    for side in ("left", "right"):
        alar = anatomy.frame.frame_from_lps(lines[f"alar_line_{side}"])
        assert alar[:, 2].max() < 15.0
        assert alar[:, 2].min() >= -26.0
        assert (np.abs(alar[:, 0]) > 25.0).all()


def test_the_body_line_is_the_front_of_the_canal(anatomy, lines):
    line = anatomy.frame.frame_from_lps(lines["posterior_body_line"])
    canal = anatomy.frame.frame_from_lps(anatomy.canal.lumen_lps_mm)
    assert (np.diff(line[:, 2]) < 0).all()
    for _, back, height in line:
        level = canal[(np.abs(canal[:, 2] - height) <= 2.0) & (np.abs(canal[:, 0]) <= 4.0)]
        assert back == pytest.approx(level[:, 1].min() - 0.5 * anatomy.spacing_mm.max())


def test_arcuate_lines_roof_their_foramina(anatomy, lines):
    for foramen in anatomy.foramina:
        rim = lines[f"arcuate_{foramen.level}_{foramen.side}"]
        centre = foramen.ventral.centre_lps_mm
        assert ((rim - centre) @ anatomy.frame.cranial).max() > 0.3 * foramen.ventral.minor_mm
        assert (np.linalg.norm(rim - centre, axis=1) < 1.2 * foramen.ventral.major_mm).all()


def test_lines_follow_the_ray(anatomy, lines):
    lateral = lines_seen(lines, anatomy.frame, anatomy.frame.left)
    frontal = lines_seen(lines, anatomy.frame, anatomy.frame.posterior)
    assert set(lateral) | set(frontal) == set(lines)
    assert not set(lateral) & set(frontal)
    assert all(name.startswith("arcuate") for name in frontal)


def test_views_of_the_phantom_are_true(anatomy, lines):
    views = views_of_anatomy(anatomy)
    assert inlet_offset_mm(anatomy, views["inlet"]) < 2.0
    assert outlet_offset_mm(anatomy, views["outlet"]) < 5.0
    assert inlet_offset_mm(anatomy, views["outlet"]) > 10.0
    assert outlet_offset_mm(anatomy, views["inlet"]) > 10.0
