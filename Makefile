# SPDX-License-Identifier: Apache-2.0
# Thin: the scripts and meson do the work. `make build` leaves the programs in build/.
.PHONY: build run test bench lint fuzz soak install uninstall clean

build:
	tools/build build

run:
	script/up

test:
	script/test

bench: build
	bench/run build

lint:
	tools/lint

fuzz:
	CC=clang tools/build build-fuzz -Dfuzz=true -Db_sanitize=address,undefined
	tools/fuzz build-fuzz $${WICK_FUZZ_SECONDS:-600}

soak: build
	tests/soak build

# DESTDIR is honoured.
install: build
	meson install -C build --no-rebuild

uninstall:
	ninja -C build uninstall

clean:
	rm -rf build build-test build-tsan build-fuzz build-clang
