import os

import pytest
import yaml
from click.testing import CliRunner

from olmix.cli.main import cli
from olmix.config import GenerationConfig, LaunchConfig, LocalInfra
from olmix.errors import ConfigError, OlmixError
from olmix.generate import generate
from olmix.launch import (
    Group,
    check_checkpoints,
    describe_launch,
    estimate,
    identity_of,
    launch_local,
    load_group,
    read_group,
    render_launch,
    render_training,
    write_launch,
)
from olmix.records.run import RunFolder, Status
from olmix.text.files import write_text
from olmix.text.yaml import read_yaml, write_yaml


def test_a_folder_of_complete_variants_is_a_group(variants):
    group = load_group(variants.folder)
    assert group.group_id == variants.group_id
    assert [run.name for run in group.runs] == [file.stem for file in variants.files]


@pytest.mark.parametrize(
    "group", ["0d032fc5", "12345678", "00123456", "0x123456", "12e51234", "1e500000", "0b101010"]
)
def test_a_group_whose_id_looks_like_a_number_keeps_it(tiny, monkeypatch, group):
    monkeypatch.setattr("olmix.generate.write.group_of", lambda *_, **__: group)
    base = LaunchConfig.from_yaml(tiny.launch)
    made = generate(GenerationConfig.from_yaml(tiny.generation), tiny.folder / "odd", base)
    found = load_group(made.folder)
    assert found.group_id == group
    assert {run.group_id for run in found.runs} == {group}
    assert [run.name for run in found.runs] == [file.stem for file in made.files]
    again = generate(GenerationConfig.from_yaml(tiny.generation), made.folder, base)
    assert again.num_new == 0


@pytest.mark.parametrize("group", ["12345678", "1e5", "00123456", "0x12"])
def test_a_group_id_without_quotes_that_is_a_number_is_refused_with_its_line(variants, group):
    file = variants.files[0]
    lines = [x for x in file.read_text().splitlines() if not x.startswith("group_id:")]
    file.write_text("\n".join([*lines, f"group_id: {group}"]) + "\n")
    with pytest.raises(ConfigError, match=f":{len(lines) + 1}: group_id: "):
        load_group(file)


def test_one_file_is_a_group_of_one(variants):
    assert len(load_group(variants.files[0]).runs) == 1


def _sized(tiny, **training):
    mix = {"a": {"weight": 1.0}}
    write_yaml(tiny.folder / "one.yaml", {"name": "one", "mix": mix, "training": training})
    return load_group(tiny.folder / "one.yaml", tiny.launch)


def test_a_bare_variant_may_have_a_size_and_length_of_its_own(tiny):
    training = _sized(tiny, d_model=32, max_tokens="12800").runs[0].training
    assert (training.d_model, training.num_tokens) == (32, 12_800)
    assert training.context_length == LaunchConfig.from_yaml(tiny.launch).training.context_length
    by_size = _sized(tiny, chinchilla_multiple=1).runs[0].training
    assert by_size.num_tokens == 20 * by_size.num_parameters


def test_a_size_that_its_trainer_does_not_know_is_refused(tiny):
    with pytest.raises(ConfigError, match=r"training.proxy_model_id"):
        _sized(tiny, proxy_model_id="olmo3_60m")
    with pytest.raises(ConfigError, match=r"training.num_heads: d_model = 18"):
        _sized(tiny, d_model=18)


def test_larger_models_are_assumed_to_be_slower(tiny):
    small, large = (estimate(_sized(tiny, d_model=width)) for width in (16, 64))
    assert small.tokens_per_second > 2 * large.tokens_per_second
    assert large.source == "assumed"


def test_bare_variants_are_completed_by_their_base(tiny):
    made = generate(GenerationConfig.from_yaml(tiny.generation), tiny.folder / "bare")
    with pytest.raises(ConfigError, match="is a bare variant"):
        load_group(made.folder)
    group = load_group(made.folder, tiny.launch)
    assert group.group_id == made.group_id
    assert group.runs[0].training.num_tokens == 6400


def test_the_group_can_be_named(variants):
    assert load_group(variants.folder, group_id="mine").group_id == "mine"


def test_problems_of_all_files_come_at_once(variants):
    for file in variants.files[:2]:
        file.write_text(file.read_text().replace("mix:", "mx:"))
    with pytest.raises(ConfigError) as caught:
        load_group(variants.folder)
    assert str(caught.value).count("did you mean `mix`?") == 2


