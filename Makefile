# Every target that needs the environment builds it first; `make setup` a second time takes no time.
SHELL := /bin/sh
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# ape takes twice as long to start where Python may not keep what it compiled
unexport PYTHONDONTWRITEBYTECODE

# Passed on to the command of the target: make demo ARGS="--accounts 200", make test ARGS="-k waterfall -x"
ARGS ?=
# Test processes, each with a node of its own
WORKERS ?= 2
# Of `make fuzz`, `make reentry`, `make attackers`
MINUTES ?= 1
# Hypothesis profile of `make fuzz-machines`: dev, ci, nightly
PROFILE ?= nightly

# what is there already: the tree grows, and a folder that does not exist yet is no error
PY_DIRS := $(wildcard backstop scripts tests benchmarks tools)
TYPED := $(wildcard backstop scripts)

.PHONY: reentry attackers analysis prove coverage mutants planted help setup lock compile test test-fast fuzz fuzz-machines incidents lint format demo bench-gas bench-keeper bench-simulation bench-store bench-monitor clean distclean bench-harness

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## build .venv and node_modules from the lock files (needs Python 3.11 or 3.12)
	@sh tools/setup.sh

compile: setup ## compile the contracts
	@python -m backstop.chain.artifacts

test: compile ## run all tests: make test ARGS="-k waterfall"
	ape test -n $(WORKERS) --dist loadfile $(ARGS)

test-fast: compile ## the tests without those marked slow or fuzz
	ape test -n $(WORKERS) --dist loadfile -m "not slow and not fuzz" $(ARGS)

fuzz: compile ## twin against contracts, seed after seed: make fuzz MINUTES=60 ARGS="--seed 7"
	@ape run fuzz --minutes $(MINUTES) --workers $(WORKERS) $(ARGS)

fuzz-machines: compile ## long Hypothesis campaigns (PROFILE=nightly)
	HYPOTHESIS_PROFILE=$(PROFILE) ape test -n $(WORKERS) --dist loadfile -m fuzz $(ARGS)

reentry: compile ## every function and view from inside every callback: make reentry MINUTES=10 ARGS="--seed 7"
	@python -m backstop.harness.reentry --minutes $(MINUTES) $(ARGS)

attackers: compile ## agents that search for profit: make attackers MINUTES=10 ARGS="--seed 7 --json"
	@ape run attack --minutes $(MINUTES) $(ARGS)

incidents: compile ## replay 32 incidents of other protocols: make incidents ARGS="--json incidents.json"
	@ape test tests/incidents -q $(ARGS)

mutants: compile ## wrong Solidity must be noticed: make mutants ARGS="--contracts --sample 60"
	@python -m backstop.harness.mutation $(ARGS)

planted: compile ## economic bugs planted in the contracts must be found: make planted ARGS="--only window"
	@python -m backstop.harness.fuzz.planted $(ARGS)

analysis: setup ## Slither, every finding explained: make analysis ARGS="--verbose"
	@sh tools/analysis.sh
	@python -m backstop.harness.analysis $(ARGS)

prove: setup ## proofs about the pure libraries: make prove ARGS="--match Curve"; ARGS=--self-test
	@sh tools/analysis.sh
	@python -m backstop.harness.analysis.prove $(ARGS)

coverage: compile ## lines and branches of the Solidity that the tests reach: ARGS="--verbose"
	@python -m backstop.harness.analysis.coverage $(ARGS)

lint: setup ## ruff, mypy and the Solidity format
	ruff check $(PY_DIRS)
	ruff format --check $(PY_DIRS)
	mypy $(TYPED)
	@sh tools/solidity_format.sh --check

format: setup ## format Python and Solidity
	ruff check --fix-only $(PY_DIRS)
	ruff format $(PY_DIRS)
	@sh tools/solidity_format.sh

demo: compile ## run the demonstration: make demo ARGS="--scenario crash-2025-10-10 --accounts 200"
	@ape run demo $(ARGS)

bench-gas: compile ## gas of every operation
	@ape run bench_gas $(ARGS)

bench-harness: compile ## actions/s of the bulk fuzz beside ape, web3.py and raw transactions
	@python benchmarks/harness/run.py $(ARGS)

bench-store: compile ## events a second of the event store
	@python benchmarks/store/bench_store.py $(ARGS)

bench-keeper: compile ## the keeper's speed, and its waits in the crash of 10 October 2025
	@python benchmarks/keeper/run.py $(ARGS)

bench-monitor: compile ## the live page: first chart, update, memory: make bench-monitor ARGS="--minutes 20"
	@python benchmarks/monitor/run.py $(ARGS)

bench-simulation: setup ## time and memory of the cascade simulator (ARGS=--quick: a minute)
	@python benchmarks/simulation/bench_simulation.py $(ARGS)

lock: setup ## make the lock files anew
	@sh tools/lock.sh $(ARGS)

clean: ## remove what compilers and tests leave behind
	rm -rf .build contracts/.cache out cache build .hypothesis .pytest_cache .mypy_cache .ruff_cache
	find backstop scripts tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

distclean: clean ## also remove .venv and node_modules
	rm -rf .venv .venv-analysis node_modules
