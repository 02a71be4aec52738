"""From two tables to a decision: a marimo notebook, and a plain script.

marimo edit examples/csv_to_decision.py    # in the browser, cell by cell
python examples/csv_to_decision.py         # from top to bottom
"""

import marimo

app = marimo.App(width="medium")


@app.cell
def _():
    from pathlib import Path

    import marimo as mo
    import pandas as pd

    from olmix import fit_laws, load_swarm, propose

    mo.md("""
    # From two tables to a decision

    One table says what each run was trained on, the other what it reached. Put your own in place of
    these two, which are those of the demo: 36 small models on mixtures of seven domains.
    """)
    return Path, fit_laws, load_swarm, mo, pd, propose


@app.cell
def _(Path, pd):
    folder = Path(__file__).parent / "quickstart"
    ratios = pd.read_csv(folder / "ratios.csv")
    metrics = pd.read_csv(folder / "metrics.csv")
    ratios.head()
    return metrics, ratios


@app.cell
def _(mo):
    mo.md("""
    ## What is wanted

    `networkx_bpb` is measured on code that no run was trained on. It counts; the others are
    watched. Bits per byte are better when lower. For an accuracy, say so:
    `lower_is_better={"acc": False}`. The token counts make the natural mixture: what you would
    train on if you changed nothing.
    """)


@app.cell
def _(load_swarm, metrics, ratios):
    watched = ["code_bpb", "docs_bpb", "scripture_bpb"]
    swarm = load_swarm(
        ratios,
        metrics[["run", "networkx_bpb", *watched]],
        token_counts={
            "code": 211_087,
            "cpp": 458_165,
            "docs": 355_797,
            "math": 988_971,
            "scripture": 1_226_489,
            "stubs": 417_188,
            "unicode": 502_566,
        },
        filtering={"obj_weights": {"networkx_bpb": 1.0, **dict.fromkeys(watched, 0.0)}},
    )
    return (swarm,)


@app.cell
def _(mo):
    mo.md("""
    ## Can the laws be trusted?

    `spearman` is the rank correlation on runs that the law had not seen: 1 is perfect, 0 is chance.
    `rmse` is the typical error there, lower is better; `noise` is what replicates differ by.
    """)


@app.cell
def _(fit_laws, pd, swarm):
    laws = fit_laws(swarm)
    scores = pd.DataFrame(laws.to_dict()).set_index("metric")
    scores[["law", "spearman", "rmse", "noise", "signal"]].round(3)
    return laws, scores


@app.cell
def _(laws, pd, propose):
    best = propose(laws)
    mixtures = pd.DataFrame(best.to_dict()).set_index("domain")
    (100 * mixtures[["natural", "proposed"]]).round(1)
    return best, mixtures


@app.cell
def _(best, mo):
    mo.md(f"""
    ## What is it worth?

    {best.statement}
    """)


@app.cell
def _(laws, mixtures, pd):
    # What it does to every metric: predicted means at both mixtures.
    costs = pd.DataFrame(
        {
            name: {
                metric: v["mean"] for metric, v in laws.predict(mixtures[name].to_dict()).items()
            }
            for name in ("natural", "proposed")
        }
    )
    costs["change"] = costs["proposed"] - costs["natural"]
    costs.round(3)
    return (costs,)


@app.cell
def _(best, costs, mo, scores):
    worst = costs["change"].idxmax()
    trusted = scores.loc["networkx_bpb", "signal"] and best.gain["low"] > 0
    decision = "verify it" if trusted else "run more of the swarm first"
    mo.md(f"""
    ## Decision

    **{decision.capitalize()}.** The gain is {best.gain["mean"]:.3f} bits per byte, 90 % interval
    {best.gain["low"]:.3f} to {best.gain["high"]:.3f}. What loses most is `{worst}`, worse by
    {costs.loc[worst, "change"]:.2f}: if that is too much, say so with
    `propose(laws, proposer={{"floors": {{"all": "5 %"}}}})`, which takes seconds.
    """)
    return (decision,)


if __name__ == "__main__":
    app.run()
