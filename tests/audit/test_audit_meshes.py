"""Meshes of implants give back the implant, whatever their triangles; what is no implant is refused."""

import numpy as np
import pytest
import trimesh

from sjplan.audit.compare import found_in_meshes
from sjplan.audit.deviations import deviation
from sjplan.audit.types import PlannedImplant
from sjplan.core.errors import InputError
from sjplan.core.trajectory import Trajectory
from sjplan.geometry.solids import outline
from sjplan.io.catalogue import read_implants

CATALOGUE = read_implants()


def implant(
    slot: int, model: str = "tri-7", roll: float = 0.0, off: tuple[float, ...] = (0.0, 0.0, 0.0), far: float = 0.0
) -> Trajectory:
    """One of three parallel implants: off its place by some mm, tilted with it, and the whole case far away."""
    entry = np.array([70.0, 30.0 - far, far - 20.0 * slot]) + off
    return Trajectory(entry, entry + np.array((-40.0, -6.0 - off[0], 4.0 + off[1])), roll, CATALOGUE[model])


@pytest.mark.parametrize("model", ["tri-7", "thread-10"])
def test_meshes_give_back_their_implants(model: str) -> None:
    """Turned ends, a finer mesh, two implants in one file, and 2 m off: all the same implants."""
    plan = [PlannedImplant("left", n, implant(n, model, 11.0, far=2000.0)) for n in (1, 2, 3)]
    real = [implant(n, model, 10.0 * n + 50.0, (2.0, -1.0, 3.0), 2000.0) for n in (1, 2, 3)]
    first, second, third = (trimesh.Trimesh(*outline(t), process=False) for t in real)
    two = trimesh.util.concatenate([first, second.subdivide()])
    found, extra = found_in_meshes(
        plan, [("two", two.vertices, two.faces), ("c", third.vertices[::-1], len(third.vertices) - 1 - third.faces)]
    )
    assert extra == []
    for n, t in enumerate(real):
        off = deviation(t, found[n].trajectory)
        assert max(off.entry_mm, off.tip_mm) < 1e-3
        assert off.angle_deg < 1e-3
        assert off.roll_deg is None if model == "thread-10" else abs(off.roll_deg) < 1e-2
        assert found[n].fit_rms < 0.05
        assert found[n].roll_known == (model == "tri-7")


def test_another_model_is_refused_by_name() -> None:
    plan = [PlannedImplant("left", 1, implant(1))]
    vertices, triangles = outline(implant(1, "thread-10"))
    with pytest.raises(InputError, match=r"c: found a mesh that tri-7 leaves .* over of"):
        found_in_meshes(plan, [("c", vertices, triangles)])


def test_missing_and_extra_are_told() -> None:
    plan = [PlannedImplant("left", n, implant(n)) for n in (1, 2)]
    elsewhere = implant(1, off=(0.0, 0.0, 90.0))
    found, extra = found_in_meshes(plan, [("a", *outline(implant(2))), ("b", *outline(elsewhere))])
    assert sorted(found) == [1]
    assert [e.name for e in extra] == ["b"]
    assert deviation(elsewhere, extra[0].trajectory).tip_mm < 1e-3


def test_what_no_implants_can_be_is_refused() -> None:
    """More pieces than anybody is given, in one mesh or in all, and pieces with too few corners to lay a model into."""
    plan = [PlannedImplant("left", 1, implant(1))]
    vertices, triangles = outline(implant(1))
    corners = np.random.default_rng(0).uniform(-100.0, 100.0, (300_000, 3))
    loose = np.arange(len(corners)).reshape(-1, 3)
    with pytest.raises(InputError, match="dust: found 100000 loose pieces"):
        found_in_meshes(plan, [("dust", corners, loose)])
    with pytest.raises(InputError, match="meshes: found 65 loose pieces"):
        found_in_meshes(plan, [("c", vertices, triangles)] * 65)
    both, faces = np.concatenate([vertices, corners[:3]]), np.concatenate([triangles, loose[:1] + len(vertices)])
    with pytest.raises(InputError, match=r"c [12]: found a piece of 3 corners"):
        found_in_meshes(plan, [("c", both, faces)])
