# Shows what there is.
default:
    @just --list

# All that CI runs.
check:
    .ci/run

# The tests that look for what fails only now and then: each example N times.
repeat N="100":
    FORKYARD_REPEAT={{ N }} cargo test --test integration -- origin:: real::

# Formats everything.
format:
    cargo fmt --all
