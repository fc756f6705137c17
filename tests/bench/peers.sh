#!/bin/sh
# Installs what the benchmark of the yard measures itself with, by its ordinary packages: servers from Debian when this is
# root, packages for Python in target/bench-peers, and Forkyard's own package there. What cannot be had is skipped, and named.
# With `check` as its argument, what `forkyard check` is measured beside: ninja from PyPI, dagu from npm; make comes with the system.
# With `orphans`, what is asked whether it leaves processes behind: GNU parallel, s6 and runit from Debian, supervisor and ninja from
# PyPI, concurrently from npm; make and xargs come with the system.
# With `bench`, what whole runs are measured beside: make, ninja, GNU parallel, Redis, s6 from Debian; hyperqueue, supervisor, loky and
# redis from PyPI; dagu and mprocs from npm; pueue from crates.io, which takes minutes to build. process-compose is measured where it is.
# ray and dask are left out: they share work among machines, by servers of their own.
set -eu
cd "$(dirname "$0")/../.."

peers=target/bench-peers
python=${PYTHON:-python3}

skipped() {
    echo "skipped: $*" >&2
}

if [ "${1:-}" = check ]; then
    [ -x "$peers/bin/python" ] || "$python" -m venv "$peers"
    "$peers/bin/python" -m pip install --quiet --disable-pip-version-check ninja || skipped "ninja"
    npm install --silent --no-fund --no-audit --prefix "$peers" dagu >/dev/null 2>&1 || skipped "dagu (npm has it not, or is not there)"
    exit 0
fi

if [ "${1:-}" = orphans ]; then
    for package in parallel s6 runit; do
        dpkg -s "$package" >/dev/null 2>&1 && continue
        apt-get install -y --no-install-recommends "$package" >/dev/null 2>&1 || skipped "$package (apt-get as root installs it)"
    done
    [ -x "$peers/bin/python" ] || "$python" -m venv "$peers"
    for package in ninja supervisor honcho; do
        "$peers/bin/python" -m pip install --quiet --disable-pip-version-check "$package" || skipped "$package"
    done
    npm install --silent --no-fund --no-audit --prefix "$peers" concurrently >/dev/null 2>&1 || skipped "concurrently (npm)"
    exit 0
fi

if [ "${1:-}" = bench ]; then
    for package in make ninja-build parallel redis-server redis-tools s6; do
        dpkg -s "$package" >/dev/null 2>&1 && continue
        apt-get install -y --no-install-recommends "$package" >/dev/null 2>&1 || skipped "$package (apt-get as root installs it)"
    done
    [ -x "$peers/bin/python" ] || "$python" -m venv "$peers"
    for package in hyperqueue supervisor loky redis; do
        "$peers/bin/python" -m pip install --quiet --disable-pip-version-check "$package" || skipped "$package"
    done
    for package in dagu mprocs; do
        npm install --silent --no-fund --no-audit --prefix "$peers" "$package" >/dev/null 2>&1 ||
            skipped "$package (npm has it not, or is not there)"
    done
    command -v pueued >/dev/null || [ -x "$peers/bin/pueued" ] ||
        cargo install --quiet --locked --root "$peers" pueue || skipped "pueue (cargo cannot install it)"
    exit 0
fi

for server in redis-server nats-server; do
    command -v "$server" >/dev/null && continue
    apt-get install -y --no-install-recommends "$server" >/dev/null || skipped "$server (apt-get as root installs it)"
done

[ -x "$peers/bin/python" ] || "$python" -m venv "$peers"
for package in faster-fifo loky "redis[hiredis]" nats-py maturin; do
    "$peers/bin/python" -m pip install --quiet --disable-pip-version-check "$package" || skipped "$package"
done

# What is built in pieces, to be built again sooner, is slower by a fifth.
CARGO_INCREMENTAL=0 "$peers/bin/maturin" build --quiet --release --manifest-path engine/ipc/python/Cargo.toml --out "$peers/wheels" &&
    "$peers/bin/python" -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps "$peers"/wheels/forkyard-*.whl ||
    skipped "forkyard's own package"
