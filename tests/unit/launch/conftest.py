import pytest

from olmix.config import GenerationConfig, LaunchConfig
from olmix.generate import generate


@pytest.fixture
def variants(tiny):
    """Return complete variants of a tiny swarm."""
    base = LaunchConfig.from_yaml(tiny.launch)
    return generate(GenerationConfig.from_yaml(tiny.generation), tiny.folder / "variants", base)
