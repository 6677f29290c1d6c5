from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from sjplan.core.errors import InputError, SjplanError, UnknownNameError
from sjplan.io import presets
from sjplan.io.cohorts import (
    cohort_sha256,
    draw,
    list_cohorts,
    member_seed,
    member_spec,
    read_cohort,
    stratum_of,
)
from sjplan.io.phantom_tables import GROUP_RANGES
from sjplan.phantom.parameters import RANGES, PhantomParameters

HEAD = 'schema = "sjplan.cohort/1"\nname = "mine"\nsummary = "my own"\ncount = {count}\n'

SIZE = """
[parameters.size]
kind = "normal"
mean = 1.0
sd = 0.04
source = "default"
"""

SLOPE = """
[parameters.sacral_slope_deg]
kind = "uniform"
low = 20.0
high = 60.0
source = "MACTH"
"""

HIPS = """
[variants.hip_replacement]
kind = "choice"
values = ["none", "left", "both"]
weights = [0.7, 0.2, 0.1]
source = "default"
"""

AGE = """
[habitus.age_years]
kind = "constant"
value = 70.0
source = "default"
"""

BUMPS = """
[variants.mammillary_mm]
kind = "uniform"
low = 1.0
high = 4.0
with_probability = 0.3
source = "MILLER12"

[variants.residual_disc]
kind = "constant"
value = 0.9
with_probability = 0.7
otherwise = 0.0
source = "ACE19"
"""

STRATA = """
[[strata]]
name = "female"
share = 0.7
[strata.habitus.sex]
kind = "constant"
value = "female"
source = "default"

[[strata]]
name = "male"
share = 0.3
[strata.habitus.sex]
kind = "constant"
value = "male"
source = "default"
[strata.parameters.size]
kind = "uniform"
low = 1.1
high = 1.2
source = "default"
"""

FLAT = """
schema = "sjplan.cohort/1"
name = "old"
summary = "As cohorts were before there were variants"
count = 5

[parameters.size]
kind = "normal"
mean = 1.0
sd = 0.066
low = 0.85
high = 1.18
source = "DRY30"

[offset_lps_mm]
kind = "uniform"
low = -40.0
high = 40.0
source = "default"

[rotation_deg]
kind = "normal"
mean = 0.0
sd = 3.0
low = -8.0
high = 8.0
source = "default"
"""


def mine(tmp_path: Path, *parts: str, count: int = 400, name: str = "mine") -> Path:
    path = tmp_path / f"{name}.toml"
    path.write_text(HEAD.format(count=count) + "".join(parts), encoding="utf-8")
    return path


def test_cohorts_are_listed_adults_first() -> None:
    found = list_cohorts()
    assert next(iter(found)) == "adults"
    assert set(found) >= {"adults", "dysmorphic", "osteoporotic"}
    assert [read_cohort(name).count for name in ("adults", "dysmorphic", "osteoporotic")] == [1000, 100, 100]


def test_the_older_place_of_these_names_still_has_them() -> None:
    assert (presets.read_cohort, presets.draw) == (read_cohort, draw)


def test_an_unknown_cohort_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'adults'"):
        read_cohort("adult")


def test_members_depend_on_seed_and_index_alone() -> None:
    cohort = read_cohort("adults")
    assert draw(cohort, 7, 1).as_dict() == draw(read_cohort("adults"), 7, 1).as_dict()
    assert draw(cohort, 7, 1).as_dict() != draw(cohort, 8, 1).as_dict()
    assert draw(cohort, 7, 1).as_dict() != draw(cohort, 7, 2).as_dict()
    assert member_seed(7, 1) != member_seed(8, 1)


def test_draws_stay_what_they_were(tmp_path: Path) -> None:
    """A cohort drawn by an earlier version stays the same cohort."""
    member = draw(read_cohort(mine(tmp_path, SIZE, SLOPE, HIPS)), 3, 0)
    pinned = (member.size, member.sacral_slope_deg, member.variants.hip_replacement)
    assert pinned[:2] == pytest.approx(PINNED[:2], abs=1e-12)
    assert pinned[2] == PINNED[2]


