"""Malformed inputs of `olmix fit`: how a good one is spoilt, and the words that must come back.

A case is ``(name, file, old, new, words)``: in `file` (`ratios`, `metrics` or `fit`) the text `old`
becomes `new`. An empty `old` replaces the whole file.
"""

RATIOS = """\
run,a,b,c
r0,0.2,0.3,0.5
r1,0.5,0.2,0.3
r2,0.1,0.8,0.1
r3,0.3,0.3,0.4
r4,0.6,0.2,0.2
r5,0.25,0.25,0.5
r6,0.1,0.1,0.8
r7,0.7,0.1,0.2
"""
METRICS = """\
run,x,y
r0,2.1,0.31
r1,2.4,0.28
r2,2.2,0.35
r3,2.3,0.30
r4,2.6,0.27
r5,2.0,0.33
r6,2.5,0.36
r7,2.7,0.26
"""
FIT = """\
swarm: {ratios: ratios.csv, metrics: metrics.csv}
priors:
  token_counts: {a: 100, b: 300, c: 600}
lower_is_better: {y: false}
regression: {type: log_linear}
"""


def _add(lines):
    """Return a case's text pair that adds lines to the config."""
    return "regression: {type: log_linear}\n", f"regression: {{type: log_linear}}\n{lines}\n"


