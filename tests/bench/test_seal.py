"""Sealed suites: the secret opens them, another does not, and nothing in them can be changed unnoticed."""

import json
import os
from pathlib import Path

import pytest

from sjplan.bench.plan_runs import cases_of
from sjplan.bench.seal import WrongSecret, make_secret, read_secret, seal, unseal
from sjplan.cli.bench_seal import open_sealed, suites
from sjplan.cli.bench_seal import seal as seal_command
from sjplan.core.errors import InputError, SjplanError
from sjplan.io.benchfiles import list_suites, read_bench
from sjplan.io.phantom_tables import phantoms_folder

SECRET = b"nobody would guess this one"
TEXT = """
schema = "sjplan.bench-file/1"
name = "challenge"
limits = "limits.toml"
[[planners]]
planner = "raster-v1"
parameters = { refinements = 30 }
[[cases]]
cohort = "adults"
count = 2
spacing_mm = 2.0
[[cases]]
cohort = "people.toml"
count = 2
"""


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    folder = tmp_path / "suite"
    folder.mkdir()
    (folder / "limits.toml").write_text("sacral_min_mm = 11.0\n", encoding="utf-8")
    people = (phantoms_folder() / "cohorts" / "dysmorphic.toml").read_text(encoding="utf-8")
    (folder / "people.toml").write_text(people, encoding="utf-8")
    (folder / "challenge.toml").write_text(TEXT, encoding="utf-8")
    return folder / "challenge.toml"


def test_the_secret_opens_the_same_cases_for_everybody(suite: Path, tmp_path: Path) -> None:
    for folder in ("out", "mine/deep", "yours"):
        (tmp_path / folder).mkdir(parents=True)
    sealed = tmp_path / "out" / "sealed.toml"
    seal(suite, SECRET, sealed)
    benches = []
    for name in ("mine/deep/bench.toml", "yours/bench.toml"):
        unseal(sealed, SECRET, tmp_path / name)
        benches.append(read_bench(tmp_path / name))
    mine, yours = (cases_of(bench) for bench in benches)
    assert [(c.key, c.seed, c.sha256) for c in mine] == [(c.key, c.seed, c.sha256) for c in yours]
    assert benches[0].settings().limits.sacral_min_mm == 11.0
    assert benches[0].planners[0].parameters == {"refinements": 30}
    seeds = [entry.seed for entry in benches[0].cases]
    assert len(set(seeds)) == 2
    assert min(seeds) > 1000, "no seed that somebody would try"


def test_the_sealed_file_tells_no_seed_and_salts_what_it_tells(suite: Path, tmp_path: Path) -> None:
    sealed = [tmp_path / name for name in ("a.toml", "b.toml")]
    documents = [seal(suite, SECRET, path) for path in sealed]
    assert documents[0]["seal"]["commitment"] != documents[1]["seal"]["commitment"], "two salts"
    opened = unseal(sealed[0], SECRET, tmp_path / "bench.toml")
    for entry in opened["cases"]:
        assert str(entry["seed"]) not in sealed[0].read_text(encoding="utf-8")
    with pytest.raises(SjplanError, match="found a sealed suite"):
        read_bench(sealed[0])
    assert SECRET.decode() not in sealed[0].read_text(encoding="utf-8")


def test_another_secret_opens_nothing(suite: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.toml"
    seal(suite, SECRET, sealed)
    with pytest.raises(WrongSecret, match="found another secret"):
        unseal(sealed, SECRET + b".", tmp_path / "bench.toml")
    assert not (tmp_path / "bench.toml").exists()


def test_no_line_can_be_changed_unnoticed(suite: Path, tmp_path: Path) -> None:
    sealed, out = suite.parent / "sealed.toml", tmp_path / "bench.toml"
    seal(suite, SECRET, sealed)
    lines = sealed.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        if "=" not in line:
            continue
        end = line.rstrip('"}] ')
        last = "1" if end[-1] != "1" else "2"
        changed = [*lines[:number], end[:-1] + last + line[len(end) :], *lines[number + 1 :]]
        sealed.write_text("\n".join(changed) + "\n", encoding="utf-8")
        with pytest.raises(InputError):
            unseal(sealed, SECRET, out)
        sealed.write_text("\n".join([*lines[:number], *lines[number + 1 :]]) + "\n", encoding="utf-8")
        with pytest.raises(InputError):
            unseal(sealed, SECRET, out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["people.toml", "limits.toml"])
def test_files_that_a_suite_names_are_sealed_with_it(name: str, suite: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.toml"
    seal(suite, SECRET, sealed)
    file = suite.parent / name
    file.write_text(file.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"another .*{name} than when it was sealed"):
        unseal(sealed, SECRET, tmp_path / "bench.toml")


@pytest.mark.parametrize("line", ["day = 1979-05-27", "cap_mm = nan"])
def test_what_no_bench_file_holds_gets_one_line(line: str, suite: Path, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed.toml"
    seal(suite, SECRET, sealed)
    sealed.write_text(f"{line}\n" + sealed.read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(InputError, match="wanted the file as it was sealed"):
        unseal(sealed, SECRET, tmp_path / "bench.toml")


def test_what_no_secret_can_hide_is_refused(suite: Path, tmp_path: Path) -> None:
    for old, new, message in (
        ('cohort = "adults"\ncount = 2', 'presets = ["default"]', "cases.0: found cases that are public"),
        ("count = 2\nspacing_mm", "seed = 3\ncount = 2\nspacing_mm", "cases.0.seed: found 3"),
        ("adults", "adlts", "did you mean 'adults'"),
    ):
        suite.write_text(TEXT.replace(old, new), encoding="utf-8")
        with pytest.raises(SjplanError, match=message):
            seal(suite, SECRET, tmp_path / "sealed.toml")
    assert not (tmp_path / "sealed.toml").exists()


def test_a_secret_is_made_for_its_owner_s_eyes_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    make_secret(path)
    assert path.stat().st_mode & 0o077 == 0
    assert len(read_secret(path)) == 64
    with pytest.raises(InputError, match="exists"):
        make_secret(path)
    for content, message in ((b"short \n", "found 5 bytes"), (b"", "found 0 bytes")):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            read_secret(path)
    with pytest.raises(InputError, match="no secret"):
        read_secret(tmp_path / "none")


def test_commands_make_a_secret_seal_open_and_say_how_it_ended(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sealed, secret, out = (tmp_path / name for name in ("sealed.toml", "secret", "bench.toml"))
    assert seal_command(str(suite), secret_file=secret, out=sealed, json=True) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["secret_made"]
    assert told["checksum"] in sealed.read_text(encoding="utf-8")
    assert open_sealed(sealed, secret_file=secret, out=out) == 0
    assert read_bench(out).name == "challenge"
    out.unlink()
    secret.write_bytes(os.urandom(32).hex().encode())
    capsys.readouterr()
    assert open_sealed(sealed, secret_file=secret, out=out) == 1
    assert "found another secret" in capsys.readouterr().err
    assert not out.exists()
    with pytest.raises(InputError, match="the file of --secret-file"):
        seal_command(str(suite), secret_file=secret, out=secret)
    assert len(secret.read_bytes()) == 64
    with pytest.raises(InputError, match=r"sealed\.toml, which is there; .*another checksum: keep the first"):
        seal_command(str(suite), secret_file=secret, out=sealed)
    assert told["checksum"] in sealed.read_text(encoding="utf-8")


def test_suites_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert suites(json=True) == 0
    assert json.loads(capsys.readouterr().out)["suites"] == list_suites()
    assert suites() == 0
    assert "dysmorphic-100" in capsys.readouterr().out
