"""Plots: data and an `Axes` in, the `Axes` out. Saving them is the business of `olmix.report`.

matplotlib is imported inside the functions, and its global settings are never changed: colours,
sizes and fonts are given where they are used, so a plot looks the same in a report and a notebook.
"""

from olmix.plotting.canvas import add_caption, new_figure, plain, save_figure, shorten, style
from olmix.plotting.design import ternary, weight_histograms
from olmix.plotting.gains import GainBar, gain_bars, ladder_gains, verification_dots
from olmix.plotting.laws import (
    MOST_NUMBERS,
    interaction_heat,
    law_scores,
    predicted_against_measured,
)
from olmix.plotting.mixtures import effect_bars, mixture_bars, weights_heat
from olmix.plotting.palette import MIXTURE_COLOURS, law_colour, law_label, mixture_label
from olmix.plotting.responses import (
    calibration_curve,
    pareto_points,
    response_curves,
    ternary_response,
)
from olmix.plotting.training import best_so_far, training_curves

__all__ = [
    "MIXTURE_COLOURS",
    "MOST_NUMBERS",
    "GainBar",
    "add_caption",
    "best_so_far",
    "calibration_curve",
    "effect_bars",
    "gain_bars",
    "interaction_heat",
    "ladder_gains",
    "law_colour",
    "law_label",
    "law_scores",
    "mixture_bars",
    "mixture_label",
    "new_figure",
    "pareto_points",
    "plain",
    "predicted_against_measured",
    "response_curves",
    "save_figure",
    "shorten",
    "style",
    "ternary",
    "ternary_response",
    "training_curves",
    "verification_dots",
    "weight_histograms",
    "weights_heat",
]
