import pytest

from olmix.errors import MissingPackageError
from olmix.sweep.torchtune import library, registry


@pytest.fixture(scope="session", autouse=True)
def _torchtune():
    """Skip where the files of torchtune are not installed; torch itself is not needed."""
    try:
        registry.read_registry()
    except MissingPackageError as error:
        pytest.skip(f"needs the files of torchtune: {error}")


@pytest.fixture(autouse=True)
def _tune_is_torchtune(monkeypatch):
    """Whatever else is installed here, the command `tune` is torchtune's."""
    monkeypatch.setattr(library, "owners", lambda: {"torchtune"})
