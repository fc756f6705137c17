#!/bin/sh
# Installs what the tests of the formats and of the schema are checked with, by its ordinary packages, in target/checkers:
# readers of JSON Schema, JUnit and the configuration of CI from PyPI, the schema of SARIF from crates.io (the crate serde-sarif has
# OASIS's own file), the YAML language server of editors from npm. For tests that let system calls fail and clocks jump, strace and
# faketime from Debian when this is root. What cannot be had is skipped, and named.
set -eu
cd "$(dirname "$0")/../.."

checkers=target/checkers
python=${PYTHON:-python3}
mkdir -p "$checkers"

skipped() {
    echo "skipped: $*" >&2
}

[ -x "$checkers/python/bin/python" ] || "$python" -m venv "$checkers/python" || skipped "python3 with venv"
for package in jsonschema pyyaml junitparser check-jsonschema pre-commit; do
    "$checkers/python/bin/python" -m pip install --quiet --disable-pip-version-check "$package" || skipped "$package"
done

crate=$checkers/sarif
mkdir -p "$crate/src"
touch "$crate/src/lib.rs"
cat >"$crate/Cargo.toml" <<'END'
[package]
name = "sarif-schema"
version = "0.0.0"

[dependencies]
serde-sarif = "=0.8.0"

[workspace]
END
if cargo metadata --format-version 1 --manifest-path "$crate/Cargo.toml" >"$crate/metadata.json"; then
    "$python" - "$crate/metadata.json" >"$checkers/sarif-2.1.0.json" <<'END'
import json, pathlib, sys

packages = json.load(open(sys.argv[1]))["packages"]
manifest = next(package["manifest_path"] for package in packages if package["name"] == "serde-sarif")
print(pathlib.Path(manifest).with_name("src").joinpath("schema.json").read_text(), end="")
END
else
    skipped "the schema of SARIF"
fi

if command -v npm >/dev/null; then
    npm install --silent --no-fund --no-audit --prefix "$checkers/node" yaml-language-server@1.19.2 ||
        skipped "yaml-language-server"
else
    skipped "yaml-language-server (npm installs it)"
fi

for program in strace faketime; do
    command -v "$program" >/dev/null && continue
    apt-get install -y --no-install-recommends "$program" >/dev/null || skipped "$program (apt-get as root installs it)"
done
