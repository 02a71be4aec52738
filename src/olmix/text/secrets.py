"""Secrets in text: which are certain, and how to hide them.

Certain are keys of well-known services, by their shape; private keys; passwords in URLs; and what
is given to a name that surely means a secret (`--api-key VALUE`, `WANDB_API_KEY=VALUE`), unless it
refers to something (`$NAME`, a path), or is a number or a placeholder. Nothing overrides a refusal,
so in doubt a text passes. Hiding costs nothing: it also takes what only looks like a secret.

What is said of a secret never holds its value.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

__all__ = ["HIDDEN", "find_secrets", "judge", "redact"]

HIDDEN = "***"
"""The text that takes the place of a secret."""

_SHAPE = re.compile(
    r"""(?<![\w-])(?:
    hf_[A-Za-z0-9]{30,} | gh[pousr]_[A-Za-z0-9]{30,} | github_pat_\w{30,} | glpat-[\w-]{20,}
    | xox[abeoprs]-[\w-]{20,} | A[KS]IA[0-9A-Z]{16}(?!\w)
    | sk-ant-[a-z]+[0-9]{2}-[\w-]{40,} | sk-[\w-]{0,80}T3BlbkFJ[\w-]+
    | sk-(?=[a-z]*[A-Z0-9])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{24,}(?![\w-])
    | eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}        # a JSON web token
    | -----BEGIN[A-Z ]{0,20}PRIVATE\ KEY-----
    )""",
    re.VERBOSE,
)
_URL = re.compile(
    r"""\b(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20})://(?P<user>[^\s/:@"']*)"""
    r"""(?::(?P<password>[^\s/@"']*))?@"""
)
_SERVICES = "HF|HUB|HUGGING_?FACE|GITHUB|GH|GITLAB|BEAKER|WANDB|SLACK|OPENAI|ANTHROPIC|NEPTUNE"
_SURE = re.compile(
    rf"""(?!(NO|USE|ASK|REQUIRE)_(?!AUTH_TOKEN))(       # switches, such as `--no-password`
    (.*_)?(API_?KEY | (ACCESS|SECRET|AUTH|PRIVATE)_?KEY | ACCESS_KEY_ID
    | (API|ACCESS|AUTH|BEARER|REFRESH|SESSION|PRIVATE)_?TOKEN | (GITHUB|GH|GITLAB)_PAT
    | ({_SERVICES})_?TOKEN | (KAGGLE|WANDB|OPENAI|ANTHROPIC)_?KEY)
    | .+_SECRET | CLIENTSECRET | .*(PASSWORD|PASSWD|PASSPHRASE) )""",
    re.VERBOSE | re.IGNORECASE,
)
"""Names of secrets, with any value."""
_SIGNATURE = re.compile(r"SIG|(X_AMZ_|X_GOOG_)(SIGNATURE|SECURITY_TOKEN)", re.IGNORECASE)
"""Names in URLs that open what the URL points to."""
_PERHAPS = re.compile(r"(.*_)?(KEY|TOKEN|SECRET|CREDENTIALS?|PAT)(_ID)?", re.IGNORECASE)
"""Names that are hidden where their value looks drawn at random."""

