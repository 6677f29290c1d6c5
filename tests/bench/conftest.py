"""The contract's phantom, made once."""

import pytest

from sjplan.planning.protocol import Problem
from sjplan.testing.problems import phantom_problem


@pytest.fixture(scope="session")
def problem() -> Problem:
    return phantom_problem()
