# Every target does the set-up that it needs. The first run compiles Kubernetes and Envoy Gateway, once.
# CLUSTER=local|current chooses where; CLUSTER_NAME names a local one.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
# An error message names the cause. Set RUST_BACKTRACE=1 for the place in the source.
export RUST_BACKTRACE ?= 0

# Every target builds the whole workspace's resolution (see `default-members`), so nothing is compiled for a second time.
CU_CLUSTER := cargo run --quiet --locked --bin cu-cluster --
CHART := charts/computing-unit-operator
# The programs, and the kubeconfig of the cluster that is up. Where there is none, kubectl fails rather than
# speak to another cluster that it knows.
ENV := export PATH="$(CURDIR)/.cluster/bin:$$PATH"
ifneq ($(CLUSTER),current)
ENV += KUBECONFIG="$(CURDIR)/.cluster/kubeconfig"
endif
WITH_CLUSTER := $(ENV);
# How many tests run on the cluster at a time. Most of them wait.
E2E_THREADS ?= 8

.PHONY: help
help: ## Show this
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14
	@echo "CLUSTER=local (default) or current (that of kubectl's context); CLUSTER_NAME=... another local one beside this"

.PHONY: demo
demo: cluster images plugin ## A unit from its creation to its end, through the real gateway
	@$(WITH_CLUSTER) cargo run --quiet --locked --bin demo

.PHONY: texera
texera: cluster images plugin ## A deployment of Texera's shape: static routes, units and authorization behind one gateway
	@$(WITH_CLUSTER) cargo run --quiet --locked --bin texera

.PHONY: test
test: ## Everything that has to pass: format, lints, unit tests, charts, tests on the cluster. Says what took how long
	@.ci/parts build lint unit helm-lint cluster engine-image e2e

.PHONY: build
build: ## Compile every program of the workspace
	@cargo build --locked --workspace --bins

.PHONY: lint
lint: deny ## Format, lints, dependencies
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
	cargo clippy --locked --workspace --test suite --quiet -- -D warnings

# cargo-deny is compiled once into the cache, which takes about five minutes on two cores.
DENY_VERSION := 0.20.2
DENY := $${XDG_CACHE_HOME:-$$HOME/.cache}/computing-unit-operator/cargo-deny-$(DENY_VERSION)
INSTALL_DENY := [ -x "$(DENY)/bin/cargo-deny" ] || \
  cargo install cargo-deny --quiet --locked --version $(DENY_VERSION) --root "$(DENY)"

.PHONY: deny
deny: ## Check licenses and sources of dependencies, by deny.toml
	@$(INSTALL_DENY)
	@"$(DENY)/bin/cargo-deny" --locked check bans licenses sources

.PHONY: advisories
advisories: ## Check dependencies for security advisories; needs a network
	@$(INSTALL_DENY)
	@"$(DENY)/bin/cargo-deny" --locked check advisories

.PHONY: unit
unit: helm ## Tests that need no cluster
	@$(WITH_HELM) cargo test --locked --quiet --workspace --tests

.PHONY: helm-lint
helm-lint: helm ## Check the charts
	@$(WITH_HELM) helm lint --strict --quiet $(CHART) $(UNRESOLVABLE)
	@$(WITH_HELM) for values in laptop production; do \
	  helm lint --strict --quiet charts/texera-gateway --values charts/texera-gateway/values-$$values.yaml \
	  --set units.pool.image=registry.invalid/engine; done
	@$(WITH_HELM) helm lint --strict --quiet integrations/texera/chart --set computingUnitOperator.enabled=true \
	  --values integrations/texera/chart/texera-values.yaml

.PHONY: e2e
e2e: cluster engine-image plugin ## Tests on the cluster; some of them: make e2e TEST="drift rollout::a_failed"
	@$(WITH_CLUSTER) cargo test --locked --workspace --test suite -- $(TEST) --test-threads=$(E2E_THREADS)

.PHONY: pictures
pictures: ## Take the screenshots of docs/images again
	@PICTURES=docs/images $(MAKE) e2e TEST="documented::code_server documented::jupyterlab wake_browser::a_browser"

.PHONY: java-client
java-client: ## Tests of the client for the JVM and of the class for Texera's manager, on the cluster
	@$(MAKE) e2e TEST=java_client

.PHONY: java-client-package
java-client-package: ## Build the client for the JVM with its sources and documentation, into clients/java/target
	@mvn --batch-mode --no-transfer-progress --quiet --file clients/java/pom.xml --activate-profiles release -Dmaven.test.skip=true package

