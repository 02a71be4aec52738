"""Names of classes say which one is meant, wherever they stand."""

import ast
from collections import Counter
from pathlib import Path

import olmix


def test_a_class_can_be_found_by_its_name():
    files = Path(olmix.__file__).parent.rglob("*.py")
    names = Counter(
        node.name
        for file in files
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    assert [name for name, count in names.items() if count > 1] == []
