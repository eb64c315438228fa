# make run    the service on an embedded store, ready to try
# make test   every test that needs Rust and PostgreSQL
# make proof  load, crashes and chaos at full size
# make conformance   official SDKs, Prism: needs PyPI and npm

.DEFAULT_GOAL := help
CARGO ?= cargo
PORT ?= 8080

# For `make run` only: the service itself has no default token.
LOCAL_TOKEN := local-development-token

.PHONY: help run test proof conformance lint

help:
	@sed -n 's/^# make /make /p' Makefile

run: ## Needs nothing but Rust, a C compiler and make.
	@echo "Building. The first time this takes some minutes; cargo shows how far it is."
	$(CARGO) build --locked --bin sms-foundation --bin twilio-sim
	@printf '%s\n' "" \
	  "SMS Foundation starts on http://127.0.0.1:$(PORT) (Ctrl-C stops it). In another terminal, text it:" \
	  "  $(CARGO) run -q --locked --bin twilio-sim -- inbound --base-url http://127.0.0.1:$(PORT) --from +18605550199 --body \"My sink is leaking\"" \
	  "and read the conversation:" \
	  "  curl http://127.0.0.1:$(PORT)/conversations/+18605550199" ""
	@APP_ENV=local PORT=$(PORT) TWILIO_AUTH_TOKEN="$${TWILIO_AUTH_TOKEN:-$(LOCAL_TOKEN)}" \
	  $(CARGO) run -q --locked --bin sms-foundation

test:
	@.ci/install-postgres
	@$(CARGO) build --locked -p pg-cluster
	$(CARGO) run -q --locked -p pg-cluster -- run .ci/test
	$(CARGO) test --locked --workspace --all-features --doc

proof: ## The load and crash tests at full size, on the release build; a quarter of an hour.
	@.ci/install-postgres
	LOAD_MESSAGES=20000 CRASHES=5 OUTAGE_SECONDS=10 HOSTILE_REQUESTS=100000 \
	  SENDS=1000 SEND_CRASHES=10 SEND_RATE=100 SEND_SECONDS=30 \
	  $(CARGO) run -q --locked -p pg-cluster -- run \
	  $(CARGO) nextest run --locked --release --profile proof --workspace --all-features -E 'test(proof::)'

conformance: ## What needs PyPI, npm or more of Debian: official SDKs, Prism.
	@set -e; for check in .ci/conformance/*; do \
	  if [ -f "$$check" ] && [ -x "$$check" ]; then echo "== $$check"; "$$check"; fi; done

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings
