"""A framework of one's own, as docs/sweep.md shows it: a command, and when a run has ended."""

import re
import sys
from pathlib import Path
from types import ModuleType

from olmix.sweep import frameworks, generate_configs
from olmix.sweep.framework import Framework, RunFiles
from olmix.sweep.status import read_states

DOCS = Path(__file__).parents[3] / "docs" / "sweep.md"


def test_what_the_docs_show_generates_and_is_followed(tmp_path, monkeypatch):
    [code] = re.findall(r"```python\n(class Mine.*?)```", DOCS.read_text(), re.DOTALL)
    names = {"Framework": Framework, "RunFiles": RunFiles}
    exec(code, names)
    module = ModuleType("olmix.sweep.mine.adapter")
    module.FRAMEWORK = names["FRAMEWORK"]
    monkeypatch.setitem(sys.modules, "olmix.sweep.mine", ModuleType("olmix.sweep.mine"))
    monkeypatch.setitem(sys.modules, "olmix.sweep.mine.adapter", module)
    monkeypatch.setattr(frameworks, "FRAMEWORKS", (*frameworks.FRAMEWORKS, "mine"))
    base = tmp_path / "base.yaml"
    base.write_text("lr: 0.1  # the rate\noutput_dir: runs\n")
    made = {
        "experiment": {"name": "x", "framework": "mine"},
        "framework_config": {"base_config_file": str(base)},
        "variables": {"lr": [0.1, 0.2]},
    }
    result = generate_configs(made, tmp_path / "out", slurm=True)
    assert "lr: 0.2  # the rate\n" in result.configs[1].read_text()
    assert result.script.read_text().endswith('exec mine train "$config"\n')
    output = result.folder / "runs" / "run_001"
    output.mkdir(parents=True)
    (output / "metrics.jsonl").write_text('{"step": 3, "loss": 1.5}\n')
    (output / "model.safetensors").touch()
    states = read_states(result.folder)
    assert [(s.state, s.steps, s.loss) for s in states] == [
        ("not started", 0, None),
        ("finished", 3, 1.5),
    ]
