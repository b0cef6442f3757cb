# make test is all that a change has to pass. It installs what is missing
# (Debian packages, as root or with sudo), starts the servers it needs on
# loopback and stops them again.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export PATH := $(PATH):/usr/local/go/bin

STATICCHECK := v0.7.0
GOTESTSUM := v1.13.0
FUZZTIME ?= 10s
HOURS ?= 8
ROUNDS ?= 300

.PHONY: build test unit e2e lint vet fuzz bench soak chaos mutate audio web

build:
	go build -trimpath -o bin/ringfence ./cmd/ringfence

# What the fuzz targets need is compiled beside the tests, which wait more than
# they work. They run afterwards: beside the tests they would get to no input.
test: install vet bin/gotestsum-$(GOTESTSUM)
	$(MAKE) -j 2 unit fuzz-build
	$(MAKE) fuzz

.PHONY: install
install:
	@test/install.sh

vet:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -l $$(git ls-files '*.go'); echo "make: gofmt these files"; exit 1; }
	go vet ./...

# The longest packages begin first. A test that fails beside all the others is
# run once more by itself, as long as few did: browsers,
# telephones and databases on a machine that gives them no time look like faults.
# Every such second try is named at the end; one that comes back is a defect.
unit: bin/gotestsum-$(GOTESTSUM)
	test/unit.sh $<

bin/gotestsum-$(GOTESTSUM):
	@mkdir -p bin
	GOBIN=$(CURDIR)/bin/tmp-gotestsum go install gotest.tools/gotestsum@$(GOTESTSUM)
	@mv bin/tmp-gotestsum/gotestsum $@ && rmdir bin/tmp-gotestsum

e2e: install
	go test -count 1 -timeout 15m -v ./test/e2e ./test/script

fuzz:
	test/fuzz.sh $(FUZZTIME)

.PHONY: fuzz-build
fuzz-build:
	nice -n 19 test/fuzz.sh build

# A minute for each target, and random callers against the proof.
.PHONY: fuzz-minute
fuzz-minute:
	$(MAKE) fuzz FUZZTIME=1m
	go test -count 1 -timeout 0 -run 'Executor|Mutants' ./flows -executor.calls 200000 -executor.mutants 2000

# lint also asks about known holes in libraries, where that list can be reached.
lint: vet bin/staticcheck-$(STATICCHECK)
	bin/staticcheck-$(STATICCHECK) ./...
	go test ./test/arch
	@test/vulnerable.sh

bin/staticcheck-$(STATICCHECK):
	@mkdir -p bin
	GOBIN=$(CURDIR)/bin/tmp go install honnef.co/go/tools/cmd/staticcheck@$(STATICCHECK)
	@mv bin/tmp/staticcheck $@ && rmdir bin/tmp

bench:
	go test -run '^$$' -bench . -benchmem ./...

# What things cost as the store grows, ten times as much at each step, up to
# GROWN subjects and entries. A million take some 2.2 GiB below TMPDIR and half
# an hour; make bench goes to ten thousand.
GROWN ?= 1000000
.PHONY: growth
growth:
	go test ./gate -run XXX -bench Growth -benchtime 1x -v -timeout 0 -gate.grown $(GROWN)

# Calls over loopback by a call bench of your own: make callbench BENCH=folder
# ARGS='--modes setup,bridge'. The folder has a drive.py; test/bench/run.sh says
# how it is called.
.PHONY: callbench
callbench: build
	test/bench/run.sh bin/ringfence $(BENCH) $(ARGS)

# What bridged calls cost as they become more: make linear BENCH=folder.
.PHONY: linear
linear: build
	test/bench/linear.sh bin/ringfence $(BENCH) $(ARGS)

# What it costs to verify a call's PASSporT: make stirbench BENCH=folder.
.PHONY: stirbench
stirbench: build
	test/bench/stir.sh bin/ringfence $(BENCH) $(ARGS)

# kill -9 while releases are opened, permitted and redeemed, on SQLite and on
# PostgreSQL; 20 and 4 rounds in make test. Two nodes and a failover; then random
# events, crashes and clock steps against the model of the gate.
STEPS ?= 1000000
chaos: install
	E2E_ROUNDS=$(ROUNDS) go test -count 1 -timeout 0 -v -run 'Kill|TwoNodes' ./test/e2e
	go test -count 1 -timeout 0 -v -run 'TestFailover|StandsStill|StandbyAway' ./store/postgres
	go test -count 1 -timeout 0 -v -run 'TestModel' ./gate -gate.steps $(STEPS)

soak: install
	E2E_SOAK=$(HOURS)h go test -count 1 -timeout 0 -v -run 'Soak' ./test/e2e

# A minute of garbage at 100,000 messages a second from a thousand addresses.
.PHONY: flood
flood:
	FLOOD=1m go test -count 1 -timeout 5m -v -run 'TestFlood$$' ./b2bua

# The rooms in which a changed line could let money go: docs/mutation.md.
mutate:
	go run ./test/mutate -workers 2

audio:
	scripts/audio/render.sh

# The browser's files are built by Go's own esbuild; npm is needed only for the
# type check and to refresh web/third_party.
web:
	go generate ./web
