import pytest

from olmix.config.surface import SurfaceConfig
from olmix.sweep.factors import choose_factors, write_factors
from olmix.sweep.folder import Mapped


def ranking(*params):
    return [
        Mapped(id=f"run_{n:03d}", params=entry, config=f"configs/run_{n:03d}.yaml", hash=str(n))
        for n, entry in enumerate(params)
    ]


def test_numeric_variables_are_factors_and_seeds_are_replicates():
    runs = ranking(*({"lr": lr, "seed": s} for lr in (1e-4, 1e-3, 1e-2) for s in (0, 1)))
    found = choose_factors(runs)
    assert found.scales == {"lr": "log"}
    assert len(found.runs) == 6
    assert found.note == ""


def test_other_variables_are_held_at_the_best_run():
    runs = ranking(
        *({"opt": opt, "use_dora": True, "lr": lr} for opt in ("a", "b") for lr in (1, 2, 3))
    )
    found = choose_factors(runs)
    assert {run.params["opt"] for run in found.runs} == {"a"}
    assert found.scales == {"lr": "linear"}
    assert found.note == "left out: 3 runs; only opt=a, use_dora=true, of the best run"


def test_of_variables_that_move_together_one_is_taken():
    found = choose_factors(ranking(*({"batch": b, "steps": 32 // b} for b in (1, 2, 4))))
    assert list(found.scales) == ["batch"]
    assert "steps: left out" in found.note


def test_variables_that_were_drawn_apart_are_factors_both():
    runs = ranking(*({"x": x, "y": y} for x, y in ((0.1, 0.7), (0.2, 0.3), (0.4, 0.9), (0.6, 0.2))))
    assert set(choose_factors(runs).scales) == {"x", "y"}


@pytest.mark.parametrize(
    ("levels", "scale"),
    [
        ((1e-4, 3e-4, 1e-3), "log"),
        ((8, 16, 32, 64), "log"),
        ((1, 2, 3), "linear"),
        ((0.0, 0.1, 1.0), "linear"),
        ((1e-4, 3e-4), "log"),
        ((0.5, 0.6), "linear"),
    ],
)
def test_the_scale_is_the_one_on_which_levels_are_even(levels, scale):
    runs = ranking(*({"x": level} for level in (*levels, levels[0])))
    assert choose_factors(runs).scales == {"x": scale}


def test_the_scale_is_that_of_the_design_wherever_later_points_lie():
    runs = ranking(*({"x": x} for x in (1e-4, 1e-3, 1e-2, 9.1e-3, 9e-3)))
    assert choose_factors(runs).scales == {"x": "linear"}
    assert choose_factors(runs, {"x": [1e-4, 1e-3, 1e-2]}).scales == {"x": "log"}
    ends = {"min": 1e-4, "max": 1e-2}
    assert choose_factors(runs, {"x": ends | {"scale": "log"}}).scales == {"x": "log"}
    assert choose_factors(runs, {"x": ends}).scales == {"x": "linear"}


def test_the_config_is_one_that_fit_reads_and_goes_where_there_is_nothing_to_fit(tmp_path):
    runs = ranking(*({"lr": lr} for lr in (1e-4, 1e-3, 1e-2)))
    final = {run.id: {"loss": float(n)} for n, run in enumerate(runs)}
    write_factors(tmp_path, choose_factors(runs), final, "loss", lower_is_better=True)
    config = SurfaceConfig.from_yaml(tmp_path / "surface.yaml")
    assert config.factors == {"lr": "log"}
    assert config.tables.factors == str(tmp_path / "factors.csv")
    assert (tmp_path / "metrics.csv").read_text().splitlines()[1] == "run_000,0.0"
    write_factors(tmp_path, choose_factors(runs[:1]), final, "loss", lower_is_better=True)
    assert not (tmp_path / "surface.yaml").exists()
