"""The two pictures beside the slices: a simulated view, and the pelvis in three dimensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from sjplan.app.monitor import Monitor, grey_of
from sjplan.app.planning_desk import PANE_PX, Desk
from sjplan.app.worker import Latest
from sjplan.render.display import Scene
from sjplan.render.fluoro import edge_letters
from sjplan.render.plan_window import PlanWindow
from sjplan.training.theatre import Theatre
from sjplan.views.patient import views_of_anatomy
from sjplan.xray.carm import CArmGeometry
from sjplan.xray.types import CArm, Radiograph

if TYPE_CHECKING:
    from sjplan.app.planning import PlanningPage

VIEWS: Final = ("ap", "inlet", "outlet", "lateral")
TRIANGLES: Final = 6_000
"""Of each bone in the 3D picture: few enough for software GL."""

TURN_DEG: Final = 180.0
"""Dragging across the whole 3D picture turns it so far."""


class PlanPictures:
    """Drawn when the hand rests: they take longer than a slice.

    Parameters
    ----------
    page : PlanningPage
        Whose desk they show.
    """

    def __init__(self, page: PlanningPage) -> None:
        self.page = page
        self.xray, self.solid = Monitor(PANE_PX), Monitor(PANE_PX, self._mouse)
        self._views: Mapping[str, CArm] = {}
        self._scene: Scene | None = None
        self._window: PlanWindow | None = None
        self._viewer, self._held = (35.0, 20.0), (0.0, 0.0, 35.0, 20.0)
        self._latest = Latest(self._draw)

    def prepare(self, theatre: Theatre) -> None:
        """Find the standard views and make light meshes; in the worker's thread."""
        self._views = views_of_anatomy(theatre.anatomy, theatre.maker.device.source_to_isocentre_mm)
        self._scene = Scene.of(theatre.anatomy, TRIANGLES)

    def ask(self) -> None:
        """Have both drawn."""
        self._latest.ask()

    def look_from(self, turned_deg: float, raised_deg: float) -> None:
        """Look at the pelvis from elsewhere."""
        self._viewer = (turned_deg, min(max(raised_deg, -89.0), 89.0))
        self.ask()

    def _mouse(self, what: str, across: float, down: float) -> None:
        if what == "press":
            self._held = (across, down, *self._viewer)
        elif what == "move":
            x, y, turned, raised = self._held
            self.look_from(turned - TURN_DEG * (across - x), raised + TURN_DEG * (down - y))

    async def _draw(self) -> None:
        """The simulated view and the 3D picture."""
        page = self.page
        desk, name = page.desk, str(page.state.pl_view)
        if desk is None:
            return
        paths = {n: path for n, path in enumerate(desk.draft.paths, 1)}
        metal = [path for stack in desk.stacks.values() for path in stack.draft.paths if stack is not desk.stack]
        plan = desk.planned.get(desk.side) if desk.shows_plan else None
        turned, raised = self._viewer
        ghosts = () if plan is None else plan.trajectories

        def shoot() -> tuple[Radiograph, Any]:
            detector = desk.theatre.detector(PANE_PX)
            shot = desk.theatre.scope.take(self._views[name], detector, [*paths.values(), *metal])
            return shot, grey_of(shot)

        def look() -> Any:
            window = self._window_of(desk)
            return None if window is None else window.draw(paths, ghosts, turned_deg=turned, raised_deg=raised)

        steps, do = page.steps, page.visit.house.worker.do
        shot, grey = await do(shoot)
        if desk is not page.desk:
            return
        with page.state:
            geometry = CArmGeometry.of(shot.carm, shot.detector)
            page.state.pl_edges = edge_letters(shot, geometry, desk.frame)
        self.xray.show(grey)
        # A hand that has moved on goes first; it rests again, or lets go.
        if steps == page.steps:
            picture = await do(look)
            if picture is not None and desk is page.desk:
                self.solid.show(picture)

    def _window_of(self, desk: Desk) -> PlanWindow | None:
        """The 3D picture's window, of the side that is shown; in the worker's thread."""
        scene, side, windows = self._scene, desk.side, self.page.visit.windows
        if scene is None or desk is not self.page.desk:
            return None
        if self._window is None or (self._window.scene, self._window.side) != (scene, side):
            self._closed()
            self._window = windows.opened(lambda: PlanWindow(scene, side, PANE_PX))
        return self._window

    def _closed(self) -> None:
        """No window; in the worker's thread."""
        window, self._window = self._window, None
        if window is not None:
            self.page.visit.windows.closed(window)

    async def close(self) -> None:
        """Close the 3D picture's window."""
        await self.page.visit.house.worker.do(self._closed)

    async def drop(self) -> None:
        """Nobody plans here any more."""
        await self.close()
        self.xray.clear()
        self.solid.clear()
