"""Invariants of the implicit pelvis: they hold for every parameter, not for one picture."""

import numpy as np
import pytest

from sjplan.core.frames import SIDE_SIGN, SIDES
from sjplan.core.structures import LEVELS
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import BONES, Pelvis, rotation_matrix
from sjplan.phantom.truth.facts import PhantomTruth
from sjplan.phantom.truth.survey import survey

VARIED = {
    "default": PhantomParameters(),
    "small": PhantomParameters(size=0.85, joint_gap_mm=1.0, asymmetry_mm=-5.0),
    "flat": PhantomParameters(sacral_slope_deg=22.0, foramen_scale=1.4, ala_height_mm=24.0),
    "steep": PhantomParameters(sacral_slope_deg=58.0, foramen_scale=0.7, ala_height_mm=12.0, joint_gap_mm=3.5),
}


@pytest.fixture(params=VARIED, scope="module")
def truth(request: pytest.FixtureRequest) -> PhantomTruth:
    return survey(Pelvis(VARIED[request.param]))


@pytest.fixture
def pelvis(truth: PhantomTruth) -> Pelvis:
    return truth.pelvis


def test_no_two_bones_share_a_point(pelvis: Pelvis) -> None:
    p = _cloud(40_000, 0)
    owners = sum((pelvis.bone_mm(bone, pelvis.lps_from_pelvic(p)) < 0).astype(int) for bone in BONES)
    assert owners.max() == 1
    assert (owners == 1).sum() > 1000


def test_distances_are_first_order_near_the_surface(pelvis: Pelvis) -> None:
    """The grid's blocks and the cortex rely on slopes near one; creases and table borders may be flatter."""
    p = pelvis.lps_from_pelvic(_cloud(60_000, 1))
    for bone in ("sacrum", "hip_left"):
        near = p[np.abs(pelvis.bone_mm(bone, p)) < 3.0]
        assert len(near) > 300
        h = 0.05
        parts = [(pelvis.bone_mm(bone, near + h * e) - pelvis.bone_mm(bone, near - h * e)) / (2 * h) for e in np.eye(3)]
        slope = np.linalg.norm(parts, axis=0)
        assert np.quantile(slope, 0.995) < 1.4
        assert np.median(slope) == pytest.approx(1.0, abs=0.06)


