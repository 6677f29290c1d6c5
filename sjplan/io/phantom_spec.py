"""One phantom, described whole: all that decides about its files, as `spec.toml` in its folder holds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from sjplan import __version__
from sjplan.core.errors import InputError
from sjplan.io.phantom_tables import DEFAULT, GROUP_RANGES, SHAPE, TABLES, dotted, toml_text
from sjplan.phantom.parameters import PhantomParameters

SCHEMA: Final = "sjplan.phantom/1"

DEFAULT_SPACING_MM: Final = 1.0
"""Voxel edge where nobody asks for another: about a clinical CT's."""

LARGEST_SEED: Final = 2**63 - 1
"""TOML's integers have 64 bits."""


@dataclass(frozen=True, slots=True, eq=False)
class PhantomSpec:
    """What to build, and where each number comes from.

    Parameters
    ----------
    name, summary : str
        As in a preset.
    parameters : PhantomParameters
        All of them.
    seed : int
        Of texture and noise, >= 0.
    spacing_mm : float
        Voxel edge.
    sources : mapping of str
        Source of every value that was set, by its dotted key; the rest are defaults.

    Raises
    ------
    InputError
        For a seed or a spacing that no phantom can be built with.

    Examples
    --------
    >>> spec = PhantomSpec("mine", "one of my own", PhantomParameters(size=0.9), sources={"size": "measured"})
    >>> [line for line in spec.text().splitlines() if line.startswith("size")]
    ['size = 0.9', 'size = "measured"']
    """

    name: str
    summary: str
    parameters: PhantomParameters
    seed: int = 0
    spacing_mm: float = DEFAULT_SPACING_MM
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        from sjplan.phantom.build import SPACING_RANGE_MM  # with it come the kernels, which few readers need

        if not 0 <= self.seed <= LARGEST_SEED:
            raise InputError("phantom seed", found=f"{self.seed}", wanted=f"0 to {LARGEST_SEED}")
        low, high = SPACING_RANGE_MM
        if not low <= self.spacing_mm <= high:
            raise InputError("phantom spacing_mm", found=f"{self.spacing_mm:g}", wanted=f"{low:g} to {high:g} mm")
        object.__setattr__(self, "sources", dict(self.sources))

    def values(self) -> dict[str, dict[str, Any]]:
        """Every value, table by table."""
        plain = self.parameters.as_dict()
        groups = {name: plain.pop(name) for name in TABLES if name != SHAPE}
        return {SHAPE: plain, **groups}

    def text(self) -> str:
        """The preset file that gives this phantom again, to the last bit."""
        tables = self.values()
        build = {"seed": self.seed, "spacing_mm": float(self.spacing_mm), "version": __version__}
        head = {"schema": SCHEMA, "name": self.name, "summary": self.summary}
        sources = {
            dotted(table, name): self.sources.get(dotted(table, name)) or _default_source(table, name)
            for table, values in tables.items()
            for name in values
        }
        return toml_text({**head, "build": build, **tables, "sources": sources})


def _default_source(table: str, name: str) -> str:
    """Source of a value that nobody set: what its range goes by."""
    limits = GROUP_RANGES[table].get(name)
    return "default" if limits is None or limits.source == "default" else f"default: {limits.source}"


def default_spec(parameters: PhantomParameters = DEFAULT) -> PhantomSpec:
    """A spec for parameters that came from no file."""
    return PhantomSpec("phantom", "Parameters given by a program", parameters)
