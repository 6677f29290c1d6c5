"""What a row of results holds, column by column, and the hash that tells whether two experiments found the same."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from sjplan.core.errors import InputError, unknown_name

SCHEMA: Final = "sjplan.bench-rows/1"

STATUSES: Final = (
    "found", "best_effort", "infeasible", "timeout", "invalid_input", "crashed", "killed", "rejected",
)  # fmt: skip
"""How a run may end. The last three are the benchmark's: an exception, an end from outside (wall, memory, a signal),
and an answer that is none (garbage, NaN, someone else's plan, a changed problem)."""

LARGEST_WHOLE: Final = 2**63 - 1
"""Of a whole number: what a column of 64 bits holds."""

Kind = Literal["text", "whole", "number", "flag", "json"]
Row = dict[str, Any]
"""Values by column; None where there is none."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name with unit, what kind of value, what it means, and whether it enters the result hash."""

    name: str
    kind: Kind
    text: str
    hashed: bool = True
    required: bool = False


COLUMNS: Final[tuple[Column, ...]] = (
    Column("run", "text", "name of the run, made of everything that decides its answer", required=True),
    Column("experiment", "text", "name of the experiment", hashed=False),
    Column("suite", "text", "name in the bench file"),
    Column("case_key", "text", "name of the case", required=True),
    Column("case_kind", "text", "preset, cohort or labels"),
    Column("source", "text", "name of the preset or cohort, or of the label map's file"),
    Column("traits", "json", "what the case is like: sex, age, dysmorphism, density and so on"),
    Column("side", "text", "left or right", required=True),
    Column("problem", "text", "name of what is asked: the case's content, side, models, limits"),
    Column("planner", "text", "name in tables", required=True),
    Column("planner_id", "text", "id that the planner gives itself"),
    Column("parameters", "json", "parameters that it was made with"),
    Column("models", "json", "implant ids, cranial to caudal"),
    Column("limits", "text", "limits file, empty for the default"),
    Column("error_model", "text", "error model of breach probabilities, empty for none"),
    Column("seed", "whole", "seed of the run", required=True),
    Column("budget_s", "number", "seconds that the planner was given, none for no bound"),
    Column("budget_evaluations", "whole", "evaluations that the planner was given, none for no bound"),
    Column("cap_mm", "number", "worst slack beyond this counts no further, for plan and bound alike"),
    Column("status", "text", "how the run ended, one of STATUSES", required=True),
    Column("error_type", "text", "type of what went wrong, if something did"),
    Column("error_message", "text", "what went wrong in one line"),
    Column("accepted", "flag", "the judge accepts the plan; none without a plan"),
    Column("false_accept", "flag", "the planner says that its plan is accepted, the judge does not"),
    Column("slack_mm", "number", "worst slack of the plan (or of the nearest) as the judge measures it"),
    Column("margin_mm", "number", "smallest envelope distance to any danger structure"),
    Column("lower_bound_mm", "number", "smallest guaranteed distance of the true solids to foramina, canal, anterior"),
    Column("binding", "text", "structure with the worst slack"),
    Column("bound_mm", "number", "certified upper bound of the worst slack, at most the cap"),
    Column("regret_mm", "number", "bound less worst slack, both at most the cap; of accepted plans"),
    Column("articular", "whole", "implants that cross the articular part"),
    Column("iliac_mm", "number", "smallest length in the ilium"),
    Column("sacral_mm", "number", "smallest length in the sacrum"),
    Column("length_mm", "number", "sum of the implants' lengths"),
    Column("spacing_mm", "number", "smallest distance between crossings of the joint"),
    Column("angle_deg", "number", "largest angle between two implants"),
    Column("breach_probability", "number", "that any implant breaches, by the error model"),
    Column("breach_low", "number", "lower end of its 95 % interval"),
    Column("breach_high", "number", "upper end of its 95 % interval"),
    Column("true_margin_mm", "number", "phantoms: smallest true distance of an envelope to any danger structure"),
    Column("true_error_mm", "number", "phantoms: by how much that may be off"),
    Column("true_breach", "flag", "phantoms: a true solid is in a foramen, the canal or in front, beyond the error"),
    Column("evaluations", "whole", "evaluations that the planner counts"),
    Column("plan", "json", "implants: entry, tip, roll, model, length; of the accepted plan, else of the nearest"),
    Column("seconds", "number", "wall time of planning", hashed=False),
    Column("cpu_seconds", "number", "processor time of planning", hashed=False),
    Column("memory_mb", "number", "largest resident memory of the process", hashed=False),
    Column("first_safe_s", "number", "seconds until the first plan that the judge accepts was offered", hashed=False),
    Column("anytime", "json", "offered plans: [seconds, evaluations, judged worst slack, accepted]", hashed=False),
    Column("worker", "text", "which worker did it", hashed=False),
    Column("started", "text", "when it began (UTC)", hashed=False),
)  # fmt: skip
BY_NAME: Final = {column.name: column for column in COLUMNS}

_TYPES: Final[Mapping[Kind, tuple[type, ...]]] = {
    "text": (str,), "whole": (int,), "number": (int, float), "flag": (bool,), "json": (dict, list),
}  # fmt: skip


def checked(row: Mapping[str, Any]) -> Row:
    """A row with every column in order; None where it has no value.

    Raises
    ------
    UnknownNameError
        For a column that does not exist.
    InputError
        For a value of another kind, a number that is not finite, an unknown status, or a required value that is
        missing.

    Examples
    --------
    >>> row = checked({"run": "a", "case_key": "x", "side": "left", "planner": "p", "seed": 0, "status": "found"})
    >>> row["status"], row["slack_mm"]
    ('found', None)
    """
    for name in row:
        if name not in BY_NAME:
            raise unknown_name("column of a row", name, BY_NAME)
    found: Row = {}
    for column in COLUMNS:
        value = row.get(column.name)
        if value is None and column.required:
            raise InputError(f"row: {column.name}", found="nothing", wanted=column.text)
        found[column.name] = None if value is None else _checked(column, value)
    if found["status"] not in STATUSES:
        raise unknown_name("row: status", str(found["status"]), STATUSES)
    return found


def _checked(column: Column, value: Any) -> Any:
    """The value as it is stored: a number is a float, so that 5 and 5.0 have one hash; text is whole Unicode.

    A planner's message, or a file's name, may hold halves of characters, which no file of results takes.
    """
    right = isinstance(value, _TYPES[column.kind]) and (column.kind == "flag" or not isinstance(value, bool))
    finite = not isinstance(value, float) or value - value == 0.0
    storable = column.kind != "whole" or not right or -LARGEST_WHOLE <= value <= LARGEST_WHOLE
    if not (right and finite and storable):
        raise InputError(f"row: {column.name}", found=f"{value!r}"[:80], wanted=f"a {column.kind}: {column.text}")
    if column.kind == "text":
        return value.encode("utf-8", "replace").decode("utf-8")
    return float(value) if column.kind == "number" else value


def result_hash(rows: Iterable[Mapping[str, Any]]) -> str:
    """One hash of what was found: the same for any order, number of workers, host and time.

    Parameters
    ----------
    rows : iterable of mapping
        Whole rows, as `checked` gives them.

    Returns
    -------
    str
        sha256 in hexadecimal.
    """
    lines = sorted(
        json.dumps([row[c.name] for c in COLUMNS if c.hashed], sort_keys=True, separators=(",", ":"), allow_nan=False)
        for row in rows
    )
    digest = hashlib.sha256()
    for n, line in enumerate(lines):
        digest.update((line if n == 0 else "\n" + line).encode())
    return digest.hexdigest()
