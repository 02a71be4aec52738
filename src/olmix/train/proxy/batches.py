"""Which tokens each step of a proxy run sees, as its training section asks for it."""

from __future__ import annotations

from collections.abc import Sequence

from olmix.config import ProxyTraining
from olmix.mixing.windows import WindowPlan, Windows, cut_windows, plan_windows
from olmix.mixture import Mixture
from olmix.records.matching import check_cuts, cut_domains

__all__ = ["cut_run", "plan_run"]


def cut_run(domains: Sequence[Windows], training: ProxyTraining, eos: int) -> list[Windows]:
    """Return what a run that is matched to a large one sees of its domains.

    Args:
        domains: all that there is of them.
        training: the length of the run and of the large one, and the seed of the subset.
        eos: the token that ends a document.

    Raises:
        ConfigError: names every domain of which less than one step is left.
    """
    cuts = cut_domains({domain.name: domain.num_tokens for domain in domains}, training)
    check_cuts(cuts, training, "data")
    left = {cut.name: cut.left for cut in cuts}
    return cut_windows(domains, left, eos, training.subset_seed or 0)


def plan_run(
    domains: Sequence[Windows], mix: Mixture, training: ProxyTraining, vocab_size: int
) -> WindowPlan:
    """Lay out the windows of a run.

    Args:
        domains: the domains to which `mix` gives weight, in any order.
        mix: weights, and the passes over each domain that they may take.
        training: length of the run, shape of a batch, seed.
        vocab_size: tokens of the vocabulary.

    Raises:
        ConfigError: names every domain of which the run takes more tokens than the mixture allows.
    """
    steps = training.num_steps, training.batch_size
    return plan_windows(domains, mix, steps, training.seed, vocab_size)
