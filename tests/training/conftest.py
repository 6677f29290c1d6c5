"""The contract's phantom as an operating room."""

import pytest

from sjplan.io.cases import Case
from sjplan.testing.problems import phantom_anatomy, phantom_labels
from sjplan.training.theatre import Theatre, open_theatre


@pytest.fixture(scope="session")
def theatre() -> Theatre:
    return open_theatre("contract phantom", Case(None, phantom_labels()), anatomy=phantom_anatomy())
