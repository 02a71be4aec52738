import numpy as np
import pytest

from fit_fixtures import log_linear, plant
from olmix.config import FitConfig
from olmix.errors import DataError
from olmix.fit import fit_swarm
from olmix.fit.folder import (
    FitFiles,
    data_hash,
    file_stem,
    file_stems,
    fit_hash,
    point_latest,
    publish,
)
from olmix.records.metric_identity import MetricIdentity, write_identities


def _hash(planted, **changes):
    config = planted.config(**changes)
    return fit_hash(config, data_hash(config))


@pytest.fixture
def planted(tmp_path):
    return plant(tmp_path, {"y": log_linear})


def test_the_hash_does_not_depend_on_where_the_tables_lie(planted, tmp_path):
    other = plant(tmp_path / "elsewhere", {"y": log_linear})
    assert _hash(planted) == _hash(other)


@pytest.mark.parametrize(
    "changes",
    [
        {"proposer": {"kl_reg": 0.1}},
        {"regression": {"seed": 1}},
        {"lower_is_better": {"y": False}},
        {"filtering": {"fixed_weight": {"a": 0.1}}},
        {"priors": {"token_counts": {"a": 2, "b": 1, "c": 1, "d": 1}}},
        {"priors": {"token_counts": {"b": 10**6, "a": 10**6, "c": 10**6, "d": 10**6}}},
    ],
)
def test_whatever_changes_the_answer_changes_the_hash(planted, changes):
    assert _hash(planted, **changes) != _hash(planted)


def test_defaults_that_are_written_out_change_nothing(planted):
    assert _hash(planted, regression={"seed": 0, "type": "auto"}) == _hash(planted)


def test_every_cell_counts(planted):
    before = _hash(planted)
    planted.metrics["y"][3] += 1e-12
    changed = _hash(planted.write())
    assert changed != before
    planted.metrics["y"][3] = None
    assert _hash(planted.write()) not in (before, changed)


def test_names_of_files_are_safe():
    assert file_stem("a/../../etc:passwd") == "a_.._.._etc_passwd"
    assert file_stem("..") == "metric"
    assert len(file_stem("x" * 500)) == 100


def test_metrics_that_would_share_a_name_get_different_ones():
    stems = file_stems(["a b", "a/b", "A_B", "c"])
    folded = [stem.casefold() for stem in stems.values()]
    assert len(set(folded)) == 4
    assert stems["c"] == "c"


def test_latest_is_a_relative_link_that_moves(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        point_latest(tmp_path, name)
        assert str((tmp_path / "latest").readlink()) == name
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "one", "two"]


def test_a_folder_that_a_person_called_latest_is_left_alone(tmp_path):
    (tmp_path / "latest").mkdir()
    (tmp_path / "latest" / "mine").write_text("x")
    point_latest(tmp_path, "one")
    assert (tmp_path / "latest" / "mine").read_text() == "x"


def test_a_damaged_folder_is_completed(tmp_path):
    beside, folder = tmp_path / "new", tmp_path / "old"
    for path, text in ((beside, "new"), (folder, "old")):
        path.mkdir()
        (path / "fit.json").write_text(text)
    (beside / "models.json").write_text("new")
    (folder / "report.html").write_text("kept")
    publish(beside, folder)
    found = {file.name: file.read_text() for file in folder.iterdir()}
    assert found == {"fit.json": "new", "models.json": "new", "report.html": "kept"}
    assert not beside.exists()


def test_a_matrix_is_written_with_the_names_of_its_rows(tmp_path):
    values = np.array([[1.5, -2.0], [0.1, 3.0]])
    FitFiles(tmp_path).matrix("m", ["a", 'b,"c"'], ["x", "y z"], values)
    np.testing.assert_array_equal(np.load(tmp_path / "m.npy", allow_pickle=False), values)
    assert (tmp_path / "m.csv").read_text() == 'domain,x,y z\na,1.5,-2.0\n"b,""c""",0.1,3.0\n'


def test_tables_of_different_metrics_under_one_name_are_not_joined(tmp_path):
    planted = plant(tmp_path, {"y": log_linear})
    larger = tmp_path / "larger"
    larger.mkdir()
    plant(larger, {"y": log_linear}, num=8)
    sizes = {"small": (tmp_path, 1e6), "large": (larger, 6e7)}
    scales = [
        {
            "name": name,
            "ratios": str(folder / "ratios.csv"),
            "metrics": str(folder / "metrics.csv"),
            "parameters": int(parameters),
            "tokens": int(20 * parameters),
        }
        for name, (folder, parameters) in sizes.items()
    ]
    config = FitConfig.from_dict({**planted.settings, "swarm": {"scales": scales}})
    before = data_hash(config)
    one, two = MetricIdentity(definition="schema 1"), MetricIdentity(definition="schema 2")
    write_identities(tmp_path / "metrics.csv", {"y": one})
    assert data_hash(config) != before
    write_identities(larger / "metrics.csv", {"y": two})
    with pytest.raises(DataError, match=r"y: .*metrics.csv and .*schema 1 and schema 2"):
        fit_swarm(config, tmp_path / "fit")
    assert not (tmp_path / "fit").exists()
