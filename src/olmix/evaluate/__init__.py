"""Bits per byte by domain of a Hugging Face checkpoint, whatever trained it."""

from olmix.evaluate.checkpoint import evaluate_checkpoint

__all__ = ["evaluate_checkpoint"]
