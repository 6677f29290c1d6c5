"""Levels are counted from the top and say when they may be wrong."""

import numpy as np
import pytest

from sjplan.anatomy.levels import missing_levels, name_levels
from sjplan.anatomy.tunnels import Tunnel

SIDES = {1: "left", -1: "right"}
ENDPLATE = 20.0


def tunnels(*depths, signs=(1, -1)):
    """A tunnel on each side at each depth below the endplate."""
    empty = np.zeros((0, 3), dtype=np.intp)
    return [Tunnel(sign, ENDPLATE + d, 500.0, empty) for d in depths for sign in signs]


def named(found):
    usable = [True] * len(found)
    return name_levels(found, usable, [False] * len(found), ENDPLATE)


def test_four_pairs_are_s1_to_s4_without_doubt():
    naming = named(tunnels(33, 58, 78, 97))
    assert [(n.level, n.sign) for n in naming.named] == [(f"S{k}", s) for k in (1, 2, 3, 4) for s in (1, -1)]
    assert not naming.findings
    assert not any(n.doubtful for n in naming.named)
    assert missing_levels(naming, SIDES, ENDPLATE, 150.0) == ()


def test_sides_of_one_pair_need_not_be_level():
    found = [*tunnels(31, 57, signs=(1,)), *tunnels(36, 62, signs=(-1,))]
    assert sorted((n.level, n.sign) for n in named(found).named) == [("S1", -1), ("S1", 1), ("S2", -1), ("S2", 1)]


def test_a_first_pair_too_deep_is_shifted_and_doubted():
    naming = named(tunnels(58, 78, 97))
    assert [n.level for n in naming.named][::2] == ["S2", "S3", "S4"]
    assert all(n.doubtful for n in naming.named)
    assert "58 mm below the S1 endplate" in naming.findings[0].text
    missing = missing_levels(naming, SIDES, ENDPLATE, 150.0)
    assert [(f.code, f.severity, f.side) for f in missing] == [
        ("foramen-missing", "refusal", "left"),
        ("foramen-missing", "refusal", "right"),
    ]
    assert all("S1" in f.text and "closed" in f.text for f in missing)


@pytest.mark.parametrize(
    ("depths", "level"), [((52, 72, 90), "S2"), ((46, 62, 76), "S2"), ((41, 57, 72), "S2"), ((40, 70, 92), "S1")]
)
def test_a_small_sacrum_without_open_s1_is_seen_by_proportion(depths, level):
    assert named(tunnels(*depths)).named[0].level == level


@pytest.mark.parametrize("first", [12.0, 19.0])
def test_a_first_pair_too_shallow_is_doubted(first):
    naming = named(tunnels(first, first + 25))
    assert [f.code for f in naming.findings] == ["level-doubtful"]
    assert all(n.doubtful for n in naming.named)


def test_a_whole_missing_segment_skips_a_name():
    naming = named(tunnels(33, 82, 100))
    assert [n.level for n in naming.named][::2] == ["S1", "S3", "S4"]
    assert all(n.doubtful for n in naming.named)
    assert any("49 mm" in f.text for f in naming.findings)


def test_an_odd_spacing_below_s3_leaves_s1_alone():
    naming = named(tunnels(33, 58, 80, 92))
    assert [f.code for f in naming.findings] == ["level-doubtful"]
    assert not any(n.doubtful for n in naming.named)


def test_a_fifth_pair_is_a_finding():
    naming = named(tunnels(33, 58, 78, 97, 114))
    assert [f.code for f in naming.findings] == ["foramina-count"]
    assert {n.level for n in naming.named} == {"S1", "S2", "S3", "S4"}


def test_a_sacrum_cut_below_s2_says_so():
    missing = missing_levels(named(tunnels(33, 58)), SIDES, ENDPLATE, ENDPLATE + 72.0)
    assert [f.severity for f in missing] == ["note"] * 4
    assert all("ends above it" in f.text for f in missing)


def test_no_tunnel_at_all():
    missing = missing_levels(named([]), SIDES, ENDPLATE, 150.0)
    assert [f.code for f in missing] == ["foramen-missing"] * 8 + ["foramina-closed"]


def test_of_two_pieces_on_one_side_the_larger_is_the_foramen():
    found = tunnels(33, 37, signs=(1,))
    found[1].seed_mm3 = 900.0
    assert [n.index for n in named(found).named] == [1]


def sized(found, *pockets):
    """Tunnels of both sides with their volumes, a pair of them or one for both sides of each pair."""
    for n, pocket in enumerate(pockets):
        for tunnel, mm3 in zip(found[2 * n : 2 * n + 2], np.broadcast_to(pocket, 2), strict=True):
            tunnel.seed_mm3 = float(mm3)
    return found


def test_two_levels_in_one_opening_are_doubted():
    """Member 198 of the cohort as it was: S1 and S2 of each side in one pocket, so that S3 was named S2."""
    naming = named(sized(tunnels(30, 59, 78), (4540, 4206), (919, 860), (568, 571)))
    assert [f.code for f in naming.findings] == ["level-doubtful"]
    assert "4.9 times as large as the next (at most 3.4): it may be two levels in one" in naming.findings[0].text
    assert [n.level for n in naming.named] == [level for level in ("S1", "S2", "S3") for _ in "lr"]
    assert all(n.doubtful for n in naming.named)


@pytest.mark.parametrize(
    "pockets",
    [
        ((1501, 1522), (565, 478), (845, 805), (397, 413)),
        ((2547, 2452), (1566, 1492), (919, 860), (568, 571)),
        ((2800, 2670), (1209, 1282), (276, 251), (150, 125)),
        ((1665, 1531), (857, 890)),
    ],
    ids=["adults 19", "adults 198", "vsd z019", "jhu 08"],
)
def test_a_first_pair_larger_than_the_next_as_usual_is_not_doubted(pockets):
    naming = named(sized(tunnels(*(33, 58, 78, 97)[: len(pockets)]), *pockets))
    assert not naming.findings
    assert not any(n.doubtful for n in naming.named)


def test_of_a_first_pair_open_on_one_side_that_side_is_compared():
    """The other side's next opening does not count: sizes of two sides may differ."""
    found = sized(tunnels(33, 58, 78), 3000, (1000, 200), 400)
    for first, wanted in ((3000.0, False), (4000.0, True)):
        found[0].seed_mm3 = first
        naming = name_levels(found, [True, False, True, True, True, True], [False] * 6, ENDPLATE)
        assert bool(naming.findings) is wanted
    assert "4.0 times" in naming.findings[0].text


def test_sides_that_share_no_level_are_not_compared():
    found = sized(tunnels(33, 58), 5000, 500)
    naming = name_levels(found, [True, False, False, True], [False] * 4, ENDPLATE)
    assert not naming.findings


def test_unusable_tunnels_are_not_counted():
    found = tunnels(33, 58)
    naming = name_levels(found, [False, True, True, True], [False] * 4, ENDPLATE)
    assert [(n.level, n.sign) for n in naming.named] == [("S1", -1), ("S2", 1), ("S2", -1)]
