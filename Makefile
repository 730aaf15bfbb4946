# What one types. Every target installs what is missing first, and says so.
.PHONY: help run test clients check verify fix fuzz setup

help:
	@echo 'make run      build, and start a cluster of three members on this machine'
	@echo '              (ARGS="--members 1 --data-dir DIR --base-port PORT" to change that)'
	@echo 'make test     build, and run every test (ARGS=name runs those whose name contains it)'
	@echo 'make clients  run Python, Node and Rust clients of others against the binary, and their own tests'
	@echo '              (ARGS="python node rust" chooses; wants port 2379 and, once, the network)'
	@echo 'make check    formatting, lints and documentation; writes nothing'
	@echo 'make verify   check, then test: what CI runs'
	@echo 'make fix      format, and apply what the linter can'
	@echo 'make fuzz     run the fuzz targets (ARGS="TARGET SECONDS"; docs/fuzzing.md)'

setup:
	@scripts/setup.sh

run: setup
	@scripts/run.sh $(ARGS)

test: setup
	@scripts/test.sh $(ARGS)

clients: setup
	@scripts/clients.sh $(ARGS)

check: setup
	@scripts/check.sh

verify: check
	@$(MAKE) --no-print-directory test

fix: setup
	@. scripts/env.sh && cargo fmt --all && cargo fmt --manifest-path fuzz/Cargo.toml && cargo clippy --locked --all-targets --fix --allow-dirty --allow-staged

fuzz: setup
	@scripts/fuzz.sh $(ARGS)
