import pytest

from olmix.config import GenerationConfig, LaunchConfig
from olmix.errors import ConfigError, NotAvailableError, OlmixError
from olmix.generate import generate
from olmix.io.files import write_yaml
from olmix.launch import estimate, load_group, render_commands


@pytest.fixture
def variants(tiny):
    base = LaunchConfig.from_yaml(tiny.launch)
    return generate(GenerationConfig.from_yaml(tiny.generation), tiny.folder / "variants", base)


def test_a_folder_of_complete_variants_is_a_group(variants):
    group = load_group(variants.folder)
    assert group.group_id == variants.group_id
    assert [run.name for run in group.runs] == [file.stem for file in variants.files]


def test_one_file_is_a_group_of_one(variants):
    assert len(load_group(variants.files[0]).runs) == 1


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
    with pytest.raises(ConfigError, match="is given to two runs"):
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


def test_engines_and_trainers_of_later_are_refused_in_words(tiny):
    base = LaunchConfig.from_yaml(tiny.launch).to_plain()
    mix = {"a": {"weight": 1.0}}
    write_yaml(
        tiny.folder / "s.yaml", {**base, "mix": mix, "infra": {"backend": "slurm", "nodes": 2}}
    )
    with pytest.raises(NotAvailableError, match="infra.backend = slurm is not available"):
        estimate(load_group(tiny.folder / "s.yaml"))
    training = {"trainer": "command", "command": "x", "max_tokens": 5}
    write_yaml(tiny.folder / "c.yaml", {**base, "mix": mix, "training": training})
    with pytest.raises(NotAvailableError, match="training.trainer = command is not available"):
        estimate(load_group(tiny.folder / "c.yaml"))


def test_a_preview_counts_tokens_flops_and_time(variants):
    group = load_group(variants.folder)
    cost = estimate(group, tokens_per_second=1000.0)
    assert (cost.num_runs, cost.num_tokens) == (5, 5 * 6400)
    assert cost.flops == 6 * group.runs[0].training.num_parameters * 5 * 6400
    assert cost.core_hours == pytest.approx(32 / 3600)
    text = render_commands(group, "runs")
    assert text.count(f"runs/{group.group_id}/") == 5
    assert "OMP_NUM_THREADS=1" in text
