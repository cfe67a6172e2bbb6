# Every target sets up what it needs: python3 (3.11 or newer), make and git are all that must be there.
# `build` and `deploy` are for AWS and also need the Python that RUNTIME names.
.DEFAULT_GOAL := help
.PHONY: help demo compare signals chaos bench bench-cost check simulate test mutants lint docs build deploy publish-check publish \
        event status clean

PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
READY   := $(VENV)/.ready
STACK   ?= sqs-circuit-breaker
RUNTIME ?= python3.13
export SAM_CLI_TELEMETRY := 0
# sam build looks for the runtime's Python on the path.
export PATH := $(CURDIR)/$(BIN):$(PATH)

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

demo: $(READY) ## An outage on this machine, from first failure to drained backlog. Options: RATE OUTAGE SCALE RECOVERY KEEP=1
	@$(BIN)/python -m lab demo $(if $(RATE),--rate $(RATE)) $(if $(OUTAGE),--outage $(OUTAGE)) \
	  $(if $(SCALE),--scale $(SCALE)) $(if $(RECOVERY),--recovery $(RECOVERY)) $(if $(KEEP),--keep)

compare: $(READY) ## The same outage without and with the breaker, side by side. Takes about 8 minutes.
	@$(BIN)/python -m lab compare

signals: $(READY) ## How soon each signal opens the circuit, and what is delivered until then. Takes about 7 minutes.
	@$(BIN)/python -m lab signals

bench: $(READY) ## The same outages without a breaker, under the reference sample's policy and with this breaker. About 45 minutes; goes on where it was stopped. Options: SCENARIOS (all) POLICIES PARTS
	@$(BIN)/python -m benchmarks run $(if $(SCENARIOS),--scenarios $(SCENARIOS)) $(if $(POLICIES),--policies $(POLICIES)) \
	  $(if $(PARTS),--parts $(PARTS))

chaos: $(READY) ## An outage in which everything else fails, too, and what comes of it. Options: SEED MINUTES
	@$(BIN)/python -m lab chaos $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

bench-cost: $(READY) ## What the breaker's own code costs: cold starts, size, AWS calls, money. Takes about 15 minutes. Options: ROUNDS FUNCTION
	@$(BIN)/python -m benchmarks.own_cost $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(FUNCTION),--function $(FUNCTION))

check: $(READY) ## Look at a pipeline of your own before you attach it: FUNCTION QUEUE. Options: MAPPING ALARM RATE JSON=1
	@$(BIN)/python -m check --function "$(FUNCTION)" --queue "$(QUEUE)" $(if $(MAPPING),--mapping "$(MAPPING)") \
	  $(if $(ALARM),--alarm "$(ALARM)") $(if $(RATE),--rate "$(RATE)") $(if $(JSON),--json)

# Each option by its own name in capitals. SET takes parameters of the template: SET="MaxHeldMessages=3 HealthPeriods=2".
SIMULATED := RATE CAPACITY LATENCY OUTAGE FAILING_PERCENT COLLAPSE_AFTER COLLAPSE_FOR VISIBILITY MAX_RECEIVES BATCH_SIZE \
             TIMEOUT MAX_CONCURRENCY POLICY RECOVERY POLLER SEED PICTURE
option = --$(subst _,-,$(shell echo $(1) | tr A-Z a-z)) $(call quoted,$($(1)))
quoted = '$(subst ','\'',$(1))'

simulate: $(READY) ## An outage of your pipeline, simulated, with a recommendation. Options: RATE CAPACITY LATENCY VISIBILITY MAX_RECEIVES OUTAGE (minutes) POLICY RECOVERY SET ...
	@$(BIN)/python -m simulator run $(foreach name,$(SIMULATED),$(if $($(name)),$(call option,$(name)))) \
	  $(foreach pair,$(SET),--set $(call quoted,$(pair)))

# Coverage of functions/ doubles the time that tests take, so it is measured where it matters. The lab's tests wait half of the
# time, so three files of them run at once.
UNMEASURED := tests/statemachine tests/simulator tests/benchmarks tests/publish tests/lab \
              tests/template tests/rendering tests/schemas tests/mutations tests/examples
test: lint ## All checks and tests, with several outages in the lab.
	@$(BIN)/python -m pytest -m "not e2e" $(UNMEASURED:%=--ignore %) --numprocesses 2 --dist worksteal --cov --cov-report=term
	@$(BIN)/python -m pytest $(UNMEASURED) --numprocesses 2 --dist worksteal
	@$(BIN)/python -m pytest tests/e2e --numprocesses 3 --dist loadfile

mutants: $(READY) ## One-line changes of the code, each of which must turn a promise's test red. Takes about 4 minutes.
	@$(BIN)/python -m tests.mutations $(if $(PROMISE),--promise $(PROMISE))

lint: $(READY) ## Static checks of code, template and state machine.
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@cd functions && $(CURDIR)/$(BIN)/mypy --config-file ../pyproject.toml --cache-dir ../.mypy_cache .
	@$(BIN)/cfn-lint template.yaml attach.yaml examples/*/template.yaml
	@export AWS_DEFAULT_REGION=us-east-1; $(BIN)/sam validate --lint & other=$$!; \
	  $(BIN)/sam validate --lint --template-file attach.yaml; mine=$$?; wait $$other && exit $$mine

docs: $(READY) ## Generate docs/parameters.md from the templates.
	@$(BIN)/python -m publish.parameters

build: $(READY) ## Build the application for AWS into .aws-sam/.
	@$(BIN)/sam build --parameter-overrides Runtime=$(RUNTIME)

deploy: build ## Deploy to AWS, with your own credentials. Asks before it changes anything.
	@$(BIN)/sam deploy --stack-name $(STACK) --parameter-overrides Runtime=$(RUNTIME)

# Nothing leaves the machine: sam package uploads to an emulated S3. The result is .aws-sam/publish/packaged.yaml.
publish-check: $(READY) ## Build what would go to the Serverless Application Repository, and check it by its rules.
	@$(BIN)/python -m publish

publish: $(READY) ## Publish to the Serverless Application Repository, with your own credentials: BUCKET=... AWS_REGION=...
	@test -n '$(BUCKET)' || { echo 'BUCKET: missing; an S3 bucket that serverlessrepo.amazonaws.com may read'; exit 2; }
	@$(BIN)/python -m publish --release --runtime $(RUNTIME)
	@$(BIN)/sam package --config-env publish --s3-bucket '$(BUCKET)'
	@$(BIN)/sam publish --config-env publish

event: $(READY) ## Print a sample event filled with a deployed stack's names: NAME=probe_target STACK=sqs-circuit-breaker
	@$(BIN)/python events/fill.py $(NAME) $(STACK)

status: $(READY) ## How every circuit of a deployed breaker stands, and what to do: STACK=sqs-circuit-breaker JSON=1
	@$(BIN)/python -m oncall.status $(if $(JSON),--json) '$(STACK)'

clean: ## Remove everything that the targets made.
	@rm -rf $(VENV) .aws-sam .lab .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage

# The stamp is written last, so an interrupted set-up is done again.
$(READY): requirements-dev.txt functions/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and f"python3 must be 3.11 or newer, this is {sys.version.split()[0]}")'
	@echo "setting up $(VENV) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@$(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements-dev.txt
	@touch $@
