"""Validates JSON and YAML files against a JSON Schema, and says of each in a line whether it holds.

usage: schema.py SCHEMA FILE...
"""

import json
import pathlib
import sys

import jsonschema


def read(path):
    """A JSON file, or a YAML file as YAML 1.2 has it: `on` is text, and so is a date."""
    text = pathlib.Path(path).read_text()
    if path.endswith(".json"):
        return json.loads(text)
    return load_yaml(text)


def load_yaml(text):
    import re

    import yaml

    class Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
        pass

    Loader.yaml_implicit_resolvers = {}
    for tag, pattern, first in [
        ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
        ("int", r"[-+]?(0|[1-9][0-9]*)|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
        ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", "-+.0123456789"),
        ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
        ("merge", r"<<", "<"),
    ]:
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(f"^(?:{pattern})$"), list(first))
    return yaml.load(text, Loader)


schema = read(sys.argv[1])
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
validator = validator(schema)
for path in sys.argv[2:]:
    errors = sorted(validator.iter_errors(read(path)), key=lambda error: list(map(str, error.absolute_path)))
    place = "/".join(map(str, errors[0].absolute_path)) if errors else ""
    print(f"{path}: {'ok' if not errors else f'at /{place}: {errors[0].message[:200]}'}")
