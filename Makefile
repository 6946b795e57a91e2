# Two commands are all a newcomer needs: `make sweep` and `make test`.
BIN := .venv/bin
PY := proto common agent controller tests bench

N ?= 1000

.PHONY: sim restarts watched soak chaos fuzz sweep test test-faults lint proto schema lock bench bench-diagnose sbom install format image kube-up kube-down test-kube test-kube-smoke

sweep: install
	$(BIN)/netmesh-controller sweep --lab 4

test:
	@scripts/install test
	scripts/test $(ARGS)

# What goes wrong on purpose: faults that `diagnose` has to name; agents, controllers, databases that die or are hostile.
test-faults:
	@scripts/install test
	scripts/test faults $(ARGS)

# A real Kubernetes cluster on this machine; docs/kubernetes-tests.md. Commands keep what they compiled: hundreds start.
KUBE_TESTS := env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest
test-kube:
	@scripts/install kube
	$(KUBE_TESTS) tests/kube $(ARGS)

test-kube-smoke:
	@scripts/install kube
	$(KUBE_TESTS) tests/kube/test_smoke.py $(ARGS)

kube-up:
	@scripts/install kube
	@$(BIN)/python -m tests.kube.cluster up $(ARGS)

kube-down: install
	@$(BIN)/python -m tests.kube.cluster down

image:
	scripts/image $(ARGS)

lint: install
	scripts/lint

# Whatever comes in, changed by chance, CASES times each; docs/fuzz.md.
FUZZED := tests/fuzz tests/agent/tools/test_mutated_output.py tests/agent/tools/test_sockperf_mutated.py tests/agent/tools/test_own.py \
	tests/agent/stamp/test_reflection.py tests/agent/stamp/test_loopback.py tests/controller/mesh/test_lines.py

fuzz: install
	NETMESH_FUZZ_CASES=$(or $(CASES),10000) $(BIN)/python -m pytest $(FUZZED) -k "fuzz or hostile or mutated or taken" --timeout 3600 $(ARGS)

# What goes wrong in mid-sweep, a row a case; docs/chaos.md.
chaos: install
	NETMESH_CHAOS=full $(BIN)/python -m pytest -s tests/chaos --timeout 600 $(ARGS)

# Monitoring and sweeps in a lab under churn for MINUTES; docs/soak.md.
soak: install
	$(BIN)/python -m tests.soak --minutes $(or $(MINUTES),30) $(ARGS)

# The real controller over N simulated agents, in a network of its own; docs/scale.md.
sim: install
	unshare --net sh -c 'ip link set lo up && exec $(BIN)/python -m tests.sim --nodes $(N) $(ARGS)'

# Controller, agent and database killed one after the other, and what the history has of it: five minutes.
restarts: install
	unshare --net sh -c 'ip link set lo up && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && exec $(BIN)/python -m tests.restarts'

# What the pages show of a lab while a link loses, a node gets slow and an agent goes away: six minutes.
watched: install
	unshare --net sh -c 'ip link set lo up && exec $(BIN)/python -m tests.watched $(ARGS)'

bench: install
	$(BIN)/python -m bench $(ARGS)

bench-diagnose: install
	$(BIN)/python -m bench diagnose

# What is in each image, as CycloneDX: build/sbom.
sbom: install
	@scripts/sbom $(ARGS)

format: install
	$(BIN)/ruff check --fix $(PY) && $(BIN)/ruff format $(PY)

proto: install
	scripts/proto

schema: install
	scripts/schema

lock: install
	scripts/lock

install:
	@scripts/install
