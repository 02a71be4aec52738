"""The exact proposer: convex laws, solved by an interior-point method with a certificate.

    minimise   sum_m v_m exp(a_m + b_m . x) + kl_weight * KL(x || reference)
    subject to sum(x) = 1,  x = fixed where pinned,  0 <= x <= caps,  f_j(x) <= floor_j

is a problem of exponential cones; Clarabel (Goulart and Chen 2024) solves it through cvxpy. As in
the Olmix paper (Chen et al. 2026) except for caps, pins and units. The problem is scaled so that
its values are of order 1, and the solution is deterministic.
"""

from __future__ import annotations

import warnings

import numpy as np

from olmix.errors import OlmixError, needs
from olmix.fit.propose.feasible import Feasible
from olmix.fit.propose.objective import ProposerObjective
from olmix.laws.exponential import FittedExponential
from olmix.simplex import Array, fill_to_caps

__all__ = ["ProposerError", "solve_exact"]

_TOLERANCE = 1e-10


class ProposerError(OlmixError):
    """The solver does not reach the optimum."""


def solve_exact(objective: ProposerObjective, feasible: Feasible, scale: float) -> Array:
    """Return the best mixture of a convex objective, (D,).

    Args:
        objective: log-linear laws with weights that are not negative.
        feasible: what is allowed.
        scale: size of the values that matter, such as the swarm's spread.

    Raises:
        MissingPackageError: cvxpy or Clarabel is not installed.
        ProposerError: the solver does not reach the optimum.
    """
    with needs("fit", "The exact proposer"):
        import clarabel  # noqa: F401
        import cvxpy as cp
    free, total = feasible.free, feasible.free_total
    if free.sum() <= 1:
        return feasible.expand(np.ones(int(free.sum())))
    # A divergence that outweighs the metrics decides how large the values are.
    scale = scale + objective.kl_weight
    shares = cp.Variable(int(free.sum()))
    terms = []
    for weight, law in zip(objective.metric_weights, objective.laws, strict=True):
        if not isinstance(law, FittedExponential) or not law.convex:
            raise OlmixError(f"the exact proposer cannot use the law {law.name}")
        constant = law.intercept + float(law.slopes @ feasible.fixed)
        # Scaled inside the exponential, so that the solver sees numbers of order 1.
        shift = constant + float(np.log(max(weight, 1e-300) / scale))
        terms.append(cp.exp(shift + (total * law.slopes[free]) @ shares))
    if objective.kl_weight > 0:
        reference = np.maximum(objective.reference[free], 1e-300) / total
        terms.append(objective.kl_weight * total / scale * cp.sum(cp.rel_entr(shares, reference)))
    limits = [cp.sum(shares) == 1, shares >= 0, shares <= feasible.free_caps]
    for floor in objective.floors:
        if not isinstance(floor.law, FittedExponential) or not floor.law.convex:
            raise OlmixError(
                f"the exact proposer cannot keep a floor with the law {floor.law.name}"
            )
        # offset + exp(e) <= bound, with the exponent `e` affine in the shares.
        room = floor.bound - floor.law.offset
        constant = floor.law.intercept + float(floor.law.slopes @ feasible.fixed)
        exponent = constant + (total * floor.law.slopes[free]) @ shares
        limits.append(exponent <= float(np.log(max(room, 1e-300))))
    problem = cp.Problem(cp.Minimize(cp.sum(cp.hstack(terms))), limits)
    settings = {"tol_gap_abs": _TOLERANCE, "tol_gap_rel": _TOLERANCE, "tol_feas": _TOLERANCE}
    try:
        with warnings.catch_warnings():
            # How far from the optimum it is, the first-order gap of the proposal says.
            warnings.filterwarnings("ignore", "Solution may be inaccurate", UserWarning)
            problem.solve(solver=cp.CLARABEL, **settings)
    except cp.SolverError as error:
        raise ProposerError(
            f"the exact proposer failed: {error} Use proposer.type gradient"
        ) from None
    if shares.value is None:
        raise ProposerError(
            f"the exact proposer found no solution ({problem.status}). Use proposer.type gradient"
        )
    found = np.maximum(np.asarray(shares.value, dtype=np.float64), 0.0)
    inside = fill_to_caps(found / found.sum(), feasible.free_caps)
    return feasible.expand(np.maximum(inside, 0.0))
