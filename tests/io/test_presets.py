import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sjplan.core.errors import InputError, SjplanError, UnknownNameError
from sjplan.io.phantom_spec import PhantomSpec
from sjplan.io.phantom_tables import GROUP_RANGES, TABLES, toml_text
from sjplan.io.presets import TARGETS, list_presets, phantoms_folder, read_preset, read_spec
from sjplan.phantom.parameters import GROUPS, TUNNELS, PhantomParameters

PRESET = """
schema = "sjplan.phantom/1"
name = "mine"
summary = "one of my own"
[parameters]
size = 0.95
[habitus]
bmi = 31.0
[sources]
size = "default"
"habitus.bmi" = "FRANK"
"""

FLAT = """
schema = "sjplan.phantom/1"
name = "default"
summary = "As presets were before there were variants"

[parameters]
size = 1.0
sacral_slope_deg = 40.0
foramen_scale = 1.0
ala_height_mm = 20.0
joint_gap_mm = 1.7
asymmetry_mm = 0.0
closed_foramina = []
offset_lps_mm = [0.0, 0.0, 0.0]
rotation_deg = [0.0, 0.0, 0.0]

[sources]
size = "SPACE12"
sacral_slope_deg = "MACTH"
foramen_scale = "SALUJA"
ala_height_mm = "EBR98"
joint_gap_mm = "DEMIR"
asymmetry_mm = "default"
closed_foramina = "default"
offset_lps_mm = "default"
rotation_deg = "default"
"""

WANTED = """
default small large steep flat left-tilted too-narrow closed-foramen female male elderly-osteoporotic obese dysmorphic
transitional-l5 transitional-s1 scoliosis sclerotic-joints asymmetric-joints hip-replacement low-dose-scan
"""


def mine(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_all_presets_are_listed_and_readable_default_first() -> None:
    names = list(list_presets())
    assert names[0] == "default"
    assert set(names) >= set(WANTED.split())
    assert all(isinstance(read_preset(name), PhantomParameters) for name in names)
    assert all(summary and "\n" not in summary for summary in list_presets().values())


def test_file_names_are_the_presets_names() -> None:
    for path in phantoms_folder().rglob("*.toml"):
        if path.name == TARGETS:
            continue
        assert f'name = "{path.stem}"' in path.read_text(encoding="utf-8")


def test_default_preset_is_the_parameters_default() -> None:
    assert read_preset("default").as_dict() == PhantomParameters().as_dict()


def test_tables_have_the_fields_of_the_dataclasses_and_every_number_a_range() -> None:
    assert set(TABLES) == {"parameters", *GROUPS} == set(GROUP_RANGES)
    for table, kind in {"parameters": PhantomParameters, **GROUPS}.items():
        names = [f.name for f in fields(kind) if f.name not in GROUPS]
        assert list(TABLES[table].model_fields) == names
        numbers = {name for name in names if isinstance(getattr(kind(), name), float)}
        assert numbers == set(GROUP_RANGES[table])


def test_presets_are_what_their_names_say() -> None:
    assert read_preset("small").size < 1 < read_preset("large").size
    assert read_preset("flat").sacral_slope_deg < 30 < 50 < read_preset("steep").sacral_slope_deg
    assert read_preset("closed-foramen").closed_foramina == ("S1_left",)
    assert np.abs(read_preset("left-tilted").rotation_deg).min() > 5
    female, male = read_preset("female"), read_preset("male")
    assert (female.habitus.sex, male.habitus.sex) == ("female", "male")
    assert female.sacral_height_mm < male.sacral_height_mm
    assert female.joint_area_cm2 < male.joint_area_cm2
    assert read_preset("elderly-osteoporotic").habitus.bone_density < 0.6
    assert read_preset("obese").habitus.bmi > 40
    assert read_preset("dysmorphic").variants.alar_slope_deg > 10
    assert read_preset("transitional-l5").variants.transitional == "sacralised-l5"
    assert read_preset("transitional-s1").variants.transitional == "lumbarised-s1"
    assert read_preset("hip-replacement").variants.hip_replacement == "left"
    assert read_preset("low-dose-scan").scanner.circular_padding is True


def test_a_preset_that_is_too_narrow_stays_as_narrow() -> None:
    narrow = read_preset("too-narrow")
    assert (narrow.size, narrow.foramen_scale, narrow.ala_height_mm) == (0.8, 1.45, 8.0)


def test_an_unknown_preset_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match=r"phantom preset: found 'defualt'.*did you mean 'default'"):
        read_preset("defualt")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    path = mine(tmp_path, PRESET)
    assert read_preset(path).size == 0.95
    assert read_preset(str(path)).foramen_scale == 1.0
    assert read_preset(path).habitus.bmi == 31.0
    assert read_preset(path).variants == PhantomParameters().variants


