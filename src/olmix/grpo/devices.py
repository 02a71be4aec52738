"""Devices: which there are, how a mesh lies over them, and where compiled programs are kept."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any

from olmix.errors import ConfigError, Problem, needs
from olmix.text.files import cache_root

__all__ = ["describe_devices", "make_mesh", "resolve_mesh", "start_jax"]


def start_jax() -> Any:
    """Import JAX with its persistent compilation cache on, and return it.

    Raises:
        MissingPackageError: JAX, Tunix or Qwix is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # JAX reports each kind of device that is not there.
    logging.getLogger("jax._src.xla_bridge").setLevel(logging.WARNING)
    with needs("grpo", "GRPO training"):
        import jax
        import qwix  # noqa: F401
        import tunix  # noqa: F401
    settings: Any = jax.config
    if settings.jax_compilation_cache_dir is None:
        settings.update("jax_compilation_cache_dir", str(cache_root() / "jax"))
        settings.update("jax_persistent_cache_min_compile_time_secs", 0.0)
        settings.update("jax_persistent_cache_min_entry_size_bytes", -1)
    return jax


def resolve_mesh(sizes: Sequence[int], num_devices: int) -> tuple[int, int]:
    """Return the sizes of the two axes over `num_devices`; -1 takes what is left.

    Raises:
        ConfigError: they do not fit; the message says which would.
    """
    first, second = sizes
    if first == -1 and num_devices % second == 0:
        first = num_devices // second
    elif second == -1 and num_devices % first == 0:
        second = num_devices // first
    if -1 not in (first, second) and first * second == num_devices:
        return first, second
    raise ConfigError(
        [
            Problem(
                "model.mesh_shape",
                f"found {list(sizes)} over {num_devices} device(s); the sizes must multiply to "
                f"{num_devices}, such as 'model.mesh_shape=[[{num_devices},1],[fsdp,tp]]' or "
                "'model.mesh_shape=[[-1,1],[fsdp,tp]]'",
            )
        ],
        "config",
    )


def make_mesh(mesh_shape: tuple[Sequence[int], Sequence[str]]) -> Any:
    """Lay the devices over the mesh of a config.

    Raises:
        ConfigError: the mesh does not fit the devices.
    """
    jax = start_jax()
    sizes, names = mesh_shape
    # Tunix places arrays by hand: the axes must be of the type Auto, not JAX's newer Explicit.
    kinds = (jax.sharding.AxisType.Auto,) * len(names)
    return jax.make_mesh(resolve_mesh(sizes, jax.device_count()), tuple(names), axis_types=kinds)


def describe_devices() -> dict[str, Any]:
    """Return JAX's version and its devices."""
    jax = start_jax()
    devices = [
        {"id": each.id, "platform": each.platform, "kind": each.device_kind}
        for each in jax.devices()
    ]
    return {
        "jax": jax.__version__,
        "backend": jax.default_backend(),
        "accelerator": any(each["platform"] != "cpu" for each in devices),
        "devices": devices,
    }
