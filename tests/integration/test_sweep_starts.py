"""What is accepted starts: configs of `tune ls`, with all aliases set, make their components.

One of each recipe is tried here; `python benchmarks/sweep_starts.py` tries all of them.
"""

import sys
from pathlib import Path

import pytest
from shipped_configs import VALUES, start

from olmix.sweep.torchtune.parameter_paths import PLACES
from olmix.sweep.torchtune.registry import read_registry

# Found, not imported: their import warns, and takes ten seconds.
if not all(
    any((Path(place) / name).is_dir() for place in sys.path) for name in ("torch", "torchtune")
):
    pytest.skip("needs torch and torchtune; `make test` installs them", allow_module_level=True)

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


def test_every_alias_has_a_value_here():
    assert VALUES.keys() == PLACES.keys() - {"lr"}


def _one_of_each_recipe():
    first = {}
    for name, shipped in read_registry().configs.items():
        first.setdefault(shipped.recipe, name)
    return list(first.values())


def test_configs_with_every_alias_that_they_take_make_their_components(tmp_path):
    starts = {
        name: start(name, tmp_path / str(number))
        for number, name in enumerate(_one_of_each_recipe())
    }
    assert {name: found.faults for name, found in starts.items() if found.faults} == {}
    assert len({key for found in starts.values() for key in found.made}) >= 7
