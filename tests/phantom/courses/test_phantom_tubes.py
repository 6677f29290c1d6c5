"""Nerves and vessels as tubes: clear of bone, through their tunnels, where published distances say."""

from collections.abc import Mapping

import numpy as np
import pytest

from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.labels import SJPLAN_OWN, TOTALSEGMENTATOR_V2
from sjplan.phantom.bones.shapes import Tube
from sjplan.phantom.courses.routing import STEP_MM, Course, notch_roof_mm, routed
from sjplan.phantom.courses.tubes import label_of, tubes_of
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import BONES, Pelvis
from sjplan.phantom.variants import Variants

VARIED = {
    "default": PhantomParameters(),
    "small, uneven": PhantomParameters(size=0.85, joint_gap_mm=1.0, asymmetry_mm=-5.0),
    "flat": PhantomParameters(sacral_slope_deg=26.0, foramen_scale=1.4, rotation_deg=(8.0, -6.0, 12.0)),
    "steep": PhantomParameters(sacral_slope_deg=58.0, foramen_scale=0.7, offset_lps_mm=(90.0, 40.0, -20.0)),
    "transitional": PhantomParameters(
        closed_foramina=("S1_left",), variants=Variants(transitional="sacralised-l5", scoliosis_deg=6.0)
    ),
}

SLACK_MM = 0.3
"""How far a wall may reach into bone: bones' distances are first-order."""


@pytest.fixture(params=VARIED, scope="module")
def pelvis(request: pytest.FixtureRequest) -> Pelvis:
    return Pelvis(VARIED[request.param])


@pytest.fixture(scope="module")
def tubes(pelvis: Pelvis) -> Mapping[str, Tube]:
    return tubes_of(pelvis)


def _dense(tube: Tube, n: int = 600) -> tuple[np.ndarray, np.ndarray]:
    t, at = np.linspace(0, len(tube.radius_mm) - 1, n), np.arange(len(tube.radius_mm))
    points = np.column_stack([np.interp(t, at, tube.points_mm[:, a]) for a in range(3)])
    return points, np.interp(t, at, tube.radius_mm)


def test_tubes_keep_their_radius_off_every_bone(pelvis: Pelvis, tubes: Mapping[str, Tube]) -> None:
    for name, tube in tubes.items():
        points, radius = _dense(tube)
        for bone in BONES:
            if name.startswith("nerve_root_L5") and pelvis.parameters.variants.transitional == "sacralised-l5":
                continue  # Between a sacralised process and the ala there is less room than a root takes.
            assert (pelvis.bone_mm(bone, points) - radius).min() > -SLACK_MM, (name, bone)


def test_centrelines_are_smooth_chains(pelvis: Pelvis, tubes: Mapping[str, Tube]) -> None:
    for name, tube in tubes.items():
        steps = np.diff(tube.points_mm, axis=0)
        jumps = name.startswith("nerve_root_L5") and pelvis.parameters.variants.transitional == "sacralised-l5"
        assert np.linalg.norm(steps, axis=1).max() < (8.0 if jumps else 3.0) * STEP_MM, name
        assert tube.radius_mm.min() > 0.8, name


def test_roots_pass_through_their_tunnels(pelvis: Pelvis, tubes: Mapping[str, Tube]) -> None:
    """Inside the lumen from the canal to the mouth: the centreline stays within the tunnel's wall."""
    for side in SIDES:
        for level in ("S1", "S2"):
            name = f"nerve_root_{level}_{side}"
            assert (name in tubes) == (level in pelvis.sacrum[side].ventral)
            if name not in tubes:
                continue
            points, radius = _dense(tubes[name])
            buried = pelvis.solid_sacrum_mm(points) < 0
            lumen = np.minimum(pelvis.foramen_mm(level, side, points), pelvis.canal_mm(points))
            assert buried.sum() > 30
            assert (lumen + radius)[buried].max() < SLACK_MM + 0.3
            assert pelvis.foramen_mm(level, side, points).min() < -2.0 * pelvis.parameters.foramen_scale


def test_dural_sac_ends_between_s1_and_s3(pelvis: Pelvis, tubes: Mapping[str, Tube]) -> None:
    """THECAL: at S2 in most."""
    points = pelvis.sacral_mm(tubes["dural_sac"].points_mm)
    s1, s3 = (pelvis.sacrum["right"].ventral[level].points_mm[-1, 2] for level in ("S1", "S3"))
    assert s3 < points[-1, 2] < s1 + 4.0
    inside = tubes["dural_sac"].points_mm[points[:, 2] < -6.0]
    assert pelvis.canal_mm(inside).max() < -1.0


