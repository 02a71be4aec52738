"""Rewards as a run uses them: imported, called, and what they return checked.

A reward of your own is ``module:name``: a function, an asynchronous function, or a class, of
which one object is made and called. It is imported from where Python looks, from the working folder
and from the two above it. It gets the keywords that it names, or all of them with ``**columns``:
``prompts``, ``completions``, ``completion_ids`` (the tokens) and the columns of the dataset.
"""

from __future__ import annotations

import asyncio
import copy
import importlib
import inspect
import logging
import math
import sys
import threading
import traceback
from collections.abc import Mapping, Sequence, Set
from concurrent import futures
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from olmix.errors import ConfigError, DataError, Problem
from olmix.grpo.answers import require_verifier
from olmix.grpo.config import GrpoConfig
from olmix.grpo.marks import AnswerMark, write_answer
from olmix.grpo.questions import Question
from olmix.grpo.rewards import RewardFunction, built_in_rewards
from olmix.text.files import digest

__all__ = ["Reward", "load_rewards", "try_rewards"]

logger = logging.getLogger(__name__)

_SHOWN = 120
"""Letters of an answer that an error shows."""
_ABOVE = 2
"""Folders above the working folder in which rewards are looked for."""


@dataclass(frozen=True)
class Reward:
    """A reward with its weight.

    Attributes:
        name: in `grpo.rewards`.
        function: gets keywords, returns one number per completion.
        weight: factor in the sum.
        timeout_s: seconds that a call may take; `None` for any.
    """

    name: str
    function: RewardFunction
    weight: float
    timeout_s: float | None = None

    def copied(self) -> Reward:
        """Return a reward with a state of its own; where it cannot be copied, the reward itself."""
        try:
            return replace(self, function=copy.deepcopy(self.function))
        except Exception:  # noqa: BLE001 - whatever a user's object raises
            logger.warning(
                "grpo.rewards.%s cannot be copied, so trials and evaluations change its state",
                self.name,
            )
            return self

    @property
    def source(self) -> str | None:
        """A hash of the file that the function or its class is in, where there is one."""
        thing = inspect.unwrap(self.function)
        where = thing if inspect.isroutine(thing) else type(thing)
        try:
            file = inspect.getsourcefile(where)
            return None if file is None else digest(Path(file).read_text(encoding="utf-8"), 16)
        except (TypeError, OSError, UnicodeDecodeError):
            return None

    @property
    def may_need_columns(self) -> bool:
        """Whether it may ask for columns of the dataset beside question and answer."""
        known = ("prompts", "completions", "completion_ids", "question", "answer")
        takes_all = any(each.kind is each.VAR_KEYWORD for each in _parameters(self.function))
        return takes_all or not set(_required(self.function)) <= set(known)

    def score(
        self,
        prompts: Sequence[str],
        completions: Sequence[str],
        columns: Mapping[str, Any],
        token_ids: Sequence[Sequence[int]],
    ) -> list[float | None]:
        """Return a number per completion; `None` where the reward abstains.

        Raises:
            DataError: it failed, took too long, or returned something else; with the answer.
        """
        known = {
            **columns,
            "prompts": list(prompts),
            "completions": list(completions),
            "completion_ids": token_ids,
        }
        missing = [name for name in _required(self.function) if name not in known]
        if missing:
            raise self._error(
                f"it needs {', '.join(missing)}, which the data do not have as columns; they "
                f"have: {', '.join(known)}"
            )
        try:
            given = _call(self.function, _chosen(self.function, known), self.timeout_s)
        except _TooLongError as error:
            first = _shorten(completions[0])
            raise self._error(
                f"it took longer than timeout_s = {self.timeout_s:g} for {len(completions)} "
                f"answers, the first of which is {first}"
            ) from error
        except (Exception, SystemExit) as error:  # whatever a user's function raises
            place = traceback.extract_tb(error.__traceback__)[-1]
            raise self._error(
                f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno}), "
                f"on {len(completions)} answers, the first of which is {_shorten(completions[0])}"
            ) from error
        return self._read(given, completions)

    def _error(self, what: str) -> DataError:
        return DataError(f"grpo.rewards.{self.name}: {what}")

    def _read(self, given: Any, completions: Sequence[str]) -> list[float | None]:
        wanted = "return one finite number per answer, or None to abstain"
        try:
            # A set has no order, so its numbers belong to no answers.
            values = None if isinstance(given, str | bytes | Mapping | Set) else list(given)
        except TypeError:
            values = None
        if values is None or len(values) != len(completions):
            raise self._error(
                f"it returned {_shorten(given)} for {len(completions)} answers, the first of "
                f"which is {_shorten(completions[0])}; {wanted}"
            )
        return [self._number(v, text, wanted) for v, text in zip(values, completions, strict=True)]

    def _number(self, value: Any, completion: str, wanted: str) -> float | None:
        if value is None:
            return None
        try:
            number = math.nan if isinstance(value, str | bytes) else float(value)
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
        raise self._error(
            f"it returned {_shorten(value)} for the answer {_shorten(completion)}; {wanted}"
        )


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _parameters(function: RewardFunction) -> list[inspect.Parameter]:
    return list(inspect.signature(function).parameters.values())


def _required(function: RewardFunction) -> list[str]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [p.name for p in _parameters(function) if p.kind in named and p.default is p.empty]


