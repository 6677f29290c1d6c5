"""Joseph's method on a CUDA device: one thread a ray, the same sums as `projector`. Needs the extra `cuda`.

A kernel is compiled when it is first called, and kept in memory only.
"""

from __future__ import annotations

import functools
import math
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan.xray.attenuation import Attenuation
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.projector import index_rays

cuda: Any
try:  # a global, because numba's simulator looks for it among the kernel's
    from numba import cuda
except ImportError:
    cuda = None

_BLOCK: Final = (16, 16)


@functools.cache
def why_not() -> str:
    """Why nothing can be projected on CUDA here, in a few words; empty where it can."""
    if cuda is None:
        return "numba has no CUDA support here: pip install 'sjplan[cuda]'"
    try:
        return "" if cuda.is_available() else "no CUDA device was found"
    except Exception as error:  # a driver that is there and broken may raise anything
        return f"the CUDA driver does not answer ({type(error).__name__})"


class CudaProjector:
    """A volume kept on the device; a drop-in for `SliceProjector`.

    Raises
    ------
    RuntimeError
        Where `why_not` gives a reason.
    """

    def __init__(self, attenuation: Attenuation) -> None:
        reason = why_not()
        if reason:
            raise RuntimeError(reason)
        self.attenuation = attenuation
        self._volume = cuda.to_device(attenuation.values)

    def project(self, geometry: CArmGeometry, above: float = 0.0) -> NDArray[np.float32]:
        """Attenuation integrated along the ray to every pixel, (rows, columns); of values only what lies `above`."""
        rays_mm = np.stack(
            [geometry.origin_lps_mm - geometry.source_lps_mm, geometry.column_step_lps_mm, geometry.row_step_lps_mm]
        )
        source_ijk, rays_ijk = index_rays(self.attenuation.grid, geometry)
        image = cuda.device_array((geometry.rows, geometry.columns), np.float32)
        blocks = (-(-geometry.rows // _BLOCK[0]), -(-geometry.columns // _BLOCK[1]))
        arrays = (cuda.to_device(np.ascontiguousarray(a, np.float64)) for a in (source_ijk, rays_ijk, rays_mm))
        _kernel()[blocks, _BLOCK](self._volume, *arrays, float(self.attenuation.mu_per_value), float(above), image)
        return np.asarray(image.copy_to_host())


@functools.cache
def _kernel() -> Any:
    """The compiled kernel: clips each ray to the volume, then reads it plane by plane along its main axis."""

    @cuda.jit(device=True)
    def clip(t0, t1, start, step, high):  # type: ignore[no-untyped-def]
        if abs(step) < 1e-12:
            if 1.0 <= start <= high:
                return t0, t1
            return 1.0, 0.0
        a, b = (1.0 - start) / step, (high - start) / step
        return max(t0, min(a, b)), min(t1, max(a, b))

    @cuda.jit(device=True)
    def read(volume, main, m, u, v, above):  # type: ignore[no-untyped-def]
        if main == 0:
            value = np.float32(volume[m, u, v])
        elif main == 1:
            value = np.float32(volume[u, m, v])
        else:
            value = np.float32(volume[u, v, m])
        return max(value - np.float32(above), np.float32(0.0))

    @cuda.jit
    def joseph(volume, source, rays_ijk, rays_mm, mu_per_value, above, image):  # type: ignore[no-untyped-def]
        row, column = cuda.grid(2)
        if row >= image.shape[0] or column >= image.shape[1]:
            return
        image[row, column] = 0.0
        x = rays_ijk[0, 0] + column * rays_ijk[1, 0] + row * rays_ijk[2, 0]
        y = rays_ijk[0, 1] + column * rays_ijk[1, 1] + row * rays_ijk[2, 1]
        z = rays_ijk[0, 2] + column * rays_ijk[1, 2] + row * rays_ijk[2, 2]
        t0, t1 = clip(0.0, 1.0, source[0], x, volume.shape[0] - 2.0)
        t0, t1 = clip(t0, t1, source[1], y, volume.shape[1] - 2.0)
        t0, t1 = clip(t0, t1, source[2], z, volume.shape[2] - 2.0)
        if t1 <= t0:
            return
        if abs(y) >= abs(x) and abs(y) >= abs(z):
            main, dm, sm, du, su, dv, sv = 1, y, source[1], x, source[0], z, source[2]
        elif abs(x) >= abs(z):
            main, dm, sm, du, su, dv, sv = 0, x, source[0], y, source[1], z, source[2]
        else:
            main, dm, sm, du, su, dv, sv = 2, z, source[2], x, source[0], y, source[1]
        a, b = sm + dm * t0, sm + dm * t1
        first, last = math.ceil(min(a, b)), math.floor(max(a, b))
        slope_u, slope_v = np.float32(du / dm), np.float32(dv / dm)
        u0, v0 = np.float32(su + du / dm * (first - sm)), np.float32(sv + dv / dm * (first - sm))
        total = np.float32(0.0)
        for n in range(last - first + 1):
            u, v = u0 + slope_u * np.float32(n), v0 + slope_v * np.float32(n)
            iu, iv = int(u), int(v)
            fu, fv = u - np.float32(iu), v - np.float32(iv)
            p = read(volume, main, first + n, iu, iv, above)
            low = p + fu * (read(volume, main, first + n, iu + 1, iv, above) - p)
            p = read(volume, main, first + n, iu, iv + 1, above)
            high = p + fu * (read(volume, main, first + n, iu + 1, iv + 1, above) - p)
            total += low + fv * (high - low)
        squared = 0.0
        for axis in range(3):
            way = rays_mm[0, axis] + column * rays_mm[1, axis] + row * rays_mm[2, axis]
            squared += way * way
        image[row, column] = np.float32(total / abs(dm) * math.sqrt(squared) * mu_per_value)

    return joseph
