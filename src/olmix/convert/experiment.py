"""Their experiment configs, which generated and launched: earlier ones without sections."""

from __future__ import annotations

from copy import deepcopy

from olmix.convert.data_tree import is_pinned
from olmix.convert.draft import Draft, Plain
from olmix.convert.generation import convert_generation
from olmix.convert.launch import convert_launch, tokens_of_run

__all__ = ["sections_of", "split_experiment"]

_SECTIONS: dict[str, tuple[str, ...]] = {
    "infra": (
        "budget", "workspace", "cluster", "priority", "preemptible", "nodes", "gpus", "weka",
        "shared_filesystem", "wandb_debug",
    ),
    "training": (
        "proxy_model_id", "tokenizer", "chinchilla_multiple", "max_tokens", "sequence_length",
        "device_batch_size", "global_batch_size", "checkpoint_path", "train_type",
        "eval_interval", "no_eval", "instance_filter",
    ),
    "data": ("sources", "dtype"),
    "swarm": (
        "variants", "mix_temperature", "source_mix_temperature", "topic_mix_temperature",
        "min_strength", "max_strength", "min_source_strength", "max_source_strength",
        "min_topic_strength", "max_topic_strength", "minimum_weight", "minimum_source_weight",
        "minimum_topic_weight", "nonzero_weight", "fixed_source_weights", "manual_prior",
        "manual_topic_prior", "allow_repetition", "sample_multiplier", "existing_mix_file",
    ),
}  # fmt: skip
"""Where each key of an experiment without sections belongs."""
_OF_FITS = ("target_tokens", "target_chinchilla_multiple", "target_model_id", "repetition_factor")


def sections_of(flat: Plain) -> Draft:
    """Return an experiment without sections with them."""
    rest = dict(flat)
    draft = Draft({"name": rest.pop("name", "experiment")})
    if "description" in rest:
        draft.content["description"] = rest.pop("description")
    for section, keys in _SECTIONS.items():
        found = {key: rest.pop(key) for key in keys if key in rest}
        if found:
            draft.content[section] = found
    if "seed" in rest:
        # One seed served both.
        draft.section("training")["seed"] = rest["seed"]
        draft.section("swarm")["seed"] = rest.pop("seed")
    tasks = rest.pop("eval_tasks", None)
    if isinstance(tasks, list):
        names = {str(task): f"eval/downstream/{task} (BPB v2)" for task in tasks}
        draft.content["eval"] = {"type": "inloop", "tasks": {"all": names}}
        draft.notes.append((("eval",), "was eval_tasks; sort the tasks into families"))
    for key in [key for key in _OF_FITS if key in rest]:
        note = f"{key}: {rest.pop(key)} is left out: it goes into `constraints` of a fit config"
        draft.notes.append((("name",), note))
    draft.content |= rest
    return draft


def split_experiment(whole: Draft, priors: str) -> tuple[Draft | None, Draft]:
    """Return the generation config, where there is something to sample, and the launch config.

    Args:
        whole: an experiment with sections.
        priors: name of a file of priors, for an experiment that has none.
    """
    launch = Draft(deepcopy(whole.content), list(whole.notes))
    for key in ("priors", "swarm"):
        launch.content.pop(key, None)
    pinned = is_pinned(whole)
    convert_launch(launch)
    if pinned:
        note = "all weights are given: this is one run, and `olmix generate` has nothing to sample"
        launch.notes.append((("name",), note))
        return None, launch
    keys = ("name", "data", "priors", "swarm", "max_tokens")
    generation = Draft({k: deepcopy(whole.content[k]) for k in keys if k in whole.content})
    if "priors" not in generation.content:
        generation.content["priors"] = priors
        note = f"count the tokens first: olmix priors compute -c THIS_FILE -o {priors}"
        generation.notes.append((("priors",), note))
    _give_length(generation, whole.section("training"))
    convert_generation(generation)
    return generation, launch


def _give_length(generation: Draft, training: Plain) -> None:
    tokens = tokens_of_run(training)
    if "max_tokens" not in generation.content and tokens is not None:
        generation.content["max_tokens"] = tokens
        generation.notes.append((("max_tokens",), "tokens of one run, by its training section"))