def _chosen(function: RewardFunction, known: Mapping[str, object]) -> dict[str, object]:
    """Return those keywords that a function takes."""
    parameters = _parameters(function)
    if any(each.kind is each.VAR_KEYWORD for each in parameters):
        return dict(known)
    names = {each.name for each in parameters}
    return {name: value for name, value in known.items() if name in names}


class _TooLongError(Exception):
    """A call took longer than `timeout_s`; a function may raise `TimeoutError` itself."""


def _call(function: RewardFunction, arguments: Mapping[str, Any], timeout_s: float | None) -> Any:
    """Call a function and wait for what it returns; a generator is run to its end.

    Raises:
        _TooLongError: it took too long. A coroutine is cancelled; the thread of another function is
            left behind.
    """
    future: futures.Future[Any]
    if any(map(inspect.iscoroutinefunction, (function, type(function).__call__))):
        future = asyncio.run_coroutine_threadsafe(_awaited(function, arguments), _loop())
    elif timeout_s is None:
        return _listed(function(**arguments))
    else:
        future = futures.Future()
        _start_thread(_fulfil, future, function, arguments)
    done, _ = futures.wait([future], timeout_s)
    if not done:
        future.cancel()
        raise _TooLongError
    return future.result()


def _listed(given: Any) -> Any:
    return list(given) if inspect.isgenerator(given) else given


async def _awaited(function: RewardFunction, arguments: Mapping[str, Any]) -> Any:
    try:
        return await function(**arguments)
    except (SystemExit, KeyboardInterrupt) as error:  # they would end the loop
        raise RuntimeError(f"{type(error).__name__}: {error}") from error


def _fulfil(
    future: futures.Future[Any], function: RewardFunction, arguments: Mapping[str, Any]
) -> None:
    future.set_running_or_notify_cancel()  # from here on it cannot be cancelled
    try:
        future.set_result(_listed(function(**arguments)))
    except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
        future.set_exception(error)


def _start_thread(work: Any, *arguments: object) -> None:
    threading.Thread(target=work, args=arguments, daemon=True, name="reward").start()


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """Return the loop of all asynchronous rewards, whose clients and locks outlive a call."""
    loop = asyncio.new_event_loop()
    _start_thread(loop.run_forever)
    return loop


def load_rewards(grpo: GrpoConfig) -> list[Reward]:
    """Import the rewards of a config.

    Raises:
        ConfigError: a module or function is missing, or does not take completions; all at once.
        MissingPackageError: the package that compares the answers is not installed.
    """
    require_verifier(grpo.answer)
    built_in = built_in_rewards(grpo.answer, grpo.answer_mark)
    loaded, problems = [], []
    for name, entry in grpo.rewards.items():
        try:
            function = built_in[name] if entry.function is None else _import(entry.function)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - importing a module runs it
            what = f"{entry.function}: {type(error).__name__}: {error}"
            if isinstance(error, ModuleNotFoundError):
                what += (
                    f"; looked for in {Path.cwd()}, the two folders above, and what is installed"
                )
            problems.append(Problem(f"grpo.rewards.{name}", what))
            continue
        loaded.append(Reward(name, function, entry.weight, entry.timeout_s))
    if problems:
        raise ConfigError(problems)
    return loaded


def _search(module: str) -> None:
    """Let Python find a module of the working folder, or of the two folders above it.

    Runs of `olmix sweep` start in the sweep's folder, which stands where one works.
    """
    name = module.partition(".")[0]
    here = Path.cwd()
    for folder in (here, *here.parents[:_ABOVE]):
        if (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file():
            if str(folder) not in sys.path:
                # At the end: a `datasets.py` where one works must not hide the package.
                sys.path.append(str(folder))
            break
    importlib.invalidate_caches()


def _import(path: str) -> RewardFunction:
    """Import ``module:name`` and, where it is a class, make one object of it."""
    module, _, name = path.partition(":")
    _search(module)
    imported = importlib.import_module(module)
    if not hasattr(imported, name):
        file = getattr(imported, "__file__", None) or "which is built in"
        raise AttributeError(f"there is no `{name}` in the module {module} ({file})")
    found: Any = getattr(imported, name)
    function: Any = found() if inspect.isclass(found) else found
    if not callable(function):
        raise TypeError(f"found {type(function).__name__}; a function or a class is needed")
    parameters = _parameters(function)
    takes_all = any(each.kind is each.VAR_KEYWORD for each in parameters)
    if not takes_all and not any(each.name == "completions" for each in parameters):
        raise TypeError("a reward takes `prompts`, `completions` and `**columns`")
    checked: RewardFunction = function
    return checked


def try_rewards(rewards: Sequence[Reward], question: Question, mark: AnswerMark = "tags") -> None:
    """Call each reward once on two made-up answers to a question, the right one and none.

    Raises:
        DataError: with what is wrong with each.
    """
    right = write_answer("It is so.", question.answer or "so", mark)
    completions = [right, "I do not know."]
    columns = {name: [value] * 2 for name, value in question.columns.items()}
    columns |= {"question": [question.question] * 2, "answer": [question.answer] * 2}
    problems = []
    for reward in rewards:
        try:
            # With a copy of its state: the trial is no part of the run.
            reward.copied().score([question.question] * 2, completions, columns, [[0, 1], [0, 1]])
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(problems))
