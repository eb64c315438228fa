# make run    the service on an embedded store, with a local Twilio and a phone in the browser
# make test   every test that needs Rust and PostgreSQL
# make proof  load, crashes, chaos and pages at full size
# make chaos  each fault of docs/reliability.md, CHAOS_TIMES (5) times; writes that table
# make fuzz   FUZZ_EXECUTIONS (10,000,000) of each fuzz target, or of FUZZ="form api"; needs a C++ compiler
# make conformance   official SDKs, Prism, a browser: needs PyPI and npm
# make docs   writes into the README what is made from the code
# make lint-deploy   what brings the service somewhere, read by linters: needs PyPI
# make bench  what a webhook costs, beside pgbench on the same server; BENCH="--quick" while developing

.DEFAULT_GOAL := help
CARGO ?= cargo
PORT ?= 8080
SIM_PORT ?= 4010
TARGET := $(or $(CARGO_TARGET_DIR),target)/debug

.PHONY: help run test proof bench chaos fuzz conformance docs lint lint-deploy

help:
	@sed -n 's/^# make /make /p' Makefile

run: ## Needs nothing but Rust, a C compiler and make. RUN=.. is given to `twilio-sim run`.
	@echo "Building. The first time this takes some minutes; cargo shows how far it is."
	@$(CARGO) build --locked --bin sms-foundation --bin twilio-sim
	@exec $(TARGET)/twilio-sim run --service $(TARGET)/sms-foundation --port $(PORT) --sim-port $(SIM_PORT) $(RUN)

test:
	@.ci/install-postgres
	@$(CARGO) build --locked -p pg-cluster
	$(CARGO) run -q --locked -p pg-cluster -- run .ci/test
	$(CARGO) test --locked --workspace --all-features --doc

proof: ## The load and crash tests, and pages of 1,000,000 messages, optimized; 20 minutes.
	@.ci/install-postgres
	LOAD_MESSAGES=20000 CRASHES=5 OUTAGE_SECONDS=10 HOSTILE_REQUESTS=100000 \
	  SENDS=1000 SEND_CRASHES=10 SEND_RATE=100 SEND_SECONDS=30 \
	  HOOK_MESSAGES=10000 HOOK_KILLS=5 STREAM_MESSAGES=5000 STREAM_BREAKS=100 \
	  $(CARGO) run -q --locked -p pg-cluster -- run \
	  $(CARGO) nextest run --locked --cargo-profile proof --profile proof --workspace --all-features --no-fail-fast -E 'test(proof::)'
	FULL=1 $(CARGO) run -q --locked -p pg-cluster -- run \
	  $(CARGO) nextest run --locked --cargo-profile proof --profile proof -p adapter-postgres --all-features -E 'test(pages::)'

# BENCH="--messages 5000000" also measures a filled database.
BENCH ?= --into docs/performance.md

bench: ## About five minutes after the build, on a machine that has nothing else to do.
	@.ci/install-postgres
	$(CARGO) build --locked --release --bin sms-foundation --bin bench
	$(CARGO) run -q --locked --release --bin bench -- $(BENCH)

CHAOS_TIMES ?= 5
# CHAOS_BUILD= is the debug build.
CHAOS_BUILD ?= --cargo-profile proof
chaos: ## The faults, one test after the other, and overload at full size.
	@.ci/install-postgres
	@rm -rf "$(dir $(TARGET))tmp/chaos"
	@ulimit -n 24000 2>/dev/null || true; \
	  CHAOS_TIMES=$(CHAOS_TIMES) OVERLOAD_SECONDS=20 IDLE_CONNECTIONS=10000 DRIPPING_CLIENTS=1000 \
	  $(CARGO) run -q --locked -p pg-cluster -- run \
	  $(CARGO) nextest run --locked $(CHAOS_BUILD) --profile proof --no-fail-fast \
	  --workspace --all-features -E 'test(chaos::)'
	sed -i -e '/^<!-- faults -->/,/^<!-- end -->/{//!d}' \
	  -e '/^<!-- faults -->/r $(dir $(TARGET))tmp/chaos/faults.md' docs/reliability.md

FUZZ_EXECUTIONS ?= 10000000
fuzz: ## FUZZ_SEED says which mutations; without one, others each time.
	@.ci/fuzz $(FUZZ_EXECUTIONS) $(FUZZ)

conformance: ## What needs PyPI, npm or more of Debian: official SDKs, Prism, a browser.
	@set -e; for check in .ci/conformance/*; do \
	  if [ -f "$$check" ] && [ -x "$$check" ]; then echo "== $$check"; \
	    timeout 20m "$$check" || { echo "$$check: failed, or hung for 20 minutes"; exit 1; }; fi; done

docs: ## Writes into the README what is made from the code.
	UPDATE_DOCS=1 $(CARGO) test --locked -p server --test it settings_table

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings

lint-deploy: ## Also a part of `conformance`.
	@.ci/conformance/lint-deploy
