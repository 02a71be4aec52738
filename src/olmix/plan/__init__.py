"""From a budget to runs: how many, of which size and length, in how many rounds."""

from olmix.plan.budget import Plan, Target, make_plan, plans_of
from olmix.plan.curve import PUBLIC, Curve, curve_of_fit
from olmix.plan.write import write_plan

__all__ = [
    "PUBLIC",
    "Curve",
    "Plan",
    "Target",
    "curve_of_fit",
    "make_plan",
    "plans_of",
    "write_plan",
]
