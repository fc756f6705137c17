"""Validates JSON and YAML files against a JSON Schema, and says of each in a line whether it holds.

usage: schema.py SCHEMA FILE...
"""

import json
import pathlib
import sys

import jsonschema


def read(path):
    text = pathlib.Path(path).read_text()
    if path.endswith(".json"):
        return json.loads(text)
    import yaml12

    return yaml12.load(text)


schema = read(sys.argv[1])
validator = jsonschema.validators.validator_for(schema)
validator.check_schema(schema)
validator = validator(schema)
for path in sys.argv[2:]:
    errors = sorted(validator.iter_errors(read(path)), key=lambda error: list(map(str, error.absolute_path)))
    place = "/".join(map(str, errors[0].absolute_path)) if errors else ""
    print(f"{path}: {'ok' if not errors else f'at /{place}: {errors[0].message[:200]}'}")
