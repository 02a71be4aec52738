"""torchtune itself, imported without the warnings of what it imports."""

from __future__ import annotations

import warnings
from typing import Any

__all__ = ["import_torchtune"]


def import_torchtune() -> tuple[Any, Any]:
    """Return OmegaConf and torchtune's `config`; raises `ImportError`.

    The first import warns about other packages, which we cannot fix.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        from omegaconf import OmegaConf
        from torchtune import config
    return OmegaConf, config
