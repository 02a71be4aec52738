"""Malformed configs and what each of them is told: (name, model, text, expected messages)."""

GENERATION = """\
name: swarm
data:
  sources:
    - name: dclm
      topics:
        - name: code
          paths: [code/*.bin]
        - name: web
          paths: [web/*.bin]
    - name: wiki
      paths: [wiki.bin]
priors:
  token_counts: {"dclm:code": 100M, "dclm:web": 1B, wiki: 50M}
swarm: {variants: 4}
max_tokens: 40M
"""

LAUNCH = """\
name: base
infra: {backend: local}
training: {trainer: proxy, max_tokens: 160K}
data:
  dtype: uint16
  tokenizer: tokenizer.json
  sources:
    - {name: a, paths: [a.bin]}
    - {name: b, paths: [b.bin]}
eval:
  type: validation
  paths: {a: [a.val.bin]}
"""

FIT = """\
swarm: {ratios: ratios.csv, metrics: metrics.csv}
priors:
  token_counts: {a: 100, b: 300}
eval:
  type: offline
  tasks: {qa: [arc, hellaswag]}
regression: {type: log_linear}
"""


def _change(text: str, old: str, new: str) -> str:
    if old not in text:
        raise ValueError(old)
    return text.replace(old, new, 1)


def _generation(name, old, new, *messages):
    return (name, "generation", _change(GENERATION, old, new), messages)


def _launch(name, old, new, *messages):
    return (name, "launch", _change(LAUNCH, old, new), messages)


def _fit(name, old, new, *messages):
    return (name, "fit", _change(FIT, old, new), messages)