def test_the_l5_root_crosses_the_ala_where_it_was_measured() -> None:
    """KULAK: 20.0, 17.9 and 12.3 mm (SD 3.1, 3.2, 2.5) from the SI joint at three levels."""
    pelvis = Pelvis(PhantomParameters())
    tubes = tubes_of(pelvis)
    for side in SIDES:
        points = pelvis.sacral_mm(_dense(tubes[f"nerve_root_L5_{side}"])[0]) * (SIDE_SIGN[side], 1.0, 1.0)
        for z, mean, sd in ((-9.0, 20.0, 3.05), (-24.0, 17.9, 3.2), (-42.0, 12.3, 2.5)):
            x, y, _ = points[np.abs(points[:, 2] - z).argmin()]
            joint = pelvis.sacrum[side].joint.mid_x(np.array(y + 4.0), np.array(z))
            assert float(joint) - x == pytest.approx(mean, abs=sd)


def test_the_gluteal_artery_leaves_below_the_roof_and_spares_the_upper_paths() -> None:
    """SGA25: nearest branch 17.3 to 19.0 mm (SD 7.9 to 9.4) from a transiliac path; none nearer than 5.75."""
    pelvis = Pelvis(PhantomParameters())
    tubes = tubes_of(pelvis)
    t = np.linspace(25.0, 110.0, 120)
    path = pelvis.lps_from_sacral(np.column_stack([t, np.full(120, 10.0), np.full(120, -36.0)]))
    branches = [tubes[f"superior_gluteal_artery{deep}_left"] for deep in ("", "_deep")]
    nearest = min(float(tube.distance_mm(path).min()) for tube in branches)
    assert 9.0 < nearest < 28.0
    roof = notch_roof_mm(pelvis, "left")
    for tube in branches:
        points = pelvis.pelvic_mm(_dense(tube)[0])
        crossing = points[np.abs(points[:, 0] - roof[0]).argmin()]
        assert -16.0 < crossing[2] - roof[2] < 0.0
        assert abs(crossing[1] - roof[1]) < 12.0
        assert points[-1, 0] > roof[0] + 8.0


def test_vessels_follow_one_another(tubes: Mapping[str, Tube]) -> None:
    """Branches begin inside the vessel that they come from; arteries do not run in veins."""
    for side in SIDES:
        for vessel in ("artery", "vein"):
            stem = tubes[f"common_iliac_{vessel}_{side}"]
            for branch in ("external", "internal"):
                start = tubes[f"{branch}_iliac_{vessel}_{side}"].points_mm[:1]
                assert stem.distance_mm(start)[0] < 3.0
        for artery in ("common", "external"):
            points, radius = _dense(tubes[f"{artery}_iliac_artery_{side}"])
            for vein in ("common", "external"):
                beside = tubes[f"{vein}_iliac_vein_{side}"].distance_mm(points) - radius
                assert np.quantile(beside, 0.05) > -0.6


def test_both_sides_mirror_each_other() -> None:
    """Roots and external vessels; common vessels begin beside the midline."""
    pelvis = Pelvis(PhantomParameters())
    tubes = tubes_of(pelvis)
    for name in ("nerve_root_L5", "nerve_root_S1", "nerve_root_S2", "superior_gluteal_artery"):
        left, right = (pelvis.pelvic_mm(tubes[f"{name}_{side}"].points_mm) for side in SIDES)
        assert np.abs(left - right * (-1.0, 1.0, 1.0)).max() < 0.3, name


def test_every_tube_has_a_label() -> None:
    ids = {**TOTALSEGMENTATOR_V2, **SJPLAN_OWN}
    assert len(ids) == len(TOTALSEGMENTATOR_V2) + len(SJPLAN_OWN)
    assert min(SJPLAN_OWN) >= 200
    assert max(SJPLAN_OWN) <= 255
    names = set(ids.values())
    assert {label_of(name) for name in tubes_of(Pelvis(PhantomParameters()))} <= names


def test_a_course_through_bone_is_led_round_it() -> None:
    pelvis = Pelvis(PhantomParameters())
    ends = pelvis.lps_from_sacral(np.array(((0.0, -40.0, -20.0), (12.0, -2.5, -24.0), (30.0, -40.0, -20.0))))
    assert pelvis.bone_mm("sacrum", ends)[1] < -1.0
    tube = routed(pelvis, [Course("lead", ends, np.array((3.0, 3.0, 3.0)))], {})["lead"]
    assert (pelvis.bone_mm("sacrum", tube.points_mm) - tube.radius_mm).min() > 0.9
    assert np.allclose(tube.points_mm[[0, -1]], ends[[0, -1]], atol=0.05)
