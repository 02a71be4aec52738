"""Verifying a proposal by training it against the natural mixture, with fresh paired seeds."""

from olmix.verify.compare import compare, write_verification
from olmix.verify.verification_plan import VerificationPlan, plan_verification

__all__ = ["VerificationPlan", "compare", "plan_verification", "write_verification"]
