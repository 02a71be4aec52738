import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_page_of_commands_is_that_of_the_commands():
    module = runpy.run_path(str(ROOT / "docs" / "write_commands.py"))
    written = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    assert written == module["render"](), "run `make docs`"
