"""Wrong experiments and what each of them is told: (name, text, error class, expected messages)."""

from olmix.sweep import (
    BaseConfigNotFoundError,
    EmptyVariableError,
    ExperimentSchemaError,
    TypeMismatchError,
    ValidationError,
)

GOOD = """\
experiment:
  name: study
  framework: torchtune
framework_config:
  base_config: llama3_2/1B_lora_single_device
variables:
  lora_rank: [8, 16]
  learning_rate: [1e-4, 3e-4]
controls:
  epochs: 3
  lora_alpha: ${mul:2,${lora_rank}}
"""

SHORT = """\
experiment_name: study
base_config: llama3_2/1B_lora_single_device
variables:
  lora_rank: [8, 16]
"""

FULL = GOOD.replace("1B_lora_single", "1B_full_single")
PPO = """\
experiment: {name: study, framework: torchtune}
framework_config: {base_config: mistral/7B_full_ppo_low_memory}
variables: {kl_coeff: [0.01, 0.1]}
controls:
  seed: 1
"""


def _change(name, old, new, error, *messages, text=GOOD):
    if old not in text:
        raise ValueError(old)
    return (name, text.replace(old, new, 1), error, messages)


def _controls(name, lines, error, *messages, text=GOOD):
    """Put lines in place of the controls."""
    indented = "".join(f"  {line}\n" for line in lines.splitlines())
    return (name, text[: text.index("controls:\n")] + "controls:\n" + indented, error, messages)


def _more(name, lines, error, *messages, text=GOOD):
    """Append sections."""
    return (name, text + lines + "\n", error, messages)


