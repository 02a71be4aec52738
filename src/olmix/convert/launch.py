"""Their launch configs: steps in sequences, sequences of 8,192 tokens, weights in the data tree."""

from __future__ import annotations

import re
from typing import Any

from olmix.config.olmo_sizes import MODEL_PARAMETERS
from olmix.config.training import CHINCHILLA_TOKENS_PER_PARAMETER
from olmix.convert.data_tree import drop_limits, is_pinned, mix_of_weights, scale_weights
from olmix.convert.draft import Draft, Plain

__all__ = ["convert_launch", "tokens_of_run"]

_SEQUENCE_LENGTH = 8192
_SEED = 42
_MODEL_SIZE = re.compile(r"_(\d+)([mb])$")
_EXAMPLE_TASK = "arc_easy_test_rc_5shot"


def convert_launch(draft: Draft) -> None:
    """Convert a launch config."""
    scale_weights(draft)
    if draft.get("mix") is None and is_pinned(draft):
        draft.content["mix"] = mix_of_weights(draft)
        draft.notes.append((("mix",), "the weights of the data section, which are the run's"))
    drop_limits(draft)
    if isinstance(draft.get("mix"), dict):
        _scale_mix(draft.content["mix"], draft, ("mix",))
    _note_infra(draft)
    _convert_training(draft)
    _convert_eval(draft)


def _note_infra(draft: Draft) -> None:
    """Say what a run on Beaker needs here that their launcher had in its code."""
    infra = draft.get("infra")
    if not isinstance(infra, dict) or "budget" not in infra:
        return
    if not {"image", "docker_image"} & set(infra):
        note = (
            "to launch, add `image`: one whose python has this Olmix (theirs is in the code), and "
            "say where jobs see the folders of runs: `weka: true`, `mounts` or `runs_dir`"
        )
        draft.notes.append((("infra",), note))


def _convert_training(draft: Draft) -> None:
    training = draft.section("training")
    if "sequence_length" not in training:
        why = "Ai2's Olmix trains on sequences of 8,192 tokens; left out, it is 2,048 here"
        draft.put(_SEQUENCE_LENGTH, "training", "sequence_length", why=why)
    batch = training.get("global_batch_size")
    if isinstance(batch, int) and not isinstance(batch, bool):
        why = f"was {batch}, which counted sequences; here a bare number counts tokens"
        draft.put(f"{batch} sequences", "training", "global_batch_size", why=why)
    if "seed" not in training:
        draft.put(_SEED, "training", "seed", why="left out, it is 42 in Ai2's Olmix and 0 here")
    if training.get("tokenizer") == "gpt_neox":
        name = "gpt_neox_olmo_dolma_v1_5"
        draft.put(name, "training", "tokenizer", why="was gpt_neox, which stood for this one")
    _convert_length(draft)


def _convert_length(draft: Draft) -> None:
    """Give the length of a run once, and say where a model's nominal size gives another one."""
    training = draft.section("training")
    if "max_tokens" in training:
        draft.take(
            "training",
            "chinchilla_multiple",
            why="chinchilla_multiple is left out: max_tokens says the length",
        )
        return
    if "chinchilla_multiple" not in training:
        why = "left out, it is 1 in Ai2's Olmix; here a run needs a length"
        draft.put(1.0, "training", "chinchilla_multiple", why=why)
    model, multiple = training.get("proxy_model_id"), training["chinchilla_multiple"]
    size = _MODEL_SIZE.search(str(model))
    tokens = tokens_of_run(training)
    if size is None or tokens is None:
        return
    nominal = int(size[1]) * 10 ** (6 if size[2] == "m" else 9)
    other = round(CHINCHILLA_TOKENS_PER_PARAMETER * nominal * multiple)
    if tokens != other:
        note = (
            f"{tokens:,} tokens: 20 for each of the {MODEL_PARAMETERS[str(model)]:,} parameters "
            f"that OLMo-core counts. Releases that took {nominal:,} trained on {other:,}; write "
            f"max_tokens: {other} for that length"
        )
        draft.notes.append((("training", "chinchilla_multiple"), note))


def tokens_of_run(training: Plain) -> int | None:
    """Return the tokens of a run, `None` where the size of its model is not known."""
    if training.get("max_tokens") is not None:
        return int(training["max_tokens"])
    parameters = MODEL_PARAMETERS.get(str(training.get("proxy_model_id")))
    multiple = training.get("chinchilla_multiple", 1.0)
    if parameters is None or not isinstance(multiple, int | float):
        return None
    return round(CHINCHILLA_TOKENS_PER_PARAMETER * multiple * parameters)


def _scale_mix(node: Plain, draft: Draft, place: tuple[str, ...]) -> None:
    """Divide the weights below each node of a nested mixture by their sum, where that is not 1."""
    below = {k: v for k, v in node.items() if k not in ("weight", "repetition_factor")}
    shares = {key: _share(value) for key, value in below.items()}
    numbers = [share for share in shares.values() if share is not None]
    total = sum(numbers)
    if below and len(numbers) == len(below) and total > 0 and abs(total - 1) > 0.01:
        for key, value in below.items():
            if isinstance(value, dict):
                value["weight"] /= total
            elif isinstance(value, list):
                value[0] /= total
            else:
                node[key] = value / total
        note = f"the weights below added up to {total:.6g} and were divided by it"
        draft.notes.append((place, note))
    for key, value in below.items():
        if isinstance(value, dict):
            _scale_mix(value, draft, (*place, key))


def _share(value: Any) -> float | None:
    """Return the weight of an entry of a mixture in any of its forms."""
    if isinstance(value, dict):
        value = value.get("weight")
    elif isinstance(value, list):
        value = value[0] if value else None
    return float(value) if isinstance(value, int | float) else None


def _convert_eval(draft: Draft) -> None:
    """Make sure that the tasks are named, which earlier releases held in their code."""
    if draft.get("eval") is not None:
        return
    tasks = {_EXAMPLE_TASK: f"eval/downstream/{_EXAMPLE_TASK} (BPB v2)"}
    draft.content["eval"] = {"type": "inloop", "tasks": {"qa": tasks}}
    note = (
        "EDIT THIS: the config named no tasks, and releases of Ai2's Olmix that need none hold "
        "their list in the code. Name what your fit will use, by family: {task: logged metric}"
    )
    draft.notes.append((("eval",), note))