PINNED = (1.0122345783752265, 49.214222251936874, "none")


def test_a_law_draws_the_same_whatever_other_laws_there_are(tmp_path: Path) -> None:
    few = read_cohort(mine(tmp_path, SIZE))
    many = read_cohort(mine(tmp_path, HIPS, SLOPE, AGE, BUMPS, SIZE, name="many"))
    assert [draw(few, i).size for i in range(60)] == [draw(many, i).size for i in range(60)]
    with_strata = read_cohort(mine(tmp_path, SIZE, SLOPE, STRATA, name="parts"))
    women = [i for i in range(60) if draw(with_strata, i).habitus.sex == "female"]
    assert [draw(few, i).size for i in women] == [draw(with_strata, i).size for i in women]
    assert len({draw(few, i).size for i in range(60)}) == 60


def test_adults_follow_their_laws() -> None:
    cohort = read_cohort("adults")
    members = [draw(cohort, i, 0) for i in range(400)]
    varied = {name for _, name in cohort.laws()} | {
        name for part in cohort.parts() for table, name in part.laws() if table == "parameters"
    }
    assert varied >= set(RANGES), "every number of the shape is varied"
    for (table, name), law in cohort.laws().items():
        values = [getattr(m if table == "parameters" else getattr(m, table), name) for m in members]
        if law.kind == "normal":
            assert law.low <= min(values) <= max(values) <= law.high
            evenly_cut = abs(law.mean - law.low - (law.high - law.mean)) < 1e-6
            if evenly_cut and table == "parameters" and "sacral_slope" not in name and "tilt" not in name:
                assert np.mean(values) == pytest.approx(law.mean, abs=4 * np.std(values) / 20)


def test_normal_laws_without_ends_are_cut_at_the_range(tmp_path: Path) -> None:
    law = read_cohort(mine(tmp_path, SIZE)).laws()["parameters", "size"]
    assert (law.low, law.high) == pytest.approx((1 - 2.6 * 0.04, 1 + 2.6 * 0.04))
    wide = read_cohort(mine(tmp_path, SIZE.replace("0.04", "0.3"))).laws()["parameters", "size"]
    assert (wide.low, wide.high) == RANGES["size"][:2]


def test_choices_come_by_weight_and_variants_by_probability(tmp_path: Path) -> None:
    cohort = read_cohort(mine(tmp_path, HIPS, AGE, BUMPS))
    variants = [asdict(draw(cohort, i).variants) for i in range(400)]
    hips = [v["hip_replacement"] for v in variants]
    assert [hips.count(word) / 400 for word in ("none", "left", "both")] == pytest.approx([0.7, 0.2, 0.1], abs=0.07)
    bumps = [v["mammillary_mm"] for v in variants]
    assert sum(b > 0 for b in bumps) / 400 == pytest.approx(0.3, abs=0.07)
    assert all(b == 0.0 or 1.0 <= b <= 4.0 for b in bumps)
    assert {v["residual_disc"] for v in variants} == {0.9, 0.0}
    assert {draw(cohort, i).habitus.age_years for i in range(5)} == {70.0}


def test_strata_have_their_shares_and_their_laws(tmp_path: Path) -> None:
    cohort = read_cohort(mine(tmp_path, SIZE, STRATA))
    members = [draw(cohort, i) for i in range(400)]
    men = [m for m in members if m.habitus.sex == "male"]
    assert len(men) / 400 == pytest.approx(0.3, abs=0.07)
    assert min(m.size for m in men) >= 1.1
    assert max(m.size for m in members if m.habitus.sex == "female") < 1.11
    parts = [stratum_of(cohort, i) for i in range(400)]
    assert [part.name for part in parts if part] == [m.habitus.sex for m in members]
    assert stratum_of(read_cohort(mine(tmp_path, SIZE)), 0) is None


