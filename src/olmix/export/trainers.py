"""One renderer per trainer: a mixture as the text of the file that it reads.

What a format cannot say is said in words, in `TrainerFormat.repetition` and `TrainerFormat.unit`,
which head the file where it can hold comments and are printed in any case. All formats stand here,
templates included, so that a new one is written next to similar ones.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from olmix.config.data import sources_of
from olmix.errors import DataError
from olmix.export.mixtures import DomainShare, ExportedMix
from olmix.text.yaml import render_yaml

__all__ = ["TRAINERS", "TrainerFormat", "export_mix", "merged_with"]

_TEXTS = {".jsonl": "json", ".json": "json", ".parquet": "parquet", ".arrow": "arrow"}
"""Loader of `datasets` by the ending of a file."""
_PACKED = (".gz", ".zst", ".xz", ".bz2")
_UNSAFE = re.compile(r"[^A-Za-z0-9_.-]+")
_PERCENT = 100
_PLACES = 6
"""Decimal places of a limit on passes, rounded up so that the mixture that needs it is allowed."""


@dataclass(frozen=True)
class TrainerFormat:
    """A format.

    Attributes:
        name: what `--to` calls it.
        ending: of its file.
        use: how the trainer is told of the file.
        reads: what the domains' files must be.
        unit: what a weight is a share of.
        repetition: what becomes of repetition factors.
        render: the text of the file, and of files beside it by name.
        comment: begins a comment line; empty where the format has none.
        more: what else a reader of one mixture must know.
    """

    name: str
    ending: str
    use: str
    reads: str
    unit: str
    repetition: str
    render: Callable[[ExportedMix], tuple[str, dict[str, str]]]
    comment: str = "# "
    more: Callable[[ExportedMix], str] | None = None

    def notes(self, mix: ExportedMix) -> list[str]:
        """Return what a reader of the file must know."""
        left = f"Without weight, so left out: {', '.join(mix.left_out)}." if mix.left_out else ""
        more = "" if self.more is None else self.more(mix)
        said = [f"Use: {self.use}", f"Files: {self.reads}", f"Weights: {self.unit}"]
        return [*said, f"Repetition: {self.repetition}", *(one for one in (more, left) if one)]


def export_mix(mix: ExportedMix, trainer: str) -> dict[str, str]:
    """Return the files of a mixture for a trainer, by name; the first is the one to name.

    Args:
        mix: the mixture.
        trainer: a key of `TRAINERS`.

    Raises:
        DataError: the trainer cannot read a domain's files, or the mixture lacks what it needs.
    """
    chosen = TRAINERS[trainer]
    text, beside = chosen.render(mix)
    if chosen.comment:
        lines = [f"Mixture {mix.name}, written by `olmix mix export`.", *chosen.notes(mix)]
        text = "".join(f"{chosen.comment}{line}\n" for line in lines) + text
    # A Python file is imported by its name.
    name = re.sub(r"\W", "_", mix.name) if chosen.ending == ".py" else mix.name
    return {f"{name}{chosen.ending}": text, **beside}


def _ending(path: str) -> str:
    """Return the ending of a path, without that of a compression."""
    name = PurePosixPath(path.rpartition("/")[2])
    return PurePosixPath(name.stem).suffix if name.suffix in _PACKED else name.suffix


def _texts(trainer: str, domain: DomainShare, endings: Iterable[str] = _TEXTS) -> tuple[str, ...]:
    """Return the files of a domain where a trainer of texts can read them."""
    return _check(trainer, domain, domain.files(), frozenset(endings))


def _check(
    trainer: str, domain: DomainShare, files: Sequence[str], endings: frozenset[str]
) -> tuple[str, ...]:
    wrong = [file for file in files if _ending(file) not in endings]
    if wrong:
        allowed = ", ".join(ending or "folders" for ending in sorted(endings))
        raise DataError(
            f"{trainer}: domain {domain.name}: it cannot read {wrong[0]}; it reads {allowed}. "
            + _name_with(domain, f"/path/to/{_slug(domain.name)}/*{max(endings)}")
        )
    return tuple(files)


def _name_with(domain: DomainShare, path: str) -> str:
    """Return how a config names the files of a domain that a trainer reads."""
    lines = render_yaml({"data": {"sources": sources_of({domain.name: [path]})}}).splitlines()
    return "Name such files for every domain in a config, and give it with -c:\n" + "\n".join(
        f"    {line}" for line in lines
    )


def _spread(domain: DomainShare, files: Sequence[str]) -> list[tuple[str, float]]:
    """Share a domain's weight among its files: by their bytes, or evenly where one is not here."""
    local = [Path(file) for file in files]
    sizes = [file.stat().st_size if file.is_file() else 0 for file in local]
    if not all(sizes):
        sizes = [1] * len(files)
    total = sum(sizes)
    return [(file, domain.weight * size / total) for file, size in zip(files, sizes, strict=True)]


