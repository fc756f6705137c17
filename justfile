# Shows what there is.
default:
    @just --list

# All that CI runs.
check:
    .ci/run

# The tests that look for what fails only now and then: each example N times.
repeat N="100":
    FORKYARD_REPEAT={{ N }} cargo test --test integration -- origin:: real::

# Kills processes that use the channels of a yard, wherever they are, so many in all, and looks whether everything adds up.
stress KILLS="10000" SEED="1":
    FORKYARD_KILLS={{ KILLS }} FORKYARD_SEED={{ SEED }} cargo test --release -p forkyard-ipc --test stress

# The channels of a yard in many more orders of their users' steps, and deaths at any of them.
interleavings SCHEDULES="5000" SEED="1":
    FORKYARD_SCHEDULES={{ SCHEDULES }} FORKYARD_SEED={{ SEED }} cargo test --release -p forkyard-ipc --lib simulation::

# Lets each system call of the engine fail, the first CALLS of a kind, and kills it at each write; prints a table. Needs strace. ONLY: openat,write
sweep CALLS="50" ONLY="":
    FORKYARD_SWEEP={{ CALLS }} FORKYARD_SWEEP_ONLY={{ ONLY }} cargo test --test integration -- sweep:: --nocapture --test-threads 1

# Eight processes write so many MiB each without a newline; prints what the engine needs for it, and whether every byte is kept.
flood MIB="512":
    python3 tests/bench/flood.py --mib {{ MIB }}

# So many processes end at once, and so many clients that say nothing are connected: all are seen, and others are served.
crowd SIZE="10000":
    FORKYARD_CROWD={{ SIZE }} cargo test --release --test integration -- e8_ --nocapture

# Builds the Python package into target/wheels: one file for every Python from 3.9 on.
wheel:
    python3 -m pip wheel --no-deps --wheel-dir target/wheels engine/ipc/python

# What `forkyard check` can prove in a second, as a table.
explore-table:
    cargo bench -p forkyard-core --bench explore

# Compares the search for deadlocks with the full one, on so many random workflows.
models MODELS="4000":
    FORKYARD_MODELS={{ MODELS }} cargo test --release -p forkyard-core --lib explore::tests::differential -- --nocapture
# Writes docs/forkyard.schema.json, the JSON Schema of the language, anew from the types that read it.
schema:
    FORKYARD_WRITE_SCHEMA=1 cargo test --package forkyard-core --lib schema::the_published_schema

# Installs what some tests read the output of `check` and `schema` with; without it they are skipped.
checkers:
    tests/checkers/install.sh

# Formats everything.
format:
    cargo fmt --all

# Throws mutated workflows at the reader, the checks and the plan; needs a nightly toolchain and cargo-fuzz.
fuzz SECONDS="600":
    cd tests/fuzz && cargo +nightly fuzz run --fuzz-dir . language -- -max_total_time={{ SECONDS }} -timeout=10 -max_len=4096 -dict=language.dict

# Overwrites the channels of a yard while they are used; needs what `fuzz` needs.
fuzz-yard SECONDS="600":
    cd tests/fuzz && cargo +nightly fuzz run --fuzz-dir . yard -- -max_total_time={{ SECONDS }} -timeout=10 -max_len=1024

# Measures whole runs beside make, ninja, GNU parallel, hyperqueue and others, and prints a table; takes about 8 minutes.
bench *OPTIONS:
    tests/bench/peers.sh bench
    $(test -x target/bench-peers/bin/python && echo target/bench-peers/bin/python || echo python3) tests/bench/bench.py --json target/bench.json --markdown target/bench.md {{ OPTIONS }}

# The same, small and without the peers, only to see that the results are right; a test runs it too.
bench-smoke *OPTIONS:
    python3 tests/bench/bench.py --smoke --ours {{ OPTIONS }}

# Measures `forkyard check` beside ninja, make and dagu on graphs of up to a million processes; takes about 15 minutes.
bench-check *OPTIONS:
    tests/bench/peers.sh check
    python3 tests/bench/check.py --json target/bench-check.json --markdown target/bench-check.md {{ OPTIONS }}

# Measures queues, locks and the like beside multiprocessing, Redis and others, and prints a table; takes about 20 minutes.
bench-yard *OPTIONS:
    tests/bench/peers.sh
    python3 tests/bench/yard.py --json target/bench-yard.json --markdown target/bench-yard.md {{ OPTIONS }}

# Random workflows with random kills, stops and freezes of processes and engine, for so many seconds.
chaos SECONDS="60" SEED="1":
    FORKYARD_CHAOS={{ SECONDS }} FORKYARD_SEED={{ SEED }} cargo test --test integration -- chaos:: --nocapture

# Which kinds of children survive which signal, under Forkyard and under its peers, as a table; takes about ten minutes.
orphans *OPTIONS:
    cargo build --release
    tests/bench/peers.sh orphans
    FORKYARD=target/release/forkyard python3 tests/bench/orphans.py {{ OPTIONS }}
