"""Metrics: which names are metrics, which way is better, and the value of an objective.

Whatever reads, ranks, fits or compares measurements asks this module. A name that trainers log is
a metric unless it is bookkeeping (steps, times, tokens, learning rates) or the standard error of
one. A direction comes from the user's config or, where that is silent, from the words of the name.

An objective is a weighted average in one direction. A metric whose direction is the other one
enters with its sign turned:

    value = sum_m weight_m sign_m y_m / sum_m weight_m
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TYPE_CHECKING, Any

from olmix.domains import BPB
from olmix.errors import DataError

if TYPE_CHECKING:
    from olmix.simplex import Array

__all__ = [
    "BITS_PER_BYTE",
    "Logged",
    "Metric",
    "Objective",
    "error_of",
    "is_metric",
    "lower_is_better",
    "lower_is_better_by_name",
    "sort_names",
    "unit_of",
]

BITS_PER_BYTE = "bits per byte"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_BOOKKEEPING = _words(
    # when
    "step steps epoch epochs iter iters iteration iterations update updates progress "
    "time timestamp runtime walltime elapsed duration seconds second secs sec ms hours eta "
    # how much
    "tokens token samples sample examples example sequences batch batches microbatch flops flos "
    "params param parameters usd "
    # how fast, on what
    "tps wps throughput tflops mfu hfu memory mem vram rss gpu cpu watts pid seed rank "
    # with which settings
    "lr learning grad grads gradient gradients decay momentum beta beta1 beta2 eps warmup "
    # what keeps training stable
    "logit logits"
)
"""Words of which at least one stands in a name that is no metric."""
_FILLERS = _words(
    "num number global local total max min mean avg average current train training trainer "
    "eval optimizer optim seen consumed processed input output peak active reserved allocated "
    "used size count norm clip clipped wall world device devices per weight rate s gb gib mb "
    "mib w adam adamw muon sgd percent utilization util progress remaining data accumulation "
    "micro cost power"
)
"""Words that may stand beside them."""
_RATE = re.compile(
    r"(?:(?<![A-Za-z])[Pp]er|(?<=[a-z])Per)[ _\-]?[Ss](?:ec(?:ond)?)?(?:$|[^a-z])"
    r"|/s(?:ec(?:ond)?)?(?:$|[ ,(])"
)
"""So many a second; `papers_bpb` is no rate."""
_SETTINGS = frozenset(
    {"loss_scale", "z_loss", "aux_loss", "load_balancing_loss", "router_z_loss", "router_aux_loss"}
)
"""Losses by name that say nothing of the model: the scale of one, and penalties added to it."""
_ERROR = re.compile(
    r"[_\-./ ]?\(?(?:std_?err(?:or)?|standard[_ ]?error|(?<=[_\-./ ])sem(?=$|[,/]))\)?"
    r"(?![A-Za-z0-9])",
    re.I,
)
"""Parts of a name that make it a standard error's: at its end, at its beginning or within."""
_SHORT_ERROR = re.compile(
    r"^(?:(?P<stem>.+)[_\-./]se(?P<rest>[,/].*)?|se[_\-./](?P<after>.+))$", re.I
)
"""An ending that makes it one only beside the metric itself: `sv_se` may be Swedish."""
_BESIDE = re.compile(
    r"^(?P<stem>.+)[_\-./](?:std|stdev|stddev|sd|var|variance|ci|ci_?95|ci_?low(?:er)?|ci_?(?:high|upper))"
    r"(?P<rest>[,/].*)?$",
    re.I,
)
"""Other measures of spread, which are no metrics beside the metric that they belong to."""

