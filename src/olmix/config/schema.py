"""JSON Schemas of the configs, for editors."""

from __future__ import annotations

from typing import Any

from olmix.config.base import Section
from olmix.config.data import DataConfig
from olmix.config.experiment import ExperimentConfig
from olmix.config.fit import FitConfig
from olmix.config.launch import GenerationConfig, LaunchConfig, VariantConfig
from olmix.config.priors import PriorsConfig
from olmix.config.surface import SurfaceConfig

__all__ = ["schemas"]

_MODELS: dict[str, type[Section]] = {
    "data": DataConfig,
    "priors": PriorsConfig,
    "generation": GenerationConfig,
    "launch": LaunchConfig,
    "variant": VariantConfig,
    "fit": FitConfig,
    "surface": SurfaceConfig,
    "experiment": ExperimentConfig,
}
# What a file may write in place of the plain type, because it is read before it is checked.
_COUNT = {"anyOf": [{"type": "integer", "exclusiveMinimum": 0}, {"type": "string"}]}


def schemas() -> dict[str, dict[str, object]]:
    """Return the JSON Schema of every config, by the name of its file."""
    found = {}
    for name, model in _MODELS.items():
        schema = model.model_json_schema(mode="validation")
        schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
        found[name] = _relax(schema)
    return found


def _relax(node: Any, key: str = "") -> Any:
    """Let schemas accept what files may write: `40B` for a count, a file name for priors."""
    if isinstance(node, list):
        return [_relax(entry) for entry in node]
    if not isinstance(node, dict):
        return node
    node = {name: _relax(value, name) for name, value in node.items()}
    is_count = node.get("type") == "integer" and node.get("exclusiveMinimum") == 0
    if is_count:
        rest = {k: v for k, v in node.items() if k not in ("type", "exclusiveMinimum")}
        return {**rest, **_COUNT}
    if key == "priors" and "$ref" in node:
        rest = {k: v for k, v in node.items() if k != "$ref"}
        return {**rest, "anyOf": [{"$ref": node["$ref"]}, {"type": "string"}]}
    return node
