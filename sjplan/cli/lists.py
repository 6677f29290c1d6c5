"""`sjplan implants` and `sjplan planners`: what may be named on the command line."""

from __future__ import annotations

from dataclasses import asdict

from sjplan.cli.options import AsJson, CatalogueFile
from sjplan.cli.output import print_entry, print_json


def implants(*, catalogue: CatalogueFile = None, json: AsJson = False) -> int:
    """List the implant models and guide pins: sections, radii, lengths, sources, and which values are recalled."""
    from sjplan.io.catalogue import read_implants, read_pins

    models, pins = read_implants(catalogue), read_pins(catalogue)
    if json:
        rows = {name: asdict(m) | {"circumscribed_radius_mm": m.circumscribed_radius_mm} for name, m in models.items()}
        pin_rows = {name: asdict(p) for name, p in pins.items()}
        print_json({"implants": rows, "pins": pin_rows})
        return 0
    for name, m in models.items():
        radii = f"{m.section}, radius {m.inscribed_radius_mm:g} mm inside and {m.circumscribed_radius_mm:g} mm round it"
        lengths = "lengths " + " ".join(f"{v:g}" for v in m.lengths_mm) + " mm"
        print_entry(name, m.summary, [radii, lengths, _provenance(m.sources, m.recalled)])
    for name, p in pins.items():
        print_entry(name, p.summary, [f"pin, radius {p.radius_mm:g} mm", _provenance(p.sources, p.recalled)])
    return 0


def _provenance(sources: tuple[str, ...], recalled: tuple[str, ...]) -> str:
    text = "sources: " + (", ".join(sources) or "none")
    return text + (f"; recalled, not read in a source: {', '.join(recalled)}" if recalled else "")


def planners(*, json: AsJson = False) -> int:
    """List the planners: those built in, and those of other installed packages."""
    from sjplan.planning.registry import planners as installed

    specs = installed()
    if json:
        rows = {
            name: {"summary": s.summary, "capabilities": sorted(s.capabilities), "parameters": dict(s.parameters)}
            for name, s in specs.items()
        }
        print_json({"planners": rows})
        return 0
    for name, s in specs.items():
        parameters = ", ".join(f"{k}={v}" for k, v in s.parameters.items())
        facts = [f"can: {', '.join(sorted(s.capabilities))}"] if s.capabilities else []
        print_entry(name, s.summary, [*facts, *([f"parameters: {parameters}"] if parameters else [])])
    return 0