def test_two_runs_of_one_name_are_refused(variants):
    text = variants.files[0].read_text()
    (variants.folder / "copy.yaml").write_text(text)
    with pytest.raises(ConfigError, match="two runs are called"):
        load_group(variants.folder)


def test_two_groups_in_one_folder_are_refused(variants):
    text = variants.files[0].read_text()
    other = text.replace(variants.group_id, "abcd0000")
    (variants.folder / "other.yaml").write_text(other)
    with pytest.raises(OlmixError, match="belong to 2 groups"):
        load_group(variants.folder)


def test_an_empty_folder_says_how_to_fill_it(tmp_path):
    with pytest.raises(ConfigError, match="olmix generate"):
        load_group(tmp_path)


def test_a_group_runs_in_one_place(variants):
    plain = LaunchConfig.from_yaml(variants.files[0]).to_plain()
    write_yaml(variants.files[0], {**plain, "infra": {"backend": "slurm"}})
    with pytest.raises(ConfigError, match="a group must run in one place"):
        load_group(variants.folder)


def test_a_preview_counts_tokens_flops_and_time(variants, tmp_path):
    group = load_group(variants.folder)
    cost = estimate(group, tokens_per_second=1000.0, rate_per_hour=9.0)
    assert (cost.num_runs, cost.num_missing, cost.num_tokens) == (5, 5, 5 * 6400)
    assert cost.flops == 6 * group.runs[0].training.num_parameters * 5 * 6400
    assert cost.device_hours == pytest.approx(32 / 3600)
    assert cost.cost == pytest.approx(9 * 32 / 3600)
    assert (cost.device, cost.source) == ("core", "given")
    text = render_launch(group, tmp_path / group.group_id)
    assert text.count(f"/{group.group_id}/") == 5
    assert "OMP_NUM_THREADS=1" in text


def test_finished_runs_cost_nothing_and_tell_the_speed(variants, tmp_path):
    group = load_group(variants.folder)
    folder = tmp_path / "runs" / group.group_id
    assert estimate(group, folder).source == "assumed"
    first = RunFolder(folder / group.runs[0].name)
    this = identity_of(group.runs[0])
    first.write_status(Status("finished", this, tokens_per_second=2000.0))
    write_text(first.summary, "{}")
    cost = estimate(group, folder)
    assert (cost.num_runs, cost.num_missing) == (5, 4)
    assert (cost.tokens_per_second, cost.source) == (2000.0, "measured")
    assert cost.device_hours == pytest.approx(4 * 6400 / 2000 / 3600)
    # One that was finished with another config, data or seed is trained again, and costs.
    first.write_status(Status("finished", "x", tokens_per_second=2000.0))
    changed = estimate(group, folder)
    assert (changed.num_missing, changed.tokens_per_second) == (5, 2000.0)


def _write_beside(group, folder, speed):
    """Describe a group in a folder, its first run finished at a speed."""
    write_launch(folder, group, describe_launch(group, {run.name: "x" for run in group.runs}))
    status = Status("finished", "x", tokens_per_second=speed)
    RunFolder(folder / group.runs[0].name).write_status(status)


def test_runs_of_the_groups_beside_it_tell_the_speed(tiny, tmp_path):
    small, large = (_sized(tiny, d_model=width) for width in (16, 64))
    _write_beside(small, tmp_path / "earlier", 1000.0)
    # The latest ones are looked at first; what is damaged tells nothing.
    for number, content in enumerate(("{", '{"runs": [{"name": ".."}]}', "[]")):
        write_text(tmp_path / f"damaged{number}" / "group.json", content)
    again = estimate(small, tmp_path / "next")
    assert (again.tokens_per_second, again.source) == (1000.0, "measured")
    slower = estimate(large, tmp_path / "next")
    assert slower.source == "measured"
    assert slower.tokens_per_second < 500


def test_only_a_command_like_it_tells_the_speed_of_a_command(tiny, tmp_path):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()

    def command(words, max_tokens):
        training = {"trainer": "command", "command": words, "max_tokens": max_tokens}
        content = {**base, "mix": {"a": {"weight": 1.0}}, "training": training}
        write_yaml(tiny.folder / "c.yaml", content)
        return load_group(tiny.folder / "c.yaml")

    _write_beside(command("train {config}", 5000), tmp_path / "earlier", 1000.0)
    longer = estimate(command("train {config}", 9000), tmp_path / "next")
    assert (longer.tokens_per_second, longer.source) == (1000.0, "measured")
    assert estimate(command("other {config}", 5000), tmp_path / "next").source == "unknown"


