# authd: `make help` lists what there is.

SHELL := /bin/bash
GO ?= go
# golangci-lint is a tool of a module of its own, so that its dependencies stay out of authd's.
LINT := $(GO) tool -modfile=internal/tools/go.mod golangci-lint
FUZZTIME ?= 30s
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: build ## run authd on the embedded default, with a user to try
	./bin/authd serve --demo

.PHONY: build
build: ## build bin/authd and bin/orders
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '-s -w -buildid= -X main.version=$(VERSION)' \
		-o bin/ ./cmd/authd ./examples/orders

FRONT ?= 127.0.0.1
NETWORK ?= 127.83.0

.PHONY: cluster
cluster: build ## run the cluster of deploy/compose without containers: three authd, Redis, PostgreSQL, nginx, a service
	@$(GO) build -o bin/ ./internal/cluster
	@exec bin/cluster -front $(FRONT) -network $(NETWORK)

IMAGE ?= bin/image

.PHONY: image
image: ## build an OCI image layout for linux/amd64 and linux/arm64 in bin/image, without a container engine
	$(GO) -C internal/release run . image -version $(VERSION) -o $(abspath $(IMAGE))

.PHONY: test
test: ## install what the tests need, and run them all with the race detector
	internal/testenv/install.sh
	$(GO) test -race -timeout 30m ./...
	cd internal/bench && $(GO) test -timeout 20m ./...
	cd internal/release && $(GO) test -timeout 30m ./...

.PHONY: check
check: ## formatting, vet, linters, module files, licences, and that a build gives the same bytes twice
	@test -z "$$(gofmt -l . | tee /dev/stderr)" || { echo 'run: gofmt -w .' >&2; exit 1; }
	$(GO) vet ./...
	$(LINT) run ./...
	$(GO) mod verify
	$(GO) mod tidy -e -diff # -e: tests of dependencies may need what a proxy withholds
	$(GO) -C internal/release vet ./... && $(GO) -C internal/release mod verify
	$(GO) -C internal/release run . licences
	$(GO) -C internal/release run . reproduce # minutes the first time, as its second cache is empty

.PHONY: bench
bench: ## measure verification, routes, logout and large sets, as ratios; with PAGE=1 write docs/performance.md
	internal/testenv/install.d/redis.sh
	cd internal/bench && $(GO) run . $(if $(PAGE),-page ../../docs)

.PHONY: issuers
issuers: ## try JWKS clients against hostile issuers, and write docs/hostile-issuers.md (six minutes)
	cd internal/bench && $(GO) test . -run '^TestHostilePage$$' -hostile.page ../../docs -timeout 30m -v

.PHONY: chaos
chaos: ## rotate 200 times on each backend while leaders are killed, frozen and cut off (half an hour)
	internal/testenv/install.sh
	$(GO) test ./cmd/authd -run '^TestRotationUnderFire$$' -chaos.rotations 200 -chaos.leaders 50 -parallel 3 -timeout 2h -v

.PHONY: capacity
capacity: ## measure what one core carries and how cost grows, and write docs/capacity.md (ten minutes)
	internal/testenv/install.d/redis.sh
	cd internal/bench && $(GO) run . -capacity ../../docs

SOAK ?= 10m

.PHONY: soak
soak: ## run both modes for SOAK (default 10m) under load, with restarts and rotation: nothing fails or grows; write docs/soak.md
	internal/testenv/install.d/redis.sh
	$(GO) test -race ./cmd/authd -run '^TestSoak$$' -soak.for $(SOAK) -soak.rate 100 -soak.page ../../docs/soak.md -timeout 0 -v

.PHONY: fuzz
fuzz: ## run every fuzz target for FUZZTIME (default 30s)
	@set -e; for pkg in $$($(GO) list ./...); do \
		for target in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz' || true); do \
			echo "== $$pkg $$target"; $(GO) test -run '^$$' -fuzz "^$$target$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$pkg; \
		done; done