CASES = [
    # ratios.csv as a file
    ("no file", "ratios", None, None, "ratios.csv: there is no such file"),
    ("an empty file", "ratios", "", "", "ratios.csv"),
    ("a header alone", "ratios", "", "run,a,b,c\n", "ratios.csv: the table has no rows"),
    ("not text", "ratios", "", "\udcff\udcfe\x00", "ratios.csv"),
    ("no id column", "ratios", "run,a", "who,a", "`run_id` or `index` is needed; found who"),
    ("two id columns", "ratios", "run,a", "run,run_id", "run"),
    ("a domain twice", "ratios", "run,a,b,c", "run,a,a,c", "a"),
    ("a run twice", "ratios", "r1,", "r0,", "r0"),
    ("an empty id", "ratios", "r3,", ",", "ratios.csv"),
    ("a short row", "ratios", "r2,0.1,0.8,0.1", "r2,0.1,0.9", "ratios.csv:4"),
    ("a long row", "ratios", "r2,0.1,0.8,0.1", "r2,0.1,0.8,0.1,0", "ratios.csv:4"),
    ("tabs for commas", "ratios", "", RATIOS.replace(",", "\t"), "separated by tabs"),
    ("semicolons for commas", "ratios", "", RATIOS.replace(",", ";"), "by semicolons"),
    ("decimal commas", "ratios", "r3,0.3,0.3,0.4", 'r3,"0,3","0,3","0,4"', "0,3"),
    ("a word for a number", "ratios", "r3,0.3", "r3,none", "none"),
    ("a percent sign", "ratios", "r3,0.3", "r3,30%", "30%"),
    ("infinity", "ratios", "r3,0.3", "r3,inf", "run r3: the weights add up to inf"),
    ("not a number", "ratios", "r3,0.3", "r3,nan", "r3"),
    ("an empty cell", "ratios", "r3,0.3,", "r3,,", "run r3: a is empty; write 0 for none"),
    ("a negative weight", "ratios", "r3,0.3,0.3,0.4", "r3,-0.3,0.9,0.4", "a is -0.3"),
    ("weights above 1", "ratios", "r3,0.3,0.3,0.4", "r3,0.3,0.3,0.6", "add up to 1.2, not to 1"),
    ("weights of 0", "ratios", "r3,0.3,0.3,0.4", "r3,0,0,0", "add up to 0, not to 1"),
    ("per cent", "ratios", "r3,0.3,0.3,0.4", "r3,30,30,40", "are they per cent?"),
    ("other runs", "ratios", "", RATIOS.replace("r", "q").replace("qun", "run"), "no run in common"),
    ("too few runs", "ratios", "", "".join(RATIOS.splitlines(True)[:4]), "at least 4"),
    ("one mixture", "ratios", "", "run,a,b,c\n" + "".join(f"r{i},0.2,0.3,0.5\n" for i in range(8)),
     "all 8 runs have the same mixture, 20 % a, 30 % b, 50 % c"),
    ("a domain more", "ratios", "", RATIOS.replace("\n", ",0\n").replace("c,0", "c,d", 1),
     "the priors lack d"),
    ("a domain less", "ratios", "run,a,b,c", "run,a,b,e", "the table lacks c"),
    # metrics.csv
    ("no metrics file", "metrics", None, None, "metrics.csv: there is no such file"),
    ("no metrics", "metrics", "", "run\n" + "".join(f"r{i}\n" for i in range(8)), "metrics.csv"),
    ("an empty metrics file", "metrics", "", "", "metrics.csv"),
    ("a metric twice", "metrics", "run,x,y", "run,x,x", "x"),
    ("a run twice in metrics", "metrics", "r1,", "r0,", "r0"),
    ("a word in a metric", "metrics", "r3,2.3", "r3,diverged", "diverged"),
    ("a metric that never changes", "metrics", "",
     "run,x,y\n" + "".join(f"r{i},2.5,0.{i}\n" for i in range(8)), "x is 2.5 in every run"),
    ("an empty metric", "metrics", "",
     "run,x,y\n" + "".join(f"r{i},,0.{i}\n" for i in range(8)), "x is measured in no run"),
    ("a metric with gaps", "metrics", "",
     "run,x,y\n" + "".join(f"r{i},{2 + i if i < 3 else ''},0.{i}\n" for i in range(8)),
     "different mixtures; found 3"),
    ("metrics without runs", "metrics", "", "run,x,y\n", "metrics.csv: the table has no rows"),
    ("a short row of metrics", "metrics", "r2,2.2,0.35", "r2,2.2", "metrics.csv:4"),
    # the config as a file
    ("no config", "fit", None, None, "fit.yaml"),
    ("an empty config", "fit", "", "", "swarm: this key is required and missing"),
    ("a list", "fit", "", "- a\n", "a mapping is needed"),
    ("a word", "fit", "", "fit\n", "a mapping is needed"),
    ("not YAML", "fit", "", "swarm: [a\nb: c\n", "not valid YAML"),
    ("tabs", "fit", "", "swarm:\n\tratios: a\n", "not valid YAML"),
    ("a key twice", "fit", *_add("regression: {type: gp}"), "duplicate key"),
    ("an unknown key", "fit", *_add("regresion: {}"), "did you mean `regression`?"),
    ("an unknown key deep down", "fit", "type: log_linear", "typ: log_linear", "did you mean `type`?"),
    # swarm
    ("no ratios", "fit", "ratios: ratios.csv, ", "", "swarm.ratios: this key is required"),
    ("a number for a path", "fit", "ratios.csv,", "7,", "swarm.ratios"),
    ("a folder for a table", "fit", "ratios.csv,", "., ", "cannot be read: Is a directory"),
    # priors
    ("no counts", "fit", "token_counts: {a: 100, b: 300, c: 600}", "token_counts: {}",
     "priors.token_counts"),
    ("a count of 0", "fit", "a: 100", "a: 0", "priors.token_counts.a"),
    ("a negative count", "fit", "a: 100", "a: -5", "priors.token_counts.a"),
    ("a count of a word", "fit", "a: 100", "a: many", "priors.token_counts.a"),
    ("a domain without count", "fit", "a: 100, ", "", "the priors lack a"),
    ("a count without domain", "fit", "a: 100", "a: 100, d: 5", "the table lacks d"),
    ("sizes of other domains", "fit", "c: 600}", "c: 600}\n  relative_sizes: {a: 0.5, d: 0.5}",
     "relative_sizes"),
    ("sizes beyond 1", "fit", "c: 600}", "c: 600}\n  relative_sizes: {a: 0.5, b: 0.5, c: 0.5}",
     "add up to 1.5, not to 1"),
    ("a priors file that is not there", "fit",
     "priors:\n  token_counts: {a: 100, b: 300, c: 600}\n", "priors: priors.yaml\n",
     "olmix priors compute"),
    # eval and directions
    ("a metric that is not there", "fit", *_add("eval: {type: offline, tasks: {all: [x, z]}}"),
     "there is no metric z"),
    ("a metric in two families", "fit", *_add("eval: {type: offline, tasks: {p: [x], q: [x]}}"),
     "the metric x is given twice"),
    ("an empty family", "fit", *_add("eval: {type: offline, tasks: {p: []}}"), "eval"),
    ("an unknown kind of eval", "fit", *_add("eval: {type: online, tasks: {p: [x]}}"), "eval"),
    ("tasks as a list", "fit", *_add("eval: {type: offline, tasks: [x]}"), "eval"),
    ("a direction of nothing", "fit", "{y: false}", "{z: false}", "lower_is_better: there is no metric z"),
    ("a direction of a word", "fit", "{y: false}", "{y: down}", "lower_is_better.y"),
    ("a family of two directions", "fit", "regression: {type: log_linear}\n",
     "regression: {type: log_linear, aggregate_task_families: true}\n"
     "eval: {type: offline, tasks: {all: [x, y]}}\n", "Split the family"),
    # regression
    ("an unknown law", "fit", "log_linear", "loglinear", "Did you mean `log_linear`?"),
    ("a fold", "fit", "type: log_linear", "type: gp, num_folds: 1", "regression.num_folds"),
    ("a negative seed", "fit", "type: log_linear", "type: gp, seed: -1", "regression.seed"),
    ("a share of 0", "fit", "type: log_linear", "type: gp, train_split: 0", "regression.train_split"),
    ("a share above 1", "fit", "type: log_linear", "type: gp, train_split: 3/2",
     "regression.train_split"),
    ("a share of a word", "fit", "type: log_linear", "type: gp, train_split: half",
     "regression.train_split"),
    ("too small a share", "fit", "type: log_linear", "type: gp, train_split: 0.3",
     "regression.train_split: 0.3 of 8 mixtures are 3"),
    ("too many held out", "fit", "type: log_linear", "type: gp, n_test: 6", "regression.n_test"),
    # proposer
    ("an unknown proposer", "fit", *_add("proposer: {type: exakt}"), "Did you mean `exact`?"),
    ("an exact proposer without a convex law", "fit", "{type: log_linear}",
     "{type: gp}\nproposer: {type: exact}", "needs a convex law"),
    ("slopes of trees", "fit", "{type: log_linear}",
     "{type: lightgbm}\nproposer: {type: gradient}", "has none"),
    ("a temperature without simulation", "fit", *_add("proposer: {temperature: 0.5}"),
     "proposer.temperature"),
    ("a negative divergence", "fit", *_add("proposer: {kl_reg: -0.1}"), "proposer.kl_reg"),
    ("a divergence of a word", "fit", *_add("proposer: {kl_reg: some}"), "proposer.kl_reg"),
    ("a negative risk", "fit", *_add("proposer: {risk: -1}"), "proposer.risk"),
    ("a risk in a convex problem", "fit", *_add("proposer: {type: exact, risk: 1}"), "not convex"),
    ("a floor of the worst mixture", "fit", *_add("proposer: {make_worst_mix: true, floors: 0.1}"),
     "cannot be combined with make_worst_mix"),
    ("a floor of nothing", "fit", *_add("proposer: {floors: {z: 0.1}}"), "no metric z is fitted"),
    ("a negative floor", "fit", *_add("proposer: {floors: {x: -0.1}}"), "proposer.floors"),
    ("a Pareto front of the best run", "fit", *_add("proposer: {type: search, pareto: 5}"),
     "proposer.pareto"),
    ("a yes for a switch", "fit", *_add("proposer: {fit_only: often}"), "proposer.fit_only"),
    # constraints and filtering
    ("caps without tokens", "fit", *_add("constraints: {enabled: true}"),
     "constraints.target_tokens"),
    ("caps that nothing fits", "fit",
     *_add("constraints: {enabled: true, target_tokens: 100K, repetition_factor: 4}"),
     "constraints"),
    ("a repetition of 0", "fit", *_add("constraints: {repetition_factor: 0}"),
     "constraints.repetition_factor"),
    ("tokens of a word", "fit", *_add("constraints: {target_tokens: lots}"),
     "constraints.target_tokens"),
    ("a pin of nothing", "fit", *_add("filtering: {fixed_weight: {d: 0.2}}"), "no domain named d"),
    ("pins beyond 1", "fit", *_add("filtering: {fixed_weight: {a: 0.7, b: 0.7}}"), "add up to 1.4"),
    ("a pin beyond 1", "fit", *_add("filtering: {fixed_weight: {a: 1.7}}"), "fixed_weight"),
    ("a source of nothing", "fit", *_add("filtering: {keep_sources: [d]}"), "no source named d"),
    ("sources of no run", "fit", *_add("filtering: {keep_sources: [a]}"), "leaves none of 8 runs"),
    ("support of nothing", "fit", *_add("filtering: {support_domains: [d]}"), "no domain named d"),
    ("a weight of no metric", "fit", *_add("filtering: {obj_weights: {z: 1}}"), "there is no metric z"),
    ("a negative weight of a metric", "fit", *_add("filtering: {obj_weights: {x: -1}}"),
     "obj_weights"),
    ("no weight at all", "fit", *_add("filtering: {obj_weights: {x: 0, y: 0}}"),
     "there is nothing to optimise"),
    ("a weight of nothing", "fit", *_add("filtering: {obj_weights: {z: 1}}"),
     "obj_weights: there is no metric z"),
    ("more runs than there are", "fit",
     "regression: {type: log_linear}\n", "regression: {type: log_linear, train_split: 99}\n",
     "99 runs are asked for, but"),
    ("shares beside numbers of runs", "fit",
     "regression: {type: log_linear}\n", "regression: {type: log_linear, train_split: [0.5, 6]}\n",
     "found both shares and numbers of runs"),
    ("everything dropped", "fit", *_add("filtering: {drop_metrics: [x, y]}"), "no metric is left"),
]  # fmt: skip
