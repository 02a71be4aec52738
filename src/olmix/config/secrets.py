"""Configs are written to run folders and trackers, and may hold no secrets."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationInfo

from olmix.config.base import Rules, is_kept
from olmix.text.secrets import find_secrets

__all__ = ["SECRET_ADVICE", "refuse_secrets"]

SECRET_ADVICE = (
    "This file is copied to run folders and trackers, and commands show up in process lists: set "
    "it in the launcher's environment (Beaker: infra.env_secrets) and let the run read it from "
    "there. References are allowed: $NAME (of a shell, as in bash -c '...'), or the path of a file"
)


def refuse_secrets(
    rules: Rules,
    info: ValidationInfo,
    plain: object,
    *where: str | int,
    only_urls: bool = False,
) -> None:
    """Note every certain secret in the texts of a section as a broken rule.

    What a launch has written is not refused: it must stay readable whatever the rules are today.

    Args:
        rules: takes what is found.
        info: of the validation; tells who wrote the section.
        plain: mappings, lists and texts.
        where: path of keys to them.
        only_urls: whether to look at URLs alone: folders of data sets may be named `key=value`.
    """
    if is_kept(info):
        return
    if isinstance(plain, Mapping):
        for key, value in plain.items():
            refuse_secrets(rules, info, value, *where, key, only_urls=only_urls)
    elif isinstance(plain, list | tuple):
        for index, value in enumerate(plain):
            refuse_secrets(rules, info, value, *where, index, only_urls=only_urls)
    elif isinstance(plain, str):
        for said in find_secrets(plain, only_urls=only_urls):
            rules.broken(f"{said}. {SECRET_ADVICE}", *where)
