"""TotalSegmentator, where it is installed: called through its Python API, its labels taken by name, never by id."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from sjplan.core.errors import InputError
from sjplan.core.grid import Grid
from sjplan.core.labels import TOTALSEGMENTATOR_V2, LabelMap
from sjplan.core.tolerances import SAME_SPACE_TOL_MM
from sjplan.core.volume import CtVolume

INSTALL: Final = "pip install 'sjplan[totalsegmentator]'"
"""What installs it; it fetches its weights itself at its first run."""

WANTED: Final = (
    *("sacrum", "vertebrae_S1", "vertebrae_L5", "vertebrae_L4", "hip_left", "hip_right", "femur_left", "femur_right"),
    *("iliac_artery_left", "iliac_artery_right", "iliac_vena_left", "iliac_vena_right"),
)
"""Structures that are asked for, as far as the installed version knows them."""

JOINED: Final = {"vertebrae_S1": "sacrum"}
"""Version 2 cuts the first sacral vertebra out of the sacrum; the two together are the bone."""

_RAS_FROM_LPS: Final = np.diag([-1.0, -1.0, 1.0])


def with_totalsegmentator(ct: CtVolume, *, fast: bool = False, device: str = "gpu") -> LabelMap:
    """Segment a CT with TotalSegmentator.

    Parameters
    ----------
    ct : CtVolume
        In Hounsfield units.
    fast : bool
        Its 3 mm model: quick on a CPU, too coarse to plan on.
    device : str
        As TotalSegmentator names them: "gpu", "cpu", "gpu:1", "mps". Without a GPU it takes the CPU by itself.

    Raises
    ------
    InputError
        If it is not installed, or gives something that is no label map of this CT.
    """
    run, names_of, nibabel = _modules()
    known = {int(i): str(name) for i, name in names_of["total"].items()}
    wanted = [name for name in WANTED if name in known.values()]
    image = nibabel.Nifti1Image(np.asarray(ct.hu), affine_ras(ct.grid))
    found = run(image, None, ml=True, task="total", fast=fast, roi_subset=wanted, quiet=True, device=device)
    values = np.asanyarray(found.dataobj)
    if values.shape != ct.grid.shape or not _same_place(np.asarray(found.affine), ct.grid):
        raise InputError(
            "TotalSegmentator", found=f"labels of shape {values.shape} in another place", wanted="the CT's own voxels",
            fix="run TotalSegmentator by itself and give its labels with --labels",
        )  # fmt: skip
    return labels_by_name(ct.grid, values, known)


def _modules() -> tuple[Any, Mapping[str, Mapping[int, str]], Any]:
    """Its function, its table of names, and nibabel, which it brings."""
    try:
        return (
            import_module("totalsegmentator.python_api").totalsegmentator,
            import_module("totalsegmentator.map_to_binary").class_map,
            import_module("nibabel"),
        )
    except ImportError as error:
        raise InputError(
            "--with totalsegmentator", found="TotalSegmentator is not installed", wanted="its Python package",
            fix=f"{INSTALL} (or leave --with out: sjplan segments by itself)",
        ) from error  # fmt: skip


def affine_ras(grid: Grid) -> NDArray[np.float64]:
    """A grid as NIfTI states it: (4, 4), from voxel indices to RAS millimetres.

    Examples
    --------
    >>> affine_ras(Grid((2, 2, 2), (1, 2, 3), (10, 20, 30), np.eye(3)))[:3, 3].tolist()
    [-10.0, -20.0, 30.0]
    """
    affine = np.eye(4)
    affine[:3, :3] = _RAS_FROM_LPS @ grid.matrix
    affine[:3, 3] = _RAS_FROM_LPS @ grid.origin_lps_mm
    return affine


def _same_place(affine: NDArray[np.float64], grid: Grid) -> bool:
    corners = np.array([(i, j, k, 1) for i in (0, 1) for j in (0, 1) for k in (0, 1)], dtype=np.float64)
    corners[:, :3] *= np.asarray(grid.shape) - 1
    return bool(np.abs(corners @ (affine - affine_ras(grid)).T).max() <= SAME_SPACE_TOL_MM)


def labels_by_name(grid: Grid, values: NDArray[Any], names: Mapping[int, str]) -> LabelMap:
    """A label map under the ids that sjplan reads, from one under any ids whose names are known.

    The sacrum takes up vertebrae_S1; what sjplan has no id for is left out.

    Parameters
    ----------
    grid : Grid
        Of the labels.
    values : (ni, nj, nk) int
        Labels, whole numbers >= 0.
    names : mapping of id to name
        Of the tool that made them. The same id means other things in other versions: 26 is vertebrae_S1 in
        TotalSegmentator 2 and vertebrae_L6 in 3.

    Raises
    ------
    InputError
        If sacrum or a hip is missing.

    Examples
    --------
    >>> values = np.array([[[5, 6, 7, 8]]])
    >>> grid = Grid((1, 1, 4), (1, 1, 1), (0, 0, 0), np.eye(3))
    >>> names = {5: "sacrum", 6: "vertebrae_S1", 7: "hip_left", 8: "hip_right"}
    >>> labels_by_name(grid, values, names).label.ravel().tolist()
    [25, 25, 77, 78]
    """
    ids = {name: i for i, name in TOTALSEGMENTATOR_V2.items()}
    whole = np.asarray(values).astype(np.int64)
    table = np.zeros(max(int(whole.max()), max(names, default=0)) + 1, dtype=np.uint8)
    for i, name in names.items():
        table[i] = ids.get(JOINED.get(name, name), 0)
    labels = LabelMap(
        grid, np.asfortranarray(table[whole]), {i: n for i, n in TOTALSEGMENTATOR_V2.items() if n not in JOINED}
    )
    missing = [name for name in ("sacrum", "hip_left", "hip_right") if name not in labels.present()]
    if missing:
        raise InputError(
            "TotalSegmentator", found=f"no voxel of {', '.join(missing)}", wanted="sacrum, hip_left and hip_right",
            fix="check that the scan holds the pelvis",
        )  # fmt: skip
    return labels
