"""Files that nobody should trust: written by hand, shipped by pydicom, and sound files spoilt at random by a seed.

`corpus()` lists them; each is written when it is its turn. `scripts/validate_hostile.py` reads them all.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pydicom
from hostile_by_chance import SPOILERS
from hostile_by_hand import by_hand
from sound_files import Maker

SEEDS: Final = 60
"""Spoilt files of every kind."""


@dataclass(frozen=True, slots=True)
class Hostile:
    """One case: a name, its group, the seed where it is random, and what writes it into a folder."""

    name: str
    group: str
    seed: int | None
    make: Maker


def corpus() -> Iterator[Hostile]:
    """Every case, always the same, in the same order."""
    for name, make in by_hand().items():
        yield Hostile(name, "by hand", None, make)
    for name, make in shipped():
        yield Hostile(name, "shipped by pydicom", None, make)
    for kind, spoil in SPOILERS.items():
        for seed in range(SEEDS):
            yield Hostile(f"{kind} {seed}", f"spoilt {kind}", seed, _seeded(spoil, seed))


def _seeded(spoil: Callable[[Path, np.random.Generator], Path], seed: int) -> Maker:
    return lambda folder: spoil(folder, np.random.default_rng(seed))


def shipped() -> Iterator[tuple[str, Maker]]:
    """Every file that pydicom ships, alone in a folder; its DICOMDIRs with their trees."""
    root = Path(pydicom.__file__).parent / "data"
    tree = root / "test_files" / "dicomdirtests"

    def alone(path: Path) -> Maker:
        def make(folder: Path) -> Path:
            shutil.copy(path, folder / "a.dcm")
            return folder

        return make

    def indexed(path: Path) -> Maker:
        def make(folder: Path) -> Path:
            shutil.copytree(tree, folder, dirs_exist_ok=True)
            shutil.copy(path, folder / "DICOMDIR")
            return folder

        return make

    for path in sorted(p for p in root.rglob("*") if p.is_file() and p.suffix not in (".py", ".pyc")):
        name = path.relative_to(root).as_posix()
        if path.name.startswith("DICOMDIR") and path.parent == tree:
            yield name, indexed(path)
        else:
            yield name, alone(path)