def test_cohorts_from_before_there_were_tables_keep_opening(tmp_path: Path) -> None:
    path = tmp_path / "old.toml"
    path.write_text(FLAT, encoding="utf-8")
    member = draw(read_cohort(path), 2)
    assert 0.85 <= member.size <= 1.18
    assert np.abs(member.offset_lps_mm).max() <= 40
    assert len(set(member.rotation_deg.tolist())) == 3
    assert member.variants == PhantomParameters().variants


def test_contradictory_values_are_drawn_again(tmp_path: Path) -> None:
    steep = SLOPE.replace("20.0", "50.0").replace("60.0", "62.0")
    tilt = '\n[parameters.pelvic_tilt_deg]\nkind = "uniform"\nlow = 10.0\nhigh = 34.0\nsource = "MACTH"\n'
    cohort = read_cohort(mine(tmp_path, steep, tilt))
    incidence = [draw(cohort, i).pelvic_incidence_deg for i in range(100)]
    assert max(incidence) <= 78
    assert max(incidence) > 75
    never = read_cohort(mine(tmp_path, steep, tilt.replace("10.0", "33.0"), name="never"))
    with pytest.raises(InputError, match=r"cohort mine, member 0: found 100 draws .*sacral_slope_deg \+ pelvic_tilt"):
        draw(never, 0)


def test_a_member_knows_where_its_numbers_come_from(tmp_path: Path) -> None:
    spec = member_spec(read_cohort(mine(tmp_path, SLOPE, HIPS, STRATA)), 4, seed=2, spacing_mm=3.0)
    assert (spec.name, spec.spacing_mm, spec.seed) == ("mine-00004", 3.0, member_seed(4, 2))
    assert "seed 2" in spec.summary
    assert 'sacral_slope_deg = "MACTH"' in spec.text()
    assert 'ala_depth_mm = "default: ALA00' in spec.text()


def test_a_cohort_may_name_its_spacing(tmp_path: Path) -> None:
    cohort = read_cohort(mine(tmp_path, "spacing_mm = 2.5\n", SIZE))
    assert member_spec(cohort, 0).spacing_mm == 2.5
    assert member_spec(cohort, 0, spacing_mm=3.0).spacing_mm == 3.0
    coarse = read_cohort(mine(tmp_path, "spacing_mm = 25.0\n", SIZE))
    with pytest.raises(InputError, match=r"spacing_mm: found 25; wanted 0\.4 to 4 mm"):
        member_spec(coarse, 0)


def test_the_fingerprint_is_the_files(tmp_path: Path) -> None:
    path = mine(tmp_path, SIZE)
    first = cohort_sha256(path)
    path.write_text(path.read_text() + "\n", encoding="utf-8")
    assert cohort_sha256(path) != first
    assert len(cohort_sha256("adults")) == 64


@pytest.mark.parametrize("index", [-1, 1000])
def test_an_index_outside_the_cohort_is_refused(index: int) -> None:
    with pytest.raises(InputError, match=f"cohort index: found {index}; wanted 0 to 999"):
        draw(read_cohort("adults"), index)


def test_a_negative_seed_is_refused() -> None:
    with pytest.raises(InputError, match="cohort seed: found -1"):
        draw(read_cohort("adults"), 0, seed=-1)