def test_of_a_command_the_time_is_not_known_until_a_speed_is_given(tiny):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    training = {"trainer": "command", "command": "train {config}", "max_tokens": 5000}
    mix = {"a": {"weight": 1.0}}
    write_yaml(tiny.folder / "c.yaml", {**base, "mix": mix, "training": training})
    group = load_group(tiny.folder / "c.yaml")
    cost = estimate(group)
    assert (cost.num_tokens, cost.flops, cost.device_hours) == (5000, None, None)
    assert estimate(group, tokens_per_second=500).device_hours == pytest.approx(10 / 3600)


@pytest.fixture
def olmo(tiny):
    """Return a function that writes a launch config of OLMo-core and gives its file."""

    def write(infra=None, **training):
        plain = LaunchConfig.from_yaml(tiny.launch).to_plain()
        plain |= {"mix": {"a": {"weight": 1.0}}, "infra": infra or {"backend": "local"}}
        plain["training"] = {"proxy_model_id": "olmo2_1m", "chinchilla_multiple": 1, **training}
        file = tiny.folder / "olmo.yaml"
        write_yaml(file, plain)
        return file

    return write


def test_a_preview_of_olmo_core_counts_the_size_of_its_model_and_all_cores(olmo, tmp_path):
    group = load_group(olmo())
    cost = estimate(group, tokens_per_second=1e4)
    parameters = 1_244_396
    assert cost.num_tokens == 20 * parameters
    assert cost.flops == 6 * parameters * cost.num_tokens
    assert (cost.devices, cost.at_once) == (len(os.sched_getaffinity(0)), 1)
    assert cost.seconds == pytest.approx(cost.num_tokens / 1e4)
    assert estimate(group).source == "unknown", "nothing is assumed of another trainer"
    text = render_launch(group, tmp_path / "g")
    assert "olmix.train.worker --plain" in text
    assert "OMP_NUM_THREADS" not in text


def test_the_training_of_one_run_is_shown_whole_and_once(olmo):
    file = olmo({"backend": "slurm"}, global_batch_size="16 sequences")
    shown = yaml.safe_load(render_training(load_group(file)))
    assert shown["training"]["proxy_model_id"] == "olmo2_1m"
    assert shown["training"]["max_tokens"] == 20 * 1_244_396
    assert shown["training"]["global_batch_size"] == "16 sequences"
    assert [source["name"] for source in shown["data"]["sources"]] == ["a", "b", "c"]
    assert shown["mix"] == {"a": {"weight": 1.0, "repetition_factor": 1.0}}


def test_what_the_other_runs_differ_in_is_said(variants):
    text = render_training(load_group(variants.folder))
    assert text.startswith(f"--- # training of {variants.files[0].stem}; the other ")
    assert "differ in mix\n" in text
    assert len(list(yaml.safe_load_all(text))) == 1


def test_a_checkpoint_that_is_not_there_is_refused_by_preview_and_run(olmo, tmp_path):
    file = olmo(checkpoint_path="gone")  # relative to the file
    for command in ("preview", "run"):
        words = ["launch", command, "-v", str(file), "-o", str(tmp_path / "runs")]
        error = CliRunner().invoke(cli, words).exception
        assert isinstance(error, ConfigError)
        assert "tiny: training.checkpoint_path: " in str(error)
        assert f"{file.parent / 'gone'}: there is no such folder" in str(error)
    with pytest.raises(ConfigError, match="there is no such folder"):
        launch_local(load_group(file), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_what_only_a_cluster_may_see_or_what_is_finished_is_not_looked_for(olmo, tmp_path):
    check_checkpoints(
        load_group(olmo(infra={"backend": "slurm"}, checkpoint_path="/gone")), tmp_path
    )
    group = load_group(olmo(checkpoint_path="/gone"))
    RunFolder(tmp_path / "tiny").write_status(Status("finished", "x"))
    check_checkpoints(group, tmp_path)


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train {cfg}", r"found {cfg}; known are {config}, {mix_json}"),
        ("train 'x", "cannot be read as a command: No closing quotation"),
        ("train {}", "cannot be read as a command"),
        ("   ", "cannot be read as a command: it is empty"),
    ],
)
def test_a_command_with_a_mistake_is_refused(tiny, command, said):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    training = {"trainer": "command", "command": command, "max_tokens": 5000}
    with pytest.raises(ConfigError, match=said):
        LaunchConfig.from_dict({**base, "training": training})


