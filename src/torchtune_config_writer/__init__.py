"""The name under which documents and scripts look for Olmix's sweeps over torchtune configs."""

from olmix.sweep import generate_configs

__all__ = ["generate_configs"]
