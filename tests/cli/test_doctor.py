"""The doctor's checks, each made to fail once, and the probe that survives a crashing child."""

from pathlib import Path

import pytest
from cli_support import Sjplan, one_line

from sjplan.cli import doctor, opengl
from sjplan.core.errors import InputError

CRASH = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"


def test_probe_survives_a_crash_and_names_the_signal() -> None:
    probe = opengl.probe_opengl(CRASH)
    assert not probe.works
    assert "SIGSEGV" in probe.text


def test_probe_tells_an_error_from_a_crash() -> None:
    probe = opengl.probe_opengl("raise RuntimeError('no display')")
    assert probe == opengl.GlProbe(False, "the child process ended with code 1: RuntimeError: no display")


def test_probe_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "PROBE_TIMEOUT_S", 0.2)
    assert opengl.probe_opengl("import time; time.sleep(60)") == opengl.GlProbe(False, "no picture within 0.2 s")


def test_probe_draws_here() -> None:
    probe = opengl.probe_opengl()
    assert probe.works, f"{probe.text}; {opengl.install_hint()}"
    assert "RenderWindow" in probe.text


def test_refusal_names_the_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opengl, "probe_opengl", lambda: opengl.GlProbe(False, "ended by SIGSEGV"))
    monkeypatch.setattr("platform.system", lambda: "Linux")
    with pytest.raises(
        InputError, match="apt-get install -y libegl1 libgl1 libx11-6 libxrender1 libxcursor1"
    ) as caught:
        opengl.require_opengl()
    assert "--no-pictures" in str(caught.value)


def test_readme_names_the_same_packages() -> None:
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert readme.count(opengl.APT_LINE.removeprefix("apt-get install -y ")) == 2


def test_doctor_is_content_here(sjplan: Sjplan) -> None:
    done = sjplan("doctor")
    assert done.code == 0
    assert "everything needed is here" in done.out


def test_doctor_says_what_is_missing(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "probe_opengl", lambda: opengl.GlProbe(False, "ended by SIGSEGV"))
    monkeypatch.setattr(doctor, "PACKAGES", ("numpy", "no-such-package"))
    done = sjplan("doctor", "--json")
    assert done.code == 1
    assert not done.json["healthy"]
    missing = {check["name"]: check for check in done.json["checks"] if check["state"] == "missing"}
    assert set(missing) == {"OpenGL", "no-such-package"}
    assert missing["no-such-package"]["fix"] == "pip install no-such-package"


def test_cache_folder_that_cannot_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(file))
    assert doctor.cache_check().state == "missing"
    assert "NUMBA_CACHE_DIR" in doctor.cache_check().fix
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "new" / "folder"))
    assert doctor.cache_check().state == "ok"
    assert not (tmp_path / "new").exists()


def test_real_data_is_named_not_guessed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SJPLAN_REAL_DATA", raising=False)
    assert doctor.real_data_check().state == "note"
    monkeypatch.setenv("SJPLAN_REAL_DATA", str(tmp_path))
    assert "holds no vsd_pelvis" in doctor.real_data_check().text
    (tmp_path / "vsd_pelvis").mkdir()
    assert doctor.real_data_check().state == "ok"


def test_no_opengl_is_refused_before_any_work(sjplan: Sjplan, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(opengl, "probe_opengl", lambda: opengl.GlProbe(False, "ended by SIGSEGV"))
    done = sjplan("fluoro", "default", "--view", "ap", "--out", tmp_path / "ap.png")
    assert done.code == 2
    assert one_line(done.err)
    assert "ended by SIGSEGV" in done.err
    assert list(tmp_path.iterdir()) == []
