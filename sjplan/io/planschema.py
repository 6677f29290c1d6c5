"""Schema sjplan.plan/1 of plan.json: field names, units and what has to agree. Unknown keys are kept."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from sjplan import NOT_FOR_CLINICAL_USE
from sjplan.core.labels import MAX_SURFACE_ERROR_MM

SCHEMA: Final = "sjplan.plan/1"

Number = Annotated[float, Field(allow_inf_nan=False)]
Point = Annotated[list[Number], Field(min_length=3, max_length=3)]
Slot = Annotated[int, Field(ge=1, le=3)]
Status = Literal["found", "best_effort", "infeasible", "timeout", "invalid_input"]


class Entry(BaseModel):
    """Base of every object in a plan file: strict types, finite numbers, unknown keys kept."""

    model_config = ConfigDict(extra="allow", strict=True, frozen=True, populate_by_name=True)


class ClearanceEntry(Entry):
    """Distance of one implant to one danger structure; see `sjplan.safety.types.Clearance`."""

    structure: str
    distance_mm: Number
    envelope_mm: Number
    limit_mm: Number
    lower_bound_mm: Number
    at_lps_mm: Point
    on_implant_lps_mm: Point | None = None


class ImplantEntry(Entry):
    """One implant in place and what the judge measured on it; null where there is no finite value."""

    slot: Slot
    model: str
    inscribed_radius_mm: Annotated[float, Field(gt=0, lt=20)]
    circumscribed_radius_mm: Annotated[float, Field(gt=0, lt=40)]
    length_mm: Annotated[float, Field(gt=0, lt=300)]
    entry_lps_mm: Point
    tip_lps_mm: Point
    roll_deg: Number
    protrusion_mm: Number | None = None
    iliac_mm: Number | None = None
    joint_mm: Number | None = None
    sacral_mm: Number | None = None
    crosses_articular: bool | None = None
    crossing_lps_mm: Point | None = None
    joint_normal_angle_deg: Number | None = None
    tip_to_midline_mm: Number | None = None
    overshoot_reserve_mm: Number | None = None
    overshoot_structure: str | None = None
    margin_mm: Number | None = None
    slack_mm: Number | None = None
    breach_probability: dict[str, Any] | None = None
    clearances: list[ClearanceEntry] = []


class PairEntry(Entry):
    """Two implants beside each other, by slot."""

    i: Slot
    j: Slot
    gap_mm: Number | None
    spacing_mm: Number | None
    angle_deg: Number | None


class ReasonEntry(Entry):
    """Why nothing was accepted: the binding constraint and how much is missing."""

    constraint: str
    missing: Number | None
    unit: str
    text: str


class FindingEntry(Entry):
    """Something noticed that a person should know."""

    code: str
    severity: Literal["note", "warning", "refusal"]
    text: str
    side: str = ""


class ProposalEntry(Entry):
    """A plan that is not the side's accepted one: the nearest to one, or the two-implant fallback."""

    accepted: bool
    slack_mm: Number | None = None
    margin_mm: Number | None = None
    violations: list[ReasonEntry] = []
    findings: list[FindingEntry] = []
    pairs: list[PairEntry] = []
    implants: Annotated[list[ImplantEntry], Field(min_length=1, max_length=3)]

    _order = field_validator("implants")(lambda implants: _in_order(implants))


class CertificateEntry(Entry):
    """What is proved about the plan's worst slack; null for a bound, gap or cap that is infinite.

    `slack_mm` is rounded down and `upper_bound_mm` up, so that what is stored is still proved.
    """

    slack_mm: Number
    upper_bound_mm: Number | None = None
    gap_mm: Number | None = None
    cap_mm: Number | None = None
    given: Literal["left", "right"] | None = None


class TradeImplantEntry(Entry):
    """One implant of a plan that trades slack for length."""

    slot: Slot
    model: str
    length_mm: Annotated[float, Field(gt=0, lt=300)]
    entry_lps_mm: Point
    tip_lps_mm: Point
    roll_deg: Number
    sacral_mm: Number | None = None
    slack_mm: Number | None = None


class TradeEntry(Entry):
    """An accepted plan on the same axes: its worst slack, and the length in the sacrum summed over its implants."""

    slack_mm: Number
    sacral_mm: Number
    implants: Annotated[list[TradeImplantEntry], Field(min_length=1, max_length=3)]


class SideEntry(Entry):
    """One side: what the planner answered, and what the judge measured."""

    side: Literal["left", "right"]
    status: Status
    planner: str
    parameters: dict[str, Any] = {}
    certificate: CertificateEntry | None = None
    reasons: list[ReasonEntry] = []
    findings: list[FindingEntry] = []
    nearest: ProposalEntry | None = None
    fallback: ProposalEntry | None = None
    pareto: list[TradeEntry] = []
    views: dict[str, Any] = {}
    pairs: list[PairEntry] = []
    construct_breach_probability: dict[str, Any] | None = None
    implants: Annotated[list[ImplantEntry], Field(max_length=3)]

    _order = field_validator("implants")(lambda implants: _in_order(implants))

    @model_validator(mode="after")
    def _status_and_implants(self) -> SideEntry:
        if bool(self.implants) != (self.status in ("found", "best_effort")):
            raise ValueError("implants exactly where status is found or best_effort")
        return self


class CaseEntry(Entry):
    """What was read, by role (ct, labels): paths as given, and sha256 of the bytes.

    `surface_error_mm` is how far the labels may be off (see `LabelMap`). `identifiers` (patient_name, patient_id,
    study_instance_uid) is there only where --keep-identifiers asked for it.
    """

    paths: dict[str, str] = {}
    sha256: dict[str, str] = {}
    surface_error_mm: Annotated[float, Field(ge=0.0, le=MAX_SURFACE_ERROR_MM)] = 0.0


class PlanFile(Entry):
    """A whole plan.json.

    Parameters
    ----------
    schema_id : "sjplan.plan/1"
        Written as `schema`.
    frame, units : "LPS", "mm"
        Of every coordinate and length in the file.
    case : CaseEntry
        What was planned on.
    seed : int
        Of all randomness.
    versions : mapping of str
        Of sjplan and the libraries that the numbers depend on.
    created : str
        ISO 8601 time.
    findings : list of FindingEntry
        What the intake noticed.
    sides : list of SideEntry
        One entry a side, at most one left and one right.
    """

    schema_id: Literal["sjplan.plan/1"] = Field(default="sjplan.plan/1", alias="schema")
    not_for_clinical_use: Literal[True] = True
    notice: str = NOT_FOR_CLINICAL_USE
    created: str
    case: CaseEntry
    frame: Literal["LPS"] = "LPS"
    units: Literal["mm"] = "mm"
    seed: int
    versions: dict[str, str]
    findings: list[FindingEntry] = []
    sides: Annotated[list[SideEntry], Field(min_length=1, max_length=2)]

    @field_validator("created")
    @classmethod
    def _is_a_time(cls, value: str) -> str:
        datetime.datetime.fromisoformat(value)
        return value

    @field_validator("sides")
    @classmethod
    def _each_side_once(cls, sides: list[SideEntry]) -> list[SideEntry]:
        if len({entry.side for entry in sides}) < len(sides):
            raise ValueError("each side once")
        return sides

    def side(self, side: str) -> SideEntry | None:
        """The entry of one side, or None."""
        return next((entry for entry in self.sides if entry.side == side), None)


def _in_order(implants: list[ImplantEntry]) -> list[ImplantEntry]:
    slots = [implant.slot for implant in implants]
    if sorted(set(slots)) != slots:
        raise ValueError("slots that ascend, each once")
    return implants
