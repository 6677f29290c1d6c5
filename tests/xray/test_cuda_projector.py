"""The CUDA projector against the CPU's, ray by ray: on a device where there is one, and in numba's simulator."""

import os
import subprocess
import sys

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.volume import CtVolume
from sjplan.xray import cuda_projector
from sjplan.xray.attenuation import Attenuation
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.cuda_projector import CudaProjector, why_not
from sjplan.xray.fluoroscope import Fluoroscope
from sjplan.xray.projector import project
from sjplan.xray.types import CArm, Detector

SIMULATED = os.environ.get("NUMBA_ENABLE_CUDASIM") == "1"
POSES = [(0, 0, 0), (90, -10, 5), (10, 85, 0)] if SIMULATED else [(0, 0, 0), (35, 20, -15), (90, -10, 5), (10, 85, 0)]


def volume(shape):
    """HU of a smooth body in air."""
    noise = gaussian_filter(np.random.default_rng(1).standard_normal(shape), 2.0)
    values = np.full(shape, -1000.0)
    inner = tuple(slice(2, -2) for _ in shape)
    values[inner] = 2000.0 * noise[inner]
    return values.astype(np.int16)


@pytest.mark.skipif(bool(why_not()), reason=f"not on this machine: {why_not()}")
@pytest.mark.parametrize("pose", POSES)
def test_agrees_with_the_cpu(pose):
    """Within 1e-4 of the maximum, off-centre and with oblique voxels of unlike sides."""
    shape, pixels = ((16, 14, 12), 14) if SIMULATED else ((80, 70, 60), 128)
    size = 12.0 if SIMULATED else 3.0
    direction = np.linalg.qr(np.array([[1.0, 0.2, 0.0], [-0.1, 1.0, 0.1], [0.05, 0.0, 1.0]]))[0]
    direction *= np.sign(np.diag(direction))
    grid = Grid(shape, (size, 1.1 * size, 1.3 * size), (-90.0, -80.0, -70.0), direction)
    attenuation = Attenuation.from_hu(volume(shape), grid)
    carm = CArm(*pose, grid.centre_lps_mm + np.array([8.0, -5.0, 6.0]), 500.0, 900.0)
    geometry = CArmGeometry.of(carm, Detector(pixels, pixels + 3, 360.0 / pixels))
    expected, found = project(attenuation, geometry), CudaProjector(attenuation).project(geometry)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-4 * expected.max()
    above = CudaProjector(attenuation).project(geometry, above=1050.0)
    clipped = Attenuation(
        np.maximum(attenuation.values - np.int16(1050), 0), attenuation.grid, attenuation.mu_per_value
    )
    assert np.abs(above - project(clipped, geometry)).max() <= 1e-4 * expected.max()


@pytest.mark.slow
def test_agrees_with_the_cpu_in_the_simulator():
    """The same test in a process of its own, where numba runs the kernel as Python."""
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        __file__,
        "-k",
        "test_agrees_with_the_cpu and not simulator",
    ]
    done = subprocess.run(
        words, env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-500:]
    assert f"{len(POSES) if SIMULATED else 3} passed" in done.stdout


def test_the_fluoroscope_chooses(monkeypatch):
    """Told to use CUDA it says why it cannot; left to itself it takes the CPU; where a device answers, that one."""
    grid = Grid((8, 8, 8), (10, 10, 10), (-35, -35, -35), np.eye(3))
    water = CtVolume(grid, np.zeros(grid.shape, np.int16))
    carm, small = CArm(0, 0, 0, (0, 0, 0)), Detector(9, 9, 20.0)
    expected = Fluoroscope(water, backend="cpu").take(carm, small).line_integral
    if why_not():
        with pytest.raises(InputError, match="backend"):
            Fluoroscope(water, backend="cuda")
    assert np.abs(Fluoroscope(water).take(carm, small).line_integral - expected).max() < 0.01 * expected.max()

    class Stand:
        def __init__(self, attenuation):
            self.attenuation = attenuation

        def project(self, geometry, above=0.0):
            return np.full((geometry.rows, geometry.columns), 7.0, np.float32)

    monkeypatch.setattr(cuda_projector, "why_not", lambda: "")
    monkeypatch.setattr(cuda_projector, "CudaProjector", Stand)
    assert (Fluoroscope(water, backend="cuda").take(carm, small).line_integral == 7.0).all()
    monkeypatch.setattr(cuda_projector, "why_not", lambda: "no")
    assert (Fluoroscope(water, backend="auto").take(carm, small).line_integral != 7.0).all()


def test_without_a_device_the_reason_is_said():
    reason = why_not()
    if not reason:
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(RuntimeError, match=reason.split(":")[0][:20]):
        CudaProjector(Attenuation.from_hu(volume((8, 8, 8)), Grid((8, 8, 8), (1, 1, 1), (0, 0, 0), np.eye(3))))
