"""What the tests of the command line share: the outcome of a command, and checks on it."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import SimpleITK as sitk


@dataclass(frozen=True)
class Done:
    """What one command line left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout; fails if there is anything else."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


Sjplan = Callable[..., Done]


def changed(image: sitk.Image, change: Callable[[np.ndarray], np.ndarray]) -> sitk.Image:
    """The same image with other voxels ([k, j, i])."""
    result = sitk.GetImageFromArray(change(sitk.GetArrayFromImage(image)))
    result.CopyInformation(image)
    return result


def one_line(text: str) -> bool:
    return text.count("\n") == 1 and text.startswith("sjplan: ") and "Traceback" not in text
