# The front door. `make demo` and `make test` do all the set-up there is, on a Debian 12 with the Swift toolchain.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo test build bench lint format proto setup setup-system setup-python image-check fuzz clean

BINARY := .build/release/martlet

help: ## show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 14

setup-system:
	@scripts/setup system

setup-python: setup-system
	@scripts/setup python

setup: setup-python ## install system libraries and the Python environments of the tests
	@scripts/setup libraries

build: setup-system ## build the release binary, .build/release/martlet
	swift build -c release --static-swift-stdlib --product martlet

demo: setup-python build ## start Martlet, send it real traces, show what arrived and what it cost, stop it
	@printf '%s\n' openllmetry pydantic | xargs -P 2 -n 1 scripts/setup library
	.venv/bin/python scripts/demo $(BINARY)

test: setup build ## run the unit, house-rule, integration and conformance tests
	scripts/test $(BINARY)

lint: ## check the format; the house rules are part of `make test`
	swift format lint --strict --parallel -r Sources Tests Package.swift

format: ## format every Swift file
	swift format --in-place --parallel -r Sources Tests Package.swift

proto: setup-system ## generate the protobuf-c code again
	scripts/proto

bench: build ## measure; BENCH_DIR=<folder of the benchmark kit>, ARGS=<options of bench.py>
	scripts/bench $(BINARY) $(ARGS)

image-check: build ## run the Dockerfile's last stage in a chroot, without a container engine
	scripts/check-image $(BINARY)

fuzz: setup-system ## run the fuzzers for a short while
	scripts/fuzz

clean: ## remove what was built; .cache and .venv stay
	rm -rf .build
