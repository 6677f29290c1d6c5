"""L4, L5, discs, femurs and coccyx: they fill their places, keep apart, and have the sizes that people have."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import label
from scipy.spatial import cKDTree

from sjplan.core.errors import InputError, UnknownNameError
from sjplan.phantom.bones.coccyx import coccyx
from sjplan.phantom.bones.femur import ANTEVERSION_DEG, JOINT_SPACE_MM, REFERENCE_HEAD_MM, femur_mm, neck_direction
from sjplan.phantom.bones.hip_form import HipForm
from sjplan.phantom.bones.parts import Part, Parts
from sjplan.phantom.bones.spine import DISCS, FACET_GAP_MM, PSEUDO_JOINT_MM, SPINE_LEVELS, Spine, vertebra_mm
from sjplan.phantom.parameters import PhantomParameters
from sjplan.phantom.pelvis import Pelvis

Distance = Callable[[np.ndarray], np.ndarray]

LOW, HIGH = (-75.0, -40.0, -32.0), (75.0, 85.0, 100.0)
"""Sacral box that holds L4, L5 and both discs."""

KINDS = {
    "usual": {},
    "small": {"s1_body_width_mm": 34.0, "s1_body_depth_mm": 22.0},
    "large": {"s1_body_width_mm": 64.0, "s1_body_depth_mm": 42.0},
    "bent": {"scoliosis_deg": 25.0},
    "sacralised": {"transitional": "sacralised-l5"},
    "lumbarised": {"transitional": "lumbarised-s1", "scoliosis_deg": -12.0},
}


@pytest.fixture(scope="module")
def pelvis() -> Pelvis:
    return Pelvis(PhantomParameters())


def _around(pelvis: Pelvis) -> Distance:
    def measure(p: np.ndarray) -> np.ndarray:
        lps = pelvis.lps_from_sacral(p)
        return np.minimum.reduce([pelvis.bone_mm(bone, lps) for bone in ("sacrum", "hip_left", "hip_right")])

    return measure


@pytest.fixture(params=KINDS, scope="module")
def spine(request: pytest.FixtureRequest, pelvis: Pelvis) -> Spine:
    return Spine(**KINDS[request.param], around_mm=_around(pelvis))


def _cloud(n: int, low: tuple[float, ...], high: tuple[float, ...], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(low, high, (n, 3))


def _lattice(low: tuple[float, ...], high: tuple[float, ...], step: float) -> tuple[np.ndarray, tuple[int, ...]]:
    axes = [np.arange(a, b, step) for a, b in zip(low, high, strict=True)]
    grid = np.meshgrid(*axes, indexing="ij")
    return np.stack([g.ravel() for g in grid], axis=1), grid[0].shape


def _pieces(distance: Distance, low: tuple[float, ...], high: tuple[float, ...], step: float = 2.0) -> int:
    p, shape = _lattice(low, high, step)
    return int(label((distance(p) < 0).reshape(shape), np.ones((3, 3, 3)))[1])


def _extent(distance: Distance, low: tuple[float, ...], high: tuple[float, ...], step: float = 1.0) -> np.ndarray:
    p, _ = _lattice(low, high, step)
    inside = p[distance(p) < 0]
    return np.ptp(inside, axis=0) + step


def _check_slopes(distance: Distance, p: np.ndarray) -> None:
    near = p[np.abs(distance(p)) < 2.0]
    assert len(near) > 200
    h = 0.02
    parts = [(distance(near + h * e) - distance(near - h * e)) / (2 * h) for e in np.eye(3)]
    slope = np.linalg.norm(parts, axis=0)
    assert np.median(slope) == pytest.approx(1.0, abs=0.08)
    assert np.quantile(slope, 0.1) > 0.65
    assert np.quantile(slope, 0.99) < 1.4


def test_no_two_of_bones_and_discs_share_a_point(spine: Spine, pelvis: Pelvis) -> None:
    p = _cloud(50_000, LOW, HIGH)
    shapes = [_around(pelvis)(p)]
    shapes += [spine.vertebra_mm(level, p) for level in SPINE_LEVELS]
    shapes += [spine.disc_mm(disc, p) for disc in DISCS]
    assert (np.array(shapes) < 0).sum(axis=0).max() == 1


def test_facet_joints_are_narrow_and_as_wide_as_named(spine: Spine, pelvis: Pelvis) -> None:
    """The least sum of the distances to two bones is the gap between them."""
    p = _cloud(60_000, (8, 15, -32), (32, 60, 60), 1)
    gap = PSEUDO_JOINT_MM if spine.vertebrae["L5"].form.front_mm == 25.0 else FACET_GAP_MM
    l5, l4 = (spine.vertebra_mm(level, p) for level in SPINE_LEVELS)
    for a, b, least in ((_around(pelvis)(p), l5, gap), (l5, l4, FACET_GAP_MM)):
        between = 2.0 * np.maximum(a, b).min()
        assert least - 0.3 < between < least + 1.2


def test_a_broad_process_meets_the_ala_in_a_pseudo_joint(pelvis: Pelvis) -> None:
    p = _cloud(60_000, (26, -15, -20), (60, 30, 20), 2)
    sacrum = pelvis.bone_mm("sacrum", pelvis.lps_from_sacral(p))
    gaps = {
        kind: 2.0 * np.maximum(sacrum, Spine(transitional=kind, around_mm=_around(pelvis)).vertebra_mm("L5", p)).min()
        for kind in ("none", "sacralised-l5")
    }
    assert gaps["sacralised-l5"] == pytest.approx(PSEUDO_JOINT_MM, abs=0.5)
    assert gaps["none"] > 1.5 * PSEUDO_JOINT_MM


def test_discs_fill_what_lies_between_the_endplates(spine: Spine, pelvis: Pelvis) -> None:
    """Along the axis of each disc: bone, at most half a millimetre of nothing, disc, and bone again."""
    for disc, level in zip(DISCS, SPINE_LEVELS, strict=True):
        half_x, half_y = np.array(spine.vertebrae[level].form.body_half_mm)
        z = np.arange(-9.0, 9.0, 0.05)
        for x, y in ((0.0, 0.0), (0.4 * half_x, 0.0), (-0.4 * half_x, -0.2 * half_y), (0.0, -0.4 * half_y)):
            line = np.column_stack([np.full(len(z), x), np.full(len(z), y), z])
            p = spine.places[disc].sacral_mm(line)
            bone = np.minimum(_around(pelvis)(p), np.minimum(*(spine.vertebra_mm(v, p) for v in SPINE_LEVELS)))
            inside = spine.disc_mm(disc, p) < 0
            free = (bone > 0) & ~inside
            assert inside.sum() * 0.05 > 1.5
            assert np.abs(np.diff(inside.astype(int))).sum() == 2
            assert free.sum() * 0.05 < 1.2


@pytest.mark.parametrize(("level", "width", "depth"), [("L5", 52.0, 35.0), ("L4", 50.0, 34.0)])
def test_bodies_have_the_size_of_adults(level: str, width: float, depth: float) -> None:
    """Recalled sizes; L5 is a wedge."""
    spine = Spine()
    vertebra = spine.vertebrae[level]
    size = _extent(vertebra.body_mm, (-32, -24, -20), (32, 24, 20), 0.5)
    assert size[0] == pytest.approx(width, abs=2.0)
    assert size[1] == pytest.approx(depth, abs=2.0)
    z = np.arange(-20.0, 20.0, 0.1)
    front, middle, back = (
        0.1 * np.count_nonzero(vertebra.body_mm(np.column_stack([0 * z, 0 * z + y, z])) < 0)
        for y in (-0.75 * depth / 2, 0.0, 0.7 * depth / 2)
    )
    assert front > middle + 1.0
    assert (front > back + 1.5) == (level == "L5")
    whole = _extent(vertebra.bone_mm, (-60, -30, -40), (60, 80, 40))
    assert 84.0 < whole[0] < 100.0
    assert 74.0 < whole[1] < 95.0


def test_lordosis_and_disc_heights() -> None:
    """L5/S1 12 to 14 degrees; discs 10 and 11 mm high in their middle (recalled)."""
    spine = Spine()
    for disc, low, high, height in (("L5S1", 12.0, 14.0, 10.0), ("L4L5", 7.0, 11.0, 11.0)):
        below, above = spine.rims[disc]
        lean = np.degrees(np.arccos(below.axes[:, 2] @ above.axes[:, 2]))
        assert low <= lean <= high
        rise = (above.origin_mm - below.origin_mm) @ below.axes[:, 2]
        assert rise == pytest.approx(height, abs=0.5)
        assert np.cross(below.axes[:, 2], above.axes[:, 2])[0] < 0


def test_each_is_one_piece(spine: Spine) -> None:
    for level in SPINE_LEVELS:
        assert _pieces(lambda p, level=level: spine.vertebra_mm(level, p), LOW, HIGH) == 1
    for disc in DISCS:
        assert _pieces(lambda p, disc=disc: spine.disc_mm(disc, p), (-40, -25, -6), (40, 45, 62), 1.0) == 1


def test_both_halves_are_alike_unless_the_spine_is_bent(spine: Spine) -> None:
    p = _cloud(20_000, LOW, HIGH, 3)
    mirrored = p * (-1.0, 1.0, 1.0)
    straight = np.allclose(spine.places["L4"].origin_mm[0], 0.0)
    same = [
        np.allclose(measure(p), measure(mirrored), atol=1e-9)
        for measure in (lambda q: spine.vertebra_mm("L5", q), lambda q: spine.disc_mm("L4L5", q))
    ]
    assert same == [straight, straight]


def test_a_bend_to_the_left_is_the_mirror_of_one_to_the_right() -> None:
    p = _cloud(20_000, LOW, HIGH, 4)
    left, right = Spine(scoliosis_deg=14.0), Spine(scoliosis_deg=-14.0)
    for level in SPINE_LEVELS:
        assert np.allclose(left.vertebra_mm(level, p), right.vertebra_mm(level, p * (-1, 1, 1)), atol=1e-9)
    assert left.places["L4"].axes[0, 2] == pytest.approx(np.sin(np.deg2rad(14.0)), abs=0.03)
    tip = left.places["L4"].axes @ np.array((0.0, 1.0, 0.0))
    assert tip[0] > 0


def test_the_vertebral_canal_is_open(spine: Spine) -> None:
    for level in SPINE_LEVELS:
        middle = spine.canal_middle_mm(level)
        t = np.linspace(0.0, 1.0, 40)[:, None]
        line = np.concatenate([middle[0] * (1 - t) + middle[1] * t, middle[1] * (1 - t) + middle[2] * t])
        assert spine.vertebra_mm(level, line).min() > 5.0


def test_vertebrae_have_slopes_near_one_and_the_adult_is_the_default() -> None:
    p = _cloud(40_000, LOW, HIGH, 5)
    for level in SPINE_LEVELS:
        _check_slopes(lambda q, level=level: vertebra_mm(level, q), p)
        assert np.array_equal(vertebra_mm(level, p), Spine().vertebra_mm(level, p))


def test_unknown_names_are_refused() -> None:
    p = np.zeros((1, 3))
    with pytest.raises(UnknownNameError, match="L6"):
        vertebra_mm("L6", p)
    with pytest.raises(UnknownNameError, match="L3L4"):
        Spine().disc_mm("L3L4", p)
    with pytest.raises(UnknownNameError, match="sacralized"):
        Spine(transitional="sacralized")


def test_parts_agree_with_brute_force() -> None:
    parts = Parts(
        (
            Part("a", (0, 0, 0), (12, 3, 0), (5.0, 3.0), 2.0, (0, 0, 1)),
            Part("b", (12, 3, 0), (12, 3, 9), (3.0, 3.0), 1.0, (0, 0, 1), 3.0),
            Part("ball in a ball", (0, 0, 0), (0, 0, 1), (6.0, 1.0), 1.4, (1, 1, 0), 2.0),
        )
    )
    p = _cloud(800, (-10, -10, -10), (22, 14, 18), 6)
    fast, slow = parts.exact_mm(p), parts.reference_mm(p)
    near = np.abs(slow) < 4.0
    assert np.abs(fast - slow)[near].max() < 0.05
    assert (np.sign(fast) == np.sign(slow))[np.abs(slow) > 0.05].all()


def test_far_values_are_lower_bounds() -> None:
    parts = Parts((Part("a", (0, 0, 0), (12, 3, 0), (5.0, 3.0), 2.0, (0, 0, 1)),))
    lattice, _ = _lattice((-8, -8, -4), (18, 8, 4), 0.5)
    solid = lattice[parts.exact_mm(lattice) < 0]
    p = _cloud(2000, (-60, -60, -60), (60, 60, 60), 7)
    nearest, _ = cKDTree(solid).query(p)
    beyond = nearest > 12.0
    assert (parts.distance_mm(p) < nearest)[beyond].all()
    assert (parts.distance_mm(p) > 0)[beyond].all()


# -- femur


def test_femur_has_the_angles_and_sizes_of_adults() -> None:
    """Head 47 mm, offset 40 to 45, neck narrower than the head, trochanter's tip near the head's centre (recalled)."""
    hip = HipForm(centre_mm=(0.0, 0.0, 0.0))
    p, _ = _lattice((-30, -32, -130), (75, 45, 30), 1.5)
    inside = p[femur_mm(p, hip) < 0]
    assert -hip.head_radius_mm == pytest.approx(inside[:, 0].min(), abs=1.5)
    assert hip.head_radius_mm == pytest.approx(inside[:, 2].max(), abs=1.5)
    assert inside[:, 2].min() == -130.0
    shaft = inside[inside[:, 2] == -110.5]
    assert 24.0 < np.ptp(shaft[:, 0]) < 32.0
    lean = np.tan(np.deg2rad(5.0))
    assert 38.0 < shaft[:, 0].mean() + 110.0 * lean - 2.0 < 50.0
    trochanter = inside[(inside[:, 0] > 36.0)]
    assert -12.0 < trochanter[:, 2].max() < 2.0
    n = neck_direction()
    middle = n * 34.0
    across = np.array((n[2], 0.0, -n[0])) / np.hypot(n[0], n[2])
    t = np.arange(-30.0, 30.0, 0.25)
    height = np.count_nonzero(femur_mm(middle + t[:, None] * across, hip) < 0) * 0.25
    assert 28.0 < height < 38.0
    assert np.degrees(np.arctan2(n[1], n[0])) == pytest.approx(ANTEVERSION_DEG)


@pytest.mark.parametrize("slope", [22.0, 40.0, 58.0])
def test_femur_keeps_clear_of_the_socket(slope: float) -> None:
    pelvis = Pelvis(PhantomParameters(sacral_slope_deg=slope, pelvic_tilt_deg=13.0))
    form = pelvis.hip["left"].form
    p = np.array(form.centre_mm) + _cloud(60_000, (-45, -45, -45), (45, 45, 45), 8)
    bone = pelvis.bone_mm("hip_left", pelvis.lps_from_pelvic(p))
    assert 2.0 * np.maximum(femur_mm(p, form), bone).min() > 1.0
    kept = femur_mm(p, form, bone)
    outside = np.linalg.norm(p - form.centre_mm, axis=1) > form.head_radius_mm + 2.0
    assert 2.0 * np.maximum(kept, bone)[outside].min() > JOINT_SPACE_MM - 1.0
    assert not ((kept < 0) & (bone < 0)).any()


def test_femur_is_one_piece_grows_with_its_head_and_has_slopes_near_one() -> None:
    hip = HipForm(centre_mm=(0.0, 0.0, 0.0), head_radius_mm=REFERENCE_HEAD_MM)
    assert _pieces(lambda p: femur_mm(p, hip), (-30, -32, -130), (75, 45, 30), 2.0) == 1
    p = _cloud(40_000, (-30, -32, -110), (75, 45, 30), 9)
    _check_slopes(lambda q: femur_mm(q, hip), p)
    large = replace(hip, head_radius_mm=1.1 * REFERENCE_HEAD_MM)
    assert np.allclose(femur_mm(1.1 * p, large), 1.1 * femur_mm(p, hip), atol=1e-9)


# -- coccyx


@pytest.mark.parametrize("segments", [1, 3, 4, 5])
def test_coccyx_hangs_together_and_curves_forward(segments: int) -> None:
    start, direction = (0.0, -9.0, -112.0), (0.0, -0.5, -0.87)
    bone = coccyx(start, direction, segments)
    low, high = (-20.0, -60.0, -160.0), (20.0, 15.0, -95.0)
    assert _pieces(bone.distance_mm, low, high, 0.8) == 1
    assert bone.distance_mm(np.array([start]))[0] < -1.0
    p, _ = _lattice(low, high, 0.8)
    inside = p[bone.distance_mm(p) < 0]
    assert np.abs(inside[:, 0]).max() < 14.0
    tip = inside[inside[:, 1].argmin()]
    assert tip[2] < -112.0
    if segments == 4:
        length = np.linalg.norm(tip - np.array(start))
        assert 30.0 < length < 45.0
    assert np.array_equal(bone.distance_mm(p), bone.distance_mm(p * (-1.0, 1.0, 1.0)))


def test_coccyx_refuses_other_numbers_of_segments() -> None:
    with pytest.raises(InputError, match="1 to 5"):
        coccyx((0.0, 0.0, 0.0), (0.0, 0.0, -1.0), 6)