def test_an_experiment_of_olmix_sweep_is_a_group(tmp_path):
    row = "id: run_000, params: {lr: 0.1}, config: configs/run_000.yaml, recipe: full, hash: abc"
    (tmp_path / "run_mapping.yaml").write_text(
        f"experiment: study\nruns:\n  - {{{row}, command: [tune, run, full]}}\n"
    )
    group = load_group(tmp_path)
    assert group.group_id == "study"
    assert group.runs[0].words == ("tune", "run", "full")
    assert f"(cd {tmp_path} && tune run full)" in render_launch(group, tmp_path / "runs/study")
    infra = tmp_path / "infra.yaml"
    infra.write_text("infra: {backend: slurm, partition: main, gpus: 2}\n")
    there = load_group(tmp_path, infra, "other")
    assert (there.group_id, there.infra.partition) == ("other", "main")
    assert "#SBATCH --gpus-per-node=2" in render_launch(there, tmp_path / "runs/other")


def test_runs_of_an_experiment_without_a_command_are_named(tmp_path):
    (tmp_path / "run_mapping.yaml").write_text(
        "experiment: study\nruns:\n  - {id: run_007, params: {}, config: c, hash: abc}\n"
    )
    with pytest.raises(ConfigError, match="run_007 have no command; generate the experiment again"):
        load_group(tmp_path)


@pytest.mark.parametrize("name", ["../up", "a b", "x\ntouch /tmp/x\n#", "", ".", "-g"])
def test_a_group_has_a_name_that_can_be_a_folder(variants, name):
    with pytest.raises(ConfigError, match="a name becomes a folder"):
        Group(name, (LaunchConfig.from_yaml(variants.files[0]),), LocalInfra())


def test_a_run_whose_summary_is_of_another_kind_does_not_hide_the_others(variants, tmp_path):
    group = load_group(variants.folder, group_id="g")
    identities = {run.name: run.name for run in group.runs}
    write_launch(tmp_path, group, describe_launch(group, identities))
    for run, text in zip(group.runs, ['{"loss": 1}', "{", "[]", '{"metrics": 5}'], strict=False):
        folder = RunFolder(tmp_path / run.name)
        folder.write_status(Status("finished", run.name))
        folder.summary.write_text(text)
    reports = read_group(tmp_path)
    assert [report.status.state for report in reports] == ["finished"] * 4 + ["pending"]
    assert all(report.metrics == {} for report in reports)


def test_a_base_that_whole_variants_do_not_use_is_said(variants, tmp_path, caplog):
    first = read_yaml(variants.files[0]).data
    write_yaml(tmp_path / "base.yaml", first)
    caplog.clear()
    load_group(variants.folder, tmp_path / "base.yaml")
    assert not caplog.records
    longer = {**first["training"], "max_tokens": 12_800}
    write_yaml(tmp_path / "base.yaml", {**first, "training": longer})
    load_group(variants.folder, tmp_path / "base.yaml")
    assert "base.yaml: its training is not used: the variants are complete configs" in caplog.text


def test_one_line_moves_whole_variants_to_another_engine(variants, tiny, tmp_path):
    """What runs is unchanged, identities included; a base that names no engine moves nothing."""
    here = load_group(variants.folder)
    elsewhere = tmp_path / "ray.yaml"
    elsewhere.write_text("infra: {backend: ray, address: auto}")
    moved = load_group(variants.folder, elsewhere)
    assert moved.infra.backend == "ray"
    assert {run.infra.backend for run in moved.runs} == {"ray"}
    assert [identity_of(run) for run in moved.runs] == [identity_of(run) for run in here.runs]
    whole = {**read_yaml(variants.files[0]).data, "infra": {"backend": "slurm"}}
    write_yaml(tmp_path / "base.yaml", whole)
    assert load_group(variants.folder, tmp_path / "base.yaml").infra.backend == "slurm"
    write_yaml(tmp_path / "base.yaml", {k: v for k, v in whole.items() if k != "infra"})
    assert load_group(variants.folder, tmp_path / "base.yaml").infra == here.infra
    elsewhere.write_text("infra: {backend: ray, adress: auto}")
    with pytest.raises(ConfigError, match=r"ray.yaml:1: infra.*adress.*did you mean"):
        load_group(variants.folder, elsewhere)
    bare = generate(GenerationConfig.from_yaml(tiny.generation), tiny.folder / "bare")
    elsewhere.write_text("infra: {backend: ray}")
    with pytest.raises(ConfigError, match="pass its base, a whole launch config"):
        load_group(bare.folder, elsewhere)
