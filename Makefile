# Everything here needs Python 3.11+ and make, nothing else: the first target that needs an environment builds it.
BIN := .venv/bin
READY := .venv/.ready
PYTEST := -m pytest -n 2 --dist worksteal -m "not cluster"
PROOFS := tests/model/ tests/simulation/ \
  tests/guards/loop/test_loop_forms.py \
  tests/guards/loop/test_loop_properties.py::test_of_healthy_runs_1_in_100_is_killed_at_most_and_of_degenerate_ones_95_are_caught \
  tests/guards/breaker/test_breaker_outage.py \
  tests/guards/conformance/test_same_verdicts.py::test_the_same_is_said_beside_the_bus_at_the_gate_and_in_a_back_test \
  tests/guards/conformance/test_same_verdicts.py::test_the_same_is_said_of_the_time_that_passes_beside_the_bus_and_in_a_back_test \
  tests/actors/test_relieving.py::test_ten_thousand_histories_more \
  tests/models/test_anthropic_wire.py::test_the_api_accepts_a_request_of_any_of_many_histories

# Hundreds of processes start in the tests: compiling every module anew in each of them doubles what it costs to start one.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo runaway test proofs check bench fmt docs chaos cluster clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(READY) ## See a run survive its worker, and another one be killed
	@$(BIN)/python -m examples.demo

runaway: $(READY) ## See three agents misbehave, and what stops each of them
	@$(BIN)/python -m examples.runaway

test: $(READY) ## Run the tests (COVERAGE=1 measures all but the proofs)
ifdef COVERAGE # what the proofs run is covered by others, and measuring them takes minutes
	@$(BIN)/coverage erase
	@$(BIN)/coverage run $(PYTEST) $(addprefix --deselect=,$(PROOFS))
else
	@$(BIN)/python $(PYTEST)
endif

proofs: $(READY) ## Run the tests that prove by the thousand; they may take their time
	@$(BIN)/python $(PYTEST) --timeout=900 $(PROOFS)

check: $(READY) ## Run all that CI runs: static checks, docs, tests, coverage
	@$(BIN)/python scripts/check.py

bench: $(READY) ## Measure, next to the raw floor of this machine
	@$(BIN)/python -m bench

fmt: $(READY) ## Format, and fix what can be fixed
	@$(BIN)/ruff format -q
	@$(BIN)/ruff check --fix

docs: $(READY) ## Build the documentation into site/
	@$(BIN)/zensical build --strict

chaos: $(READY) ## Run only the slow tests: chaos, crash matrix, simulation
	@$(BIN)/python -m pytest -n 2 -m "slow and not cluster"

cluster: $(READY) ## Run the tests that need a cluster of three servers
	@$(BIN)/python -m pytest -m cluster

clean: ## Remove what the targets wrote (not the environment, not the data of your runs)
	@rm -rf site dist .coverage .coverage.* .coverage-report.json .cache .hypothesis
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -not -path './.venv/*' -not -path './.uv/*' -prune -exec rm -rf {} +

$(READY): uv.lock pyproject.toml scripts/bootstrap
	@sh scripts/bootstrap
	@touch $@
