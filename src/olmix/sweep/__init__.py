"""Factorial sweeps: one `experiment.yaml` to complete, checked configs, one per run."""

from olmix.sweep.errors import (
    BaseConfigNotFoundError,
    ConfigWriterError,
    EmptyVariableError,
    ExperimentSchemaError,
    MergeError,
    TorchtuneValidationError,
    TypeMismatchError,
    ValidationError,
)
from olmix.sweep.generate import SweepResult, generate_configs
from olmix.sweep.merge import merge
from olmix.sweep.study_plan import PlannedRun, StudyPlan, build_plan

__all__ = [
    "BaseConfigNotFoundError",
    "ConfigWriterError",
    "EmptyVariableError",
    "ExperimentSchemaError",
    "MergeError",
    "PlannedRun",
    "StudyPlan",
    "SweepResult",
    "TorchtuneValidationError",
    "TypeMismatchError",
    "ValidationError",
    "build_plan",
    "generate_configs",
    "merge",
]
