import json

import numpy as np
import pytest

from olmix.config.surface import SurfaceConfig
from olmix.errors import DataError
from olmix.fit.surface import fit_surface

RATES, RANKS = (1e-4, 3e-4, 1e-3), (8, 16, 32, 64)


def write(folder, loss, *, rates=RATES, ranks=RANKS, replicates=2):
    """Write the tables of a sweep whose loss is a function of coded rate and rank."""
    factors, metrics = ["run,learning_rate,lora_rank"], ["run,loss"]
    points = [(rate, rank) for rate in rates for rank in ranks for _ in range(replicates)]
    for index, (rate, rank) in enumerate(points):
        x, y = np.log10(rate) + 3.5, np.log2(rank) / 3 - 2
        factors.append(f"run_{index:03d},{rate},{rank}")
        metrics.append(f"run_{index:03d},{loss(x, y)}")
    (folder / "factors.csv").write_text("\n".join(factors) + "\n")
    # Rows are joined by run, whatever their order.
    (folder / "metrics.csv").write_text("\n".join([metrics[0], *reversed(metrics[1:])]) + "\n")


def config(folder, **keys):
    made = {
        "tables": {name: str(folder / f"{name}.csv") for name in ("factors", "metrics")},
        "factors": {"learning_rate": "log", "lora_rank": "log"},
        "metric": "loss",
    }
    return SurfaceConfig.from_dict(made | keys)


def noisy(function, size=0.01):
    rng = np.random.default_rng(1)
    return lambda x, y: function(x, y) + size * rng.normal()


def test_a_bowl_is_found_and_its_lowest_point_proposed(tmp_path):
    write(tmp_path, noisy(lambda x, y: 1.5 + 0.6 * (x - 0.1) ** 2 + 0.3 * y))
    result = fit_surface(config(tmp_path), tmp_path / "fit")
    found = result.summary
    assert found["order"] in ("squares", "quadratic")
    assert found["held_out_r2"] > 0.95
    best = found["optimum"]
    # x = 0.1 is a rate of 10^-3.4.
    assert best["settings"]["learning_rate"] == pytest.approx(10**-3.4, rel=0.1)
    assert best["settings"]["lora_rank"] == 8
    assert best["edges"] == ["lora_rank"]
    assert best["predicted"]["low"] < 1.2 < best["predicted"]["high"]
    assert "test beyond it" in found["statement"]
    assert 0.005 < found["noise_sd"] < 0.02


def test_the_folder_holds_what_was_fitted_and_a_block_for_the_next_experiment(tmp_path):
    write(tmp_path, noisy(lambda x, y: x**2 + y))
    folder = fit_surface(config(tmp_path), tmp_path / "fit").folder
    assert {file.name for file in folder.iterdir()} == {
        *("config.json", "surface.json", "predictions.csv", "proposal.yaml"),
        *("profiles.csv", "profiles.png", "next_batch.json"),
    }
    assert (tmp_path / "fit" / "latest").resolve() == folder.resolve()
    assert "controls:\n  learning_rate: " in (folder / "proposal.yaml").read_text()
    header = (folder / "predictions.csv").read_text().splitlines()[0]
    assert header == "run,learning_rate,lora_rank,measured,fitted,held_out"
    assert json.loads((folder / "surface.json").read_text())["num_points"] == 12


def test_noise_alone_gives_no_proposal(tmp_path):
    write(tmp_path, noisy(lambda x, y: 1.0))
    result = fit_surface(config(tmp_path), tmp_path / "fit")
    assert result.summary["optimum"] is None
    assert "Nothing is proposed" in result.summary["statement"]
    assert not (result.folder / "proposal.yaml").exists()


def test_a_gain_within_the_noise_is_said_to_be_no_proof(tmp_path):
    write(tmp_path, noisy(lambda x, y: x**2 + 0.02 * y, 0.15), replicates=1)
    found = fit_surface(config(tmp_path, order="quadratic"), tmp_path / "fit").summary
    assert "This is not proof" in found["statement"]
    gain = found["optimum"]["gain"]
    assert gain["low"] < 0 < gain["high"]


def test_more_can_be_better(tmp_path):
    write(tmp_path, noisy(lambda x, y: 1 - x**2 - y))
    found = fit_surface(config(tmp_path, lower_is_better=False), tmp_path / "fit").summary
    assert found["optimum"]["settings"]["lora_rank"] == 8
    assert found["optimum"]["settings"]["learning_rate"] == pytest.approx(10**-3.5, rel=0.2)
    assert found["optimum"]["gain"]["value"] >= 0


