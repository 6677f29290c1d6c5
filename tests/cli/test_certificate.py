"""Certificate and Pareto plans from a planner to plan.json, and the pictures of a side that is refused."""

from dataclasses import replace
from pathlib import Path

import pytest
from cli_support import Sjplan, good_plan, moved, use_stub

from sjplan.cli.plan import certificate_lines
from sjplan.core.plan import Certificate, Outcome, Reason
from sjplan.io.planfile import read_plan


def test_plan_file_holds_certificate_and_pareto_plans(plan_folder: Path) -> None:
    (side,) = read_plan(plan_folder / "plan.json").sides
    certificate = side.certificate
    assert certificate is not None
    assert certificate.upper_bound_mm is not None
    assert certificate.slack_mm <= certificate.upper_bound_mm <= 3.0 == certificate.cap_mm
    worst = [i.slack_mm for i in side.implants if i.slack_mm is not None]
    assert certificate.slack_mm <= min(worst) + 1e-9
    assert side.pareto
    assert side.pareto[0].slack_mm == pytest.approx(min(worst), abs=0.002)
    assert [i.entry_lps_mm for i in side.pareto[0].implants] == [i.entry_lps_mm for i in side.implants]
    front = [(plan.slack_mm, plan.sacral_mm) for plan in side.pareto]
    assert front == sorted(front, key=lambda point: point[1]), "from most slack to most length"
    for plan in side.pareto:
        assert plan.sacral_mm == pytest.approx(sum(i.sacral_mm or 0.0 for i in plan.implants), abs=0.005)
        assert plan.slack_mm >= 0


@pytest.mark.parametrize(
    ("certificate", "words"),
    [
        (Certificate(2.345, 2.401, 3.0), "no plan has more than 2.41 mm of worst slack (this one: 2.34, cap 3 mm)"),
        (Certificate(2.345, 2.401, 3.0), "gap 0.07 mm"),
        (Certificate(3.0, 3.0, 3.0), "certified up to the cap of 3 mm, beyond which more is not asked for"),
        (Certificate(2.92, 3.0, 3.0), "this plan has 2.92; gap 0.08 mm"),
        (Certificate(1.0, 1.8, 3.0), "gap 0.80 mm, where 0.25 mm was aimed at: the proof was cut short"),
        (Certificate(1.0, 3.0, 3.0), "not certified: worst slack 1.00 mm, cap 3 mm; the proof was cut short"),
        (Certificate(1.0, float("inf"), float("inf")), "not certified: worst slack 1.00 mm, no cap"),
        (Certificate(2.0, 2.1, 3.0, given="right"), "given the implants of the right side"),
    ],
)  # fmt: skip
def test_summary_says_what_is_proved(certificate: Certificate, words: str) -> None:
    (line,) = certificate_lines(certificate, None)
    assert words in line.plain
    assert certificate_lines(None, None) == []


def test_slack_given_for_a_reserve_is_no_proof_cut_short(plan_folder: Path) -> None:
    plan = replace(good_plan(plan_folder), parameters={"gap_mm": 0.25, "reserve": 0.5, "reserve_paid_mm": 0.2})
    (line,) = certificate_lines(Certificate(2.0, 2.44, 3.0), plan)
    assert "cut short" not in line.plain
    (line,) = certificate_lines(Certificate(2.0, 2.5, 3.0), plan)
    assert "where 0.25 mm was aimed at and 0.2 mm given for a reserve: the proof was cut short" in line.plain
    (line,) = certificate_lines(Certificate(2.7, 3.0, 3.0), plan)
    assert "certified up to the cap of 3 mm" in line.plain


def test_pareto_plans_that_the_judge_rejects_are_dropped(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = good_plan(plan_folder)
    bad = replace(plan, trajectories=tuple(moved(t, (-25.0, 0.0, 0.0)) for t in plan.trajectories))
    certificate = Certificate(0.5, 1.0, 3.0)
    use_stub(monkeypatch, lambda problem: Outcome("found", plan=plan, pareto=(plan, bad), certificate=certificate))
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "out")
    assert done.code == 0
    assert "certified: no plan has more than 1.00 mm of worst slack" in done.out
    side = read_plan(tmp_path / "out" / "plan.json").sides[0]
    assert len(side.pareto) == 1
    use_stub(monkeypatch, lambda problem: Outcome("found", plan=bad, pareto=(bad,), certificate=certificate))
    done = sjplan("plan", phantom, "--side", "left", "--no-pictures", "--out", tmp_path / "no", "--json")
    assert (done.json["sides"][0]["certificate"], done.json["sides"][0]["pareto"]) == (None, [])


@pytest.mark.slow
def test_report_of_a_refused_side_shows_the_entry_map(
    sjplan: Sjplan, phantom: Path, plan_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reason = Reason("passage", 1.0, "mm", "nothing passes")
    plan = good_plan(plan_folder)
    near = replace(plan, trajectories=tuple(moved(t, (0.0, 0.0, -4.0)) for t in plan.trajectories))
    use_stub(
        monkeypatch,
        lambda problem: Outcome("infeasible", reasons=(reason,), nearest=near if problem.side == "left" else None),
    )
    assert sjplan("plan", phantom, "--out", tmp_path / "none").code == 1
    names = {p.name for p in (tmp_path / "none").iterdir()}
    of = ("left-entries.png", "left-profiles.png", *(f"left-tightest-{n}.png" for n in (1, 2, 3)))
    assert {*of, "right-entries.png"} <= names
    assert not {"left-pareto.png", "right-profiles.png", "right-tightest-1.png"} & names, "of a plan that is not there"
    assert (tmp_path / "none" / "right-entries.png").read_bytes().startswith(b"\x89PNG")
    report = (tmp_path / "none" / "report.html").read_text(encoding="utf-8")
    assert "How much room there is, right" in report
    assert "nothing passes" in report
    assert "nearest plan (NOT accepted)" in report
