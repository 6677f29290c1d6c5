"""The command line run in this process, and one small phantom that most commands are tried on."""

from pathlib import Path

import pytest
import SimpleITK as sitk
from cli_support import Done, Sjplan

from sjplan.cli.main import run


@pytest.fixture
def sjplan(capsys: pytest.CaptureFixture[str]) -> Sjplan:
    def call(*words: object) -> Done:
        capsys.readouterr()
        code = run([str(word) for word in words])
        captured = capsys.readouterr()
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="session")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a phantom at 2 mm, the coarsest that can be planned on."""
    folder = tmp_path_factory.mktemp("case") / "phantom with a space"
    assert run(["phantom", "build", "default", "--out", str(folder), "--spacing", "2"]) == 0
    return folder


@pytest.fixture
def labels_image(phantom: Path) -> sitk.Image:
    """The phantom's labels, to be spoilt."""
    return sitk.ReadImage(str(phantom / "labels.nii.gz"))


@pytest.fixture(scope="session")
def plan_folder(phantom: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plan of the phantom's left side, without pictures."""
    out = tmp_path_factory.mktemp("plans") / "left"
    assert run(["plan", str(phantom), "--side", "left", "--no-pictures", "--out", str(out)]) == 0
    return out
