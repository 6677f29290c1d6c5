"""The standard views of a pelvis whose anatomy is known."""

from __future__ import annotations

import numpy as np

from sjplan.anatomy.types import Anatomy
from sjplan.views.fronts import front_points
from sjplan.views.landmarks import landmark_lines
from sjplan.views.standard import SOURCE_TO_ISOCENTRE_MM, standard_views
from sjplan.xray.types import CArm


def views_of_anatomy(anatomy: Anatomy, source_mm: float | None = None) -> dict[str, CArm]:
    """Views by name, from all that the bones tell, with a tube so far from the isocentre (650 mm if not given).

    `standard_views` makes them; it needs less, and tells what each view is.
    """
    mouths = [f.ventral.centre_lps_mm for f in anatomy.foramina if f.level == "S2" and f.ventral is not None]
    return standard_views(
        anatomy.frame,
        {**anatomy.landmarks, **front_points(anatomy)},
        s2_foramina_lps_mm=np.array(mouths) if len(mouths) == 2 else None,
        lines=landmark_lines(anatomy),
        source_to_isocentre_mm=source_mm or SOURCE_TO_ISOCENTRE_MM,
    )