def _slug(name: str, number: int | None = None) -> str:
    """Return a domain's name without what lists and paths of other tools take apart."""
    text = _UNSAFE.sub("-", name)
    return text if number is None else f"{text}-{number}"


def _slugs(domains: Sequence[DomainShare]) -> list[str]:
    """Return a name for each domain; those that would be the same get a number."""
    slugs = [_slug(domain.name) for domain in domains]
    return [s if slugs.count(s) == 1 else _slug(s, i) for i, s in enumerate(slugs)]


def _megatron(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    words = []
    for domain in mix.domains:
        files = _check("megatron", domain, domain.files(), frozenset({"", ".bin", ".idx"}))
        prefixes = dict.fromkeys(re.sub(r"\.(bin|idx)$", "", file) for file in files)
        sizes = _spread(domain, [p + ".bin" if p + ".bin" in files else p for p in prefixes])
        for prefix, (_, weight) in zip(prefixes, sizes, strict=True):
            if re.search(r"\s", prefix):
                raise DataError(f"megatron: {prefix!r}: its paths must not hold spaces")
            if Path(f"{prefix}.bin").is_file() and not Path(f"{prefix}.idx").is_file():
                raise DataError(
                    f"megatron: domain {domain.name}: there is no {prefix}.idx, so its .bin holds "
                    "bare tokens. Run Megatron's preprocess_data.py on the texts. "
                    + _name_with(domain, f"/path/to/{_slug(domain.name)}_text_document.bin")
                )
            words.append(f"{weight!r} {prefix}\n")
    return "".join(words), {}


def _olmo_core(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    sources = [
        {
            "source_name": domain.name,
            "target_ratio": domain.weight,
            "paths": list(_check("olmo-core", domain, domain.paths, frozenset({".npy", ".bin"}))),
            "max_repetition_ratio": max(
                1.0, math.ceil(domain.repetition_factor * 10**_PLACES) / 10**_PLACES
            ),
        }
        for domain in mix.domains
    ]
    plain: dict[str, object] = {"source_list": {"sources": sources}, "seed": mix.seed}
    if mix.num_tokens is not None:
        plain["requested_tokens"] = mix.num_tokens
    if mix.batch_tokens is not None:
        plain["global_batch_size"] = mix.batch_tokens
    return render_yaml(plain), {}


def _literal(rows: Iterable[Sequence[object]]) -> str:
    """Return rows as a Python literal, a line each."""
    lines = "".join(f"    ({', '.join(map(repr, row))}),\n" for row in rows)
    return f"[\n{lines}]"


def _hf(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    rows = []
    for domain in mix.domains:
        files = _texts("hf", domain)
        loaders = {_TEXTS[_ending(file)] for file in files}
        if len(loaders) > 1:
            found = " and ".join(sorted(loaders))
            raise DataError(f"hf: domain {domain.name}: its files are of one kind; found {found}")
        rows.append((domain.name, domain.weight, domain.repeats, loaders.pop(), list(files)))
    return _HF.format(rows=_literal(rows), seed=mix.seed), {}


_HF = '''\
# Domain, probability, passes that are allowed, loader, files.
SOURCES = {rows}


def mixture(seed={seed}, streaming=True, pack=None):
    """Return the mixture as one dataset; it ends when a domain has reached its passes.

    The probabilities are shares of tokens only where all examples are equally long. Give as `pack`
    a function of a dataset that tokenizes it and cuts it into examples of one length.
    """
    from datasets import interleave_datasets, load_dataset

    parts = [
        load_dataset(loader, data_files=files, split="train", streaming=streaming).repeat(passes)
        for _, _, passes, loader, files in SOURCES
    ]
    if pack is not None:
        parts = [pack(part) for part in parts]
    probabilities = [weight for _, weight, *_ in SOURCES]
    return interleave_datasets(
        parts, probabilities=probabilities, seed=seed, stopping_strategy="first_exhausted"
    )
'''


def _litgpt(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    rows: list[tuple[object, ...]] = []
    for domain in mix.domains:
        folders = _check("litgpt", domain, domain.files(), frozenset({""}))
        rows += [(domain.name, weight, folder) for folder, weight in _spread(domain, folders)]
    return _LITGPT.format(rows=_literal(rows), seed=mix.seed), {}


_LITGPT = '''\
from dataclasses import dataclass, field

from litgpt.data import DataModule

# Domain, weight, folder of litdata.optimize with a TokensLoader.
SOURCES = {rows}


@dataclass
class OlmixMixture(DataModule):
    """The mixture, which validation reads too: name other folders there if you have them."""

    seed: int = {seed}
    num_workers: int = 4
    batch_size: int = field(init=False, repr=False, default=1)
    seq_length: int = field(init=False, repr=False, default=2048)

    def __post_init__(self):
        super().__init__()

    def connect(self, tokenizer=None, batch_size=1, max_seq_length=None):
        self.batch_size = batch_size
        self.seq_length = (max_seq_length or 2048) + 1

    def _loader(self, weights):
        from litdata.streaming import (
            CombinedStreamingDataset,
            StreamingDataLoader,
            StreamingDataset,
            TokensLoader,
        )

        parts = [
            StreamingDataset(
                input_dir=folder,
                item_loader=TokensLoader(block_size=self.seq_length),
                shuffle=True,
                drop_last=True,
                seed=self.seed,
            )
            for _, _, folder in SOURCES
        ]
        mixed = CombinedStreamingDataset(
            datasets=parts, seed=self.seed, weights=weights, iterate_over_all=False
        )
        return StreamingDataLoader(
            mixed, batch_size=self.batch_size, num_workers=self.num_workers, drop_last=True
        )

    def train_dataloader(self):
        return self._loader([weight for _, weight, _ in SOURCES])

    def val_dataloader(self):
        return self.train_dataloader()
'''


def _torchtitan(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    rows = []
    for domain, slug in zip(mix.domains, _slugs(mix.domains), strict=True):
        files = _texts("torchtitan", domain)
        rows.append((f"olmix-{slug}", domain.weight, _TEXTS[_ending(files[0])], list(files)))
    return _TORCHTITAN.format(rows=_literal(rows), seed=mix.seed), {}


_TORCHTITAN = '''\
from functools import partial

from datasets import load_dataset
from torchtitan.hf_datasets import DatasetConfig
from torchtitan.hf_datasets.text_datasets import (
    DATASETS,
    HFDataSource,
    InterleavedHuggingFaceTextDataLoader,
)

# Dataset, weight, loader, files.
SOURCES = {rows}


def _load(path, loader, files):
    return load_dataset(loader, data_files=files, split="train", streaming=True)


def _text(sample):
    return sample["text"]


for _name, _, _loader, _files in SOURCES:
    DATASETS[_name] = DatasetConfig(
        path=_name,
        loader=partial(_load, loader=_loader, files=_files),
        sample_processor=_text,
    )


def dataloader(seed={seed}):
    """Return the config of the dataloader, for `Trainer.Config(dataloader=...)`."""
    return InterleavedHuggingFaceTextDataLoader.Config(
        sources=[
            HFDataSource(dataset=name, weight=weight, infinite=True)
            for name, weight, _, _ in SOURCES
        ],
        seed=seed,
    )
'''


def _llamafactory(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    names: list[str] = []
    weights: list[float] = []
    known: dict[str, dict[str, object]] = {}
    for domain, slug in zip(mix.domains, _slugs(mix.domains), strict=True):
        files = _texts("llamafactory", domain)
        packed = next((file for file in files if Path(file).suffix in _PACKED), None)
        if packed is not None:
            raise DataError(f"llamafactory: domain {domain.name}: unpack {packed} first")
        for number, (file, weight) in enumerate(_spread(domain, files)):
            name = slug if len(files) == 1 else f"{slug}.{number}"
            names.append(name)
            weights.append(weight)
            known[name] = {"file_name": file, "columns": {"prompt": "text"}}
    plain = {
        "stage": "pt",
        "dataset_dir": ".",
        "dataset": ",".join(names),
        "mix_strategy": "interleave_over" if _repeats(mix) else "interleave_under",
        "interleave_probs": ",".join(map(repr, weights)),
        "seed": mix.seed,
    }
    return render_yaml(plain), {"dataset_info.json": json.dumps(known, indent=2) + "\n"}


def _repeats(mix: ExportedMix) -> bool:
    return any(domain.repetition_factor > 1 for domain in mix.domains)


def _over(mix: ExportedMix) -> str:
    """Return what `interleave_over` does with a mixture; nothing where it is not used."""
    if not _repeats(mix):
        return ""
    known = [d for d in mix.domains if d.passes is not None]
    last = min(known, key=lambda d: d.passes or 0).name if len(known) == len(mix.domains) else ""
    return (
        f"Set max_steps: without it, training goes on until {last or 'the last domain'} is used up "
        "once, however often the others are repeated; their limits on passes are not in the file."
    )


def merged_with(there: str, text: str, file: str) -> str:
    """Return a `dataset_info.json` with what was there, which names other datasets too.

    Args:
        there: its text now.
        text: the text with our datasets.
        file: its path, for messages.

    Raises:
        DataError: it is no JSON object, or names another dataset as we name one of ours.
    """
    try:
        known = json.loads(there)
    except ValueError:
        known = None
    if not isinstance(known, dict):
        raise DataError(f"{file}: it is no JSON object; write to another folder")
    ours = json.loads(text)
    taken = [name for name, entry in ours.items() if known.get(name, entry) != entry]
    if taken:
        raise DataError(
            f"{file}: it names other datasets {', '.join(taken)}; remove them there, or write to "
            "another folder"
        )
    return json.dumps({**known, **ours}, indent=2) + "\n"


def _length(mix: ExportedMix) -> str:
    """Return how long the run is that the file is for."""
    if mix.num_tokens is None:
        return ""
    return (
        f"Length: {mix.num_tokens:,} tokens ({mix.tokens_from}); for another run, give a config "
        "with its target_tokens"
    )


def _axolotl(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    entries: list[dict[str, str]] = []
    for domain in mix.domains:
        if domain.passes is None:
            raise DataError(
                f"axolotl: domain {domain.name}: axolotl has no weights, only whole datasets and "
                "slices, for which the passes of the run must be known: give with -c a config "
                "that has priors.token_counts and max_tokens, such as that of `olmix generate`."
            )
        whole, rest = divmod(round(domain.passes * _PERCENT), _PERCENT)
        splits = ["train"] * whole + [f"train[:{rest}%]"] * (rest > 0)
        if not splits:
            raise DataError(
                f"axolotl: domain {domain.name}: the run takes {domain.passes:.2%} of it, but "
                "axolotl slices in whole per cent. Cut its files to what the run takes."
            )
        for file in _texts("axolotl", domain):
            entry = {"path": file, "ds_type": _TEXTS[_ending(file)], "type": "completion"}
            entries += [{**entry, "split": split} for split in splits]
    return render_yaml({"datasets": entries, "seed": mix.seed}), {}


def _levanter(mix: ExportedMix) -> tuple[str, dict[str, str]]:
    slugs = _slugs(mix.domains)
    pairs = list(zip(slugs, mix.domains, strict=True))
    allowed = (".jsonl", ".json", ".parquet")
    components = {
        slug: {"source": {"type": "url", "train_urls": list(_texts("levanter", domain, allowed))}}
        for slug, domain in pairs
    }
    weights = {slug: domain.weight for slug, domain in pairs}
    data = {"components": components, "train_weights": weights, "stop_strategy": "restart"}
    return render_yaml({"data": data}), {}


_EXAMPLES = (
    "shares of examples. Ours are shares of tokens, so tokenize the texts and pack them into "
    "examples of one length first"
)
_TRAINERS = (
    TrainerFormat(
        "megatron", ".txt",
        "--data-args-path FILE, or its contents after --data-path",
        "X.bin and X.idx from preprocess_data.py; a weight is spread over several files by size",
        "shares of samples of one sequence, hence of tokens",
        "Megatron repeats a domain as often as its weight asks, without a limit; the factors are "
        "not in the file",
        _megatron, "",
    ),
    TrainerFormat(
        "olmo-core", ".yaml",
        "SourceMixtureDatasetConfig.from_yaml(FILE); add requested_tokens and global_batch_size "
        "(in tokens) if no config gave them",
        "raw token ids, .npy or .bin",
        "shares of tokens",
        "max_repetition_ratio; OLMo-core refuses a mixture that takes more",
        _olmo_core, more=_length,
    ),
    TrainerFormat(
        "litgpt", ".py",
        "PYTHONPATH=FOLDER litgpt pretrain MODEL --data FILE.OlmixMixture",
        "folders of litdata.optimize with TokensLoader",
        "shares of blocks, hence of tokens",
        "LitGPT has none: when the first domain is used up, the epoch ends and every domain "
        "starts again",
        _litgpt,
    ),
    TrainerFormat(
        "torchtitan", ".py",
        "dataloader() in Trainer.Config(dataloader=...) (torchtitan 0.3)",
        "texts, in the column `text`",
        "shares of packed sequences, hence of tokens",
        "torchtitan repeats a domain as often as its weight asks (infinite), without a limit",
        _torchtitan,
    ),
    TrainerFormat(
        "hf", ".py",
        "mixture() gives the dataset",
        "texts or tokens in .jsonl, .parquet or .arrow",
        _EXAMPLES,
        "`repeat`, in whole passes; the mixture ends when a domain is used up",
        _hf,
    ),
    TrainerFormat(
        "llamafactory", ".yaml",
        "llamafactory-cli train FILE, with your model and output; dataset_info.json lies beside it "
        "and dataset_dir names its folder",
        "texts, in the column `text`",
        _EXAMPLES,
        "LLaMA-Factory has none: interleave_under stops when the first domain is used up, "
        "interleave_over (where a factor is above 1) when the last is",
        _llamafactory, more=_over,
    ),
    TrainerFormat(
        "axolotl", ".yaml",
        "copy its keys into your axolotl config; axolotl shuffles the datasets together",
        "texts, in the column `text`",
        "axolotl has none: every domain is listed once per pass, the last time as a slice in "
        "whole per cent, so that one epoch is the mixture",
        "in the list",
        _axolotl, more=_length,
    ),
    TrainerFormat(
        "levanter", ".yaml",
        "copy its keys into your Levanter config",
        "texts in .jsonl or .parquet",
        "shares of sequences, hence of tokens",
        "Levanter restarts a domain (stop_strategy: restart) without a limit",
        _levanter,
    ),
)  # fmt: skip
TRAINERS = {trainer.name: trainer for trainer in _TRAINERS}
"""All formats, by the name that `--to` takes."""
