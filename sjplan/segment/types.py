"""What a segmentation gives: labels, how far each bone can be trusted, and what was noticed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sjplan.core.findings import Finding
from sjplan.core.labels import LabelMap


@dataclass(frozen=True, slots=True)
class Confidence:
    """How far the label of one bone can be trusted.

    Parameters
    ----------
    edge : float
        Share of its surface that lies on an edge of the CT, 0 to 1.
    agreement : float
        Share of its surface on which a second template, started otherwise, agrees, 0 to 1.
    volume_ml : float
        Volume of the label.
    """

    edge: float
    agreement: float
    volume_ml: float

    @property
    def value(self) -> float:
        """The product of both shares: 0 not at all, 1 fully.

        Examples
        --------
        >>> round(Confidence(0.9, 0.8, 200.0).value, 2)
        0.72
        """
        return self.edge * self.agreement


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """Labels on the CT's own grid, a confidence for every bone by name, and findings.

    A finding of severity `refusal` says why the labels must not be planned on as they are.
    """

    labels: LabelMap
    confidence: Mapping[str, Confidence]
    findings: tuple[Finding, ...]

    @property
    def refusals(self) -> tuple[Finding, ...]:
        """Why the labels must not be trusted; empty where they may be."""
        return tuple(f for f in self.findings if f.severity == "refusal")

    @property
    def trusted(self) -> bool:
        """Whether nothing speaks against the labels; a person still has to look at them."""
        return not self.refusals
