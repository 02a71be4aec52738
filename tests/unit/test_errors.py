import sys

import pytest

from olmix.errors import MissingPackageError, needs, require


def test_a_failed_import_names_the_package_its_extra_and_the_command_from_a_checkout(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with (
        pytest.raises(
            MissingPackageError,
            match=r"Fitting needs the package `scipy`, which is not installed.\n"
            r"  Install it with: pip install '\.\[fit\]'",
        ),
        needs("fit", "Fitting"),
    ):
        import scipy.optimize  # noqa: F401


def test_a_package_whose_module_has_another_name_is_named_as_it_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "hydra", None)
    with pytest.raises(MissingPackageError, match="`hydra-core`"), needs("grpo", "GRPO"):
        import hydra  # noqa: F401


def test_other_errors_of_the_block_pass_as_they_are():
    with pytest.raises(ZeroDivisionError), needs("fit", "Fitting"):
        _ = 1 / 0


def test_all_missing_packages_of_a_command_are_named_at_once():
    with pytest.raises(
        MissingPackageError, match="packages `no-such-one`, `no-such-two`, which are"
    ):
        require(["sys", "no_such_one", "no_such_two"], "quickstart", "olmix quickstart")
