"""Error models: the shipped file, and a user's own on top of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sjplan.core.error_model import COMPONENTS, ErrorModel
from sjplan.core.errors import GeometryError, InputError
from sjplan.io.catalogue import Id
from sjplan.io.tables import shipped_and_own

Deviation = Annotated[float, Field(ge=0, lt=50, allow_inf_nan=False)]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Error(BaseModel):
    model_config = ConfigDict(extra="forbid")

    summary: str
    tip_sigma_mm: Deviation | None = None
    depth_sigma_mm: Deviation | None = None
    tilt_sigma_deg: Deviation | None = None
    covariance: list[list[Number]] | None = None
    label_sigma_mm: Deviation = 0.0
    sources: list[str] = []


class _Errors(BaseModel):
    model_config = ConfigDict(extra="forbid")

    errors: dict[Id, _Error]


def read_error_models(extra: str | Path | None = None) -> dict[str, ErrorModel]:
    """Error models by id: those shipped, then those of the user's file, which add to or replace them.

    Parameters
    ----------
    extra : path, optional
        TOML file with `[errors.ID]` tables: summary, either tip_sigma_mm, depth_sigma_mm and tilt_sigma_deg or a
        5 x 5 covariance (see `sjplan.core.error_model.COMPONENTS`), and, if wanted, label_sigma_mm and sources.

    Raises
    ------
    InputError
        Naming file, entry and field.

    Examples
    --------
    >>> models = read_error_models()
    >>> sorted(models)
    ['ar', 'fluoro-planned', 'freehand', 'navigated', 'robot']
    >>> model = models["fluoro-planned"]
    >>> round(model.mean_tip_error_mm, 2), round(model.mean_angle_deg, 2)
    (4.9, 4.0)
    """
    return {
        id_: _model(what, id_, entry)
        for what, table in shipped_and_own(_Errors, "errors.toml", extra)
        for id_, entry in table.errors.items()
    }


def _model(what: str, id_: str, entry: _Error) -> ErrorModel:
    place = f"{what}: errors.{id_}"
    sigmas = (entry.tip_sigma_mm, entry.tip_sigma_mm, entry.depth_sigma_mm, entry.tilt_sigma_deg, entry.tilt_sigma_deg)
    if entry.covariance is None:
        if None in sigmas:
            raise InputError(place, found="neither a covariance nor all three deviations",
                             wanted="tip_sigma_mm, depth_sigma_mm and tilt_sigma_deg, or covariance")  # fmt: skip
        covariance = np.diag(np.square(np.array(sigmas, dtype=np.float64)))
    else:
        if set(sigmas) != {None}:
            raise InputError(place, found="a covariance and deviations", wanted="one of them")
        if [len(row) for row in entry.covariance] != [len(COMPONENTS)] * len(COMPONENTS):
            raise InputError(f"{place}.covariance", found=f"rows of {[len(row) for row in entry.covariance]} numbers",
                             wanted="five rows of five: " + ", ".join(COMPONENTS))  # fmt: skip
        covariance = np.array(entry.covariance)
        scale = max(float(np.abs(covariance).max()), 1.0)
        if np.array_equal(covariance, covariance.T) and abs(np.linalg.eigvalsh(covariance)[0]) < 1e-9 * scale:
            raise InputError(f"{place}.covariance", found="a matrix that is not positive definite",
                             wanted="a positive definite one (0 deviations: leave out covariance)")  # fmt: skip
    try:
        return ErrorModel(id_, entry.summary, covariance, entry.label_sigma_mm, tuple(entry.sources))
    except GeometryError as error:
        field = error.what.removeprefix(f"{id_}.")
        raise InputError(f"{place}.{field}", found=error.found, wanted=error.wanted, fix=error.fix) from error
