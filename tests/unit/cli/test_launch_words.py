"""How a group is named on the command line, and what happens where nobody can be asked."""

import io
import json

import click
import pytest
import yaml

from olmix.cli import terminal
from olmix.cli.launch import costs_money
from olmix.cli.main import main
from olmix.config import LocalInfra, SlurmInfra
from olmix.errors import OlmixError


def _run(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


@pytest.fixture
def group(capsys, tiny, tmp_path):
    """A group that was described and not started, among two."""
    variants = tiny.folder / "variants"
    _run(capsys, "generate", "-c", tiny.generation, "--base", tiny.launch, "-o", variants)
    for name in ("mine", "other"):
        words = ("-v", variants, "-g", name, "-o", tmp_path / "runs", "--dry-run")
        assert _run(capsys, "launch", "run", *words)[0] == 0
    (variants / "launch-other.json").unlink()
    return tmp_path / "runs" / "mine"


def _config(tmp_path, **content):
    file = tmp_path / "launch.yaml"
    file.write_text(yaml.safe_dump(content))
    return file


def test_a_group_is_named_by_its_folder(capsys, group):
    assert "pending" in _run(capsys, "launch", "status", group)[2]
    assert "pending" in _run(capsys, "launch", "status", group.parent, "-g", "mine")[2]


def test_a_group_is_named_by_the_folder_of_its_variants(capsys, group, tiny):
    assert "pending" in _run(capsys, "launch", "status", tiny.folder / "variants")[2]


def test_a_group_is_named_by_its_config(capsys, group, tmp_path):
    config = _config(tmp_path, name="base", group_id="mine", infra={"backend": "local"})
    status, out, _ = _run(capsys, "launch", "status", "-c", config, "-o", group.parent, "--json")
    assert status == 0
    assert len(json.loads(out)) == 5


def test_an_id_goes_before_that_of_the_config(capsys, group, tmp_path):
    config = _config(tmp_path, group_id="gone")
    words = ("launch", "status", "-g", "mine", "-c", config, "-o", group.parent)
    assert _run(capsys, *words)[0] == 0
    assert "there is no group gone" in _run(capsys, *words[:2], *words[4:])[2]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("GROUP", "-g", "other"), "is the group mine, and -g names other"),
        (("nowhere",), "there is no such folder"),
        (("RUNS",), "say which group with -g/--group: mine, other"),
        (("GROUP", "-c", "CONFIG"), "launched with infra.backend local, but"),
    ],
)
def test_what_names_no_group_or_two_is_refused(capsys, group, tmp_path, words, said):
    config = _config(tmp_path, infra={"backend": "slurm", "partition": "gpu"})
    places = {"GROUP": group, "RUNS": group.parent, "CONFIG": config}
    status, _, err = _run(capsys, "launch", "status", *(places.get(word, word) for word in words))
    assert status == 2
    assert said in err


def test_a_run_is_named_by_its_folder_too(capsys, group):
    run = next(entry["name"] for entry in json.loads((group / "group.json").read_text())["runs"])
    (group / run).mkdir()
    (group / run / "log.txt").write_text("one\ntwo\n")
    for words in ((group / run,), (group, run), (run, "-g", "mine", "-o", group.parent)):
        assert _run(capsys, "launch", "logs", *words, "-n", 1)[1] == "two\n"


@pytest.fixture
def nobody(monkeypatch):
    """Standard input that has ended, as in a job of a scheduler."""
    monkeypatch.setattr("sys.stdin", io.StringIO(""))


@pytest.mark.usefixtures("nobody")
def test_without_a_terminal_nothing_is_cancelled_and_the_way_on_is_said(capsys, group):
    status, _, err = _run(capsys, "launch", "cancel", group)
    assert status == 2
    assert "nothing was cancelled; give --yes" in err
    assert "interrupted" not in err
    assert "5 cancelled" in _run(capsys, "launch", "cancel", group, "--yes")[2]


@pytest.mark.usefixtures("nobody")
def test_without_a_terminal_nothing_is_started(capsys, group, tiny):
    words = ("-v", tiny.folder / "variants", "-o", group.parent)
    status, _, err = _run(capsys, "launch", "run", *words)
    assert status == 2
    assert "nothing was started; give --yes" in err


@pytest.mark.parametrize(("default", "ends"), [(False, True), (True, False)])
def test_an_empty_line_is_the_default(monkeypatch, capsys, default, ends):
    monkeypatch.setattr("click.termui.visible_prompt_func", lambda _: "")
    if ends:
        with pytest.raises(click.exceptions.Exit) as caught:
            terminal.ask("Start?", "nothing was started", default=default)
        assert caught.value.exit_code == 1
        assert "nothing was started" in capsys.readouterr().err
    else:
        terminal.ask("Start?", "nothing was started", default=default)


def test_nobody_to_ask_is_no_interruption(monkeypatch):
    def end(_):
        raise EOFError

    monkeypatch.setattr("click.termui.visible_prompt_func", end)
    with pytest.raises(OlmixError, match="nothing was started; give --yes"):
        terminal.ask("Start?", "nothing was started", default=True)


def test_clusters_and_prices_cost_money():
    assert not costs_money(LocalInfra())
    assert costs_money(LocalInfra(rate_per_hour=2.0))
    assert costs_money(SlurmInfra(backend="slurm"))
