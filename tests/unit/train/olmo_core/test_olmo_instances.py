"""The sequences that a matched run of OLMo-core may see."""

import numpy as np
import pytest

from olmix.config import OlmoCoreTraining
from olmix.errors import ConfigError
from olmix.train.olmo_core.instances import choose_instances

FILES = {"code": ["a", "b"], "prose": ["c"]}
COUNTS = {"a": 10, "b": 30, "c": 20}


def _training(**changes):
    plain = {"proxy_model_id": "olmo2_1m", "max_tokens": 1000, "global_batch_size": "1 sequences"}
    plain |= {"sequence_length": 10, "target_tokens": 4000, **changes}
    return OlmoCoreTraining.from_dict(plain)


def _chosen(**changes):
    return choose_instances(FILES, COUNTS, _training(**changes), 10)


def test_a_share_of_each_domain_is_kept_over_its_files_together():
    kept = _chosen()
    assert len(kept["a"]) + len(kept["b"]) == 10
    assert len(kept["c"]) == 5
    for file, chosen in kept.items():
        assert len(set(chosen)) == len(chosen)
        assert all(0 <= index < COUNTS[file] for index in chosen)


def test_a_longer_run_keeps_what_a_shorter_one_keeps_and_seeds_of_training_change_nothing():
    short, long = _chosen(), _chosen(max_tokens=2000, seed=5)
    for file, chosen in short.items():
        np.testing.assert_array_equal(long[file][: len(chosen)], chosen)
    assert _chosen(subset_seed=1)["c"].tolist() != short["c"].tolist()


def test_less_than_a_step_is_refused():
    with pytest.raises(ConfigError, match=r"data.prose: .* less than one step of 80"):
        _chosen(global_batch_size="8 sequences")
