# Every module of the repository, the root's first.
MODULES := $(shell .ci/modules)

# How long one test binary, one benchmark run and one fuzz target may take.
TEST_TIMEOUT ?= 30m
FUZZ_TIME ?= 10s

.PHONY: help servers test thorough bench fuzz lint fmt check

help: ## Show this help.
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

servers: ## Install what the tests need beside Go: PostgreSQL, PgBouncer, Redis and a C compiler.
	@.ci/install cc postgresql pgbouncer redis

test: servers ## Run all tests under the race detector, on real servers.
	@status=0; for module in $(MODULES); do \
		(cd $$module && TENANCY_REQUIRE_SERVERS=1 go test -race -timeout $(TEST_TIMEOUT) ./...) || status=1; \
	done; exit $$status

thorough: ## Run all tests with all their cases: the longest leave some out otherwise.
	@TENANCY_THOROUGH=1 $(MAKE) --no-print-directory test TEST_TIMEOUT=120m

bench: servers ## Measure against plain database access and against other limiters (docs/benchmarks).
	@cd docs/benchmarks && go test -run '^$$' -bench . -benchtime 1x -timeout 60m .
	@go test -run '^$$' -bench '^Benchmark(Export|PgDump|Restore)$$' -benchtime 3x ./isolation/archive

fuzz: ## Run each fuzz target for FUZZ_TIME (10s).
	@FUZZ_TIME=$(FUZZ_TIME) .ci/fuzz

lint: ## Run the linters.
	@status=0; for module in $(MODULES); do \
		(cd $$module && $(CURDIR)/.ci/golangci-lint run --allow-parallel-runners --config $(CURDIR)/.golangci.yml ./...) || status=1; \
	done; exit $$status

fmt: ## Format all Go files.
	@gofmt -w .

check: ## Check everything, as .ci/run does.
	@.ci/check
