import numpy as np
import pytest

from sjplan.core.errors import AnatomyError, InputError, UnknownNameError
from sjplan.core.frames import AnatomicalFrame
from sjplan.views.standard import SOURCE_TO_ISOCENTRE_MM, VIEW_NAMES, named_view, parse_view, standard_views
from sjplan.xray.carm import CArmGeometry, carm_rotation, ray_direction
from sjplan.xray.types import Detector

SLOPE = np.deg2rad(45)  # of the sacral canal against the body's long axis, as a lying patient's

ORIGIN = np.array([5.0, -20.0, 100.0])


def _pelvis(turn=None):
    """Frame and landmarks of a schematic pelvis, turned about its S1 endplate."""
    q = np.eye(3) if turn is None else turn
    cranial = np.array([0, -np.sin(SLOPE), np.cos(SLOPE)])
    left = np.array([1.0, 0, 0])
    axes = np.array([left, np.cross(cranial, left), cranial])
    marks = {
        "promontory": (0, -16, 2),
        "s2_anterior": (0, 2, -38),
        "symphysis": (0, -75, -105),
        "asis_left": (120, -88, -12),
        "asis_right": (-120, -88, -12),
    }
    landmarks = {name: ORIGIN + q @ np.array(p, float) for name, p in marks.items()}
    return AnatomicalFrame(ORIGIN, axes @ q.T), landmarks


def _turn(roll, pitch, yaw):
    return carm_rotation(roll, pitch, yaw)


def _rotation(carm):
    return carm_rotation(carm.orbital_deg, carm.tilt_deg, carm.wig_wag_deg)


def test_a_straight_patient_needs_no_roll_and_no_wig_wag():
    views = standard_views(*_pelvis())
    for name in ("ap", "inlet", "inlet-canal", "outlet", "outlet-s1"):
        assert views[name].orbital_deg == pytest.approx(0, abs=1e-9)
        assert views[name].wig_wag_deg == pytest.approx(0, abs=1e-9)
    assert abs(views["ap"].tilt_deg) < 8
    assert ray_direction(views["lateral"]) == pytest.approx((1, 0, 0), abs=1e-9)


@pytest.mark.parametrize("angles", [(12, 0, 0), (0, 9, 0), (0, 0, -14), (10, -8, 15), (-20, 15, -6)])
@pytest.mark.parametrize("name", VIEW_NAMES)
def test_an_oblique_patient_gets_the_same_view(name, angles):
    """Turning the pelvis by known angles turns every view's image axes and isocentre with it (1 degree asked)."""
    turn = _turn(*angles)
    straight, turned = standard_views(*_pelvis())[name], standard_views(*_pelvis(turn))[name]
    off = np.rad2deg(np.arccos(np.clip((np.trace(_rotation(turned).T @ turn @ _rotation(straight)) - 1) / 2, -1, 1)))
    assert off < 1e-4
    moved = ORIGIN + turn @ (straight.isocentre_lps_mm - ORIGIN)
    assert turned.isocentre_lps_mm == pytest.approx(moved, abs=1e-9)


def test_true_lateral_superimposes_both_sides_of_an_oblique_pelvis():
    """Two points mirrored about the mid-sagittal plane lie on one line with the ray; cranial is up, front is right."""
    frame, landmarks = _pelvis(_turn(12, -7, 9))
    carm = standard_views(frame, landmarks)["lateral"]
    across = landmarks["asis_left"] - landmarks["asis_right"]
    assert np.cross(across / np.linalg.norm(across), ray_direction(carm)) == pytest.approx(np.zeros(3), abs=1e-9)
    assert carm.wig_wag_deg != pytest.approx(0, abs=0.5)
    geometry = CArmGeometry.of(carm, Detector())
    middle, head, front = geometry.project(frame.lps_from_frame([[0, 0, 0], [0, 0, 10], [0, -10, 0]]))
    assert head[1] < middle[1]
    assert front[0] > middle[0]


def test_inlet_looks_along_the_front_of_s1_and_s2():
    frame, landmarks = _pelvis(_turn(5, 5, 5))
    ray = ray_direction(standard_views(frame, landmarks)["inlet"])
    line = landmarks["s2_anterior"] - landmarks["promontory"]
    assert ray == pytest.approx(line / np.linalg.norm(line), abs=1e-9)


def test_inlet_and_s1_outlet_of_one_line_stand_square():
    views = standard_views(*_pelvis())
    assert views["outlet-s1"].tilt_deg - views["inlet"].tilt_deg == pytest.approx(90, abs=1e-9)
    assert views["inlet"].tilt_deg < 0 < views["outlet-s1"].tilt_deg


