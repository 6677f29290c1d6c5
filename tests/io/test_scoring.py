"""The file that says how operations are rated: the shipped one, and what is refused."""

from pathlib import Path

import pytest

from sjplan.core.errors import InputError, UnknownNameError
from sjplan.io.scoring import MEASURES, read_scoring
from sjplan.io.tables import read_shipped


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text, encoding="utf-8")
    return path


HEAD = 'schema = "sjplan.scoring/1"\nname = "own"\n[grades]\n[complications]\n'
ONE = '[measures.shots]\ngood = 8.0\nbad = 16.0\nweight = 1.0\nkind = "process"\nsource = "mine"\n'


def test_the_shipped_file_names_every_measure_and_a_source_for_everything() -> None:
    scoring = read_scoring()
    assert set(scoring.measures) == set(MEASURES)
    for group in (scoring.measures, scoring.grades, scoring.complications):
        assert all(entry.source for entry in group.values())  # type: ignore[attr-defined]
    assert {m.kind for m in scoring.measures.values()} == {"geometry", "process"}


def test_published_counts_are_those_of_the_guidance() -> None:
    """NICE IPG578 (2017): 48, 72, 36, 43 and 14 of 5319; 1 of 102; 13 and 4 of 5319; 17 of 432, 19 of 469, 8 of 432."""
    counts = {name: (c.cases, c.of) for name, c in read_scoring().complications.items()}
    assert counts["nerve-impingement"] == (48, 5319)
    assert counts["nerve-root-revision"] == (9, 432)
    assert counts["malposition"] == (72, 5319)
    assert counts["improper-length"] == (36, 5319)
    assert counts["pin-bent-or-broken"] == (43, 5319)
    assert counts["pin-advancement"] == (14, 5319)
    assert counts["iliac-fracture"] == (1, 102)
    assert (counts["halo"], counts["migration"]) == ((13, 5319), (4, 5319))
    assert (counts["wound"], counts["infection"], counts["bursitis"]) == ((17, 432), (19, 469), (8, 432))
    not_modelled = {name for name, c in read_scoring().complications.items() if not c.modelled}
    assert not_modelled == {"halo", "migration", "wound", "infection", "bursitis"}


def test_a_file_of_one_s_own_may_leave_measures_out(tmp_path: Path) -> None:
    scoring = read_scoring(written(tmp_path, HEAD + ONE))
    assert list(scoring.measures) == ["shots"]
    assert scoring.name == "own"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (HEAD + ONE.replace("shots", "shot"), "did you mean 'shots'"),
        (HEAD + ONE.replace("16.0", "8.0"), "good 8, bad 8"),
        (HEAD + ONE.replace("1.0", "-1.0"), "measures.shots.weight: found -1.0"),
        (HEAD + ONE.replace("1.0", "0.0"), "no weight above 0"),
        (HEAD + ONE.replace("8.0", "nan"), "measures.shots.good"),
        (HEAD + ONE.replace("process", "luck"), "measures.shots.kind"),
        (HEAD + ONE + "colour = 1\n", "measures.shots.colour: found an unknown field"),
        (HEAD.replace("scoring/1", "scoring/2") + ONE, "schema"),
        (HEAD + ONE + '[grades.mine]\ngrades = ["A", "B"]\nfrom_mm = [1.0]\nsource = "mine"\n', "rising depths from 0"),
        ("measures = 3\n[", "no valid TOML"),
    ],
)
def test_what_is_wrong_gets_one_line(tmp_path: Path, text: str, wrong: str) -> None:
    with pytest.raises((InputError, UnknownNameError), match=wrong) as caught:
        read_scoring(written(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "own.toml" in str(caught.value)


def test_the_shipped_file_is_of_the_schema() -> None:
    assert read_shipped("scoring.toml")["schema"] == "sjplan.scoring/1"


def test_measures_stand_for_complications_that_the_file_lists(tmp_path: Path) -> None:
    scoring = read_scoring()
    modelled = {name for name, c in scoring.complications.items() if c.modelled}
    named = {name for m in scoring.measures.values() for name in m.stands_for}
    assert named <= modelled, "what a rehearsal cannot show stands for no measure"
    assert {"nerve-impingement", "malposition", "improper-length", "pin-bent-or-broken", "vascular-injury"} <= named
    with pytest.raises(InputError, match="stands for halos"):
        read_scoring(written(tmp_path, HEAD + ONE + 'stands_for = ["halos"]\n'))
