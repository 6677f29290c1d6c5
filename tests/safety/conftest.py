"""The blocks and the default limits, made once."""

import pytest
from blocks import Blocks

from sjplan.io.limits import read_limits


@pytest.fixture(scope="session")
def blocks():
    made = Blocks()
    assert made.anatomy.joints
    return made


@pytest.fixture(scope="session")
def limits():
    return read_limits()
