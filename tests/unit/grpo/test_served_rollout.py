"""vLLM and SGLang stand behind a rollout that is seeded and heard; they are played here."""

import dataclasses
from types import SimpleNamespace

import pytest

from olmix.errors import ConfigError, NotAvailableError
from olmix.grpo.compose import compose
from olmix.grpo.config import RunConfig
from olmix.grpo.served_rollout import listening, require_engine

END, PAD = 7, 0


@dataclasses.dataclass
class Settings:
    kv_cache_size: int = 12
    eos_tokens: tuple = (END,)
    seed: int | None = None


class Engine:
    """Answers each prompt with the same tokens, and remembers the seeds."""

    def __init__(self, model, tokenizer, cache_config_or_size, mesh, rollout_config):
        self.room, self.seeds = cache_config_or_size, []

    def generate(self, prompts, config):
        self.seeds.append(config.seed)
        return SimpleNamespace(tokens=[[3, 4, END, PAD], [5, 6, PAD, PAD]][: len(prompts)])

    def pad_id(self):
        return PAD

    def eos_id(self):
        return END


def test_answers_keep_their_end_and_each_call_has_a_seed_of_its_own():
    heard = []
    listener = SimpleNamespace(on_rollout=lambda tokens, ended: heard.append((tokens, ended)))
    kind = listening(Engine, takes_cache=True)
    rollout = kind("model", "tokenizer", "mesh", Settings(), seed=1, listener=listener)
    assert rollout.room == 12
    output = rollout.generate(["a", "b"], Settings())
    assert heard == [([[3, 4, END], [5, 6]], [True, False])]
    assert [tokens.tolist() for tokens in output.tokens] == [[3, 4, END], [5, 6]]
    rollout.generate(["a", "b"], Settings())
    rollout.current_step = lambda: 1
    rollout.generate(["a", "b"], Settings())
    assert len(set(rollout.seeds)) == 3
    again = kind("model", "tokenizer", "mesh", Settings(), seed=1, listener=listener)
    again.current_step = lambda: 1
    again.generate(["a"], Settings())
    assert again.seeds == rollout.seeds[2:], "a resumed run draws the same answers"


@pytest.mark.parametrize("engine", ["vllm", "sglang_jax"])
def test_an_engine_that_is_not_installed_is_said(engine, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(NotAvailableError, match=f"generation.engine = {engine}: the package"):
        require_engine(engine)
    require_engine("vanilla")


def test_an_engine_takes_all_weights_and_one_update_on_the_same_answers():
    words = ["generation.engine=vllm", "grpo.num_iterations=2"]
    with pytest.raises(ConfigError, match=r"(?s)set model.lora_rank=null.*grpo.num_iterations=1"):
        RunConfig.from_dict(compose(words))
    config = RunConfig.from_dict(compose([words[0], "model.lora_rank=null"]))
    assert config.generation.engine == "vllm"
