"""The synthetic pelvis, made once."""

import pytest
import synthetic

from sjplan.anatomy.types import Anatomy
from sjplan.render.display import Scene


@pytest.fixture(scope="session")
def anatomy() -> Anatomy:
    return synthetic.anatomy()


@pytest.fixture(scope="session")
def scene(anatomy) -> Scene:
    return Scene.of(anatomy)
