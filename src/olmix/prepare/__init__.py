"""Texts to a tokenizer and raw token files per domain, with provenance."""

from olmix.prepare.choose import PrepareRequest
from olmix.prepare.pipeline import Prepared, prepare

__all__ = ["PrepareRequest", "Prepared", "prepare"]
