"""`GenerationConfig`, `LaunchConfig` and `VariantConfig`: what is sampled, and what is run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Self

from pydantic import Field, PlainSerializer, PlainValidator, WithJsonSchema, model_validator

from olmix.config.base import RuleError, Rules, Section, TokenCount, render_location
from olmix.config.data import DataConfig
from olmix.config.evaluation import LaunchEval, ValidationEval
from olmix.config.infra import Infra, LocalInfra
from olmix.config.priors import Priors
from olmix.config.swarm import SwarmConfig, prior_problems
from olmix.config.trackers import TrackersConfig
from olmix.config.training import ProxyTraining, Training
from olmix.domains import iter_nodes
from olmix.errors import ConfigError, Problem
from olmix.mixture import Mixture

__all__ = ["NAME_RULE", "GenerationConfig", "LaunchConfig", "VariantConfig", "is_name"]

_RUN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
UNKNOWN_LENGTH = 1
"""`max_tokens` of runs whose length is not known: one token may come from any mixture."""
_LENGTHS = {"max_tokens", "chinchilla_multiple"}
"""Keys of which one at most says the length of a run."""
NAME_RULE = (
    'a name becomes a folder: use letters, digits, ".", "_" and "-", '
    "starting with a letter or digit"
)


def _parse_mixture(raw: object) -> Mixture:
    try:
        return Mixture.parse(raw)
    except ConfigError as error:
        raise RuleError(
            [
                ((problem.where,) if problem.where else (), problem.what)
                for problem in error.problems
            ]
        ) from None


def is_name(text: str) -> bool:
    """Whether a text may name a run or a group, and so a folder."""
    return _RUN_NAME.fullmatch(text) is not None


MixtureField = Annotated[
    Mixture,
    PlainValidator(_parse_mixture),
    PlainSerializer(Mixture.to_plain),
    WithJsonSchema(
        {
            "type": "object",
            "description": "domain: {weight, repetition_factor}, domain: [weight, repetition], "
            "or nested by source",
            "additionalProperties": {"type": ["object", "array", "number"]},
        }
    ),
]


def _check_run_name(name: str, rules: Rules) -> None:
    if name and not is_name(name):
        rules.broken(f'found "{name}"; {NAME_RULE}', "name")


class GenerationConfig(Section):
    """The config of `olmix generate`: only what sampling mixtures needs."""

    name: str = "swarm"
    """Name of the swarm; variants are named `NAME-GROUP-0000`."""
    data: DataConfig
    """The data tree."""
    priors: Priors
    """Token counts per domain, or the file that `olmix priors compute` wrote."""
    swarm: SwarmConfig = SwarmConfig()
    """How mixtures are sampled."""
    max_tokens: TokenCount
    """Tokens of one run; with the token counts it limits the weights. 1 where the length is not
    known: it limits nothing."""
    target_tokens: TokenCount | None = None
    """Tokens of the large run, whose passes limit the weights instead of those of one run. `--base`
    takes it from `training.target_tokens` of the launch config; set it here only for bare
    variants."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        _check_run_name(self.name, rules)
        domains = self.data.domains
        counted = set(self.priors.token_counts)
        sources = {source.name for source in self.data.sources}
        for name in domains:
            if name not in counted:
                rules.broken(
                    f"{name} is missing; the data section has it", "priors", "token_counts"
                )
        for name in sorted(counted - set(domains)):
            rules.broken("the data section has no such domain", "priors", "token_counts", name)
        nodes = {name for name, _ in iter_nodes(self.data.tree())}
        swarm = self.swarm
        named: list[tuple[tuple[str | int, ...], Iterable[str], set[str], str]] = [
            (("fixed_source_weights",), swarm.fixed_source_weights, sources, "source"),
            (("manual_prior",), swarm.manual_prior, sources, "source"),
            (("manual_topic_prior",), swarm.manual_topic_prior, nodes - sources, "topic"),
            (("nonzero_weight",), swarm.nonzero_weight, nodes, "source, topic or domain"),
        ]
        for index, group in enumerate(swarm.group_bounds):
            named.append((("group_bounds", index), group.names, nodes, "source, topic or domain"))
        for index, ratio in enumerate(swarm.ratio_bounds):
            both = (*ratio.names, *ratio.over)
            named.append((("ratio_bounds", index), both, nodes, "source, topic or domain"))
        for where, names, allowed, what in named:
            for name in names:
                if name not in allowed:
                    rules.broken(
                        f"the data section has no {what} named {name}; "
                        f"it has {', '.join(sorted(allowed)) or 'none'}",
                        "swarm",
                        *where,
                    )
        for key, what in prior_problems(self.data.tree(), swarm):
            rules.broken(what, "swarm", key)
        if self.target_tokens is not None and self.target_tokens < self.max_tokens:
            rules.broken(
                f"found {self.target_tokens:,}, below max_tokens = {self.max_tokens:,}; the large "
                "run has at least as many",
                "target_tokens",
            )
        rules.enforce()
        return self

    @property
    def run_tokens(self) -> int | None:
        """Tokens of one run, `None` where its length is not known."""
        return None if self.max_tokens == UNKNOWN_LENGTH else self.max_tokens

    @property
    def pass_tokens(self) -> int:
        """Tokens by which passes are counted: a weight means so many tokens of its domain."""
        return self.max_tokens if self.target_tokens is None else self.target_tokens


