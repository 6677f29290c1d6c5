"""Findings: what was noticed that a person should know, each with its consequence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["note", "warning", "refusal"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed: a stable code, how grave it is, a sentence for people, and the side it concerns."""

    code: str
    severity: Severity
    text: str
    side: str = ""
