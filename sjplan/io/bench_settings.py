"""What a bench file settles for all of its runs: implant models, limits, error model; and their fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sjplan.core.error_model import ErrorModel
from sjplan.core.errors import unknown_name
from sjplan.core.implant import ImplantModel
from sjplan.core.limits import Limits
from sjplan.io.catalogue import read_implants
from sjplan.io.error_models import read_error_models
from sjplan.io.limits import read_limits


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """Models, one a slot; limits; the error model of breach probabilities, None where they are not asked for."""

    models: tuple[ImplantModel, ...]
    limits: Limits
    error_model: ErrorModel | None = None

    def sha256(self, *more: int) -> str:
        """Of all numbers that decide an answer, and of `more`; words for people and sources decide none.

        Examples
        --------
        >>> settings = read_settings(("tri-7",) * 3)
        >>> settings.sha256() == read_settings(("tri-7",) * 3).sha256(), settings.sha256() == settings.sha256(True)
        (True, False)
        """
        error = self.error_model
        values: list[Any] = [
            [[m.id, m.section, m.inscribed_radius_mm, m.corner_radius_mm, m.lengths_mm] for m in self.models],
            asdict(self.limits),
            None if error is None else [error.id, error.covariance.tolist(), error.label_sigma_mm],
            list(more),
        ]
        return hashlib.sha256(json.dumps(values, sort_keys=True, allow_nan=False).encode()).hexdigest()


def read_settings(
    models: Sequence[str],
    catalogue: str | Path = "",
    limits: str | Path = "",
    error_model: str = "",
    errors: str | Path = "",
) -> Settings:
    """Settings by name, from the files that ship and the user's own.

    Raises
    ------
    SjplanError
        For a name that is in no file, and for files that cannot be read.

    Examples
    --------
    >>> [model.id for model in read_settings(("tri-7", "tri-7")).models]
    ['tri-7', 'tri-7']
    """
    known = read_implants(catalogue or None)
    for name in models:
        if name not in known:
            raise unknown_name("implants", name, known)
    if error_model:
        known_errors = read_error_models(errors or None)
        if error_model not in known_errors:
            raise unknown_name("error_model", error_model, known_errors)
    return Settings(
        tuple(known[name] for name in models),
        read_limits(limits or None),
        known_errors[error_model] if error_model else None,
    )
