SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := $(CURDIR)/.bin
GOLANGCI_LINT := v2.12.2
PROTOC_GEN_GO := v1.36.11

.PHONY: help build test race lint matrix browser interop fuzz-short stand-ins bench generate assets clean

help: ## Show what there is to make
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*##/\t/' | expand -t 14

build: ## Build ./keyflow
	go build -o keyflow ./cmd/keyflow

test: ## Run all tests; needs nothing but Go (tests that want ffmpeg say so and skip)
	go test ./...

race: ## Run all tests with the race detector, shuffled (needs a C compiler)
	go test -race -shuffle=on -timeout 40m ./... # the scripts and the matrix take minutes where the detector slows them down

lint: $(BIN)/golangci-lint ## Check style and the rules of the house (builds golangci-lint once)
	test -z "$$(gofmt -l .)" || { gofmt -l .; echo 'not gofmt-ed'; exit 1; }
	go mod tidy -diff
	GOLANGCI_LINT_CACHE=$(BIN)/lint-cache $(BIN)/golangci-lint run # a cache shared with other clones reports their paths

$(BIN)/golangci-lint: Makefile
	GOBIN=$(BIN) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT)
	touch $@

matrix: ## Run every check against every fault; make test runs a sample
	go test ./suites/matrix -run TestFaultsFailOnlyWhoNamesThem -full -timeout 20m

interop: build ## Run independent clients against the fake (needs Node with npm, and ffmpeg)
	fakes/interop/run.sh

browser: ## Have browsers record sessions with broken services, and read them (needs Chromium; takes Firefox too, if installed)
	command -v chromium >/dev/null || { echo 'chromium is missing: install chromium'; exit 1; }
	go test -v -tags browser -count=1 ./suites/triage -run TestBrowsers $(BROWSERFLAGS) | grep -vE '^(=== | *--- PASS|PASS)'

# Executions, not seconds: when the time is up, go test may fail a target with "context deadline exceeded" (go.dev/issue/75804).
FUZZTIME ?= 20000x
fuzz-short: ## Fuzz every target, FUZZTIME (20000x) executions each
	grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do
	  grep -hoE '^func Fuzz[A-Za-z0-9_]+' "$$dir"/*_test.go | sed 's/^func //' | while read -r target; do
	    echo "$$dir $$target"
	    go test "$$dir" -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=10x
	  done
	done

stand-ins: build ## Check every embedded profile, in each variant, against the stand-in for its provider
	for file in fixtures/profiles/*.yaml; do
	  profile=$$(basename "$$file" .yaml)
	  echo "$$profile"
	  ./keyflow check --profile "$$profile" --stand-in --out "$$(mktemp -d)/report" | tail -n 8
	done

bench: ## Run the benchmarks
	go test -run='^$$' -bench=. -benchmem ./...

generate: ## Regenerate the protobuf code (needs protoc, e.g. Debian's protobuf-compiler)
	command -v protoc >/dev/null || { echo 'protoc is missing: install protobuf-compiler'; exit 1; }
	GOBIN=$(BIN) go install google.golang.org/protobuf/cmd/protoc-gen-go@$(PROTOC_GEN_GO)
	PATH=$(BIN):$$PATH protoc --go_out=. --go_opt=module=keyflow -I . drm/widevine/wire/widevine.proto

assets: ## Make the embedded DASH content again (needs ffmpeg, Node's npm)
	fixtures/assets/make.sh

clean: ## Remove what was built
	rm -rf $(BIN) keyflow keyflow-report