.PHONY: bench
bench: cluster plugin ## Measure (BENCH="--starts 20 speed" for less); the tables of docs/performance.md
	@cargo build --locked --release --workspace --bins
	@cargo run --quiet --locked --release --bin cu-cluster -- images
	@$(WITH_CLUSTER) cargo run --quiet --locked --release --bin bench -- $(BENCH)

# A cluster that is up without an audit log gets one. It stays until `make down`, and costs the API server CPU time.
.PHONY: bench-scale
bench-scale: build plugin ## Measure with many units (BENCH="--fill 100 --delete-all" for less); tables, JSON and plots
	@$(CU_CLUSTER) up --audit
	@cargo build --locked --release --workspace --bins
	@cargo run --quiet --locked --release --bin cu-cluster -- images engine
	@$(WITH_CLUSTER) cargo run --quiet --locked --release --bin bench-scale -- $(BENCH)

.PHONY: cluster
cluster: build ## Bring the cluster up; writes .cluster/kubeconfig
	@$(CU_CLUSTER) up

.PHONY: images
images: cluster ## Bring the images of this project into the cluster
	@$(CU_CLUSTER) images

.PHONY: applications
applications: cluster ## Bring JupyterLab, code-server and an application of Shiny into the cluster, for the tutorials
	@$(CU_CLUSTER) applications

# Tests run the operator as a process: the one that needs its image brings it.
.PHONY: engine-image
engine-image: cluster
	@$(CU_CLUSTER) images engine

# One program; by the name that it is called with it knows what it is asked.
PLUGIN_NAMES := kubectl-cu kubectl-create-computingunit kubectl_complete-cu

.PHONY: plugin
plugin: build ## Build the kubectl plugins into .cluster/bin
	@mkdir -p .cluster/bin
	@program="$$(cargo metadata --locked --no-deps --format-version 1 | sed -E 's/.*"target_directory":"([^"]*)".*/\1/')/debug/kubectl-cu"; \
	for name in $(PLUGIN_NAMES); do ln -sfn "$$program" .cluster/bin/$$name; done

# Where the archives of a release will be.
KREW_URL ?= https://example.org/releases

.PHONY: krew
krew: ## Pack kubectl cu for krew, with its manifest, into target/krew; KREW_URL says where the archive will be
	@cargo build --locked --release --package kubectl-computing-unit
	@kubectl/krew/pack.sh target/release/kubectl-cu \
	  "$$(cargo pkgid --locked --package kubectl-computing-unit | sed 's/.*[#@]//')" "$(KREW_URL)" target/krew

.PHONY: release
release: helm ## Make a release into target/release-artifacts: make release RELEASE="--sign KEY --download-url URL", or --snapshot
	@$(WITH_HELM) release/make.sh $(RELEASE)

.PHONY: release-check
release-check: helm ## Install the release in target/release-artifacts on a cluster of its own, from its files only
	@$(WITH_HELM) release/install-test.sh target/release-artifacts

.PHONY: env
env: ## Print what puts kubectl, the plugins and the kubeconfig into a shell: eval "$(make env)"
	@echo '$(ENV)'
	@[ "$(CLUSTER)" = current ] || [ -e .cluster/kubeconfig ] || \
	  { echo 'there is no cluster yet: run `make demo` (or `make cluster plugin`)' >&2; echo false; }

.PHONY: down
down: ## Take the cluster down, with all that is left of it
	@$(CU_CLUSTER) down

.PHONY: generate
# The top-level domain is reserved, so nobody can publish an image of this name.
UNRESOLVABLE := --set image.repository=registry.invalid/computing-unit-operator
generate: helm ## Write what is generated: crds/, docs/api.md, the chart's copies, config/install.yaml
	cargo run --quiet --locked --bin computing-unit-operator -- crd --dir crds --api-doc docs/api.md
	cp crds/*.yaml $(CHART)/files/crds/
	@$(WITH_HELM) { cat config/namespace.yaml; \
	  helm template computing-unit-operator $(CHART) --namespace computing-unit-system --no-hooks $(UNRESOLVABLE); } > config/install.yaml

# Helm, from the cache of the cluster's programs.
.PHONY: helm
helm: build
	@$(CU_CLUSTER) helm > /dev/null
WITH_HELM := set -a; PATH="$$PWD/.cluster/bin:$$PATH";
