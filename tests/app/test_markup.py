"""The pages as markup: no attribute is dropped, and every field and button has a name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sjplan.app.house import House
from sjplan.app.keys import KEYS, SHORTCUTS
from sjplan.app.layout import build
from sjplan.app.visit import Visit
from sjplan.io.scoring import read_scoring
from sjplan.training.history import History


@pytest.fixture(params=["trainee", "instructor"])
def elements(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[list[Any]]:
    """Every element of the whole page."""
    house = House({}, History(tmp_path / "history.sqlite"), read_scoring())
    layout = build(Visit(house, request.param))
    assert layout.html
    yield list(_below(layout.root))
    house.close()


def _below(element: Any) -> Iterator[Any]:
    for child in getattr(element, "_children", ()):
        if not isinstance(child, str):
            yield child
            yield from _below(child)


def _said(element: Any, name: str) -> Any:
    return element._impl.py_attr.get(name)


def test_no_attribute_is_dropped_in_silence(elements: list[Any]) -> None:
    dropped = {(e._elem_name, name) for e in elements for name in e._impl.skipped_attributes}
    assert not dropped


def test_everything_that_can_be_used_has_a_name(elements: list[Any]) -> None:
    labels = [e for e in elements if e._elem_name == "label"]
    labelled = {_said(e, "html_for") for e in labels} | {_said(e, "id") for label in labels for e in _below(label)}
    for element in elements:
        if element._elem_name in ("input", "select"):
            assert _said(element, "aria_label") or _said(element, "id") in labelled, element.html
        elif element._elem_name == "button":
            text = "".join(c for c in element._children if isinstance(c, str)).strip()
            inside = any(not isinstance(c, str) for c in element._children)
            assert _said(element, "aria_label") or text.strip("+−") or inside, element.html


def test_every_key_has_its_button_and_no_two_share_one(elements: list[Any]) -> None:
    found = {_said(e, "id"): _said(e, "aria_keyshortcuts") for e in elements if _said(e, "aria_keyshortcuts")}
    assert found == SHORTCUTS
    names = [name for keys in KEYS.values() for key in keys for name in key.names]
    assert len(names) == len(set(names))
    assert not {"drill", "broach", "insert", "finish", "back_out"} & set(found), "there is no way back from these"
