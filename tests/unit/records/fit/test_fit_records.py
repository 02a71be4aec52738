"""`fit.json`, `proposal.json` and `verification.json` as records."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import pytest

from olmix.errors import DataError
from olmix.records.fit.proposal import Mix, Proposal, ProposedObjective, read_proposal
from olmix.records.fit.scores import read_fit
from olmix.records.fit.tables import read_front
from olmix.records.fit.verification import read_verification
from sample_fit import edit_json

GOLDEN = Path(__file__).parents[3] / "golden" / "fit_folder_0_1"


@pytest.fixture
def fit(tmp_path):
    """Return a fit folder that version 0.1 wrote."""
    return shutil.copytree(GOLDEN / "fit" / "golden", tmp_path / "fit")


def _plain(folder, name):
    return json.loads((folder / name).read_text(encoding="utf-8"))


def test_what_is_read_is_written_as_it_was(fit):
    assert read_fit(fit).to_plain() == _plain(fit, "fit.json")
    assert list(read_fit(fit).to_plain()) == list(_plain(fit, "fit.json"))
    proposal = read_proposal(fit).to_plain()
    assert proposal == {"format": 1, **_plain(fit, "proposal.json")}
    assert list(proposal)[1:] == list(_plain(fit, "proposal.json"))


def test_a_verification_without_a_level_is_one_of_95_per_cent(fit):
    found = read_verification(fit)
    assert found.level == 0.95
    assert found.to_plain() == {"format": 1, "level": 0.95, **_plain(fit, "verification.json")}
    edit_json(fit / "verification.json", level=0.9)
    assert read_verification(fit).level == 0.9


def test_what_is_not_known_is_null_in_the_file_and_nan_in_python(fit):
    edit_json(fit / "fit.json", **{"metrics/code_bpb/noise_sd": None})
    found = read_fit(fit)
    assert math.isnan(found.metrics["code_bpb"].noise_sd)
    assert found.to_plain()["metrics"]["code_bpb"]["noise_sd"] is None
    text = json.dumps(found.to_plain(), allow_nan=False)
    assert "NaN" not in text


def test_metrics_and_laws_know_their_names(fit):
    metric = read_fit(fit).metrics["code_bpb"]
    assert (metric.name, metric.law.name, metric.unit) == (
        "code_bpb",
        "log_linear",
        "bits per byte",
    )


def test_the_best_mixture_alone_has_a_run_though_none_may_be_allowed():
    mixtures = {"natural": Mix({"a": 1.0}), "best_seen": Mix({"a": 1.0})}
    objective = ProposedObjective("y", True, {"y": 1.0})
    proposal = Proposal(
        objective=objective, mixtures=mixtures, gains={}, reliable=True, statement="."
    )
    plain = proposal.to_plain()["mixtures"]
    assert set(plain["natural"]) == {"weights", "predicted"}
    assert plain["best_seen"]["run"] is None
    assert plain["best_seen"]["measured"] is None


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("fit.json", read_fit),
        ("proposal.json", read_proposal),
        ("verification.json", read_verification),
    ],
)
@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"3", b"\xff\xfe{}", b"{", b'{"format": 1}', b"[" * 100_000, b'{"a": "\\ud800"}'],
)
def test_what_is_no_such_file_is_refused_by_name(fit, name, read, content):
    (fit / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name}: .*"):
        read(fit)


@pytest.mark.parametrize(
    ("name", "where", "value"),
    [
        ("fit.json", "metrics/code_bpb/noise_sd", "NaN"),
        ("fit.json", "metrics/code_bpb/objective_weight", "Infinity"),
        ("fit.json", "metrics/code_bpb/objective_weight", "-1"),
        ("fit.json", "metrics/code_bpb/objective_weight", "null"),
        ("fit.json", "metrics/code_bpb/num_runs", "1e999"),
        ("fit.json", "metrics/code_bpb/noise_sd", "1" + "0" * 400),
        ("fit.json", "metrics/code_bpb/signal", '"yes"'),
        ("fit.json", "metrics/code_bpb/candidates", "{}"),
        ("fit.json", "metrics/code_bpb/candidates/log_linear/cv", "[1]"),
        ("fit.json", "metrics/code_bpb/calibration/coverage", '{"often": 0.9}'),
        ("fit.json", "metrics", "[]"),
        ("fit.json", "domains", "[]"),
        ("fit.json", "domains", '"code"'),
        ("fit.json", "runs/used", "{}"),
        ("fit.json", "runs/used", "[]"),
        ("fit.json", "notes", '["' + "x" * 30_000 + '"]'),
        ("proposal.json", "mixtures/proposed/weights", '{"code": -0.1}'),
        ("proposal.json", "mixtures/proposed/weights", '{"code": NaN}'),
        ("proposal.json", "mixtures/proposed/weights", "[1]"),
        ("proposal.json", "objective/metrics", '{"code_bpb": 0}'),
        ("proposal.json", "objective/lower_is_better", "null"),
        ("proposal.json", "gains/natural", "null"),
        ("proposal.json", "reliable", "1"),
        ("proposal.json", "warnings", "3"),
        ("verification.json", "seeds", "[0.5]"),
        ("verification.json", "level", "95"),
        ("verification.json", "mixtures/natural/values", '["a"]'),
        ("verification.json", "gains/natural/mean", "-Infinity"),
    ],
)
def test_a_wrong_value_is_named_with_its_file_and_its_field(fit, name, where, value):
    edit_json(fit / name, **{where: "PLACE"})
    file = fit / name
    file.write_text(file.read_text(encoding="utf-8").replace('"PLACE"', value))
    read = {"fit": read_fit, "proposal": read_proposal, "verification": read_verification}
    with pytest.raises(DataError) as error:
        read[name.partition(".")[0]](fit)
    first = str(error.value).splitlines()[0]
    assert first.startswith(f"{file}: {where.replace('/', '.')}")
    assert len(str(error.value)) < 2_000


def test_all_problems_of_a_file_are_named_at_once(fit):
    edit_json(fit / "fit.json", **{"domains": 3, "runs/used": 4, "metrics/code_bpb/chosen": 5})
    with pytest.raises(
        DataError, match=r"(?s)domains: .*metrics\.code_bpb\.chosen: .*runs\.used: "
    ):
        read_fit(fit)


@pytest.mark.parametrize("version", [0, 2, "1", None])
def test_another_format_is_said_to_be_that_and_nothing_else(fit, version):
    edit_json(fit / "fit.json", format=version, metrics=3)
    with pytest.raises(DataError, match=f"format {version!r}, which this release") as error:
        read_fit(fit)
    assert "metrics" not in str(error.value)


def test_keys_of_a_later_release_are_passed_over(fit):
    edit_json(fit / "fit.json", news=[1], **{"metrics/code_bpb/news": {}})
    assert read_fit(fit).metrics["code_bpb"].num_runs == 18


def test_a_front_whose_mixtures_lack_a_family_is_refused(fit):
    edit_json(fit / "pareto.json", **{"mixtures/natural": {"prose": 1.0}})
    with pytest.raises(DataError, match=r"pareto\.json: mixtures: .*natural: programs"):
        read_front(fit)