_LOWER = _words(
    "loss losses bpb ppl perplexity nll error errors err wer cer ter mse mae rmse entropy ce "
    "xent brier ece kl kld jsd toxicity surprisal regret logloss bpc bpt bpw mape smape "
    "misclassification inaccuracy"
)
_HIGHER = _words(
    "acc accuracy accuracies f1 em exactmatch bleu sacrebleu rouge rouge1 rouge2 rougel chrf "
    "meteor auc auroc auprc mcc mc1 mc2 reward rewards precision recall ndcg mrr r2 spearman "
    "pearson likelihood logprob logprobs loglikelihood winrate win wins correct correctness pass "
    "success solved resolved elo hits top1 top3 top5 top10 acc1 acc5 kappa bertscore "
    "bleurt psnr ssim"
)
_WEAK_HIGHER = _words("score scores")
_PHRASES = (
    (re.compile(r"neg(?:ative)?[ _\-]?log[ _\-]?(?:likelihood|probs?)", re.I), True),
    (re.compile(r"bits?[ _\-]per[ _\-](?:byte|char(?:acter)?|token|word)", re.I), True),
    (re.compile(r"cross[ _\-]?entropy", re.I), True),
    (re.compile(r"log[ _\-]?(?:likelihood|probs?)", re.I), False),
    (
        re.compile(r"(?:logits?|prob(?:ability)?)[ _\-]per[ _\-](?:char|byte|token|word)", re.I),
        False,
    ),
    (re.compile(r"correct[ _\-](?:prob|choice|answer)", re.I), False),
    (
        re.compile(r"(?:exact|prefix|quasi|strict|flexible)[ _\-]?match|pass[@^_]\d*k?\d*", re.I),
        False,
    ),
    (re.compile(r"(?<![A-Za-z])m?IoU(?![A-Za-z])"), False),
    (re.compile(r"(?<![A-Za-z])top[ _\-@]\d+", re.I), False),
    (re.compile(r"(?:win|success|solve|pass|hit)[ _\-]?rate", re.I), False),
)
_TURNED = re.compile(
    r"(?:(?<![A-Za-z])(?i:neg(?:ative|ated)?|minus|inv(?:erse|erted)?|reciprocal)[ _\-]+"
    r"(?:[A-Za-z]+[ _\-]+){0,2}|(?:[Nn]eg(?:ative)?|[Mm]inus|[Ii]nverse)|(?:^|/)-)$"
)
"""What, before a loss, makes it one of which more is better: `neg_mean_squared_error`."""
_LESS = re.compile(
    r"^[ _\-]*(?:reduction|decrease|improvement|gain)(?:[ _\-]|$)|^(?:Reduction|Improvement)"
)
"""What does so behind it."""
_WORD = re.compile(r"[A-Z]+(?![a-z])\d*|[A-Z]?[a-z]+\d*")


def is_metric(name: str) -> bool:
    """Whether a logged name is a measurement of the model, not bookkeeping or a standard error.

    A part of a path that holds words of bookkeeping and none of anything else makes it bookkeeping:
    `train/lr`, `grad_norm`, `epochs/code`; not where the last part names a measure, as in
    `token/accuracy`. `time_bpb`, of a domain named time, is a metric.
    """
    path = name.split("/")
    if (
        not name.strip()
        or path[-1] in _SETTINGS
        or error_of(name) is not None
        or _RATE.search(name)
    ):
        return False
    if len(path) > 1 and _told(path[-1]) is not None:
        return True
    parts = [{word.lower() for word in _WORD.findall(part)} for part in path]
    return not any(words & _BOOKKEEPING and words <= _BOOKKEEPING | _FILLERS for words in parts)


def error_of(name: str) -> str | None:
    """Return the metric whose standard error a name is (``acc_stderr,none`` is ``acc,none``'s)."""
    found = _ERROR.search(name)
    if found is None:
        return None
    rest = name[: found.start()] + name[found.end() :]
    inner = rest.strip("_-./ ")
    return inner[1:-1] if inner.startswith("(") and inner.endswith(")") else inner


