"""Verifying a proposal by training it against the natural mixture, with fresh paired seeds."""

from olmix.verify.compare import compare
from olmix.verify.verification_plan import VerificationPlan, plan_verification

__all__ = ["VerificationPlan", "compare", "plan_verification"]
