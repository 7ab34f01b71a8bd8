# The front door. `make` lists what there is.
#   make up SITES=csc    one site only                make up NOAUTH=off   no anonymous clients, from then on: NOAUTH=on lets them in again
#   make up REPLICAS=3   the CSC as a cluster         make logs NAME=csc/auth-callout FOLLOW=1
#   make test ARGS='-k expired'   only some integration tests
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help setup setup-test setup-surveyor build up status logs down test test-long test-kube test-charts test-image test-keycloak test-examples test-monitoring bench check fmt fuzz clean

BUILD ?= build
SITES ?= csc cpc-1 cpc-2
REPLICAS ?= 1
NOAUTH ?=
ARGS ?=
export ARGS

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo "  Settings: make up SITES=csc REPLICAS=3 NOAUTH=off; all of them: local/settings.sh"
	@echo "  NOAUTH is kept until the next one is given; the others are the defaults again"

setup: ## install what building and running need (also done by the others)
	@scripts/setup.sh run

setup-test: ## install what the tests need, too
	@scripts/setup.sh test

setup-surveyor: ## bring nats-surveyor, metrics of the servers, for make up (wants Go)
	@scripts/setup-surveyor.sh

build: setup ## build all programs into build/
	@scripts/build.sh $(BUILD)

up: build ## start the bus on this machine and print how to try it
	@EB_BUILD=$(or $(EB_BUILD),$(abspath $(BUILD))) EB_SITES="$(SITES)" EB_REPLICAS=$(REPLICAS) EB_NOAUTH=$(NOAUTH) local/bus up

status: ## a line a process, a link between sites, a source of a stream
	@local/bus status

logs: ## the last lines of every log; FOLLOW=1 goes on, NAME=csc/auth-callout takes one
	@local/bus logs $(if $(FOLLOW),-f) $(NAME)

down: ## end what make up started
	@local/bus down

test: setup-test build ## unit, guard and integration tests (under 10 minutes)
	@scripts/test.sh

test-long: setup-test build ## the long ones: sanitizers, a million callouts, faults of the links (EB_FAULT_RUNS), fuzzing
	@scripts/test-long.sh

test-kube: setup-test build ## Kubernetes tokens and the charts with a real kube-apiserver, built once (about 15 minutes)
	@scripts/setup-kube.sh
	@scripts/setup-helm.sh
	@scripts/setup-nack.sh
	@scripts/test-kube.sh

test-charts: setup-test build ## the charts with Helm 3 and 4, built once (about 5 minutes)
	@scripts/setup-helm.sh
	@scripts/test-charts.sh

test-image: setup-test build ## the image's root file system, and the service in it (bubblewrap, no Docker)
	@scripts/test-image.sh

test-keycloak: setup-test build ## tokens of a real Keycloak (Java, fetched by Maven)
	@scripts/test-keycloak.sh

test-examples: setup-test build ## the example clients in C, Python, JavaScript, Go and Java, those whose tools are here
	@scripts/test-examples.sh

test-monitoring: setup-test build ## alerts, dashboards and metrics, with a real Prometheus at a bus of its own (about 2 minutes)
	@scripts/setup-monitoring.sh
	@scripts/test-monitoring.sh

bench: setup-test build ## the numbers, as a table and JSON
	@bench/run.sh $(ARGS)

check: setup-test ## format, compiler warnings of gcc and clang, scripts, guards
	@scripts/check.sh

fmt: setup-test ## format all C
	@scripts/check.sh --fix

fuzz: setup-test ## run every fuzz target for a while
	@fuzz/run.sh $(ARGS)

clean: ## remove what was built; keeps .deps and local/run
	rm -rf $(BUILD) build-*