def _stem(pattern: re.Pattern[str], name: str) -> str | None:
    """Return the metric that a name belongs to by its ending (or beginning)."""
    found = pattern.match(name)
    if found is None:
        return None
    parts = found.groupdict()
    return parts.get("after") or f"{parts['stem']}{parts['rest'] or ''}"


@dataclass(frozen=True)
class Logged:
    """The names that were logged or stand in a table, sorted by what they are.

    Attributes:
        metrics: measurements of the model.
        errors: standard error to the metric that it belongs to.
        others: bookkeeping (steps, times, tokens, settings), and standard deviations and
            confidence limits beside their metric.
    """

    metrics: tuple[str, ...]
    errors: Mapping[str, str]
    others: tuple[str, ...]


def sort_names(names: Iterable[str]) -> Logged:
    """Sort names by what they are; `NAME_se` is a standard error where `NAME` is there too."""
    given = tuple(dict.fromkeys(names))
    known = set(given)
    errors: dict[str, str] = {}
    for name in given:
        own, beside = error_of(name), _stem(_SHORT_ERROR, name)
        if own is not None:
            errors[name] = own
        elif beside in known:
            errors[name] = str(beside)
    rest = [name for name in given if name not in errors]
    metrics = tuple(n for n in rest if is_metric(n) and _stem(_BESIDE, n) not in known)
    return Logged(metrics, errors, tuple(name for name in rest if name not in metrics))


def lower_is_better_by_name(name: str) -> bool | None:
    """Return which way is better as far as the name says it; `None` where it says nothing.

    The last part of a path counts first: `accuracy/loss` is a loss. Within a part the last words
    that say anything count; `score` only where nothing else does.
    """
    for part in (re.split(r"[/,]", name)[-1], name):
        told = _told(part)
        if told is not None:
            return told
    return False if _WEAK_HIGHER & {word.lower() for word in _WORD.findall(name)} else None


def _told(text: str) -> bool | None:
    """Return the direction that the last words of a text say; of two that end alike, the longer."""
    found = [(m.end(), -m.start(), lower) for p, lower in _PHRASES for m in p.finditer(text)]
    for match in _WORD.finditer(text):
        word = match[0].lower()
        if word in _LOWER or word in _HIGHER:
            found.append((match.end(), -match.start(), word in _LOWER))
    if not found:
        return None
    end, start, lower = max(found, key=lambda one: one[:2])
    turned = lower and (_TURNED.search(text[:-start]) or _LESS.search(text[end:]))
    return False if turned else lower


def lower_is_better(names: Sequence[str], given: Mapping[str, bool]) -> bool:
    """Return the direction of a metric: as given, else as its names say, else lower is better.

    Args:
        names: what it is called, its own name first: as a column, as it was logged, its family.
            The first that says anything counts.
        given: directions that the user gave, by any of these names.
    """
    said = [given[name] for name in names if name in given]
    told = [lower for name in names if (lower := lower_is_better_by_name(name)) is not None]
    return next(iter((*said, *told)), True)


def unit_of(names: Iterable[str]) -> str:
    """Return the unit that metrics share: `bits per byte`, or nothing where it is not known."""
    given = list(names)
    return BITS_PER_BYTE if given and all(name.endswith(BPB) for name in given) else ""


@dataclass(frozen=True)
class Metric:
    """One metric: its name, its direction, and its weight in the objective.

    Attributes:
        name: its name in the tables.
        lower_is_better: its direction.
        weight: its weight in the objective, not negative; 0 leaves it out.
    """

    name: str
    lower_is_better: bool = True
    weight: float = 1.0

    @property
    def sign(self) -> float:
        """1 where less is better, -1 where more is: times a value it is to be minimised."""
        return 1.0 if self.lower_is_better else -1.0

    @property
    def unit(self) -> str:
        """`bits per byte`, or nothing where it is not known."""
        return unit_of([self.name])

    @property
    def better(self) -> str:
        """`lower` or `higher`: which way is better."""
        return "lower" if self.lower_is_better else "higher"


