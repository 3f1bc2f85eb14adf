# The commands of this repository; `make help` lists them. All that is built goes to .build.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

SWIFT ?= swift
PREFIX ?= /usr/local
DESTDIR ?=
# Without this check a target could import a sibling that it does not declare, if that was built before it.
CHECKS := --explicit-target-dependency-import-check error
RELEASE := -c release --static-swift-stdlib $(CHECKS)
PACKAGES := bubblewrap libsqlite3-dev libcurl4-openssl-dev python3 git ca-certificates tzdata

# The program that the Python tests run; the supervisor lies beside it.
MARTLET ?= $(CURDIR)/.build/debug/martlet
RELEASED := $(CURDIR)/.build/release/martlet
MARTLET_CONFORMANCE ?= ../shared
MARTLET_GOLDEN ?= ../shared/golden
# Arguments for the Python programs, for example ARGS="--jobs 8 --only dag".
ARGS ?=

export PYTHONDONTWRITEBYTECODE := 1

.PHONY: help
help: ## List the commands.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-24s %s\n", $$1, $$2 }' Makefile

.PHONY: setup
setup: ## Install the system packages that are missing (Debian and its kin).
	@if ! command -v dpkg-query >/dev/null; then
		echo "setup: not a Debian system; these are needed under their names here: $(PACKAGES)"
	else
		missing=()
		for package in $(PACKAGES); do
			status=$$(dpkg-query -W -f='$${db:Status-Status}' "$$package" 2>/dev/null || true)
			[ "$$status" = installed ] || missing+=("$$package")
		done
		if [ $${#missing[@]} -gt 0 ]; then
			root=(); [ "$$(id -u)" = 0 ] || root=(sudo)
			echo "setup: installing $${missing[*]}"
			"$${root[@]}" apt-get update -q
			DEBIAN_FRONTEND=noninteractive "$${root[@]}" apt-get install -q -y --no-install-recommends "$${missing[@]}"
		fi
	fi
	command -v "$(SWIFT)" >/dev/null || { echo "setup: Swift 6.3 is needed: https://www.swift.org/install"; exit 1; }

.PHONY: build
build: setup ## Build for development.
	$(SWIFT) build $(CHECKS)

.PHONY: release
release: setup ## Build as it is shipped: optimized, the Swift library inside.
	$(SWIFT) build $(RELEASE)

.PHONY: demo
demo: ## From data to a deployed model in minutes: train, evaluate, quantize, serve; ARGS=--keep keeps the page up.
	@# The arithmetic is optimized in both builds: the demo takes two minutes with one for development, else one.
	if [ -x "$(RELEASED)" ]; then kind=release; else kind=build; fi
	$(MAKE) --no-print-directory $$kind
	program="$(RELEASED)"; [ "$$kind" = release ] || program="$(MARTLET)"
	python3 workflows/quickstart/demo.py --martlet "$$program" $(ARGS)

.PHONY: test
test: setup ## All tests: Swift, examples, conformance, faults in their short form.
	$(SWIFT) build --build-tests $(CHECKS)
	# The server's tests wait for sockets; beside simulations that hold all threads for a minute they would time out.
	swift_test() {
		local log=.build/test.log
		$(SWIFT) test --skip-build $(CHECKS) "$$@" 2>&1 | tee "$$log" && return
		echo "test: what failed, once more:"
		grep -E '^✘ .*(recorded an issue|Caught)|^↳ [^TS]|error:|Fatal' "$$log" | cut -c1-500 | head -n 15
		exit 1
	}
	swift_test --skip WebServerTests
	swift_test --filter WebServerTests
	python3 Tests/Conformance/run.py --martlet "$(MARTLET)" --workflows workflows
	if [ -d "$(MARTLET_CONFORMANCE)" ]; then
		python3 Tests/Conformance/run.py --martlet "$(MARTLET)" "$(MARTLET_CONFORMANCE)" $(ARGS)
	else
		echo "test: no folder $(MARTLET_CONFORMANCE), so no conformance cases; MARTLET_CONFORMANCE=DIR names one"
	fi
	$(MAKE) --no-print-directory golden-cases
	python3 Tests/Faults/kill.py --martlet "$(MARTLET)" --short
	python3 Tests/Faults/training_kill.py --martlet "$(MARTLET)" --short
	python3 Tests/Faults/hub_faults.py --martlet "$(MARTLET)" --short
	python3 Tests/Faults/deploy_check.py --martlet "$(MARTLET)" --short
	python3 Tests/Faults/pipeline_kill.py --martlet "$(MARTLET)" --short
	python3 Tests/Faults/kubernetes_failover.py --martlet "$(MARTLET)" --short
	python3 Tests/Faults/pods_kill.py --bin "$(dir $(MARTLET))" --short
	python3 workflows/quickstart/demo.py --martlet "$(MARTLET)" --short
	python3 Tests/Interop/peft_check.py --martlet "$(MARTLET)"
	# Of the server what needs no more than Python and openssl; `make test-service` has the rest.
	python3 Tests/Interop/server_check.py --martlet "$(MARTLET)"
	python3 Tests/Interop/stream_check.py --martlet "$(MARTLET)"
	python3 Tests/Faults/hostile_client.py --martlet "$(MARTLET)" --short paths origins

.PHONY: test-conformance
test-conformance: build ## Run the cases of MARTLET_CONFORMANCE=DIR (default ../shared).
	python3 Tests/Conformance/run.py --martlet "$(MARTLET)" "$(MARTLET_CONFORMANCE)" $(ARGS)

.PHONY: test-kubernetes
test-kubernetes: build ## Run the same cases as pods; MARTLET_TEST_KUBECONFIG=FILE takes a real cluster.
	python3 Tests/Conformance/kubernetes.py "$(MARTLET_CONFORMANCE)/argo-examples" "$(MARTLET_CONFORMANCE)/argo-semantics" $(ARGS)

# Kubernetes' schemas and a YAML reader for the checks of objects; megabytes.
OBJECTS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/martlet-bench/objects

.PHONY: test-kubernetes-objects
test-kubernetes-objects: build ## Image, chart, manifests and rendered workflows by Kubernetes' schemas (PyPI; kubectl).
	[ -x "$(OBJECTS)/bin/python" ] || python3 -m venv "$(OBJECTS)"
	"$(OBJECTS)/bin/pip" install -q kubernetes-validate PyYAML jsonschema
	program="$(MARTLET)"; [ ! -x "$(RELEASED)" ] || program="$(RELEASED)"
	python3 Tests/Interop/image_check.py --martlet "$$program"
	"$(OBJECTS)/bin/python" Tests/Interop/chart_check.py
	"$(OBJECTS)/bin/python" Tests/Interop/chart_run_check.py --martlet "$(MARTLET)"
	MARTLET_CONFORMANCE="$(MARTLET_CONFORMANCE)" "$(OBJECTS)/bin/python" Tests/Interop/kubernetes_check.py --martlet "$(MARTLET)" $(ARGS)

.PHONY: test-golden
test-golden: build golden-cases ## Compare with the reference stack's numbers in MARTLET_GOLDEN=DIR (default ../shared/golden).

.PHONY: golden-cases
golden-cases:
	@if [ ! -d "$(MARTLET_GOLDEN)" ] && [ "$(origin MARTLET_GOLDEN)" = file ]; then
		echo "test: no folder $(MARTLET_GOLDEN), so no golden cases; MARTLET_GOLDEN=DIR names one"
	else
		.build/debug/GoldenRunner "$(MARTLET_GOLDEN)"
	fi

.PHONY: test-examples
test-examples: build ## Run each workflow of workflows/ and check what it says of itself.
	python3 Tests/Conformance/run.py --martlet "$(MARTLET)" --workflows workflows $(ARGS)

.PHONY: test-faults
test-faults: release ## Kill, stop and starve runs of 1,000 steps; `ARGS="--seed N"` repeats one.
	python3 Tests/Faults/kill.py --martlet "$(RELEASED)" $(ARGS)
	python3 Tests/Faults/training_kill.py --martlet "$(RELEASED)" $(ARGS)
	python3 Tests/Faults/hub_faults.py --martlet "$(RELEASED)" $(ARGS)
	python3 Tests/Faults/deploy_check.py --martlet "$(RELEASED)" $(ARGS)
	python3 Tests/Faults/pipeline_kill.py --martlet "$(RELEASED)"

.PHONY: test-kubernetes-faults
test-kubernetes-faults: release ## Kill servers whose steps run as pods of the tests' cluster: one again and again, then two with one Lease.
	python3 Tests/Faults/pods_kill.py --bin "$(dir $(RELEASED))" $(ARGS)
	python3 Tests/Faults/kubernetes_failover.py --martlet "$(RELEASED)" $(ARGS)

# An environment for the clients and readers that others wrote; benchmarks have theirs beside it.
INTEROP := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/martlet-bench/interop
INTEROP_PACKAGES := pyarrow huggingface_hub "moto[server]" boto3 torch transformers safetensors compressed-tensors

.PHONY: test-interop
test-interop: release ## What other programs make of ours and back: PEFT, lm-eval, huggingface_hub, pyarrow, moto (gigabytes from PyPI).
	[ -x "$(INTEROP)/bin/python" ] || python3 -m venv "$(INTEROP)"
	"$(INTEROP)/bin/pip" install -q $(INTEROP_PACKAGES)
	"$(INTEROP)/bin/python" Tests/Interop/hub_client.py --martlet "$(RELEASED)"
	"$(INTEROP)/bin/python" Tests/Interop/registry_check.py --martlet "$(RELEASED)"
	"$(INTEROP)/bin/python" Tests/Interop/parquet_check.py --martlet "$(RELEASED)"
	"$(INTEROP)/bin/python" Tests/Interop/s3_check.py --martlet "$(RELEASED)"
	"$(INTEROP)/bin/python" Tests/Interop/pods_s3_check.py --martlet "$(RELEASED)"
	"$(INTEROP)/bin/python" Tests/Interop/quantized_check.py --martlet "$(RELEASED)"
	MARTLET_LM_EVAL_CHECK=1 python3 Tests/Interop/lm_eval_check.py --martlet "$(RELEASED)"
	MARTLET_PEFT_CHECK=1 python3 Tests/Interop/peft_check.py --martlet "$(RELEASED)"

# Another's imitation of Kubernetes, to compare the API server of the tests with; needs Python 3.11.
KMOCK := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/martlet-bench/kmock

.PHONY: test-kmock
test-kmock: build ## The API server of the tests against kmock (PyPI): the same requests, the same answers.
	[ -x "$(KMOCK)/bin/python" ] || python3 -m venv "$(KMOCK)"
	"$(KMOCK)/bin/pip" install -q kmock
	"$(KMOCK)/bin/python" Tests/Interop/kmock_check.py

.PHONY: test-kubernetes-api
test-kubernetes-api: release ## Kubernetes' own API server, from Debian's source: what ours answers, the Role, the conformance manifests.
	cases=(); for folder in "$(MARTLET_CONFORMANCE)"/argo-{examples,semantics}; do
		[ ! -d "$$folder" ] || cases+=(--conformance "$$folder")
	done
	python3 Tests/Interop/kubernetes_api_check.py --bin "$(dir $(RELEASED))" "$${cases[@]}" $(ARGS)

# The clients that others wrote for what the server speaks; megabytes, unlike those above.
CLIENTS := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/martlet-bench/clients

.PHONY: clients
clients:
	@packages=()
	for pair in chromium:chromium promtool:prometheus node:nodejs; do
		command -v "$${pair%%:*}" >/dev/null || packages+=("$${pair##*:}")
	done
	python3 -c 'import ensurepip' 2>/dev/null || packages+=(python3-venv)
	if [ $${#packages[@]} -gt 0 ]; then
		root=(); [ "$$(id -u)" = 0 ] || root=(sudo)
		"$${root[@]}" apt-get update -q
		DEBIAN_FRONTEND=noninteractive "$${root[@]}" apt-get install -q -y --no-install-recommends "$${packages[@]}"
	fi
	[ -x "$(CLIENTS)/bin/python" ] || python3 -m venv "$(CLIENTS)"
	"$(CLIENTS)/bin/pip" install -q hera argo-workflows schemathesis croniter playwright openai

.PHONY: test-service
test-service: build service-checks ## The servers as their clients see them: Hera, Argo's and OpenAI's clients, schemathesis, croniter (PyPI), Prometheus, Chromium, rude clients.

.PHONY: service-checks
service-checks: clients
	# These need nothing but Python and openssl.
	python3 Tests/Interop/server_check.py --martlet "$(MARTLET)"
	python3 Tests/Interop/stream_check.py --martlet "$(MARTLET)"
	python3 Tests/Interop/remote_cli_check.py --martlet "$(MARTLET)"
	python3 Tests/Faults/hostile_client.py --martlet "$(MARTLET)"
	# These need Debian's Node, Prometheus and Chromium, and clients from PyPI.
	python3 Tests/Interop/dashboard_check.py --martlet "$(MARTLET)"
	node --test Tests/Web/
	"$(CLIENTS)/bin/python" Tests/Interop/hera_check.py --martlet "$(MARTLET)"
	"$(CLIENTS)/bin/python" Tests/Interop/hera_pipeline_check.py --martlet "$(MARTLET)"
	"$(CLIENTS)/bin/python" Tests/Interop/argo_client_check.py --martlet "$(MARTLET)"
	"$(CLIENTS)/bin/python" Tests/Interop/openai_check.py --martlet "$(MARTLET)"
	"$(CLIENTS)/bin/python" Tests/Interop/openapi_check.py --martlet "$(MARTLET)"
	"$(CLIENTS)/bin/python" Tests/Interop/cron_check.py --martlet "$(MARTLET)"
	"$(CLIENTS)/bin/python" Tests/Interop/prometheus_check.py --martlet "$(MARTLET)"
	"$(CLIENTS)/bin/python" Tests/Interop/page_check.py $(ARGS)
	"$(CLIENTS)/bin/python" Tests/Interop/page_forms_check.py $(ARGS)
	"$(CLIENTS)/bin/python" Tests/Interop/page_models_check.py --martlet "$(MARTLET)"

.PHONY: web-list
web-list: ## Write the list of the page's files anew, after one was added to web/ or removed.
	@sh Sources/CWebPage/write_list.sh

.PHONY: soak
soak: release ## Rude clients against the model server for three minutes.
	python3 Tests/Soak/soak.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-engine
bench-engine: release ## Steps a second and the like, against make, xargs, bwrap and Luigi.
	python3 Benchmarks/engine.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-limits
bench-limits: release ## What is too big is refused, quickly and in clear words.
	python3 Benchmarks/limits.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-inference
bench-inference: release ## Prefill, decode and parallel streams, against llama.cpp.
	python3 Benchmarks/inference.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-training
bench-training: release ## SFT and DPO against PyTorch, PEFT and TRL; packing, gradient checkpointing, threads.
	python3 Benchmarks/training.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-learning
bench-learning: release ## Pretraining, SFT and DPO that must reach something, with data made from a seed.
	python3 Benchmarks/learning.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-modules
bench-modules: release ## Download against curl, evaluation against lm-eval and transformers, quantization.
	python3 Benchmarks/modules.py --martlet "$(RELEASED)" $(ARGS)
	python3 Benchmarks/evaluation.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-pipeline
bench-pipeline: release ## What the engine itself takes of the quickstart pipeline's time, and how long a step takes to start.
	python3 Benchmarks/pipeline.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-kubernetes
bench-kubernetes: release ## Requests, overhead and memory of the controller with 1,000 and 5,000 pods, on the cluster of the tests.
	python3 Benchmarks/kubernetes.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: bench-service
bench-service: release clients ## Lists, watchers, submissions and idle cost of the server, beside Prefect's.
	"$(CLIENTS)/bin/python" Benchmarks/service.py --martlet "$(RELEASED)" $(ARGS)

.PHONY: format
format: ## Format the Swift sources.
	$(SWIFT) format --in-place --parallel --recursive Package.swift Sources Tests

.PHONY: format-check
format-check: ## Say which Swift sources are not formatted.
	$(SWIFT) format lint --strict --parallel --recursive Package.swift Sources Tests

.PHONY: install
install: release ## Install to PREFIX (default /usr/local).
	install -d "$(DESTDIR)$(PREFIX)/bin" "$(DESTDIR)$(PREFIX)/libexec/martlet"
	install -m 755 "$(RELEASED)" "$(DESTDIR)$(PREFIX)/bin/martlet"
	install -m 755 .build/release/Supervisor "$(DESTDIR)$(PREFIX)/libexec/martlet/martlet-supervisor"

.PHONY: clean
clean: ## Remove all that was built.
	rm -rf .build
