import json
import subprocess
import sys

import pytest
import yaml

from olmix.cli.main import COMMANDS, main
from sample_fit import write_sample_fit


def _run(capsys, *words):
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    output = capsys.readouterr()
    return caught.value.code, output.out, output.err


def _last_line(program):
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


HEAVY = ("cvxpy", "jax", "matplotlib", "numpy", "pydantic", "rich", "scipy", "tokenizers")


def test_help_loads_nothing_heavy():
    program = (
        "import sys\nfrom olmix.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n"
        f"    print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_bad_config_loads_no_trainer_and_no_solver(tmp_path):
    (tmp_path / "bad.yaml").write_text("name: x\n")
    program = (
        "import sys\nfrom olmix.cli.main import main\n"
        f"try:\n    main(['launch', 'preview', '-v', r'{tmp_path}/bad.yaml'])\n"
        "except SystemExit as end:\n"
        "    names = ['cvxpy', 'jax', 'matplotlib', 'scipy']\n"
        "    print(end.code, [name for name in names if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "2 []"


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_has_help(capsys, command):
    status, out, _ = _run(capsys, command, "--help")
    assert status == 0
    assert COMMANDS[command][1].split(".")[0].split()[0]
    assert "--help" in out


def test_an_unknown_command_and_a_missing_option_end_with_status_2(capsys):
    assert _run(capsys, "lunch")[0] == 2
    status, _, err = _run(capsys, "generate")
    assert status == 2
    assert "Missing option" in err


def test_a_bad_file_ends_with_status_2_and_no_traceback(capsys, tmp_path):
    (tmp_path / "gen.yaml").write_text("nmae: x\n")
    status, out, err = _run(capsys, "generate", "-c", tmp_path / "gen.yaml", "-o", tmp_path / "out")
    assert status == 2
    assert "did you mean `name`?" in err
    assert "Traceback" not in out + err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["a file where a folder is needed", "a name that is too long"])
@pytest.mark.parametrize(
    "words",
    [
        ("schema", "-o", "PLACE"),
        ("generate", "-c", "GENERATION", "-o", "PLACE"),
        ("priors", "compute", "-c", "GENERATION", "-o", "PLACE/priors.yaml"),
        ("launch", "run", "-v", "LAUNCH", "-g", "g", "-o", "PLACE", "--dry-run"),
        ("sweep", "example", "PLACE/study"),
    ],
    ids=lambda words: " ".join(words[:2]),
)
def test_what_cannot_be_written_is_one_line_with_path_and_reason(
    capsys, tiny, tmp_path, words, kind
):
    launch = yaml.safe_load(tiny.launch.read_text())
    (tmp_path / "run.yaml").write_text(yaml.safe_dump({**launch, "mix": {"a": 1.0}}))
    (tmp_path / "file").touch()
    places = {
        "PLACE": str(tmp_path / ("file/x" if "file" in kind else "x" * 300)),
        "GENERATION": str(tiny.generation),
        "LAUNCH": str(tmp_path / "run.yaml"),
    }
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    code, _, err = _run(capsys, *words)
    assert code == 2
    last = err.splitlines()[-1]
    assert last.startswith(f"error: {tmp_path}")
    assert last.endswith(("Not a directory", "File name too long"))
    assert "Traceback" not in err


def test_a_full_disk_is_one_line_with_the_path(tmp_path):
    program = (
        "import resource, sys\nfrom olmix.cli.main import main\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        f"main(['schema', '-o', {str(tmp_path)!r}])"
    )
    words = [sys.executable, "-B", "-c", program]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {tmp_path}/")
    assert line.endswith(".json: File too large")
    assert not list(tmp_path.iterdir())


def test_priors_are_printed_or_written(capsys, tiny):
    status, out, _ = _run(capsys, "priors", "compute", "-c", tiny.generation)
    assert status == 0
    assert out.startswith("priors:\n")
    file = tiny.folder / "priors.yaml"
    assert _run(capsys, "priors", "compute", "-c", tiny.generation, "-o", file)[0] == 0
    assert file.read_text() == out


def test_priors_read_a_bare_data_section_too(capsys, tiny):
    bare = tiny.folder / "bare.yaml"
    bare.write_text("dtype: uint16\nsources: [{name: a, paths: [a.bin]}]\n")
    _, out, _ = _run(capsys, "priors", "compute", "-c", bare)
    assert "a: 20000" in out


def test_generate_then_preview_say_what_would_run(capsys, tiny):
    folder = tiny.folder / "variants"
    words = ("generate", "-c", tiny.generation, "--base", tiny.launch, "-o", folder)
    assert _run(capsys, *words)[0] == 0
    assert len(list(folder.glob("tiny-*.yaml"))) == 5
    status, out, err = _run(capsys, "launch", "preview", "-v", folder)
    assert status == 0
    assert "olmix.train.worker" in out
    assert "5 runs, 32,000 tokens" in err


def test_a_swarm_without_references_says_how_to_add_them(capsys, tiny):
    words = ("generate", "-c", tiny.generation, "-o", tiny.folder / "variants")
    said = "`swarm.references: [natural, uniform]` adds both"
    assert said not in _run(capsys, *words)[2]
    plain = yaml.safe_load(tiny.generation.read_text())
    del plain["swarm"]["references"]
    tiny.generation.write_text(yaml.safe_dump(plain))
    words = (*words[:-1], tiny.folder / "other")
    assert said in _run(capsys, *words)[2]
    assert len(list((tiny.folder / "other").glob("*.yaml"))) == 3


def test_a_dry_run_writes_metadata_and_starts_nothing(capsys, tiny, tmp_path):
    folder = tiny.folder / "variants"
    _run(capsys, "generate", "-c", tiny.generation, "--base", tiny.launch, "-o", folder)
    runs = tmp_path / "runs"
    assert _run(capsys, "launch", "run", "-v", folder, "-o", runs, "--dry-run")[0] == 0
    (file,) = runs.glob("*/group.json")
    assert len(json.loads(file.read_text())["runs"]) == 5
    assert list(runs.glob("*/*/status.json")) == []
    status, _, err = _run(capsys, "launch", "status", "-o", runs)
    assert status == 0
    assert "5 pending" in err


def test_status_and_cancel_name_the_groups_that_there_are(capsys, tmp_path):
    status, _, err = _run(capsys, "launch", "status", "-o", tmp_path)
    assert status == 2
    assert "there is no group here" in err


def test_collecting_what_is_no_group_is_refused(capsys, tmp_path):
    status, _, err = _run(capsys, "collect", tmp_path, "-o", tmp_path / "out")
    assert status == 2
    assert "holds no runs: neither a group.json" in err


def test_schemas_are_written(capsys, tmp_path):
    assert _run(capsys, "schema", "-o", tmp_path)[0] == 0
    assert {file.stem for file in tmp_path.glob("*.json")} >= {"generation", "launch", "fit"}


def test_fits_are_listed_and_compared(tmp_path, capsys):
    for name in ("one", "two"):
        write_sample_fit(tmp_path / "fit" / name, num_runs=8, num_metrics=2)
    code, output, _ = _run(capsys, "fits", tmp_path / "fit")
    assert code == 0
    assert "predicted ± SE" in output
    assert {"one", "two"} <= {line.split()[0] for line in output.splitlines()}
    pair = (tmp_path / "fit/one", tmp_path / "fit/two")
    code, output, _ = _run(capsys, "report", "--compare", *pair)
    assert code == 0
    assert output.endswith("Both propose the same mixture.\n")
    code, output, _ = _run(capsys, "report", "--compare", *pair, "--json")
    assert json.loads(output)["inputs"] == []
    assert _run(capsys, "report")[0] == 2


def test_a_misspelt_command_is_answered_with_the_one_that_was_meant(capsys):
    code, _, error = _run(capsys, "fti")
    assert code == 2
    assert "Did you mean 'fit'?" in error
    assert "Did you mean" not in _run(capsys, "xyzzy")[2]