@pytest.mark.parametrize("given", [False, True])
def test_outlet_puts_the_top_of_the_symphysis_on_the_s2_foramina(given):
    """In the image itself, perspective included: both lie on the same pixel row, in the middle column."""
    frame, landmarks = _pelvis(_turn(8, -6, 10))
    foramina = frame.lps_from_frame([[20, 0, -60], [-20, 0, -60]]) if given else None
    carm = standard_views(frame, landmarks, s2_foramina_lps_mm=foramina)["outlet"]
    geometry = CArmGeometry.of(carm, Detector())
    up = _rotation(standard_views(frame, landmarks)["ap"])[:, 2]
    top = geometry.project(landmarks["symphysis"] + 18.0 * up)
    down = landmarks["s2_anterior"] - landmarks["promontory"]
    level = foramina.mean(axis=0) if given else landmarks["s2_anterior"] + 14.0 * down / np.linalg.norm(down)
    assert geometry.project(level) == pytest.approx(top, abs=1e-6)
    assert top[0] == pytest.approx(255.5, abs=1e-6)


def test_canal_inlet_follows_the_canal():
    frame, landmarks = _pelvis()
    assert ray_direction(standard_views(frame, landmarks)["inlet-canal"]) == pytest.approx(-frame.cranial, abs=1e-9)
    given = standard_views(frame, landmarks, canal_direction=(0.2, 3.0, -4.0))["inlet-canal"]
    assert ray_direction(given) == pytest.approx((0, 0.6, -0.8), abs=1e-9)


def test_one_sided_views_look_at_their_side():
    """The left iliac wing runs forwards and out: en face for the iliac oblique, in profile for the obturator."""
    frame, landmarks = _pelvis()
    views = standard_views(frame, landmarks)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        wing = np.array([sign, -1.0, 0.0]) / np.sqrt(2)
        assert abs(ray_direction(views[f"judet-iliac-{side}"]) @ wing) < 0.1
        assert abs(ray_direction(views[f"judet-obturator-{side}"]) @ wing) > 0.95
        joint = np.array([-sign * np.sin(np.deg2rad(27)), np.cos(np.deg2rad(27)), 0.0])
        assert ray_direction(views[f"si-oblique-{side}"])[:2] @ joint[:2] > 0.85
        assert views[f"si-oblique-{side}"].tilt_deg > 10
        for name in ("judet-iliac", "judet-obturator", "si-oblique"):
            assert sign * (views[f"{name}-{side}"].isocentre_lps_mm - frame.origin_lps_mm) @ frame.left > 30


def test_without_hip_landmarks_ap_follows_the_scan_and_the_outlet_is_missing():
    frame, landmarks = _pelvis(_turn(10, 0, 5))
    few = {name: landmarks[name] for name in ("promontory", "s2_anterior")}
    views = standard_views(frame, few)
    ray, left = ray_direction(views["ap"]), frame.left
    assert ray @ left == pytest.approx(0, abs=1e-9)
    assert ray @ (0, 1, 0) == pytest.approx(np.linalg.norm(np.cross(left, (0, 1, 0))), abs=1e-9)
    assert "outlet" not in views
    with pytest.raises(AnatomyError, match="view outlet: found landmarks that do not give it"):
        named_view("outlet", views)


def test_every_name_has_a_view():
    assert tuple(standard_views(*_pelvis())) == VIEW_NAMES


def test_unknown_view_gets_a_suggestion():
    with pytest.raises(UnknownNameError, match="did you mean 'outlet'"):
        parse_view("outlte", standard_views(*_pelvis()))


def test_numbers_make_a_pose_about_the_ap_isocentre():
    views = standard_views(*_pelvis())
    carm = parse_view(" -12.5, 30 ,4", views)
    assert (carm.orbital_deg, carm.tilt_deg, carm.wig_wag_deg) == (-12.5, 30.0, 4.0)
    assert carm.isocentre_lps_mm.tolist() == views["ap"].isocentre_lps_mm.tolist()
    assert carm.source_to_isocentre_mm == SOURCE_TO_ISOCENTRE_MM


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("10", "view: found '10'; wanted a view's name, or ORBITAL,TILT"),
        ("1,2,3,4", "view: found '1,2,3,4'; wanted"),
        ("1,north", "view: found '1,north'; wanted"),
        ("1,", "view: found '1,'; wanted"),
        ("nan,0", "view orbital: found nan degrees; wanted -180 to 180 degrees"),
        ("0,inf", "view tilt: found inf degrees"),
        ("0,91", "view tilt: found 91 degrees; wanted -90 to 90 degrees"),
        ("0,0,-200", "view wig-wag: found -200 degrees"),
    ],
)
def test_bad_numbers_are_refused_with_the_reason(text, message):
    with pytest.raises(InputError) as caught:
        parse_view(text, standard_views(*_pelvis()))
    assert str(caught.value).startswith(message)


def test_empty_view_is_refused():
    with pytest.raises(UnknownNameError):
        parse_view("", standard_views(*_pelvis()))
