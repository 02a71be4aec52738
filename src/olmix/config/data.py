"""`DataConfig`: which token files belong to which domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, model_validator

from olmix.config.base import LocalPath, NotEmpty, Rules, Section, Weight
from olmix.config.secrets import refuse_secrets
from olmix.domains import SEPARATOR, Level, Node, check_name, domain_names, iter_domains, iter_nodes

__all__ = [
    "DataConfig",
    "QualityConfig",
    "SourceConfig",
    "StorageConfig",
    "TokenDtype",
    "TopicConfig",
    "sources_of",
]

TokenDtype = Literal["uint8", "uint16", "uint32", "uint64"]

_Paths = Annotated[tuple[LocalPath, ...], Field(strict=False), NotEmpty]


class _Node(Section):
    """The common part of a source, a topic and a quality bucket."""

    name: Annotated[str, Field(min_length=1)]
    """Its name, without the names above it."""
    weight: Weight | None = None
    """Pinned share of the level above; if left out, the share is sampled."""

    level: ClassVar[Level]

    def node(self) -> Node:
        """Return this, with everything below it, as a node of the data tree."""
        below = (*(getattr(self, "topics", None) or ()), *(getattr(self, "quality", None) or ()))
        children = tuple(child.node() for child in below)
        return Node(
            self.name, self.level, children, getattr(self, "paths", None) or (), self.weight
        )

    def _check_shape(self, *shapes: str) -> None:
        """Check that exactly one of `shapes` is given, that the name is usable, siblings fit."""
        rules = Rules()
        wrong = check_name(self.name, self.level)
        if wrong is not None:
            rules.broken(wrong, "name")
        given = [shape for shape in shapes if getattr(self, shape) is not None]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            rules.broken(f"exactly one of {', '.join(shapes)} is needed; found {found}")
        for shape in given:
            if shape != "paths":
                check_siblings(getattr(self, shape), rules, shape)
        rules.enforce()


def check_siblings(children: Sequence[_Node], rules: Rules, key: str) -> None:
    """Note what is wrong among siblings: a name given twice, pinned weights beyond 1."""
    seen: dict[str, int] = {}
    for index, child in enumerate(children):
        if child.name in seen:
            first = seen[child.name]
            rules.broken(f'found "{child.name}" again, as in entry [{first}]', key, index, "name")
        seen.setdefault(child.name, index)
    pinned = [child.weight for child in children if child.weight is not None]
    if sum(pinned) > 1 + 1e-9:
        rules.broken(f"the pinned weights add up to {sum(pinned):.6g}, more than 1", key)
    elif pinned and len(pinned) == len(children) and abs(sum(pinned) - 1) > 1e-6:
        rules.broken(f"all weights are pinned and add up to {sum(pinned):.6g}, not 1", key)


class QualityConfig(_Node):
    """A quality bucket: always a domain."""

    level: ClassVar[Level] = "quality"

    paths: _Paths
    """Token files or patterns."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_shape("paths")
        return self


class TopicConfig(_Node):
    """A topic: either a domain (`paths`) or split by `quality`."""

    level: ClassVar[Level] = "topic"

    paths: _Paths | None = None
    """Token files or patterns."""
    quality: Annotated[tuple[QualityConfig, ...], Field(strict=False), NotEmpty] | None = None
    """Quality buckets of the topic."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_shape("paths", "quality")
        return self


class SourceConfig(_Node):
    """A source: a domain (`paths`), or split by `topics` or by `quality`."""

    level: ClassVar[Level] = "source"

    paths: _Paths | None = None
    """Token files or patterns."""
    topics: Annotated[tuple[TopicConfig, ...], Field(strict=False), NotEmpty] | None = None
    """Topics of the source."""
    quality: Annotated[tuple[QualityConfig, ...], Field(strict=False), NotEmpty] | None = None
    """Quality buckets of the source."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_shape("paths", "topics", "quality")
        return self


class StorageConfig(Section):
    """How to reach one scheme of object storage; what is left out comes from the environment."""

    endpoint: str | None = None
    """Address of the service, such as `https://s3.example.org`; `s3://` is AWS if left out."""
    profile: str | None = None
    """Profile in `~/.aws/credentials` and `~/.aws/config`, for `s3`, `weka` and `r2`."""
    region: str | None = None
    """Region of the buckets."""
    anonymous: bool = False
    """Whether to connect without credentials, as public buckets allow."""


Scheme = Literal["s3", "weka", "gs", "r2"]


class DataConfig(Section):
    """The data tree: sources, their topics and qualities, and the token files of each domain."""

    sources: Annotated[tuple[SourceConfig, ...], Field(strict=False), NotEmpty]
    """Sources, each with exactly one of `paths`, `topics`, `quality`."""
    dtype: TokenDtype | None = None
    """Type of one token in arrays without a header. If left out, the files themselves or the
    `manifest.json` of `olmix prepare` must say it; raw `.npy` files named by URL are `uint32`, like
    OLMo's."""
    tokenizer: LocalPath | None = None
    """The `tokenizer.json` that made the tokens; needed for metrics per byte, and to count the
    tokens of `.jsonl` files."""
    parquet_column: str = "input_ids"
    """Column of token ids in `.parquet` files."""
    text_field: str = "text"
    """Field of the text in `.jsonl` files."""
    storage: dict[Scheme, StorageConfig] = {}
    """How to reach object storage, by scheme."""

    @model_validator(mode="after")
    def _check(self, info: ValidationInfo) -> Self:
        rules = Rules()
        check_siblings(self.sources, rules, "sources")
        names = [name for name, _ in iter_nodes(self.tree())]
        for name in sorted({name for name in names if names.count(name) > 1}):
            if SEPARATOR in name:
                rules.broken(f"two domains would be named {name}", "sources")
        refuse_secrets(rules, info, self.to_plain(), only_urls=True)
        rules.enforce()
        return self

    def tree(self) -> tuple[Node, ...]:
        """Return the sources as nodes."""
        return tuple(source.node() for source in self.sources)

    @property
    def domains(self) -> tuple[str, ...]:
        """Names of all domains, in the order of the file."""
        return domain_names(self.tree())

    def paths_of(self, domain: str) -> tuple[str, ...]:
        """Return the paths or patterns of one domain."""
        return {name: path[-1].paths for name, path in iter_domains(self.tree())}[domain]


def sources_of(paths: Mapping[str, Sequence[str]]) -> list[dict[str, object]]:
    """Return the list `data.sources` of domains such as ``code:python`` and their paths."""
    tree: dict[str, Any] = {}
    for domain, files in paths.items():
        *above, name = domain.split(SEPARATOR)
        level = tree
        for node in above:
            level = level.setdefault(node, {})
        level[name] = list(files)
    return _entries(tree, ("topics", "quality"))


def _entries(level: Mapping[str, Any], below: Sequence[str]) -> list[dict[str, object]]:
    return [
        {"name": name, "paths": inner}
        if isinstance(inner, list)
        else {"name": name, below[0]: _entries(inner, below[1:])}
        for name, inner in level.items()
    ]