CASES = [
    # the file
    ("empty", "", ExperimentSchemaError, ("experiment: this key is required and missing",)),
    ("a list", "- a\n", ExperimentSchemaError, ("found a list; a mapping is needed",)),
    ("not YAML", "a: [b\nc: d\n", ExperimentSchemaError, (":2: not valid YAML",)),
    _more(
        "a key twice", "controls: {epochs: 1}", ExperimentSchemaError, ":12: found duplicate key"
    ),
    _change(
        "a variable twice",
        "  learning_rate: [1e-4, 3e-4]",
        "  lora_rank: [1]",
        ExperimentSchemaError,
        ":8: found duplicate key",
    ),
    # the schema
    _change(
        "no name",
        "  name: study\n",
        "",
        ExperimentSchemaError,
        "experiment.name: this key is required",
    ),
    _change(
        "no framework",
        "  framework: torchtune\n",
        "",
        ExperimentSchemaError,
        "experiment.framework: this key is required",
    ),
    _change(
        "a name with a slash",
        "name: study",
        "name: a/b",
        ExperimentSchemaError,
        ':2: experiment.name: found "a/b"',
        "folders are named after it",
    ),
    _change(
        "a name that is a number", "study", "7", ExperimentSchemaError, "found 7; text is needed"
    ),
    _change(
        "misspelt section",
        "variables:",
        "variabels:",
        ExperimentSchemaError,
        "did you mean `variables`?",
    ),
    _change(
        "misspelt metadata",
        "  framework:",
        "  hypotesis: x\n  framework:",
        ExperimentSchemaError,
        ":3: experiment.hypotesis: unknown key; did you mean `hypothesis`?",
    ),
    _change(
        "both bases",
        "  base_config:",
        "  base_config_file: /x.yaml\n  base_config:",
        ExperimentSchemaError,
        "base_config and base_config_file are both given; keep one",
    ),
    _change(
        "no base",
        "framework_config:\n  base_config: llama3_2/1B_lora_single_device",
        "framework_config: {}",
        ExperimentSchemaError,
        "one of base_config",
        "base_config_file",
    ),
    _change(
        "no framework_config",
        "framework_config:\n  base_config: llama3_2/1B_lora_single_device\n",
        "",
        ExperimentSchemaError,
        "framework_config: this key is required",
    ),
    _change(
        "name given twice in two forms",
        "experiment_name: study",
        "experiment_name: study\nexperiment: {name: other}",
        ExperimentSchemaError,
        "experiment_name and experiment.name are both given",
        text=SHORT,
    ),
    _change(
        "an unknown framework",
        "torchtune",
        "trochtune",
        ExperimentSchemaError,
        ':3: experiment.framework: found "trochtune"',
        "torchtune, trl, command, hydra",
        "Did you mean `torchtune`?",
    ),
    _change(
        "inspect",
        "torchtune",
        "inspect",
        ExperimentSchemaError,
        "planned and not available",
        "torchtune, trl, command, hydra",
    ),
    _change("dspy", "torchtune", "dspy", ExperimentSchemaError, "planned and not available"),
    _change(
        "a framework in the short form",
        "experiment_name: study",
        "experiment_name: study\nframework: axolotl",
        ExperimentSchemaError,
        ':2: framework: found "axolotl"',
        text=SHORT,
    ),
    _more(
        "output of a wrong type",
        "output: {experiment_dir: 7}",
        ExperimentSchemaError,
        "output.experiment_dir: found 7; text is needed",
    ),
    _more(
        "unknown output key",
        "output: {experiment_folder: x}",
        ExperimentSchemaError,
        "did you mean `experiment_dir`?",
    ),
    # the base
    _change(
        "a base that is not there",
        "1B_lora_single_device",
        "1B_lora_single",
        BaseConfigNotFoundError,
        ":5: framework_config.base_config",
        "llama3_2/1B_lora_single_device",
        "`tune ls`",
    ),
    _change(
        "a family that is not there",
        "llama3_2/1B_lora_single_device",
        "llama9/8B",
        BaseConfigNotFoundError,
        'ships no config "llama9/8B"',
        "llama3",
    ),
    _change(
        "a base that tune ls names and torchtune does not ship",
        "llama3_2/1B_lora_single_device",
        "dev/7B_full_early_exit",
        BaseConfigNotFoundError,
        "dev/7B_full_early_exit",
    ),
    _change(
        "a file that is not there",
        "base_config: llama3_2/1B_lora_single_device",
        "base_config_file: /no/such/file.yaml",
        BaseConfigNotFoundError,
        "/no/such/file.yaml: there is no such file",
    ),
    _change(
        "a recipe that is not there",
        "  base_config:",
        "  recipe: lora_finetune\n  base_config:",
        BaseConfigNotFoundError,
        'no recipe "lora_finetune"',
        "lora_finetune_single_device",
    ),
    # variables
    _change(
        "no values",
        "[8, 16]",
        "[]",
        EmptyVariableError,
        ":7: variables.lora_rank",
        "has no values; give at least one",
    ),
    _change(
        "a single value",
        "[8, 16]",
        "8",
        ExperimentSchemaError,
        "found int (8); a list of values is needed",
        "A single value belongs in controls.",
    ),
    _change("a text in place of a list", "[8, 16]", '"8, 16"', ExperimentSchemaError, "found text"),
    _change(
        "an empty value",
        "[8, 16]",
        "",
        ExperimentSchemaError,
        "found null (null); a list of values",
    ),
    _change(
        "a value twice",
        "[8, 16]",
        "[8, 16, 8]",
        ExperimentSchemaError,
        "the value 8 is given twice",
    ),
    _change(
        "a number twice in two notations",
        "[1e-4, 3e-4]",
        "[1e-4, 0.0001]",
        ExperimentSchemaError,
        "is given twice",
    ),
    _change(
        "no parameter name",
        "  lora_rank:",
        "  lora-rank:",
        ExperimentSchemaError,
        "'lora-rank' is not a parameter name",
    ),
    _change(
        "a variable that is controlled",
        "  epochs: 3",
        "  epochs: 3\n  learning_rate: 1e-4",
        ExperimentSchemaError,
        "learning_rate is a variable too",
    ),
    _change(
        "a range on a grid",
        "[1e-4, 3e-4]",
        "{min: 1e-5, max: 1e-3}",
        ExperimentSchemaError,
        "a range needs a sampler",
    ),
    _change(
        "a mapping that is no range",
        "[1e-4, 3e-4]",
        "{low: 1e-5}",
        ExperimentSchemaError,
        "found mapping ({low: 1.0e-05}); a list of values",
    ),
    _change(
        "all problems at once",
        "[8, 16]\n  learning_rate: [1e-4, 3e-4]",
        "[]\n  learning_rate: 1",
        ValidationError,
        ":7: variables.lora_rank",
        ":8: variables.learning_rate",
    ),
    # names
    _controls(
        "an alias and its path",
        "optimizer: {lr: 1e-4}",
        ExperimentSchemaError,
        "both set optimizer.lr",
    ),
    _controls(
        "two aliases of one path", "lr: 1e-4", ExperimentSchemaError, "both set optimizer.lr"
    ),
    _controls(
        "a dotted path and its alias",
        "model.lora_rank: 4",
        ExperimentSchemaError,
        "both set model.lora_rank",
    ),
    _controls(
        "an unknown key",
        "epoch: 3",
        ValidationError,
        ":10: controls.epoch",
        "lora_finetune_single_device reads no key `epoch`",
        "did you mean `epochs`?",
    ),
    _controls(
        "a key of a component at the top",
        "norm_eps: 1e-5\nlora_attn_modules: [q_proj]",
        ValidationError,
        "did you mean `model.lora_attn_modules`?",
    ),
    _controls(
        "a key that nothing reads",
        "zzzzqq: 3",
        ValidationError,
        "training would silently ignore it",
    ),
    _controls(
        "an argument that the model does not take",
        "model: {lora_rnk: 8}",
        ValidationError,
        ":10: controls.model.lora_rnk",
        "did you mean `lora_rank`?",
    ),
    _controls(
        "an argument that the optimizer does not take",
        "optimizer.momentum: 0.9",
        ValidationError,
        "torch.optim.AdamW takes no argument `momentum`",
    ),
    _controls(
        "a bogus data set argument",
        "dataset: {data_fils: /x.json}",
        ValidationError,
        "takes no argument `data_fils`",
        "did you mean `data_files`?",
    ),
    _controls(
        "a component that is not there",
        "optimizer: {_component_: torchtune.datasets.no_such}",
        ValidationError,
        "torchtune.datasets.no_such does not exist",
    ),
    _change(
        "LoRA on a full fine-tune",
        "x",
        "x",
        ValidationError,
        ":7: variables.lora_rank",
        "trains the full model and has no LoRA",
        "llama3_2/1B_lora_single_device",
        text=FULL,
    ),
    _change(
        "an unknown key in the short form",
        "lora_rank: [8, 16]",
        "lora_rnak: [8, 16]",
        ValidationError,
        ":4: variables.lora_rnak",
        "did you mean `lora_rank`?",
        text=SHORT,
    ),
    _controls(
        "a layer that LoRA does not know",
        "model.lora_attn_modules: [q_proj, v_porj]",
        ValidationError,
        "allows as lora_attn_modules: q_proj, k_proj, v_proj, output_proj; found v_porj",
        "Did you mean `v_proj`?",
    ),
    _controls(
        "an entry of what is no list",
        "dataset.0.source: json",
        ValidationError,
        "takes no argument `0`",
    ),
    _controls(
        "an argument of a teacher that is not there",
        "teacher_model.vocab_size: 8",
        ValidationError,
        "reads no key `teacher_model`",
    ),
    _controls(
        "a scheduler for a recipe that has none",
        "num_warmup_steps: 10",
        ValidationError,
        "has no lr_scheduler, so there is no lr_scheduler.num_warmup_steps",
        text=PPO,
    ),
    # types
    _controls(
        "a text for a number",
        "batch_size: four",
        TypeMismatchError,
        ":10: controls.batch_size: batch_size is int in the base (4); found text (four)",
    ),
    _controls(
        "a formula in words",
        "lora_alpha: 2 * lora_rank",
        TypeMismatchError,
        "a derived value is written such as ${mul:2,${lora_rank}}",
    ),
    _controls("a bool for a number", "batch_size: true", TypeMismatchError, "found bool (true)"),
    _controls(
        "a number for a bool",
        "shuffle: 1",
        TypeMismatchError,
        "shuffle is bool in the base",
        "write true or false",
    ),
    _controls(
        "yes for a bool",
        "shuffle: yes",
        TypeMismatchError,
        'found text ("yes"); write true or false',
    ),
    _controls(
        "a scalar for a component",
        "loss: torch.nn.CrossEntropyLoss",
        TypeMismatchError,
        "loss is mapping in the base",
        "write {_component_: torch.nn.CrossEntropyLoss}",
    ),
    _controls(
        "a list for a scalar", "batch_size: [1, 2]", TypeMismatchError, "found list ([1, 2])"
    ),
    _controls("a mapping for a scalar", "dtype: {a: b}", TypeMismatchError, "found mapping"),
    _controls(
        "a text for a learning rate",
        "optimizer.weight_decay: abc",
        TypeMismatchError,
        "found text (abc)",
    ),
    _controls(
        "a type that a new argument does not take",
        "dataset.split: 3",
        ValidationError,
        "takes text as split; found int (3)",
    ),
    # values
    _controls(
        "a negative batch",
        "batch_size: -1",
        ValidationError,
        "found -1; a whole number above 0 is needed",
    ),
    _controls("half an epoch", "epochs: 0.5", ValidationError, "found 0.5; a whole number above 0"),
    _controls(
        "a precision that is not there",
        "dtype: bf17",
        ValidationError,
        "found bf17; allowed: fp16, bf16, fp32, fp64",
    ),
    _controls(
        "a precision that the recipe refuses", "dtype: fp16", ValidationError, "refuses fp16"
    ),
    _controls("a device that is not there", "device: gpu", ValidationError, "allowed: cpu, cuda"),
    _change(
        "a rank of 0", "[8, 16]", "[0, 16]", ValidationError, ":7: variables.lora_rank: found 0"
    ),
    _change(
        "a negative learning rate",
        "[1e-4, 3e-4]",
        "[-1e-4, 3e-4]",
        ValidationError,
        "found -0.0001; a number above 0",
    ),
    _controls("a dropout above 1", "lora_dropout: 1.5", ValidationError, "from 0 to below 1"),
    _controls(
        "accumulation of nothing",
        "gradient_accumulation_steps: null",
        ValidationError,
        "found null; a whole number above 0",
    ),
    # traps
    _controls(
        "packed without a length",
        "packed: true",
        ValidationError,
        ":10: controls.packed",
        "tokenizer.max_seq_len is null",
        "set max_seq_len",
    ),
    _controls(
        "data files without a source and without a suffix that tells it",
        "dataset: {data_files: /d}",
        ValidationError,
        "set dataset.source: json",
    ),
    _controls(
        "offloading without checkpointing",
        "enable_activation_offloading: true",
        ValidationError,
        "set enable_activation_checkpointing: true",
    ),
    _controls(
        "accumulation with the optimizer in the backward pass",
        "gradient_accumulation_steps: 4\noptimizer_in_bwd: true",
        ValidationError,
        ":9: controls.gradient_accumulation_steps: found 4",
        "with optimizer_in_bwd: true only 1 is possible",
        text=FULL.replace("  lora_rank: [8, 16]\n", ""),
    ),
    _controls(
        "clipping with the optimizer in the backward pass",
        "clip_grad_norm: 1.0\noptimizer_in_bwd: true\ngradient_accumulation_steps: 1",
        ValidationError,
        "gradients cannot be clipped with optimizer_in_bwd: true",
        text=FULL.replace("  lora_rank: [8, 16]\n", ""),
    ),
    _controls(
        "a batch of PPO that does not divide",
        "ppo_batch_size: 48",
        ValidationError,
        "batch_size (128) must be a multiple of ppo_batch_size (48)",
        text=PPO,
    ),
    # derived values
    _controls(
        "a name that is not there",
        "lora_alpha: ${mul:2,${lora_rnk}}",
        ExperimentSchemaError,
        "neither a variable, a control nor a key of the base; did you mean `lora_rank`?",
    ),
    _controls(
        "a circle",
        "lora_alpha: ${mul:2,${batch_size}}\nbatch_size: ${mul:1,${lora_alpha}}",
        ExperimentSchemaError,
        "refer to each other in a circle",
    ),
    _controls(
        "an unknown operation",
        "lora_alpha: ${mull:2,${lora_rank}}",
        ExperimentSchemaError,
        "unknown operation; did you mean `mul`?",
    ),
    _controls(
        "too few values",
        "lora_alpha: ${mul:2}",
        ExperimentSchemaError,
        "mul takes 2 values; found 1",
    ),
    _controls(
        "division by 0", "lora_alpha: ${div:2,0}", ExperimentSchemaError, "cannot be computed"
    ),
    _controls(
        "a text in arithmetic",
        "lora_alpha: ${mul:2,${device}}",
        ExperimentSchemaError,
        "mul needs numbers; found cuda",
    ),
    _controls(
        "a brace that stays open",
        "output_dir: /a/${lora_rank",
        ExperimentSchemaError,
        "opened and not closed",
    ),
    # design
    _more(
        "pairs of different length",
        "paired: [{epochs: [1, 2], batch_size: [1]}]",
        ExperimentSchemaError,
        "epochs has 2, batch_size has 1",
        text=SHORT,
    ),
    _more(
        "a group of nothing",
        "paired: [{}]",
        ExperimentSchemaError,
        "paired[0]: found {}; ",
        text=SHORT,
    ),
    _more(
        "a pair without values",
        "paired: [{batch_size: []}]",
        EmptyVariableError,
        "has no values",
        text=SHORT,
    ),
    _more(
        "a variable in a pair too",
        "paired: [{lora_rank: [1], batch_size: [1]}]",
        ExperimentSchemaError,
        "lora_rank is a variable twice",
        text=SHORT,
    ),
    _more(
        "a condition on nothing",
        "conditions: [{when: {rank: 8}, skip: true}]",
        ExperimentSchemaError,
        "rank is neither a variable nor a control",
    ),
    _more(
        "a condition without effect",
        "conditions: [{when: {lora_rank: 8}}]",
        ExperimentSchemaError,
        "either `skip: true` or `set` is needed",
    ),
    _more(
        "everything skipped",
        "conditions: [{when: {epochs: 3}, skip: true}]",
        ExperimentSchemaError,
        "every combination is skipped",
    ),
    _more("an unknown sampler", "sampler: {type: bayes}", ExperimentSchemaError, "latin_hypercube"),
    _more(
        "a sampler without runs",
        "sampler: {type: sobol}",
        ExperimentSchemaError,
        "runs is required",
    ),
    _more("a grid with runs", "sampler: {runs: 3}", ExperimentSchemaError, "use max_runs"),
    _change(
        "a range the wrong way round",
        "[1e-4, 3e-4]\n",
        "{min: 1, max: 0.1}\nsampler: {type: random, runs: 2}\n",
        ExperimentSchemaError,
        "min must be smaller",
    ),
    _change(
        "a log range from 0",
        "[1e-4, 3e-4]\n",
        "{min: 0, max: 0.1, scale: log}\nsampler: {type: random, runs: 2}\n",
        ExperimentSchemaError,
        "a log scale needs a min above 0",
    ),
    _more(
        "too many runs",
        "max_runs: 3",
        ExperimentSchemaError,
        "the grid has 4 runs, more than max_runs = 3",
    ),
    _more("no replicates", "replicates: 0", ExperimentSchemaError, "replicates"),
    _more("too many replicates", "replicates: 1000000", ExperimentSchemaError, "replicates"),
    _more(
        "replicates of a swept seed",
        "replicates: 2",
        ExperimentSchemaError,
        "replicates set the seed, and seed is a variable too",
        text=SHORT.replace("lora_rank: [8, 16]", "seed: [1, 2]"),
    ),
    _change(
        "a step of nothing",
        "[1e-4, 3e-4]\n",
        "{min: 1, max: 2, step: 0}\nsampler: {type: random, runs: 2}\n",
        ExperimentSchemaError,
        "step must be a number above 0",
    ),
    _change(
        "an unknown key of a range",
        "[1e-4, 3e-4]\n",
        "{min: 1, max: 2, stepp: 1}\nsampler: {type: random, runs: 2}\n",
        ExperimentSchemaError,
        "unknown keys stepp; allowed: min, max, scale, step",
    ),
    _change(
        "a range of texts",
        "[1e-4, 3e-4]\n",
        "{min: a, max: b}\nsampler: {type: random, runs: 2}\n",
        ExperimentSchemaError,
        "min and max must be numbers",
    ),
    _change(
        "a step wider than its range",
        "[1e-4, 3e-4]\n",
        "{min: 1, max: 2, step: 3}\nsampler: {type: random, runs: 2}\n",
        ExperimentSchemaError,
        "step is 3, more than from min to max: 1 would be the only value",
    ),
    _change(
        "an unknown scale",
        "[1e-4, 3e-4]\n",
        "{min: 1, max: 2, scale: log10}\nsampler: {type: random, runs: 2}\n",
        ExperimentSchemaError,
        "scale is log10; allowed: linear, log",
    ),
    _change(
        "more combinations than anyone runs",
        "[8, 16]",
        f"{list(range(1, 301))}\n  seed: {list(range(300))}",
        ExperimentSchemaError,
        "180,000 combinations; at most 100,000 are made. Use a sampler",
    ),
    _more(
        "a condition that sets what nothing reads",
        "conditions: [{when: {lora_rank: 8}, set: {zzzzqq: 1}}]",
        ValidationError,
        ":12: conditions[0].set.zzzzqq",
        "training would silently ignore it",
    ),
    _more(
        "an unknown key of a condition",
        "conditions: [{if: {lora_rank: 8}, skip: true}]",
        ExperimentSchemaError,
        "conditions[0].when: this key is required",
    ),
    # SLURM
    _more(
        "two environments",
        "slurm: {venv: /v, conda: c}",
        ExperimentSchemaError,
        "keep one",
    ),
    _more("a negative limit", "slurm: {limit: 0}", ExperimentSchemaError, "slurm.limit"),
    _more(
        "an unknown SLURM setting",
        "slurm: {acount: lab}",
        ExperimentSchemaError,
        ":12: slurm.acount: unknown key; did you mean `account`?",
    ),
    _more(
        "a time in words",
        "slurm: {time: 1h}",
        ExperimentSchemaError,
        ':12: slurm.time: found "1h"; minutes (90), or HH:MM:SS',
    ),
]
