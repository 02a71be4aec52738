"""What previews say of runs that are matched to a large one."""

import pytest
from click.testing import CliRunner

from olmix.cli.main import cli
from olmix.config import LaunchConfig
from olmix.errors import ConfigError
from olmix.launch import Group, matching_of
from olmix.text.yaml import write_yaml
from train_fixtures import Project


def _group(tmp_path, *weights, **training):
    project = Project(tmp_path)
    runs = [
        LaunchConfig.from_dict(project.plain(f"run-{i}", pair, **training))
        for i, pair in enumerate(weights)
    ]
    return Group.of("g", runs)


def test_passes_are_those_of_the_large_run(tmp_path):
    found = matching_of(_group(tmp_path, (0.6, 0.4), (0.2, 0.8), target_tokens=20_000))
    code, prose = found.domains
    assert (code.cut.left, prose.cut.left) == (768, 512)
    assert (code.natural, prose.natural) == (2.0, 2.0)
    assert (code.most, prose.most) == (pytest.approx(2.0), pytest.approx(4.0))


def test_runs_without_a_target_are_not_matched(tmp_path):
    assert matching_of(_group(tmp_path, (0.6, 0.4))) is None


def test_a_domain_that_no_run_uses_may_be_too_small(tmp_path):
    training = {"target_tokens": 200_000}  # leaves 77 of 6,000, and 52 of 4,000
    assert matching_of(_group(tmp_path, (1.0, 0.0), **training))
    with pytest.raises(ConfigError, match=r"run-0: data.prose"):
        matching_of(_group(tmp_path, (0.6, 0.4), **training))


def test_domains_of_which_few_documents_are_left_are_named(tmp_path):
    """About 60 and 40 documents, of which a run of 2,560 tokens for 20,000 sees an eighth."""
    found = matching_of(_group(tmp_path, (0.6, 0.4), target_tokens=20_000))
    assert set(found.few) == {"code", "prose"}
    assert found.few["code"] == pytest.approx(60 * 0.128, rel=0.5)
    assert not matching_of(_group(tmp_path, (0.6, 0.4), target_tokens=2_560)).few


def test_preview_prints_what_a_run_sees(tmp_path):
    plain = Project(tmp_path).plain(target_tokens=20_000, target_parameters=100)
    write_yaml(tmp_path / "run.yaml", plain)
    words = ["launch", "preview", "-v", str(tmp_path / "run.yaml"), "-o", str(tmp_path / "runs")]
    shown = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert "code    6,000   768" in shown.output.replace("  ", " ").replace("  ", " ") or (
        "6,000" in shown.output and "768" in shown.output
    )
    assert "documents of prose are left, so the proposal depends on which ones" in shown.output
    assert "tokens per parameter, but 200 in the large run" in shown.output