_REFERENCE = re.compile(
    r"\$\([^()]{0,400}\)|`[^`]{0,400}`|\$?\{[^{}]{0,400}\}|\$\w+|<[^<>]{0,400}>|%\w+%"
)
_HARMLESS = re.compile(
    r"""(env|file|vault|secret|os\.environ)[:/]\S+ | [a-z][a-z0-9+.-]*://\S*
    | (\.{0,2}|~)/.* | (?-i:[a-z0-9_.-]+(/[a-z0-9_.-]+)+)                      # paths
    | .*\.(json|ya?ml|toml|txt|pem|key|env|cfg|ini|csv|pub|py|sh)
    | [+-]?[\d._]+(e-?\d+)? | true | false | yes | no | on | off | auto | required | optional
    | none | null | nil | n/?a | empty | default | dummy | fake | test | local | unused
    | placeholder | change_?me | example | hidden | redacted | not[-_ ]\w+ | (sk-)?no[-_]key[\w-]*
    | your[-_ ].* | (\w+[-_])?x{3,} | .*\.{3}
    | ([a-z]+[_-])*(key|token|secret|password|pat)                # its name stands for it
    | [a-z_][\w.]*[\[(].* | [a-z_]+(\.[a-z_]+)+                   # code that gets a value""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_GIVEN = re.compile(
    r"""(?:[?&](?P<parameter>[\w.-]+)= | (?<![\w./?&-])(?:
    (?P<header>Authorization)["']?\s*[:=]\s*["']?(?:Bearer|Basic|Token)\s+
    | --?(?P<option>[A-Za-z][\w.-]*)(?:=|[ \t]+(?:\\\n\s*)?(?!-))
    | (?P<variable>[A-Za-z_][\w.-]*)=(?!=) ))"""
    rf"""(?=\\*(?P<value>"[^"]*"|'[^']*'|(?:{_REFERENCE.pattern}|[^\s"';|&])+))""",
    re.VERBOSE | re.IGNORECASE,
)


@dataclass(frozen=True)
class _Span:
    """Where a secret stands in a text, what it goes by, and why it counts as one."""

    start: int
    end: int
    what: str
    why: str


def judge(name: str, value: str) -> str | None:
    """Return why a value that is given to a name is surely a secret; `None` if it is not.

    Args:
        name: of a variable, an option without dashes, or a parameter.
        value: all of what is given to it.
    """
    sure = _SURE.fullmatch(re.sub(r"[.-]", "_", name)) is not None
    return "its name" if sure and not _is_harmless(value) else None


def find_secrets(text: str, *, only_urls: bool = False) -> tuple[str, ...]:
    """Return a sentence for each certain secret in a text: what it is and why, never its value.

    Args:
        text: a command, lines of a shell, a path or URL.
        only_urls: whether to look at URLs and shapes alone, as folders may be named `key=value`.
    """
    spans = _certain(text, only_urls=only_urls)
    said = {span.what: f"{span.what} looks like a secret ({span.why})" for span in spans}
    return tuple(said.values())


def redact(words: Sequence[str]) -> list[str]:
    """Return the words of a command with stars in place of all that may be a secret."""
    return [_redact(word, words[index - 1] if index else "") for index, word in enumerate(words)]


def _redact(word: str, before: str) -> str:
    """Hide the secrets of one word; no shell splits it, so a value goes to the word's end."""
    option = re.fullmatch(r"--?([A-Za-z][\w.-]*)", before)
    if option is not None and not word.startswith("-") and _may_be_secret(option[1], word):
        return HIDDEN
    name, equals, value = word.partition("=")
    is_name = equals and re.fullmatch(r"-{0,2}[A-Za-z_][\w.-]*", name)
    if is_name and _may_be_secret(name.strip("-"), value):
        return f"{name}={HIDDEN}"
    spans = [*_certain(word), *_likely(word)]
    for span in sorted(spans, key=lambda span: span.start, reverse=True):
        word = word[: span.start] + HIDDEN + word[span.end :]
    return word


def _certain(text: str, *, only_urls: bool = False) -> Iterator[_Span]:
    """Yield every certain secret in a text; none overlap."""
    taken: list[_Span] = []
    for span in (*_passwords(text), *_given(text, only_urls=only_urls), *_shapes(text)):
        if all(span.end <= other.start or span.start >= other.end for other in taken):
            taken.append(span)
            yield span


def _shapes(text: str) -> Iterator[_Span]:
    for match in _SHAPE.finditer(text):
        start = "BEGIN PRIVATE KEY" if match[0].startswith("-") else match[0][:3]
        yield _Span(*match.span(), f"a value that starts with {start}", "its shape")


def _passwords(text: str) -> Iterator[_Span]:
    for match in _URL.finditer(text):
        if match["password"] and not _is_harmless(match["password"]):
            what = f"the password in {match['scheme']}://"
            yield _Span(*match.span("password"), what, "its place")


def _given(text: str, *, only_urls: bool) -> Iterator[_Span]:
    for match in _GIVEN.finditer(text):
        (kind, name), *_ = ((k, v) for k, v in match.groupdict().items() if v and k != "value")
        start, end = match.span("value")
        if text[start] in "\"'":
            start, end = start + 1, end - 1
        value = text[start:end]
        signed = kind == "parameter" and _SIGNATURE.fullmatch(name.replace("-", "_"))
        if kind == "header" or signed:
            why = None if _is_harmless(value) else "its name"
        else:
            why = judge(name, value)
        if why is not None and (kind == "parameter" or not only_urls):
            yield _Span(start, end, _SAID[kind].format(name), why)


_SAID = {"parameter": "{}= in a URL", "header": "{}", "option": "--{}", "variable": "{}="}
"""The word for a secret, by how its name is given."""


def _likely(text: str) -> Iterator[_Span]:
    """Yield what looks drawn at random where a secret may stand, for hiding alone."""
    for match in _URL.finditer(text):
        if _is_random(match["user"]):
            yield _Span(*match.span("user"), "the user", "its shape")


def _may_be_secret(name: str, value: str) -> bool:
    likely = _PERHAPS.fullmatch(re.sub(r"[.-]", "_", name)) is not None and _is_random(value)
    return likely or judge(name, value) is not None


def _is_harmless(value: str) -> bool:
    """Whether a value refers to something, or is a number or a placeholder."""
    rest = re.sub(r"^(bearer|basic)\s+", "", value, flags=re.IGNORECASE)
    for _ in range(3):  # `$(cat $(name))`
        rest = _REFERENCE.sub("", rest)
    return not any(map(str.isalnum, rest)) or _HARMLESS.fullmatch(value) is not None


def _is_random(value: str) -> bool:
    """Whether a value looks drawn at random.

    Then 20 letters and digits stand in a row, with digits in three places, and without five
    letters of one case side by side, as words have them. Dates and names of runs are no such rows.
    """
    return any(
        len(re.findall(r"\d+", row)) >= 3 and not re.search(r"[a-z]{5}|[A-Z]{5}", row)
        for row in re.findall(r"[A-Za-z0-9]{20,}", value)
    )
