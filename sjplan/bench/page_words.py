"""What a report says of its own figures and terms: words that stand for every experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

SUBTITLE: Final = """\
All lengths in mm. Every plan was judged by sjplan's judge on the surfaces of the label map: no planner grades
itself."""

PROFILES: Final = """\
Left: on how many problems a planner's worst slack lies at most so far behind the best planner's. Right: on how many it
took at most so many times as long as the fastest. A run without an accepted plan is infinitely far behind, so no line
rises above the planner's share of accepted plans. Higher is better; at the left edge stands how often a planner was the
best, or as good as it. Slack is compared as a difference, which is that of the regrets: a ratio of regrets that may be
zero means nothing."""

PAIRS: Final = """\
First planner less second, on problems that both ran: worst slack up to the cap where both gave a plan (accepted or
nearest), accepted plans, and time where both gave an answer. Runs of one case are joined first, for both sides of a
pelvis are no two observations; n counts problems / cases. Intervals: BCa bootstrap over cases. Tests: Wilcoxon's signed
rank test over cases for slack and time; an exact sign test over cases for accepted plans (McNemar's, where a case has
one run). p is corrected by Holm over all pairs of planners, measure by measure."""

MARGINS: Final = """\
Of accepted plans alone: a planner that gives up on hard cases looks good here. Read it beside the share of accepted
plans."""

ANATOMY: Final = """\
What cases are like, as the bench file or the phantom's parameters say; numbers are cut into thirds. Groups are parts of
the whole and their intervals are wide; nothing here is corrected for the number of groups."""

TRAITS: Final[Mapping[str, str]] = {
    "sex": "sex", "age_years": "age (years)", "bmi": "body mass index",
    "density": "bone density, of the mean at that age", "size": "size, of the mean",
    "dysmorphism": "signs of dysmorphism (0 to 1)", "transitional": "transitional vertebra",
    "incidence_deg": "pelvic incidence (degrees)", "foramen_scale": "size of foramina, of the mean",
    "asymmetry_mm": "asymmetry (mm)", "stratum": "part of the cohort",
}  # fmt: skip
"""What a phantom's traits are called on the page; a trait that a bench file names is called what it is called there."""

ANYTIME: Final = """\
Left: how many runs had a plan that the judge accepts by that time. Right: the median of the best worst slack so far,
up to the cap; a run without an accepted plan counts as less than any slack, so a line begins where more than
half of the runs have one. Planners that offer nothing on the way appear with their answer at the end. Times depend on
the machine."""

ENDINGS: Final = """\
found: accepted, and the planner completed. best effort: accepted, the budget ended first. infeasible: no plan exists,
or none was found by a complete search. timeout: no plan in the budget. crashed: an exception. killed: ended from
outside, by time or memory. rejected: an answer that is none. False accept: a plan that its planner calls accepted and
the judge does not."""

HARDEST: Final = """\
Sides on which fewest runs gave an accepted plan, then those whose best plan has least slack. The best plan is the one
of most slack by any planner; nearest: it is not accepted."""

NO_COMMON: Final = """\
There is no problem that planners have in common: they were given other sides, seeds or budgets, and cannot be compared
run by run."""

NO_PICTURES: Final = "There are no pictures: the anatomies of these cases were not at hand."

TERMS: Final = (
    ("accepted", """\
The judge accepts the plan: every limit holds, measured on surfaces. The interval is Wilson's, for the number of
independent runs that the cases are worth: runs of one case are alike, and count less than runs of many."""),
    ("slack", """\
A distance from an implant's envelope to a structure, less that structure's limit; a plan's worst slack is its smallest.
Beyond the cap it counts no further. Below 0 the plan is not accepted. Its median is of accepted and nearest plans."""),
    ("certified bound", """\
No plan of that side has more worst slack than this: proved, and never above the cap. A bound at the cap may be loose; a
plan's own slack is not cut, and may lie above the cap."""),
    ("regret", """\
Certified upper bound of the worst slack, less the plan's worst slack, both up to the cap: how much any planner could
still gain at most. Of accepted plans. Where the bound is loose, less was lost than regret says."""),
    ("margin", "Smallest distance from an envelope to any danger structure."),
    ("breach probability", """\
That any implant breaches, where implants end up as far off as the error model says; median of accepted plans."""),
    ("first safe", "Seconds until a plan that the judge accepts was first offered; median of accepted runs."),
    ("seconds", """\
Wall time of planning, of runs that gave an answer: all but those of the last column. A planner that crashes at once is
not fast."""),
    ("problem", "What planners are compared on: a side of a case, with a seed and a budget."),
    ("p", """\
How often a difference at least as large would come by chance if planners did equally well, corrected for the number of
comparisons. Below 0.05 is called significant here; it does not say that a difference matters."""),
)  # fmt: skip
"""Terms and what they mean, in the order in which a page explains them."""
