"""One coarse phantom and its anatomy, shared by the tests of this folder."""

import pytest

from sjplan.anatomy.build import anatomy_from_labels
from sjplan.anatomy.types import Anatomy
from sjplan.phantom.build import Phantom, build_phantom
from sjplan.phantom.parameters import PhantomParameters

SPACING_MM = 2.0


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    """A turned, shifted, uneven phantom at the coarsest spacing that can be planned on."""
    parameters = PhantomParameters(rotation_deg=(6.0, -4.0, 9.0), offset_lps_mm=(40.0, -300.0, 900.0), asymmetry_mm=2.0)
    return build_phantom(parameters, spacing_mm=SPACING_MM)


@pytest.fixture(scope="session")
def anatomy(phantom: Phantom) -> Anatomy:
    return anatomy_from_labels(phantom.labels)
