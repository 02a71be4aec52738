"""Torchtune configs from an `experiment.yaml`; the code is `olmix.sweep`."""

from olmix.sweep import (
    BaseConfigNotFoundError,
    ConfigWriterError,
    EmptyVariableError,
    ExperimentSchemaError,
    MergeError,
    SweepResult,
    TorchtuneValidationError,
    TypeMismatchError,
    ValidationError,
    generate_configs,
)

__all__ = [
    "BaseConfigNotFoundError",
    "ConfigWriterError",
    "EmptyVariableError",
    "ExperimentSchemaError",
    "MergeError",
    "SweepResult",
    "TorchtuneValidationError",
    "TypeMismatchError",
    "ValidationError",
    "generate_configs",
]