def test_one_curved_factor_among_many_is_found_where_a_whole_quadratic_is_not_determined(tmp_path):
    rng = np.random.default_rng(3)
    names = [f"f{n}" for n in range(7)]
    points = rng.uniform(-1, 1, size=(24, 7))
    rows = [",".join(map(str, (n, *point))) for n, point in enumerate(points)]
    (tmp_path / "factors.csv").write_text("\n".join([f"run,{','.join(names)}", *rows]))
    losses = [f"{n},{p[0] ** 2 + 0.02 * rng.normal()}" for n, p in enumerate(points)]
    (tmp_path / "metrics.csv").write_text("\n".join(["run,loss", *losses]))
    made = config(tmp_path, factors=dict.fromkeys(names, "linear"))
    found = fit_surface(made, tmp_path / "fit").summary
    assert "quadratic" not in found["candidates"]
    assert found["order"] == "squares"
    assert abs(found["optimum"]["settings"]["f0"]) < 0.1


def test_a_2x2_grid_is_fitted_by_a_plane_at_the_most(tmp_path):
    write(tmp_path, lambda x, y: 1 + x + 0.1 * y, rates=(1e-4, 1e-3), ranks=(8, 64), replicates=1)
    found = fit_surface(config(tmp_path), tmp_path / "fit").summary
    assert list(found["candidates"]) == ["mean", "linear"]
    assert "two levels were tested" in found["notes"][0]


def test_what_cannot_be_fitted_is_explained_at_once(tmp_path):
    write(tmp_path, lambda x, y: x)
    (tmp_path / "metrics.csv").write_text("run,accuracy\nrun_000,1\n")
    with pytest.raises(DataError, match="no column loss; .*") as found:
        fit_surface(config(tmp_path, factors={"learning_rte": "log"}), tmp_path / "fit")
    assert "did you mean `learning_rate`?" in str(found.value)
    write(tmp_path, lambda x, y: x, ranks=(8,))
    with pytest.raises(DataError, match="lora_rank is 8 in every run"):
        fit_surface(config(tmp_path), tmp_path / "fit")
    write(tmp_path, lambda x, y: x)
    file = tmp_path / "factors.csv"
    file.write_text(file.read_text().replace("0.0001", "0"))
    with pytest.raises(DataError, match="a log scale needs values above 0"):
        fit_surface(config(tmp_path), tmp_path / "fit")
    write(tmp_path, lambda x, y: x, rates=(1e-4,), ranks=(8, 16), replicates=1)
    with pytest.raises(
        DataError, match="2 runs of .* have the metric loss; a surface needs at least 3"
    ):
        fit_surface(config(tmp_path, factors={"lora_rank": "log"}), tmp_path / "fit")
    write(tmp_path, lambda x, y: x, rates=(1e-4, 1e-3), ranks=(8, 16))
    with pytest.raises(DataError, match="cannot determine a quadratic surface"):
        fit_surface(config(tmp_path, order="quadratic"), tmp_path / "fit")


def test_factors_that_move_together_are_refused(tmp_path):
    (tmp_path / "factors.csv").write_text("run,a,b\n1,1,10\n2,2,20\n3,4,40\n4,1,10\n")
    (tmp_path / "metrics.csv").write_text("run,loss\n1,1\n2,2\n3,3\n4,1\n")
    with pytest.raises(DataError, match="a and b always move together"):
        fit_surface(config(tmp_path, factors={"a": "log", "b": "linear"}), tmp_path / "fit")


def test_a_name_that_says_higher_needs_a_direction(tmp_path):
    write(tmp_path, noisy(lambda x, y: (x - 0.2) ** 2))
    table = (tmp_path / "metrics.csv").read_text()
    (tmp_path / "metrics.csv").write_text(table.replace("run,loss", "run,accuracy"))
    with pytest.raises(DataError, match="accuracy: higher is better") as caught:
        fit_surface(config(tmp_path, metric="accuracy"), tmp_path)
    assert "    lower_is_better: false\n" in str(caught.value)
    for lower in (True, False):
        found = fit_surface(config(tmp_path, metric="accuracy", lower_is_better=lower), tmp_path)
        best = found.summary["optimum"]["settings"]["learning_rate"]
        assert (abs(np.log10(best) + 3.5 - 0.2) < 0.1) == lower


def test_no_interval_of_a_loss_falls_below_0(tmp_path):
    write(tmp_path, lambda x, y: max(0.0, 1 + 2 * x + y), rates=RATES[1:], replicates=1)
    predicted = fit_surface(config(tmp_path), tmp_path / "fit").summary["optimum"]["predicted"]
    assert predicted["low"] == 0.0 <= predicted["value"] < predicted["high"]
    # A reward may be negative wherever it is good to be large.
    made = config(tmp_path, lower_is_better=False)
    assert fit_surface(made, tmp_path / "fit").summary["optimum"]["predicted"]["low"] > 0
