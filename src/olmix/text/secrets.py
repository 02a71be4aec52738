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

__all__ = ["HIDDEN", "find_secrets", "judge", "redact"]

HIDDEN = "***"
"""The text that takes the place of a secret."""
_SAID = {"parameter": "{}= in a URL", "header": "{}", "option": "--{}", "variable": "{}="}
_Place = tuple[int, int]

_SHAPE = re.compile(
    r"""(?<![\w-])(?:
    hf_[A-Za-z0-9]{30,} | gh[pousr]_[A-Za-z0-9]{30,} | github_pat_\w{30,} | glpat-[\w-]{20,}
    | xox[abeoprs]-[\w-]{20,} | A[KS]IA[0-9A-Z]{16}(?!\w)
    | sk-ant-[a-z]+[0-9]{2}-[\w-]{40,} | sk-[\w-]{0,80}T3BlbkFJ[\w-]+
    | sk-(?=[a-z]*[A-Z0-9])(?=[A-Za-z]*[0-9])[A-Za-z0-9]{24,}(?![\w-])
    | eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}        # a JSON web token
    | -----(BEGIN)[A-Z ]{0,20}PRIVATE\ KEY-----
    )""",
    re.VERBOSE,
)
_URL = re.compile(
    r"""\b(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,20})://(?P<user>[^\s/:@"']*)"""
    r"""(?::(?P<password>[^\s/@"']*))?@"""
)
_SURE = re.compile(
    r"""(?!(NO|USE|ASK|REQUIRE)_(?!AUTH_TOKEN))(       # switches, such as `--no-password`
    (.*_)?(API_?KEY | (ACCESS|SECRET|AUTH|PRIVATE)_?KEY | ACCESS_KEY_ID | (GITHUB|GH|GITLAB)_PAT
    | (API|ACCESS|AUTH|BEARER|REFRESH|SESSION|PRIVATE|HF|HUB|HUGGING_?FACE|GITHUB|GH|GITLAB|BEAKER
      |WANDB|SLACK|OPENAI|ANTHROPIC|NEPTUNE)_?TOKEN | (KAGGLE|WANDB|OPENAI|ANTHROPIC)_?KEY)
    | X_(AMZ|GOOG)_(SIGNATURE|SECURITY_TOKEN) | .+_SECRET | CLIENTSECRET
    | .*(PASSWORD|PASSWD|PASSPHRASE) )""",
    re.VERBOSE | re.IGNORECASE,
)
"""Names of secrets, with any value."""
_PERHAPS = re.compile(r"(.*_)?(KEY|TOKEN|SECRET|CREDENTIALS?|PAT)(_ID)?", re.IGNORECASE)
_RANDOM = re.compile(
    r"(?<![A-Za-z0-9])(?![A-Za-z0-9]*?([a-z]{5}|[A-Z]{5}))"
    r"(?=[A-Za-z]*[0-9]+[A-Za-z]+[0-9]+[A-Za-z]+[0-9])[A-Za-z0-9]{20,}"
)
"""Drawn at random: digits in three places, and no five letters of one case, as words have them."""
_REFERENCE = re.compile(
    r"\$\([^()]{0,400}\)|`[^`]{0,400}`|\$?\{[^{}]{0,400}\}|\$\w+|<[^<>]{0,400}>|%\w+%"
)
_HARMLESS = re.compile(
    r"""(env|file|vault|secret|os\.environ)[:/]\S+ | [a-z][a-z0-9+.-]*://\S*
    | (\.{0,2}|~)/.* | (?-i:[a-z0-9_.-]+(/[a-z0-9_.-]+)+)                      # paths
    | .*\.(json|ya?ml|toml|txt|pem|key|env|cfg|ini|csv|pub|py|sh)
    | [+-]?[\d._]+(e-?\d+)? | true|false|yes|no|on|off|auto|required|optional|none|null|n/?a|empty
    | default|dummy|fake|test|local|unused|placeholder|change_?me|example|hidden|redacted
    | (sk-)?no[-_]key[\w-]* | not[-_ ]\w+ | your[-_ ].* | (\w+[-_])?x{3,} | .*\.{3}
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
    return tuple(dict.fromkeys(said for _, said in _certain(text, only_urls=only_urls)))


def redact(words: Sequence[str]) -> list[str]:
    """Return the words of a command with stars in place of all that may be a secret."""
    return [_redact(word, words[index - 1] if index else "") for index, word in enumerate(words)]


def _redact(word: str, before: str) -> str:
    """Hide the secrets of one word; no shell splits it, so a value goes to the word's end."""
    option = re.fullmatch(r"--?([A-Za-z][\w.-]*)", before)
    if option is not None and not word.startswith("-") and _may_be_secret(option[1], word):
        return HIDDEN
    given = re.fullmatch(r"(-{0,2}([A-Za-z_][\w.-]*)=)(.*)", word, re.DOTALL)
    if given is not None and _may_be_secret(given[2], given[3]):
        return given[1] + HIDDEN
    users = [m.span("user") for m in _URL.finditer(word) if _RANDOM.search(m["user"])]
    for start, end in sorted([*users, *(place for place, _ in _certain(word))], reverse=True):
        word = word[:start] + HIDDEN + word[end:]
    return word


def _may_be_secret(name: str, value: str) -> bool:
    likely = _PERHAPS.fullmatch(re.sub(r"[.-]", "_", name)) and _RANDOM.search(value)
    return likely is not None or judge(name, value) is not None


def _certain(text: str, *, only_urls: bool = False) -> Iterator[tuple[_Place, str]]:
    """Yield the place of every certain secret in a text and a sentence on it; none overlap."""
    passwords = (
        (match.span("password"), f"the password in {match['scheme']}://", "its place")
        for match in _URL.finditer(text)
        if match["password"] and not _is_harmless(match["password"])
    )
    shapes = (
        (match.span(), f"a value that starts with {match[1] or match[0][:3]}", "its shape")
        for match in _SHAPE.finditer(text)
    )
    taken: list[_Place] = []
    for place, what, why in (*passwords, *_given(text, only_urls=only_urls), *shapes):
        if all(place[1] <= start or place[0] >= end for start, end in taken):
            taken.append(place)
            yield place, f"{what} looks like a secret ({why})"


def _given(text: str, *, only_urls: bool) -> Iterator[tuple[_Place, str, str]]:
    for match in _GIVEN.finditer(text):
        (kind, name), *_ = ((k, v) for k, v in match.groupdict().items() if v and k != "value")
        start, end = match.span("value")
        if text[start] in "\"'":
            start, end = start + 1, end - 1
        opens = kind == "header" or (kind == "parameter" and name.lower() == "sig")
        secret = not _is_harmless(text[start:end]) if opens else judge(name, text[start:end])
        if secret and (kind == "parameter" or not only_urls):
            yield (start, end), _SAID[kind].format(name), "its name"


def _is_harmless(value: str) -> bool:
    """Whether a value refers to something, or is a number or a placeholder."""
    rest = re.sub(r"^(bearer|basic)\s+", "", value, flags=re.IGNORECASE)
    for _ in range(3):  # `$(cat $(name))`
        rest = _REFERENCE.sub("", rest)
    return not any(map(str.isalnum, rest)) or _HARMLESS.fullmatch(value) is not None