def _cloud(n: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform((-150, -95, -185), (150, 90, 90), (n, 3))


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("level", LEVELS)
def test_each_tunnel_is_open_from_the_canal_to_both_faces(truth: PhantomTruth, level: str, side: str) -> None:
    pelvis, foramen = truth.pelvis, truth.foramen(level, side)
    assert foramen is not None
    for line, mouth, radius in (
        (foramen.ventral_line_lps_mm, foramen.ventral_mouth_lps_mm, foramen.ventral_mouth_radius_mm),
        (foramen.dorsal_line_lps_mm, foramen.dorsal_mouth_lps_mm, foramen.dorsal_mouth_radius_mm),
    ):
        t = np.linspace(0, len(line) - 1, 400)
        along = np.column_stack([np.interp(t, np.arange(len(line)), line[:, a]) for a in range(3)])
        assert (pelvis.bone_mm("sacrum", along) > 0).all()
        assert pelvis.solid_sacrum_mm(along[-1:])[0] > 0.5
        assert abs(pelvis.solid_sacrum_mm(mouth[None])[0]) < 1e-6
        assert foramen.distance_mm(mouth[None])[0] <= -radius + 1e-6
        assert radius > 1.5
    assert pelvis.canal_mm(foramen.ventral_line_lps_mm[:1])[0] < 0
    dorsal_root = foramen.distance_mm(foramen.dorsal_line_lps_mm[:1])[0]
    assert dorsal_root < -0.5


def test_the_canal_is_open_at_both_ends(truth: PhantomTruth) -> None:
    pelvis, axis = truth.pelvis, truth.canal.axis_lps_mm
    assert (pelvis.bone_mm("sacrum", axis) > 0).all()
    above, below = pelvis.lps_from_sacral([[0.0, 24.0, 6.0], [0.0, 16.0, -110.0]])
    assert pelvis.bone_mm("sacrum", above[None])[0] > 0
    assert pelvis.bone_mm("sacrum", below[None])[0] > 0
    middle = pelvis.sacral_mm(axis)
    behind = pelvis.lps_from_sacral(middle[20:70] + np.array((0.0, 9.0, 0.0)))
    assert (pelvis.bone_mm("sacrum", behind) < 0).mean() > 0.8


def test_bone_begins_where_the_tunnel_ends(truth: PhantomTruth) -> None:
    """The lumen's analytic wall is the bone's surface: what is measured to one holds for the other."""
    pelvis, foramen = truth.pelvis, truth.foramen("S1", "left")
    assert foramen is not None
    rng = np.random.default_rng(2)
    p = foramen.ventral_mouth_lps_mm + rng.uniform(-25, 25, (60_000, 3))
    d = foramen.distance_mm(p)
    clear = pelvis.solid_sacrum_mm(p) < -1.0
    clear &= pelvis.canal_mm(p) > 1.0
    for other in truth.foramina:
        if other.name != foramen.name:
            clear &= other.distance_mm(p) > 1.0
    bone = pelvis.bone_mm("sacrum", p)
    just_out, just_in = clear & (d > 0) & (d < 0.3), clear & (d < 0) & (d > -0.3)
    assert min(just_out.sum(), just_in.sum()) > 30
    assert (bone[just_out] < 0).all()
    assert (bone[just_in] > 0).all()


@pytest.mark.parametrize("side", SIDES)
def test_the_articular_gap_is_the_parameter(truth: PhantomTruth, side: str) -> None:
    """Along the mid-surface's normal, from bone to bone, in mm of the finished pelvis."""
    pelvis, joint = truth.pelvis, truth.joints[side]
    t = np.arange(0.0, 5.0, 0.01)
    gaps = []
    for point, normal in zip(joint.points_lps_mm[::37], joint.normals[::37], strict=True):
        sacral = pelvis.bone_mm("sacrum", point + t[:, None] * normal) < 0
        iliac = pelvis.bone_mm(f"hip_{side}", point - t[:, None] * normal) < 0
        gaps.append(t[sacral.argmax()] + t[iliac.argmax()])
    gap = pelvis.parameters.joint_gap_mm
    assert len(gaps) > 20
    assert np.median(gaps) == pytest.approx(gap, abs=0.03)
    # Towards the rim the edges of both bones are rounded, at most by what `articular` lets through.
    assert min(gaps) > gap - 0.1
    assert max(gaps) < gap + 1.2


def test_larger_foramina_only_add_to_the_lumen() -> None:
    small, large = (survey(Pelvis(PhantomParameters(foramen_scale=s))) for s in (0.9, 1.1))
    p = np.random.default_rng(3).uniform((-40, -20, -110), (40, 60, 0), (15_000, 3))
    lps = small.pelvis.lps_from_sacral(p)
    for a, b in zip(small.foramina, large.foramina, strict=True):
        inside, more = a.contains(lps), b.contains(lps)
        assert inside.sum() > 5
        assert not (inside & ~more).any()
        assert more.sum() > inside.sum()
        assert (b.distance_mm(lps) <= a.distance_mm(lps) + 1e-9).all()


def test_pose_moves_everything_rigidly() -> None:
    plain = Pelvis(PhantomParameters(asymmetry_mm=2.0))
    rotation, offset = (12.0, -7.0, 20.0), np.array([150.0, -320.0, 900.0])
    posed = Pelvis(PhantomParameters(asymmetry_mm=2.0, rotation_deg=rotation, offset_lps_mm=offset))
    p = _cloud(3000, 4)
    q = p @ rotation_matrix(rotation).T + offset
    for bone in BONES:
        assert posed.bone_mm(bone, q) == pytest.approx(plain.bone_mm(bone, p), abs=1e-8)
    found = survey(posed).landmarks
    for name, point in survey(plain).landmarks.items():
        assert found[name] == pytest.approx(rotation_matrix(rotation) @ point + offset, abs=1e-6)


def test_rotation_turns_about_x_then_y_then_z() -> None:
    assert rotation_matrix((90.0, 0.0, 90.0)) @ (0.0, 1.0, 0.0) == pytest.approx([0.0, 0.0, 1.0])
    assert rotation_matrix((0.0, 90.0, 90.0)) @ (1.0, 0.0, 0.0) == pytest.approx([0.0, 0.0, -1.0])
    r = rotation_matrix((10.0, 20.0, 30.0))
    assert r @ r.T == pytest.approx(np.eye(3))
    assert np.linalg.det(r) == pytest.approx(1.0)


def test_size_scales_all_but_the_gap() -> None:
    one = Pelvis(PhantomParameters(joint_gap_mm=2.0))
    big = Pelvis(PhantomParameters(size=1.15, joint_gap_mm=2.3))
    p = _cloud(3000, 5)
    for bone in BONES:
        assert big.bone_mm(bone, 1.15 * p) == pytest.approx(1.15 * one.bone_mm(bone, p), abs=1e-8)


def test_sides_mirror_each_other_unless_asked_not_to() -> None:
    p = _cloud(4000, 6)
    flipped = p * (-1.0, 1.0, 1.0)
    even, odd = Pelvis(PhantomParameters()), Pelvis(PhantomParameters(asymmetry_mm=4.0))
    mirror = {
        "hip_left": "hip_right",
        "hip_right": "hip_left",
        "femur_left": "femur_right",
        "femur_right": "femur_left",
    }
    for bone in BONES:
        assert even.bone_mm(bone, p) == pytest.approx(even.bone_mm(mirror.get(bone, bone), flipped), abs=1e-9)
    x, truth = {}, survey(odd)
    for side in SIDES:
        x[side] = SIDE_SIGN[side] * odd.sacral_mm(truth.joints[side].points_lps_mm)[:, 0].mean()
    assert x["left"] - x["right"] == pytest.approx(4.0, abs=0.3)
    low = {side: odd.sacral_mm(truth.foramen("S1", side).ventral_mouth_lps_mm[None])[0, 2] for side in SIDES}
    assert low["left"] - low["right"] == pytest.approx(-2.0, abs=0.2)


def test_one_wing_may_reach_farther_out_and_the_sacrum_does_not_mind() -> None:
    even, odd = Pelvis(PhantomParameters()), Pelvis(PhantomParameters(wing_asymmetry_mm=10.0))
    truths = survey(even), survey(odd)
    out = [{s: abs(t.pelvis.pelvic_mm(t.landmarks[f"asis_{s}"][None])[0, 0]) for s in SIDES} for t in truths]
    assert out[1]["left"] - out[1]["right"] == pytest.approx(10.0, abs=0.5)
    assert out[1]["left"] + out[1]["right"] == pytest.approx(out[0]["left"] + out[0]["right"], abs=0.5)
    p = _cloud(4000, 7)
    assert odd.bone_mm("sacrum", p) == pytest.approx(even.bone_mm("sacrum", p), abs=1e-9)


def test_hips_apart_as_asked_leave_spines_and_sacrum_where_they_are() -> None:
    near, far = (Pelvis(PhantomParameters(size=1.1, hip_distance_mm=mm)) for mm in (160.0, 184.0))
    truths = survey(near), survey(far)
    for truth, wanted in zip(truths, (160.0, 184.0), strict=True):
        centres = {side: truth.pelvis.hip[side].form.centre_mm for side in SIDES}
        heads = truth.pelvis.lps_from_pelvic(np.array([(SIDE_SIGN[s] * x, y, z) for s, (x, y, z) in centres.items()]))
        assert np.linalg.norm(heads[0] - heads[1]) == pytest.approx(1.1 * wanted, abs=0.01)
    spines = [np.linalg.norm(t.landmarks["asis_left"] - t.landmarks["asis_right"]) for t in truths]
    assert spines[0] == pytest.approx(spines[1], abs=1.0)
    assert truths[0].pelvis.parameters.pelvic_incidence_deg == truths[1].pelvis.parameters.pelvic_incidence_deg
    p = _cloud(4000, 8)
    assert far.bone_mm("sacrum", p) == pytest.approx(near.bone_mm("sacrum", p), abs=1e-9)


def test_a_closed_foramen_is_solid_bone_and_the_others_stay() -> None:
    truth = survey(Pelvis(PhantomParameters(closed_foramina=("S1_left",))))
    whole = survey(Pelvis(PhantomParameters()))
    assert truth.foramen("S1", "left") is None
    assert len(truth.foramina) == 7
    lumen = whole.foramen("S1", "left").ventral_line_lps_mm
    inner = lumen[(whole.pelvis.solid_sacrum_mm(lumen) < -1.0) & (whole.canal.distance_mm(lumen) > 1.0)]
    assert len(inner) > 5
    assert (truth.bone_mm("sacrum", inner) < 0).all()
    assert np.isinf(truth.pelvis.foramen_mm("S1", "left", inner)).all()
    mirrored = inner * (-1.0, 1.0, 1.0)
    assert (truth.bone_mm("sacrum", mirrored) > 0).all()
