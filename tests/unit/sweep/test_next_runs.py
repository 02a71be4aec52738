"""`olmix sweep generate STUDY --after FIT`: runs that a fit proposes join their experiment."""

import math

import pytest
from sweep_studies import log_run, write_study

from olmix.config.surface import SurfaceConfig
from olmix.errors import DataError
from olmix.fit.surface import fit_surface
from olmix.sweep import generate_configs
from olmix.sweep.folder import read_mapping
from olmix.sweep.next_runs import with_next_runs
from olmix.sweep.results import write_results

RATES, RANKS = [1e-5, 1e-4, 1e-3], [8, 16, 32]


def loss(params):
    """Return a planted loss that is least at a rate of 3e-4 and a rank of 16."""
    rate, rank = math.log10(params["learning_rate"]), math.log2(params["lora_rank"])
    return 2 + (rate + 3.5) ** 2 + 0.2 * (rank - 4) ** 2


def train(folder, value=loss):
    for run in read_mapping(folder)[0]:
        log_run(folder, int(run.id.removeprefix("run_")), [value(run.params)] * 10)


def fitted(folder):
    found = write_results(folder)
    return fit_surface(
        SurfaceConfig.from_yaml(found.folder / "surface.yaml"), found.folder / "fit"
    ).folder


def add(folder, fit, number=4):
    extended = with_next_runs(folder, fit, number)
    return generate_configs(extended, folder, validator="none")


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = write_study(
        tmp_path_factory.mktemp("next"),
        {"lora_alpha": "${mul:2,${lora_rank}}"},
        learning_rate=RATES,
        lora_rank=RANKS,
    )
    train(folder)
    return folder


def test_rounds_come_closer_to_the_planted_best_and_keep_earlier_runs(study):
    before = {run.id: (run.params, run.hash) for run in read_mapping(study)[0]}
    for size in (13, 15):
        result = add(study, fitted(study), size - len(read_mapping(study)[0]))
        assert len(result.runs) == size
        assert result.num_new == size - len(before)
        after = {run.id: (run.params, run.hash) for run in result.runs}
        assert before.items() <= after.items()
        train(study)
        before = after
    best = write_results(study).ranking[0]
    assert best[0].params["lora_rank"] == 16
    assert best[1] < 2.02  # the grid's own best is 2.25
    assert not (study / "replaced").exists()
    alpha = study / "configs" / f"{best[0].id}.yaml"
    assert "lora_alpha: 32" in alpha.read_text()
    assert (study / "experiment.yaml").read_text().count("points:") == 1


def test_generating_the_folder_again_changes_nothing(study):
    again = generate_configs(study / "experiment.yaml", study, validator="none")
    assert again.num_new == 0
    assert not (study / "replaced").exists()


def test_a_repeated_point_gets_a_seed_that_no_run_has(tmp_path):
    folder = write_study(tmp_path, learning_rate=RATES, lora_rank=RANKS)
    # Noise that no smooth law explains.
    train(
        folder,
        lambda params: 2 + 0.5 * math.sin(1e7 * params["learning_rate"] * params["lora_rank"]),
    )
    fit = fitted(folder)
    result = add(folder, fit, 16)
    new = [run.params for run in result.runs[9:]]
    points = [(run["learning_rate"], run["lora_rank"]) for run in new]
    old = [(run.params["learning_rate"], run.params["lora_rank"]) for run in result.runs[:9]]
    repeated = [run for run, point in zip(new, points, strict=True) if point in old]
    assert all("seed" in run for run in repeated)
    assert len({run.hash for run in result.runs}) == len(result.runs)


def test_a_fit_of_another_sweep_is_refused(study, tmp_path):
    other = write_study(tmp_path, learning_rate=RATES, batch_size=[1, 2, 4])
    with pytest.raises(DataError, match="fit of another sweep: lora_rank"):
        with_next_runs(other, fitted(study), 2)


def test_more_runs_than_the_fit_proposes_are_refused(study):
    with pytest.raises(DataError, match="it proposes 16 runs, fewer than the 17 asked for"):
        with_next_runs(study, fitted(study), 17)


def test_a_folder_without_a_fit_says_how_to_make_one(study, tmp_path):
    with pytest.raises(DataError, match=r"olmix fit -c STUDY/results/surface\.yaml"):
        with_next_runs(study, tmp_path, 2)
