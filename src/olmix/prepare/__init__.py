"""Texts to a tokenizer and raw token files per domain, with provenance."""

from olmix.prepare.pipeline import Prepared, PreparedDomain, PrepareRequest, Progress, prepare

__all__ = ["PrepareRequest", "Prepared", "PreparedDomain", "Progress", "prepare"]
