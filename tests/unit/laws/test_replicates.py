import numpy as np
import pytest

from olmix.laws.replicates import pooled_sd


def test_groups_are_pooled_by_their_degrees_of_freedom():
    sd, freedom = pooled_sd([[1.0, 3.0], [10.0, 10.0, 13.0], [99.0]])
    assert freedom == 3
    assert sd == pytest.approx(np.sqrt((2 + 6) / 3))


def test_without_replicates_there_is_no_noise_to_tell():
    assert pooled_sd([[1.0], [2.0]]) == (None, 0)
    assert pooled_sd([]) == (None, 0)
