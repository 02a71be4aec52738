"""`benchmarks/gpu.py` at four small proxies on a CPU: it has not run on a GPU yet."""

from pathlib import Path

import pytest

pytest.importorskip("jax")

pytestmark = pytest.mark.slow

SMALL = {"d_model": 16, "num_heads": 2, "context_length": 16, "batch_size": 4}


@pytest.fixture
def gpu(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import jax

    import gpu

    # Compiling is most of the time here, and half of that is optimizing.
    was = jax.config.values["jax_disable_most_optimizations"]
    jax.config.update("jax_disable_most_optimizations", True)
    yield gpu
    jax.config.update("jax_disable_most_optimizations", was)


def test_proxies_side_by_side_have_the_losses_of_each_alone(gpu, monkeypatch, capsys):
    monkeypatch.setattr(gpu, "VOCAB_SIZE", 64)
    bench = gpu.Bench(**SMALL)
    monkeypatch.setattr(gpu, "Bench", lambda: bench)
    assert gpu.main(["--part", "swarm", "--lanes", "4", "--seconds", "0"]) == 0
    title, _, *table = capsys.readouterr().out.strip().splitlines()
    assert title.startswith("cpu, JAX")
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table[2:]]
    names = [(row[0], row[1]) for row in rows]
    assert names == [("one at a time", "float32"), ("4", "float32"), ("4", "bfloat16")]
    # What a CPU can do at best is in no data sheet here.
    assert {row[4] for row in rows} == {"?"}
    assert float(rows[1][6]) < 1e-4
    assert 0 < float(rows[2][6]) < gpu.TOLERANCE["bfloat16"]


def test_losses_that_differ_are_an_error(gpu, monkeypatch, capsys):
    wrong = gpu.Result(8, "float32", 1.0, 0.5, 10, 0.2)
    alone = gpu.Result(0, "float32", 1.0, 0.5, 10, 0.0)
    monkeypatch.setattr(gpu, "measure_swarms", lambda *_: [alone, wrong])
    assert gpu.main(["--part", "swarm"]) == 1
    assert "differs by more than 0.005" in capsys.readouterr().err


def test_the_roofline_of_an_h100(gpu, monkeypatch):
    """By hand: the products of a step three times over, or weights and moments once each way."""
    import jax

    device = type("Device", (), {"device_kind": "NVIDIA H100 80GB HBM3"})
    monkeypatch.setattr(jax, "devices", lambda: [device])
    bench = gpu.Bench()
    weights = 4 * 64 * 64 + 3 * 64 * bench.shape.hidden + 1024 * 64
    moved_s = 24 * weights / 3.35e12
    flops_s = 6 * (weights + 2 * 64 * 64) * 8 * 64 / 495e12
    assert bench._least_seconds("float32") == pytest.approx(max(moved_s, flops_s))
    assert bench._least_seconds("bfloat16") == pytest.approx(max(moved_s, flops_s / 2), rel=1e-2)