def test_presets_from_before_there_were_tables_keep_opening(tmp_path: Path) -> None:
    spec = read_spec(mine(tmp_path, FLAT))
    assert spec.parameters.as_dict() == replace(PhantomParameters(), ala_height_mm=20.0).as_dict()
    assert (spec.seed, spec.spacing_mm) == (0, 1.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("size = 0.95", "size = 2.0", r"mine\.toml: phantom size: found 2; wanted 0\.8 to 1\.2 \(SPACE12, DRY30"),
        ("bmi = 31.0", "bmi = 90.0", r"mine\.toml: phantom habitus bmi: found 90; wanted 17 to 50 \(FRANK"),
        (
            "size = 0.95",
            "size = nan",
            r"mine\.toml: parameters\.size: found nan; wanted a number, 0\.8 to 1\.2 \(SPACE",
        ),
        ('\nsize = "default"', "", "parameters and sources differ in size"),
        ('"habitus.bmi" = "FRANK"', "", r"parameters and sources differ in habitus\.bmi"),
        ("size = 0.95", "szie = 0.95", r"mine\.toml: parameters\.szie: found 'szie'.*did you mean 'size'"),
        (
            "bmi = 31.0",
            "bim = 31.0",
            r"mine\.toml: habitus\.bim: found 'bim'; wanted one of age_years, bladder_ml, bmi",
        ),
        (
            'name = "mine"',
            'name = "mine"\nextra = 1',
            r"mine\.toml: extra: found 'extra'; wanted one of build, habitus",
        ),
        ("[habitus]", "[habitat]", r"mine\.toml: habitat: .*did you mean 'habitus'"),
        ("sjplan.phantom/1", "sjplan.phantom/9", r"mine\.toml: schema: found 'sjplan.phantom/9'.*sjplan.phantom/1"),
        ('schema = "sjplan.phantom/1"', "", r"mine\.toml: schema: found no such key"),
        ("size = 0.95", "size = ", r"mine\.toml: found .*wanted a readable TOML file"),
        ("size = 0.95", 'size = "wide"', r"mine\.toml: parameters\.size: found 'wide'; wanted a number, 0\.8 to 1\.2"),
        ("size = 0.95", "size = true", r"mine\.toml: parameters\.size: found True"),
        ("size = 0.95", "size = [1.0, 2.0]", r"mine\.toml: parameters\.size"),
        ("size = 0.95", 'closed_foramina = ["S9_left"]', "parameters and sources differ"),
        ("bmi = 31.0", 'sex = "f"', "parameters and sources differ"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PRESET
    with pytest.raises(SjplanError, match=message) as error:
        read_preset(mine(tmp_path, PRESET.replace(old, new, 1)))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("table", "line", "message"),
    [
        ("parameters", 'closed_foramina = ["S9_left"]', r"mine\.toml: phantom closed_foramina: .*'S9_left'"),
        (
            "parameters",
            "rotation_deg = [0.0, 40.0, 0.0]",
            r"mine\.toml: phantom rotation_deg: .*each within 30 degrees",
        ),
        ("parameters", "rotation_deg = [0.0, 40.0]", r"mine\.toml: parameters\.rotation_deg"),
        ("habitus", 'sex = "f"', r"mine\.toml: phantom habitus sex: found 'f'; wanted one of female, male"),
        (
            "variants",
            'transitional = "l6"',
            r"mine\.toml: phantom variants transitional: found 'l6'; wanted one of none",
        ),
        ("scanner", "padding_hu = -3000", r"mine\.toml: phantom scanner padding_hu: found -3000; wanted one of -1024"),
        ("scanner", "table = 1", r"mine\.toml: scanner\.table: found 1; wanted boolean"),
    ],
)
def test_a_bad_value_names_what_is_legal(tmp_path: Path, table: str, line: str, message: str) -> None:
    key = line.split(" ")[0]
    source = key if table == "parameters" else f'"{table}.{key}"'
    head = 'schema = "sjplan.phantom/1"\nname = "mine"\nsummary = "s"\n'
    shape = "" if table == "parameters" else "[parameters]\n"
    text = f'{head}{shape}[{table}]\n{line}\n[sources]\n{source} = "default"\n'
    with pytest.raises(SjplanError, match=message):
        read_preset(mine(tmp_path, text))


def test_values_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    head = 'schema = "sjplan.phantom/1"\nname = "mine"\nsummary = "s"\n'
    values = "[parameters]\nsacral_slope_deg = 60.0\npelvic_tilt_deg = 30.0\n"
    sources = '[sources]\nsacral_slope_deg = "MACTH"\npelvic_tilt_deg = "MACTH"\n'
    wanted = r"mine\.toml: .*sacral_slope_deg \+ pelvic_tilt_deg: found 60 \+ 30; wanted .*30 to 78 \(MACTH"
    with pytest.raises(InputError, match=wanted):
        read_preset(mine(tmp_path, head + values + sources))


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"preset file: found no file .*none\.toml"):
        read_preset(tmp_path / "none.toml")


