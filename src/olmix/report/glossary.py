"""The words of the project and what each means: the report's section and docs/glossary.md.

`make docs` writes the page. The report shows what its own pages use.
"""

from __future__ import annotations

from dataclasses import dataclass

from olmix.records.fit.scores import NORMAL_QUANTILE, TAILS
from olmix.text.numbers import per_cent

__all__ = ["PARTS", "Word", "words_of_report"]


@dataclass(frozen=True)
class Word:
    """An entry of the glossary.

    Attributes:
        term: the word, or words that are explained together.
        meaning: what it means; `{predicted}` and `{measured}` are levels of intervals.
        in_report: whether reports show it.
    """

    term: str
    meaning: str
    in_report: bool = True


_DATA = (
    Word(
        "Source, topic, quality",
        "The three levels of the data tree. A source may be split into topics, and either of them "
        "into quality buckets.",
        in_report=False,
    ),
    Word(
        "Domain",
        "A leaf of the data tree, such as `dclm:code:high`; each domain has its own weight.",
        in_report=False,
    ),
    Word(
        "Mixture, weight",
        "The share of the training tokens that each domain gets; the weights of a mixture add up "
        "to 1.",
    ),
    Word(
        "Natural, uniform, UniMax, best seen, proposed",
        "Natural: domains in proportion to their size. Uniform: all the same. UniMax: all the "
        "same, up to the passes that the token budget allows. Best seen: the run of the swarm "
        "with the best measured objective, of those within the limits. Proposed: what the "
        "fitted laws propose.",
    ),
    Word(
        "Prior",
        "The mixture that sampling and proposals stay close to: natural, unless the config says "
        "otherwise.",
        in_report=False,
    ),
    Word("Repetition", "How many times the training passes over the domain's tokens."),
    Word(
        "Cap",
        "The largest weight that a domain may have: its tokens times the allowed passes, divided "
        "by the tokens of a run.",
        in_report=False,
    ),
    Word(
        "Held-out domain, validation",
        "Texts that no run is trained on. A held-out domain consists only of these; it is a "
        "target to be good at.",
        in_report=False,
    ),
)
_RUNS = (
    Word(
        "Swarm, variant, run",
        "A swarm is a set of small experiments. A variant is one of its mixtures as a file; a "
        "run is its training.",
        in_report=False,
    ),
    Word(
        "Group",
        "The runs of one launch. Its id names their folder, and the tracker's group.",
        in_report=False,
    ),
    Word(
        "Proxy, target model",
        "The small model that is trained many times, and the large one that the mixture is for.",
        in_report=False,
    ),
    Word(
        "Replicate",
        "Another run of the same mixture with a different seed. Replicates measure the noise.",
        in_report=False,
    ),
    Word(
        "Reference",
        "A mixture in a swarm for comparison: natural or uniform.",
        in_report=False,
    ),
    Word(
        "Factor, level, control",
        "In a sweep: a setting that varies, one of its values, and a setting that stays fixed.",
        in_report=False,
    ),
    Word(
        "Rollout, reward, group (GRPO)",
        "A sampled answer, its score, and the answers to one prompt that are compared.",
        in_report=False,
    ),
)
_NUMBERS = (
    Word(
        "Bits per byte (BPB)",
        "How many bits the model needs for a byte of text that it was not trained on. Lower is "
        "better, and values do not depend on the tokenizer.",
    ),
    Word(
        "Objective",
        "What a proposal optimises: the weighted average of the metrics.",
        in_report=False,
    ),
    Word(
        "Gain",
        "How much better the proposed mixture is than another one; positive is better, whatever "
        "the direction of the metric.",
    ),
    Word(
        "± (standard error)",
        "The uncertainty of a mean; an interval reaches farther. Gains are paired: each seed is a "
        "difference of two runs that "
        "share initial weights and data order, so most of the noise cancels.",
    ),
    Word(
        "Interval",
        "Predicted: {predicted}, from refitting to resampled runs and the noise between them. "
        "Measured: {measured}, Student's t over the seeds.",
    ),
    Word(
        "P(gain)",
        "The probability, according to the fitted laws, that the proposed mixture is better at "
        "all; higher is better.",
    ),
    Word(
        "p",
        "How probable a measured gain this far from 0 would be if there were no gain; smaller is "
        "stronger evidence.",
    ),
    Word(
        "Noise",
        "The standard deviation between runs of the same mixture that differ only in their seed. "
        "On average, no law predicts single runs more accurately.",
    ),
    Word(
        "Hellinger distance",
        "How far two mixtures are from each other: 0 for the same, 1 for no domain in common.",
        in_report=False,
    ),
)
_LAWS = (
    Word(
        "Law, regressor",
        "A formula fitted to the swarm that predicts a metric from a mixture.",
        in_report=False,
    ),
    Word(
        "Proposer",
        "The method that searches the fitted laws for the best mixture within the limits.",
        in_report=False,
    ),
    Word(
        "Held out, cross-validation",
        "The runs are split into folds; each fold is predicted by a law fitted to the others. "
        "Trust these scores; scores on fitted runs look too good.",
    ),
    Word("Spearman", "Whether predictions put runs in the right order: 1 is perfect, 0 is chance."),
    Word("RMSE", "The typical size of an error, in the units of the metric; lower is better."),
    Word(
        "Regret@1",
        "How much better the best run is than the run that held-out predictions rank first; lower "
        "is better.",
    ),
    Word(
        "Optimism",
        "How much worse than promised a mixture turned out to be; below 0 it was better than "
        "promised.",
    ),
    Word(
        "In {predicted}, coverage",
        "The share of held-out runs inside their {predicted} intervals; a smaller share means that "
        "the intervals are too narrow.",
    ),
    Word(
        "R²",
        "The share of the differences between runs that the law explains: 1 is perfect, below 0 it "
        "is worse than the mean.",
    ),
    Word(
        "Signal",
        "Whether the rank correlation on held-out runs is more than chance (p below 0.05). Without "
        "it a proposal is a guess; with it, how good a prediction is remains open: see trust.",
    ),
    Word(
        "Trust in the prediction",
        "How far a predicted gain can be believed before its mixture is trained: strong, weak or "
        "none, from rank correlation, error, distance from the runs, and whether the gain may be "
        "0. A verification does not need it: it measures.",
    ),
    Word(
        "Floor",
        "How much worse than at natural (or best seen) a metric may be predicted. It holds for the "
        "mean prediction, so that a measurement may miss it.",
    ),
    Word(
        "Signed evidence",
        "The effect of a domain on a metric divided by its standard deviation; beyond "
        f"±{NORMAL_QUANTILE:.2f} at most {per_cent(TAILS[0])} of the draws have the other sign.",
        in_report=False,
    ),
    Word(
        "Pareto front",
        "The mixtures of which none is better for one family of metrics without being worse for "
        "another.",
        in_report=False,
    ),
    Word(
        "Ladder, scale",
        "Natural and proposed mixture trained at several sizes of model; a scale is one size, as a "
        "multiple of tokens and parameters.",
        in_report=False,
    ),
)
PARTS = (
    ("Data and mixtures", _DATA),
    ("Runs", _RUNS),
    ("Numbers", _NUMBERS),
    ("Laws and proposals", _LAWS),
)
"""The glossary by subject."""


def words_of_report(predicted: str, measured: str) -> tuple[tuple[str, str], ...]:
    """Return (term, meaning) of what reports use.

    Args:
        predicted: level of predicted intervals, such as "90 %".
        measured: level of measured ones.
    """
    return tuple(
        (
            word.term.format(predicted=predicted),
            word.meaning.format(predicted=predicted, measured=measured),
        )
        for _, words in PARTS
        for word in words
        if word.in_report
    )
