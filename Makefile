# Two commands: `make compare` runs the main job on the lab, `make test` passes the tests. Both install what they need.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is used is compiled when it is used.
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile
ARGS ?= --calico-mode=ipip,bgp,vxlan

# What the lab and its probes run; python3-venv only where the interpreter is Debian's own.
LAB_PACKAGES := apache2-utils bird2 ethtool iperf iperf3 iproute2 iputils-ping nftables nginx-light procps util-linux
TEST_PACKAGES := $(LAB_PACKAGES) chromium openssh-server tcpdump
VENV_PACKAGE := $(shell $(PYTHON) -c 'import ensurepip' 2>/dev/null || echo python3-venv)

# pytest rewrites the asserts of plugins: where bytecode is not kept, each of the hundreds that the tests start does so anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: compare test test-cluster lint install install-dev clean

compare: install
	$(BIN)/pytest $(ARGS) --html=report.html --self-contained-html --calico-json=results.json

# Three files at a time on two cores: they wait more than they compute; the long ones come first. Then, one by one, the
# tests that others would spoil.
test: install-dev lint
	@failed=0; \
	$(BIN)/pytest tests -n 3 --dist loadfile --no-loadscope-reorder -m "not alone" || failed=1; \
	$(BIN)/pytest tests -m alone || failed=1; \
	exit $$failed

# The contract tests against a real cluster: docs/real-cluster.md says how to name it.
test-cluster: install-dev
	@test -n "$$CALICO_PERF_KUBECONFIG" || { echo "set CALICO_PERF_KUBECONFIG to the kubeconfig of a cluster" >&2; exit 1; }
	$(BIN)/pytest tests/kubernetes/test_contract.py -v

lint: install-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

install: $(VENV)/installed
	@tools/debian-packages $(LAB_PACKAGES)

install-dev: $(VENV)/installed-dev
	@tools/debian-packages $(TEST_PACKAGES)

$(BIN)/python:
	@tools/debian-packages python3 $(VENV_PACKAGE)
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(BIN)/python pyproject.toml
	@echo "Python packages: installing the project into $(VENV)"
	$(PIP) --editable .
	@touch $@

$(VENV)/installed-dev: $(VENV)/installed
	@echo "Python packages: installing what tests and linters need into $(VENV)"
	$(PIP) "pip>=25.1"
	$(PIP) --group dev
	@# Without its requirements, which exclude ours: docs/baselines.md says why that is enough.
	$(PIP) --no-deps "apache-otava>=0.8,<0.9"
	@touch $@

clean:
	rm -rf $(VENV) .artifacts .benchmarks report.html results.json

# The tests that need no lab, on every interpreter from 3.11 on that this machine has. Not part of `make test`: CI's
# machine has one interpreter.
.PHONY: test-pythons
test-pythons: install-dev
	tools/test-pythons
