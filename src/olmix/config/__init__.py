"""Config models: one frozen Pydantic model per YAML section, unknown keys refused."""

from __future__ import annotations

from olmix.config.base import Section
from olmix.config.data import (
    DataConfig,
    QualityConfig,
    SourceConfig,
    StorageConfig,
    TokenDtype,
    TopicConfig,
)
from olmix.config.evaluation import FitEval, InLoopEval, LaunchEval, OfflineEval, ValidationEval
from olmix.config.fit import (
    ConstraintsConfig,
    FilteringConfig,
    FitConfig,
    ProposerConfig,
    RegressionConfig,
    SwarmTables,
)
from olmix.config.infra import (
    BeakerInfra,
    Infra,
    KubernetesInfra,
    LocalInfra,
    RayInfra,
    SlurmInfra,
)
from olmix.config.launch import GenerationConfig, LaunchConfig, VariantConfig
from olmix.config.priors import Priors, PriorsConfig
from olmix.config.swarm import GroupBound, RatioBound, SwarmConfig
from olmix.config.trackers import TrackersConfig, TrackioTracker, WandbTracker
from olmix.config.training import CommandTraining, OlmoCoreTraining, ProxyTraining, Training
from olmix.text.yaml import YamlFile, read_yaml

__all__ = [
    "BeakerInfra",
    "CommandTraining",
    "ConstraintsConfig",
    "DataConfig",
    "FilteringConfig",
    "FitConfig",
    "FitEval",
    "GenerationConfig",
    "GroupBound",
    "InLoopEval",
    "Infra",
    "KubernetesInfra",
    "LaunchConfig",
    "LaunchEval",
    "LocalInfra",
    "OfflineEval",
    "OlmoCoreTraining",
    "Priors",
    "PriorsConfig",
    "ProposerConfig",
    "ProxyTraining",
    "QualityConfig",
    "RatioBound",
    "RayInfra",
    "RegressionConfig",
    "Section",
    "SlurmInfra",
    "SourceConfig",
    "StorageConfig",
    "SwarmConfig",
    "SwarmTables",
    "TokenDtype",
    "TopicConfig",
    "TrackersConfig",
    "TrackioTracker",
    "Training",
    "ValidationEval",
    "VariantConfig",
    "WandbTracker",
    "YamlFile",
    "read_yaml",
]
