"""What a user installs: the wheel and the source archive hold every file that the program needs, and nothing else."""

import email
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import sjplan

ROOT = Path(__file__).parents[1]


def tracked_files() -> list[str]:
    """What a clean clone would hold: files that git tracks or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, encoding="utf-8")
    if done.returncode != 0:
        pytest.skip("not a git checkout: nothing says which files belong to the project")
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def build(kind: str, source: Path, out: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(out)],
        cwd=source,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    (built,) = out.iterdir()
    return built


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clone")
    for name in tracked_files():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
    return folder


@pytest.fixture(scope="module")
def wheel(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    return zipfile.ZipFile(build("wheel", clone, tmp_path_factory.mktemp("wheel")))


def test_wheel_holds_every_module_and_data_file(wheel: zipfile.ZipFile) -> None:
    package = {name for name in tracked_files() if name.startswith("sjplan/")}
    presets = {f"sjplan/data/{name}" for name in tracked_files() if name.startswith("phantoms/")}
    assert presets, "phantom presets ship inside the wheel"
    inside = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert inside == package | presets


def test_wheel_metadata(wheel: zipfile.ZipFile) -> None:
    info = f"sjplan-{sjplan.__version__}.dist-info"
    metadata = email.message_from_bytes(wheel.read(f"{info}/METADATA"))
    assert metadata["Version"] == sjplan.__version__
    assert metadata["License-Expression"] == "Apache-2.0"
    assert f"{info}/licenses/LICENSE" in wheel.namelist()
    entry_points = wheel.read(f"{info}/entry_points.txt").decode()
    assert "sjplan = sjplan.cli.main:main" in entry_points
    assert "raster-v1 = sjplan.planning.raster:RasterPlanner" in entry_points
    assert "rule-v1 = sjplan.planning.baselines.rule:RulePlanner" in entry_points


def test_source_archive_builds_the_same_wheel(clone: Path, wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", clone, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    again = zipfile.ZipFile(build("wheel", source, tmp_path / "wheel"))
    assert sorted(again.namelist()) == sorted(wheel.namelist())


def test_citation_and_changelog_name_this_version() -> None:
    assert f"version: {sjplan.__version__}" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {sjplan.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
