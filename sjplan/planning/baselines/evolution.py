"""evolution-v1: all implants at once as one vector, by scipy's differential evolution on the penalised worst slack."""

from __future__ import annotations

from sjplan.core.plan import Outcome
from sjplan.planning.baselines.shared import CAPABILITIES, FINISHING
from sjplan.planning.evolve import evolved
from sjplan.planning.protocol import PlannerSpec
from sjplan.planning.workshop import Workshop, WorkshopPlanner

_FINISHED = 3


class EvolutionPlanner(WorkshopPlanner):
    """Four numbers an implant; missed rules cost millimetres in the same objective (see `evolved`).

    The best three members are refined on surfaces.
    """

    spec = PlannerSpec(
        id="evolution-v1",
        summary="differential evolution over all implants at once, on the penalised worst slack",
        capabilities=CAPABILITIES,
        parameters={"population": 10, "generations": 400, "refinements": 120, **FINISHING},
    )

    def search(self, shop: Workshop) -> Outcome:
        """Evolve, then finish the best members."""
        p = self.parameters
        shop.report("evolving", 0.1)
        sets = evolved(shop, int(p["population"]), int(p["generations"]), float(p["slack_cap_mm"]))
        return shop.answer(shop.finished(sets[:_FINISHED])) if len(sets) else shop.timed_out(None)
