"""Verifying a proposal by training it against other mixtures, with fresh paired seeds."""

from olmix.verify.compare import compare
from olmix.verify.ladder import Size, build_ladder, check_scales, read_scales
from olmix.verify.sizes import at_scale
from olmix.verify.verification_plan import VerificationPlan, plan_verification

__all__ = [
    "Size",
    "VerificationPlan",
    "at_scale",
    "build_ladder",
    "check_scales",
    "compare",
    "plan_verification",
    "read_scales",
]
