"""The operating room without a mouse, what can be undone, and a connection that is lost in the middle of a shot."""

import json
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest
from app_support import Trainer
from browser_support import PATIENCE_MS, into_theatre, open_page, settled
from playwright.sync_api import Page, expect

pytestmark = [pytest.mark.browser, pytest.mark.slow]

COMPLAINTS: list[str] = []


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with open_page(COMPLAINTS) as opened:
        yield opened


def done(trainer: Trainer, user: str) -> list[dict[str, Any]]:
    """Actions of somebody's only session, as the history has them."""
    with sqlite3.connect(trainer.history) as db:
        lines = db.execute(
            "SELECT line FROM events e JOIN sessions s ON s.id = e.session_id JOIN users u ON u.id = s.user_id"
            " WHERE u.code = ? ORDER BY e.n",
            (user,),
        ).fetchall()
    return [json.loads(line)["action"] for (line,) in lines]


def arm(page: Page, name: str, value: str) -> None:
    expect(page.locator(f"#arm_{name}")).to_have_value(value)


def test_an_operation_by_keys(page: Page, trainer: Trainer) -> None:
    into_theatre(page, trainer, "K-01")
    expect(page.locator("#undo")).to_be_disabled()
    expect(page.locator("#undo_why")).to_have_text("nothing has been done yet")
    for key, name, value in (("2", "orbital_deg", "90"), ("ArrowRight", "orbital_deg", "95"), (".", "wig_wag_deg", "2"),
                             ("Shift+ArrowUp", "along_mm", "10"), ("PageUp", "lift_mm", "10")):  # fmt: skip
        page.keyboard.press(key)
        arm(page, name, value)
    for _ in range(4):
        page.keyboard.press("z")
        page.wait_for_timeout(120)
    arm(page, "orbital_deg", "90")
    arm(page, "along_mm", "0")
    expect(page.locator("#undo")).to_have_text("Undo: arm back to orbital 0°, tilt 0°, wig-wag 0°")
    page.keyboard.press("Space")
    assert "frames at" in settled(page)
    expect(page.locator("#undo_why")).to_have_text("X-rays that were given cannot be taken back")
    page.keyboard.press("k")
    page.keyboard.press("w")
    expect(page.locator("#op_cranial")).to_have_value("2")
    page.keyboard.press("n")
    settled(page)
    expect(page.locator("#undo")).to_have_text("Undo: take the pin off the skin")
    page.keyboard.press("z")
    assert settled(page) == "Taken back: take the pin off the skin."
    page.keyboard.press("n")
    settled(page)
    page.keyboard.press("u")
    assert "Advanced" in settled(page)
    expect(page.locator("#undo")).to_be_disabled()
    page.keyboard.press("t")
    settled(page)
    page.keyboard.press("b")
    settled(page)
    wanted = ["move-arm", "shoot", "place-pin", "withdraw-pin", "place-pin", "push-pin", "tap-pin", "withdraw-pin"]
    assert [action["do"] for action in done(trainer, "K-01")] == wanted


def test_keys_stay_out_of_fields_and_of_the_list(page: Page, trainer: Trainer) -> None:
    before = done(trainer, "K-01")
    page.focus("#op_push")
    page.keyboard.type("x t n 2 ")
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement === document.body")
    page.focus("#op_side")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    for combined in ("Control+x", "Alt+x", "Meta+x"):
        page.keyboard.press(combined)
    page.keyboard.press("?")
    expect(page.locator("#keys")).to_be_visible()
    assert page.evaluate("document.activeElement.id") == "keys_close"
    box = page.locator("#keys").bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 720
    assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.querySelector('#keys'))")
    page.keyboard.press("x")
    page.keyboard.press("Escape")
    expect(page.locator("#keys")).to_be_hidden()
    page.click("#keep")
    page.keyboard.press("Space")
    settled(page)
    assert [a["do"] for a in done(trainer, "K-01")[len(before) :]] == ["shoot"], (
        "only the last: no field, no button had it"
    )


def test_tab_reaches_everything_and_shows_where_it_is(page: Page, trainer: Trainer) -> None:
    wanted = set(page.evaluate(
        "[...document.querySelectorAll('#page_operate :is(button, input, select), .bar button, #live')]"
        ".filter(e => !e.disabled && e.checkVisibility()).map(e => e.id || e.textContent)"
    ))  # fmt: skip
    assert {"shot", "tap", "finish", "op_push", "arm_tilt_deg_more", "live", "keys_open"} <= wanted
    seen: set[str] = set()
    page.evaluate("document.activeElement.blur()")
    for _ in range(len(wanted) + 5):
        page.keyboard.press("Tab")
        at, line = page.evaluate(
            "(e => [e.id || e.textContent, getComputedStyle(e).outlineStyle + ' ' + getComputedStyle(e).outlineWidth])"
            "(document.activeElement)"
        )
        if at in wanted:
            assert line == "solid 2px", f"{at} has the focus and does not show it"
        seen.add(at)
    assert wanted <= seen


def test_on_a_button_that_tab_has_reached_space_presses_that_button(page: Page, trainer: Trainer) -> None:
    before = len(done(trainer, "K-01"))
    page.evaluate("document.activeElement.blur()")
    page.focus("#gauge")
    page.keyboard.press("Space")
    settled(page)
    assert [a["do"] for a in done(trainer, "K-01")[before:]] == ["measure-depth"]
    assert COMPLAINTS == []


def test_a_connection_lost_in_the_middle_of_a_shot(page: Page, trainer: Trainer) -> None:
    into_theatre(page, trainer, "K-02")
    page.keyboard.press("2")
    page.evaluate(
        "document.querySelector('#shot').click(); setTimeout(() => window.sockets.forEach(one => one.close()), 50)"
    )
    page.context.set_offline(True)
    lost = page.get_by_role("alertdialog", name="Connection lost")
    expect(lost).to_be_visible(timeout=PATIENCE_MS)
    assert "Everything that was done is in the history, once." in lost.inner_text()
    assert page.evaluate("document.activeElement.textContent") == "Try now"
    page.wait_for_timeout(2000)
    expect(lost).to_be_visible()
    page.context.set_offline(False)
    expect(lost).to_be_hidden(timeout=PATIENCE_MS)
    page.wait_for_selector("#live", state="visible", timeout=PATIENCE_MS)
    expect(page.locator("#op_shots")).to_have_text("Shots 1 ")
    arm(page, "orbital_deg", "90")
    page.wait_for_selector("#live canvas", state="visible", timeout=PATIENCE_MS)
    assert [a["do"] for a in done(trainer, "K-02")] == ["move-arm", "shoot"]
    page.keyboard.press("Space")
    settled(page)
    assert [a["do"] for a in done(trainer, "K-02")] == ["move-arm", "shoot", "shoot"]


def test_x_rays_go_off_when_the_page_is_gone(page: Page, trainer: Trainer) -> None:
    """Foot on the pedal, mouse held down, and the connection goes: what was given is one shot of as long."""
    page.click("#pedal")
    box = page.locator("#live").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 230, box["y"] + 200, steps=4)
    page.wait_for_timeout(500)
    page.evaluate("window.sockets.forEach(one => one.close())")
    expect(page.locator("#op_shots")).to_have_text("Shots 3 ", timeout=PATIENCE_MS)
    page.mouse.up()
    page.wait_for_timeout(500)
    shots = [a for a in done(trainer, "K-02") if a["do"] == "shoot"]
    assert len(shots) == 3
    assert 0.3 < shots[-1]["seconds"] < 20.0