def test_every_source_says_something() -> None:
    for path in phantoms_folder().rglob("*.toml"):
        assert not re.search(r'= ""', path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize(("seed", "spacing", "message"), [
    (-1, None, "phantom seed: found -1; wanted 0 to"),
    (None, 0.1, r"phantom spacing_mm: found 0\.1; wanted 0\.4 to 4 mm"),
    (None, float("nan"), "phantom spacing_mm: found nan"),
])  # fmt: skip
def test_a_seed_or_spacing_that_cannot_be_is_refused(seed: int | None, spacing: float | None, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_spec("default", seed, spacing)


def test_a_spacing_that_cannot_be_in_a_file_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"mine\.toml: phantom spacing_mm: found 9; wanted 0\.4 to 4 mm"):
        read_preset(mine(tmp_path, PRESET.replace("[habitus]", "[build]\nspacing_mm = 9.0\n[habitus]")))


@pytest.mark.parametrize("name", list_presets())
def test_a_spec_is_a_preset_that_gives_the_same_again(tmp_path: Path, name: str) -> None:
    spec = read_spec(name, seed=7, spacing_mm=1.3)
    again = read_spec(mine(tmp_path, spec.text()))
    assert again.text() == spec.text()
    assert again.parameters.as_dict() == spec.parameters.as_dict()
    assert (again.name, again.seed, again.spacing_mm) == (name, 7, 1.3)


SOURCE = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)


@settings(deadline=None, max_examples=60)
@given(
    size=st.floats(0.8, 1.2),
    gap=st.floats(0.8, 4.0),
    offset=st.tuples(*[st.floats(-1e4, 1e4)] * 3),
    closed=st.sets(st.sampled_from(TUNNELS)),
    bmi=st.floats(17.0, 50.0),
    slope=st.floats(0.0, 25.0),
    padded=st.booleans(),
    seed=st.integers(0, 2**63 - 1),
    spacing=st.floats(0.4, 4.0),
    words=SOURCE,
)
def test_numbers_and_words_come_back_to_the_last_bit(
    tmp_path_factory, size, gap, offset, closed, bmi, slope, padded, seed, spacing, words
) -> None:
    plain = PhantomParameters(
        size=size, joint_gap_mm=gap, offset_lps_mm=offset, closed_foramina=sorted(closed)
    ).as_dict()
    plain["habitus"]["bmi"], plain["variants"]["alar_slope_deg"] = bmi, slope
    plain["scanner"]["circular_padding"] = padded
    parameters = PhantomParameters.from_dict(plain)
    spec = PhantomSpec("any", words, parameters, seed, spacing, {"size": words, "habitus.bmi": words + "x"})
    again = read_spec(mine(tmp_path_factory.mktemp("spec"), spec.text()))
    assert again.parameters.as_dict() == parameters.as_dict()
    assert (again.seed, again.spacing_mm, again.summary) == (seed, spacing, words)
    assert again.text() == spec.text()


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=("Cs",)), min_size=1), SOURCE | st.floats(-1e300, 1e300))
)
def test_any_flat_table_is_read_back_as_it_was_written(table) -> None:
    import tomllib

    assert tomllib.loads(toml_text(table)) == table
    assert tomllib.loads(toml_text({"inner": table})) == {"inner": table}
