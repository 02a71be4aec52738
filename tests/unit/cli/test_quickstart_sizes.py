"""What quickstart refuses before it trains anything."""

import pytest

from olmix.cli.quickstart import _check_sizes
from olmix.errors import ConfigError


def test_a_ladder_that_the_trainer_refuses_is_refused_before_the_first_run(tiny):
    _check_sizes(tiny.launch, "")
    _check_sizes(tiny.launch, "1,4")
    with pytest.raises(ConfigError, match="1e.09 times: training.d_model"):
        _check_sizes(tiny.launch, "1,1e9")
    with pytest.raises(ConfigError, match="0.001 times: training"):
        _check_sizes(tiny.launch, "0.001,1")
