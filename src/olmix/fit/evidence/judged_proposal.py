"""A proposal with its evidence: predictions of it and of the references, with their errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from olmix.fit.evidence.effects import probes, signed_evidence
from olmix.fit.propose.feasible import Feasible, feasible_mixtures
from olmix.fit.propose.proposal import FoundMixture, propose
from olmix.fit.propose.references import References, find_references
from olmix.fit.swarm_fit import SwarmFit
from olmix.fit.uncertainty import Bootstrap, bootstrap, held_out_average
from olmix.simplex import Array
from olmix.text.progress import NOBODY, Steps

__all__ = ["JudgedProposal", "propose_judged"]


@dataclass(frozen=True)
class JudgedProposal:
    """A proposal with its evidence.

    Attributes:
        found: the proposal.
        feasible: what was allowed.
        references: the mixtures that it is compared with.
        boot: predictions of the references in their order, and of the proposal last.
        evidence: (D, M) signed evidence of every effect at the natural mixture.
    """

    found: FoundMixture
    feasible: Feasible
    references: References
    boot: Bootstrap
    evidence: Array

    @property
    def mixtures(self) -> dict[str, Array]:
        """Every mixture that is compared, by name, the proposal last."""
        return {**self.references.mixtures, "proposed": self.found.mixture}


def propose_judged(fit: SwarmFit, steps: Steps = NOBODY) -> JudgedProposal:
    """Propose a mixture and judge it against the references.

    Raises:
        InfeasibleError: no mixture satisfies the constraints or keeps the floors.
    """
    config, swarm = fit.config, fit.swarm
    feasible = feasible_mixtures(config, swarm.live)
    references = find_references(config, swarm, feasible, held_out_average(swarm, fit.fits))
    found = propose(fit, feasible, references)
    steps("proposal found")
    compared = np.stack([*references.mixtures.values(), found.mixture])
    draws = fit.draw(np.vstack([compared, probes(fit.natural)]))
    boot = bootstrap(swarm, fit.fits, compared, draws[:, :, : len(compared)], fit.objective)
    evidence = signed_evidence(swarm, draws[:, :, len(compared) :])
    steps("uncertainty measured")
    return JudgedProposal(found, feasible, references, boot, evidence)
