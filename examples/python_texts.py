"""Texts to try Olmix with, from the library that every Python brings: one subfolder per domain.

    python examples/python_texts.py my_texts

`code` is modules, `docs` their documentation, `tables` tables of character sets, `names` the names
of characters, and `web` code for the web and e-mail, meant to be held out.
"""

import ast
import sys
import sysconfig
import unicodedata
from pathlib import Path

LIBRARY = Path(sysconfig.get_path("stdlib"))
FOLDERS = {
    "code": ("asyncio", "collections", "concurrent", "importlib", "logging", "multiprocessing"),
    "tables": ("encodings",),
    "web": ("email", "html", "http", "json", "urllib", "xmlrpc"),
}
_NAMES_PER_FILE = 512


def modules(folder: str) -> dict[str, str]:
    """Return the modules of a folder of the library by name."""
    files = sorted((LIBRARY / folder).rglob("*.py"))
    return {f"{folder}_{file.stem}.txt": file.read_text(encoding="utf-8") for file in files}


def docstrings(file: Path) -> str:
    """Return what the docstrings of a module say."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(file.read_bytes())) if isinstance(node, kinds)]
    return "\n\n".join(text for node in nodes if (text := ast.get_docstring(node)))


def texts() -> dict[str, dict[str, str]]:
    """Return domain, name of the file, and text."""
    found = {
        domain: {name: text for folder in folders for name, text in modules(folder).items()}
        for domain, folders in FOLDERS.items()
    }
    found["docs"] = {f"{file.stem}.txt": docstrings(file) for file in sorted(LIBRARY.glob("*.py"))}
    lines = [f"{chr(n)} {name}" for n in range(0x11000) if (name := unicodedata.name(chr(n), ""))]
    parts = range(0, len(lines), _NAMES_PER_FILE)
    found["names"] = {f"{n}.txt": "\n".join(lines[n : n + _NAMES_PER_FILE]) for n in parts}
    return found


def main(target: Path) -> None:
    """Write all texts below a folder."""
    for domain, files in texts().items():
        (target / domain).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            if text.strip():
                (target / domain / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