ALL = HEAD.format(count=10) + SIZE + SLOPE + HIPS + AGE + BUMPS + STRATA
size_range = rf"wanted 0\.8 to 1\.2 \({RANGES['size'].source.split(' ')[0]}"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("count = 10", "count = 0", r"mine\.toml: count: found 0; wanted greater than 0"),
        ("count = 10", "count = 1000000", r"mine\.toml: count: found 1000000; wanted less than or equal to 100000"),
        ("count = 10", "", r"mine\.toml: count: found no such key"),
        ("low = 20.0", "low = 2.0", r"sacral_slope_deg: found 2; wanted 20 to 62 \(MACTH"),
        ("high = 60.0", "high = 99.0", r"mine\.toml: parameters\.sacral_slope_deg: found 99; wanted 20 to 62 \(MACTH"),
        ("high = 60.0", "high = 10.0", r"parameters\.sacral_slope_deg: found low 20 is not below high 10"),
        ("[parameters.size]", "[parameters.girth]", r"mine\.toml: parameters\.girth: found 'girth'; wanted one of al"),
        ("[variants.hip_", "[variants.knee_", r"variants\.knee_replacement: found .*did you mean 'hip_replacement'"),
        ("[habitus.age", "[habits.age", r"mine\.toml: habits: found 'habits'.*did you mean 'habitus'"),
        ("sd = 0.04\n", "", r"mine\.toml: parameters\.size\.sd: found no such key"),
        ("sd = 0.04\n", "sd = -0.1\n", r"mine\.toml: parameters\.size\.(sd|low)"),
        ("mean = 1.0\n", "mean = 9.0\n", r"mine\.toml: parameters\.size: found .*(lies outside|is not below)"),
        ("sd = 0.04\n", "sd = 0.04\nlow = 0.5\n", rf"parameters\.size: found 0\.5; {size_range}"),
        ("sd = 0.04\n", "sd = 0.04\nwidth = 1.0\n", r"parameters\.size\.width: found 'width'; wanted one of .*mean"),
        ('kind = "normal"', 'kind = "gauss"', r"parameters\.size\.kind: found 'gauss'; wanted 'normal', 'uniform'"),
        ('kind = "normal"\n', "", r"mine\.toml: parameters\.size\.kind: found 'nothing'"),
        ('"left", "both"]', '"left", "knee"]', r"variants\.hip_replacement.*found 'knee'; wanted one of none, left"),
        ("[0.7, 0.2, 0.1]", "[0.7, 0.2]", r"variants\.hip_replacement: found 2 weights for 3 values"),
        ("value = 70.0", "value = 170.0", r"habitus\.age_years: found 170; wanted 18 to 95 \(adults"),
        ("value = 70.0", 'value = "old"', r"habitus\.age_years: found 'old'; wanted a number, 18 to 95"),
        ("with_probability = 0.3", "with_probability = 1.3", r"mammillary_mm\.with_probability: found 1\.3"),
        ("otherwise = 0.0", "otherwise = 7.0", r"variants\.residual_disc: found 7; wanted 0 to 1 \(ACE19"),
        ("with_probability = 0.7\n", "", r"variants\.residual_disc: found otherwise without with_probability"),
        ("share = 0.7", "share = 0.9", r"mine\.toml: found shares of the strata that add up to 1\.2 in place of 1"),
        ('name = "male"', 'name = "female"', r"mine\.toml: found two strata of one name"),
        ("high = 1.2\n", "high = 2.2\n", rf"mine\.toml: stratum male: parameters\.size: found 2\.2; {size_range}"),
        ('value = "male"', 'value = "m"', r"stratum male: habitus\.sex: .*found 'm'; wanted one of female, male"),
        ("share = 0.3", "share = 0.3\nshares = 1", r"mine\.toml: strata\.1\.shares: found 'shares'.*'share'"),
        ('source = "MACTH"', 'sauce = "MACTH"', r"sacral_slope_deg\.s(ource|auce)"),
        ('name = "mine"', 'name = "../mine"', r"mine\.toml: name: found '\.\./mine'"),
    ],
)  # fmt: skip
def test_a_broken_cohort_says_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in ALL
    path = tmp_path / "mine.toml"
    path.write_text(ALL.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SjplanError, match=message) as error:
        read_cohort(path)
    assert "\n" not in str(error.value)


def test_a_pose_out_of_range_is_refused(tmp_path: Path) -> None:
    turned = '\n[rotation_deg]\nkind = "uniform"\nlow = -40.0\nhigh = 40.0\nsource = "default"\n'
    with pytest.raises(InputError, match=r"mine\.toml: rotation_deg: phantom rotation_deg: .*each within 30 degrees"):
        read_cohort(mine(tmp_path, turned))


def test_every_law_that_ships_lies_within_the_ranges() -> None:
    for name in list_cohorts():
        for (table, key), law in read_cohort(name).laws().items():
            limits = GROUP_RANGES[table].get(key)
            if limits is not None:
                assert all(limits.low <= value <= limits.high for value in law.values()), (name, key)