CASES = [
    # the file itself
    ("empty file", "generation", "", ("data: this key is required and missing",)),
    ("a list", "launch", "- a\n- b\n", ("found a list; a mapping is needed",)),
    ("not YAML", "launch", "name: [a\nb: c\n", (":2: not valid YAML",)),
    ("tabs", "launch", "name: a\n\tb: c\n", (":2: not valid YAML",)),
    ("key twice", "launch", LAUNCH + "name: again\n", (":13: found duplicate key", "keep one")),
    # the data tree
    _generation(
        "misspelt key",
        "topics:",
        "topcs:",
        ":5: data.sources[0].topcs: unknown key; did you mean `topics`?",
    ),
    _generation(
        "no shape",
        "      paths: [wiki.bin]\n",
        "",
        ":10: data.sources[1]: exactly one of paths, topics, quality is needed; found none",
    ),
    _generation(
        "two shapes",
        "paths: [wiki.bin]",
        "paths: [wiki.bin]\n      quality: [{name: high, paths: [x]}]",
        "exactly one of paths, topics, quality is needed; found paths and quality",
    ),
    _generation(
        "topic in topic",
        "paths: [web/*.bin]",
        "topics: []",
        "data.sources[0].topics[1].topics: unknown key",
    ),
    _generation(
        "empty paths",
        "paths: [wiki.bin]",
        "paths: []",
        ":11: data.sources[1].paths: found []; at least one entry is needed",
    ),
    _generation(
        "paths as text",
        "paths: [wiki.bin]",
        "paths: wiki.bin",
        ':11: data.sources[1].paths: found "wiki.bin"; a list is needed',
    ),
    _generation(
        "no sources",
        GENERATION[GENERATION.index("  sources:") : GENERATION.index("priors:")],
        "  sources: []\n",
        ":3: data.sources: found []; at least one entry is needed",
    ),
    _generation(
        "source twice",
        "name: wiki",
        "name: dclm",
        ':10: data.sources[1].name: found "dclm" again, as in entry [0]',
    ),
    _generation("colon in name", "name: wiki", 'name: "wi:ki"', "':' is not allowed in a name"),
    _generation("slash in name", "name: wiki", "name: ../wiki", "'/' is not allowed in a name"),
    _generation(
        "name is a number",
        "name: wiki",
        "name: 7",
        ":10: data.sources[1].name: found 7; text is needed",
    ),
    _generation(
        "pinned beyond 1",
        "name: code",
        "name: code\n          weight: 1.5",
        ":7: data.sources[0].topics[0].weight: found 1.5; it must be less than or equal to 1",
    ),
    _generation(
        "pins do not add up",
        "name: code\n          paths: [code/*.bin]\n        - name: web",
        "name: code\n          weight: 0.5\n          paths: [code/*.bin]\n        - name: web\n  "
        "        weight: 0.2",
        "data.sources[0].topics: all weights are pinned and add up to 0.7, not 1",
    ),
    _generation(
        "bad dtype",
        "data:\n",
        "data:\n  dtype: int32\n",
        ':3: data.dtype: found "int32"; allowed: uint8, uint16, uint32, uint64. Did you mean '
        "`uint32`?",
    ),
    # priors
    _generation(
        "negative count",
        "wiki: 50M",
        "wiki: -3",
        "priors.token_counts.wiki: found -3; it must be greater than 0",
    ),
    _generation(
        "count in words",
        "wiki: 50M",
        "wiki: many",
        'found "many"; a number of tokens is needed, such as 140000000, 140M or 40B',
    ),
    _generation("half a token", "wiki: 50M", "wiki: 10.5", "found 10.5; a whole number is needed"),
    _generation(
        "domain without count",
        ", wiki: 50M",
        "",
        "priors.token_counts: wiki is missing; the data section has it",
    ),
    _generation(
        "count without domain",
        "wiki: 50M",
        "wiki: 50M, books: 3M",
        "priors.token_counts.books: the data section has no such domain",
    ),
    _generation(
        "priors file missing",
        'priors:\n  token_counts: {"dclm:code": 100M, "dclm:web": 1B, wiki: 50M}',
        "priors: nowhere.yaml",
        ":12: priors:",
        "nowhere.yaml",
        "olmix priors compute",
    ),
    # the swarm
    _generation(
        "true is no number",
        "variants: 4",
        "variants: true",
        ":14: swarm.variants: found True; a whole number is needed",
    ),
    _generation(
        "no variants",
        "variants: 4",
        "variants: 0",
        "swarm.variants: found 0; it must be greater than or equal to 1",
    ),
    _generation(
        "strengths swapped",
        "variants: 4",
        "min_strength: 3.0, max_strength: 1.0",
        ":14: swarm.min_strength: it is 3.0, above max_strength = 1.0; swap them",
    ),
    _generation(
        "design of later",
        "variants: 4",
        "after: fit/latest, design: polytope",
        ":14: swarm.design: it is `polytope`, but with `after` the fit chooses; remove one",
    ),
    _generation("design unknown", "variants: 4", "design: dirichet", "Did you mean `dirichlet`?"),
    _generation(
        "unknown source",
        "variants: 4",
        "fixed_source_weights: {books: 0.5}",
        "swarm.fixed_source_weights: the data section has no source named books; it has dclm, wiki",
    ),
    _generation(
        "fixed beyond 1",
        "variants: 4",
        "fixed_source_weights: {dclm: 0.8, wiki: 0.7}",
        "swarm.fixed_source_weights: they add up to 1.5, above 1",
    ),
    _generation(
        "unknown domain",
        "variants: 4",
        "nonzero_weight: [dclm, books]",
        "swarm.nonzero_weight: the data section has no source, topic or domain named books",
    ),
    _generation(
        "group of unknown",
        "variants: 4",
        "group_bounds: [{names: [dclm, books], max: 0.5}]",
        ":14: swarm.group_bounds[0]: the data section has no source, topic or domain named books",
    ),
    _generation(
        "group upside down",
        "variants: 4",
        "group_bounds: [{names: [wiki], min: 0.5, max: 0.1}]",
        ":14: swarm.group_bounds[0].min: it is 0.5, above max = 0.1; swap them",
    ),
    _generation(
        "group of nothing",
        "variants: 4",
        "group_bounds: [{names: []}]",
        ":14: swarm.group_bounds[0].names: found []; at least one entry is needed",
    ),
    _generation(
        "ratio without limits",
        "variants: 4",
        "ratio_bounds: [{names: [wiki], over: [dclm]}]",
        ":14: swarm.ratio_bounds[0]: give min, max or both",
    ),
    _generation(
        "ratio of unknown",
        "variants: 4",
        "ratio_bounds: [{names: [wiki], over: ['dclm:maths'], max: 2.0}]",
        "swarm.ratio_bounds[0]: the data section has no source, topic or domain named dclm:maths",
    ),
    _generation(
        "criterion unknown",
        "variants: 4",
        "design: optimal, criterion: A",
        ':14: swarm.criterion: found "A"; allowed: D, I',
    ),
    _generation(
        "law of the design unknown",
        "variants: 4",
        "design: optimal, model: log-linear",
        "Did you mean `log_linear`?",
    ),
    _generation(
        "manual topic prior of zeros",
        "variants: 4",
        "manual_topic_prior: {'dclm:code': 0.0}",
        ":14: swarm.manual_topic_prior: at least one share must be above 0",
    ),
    _generation(
        "storage of unknown scheme",
        "data:\n",
        "data:\n  storage: {azure: {endpoint: x}}\n",
        "data.storage.azure",
    ),
    _generation(
        "storage key misspelt",
        "data:\n",
        "data:\n  storage: {s3: {endpiont: x}}\n",
        ":3: data.storage.s3.endpiont: unknown key; did you mean `endpoint`?",
    ),
    _generation(
        "name as folder",
        "name: swarm",
        "name: my swarm",
        ':1: name: found "my swarm"; a name becomes a folder',
    ),
    _generation(
        "no max_tokens", "max_tokens: 40M\n", "", "max_tokens: this key is required and missing"
    ),
    # launch
    _launch(
        "backend unknown",
        "backend: local",
        "backend: slrm",
        ':2: infra: backend is "slrm"; allowed: local, slurm, beaker, ray, kubernetes. Did you '
        "mean `slurm`?",
    ),
    _launch(
        "beaker by its keys",
        "backend: local",
        "budget: b, workspace: w",
        ":2: infra.cluster: this key is required and missing",
    ),
    _launch(
        "trainer unknown",
        "trainer: proxy",
        "trainer: prox",
        'training: trainer is "prox"; allowed: proxy, olmo_core, command. Did you mean `proxy`?',
    ),
    _launch(
        "two lengths",
        "max_tokens: 160K",
        "max_tokens: 160K, chinchilla_multiple: 0.5",
        "training.max_tokens: give max_tokens or chinchilla_multiple, not both",
    ),
    _launch(
        "odd heads",
        "max_tokens: 160K",
        "d_model: 100, num_heads: 3",
        "training.num_heads: d_model = 100 does not split into 3 heads of equal, even width",
    ),
    _launch(
        "less than a step",
        "max_tokens: 160K",
        "max_tokens: 100",
        "training.max_tokens: 100 tokens are less than one step of 8 x 64",
    ),
    _launch(
        "rate as text",
        "max_tokens: 160K",
        "learning_rate: fast",
        'training.learning_rate: found "fast"; a number is needed',
    ),
    _launch(
        "infinite rate",
        "max_tokens: 160K",
        "learning_rate: .inf",
        "training.learning_rate: found inf; a finite number is needed",
    ),
    _launch(
        "no tokenizer",
        "  tokenizer: tokenizer.json\n",
        "",
        "data: tokenizer is missing; bits per byte are counted with it",
    ),
    _launch(
        "wrong eval",
        "type: validation\n  paths: {a: [a.val.bin]}",
        "type: inloop\n  tasks: {qa: {arc: eval/arc}}",
        "eval.type: the embedded trainer measures `type: validation` only",
    ),
    _launch(
        "eval type unknown",
        "type: validation",
        "type: offlin",
        'type is "offlin"; allowed: validation, inloop',
    ),
    _launch(
        "eval without type or shape",
        "  type: validation\n  paths: {a: [a.val.bin]}\n",
        "  max_tokens: 4K\n",
        "eval: the key type is required, to say which kind this is",
    ),
    _launch(
        "mix beyond 1",
        "name: base",
        "name: base\nmix: {a: 0.7, b: 0.7}",
        ":2: mix: the weights add up to 1.4; they must add up to 1",
    ),
    _launch(
        "mix below 0",
        "name: base",
        "name: base\nmix: {a: [1.5, 1.0], b: [-0.5, 1.0]}",
        ":2: mix.a: weight is 1.5; it must lie between 0 and 1",
        ":2: mix.b: weight is -0.5",
    ),
    _launch(
        "mix of unknown",
        "name: base",
        "name: base\nmix: {a: 0.5, c: 0.5}",
        ":2: mix.c: the data section has no such domain; it has a, b",
    ),
    _launch(
        "pair of three",
        "name: base",
        "name: base\nmix: {a: [0.5, 1, 2], b: 0.5}",
        "mix.a: found 3 values; a pair is [weight, repetition]",
    ),
    _launch(
        "no passes",
        "name: base",
        "name: base\nmix: {a: [0.5, 0], b: 0.5}",
        "mix.a: repetition_factor is 0.0; it must be above 0",
    ),
    _launch(
        "nested sum",
        "name: base",
        "name: base\nmix: {a: {weight: 1.0, x: 0.3, y: 0.3}}",
        "mix.a: the weights below it add up to 0.6, not to 1",
    ),
    # fit
    _fit(
        "exact needs convex",
        "type: log_linear}",
        "type: log_weight}\nproposer: {type: exact}",
        ":8: proposer.type: `exact` needs a convex law, which `log_weight` is not",
    ),
    _fit(
        "caps without tokens",
        "type: log_linear}",
        "type: log_linear}\nconstraints: {enabled: true}",
        ":8: constraints.target_tokens: it is required where enabled is true",
    ),
    _fit(
        "passes of no large run",
        "type: log_linear}",
        "type: log_linear}\nconstraints: {repetition_factor: 4.0}",
        ":8: constraints.repetition_factor: it limits nothing without target_tokens",
    ),
    _fit(
        "no slope to follow",
        "type: log_linear}",
        "type: lightgbm}\nproposer: {type: gradient}",
        ":8: proposer.type: `gradient` follows slopes and `lightgbm` has none; use `simulation`",
    ),
    _fit(
        "temperature without effect",
        "type: log_linear}",
        "type: log_linear}\nproposer: {temperature: 0.5}",
        ":8: proposer.temperature: it is a setting of proposer.type simulation; found `auto`",
    ),
    _fit("law unknown", "type: log_linear", "type: loglinear", "Did you mean `log_linear`?"),
    _fit(
        "pin of unknown",
        "type: log_linear}",
        "type: log_linear}\nfiltering: {fixed_weight: {c: 0.5}}",
        ":8: filtering.fixed_weight: the priors have no domain named c",
    ),
    _fit(
        "weight of unknown",
        "type: log_linear}",
        "type: log_linear}\nfiltering: {obj_weights: {mmlu: 1.0}}",
        ":8: filtering.obj_weights.mmlu: eval.tasks has no such metric",
    ),
    _fit(
        "all dropped",
        "type: log_linear}",
        "type: log_linear}\nfiltering: {drop_metrics: [arc, hellaswag]}",
        "filtering.drop_metrics: no metric would be left",
    ),
    _fit(
        "metric twice",
        "[arc, hellaswag]",
        "[arc, arc]",
        ":6: eval.tasks: the metric arc is given twice",
    ),
    _fit("split of zero", "type: log_linear}", "train_split: 0/52}", "regression.train_split"),
    _fit(
        "sizes do not match",
        "{a: 100, b: 300}",
        "{a: 100, b: 300}\n  relative_sizes: {a: 0.5, c: 0.5}",
        ":4: priors.relative_sizes: b is missing; token_counts has it",
        ":4: priors.relative_sizes.c: token_counts has no such domain",
    ),
    _fit(
        "sizes beyond 1",
        "{a: 100, b: 300}",
        "{a: 100, b: 300}\n  relative_sizes: {a: 0.5, b: 0.9}",
        "priors.relative_sizes: they add up to 1.4, not to 1",
    ),
    _fit(
        "negative kl",
        "type: log_linear}",
        "type: log_linear}\nproposer: {kl_reg: -1}",
        "proposer.kl_reg: found -1; it must be greater than or equal to 0",
    ),
    _fit(
        "kl of a word",
        "type: log_linear}",
        "type: log_linear}\nproposer: {kl_reg: some}",
        ':8: proposer.kl_reg: found "some"',
    ),
    _fit(
        "tables missing",
        "swarm: {ratios: ratios.csv, metrics: metrics.csv}",
        "swarm: {ratios: ratios.csv}",
        ":1: swarm.metrics: this key is required and missing",
    ),
    _launch(
        "model of unknown size",
        "training: {trainer: proxy, max_tokens: 160K}",
        "training: {proxy_model_id: olmo3_14, chinchilla_multiple: 0.5}",
        'training.proxy_model_id: found "olmo3_14", whose size is not known; did you mean '
        "`olmo3_14m`?",
    ),
]
