"""Texts to a tokenizer and raw token files per domain, with provenance."""

from olmix.prepare.choose import PrepareRequest
from olmix.prepare.left_out import LeftOutTexts
from olmix.prepare.pipeline import Prepared, PreparedDomain, prepare

__all__ = ["LeftOutTexts", "PrepareRequest", "Prepared", "PreparedDomain", "prepare"]
