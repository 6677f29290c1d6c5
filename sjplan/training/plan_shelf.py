"""Plans that people laid by hand and kept: one plan.json each, in a folder beside the history.

Files have names of ours, in folders of ours: what somebody calls themselves or a plan never becomes a path.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from sjplan.core.errors import InputError, SjplanError
from sjplan.io.cases import Case
from sjplan.io.planfile import PlanFile, read_plan, write_plan
from sjplan.training.templating_files import check_fits

MOST_KEPT: Final = 100
"""Plans of one person (default)."""

TITLE_LETTERS: Final = 60
NOTE: Final = "kept"
"""Key of plan.json under which title and time stand."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A plan that was kept.

    Parameters
    ----------
    key : str
        What it is asked for by.
    title, at : str
        What its owner calls it, and when it was kept (UTC, ISO 8601).
    file : PlanFile
        What it holds.
    """

    key: str
    title: str
    at: str
    file: PlanFile


class PlanShelf:
    """Kept plans of all people.

    Parameters
    ----------
    folder : path
        Made when the first plan is kept.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = Path(folder)

    def keep(self, user: str, title: str, file: PlanFile) -> Kept:
        """Put a plan on the shelf.

        Raises
        ------
        InputError
            For a person who has too many, or a place that cannot be written.
        """
        folder = self._of(user)
        if folder.is_dir() and sum(1 for _ in folder.glob("*.json")) >= MOST_KEPT:
            raise InputError("plan", found=f"{MOST_KEPT} kept already", wanted="fewer", fix="download this one instead")
        now = datetime.now(UTC)
        at, key = now.isoformat(timespec="seconds"), f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}"
        shown = " ".join("".join(c if c.isprintable() else " " for c in title).split())[:TITLE_LETTERS]
        noted = file.model_copy(update={NOTE: {"title": shown or "a plan", "at": at}})
        folder.mkdir(parents=True, exist_ok=True)
        write_plan(noted, folder / f"{key}.json")
        return Kept(key, shown or "a plan", at, noted)

    def kept(self, user: str, case: Case) -> list[Kept]:
        """A person's plans of a case, the newest first; files that cannot be read are left out."""
        found = []
        for path in sorted(self._of(user).glob("*.json"), reverse=True):
            try:
                file = read_plan(path)
                check_fits(file, case)
            except SjplanError:
                continue
            note: Any = (file.model_extra or {}).get(NOTE)
            note = note if isinstance(note, dict) else {}
            title, at = str(note.get("title", "a plan"))[:TITLE_LETTERS], str(note.get("at", file.created))
            found.append(Kept(path.stem, title, at, file))
        return found

    def opened(self, user: str, case: Case, key: str) -> Kept:
        """One of a person's plans of a case.

        Raises
        ------
        InputError
            For a key that none of them has.
        """
        for kept in self.kept(user, case):
            if kept.key == key:
                return kept
        raise InputError("plan", found=repr(key[:40]), wanted="one of your own plans of this patient")

    def _of(self, user: str) -> Path:
        return self._folder / hashlib.sha256(user.encode()).hexdigest()[:24]
