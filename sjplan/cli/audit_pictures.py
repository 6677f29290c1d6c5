"""What an audit says of one implant, in words and as a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sjplan.cli.audit_runs import SCHEME, implant_document

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sjplan.anatomy.types import Anatomy
    from sjplan.audit.compare import CaseAudit
    from sjplan.core.labels import LabelMap


def off_words(off: dict[str, Any]) -> str:
    """How far an implant lies off its plan.

    Examples
    --------
    >>> off = {"tip_mm": 5.1, "depth_mm": 1.0, "lateral_mm": 5.0, "entry_mm": 3.2, "angle_deg": 5.1, "roll_deg": None}
    >>> off_words(off)
    'tip 5.1 mm off (+1.0 along, 5.0 across), entry 3.2 mm, axis 5.1 deg'
    """
    roll = "" if off["roll_deg"] is None else f", roll {off['roll_deg']:+.0f} deg"
    return (
        f"tip {off['tip_mm']:.1f} mm off ({off['depth_mm']:+.1f} along, {off['lateral_mm']:.1f} across), "
        f"entry {off['entry_mm']:.1f} mm, axis {off['angle_deg']:.1f} deg{roll}"
    )


def now_words(implant: dict[str, Any]) -> str:
    """How clear an implant is as it lies, and how it is graded; `implant` is as `implant_document` gives it."""
    breach = f"{implant['breach_mm']:.1f} mm behind {implant['breached']}" if implant["breached"] else "none"
    grade = f"breach {breach} ({SCHEME} {implant['grades'][SCHEME]})"
    return f"now {implant['margin_mm']:.1f} mm from its envelope to {implant['nearest']}, {grade}"


def pictures_in(folder: Path, case: str = "") -> Callable[[CaseAudit, LabelMap, Anatomy], None]:
    """What writes a picture of every implant that was planned and placed: case, side and slot, in a folder."""
    prefix = f"{case}-" if case else ""

    def write(result: CaseAudit, labels: LabelMap, anatomy: Anatomy) -> None:
        from sjplan.io.atomic import write_bytes
        from sjplan.render.deviation import deviation_picture

        for implant in result.compared:
            assert implant.planned is not None
            slot, known = implant.planned.slot, implant_document(implant)
            picture = deviation_picture(
                labels, anatomy, slot, implant.planned.trajectory, implant.placed.trajectory,
                f"{implant.side.capitalize()}, implant {slot}", (off_words(known["deviation"]), now_words(known)),
            )  # fmt: skip
            write_bytes(folder / f"{prefix}{implant.side}-{slot}.png", picture)

    return write
