# What can be done here; `make` alone lists it.
CARGO ?= cargo
export CARGO_TERM_COLOR ?= auto

.DEFAULT_GOAL := help
.PHONY: help demo test check bench live soak nats stack-up stack-down

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Watch processes start, crash, restart and turn unhealthy; needs nothing but Rust
	$(CARGO) run --quiet --release -- demo

test: ## Everything: format, lints, docs, unit, property, real servers, doctests
	scripts/test.sh

check: ## The fast part of `test`: format, lints, unit tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) test --locked --lib --bins

bench: ## Ratios and a table with the machine
	WATCHPOST_NATS_SERVER="$$(scripts/nats-server.sh)" $(CARGO) bench --locked

live: ## The suites that need what no registry carries
	@test -n "$$PROCESS_COMPOSE_BIN" || { echo "PROCESS_COMPOSE_BIN must name a process-compose" >&2; exit 1; }
	@test -n "$$TEMPO_BIN" || { echo "TEMPO_BIN must name a Tempo of version 3" >&2; exit 1; }
	$(CARGO) test --locked --test live

soak: ## Long runs: fuzzing, power cuts, kills, failing disks, random histories
	WATCHPOST_NATS_SERVER="$$(scripts/nats-server.sh)" scripts/soak.sh

nats: ## Get nats-server, and print where it is
	@scripts/nats-server.sh

stack-up: ## The real stack without Docker: prints the URLs, and what is missing
	@scripts/stack.sh up

stack-down: ## End what stack-up started
	@scripts/stack.sh down
