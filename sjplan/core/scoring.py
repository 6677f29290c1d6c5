"""How an operation is rated: measures with what is good and what is bad, breach grades by name, complications."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sjplan.core.errors import GeometryError


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of a rating.

    Parameters
    ----------
    good, bad : float
        From `bad` to `good` a value is worth 0 to 1, evenly; either may be the larger.
    weight : float
        Among the others.
    kind : {"geometry", "process"}
        Of the implants as they lie, or of how they came there.
    source : str
        Where `good` and `bad` come from.
    stands_for : tuple of str
        Complications of the same file that a bad value leads to.

    Raises
    ------
    GeometryError
        If good is as bad as bad, or a weight is negative.
    """

    good: float
    bad: float
    weight: float
    kind: str
    source: str
    stands_for: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (math.isfinite(self.good) and math.isfinite(self.bad)) or self.good == self.bad:
            raise GeometryError("measure", found=f"good {self.good:g}, bad {self.bad:g}", wanted="two finite numbers")
        if not 0.0 <= self.weight < math.inf:
            raise GeometryError("measure weight", found=f"{self.weight:g}", wanted="0 or more")

    def worth(self, value: float) -> float:
        """0 for bad and worse, 1 for good and better.

        Examples
        --------
        >>> shots = Measure(good=8.0, bad=16.0, weight=1.0, kind="process", source="default")
        >>> shots.worth(12.0), shots.worth(3.0), shots.worth(99.0)
        (0.5, 1.0, 0.0)
        """
        return min(max((value - self.bad) / (self.good - self.bad), 0.0), 1.0)


@dataclass(frozen=True, slots=True)
class GradeScheme:
    """A named scheme that grades breaches by depth.

    Parameters
    ----------
    grades : tuple of str
        From no breach to the deepest.
    from_mm : tuple of float
        The depth from which each grade after the first applies; more than 0 counts as a breach.
    source : str
        Who defined it.
    """

    grades: tuple[str, ...]
    from_mm: tuple[float, ...]
    source: str

    def __post_init__(self) -> None:
        steps = self.from_mm
        if len(self.grades) != len(steps) + 1 or not steps or steps[0] != 0.0 or list(steps) != sorted(set(steps)):
            found = f"{len(self.grades)} grades from {steps}"
            raise GeometryError("grade scheme", found=found, wanted="rising depths from 0, one fewer than grades")

    def grade(self, depth_mm: float) -> str:
        """The grade of a breach so deep; 0 and less is none.

        Examples
        --------
        >>> smith = GradeScheme(("0", "1", "2", "3"), (0.0, 2.0, 4.0), "Smith 2006")
        >>> [smith.grade(mm) for mm in (-1.0, 0.0, 0.5, 2.0, 9.0)]
        ['0', '0', '1', '2', '3']
        """
        if depth_mm <= 0.0:
            return self.grades[0]
        return self.grades[sum(depth_mm >= step for step in self.from_mm)]


@dataclass(frozen=True, slots=True)
class Complication:
    """A complication of the operation: how often it is published, and what of a rehearsal would lead to it.

    Parameters
    ----------
    cases, of : int or None
        Published count; None where the source gives none.
    modelled : bool
        Whether a rehearsal can show a sign of it.
    source : str
        Of the count.
    """

    cases: int | None
    of: int | None
    modelled: bool
    source: str

    @property
    def rate(self) -> float | None:
        """Published share."""
        return None if self.cases is None or self.of is None else self.cases / self.of


@dataclass(frozen=True, slots=True)
class Scoring:
    """Everything that a score rests on; one validated file.

    Raises
    ------
    GeometryError
        If a measure stands for a complication that is not listed.
    """

    name: str
    measures: Mapping[str, Measure]
    grades: Mapping[str, GradeScheme]
    complications: Mapping[str, Complication]

    def __post_init__(self) -> None:
        for name, measure in self.measures.items():
            unknown = sorted(set(measure.stands_for) - set(self.complications))
            if unknown:
                raise GeometryError(
                    f"measure {name}", found=f"stands for {', '.join(unknown)}", wanted="complications of the same file"
                )
