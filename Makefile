# make            lists the targets
# make demo       install, build, and forward between two virtual NICs for ten seconds
# make test       install, build, tests

NODE ?= node
NPM ?= npm
STAMP := node_modules/.ixy-ts-installed
BIN := node_modules/.bin
SOURCES := $(shell find src -name '*.ts' -o -name '*.css' -o -name '*.html' 2>/dev/null) build.mjs assemblyscript.mjs package.json

.DEFAULT_GOAL := help
.PHONY: soak help install build deb demo test test-docs test-more lint lint-rules lint-text api bench test-guest guest-tree vm clean
MAKEFLAGS += --no-print-directory

help:
	@echo "make install     npm packages, as package-lock.json names them"
	@echo "make build       bundles src/ into dist/"
	@echo "make deb         a package for Debian and Ubuntu, in dist/"
	@echo "make demo        forwards between two virtual NICs, flat out, for ten seconds (no root, no NIC)"
	@echo "make test        all tests but these (what needs root runs as root)"
	@echo "make test-docs   all that the documentation shows works as printed"
	@echo "make test-more   the packages, the drivers on QEMU's network cards, runs that must not allocate"
	@echo "make lint        eslint, prettier and the type check"
	@echo "make api         writes docs/api.md from the docstrings"
	@echo "make bench       the driver against C on the same work"
	@echo "make test-guest  the tool in a Linux guest under QEMU (root)"
	@echo "make vm          a shell in a virtual machine with two virtio cards and an 82599 (no root, no NIC)"
	@echo "make guest-tree  only fetches what test-guest needs (180 MB, once); test-more judges drivers with its QEMU"
	@echo "make soak        hours of random combinations, kills, hostile messages, packets, filters, and guests (root)"
	@echo "make clean       removes dist/, node_modules/ and what was compiled for them"

install: $(STAMP)

# What a fresh machine lacks is said before anything is installed. No package's own installation script is run: none is needed.
$(STAMP): package-lock.json
	@command -v $(NODE) >/dev/null || { echo "Node.js is missing: see README.md, \"What you need\"" >&2; exit 1; }
	@$(NODE) bin/node-version.cjs
	@command -v $(NPM) >/dev/null || \
	  { echo "npm is missing; Debian and Ubuntu have it in a package of its own: sudo apt install npm" >&2; exit 1; }
	@echo "installing npm packages"
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

build: dist/cli.cjs

dist/cli.cjs: $(STAMP) $(SOURCES)
	@$(NODE) build.mjs

# The same sources give the same file, whoever builds it.
deb: build
	@$(NODE) packaging/deb.mjs

# rate=max: as fast as this machine can, whatever a 10 Gbit/s link carries.
demo: build
	@echo "forwarding flat out (rate=max): the rates are this machine's, not limited to the line rate of a link"
	@./bin/ixy-ts forward virtual:gen,rate=max virtual:gen,rate=max --duration 10

# The page of the API, from the docstrings of what src/index.ts exports.
api: $(STAMP)
	@$(NODE) api-page.mjs

# Two at a time, which take about the same.
lint: $(STAMP)
	@$(MAKE) -j2 lint-rules lint-text

lint-rules:
	@$(BIN)/eslint .

lint-text:
	@$(NODE) api-page.mjs --check
	@$(BIN)/prettier --check --log-level warn .
	@$(BIN)/tsc --noEmit
	@$(BIN)/tsc -p src/driver/intel/wasm
	@$(BIN)/tsc -p src/memory/wasm
	@$(BIN)/tsc -p docs/examples/wasm
	@$(BIN)/tsc -p src/driver/virtio/wasm
	@$(BIN)/tsc -p src/vnic/wasm
	@$(BIN)/tsc -p src/apps/tunnel/wasm
	@$(BIN)/tsc -p src/page

# JEST_FLAGS: passed on, as in make test JEST_FLAGS=test/packet
test: build
	@$(BIN)/jest $(JEST_FLAGS)

# WIRE: what is plugged into the 82599, as in make vm WIRE=gen,rate=1kpps
vm: build
	@WIRE=$(or $(WIRE),loop) $(NODE) test/guest/run.mjs --vm

# Some hundred starts of the program.
test-docs: build
	@$(BIN)/jest --testPathIgnorePatterns /node_modules/ $(JEST_FLAGS) -- test/docs

# What takes long, as npm pack, tsc and lintian do, and what wants the machine for itself, one after the other.
# MORE: some of it, as in make test-more MORE=test/qtest
MORE ?= test/packaging test/qtest test/steady
test-more: build
	@$(BIN)/jest -i --testPathIgnorePatterns /node_modules/ $(JEST_FLAGS) -- $(MORE)

# QEMU, a kernel and tools of Debian, once, into .cache/guest: the guest tests fetch them by themselves, test-more uses QEMU if it is there
guest-tree: $(STAMP)
	@$(NODE) test/guest/run.mjs --fetch

# ONLY: names of scenarios, as in make test-guest ONLY=linux-ixgbe
test-guest: build
	@$(NODE) test/guest/run.mjs $(ONLY)

# under ten minutes; nothing else should run
bench: build
	@$(NODE) bench/run.mjs

clean:
	@rm -rf dist coverage node_modules .cache/wasm

# Hours: PARTS (balance, kills, clients, servers, race, packets, filters, guests; the last needs root), SCALE and SEED are explained in test/soak.mjs
soak: build
	@$(NODE) test/soak.mjs