@dataclass(frozen=True)
class Objective:
    """The objective: one metric, or a weighted average of several.

    Attributes:
        name: its name in words.
        metrics: those with a weight above 0, in the order of the tables.
    """

    name: str
    metrics: tuple[Metric, ...]

    @classmethod
    def build(cls, metrics: Sequence[Metric]) -> Objective:
        """Return the objective over the metrics of a fit.

        Args:
            metrics: all of them; those with a weight of 0 do not count.

        Raises:
            DataError: none has a weight above 0.
        """
        used = tuple(metric for metric in metrics if metric.weight > 0)
        if not used:
            raise DataError("no metric of the objective has a weight above 0")
        if len(used) == 1:
            return cls(used[0].name, used)
        count = "all" if len(used) == len(metrics) else str(len(used))
        return cls(f"average of {count} metrics", used)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Objective:
        """Return the objective in `proposal.json`."""
        lower = bool(plain["lower_is_better"])
        signs = plain.get("signs") or {}
        metrics = tuple(
            Metric(str(name), (int(signs.get(name, 1)) > 0) == lower, float(weight))
            for name, weight in plain["metrics"].items()
            if weight > 0
        )
        return cls(str(plain["name"]), metrics)

    def to_plain(self) -> dict[str, Any]:
        """Return it as `proposal.json` holds it."""
        return {
            "name": self.name,
            "lower_is_better": self.lower_is_better,
            "metrics": {metric.name: float(metric.weight) for metric in self.metrics},
            "signs": {metric.name: int(self.sign * metric.sign) for metric in self.metrics},
        }

    @property
    def in_words(self) -> str:
        """Its name within a sentence: an average has an article."""
        return self.name if len(self.metrics) == 1 else f"the {self.name}"

    @property
    def lower_is_better(self) -> bool:
        """Its direction: higher where more is better of every metric, else lower."""
        return any(metric.lower_is_better for metric in self.metrics)

    @property
    def sign(self) -> float:
        """1 where less is better, -1 where more is."""
        return 1.0 if self.lower_is_better else -1.0

    @property
    def better(self) -> str:
        """`lower` or `higher`: which way is better; nothing where metrics of both enter."""
        return "" if self.mixed else self.metrics[0].better

    @property
    def mixed(self) -> bool:
        """Whether metrics of both directions enter."""
        return len({metric.lower_is_better for metric in self.metrics}) > 1

    @property
    def unit(self) -> str:
        """The unit of its metrics; nothing where they have none in common or both directions."""
        return "" if self.mixed else unit_of(metric.name for metric in self.metrics)

    @property
    def weights(self) -> dict[str, float]:
        """Weight of each metric, as given."""
        return {metric.name: metric.weight for metric in self.metrics}

    def missing(self, measured: Iterable[str]) -> tuple[str, ...]:
        """Return its metrics that are not among those measured."""
        known = set(measured)
        return tuple(metric.name for metric in self.metrics if metric.name not in known)

    def value(self, values: Mapping[str, float]) -> float:
        """Return the objective of one run from the values of its metrics.

        Raises:
            DataError: names the metrics that were not measured.
        """
        absent = self.missing(values)
        if absent:
            raise DataError(f"the objective counts {', '.join(absent)}, which was not measured")
        parts = [m.weight * (self.sign * m.sign) * values[m.name] for m in self.metrics]
        return math.fsum(parts) / math.fsum(metric.weight for metric in self.metrics)

    def average(self, values: Mapping[str, Array]) -> Array:
        """Return the objective of many runs: arrays (n,) by metric to one array (n,)."""
        total = math.fsum(metric.weight for metric in self.metrics)
        parts = [m.weight / total * (self.sign * m.sign) * values[m.name] for m in self.metrics]
        return reduce(add, parts)

    def gain(self, value: float, over: float) -> float:
        """Return by how much one value is better than another; positive is better."""
        return self.sign * (over - value)
