import re
import runpy
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from olmix.config.infra import InfraConfig
from olmix.text.yaml import parse_yaml

ROOT = Path(__file__).parents[2]


def test_the_page_of_commands_is_that_of_the_commands():
    # In a process of its own: click keeps the first help option that a command is asked for.
    code = "import runpy, sys; sys.stdout.write(runpy.run_path(sys.argv[1])['render']())"
    words = [sys.executable, "-c", code, str(ROOT / "docs" / "write_commands.py")]
    rendered = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == rendered, "run `make docs`"


def test_the_page_of_files_is_that_of_the_records():
    page = ROOT / "docs" / "files.md"
    render = runpy.run_path(str(ROOT / "docs" / "write_files.py"))["render"]
    text = page.read_text(encoding="utf-8")
    assert render(text) == text, "run `make docs`"
    assert "|  |" not in text, "a field of a record says nothing"


def test_every_place_that_the_page_of_the_architecture_names_is_there():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    code = ROOT / "src" / "olmix"
    places = re.findall(r"`((?:[a-z_0-9]+/)+(?:[a-z_0-9.]+\.(?:py|js|jinja))?)`", text)
    assert len(places) > 60
    for place in places:
        assert (code / place).exists() or (ROOT / place).exists(), place
    layers = re.search(r"layers = \[(.*?)\]", (ROOT / "pyproject.toml").read_text(), re.DOTALL)
    for name in re.findall(r"[a-z]+", layers[1].replace("__main__", "")):
        assert re.search(rf"\b{name}\b", text), f"the drawing lacks {name}"


def test_the_python_of_the_page_of_fits_runs(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    text = (ROOT / "docs" / "fit.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    exec(compile(block, "docs/fit.md", "exec"), {})
    assert "predicted to improve networkx_bpb" in capsys.readouterr().out


def test_every_command_of_the_page_of_designs_runs(tmp_path, monkeypatch):
    from olmix.cli.main import cli

    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```bash\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines()]
    assert len(lines) >= 2
    for line in lines:
        assert not cli.main(shlex.split(line)[1:], standalone_mode=False)
    assert (tmp_path / "variants/swarm.csv").is_file()


def test_the_errors_of_the_page_of_designs_are_those_that_are_said():
    from olmix.config import GenerationConfig
    from olmix.errors import InfeasibleError
    from olmix.generate import sample_swarm

    counts = {"dclm": 130_000_000_000, "wikipedia": 3_692_487_830}
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    said = " ".join(text.split())
    for swarm in (
        {"nonzero_weight": ["wikipedia"], "minimum_weight": 0.1},
        {"group_bounds": [{"names": ["wikipedia"], "min": 0.2}], "minimum_weight": 0.0},
    ):
        config = GenerationConfig.from_dict(
            {
                "data": {"sources": [{"name": name, "paths": ["x"]} for name in counts]},
                "priors": {"token_counts": counts},
                "swarm": swarm,
                "max_tokens": 40_000_000_000,
            }
        )
        with pytest.raises(InfeasibleError) as caught:
            sample_swarm(config)
        assert " ".join(str(caught.value).split()) in said


def test_every_picture_of_the_page_of_designs_is_there():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    pictures = re.findall(r"\]\((pictures/[^)]+)\)", text)
    assert len(pictures) == 6
    assert all((ROOT / "docs" / name).is_file() for name in pictures)


def test_every_infra_section_of_the_pages_on_launching_is_valid():
    found = []
    for page in sorted((ROOT / "docs").glob("launch*.md")):
        for block in re.findall(r"```yaml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL):
            # The overview shows each section as a line.
            lines = [line for line in block.splitlines() if line.startswith("infra: {")]
            for text in lines or [block]:
                content = parse_yaml(text, page.name)
                if "infra" in content:
                    found.append(InfraConfig.from_dict(content, page.name).infra.backend)
    assert sorted(found) == sorted(2 * ["beaker", "kubernetes", "local", "ray", "slurm"])


def test_the_page_for_those_who_come_from_elsewhere_names_every_key():
    from olmix.convert.experiment import _OF_FITS, _SECTIONS

    text = (ROOT / "docs" / "coming_from.md").read_text(encoding="utf-8")
    names = {
        name for parts in re.findall(r"`([^`\n]+)`", text) for name in re.split(r"[. ]", parts)
    }
    keys = {key for section in _SECTIONS.values() for key in section} - {"sources"}
    assert not {*keys, *_OF_FITS} - names
    for page in re.findall(r"\]\(([a-z_]+\.md)\)", text):
        assert (ROOT / "docs" / page).is_file()