class LaunchConfig(Section):
    """Everything needed to train: a base for a swarm, or with `mix`, one run of it."""

    name: str
    """Name of the experiment, or of the run."""
    description: str = ""
    """Its purpose, in words."""
    infra: Infra = LocalInfra()
    """Where it runs."""
    training: Training = ProxyTraining()
    """How it trains."""
    data: DataConfig
    """The data tree."""
    eval: LaunchEval
    """The evaluation."""
    trackers: TrackersConfig | None = None
    """Where metrics go besides the `metrics.jsonl` of each run."""
    group_id: str | None = None
    """The swarm that this run belongs to."""
    mix: MixtureField | None = None
    """The mixture that this run trains on."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_parts()
        return self

    def _check_parts(self) -> None:
        """Raise a `RuleError` where parts that are valid do not fit together."""
        rules = Rules()
        _check_run_name(self.name, rules)
        if self.group_id is not None and not is_name(self.group_id):
            rules.broken(f'found "{self.group_id}"; {NAME_RULE}', "group_id")
        if self.mix is not None:
            self._check_mix(self.mix, rules)
        if isinstance(self.training, ProxyTraining):
            if not isinstance(self.eval, ValidationEval):
                rules.broken(
                    "the embedded trainer measures `type: validation` only", "eval", "type"
                )
            if self.data.tokenizer is None:
                rules.broken("tokenizer is missing; bits per byte are counted with it", "data")
        rules.enforce()

    def _check_mix(self, mix: Mixture, rules: Rules) -> None:
        domains = self.data.domains
        for name in mix:
            if name not in domains:
                rules.broken(
                    f"the data section has no such domain; it has {', '.join(domains)}", "mix", name
                )

    def with_variant(self, variant: VariantConfig, group_id: str | None) -> LaunchConfig:
        """Return this base as the launch config of one variant.

        Raises:
            ConfigError: the variant's mixture names domains that the base does not have.
        """
        changes: dict[str, object] = {"name": variant.name, "mix": variant.mix}
        if group_id is not None:
            changes["group_id"] = group_id
        base = self.resized(variant.name, variant.training) if variant.training else self
        if variant.seed is not None:
            changes["training"] = base.training.model_copy(update={"seed": variant.seed})
        run = base.model_copy(update=changes)
        try:
            run._check_parts()
        except RuleError as error:
            raise ConfigError(
                [Problem(render_location(where), what) for where, what in error.problems],
                variant.name,
            ) from None
        return run

    def resized(self, name: str, training: Mapping[str, int | float | str]) -> LaunchConfig:
        """Return this config with keys of its training section replaced: its size and length.

        Args:
            name: what the result is called in errors.
            training: the keys; one that says the length of a run replaces any other.

        Raises:
            ConfigError: names what the trainer does not know, or what does not fit together.
        """
        kept = self.training.to_plain()
        if _LENGTHS & set(training):
            kept = {key: value for key, value in kept.items() if key not in _LENGTHS}
        try:
            changed = self.training.from_dict({**kept, **training}, name)
        except ConfigError as error:
            problems = [
                Problem(f"training.{problem.where}", problem.what) for problem in error.problems
            ]
            raise ConfigError(problems, name) from None
        return self.model_copy(update={"training": changed})


class VariantConfig(Section):
    """One sampled mixture and nothing else; `launch -c BASE` supplies the rest."""

    name: Annotated[str, Field(min_length=1)]
    """Name of the run."""
    mix: MixtureField
    """The mixture."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] | None = None
    """Seed of the training, if it differs from the base's: a replicate."""
    training: dict[str, int | float | str] = {}
    """Keys of the training section that replace those of the base: another size or length of the
    model, such as `{d_model: 128, max_tokens: 640K}` or `{proxy_model_id: olmo3_60m, max_tokens:
    1B}`."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        rules = Rules()
        _check_run_name(self.name, rules)
        rules.enforce()
        return self
