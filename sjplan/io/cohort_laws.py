"""How one parameter is spread over a cohort: the laws that a cohort file may name."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import numpy as np
from pydantic import Field, model_validator

from sjplan.io.phantom_tables import Table
from sjplan.phantom.ranges import Range

CUT_SD: Final = 2.6
"""Where a normal law that names no ends is cut, in standard deviations: 99 % of people lie within."""


class _Law(Table):
    with_probability: float | None = Field(default=None, ge=0.0, le=1.0)
    otherwise: Any = None
    source: str

    @model_validator(mode="after")
    def _otherwise_needs_a_probability(self) -> _Law:
        if self.otherwise is not None and self.with_probability is None:
            raise ValueError("otherwise without with_probability")
        return self

    def values(self) -> tuple[Any, ...]:
        """The values that have to be legal: the ends of a range, or all that may come."""
        return () if self.otherwise is None else (self.otherwise,)


class Normal(_Law):
    """A normal law, cut to low..high."""

    kind: Literal["normal"]
    mean: float
    sd: float = Field(gt=0)
    low: float
    high: float

    @model_validator(mode="after")
    def _mean_within(self) -> Normal:
        _check_order(self.low, self.high)
        if not self.low <= self.mean <= self.high:
            raise ValueError(f"mean {self.mean:g} lies outside low..high")
        return self

    def values(self) -> tuple[Any, ...]:
        """Its ends."""
        return (self.low, self.high, *_Law.values(self))

    def draw(self, rng: np.random.Generator) -> float:
        """One value: drawn again until it lies within low..high."""
        while True:
            value = float(rng.normal(self.mean, self.sd))
            if self.low <= value <= self.high:
                return value


class Uniform(_Law):
    """Evenly spread over low..high."""

    kind: Literal["uniform"]
    low: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> Uniform:
        _check_order(self.low, self.high)
        return self

    def values(self) -> tuple[Any, ...]:
        """Its ends."""
        return (self.low, self.high, *_Law.values(self))

    def draw(self, rng: np.random.Generator) -> float:
        """One value."""
        return float(rng.uniform(self.low, self.high))


class Choice(_Law):
    """One of a few values, by weight; all alike where none is given."""

    kind: Literal["choice"]
    choices: tuple[Any, ...] = Field(alias="values", min_length=1)
    weights: tuple[Annotated[float, Field(ge=0)], ...] | None = None

    @model_validator(mode="after")
    def _weights_fit(self) -> Choice:
        if self.weights is not None and (len(self.weights) != len(self.choices) or sum(self.weights) <= 0):
            raise ValueError(f"{len(self.weights)} weights for {len(self.choices)} values, or none above 0")
        return self

    def values(self) -> tuple[Any, ...]:
        """All that may come."""
        return (*self.choices, *_Law.values(self))

    def draw(self, rng: np.random.Generator) -> Any:
        """One of the values."""
        shares = np.cumsum(self.weights or [1.0] * len(self.choices))
        at = int(np.searchsorted(shares, rng.random() * shares[-1], side="right"))
        return self.choices[min(at, len(self.choices) - 1)]


class Constant(_Law):
    """The same value for all."""

    kind: Literal["constant"]
    value: Any

    def values(self) -> tuple[Any, ...]:
        """The value."""
        return (self.value, *_Law.values(self))

    def draw(self, rng: np.random.Generator) -> Any:
        """The value."""
        return self.value


Law = Annotated[Normal | Uniform | Choice | Constant, Field(discriminator="kind")]


def with_ends(law: Any, limits: Range | None) -> Any:
    """A normal law as a file gives it, with its ends filled in where it names none: `CUT_SD`, within the range.

    Examples
    --------
    >>> with_ends({"kind": "normal", "mean": 1.0, "sd": 0.1}, Range(0.8, 1.2))["low"]
    0.8
    """
    if not isinstance(law, dict) or law.get("kind") != "normal":
        return law
    mean, sd = law.get("mean"), law.get("sd")
    if not isinstance(mean, int | float) or not isinstance(sd, int | float):
        return law
    low, high = mean - CUT_SD * sd, mean + CUT_SD * sd
    if limits is not None:
        low, high = max(low, limits.low), min(high, limits.high)
    return {"low": low, "high": high, **law}


def _check_order(low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"low {low:g} is not below high {high:g}")
