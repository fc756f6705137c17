"""Makes wrong workflows of right ones, and prints those that a JSON Schema refuses, one JSON text a line.

usage: mutate.py SCHEMA COUNT FILE...
"""

import copy
import json
import pathlib
import random
import sys

import jsonschema
import yaml12

VALUES = [None, True, -1, 10**12, 1.5, "", "nope", "5 apples", [], ["a", 1], {}, {"nope": 1}, [[]], [{}]]


def places(value, path=()):
    """Every place in a value: the path of each entry of a map or list."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else []
    for key, inner in entries:
        yield (*path, key)
        yield from places(inner, (*path, key))


def mutate(workflow, random):
    path = random.choice(list(places(workflow)))
    parent = workflow
    for key in path[:-1]:
        parent = parent[key]
    way = random.randrange(3)
    if way == 0 and isinstance(parent, dict):
        parent[str(path[-1]) + random.choice(["s", "x", "_"])] = parent.pop(path[-1])
    elif way == 1 and isinstance(parent, dict):
        parent["nope"] = random.choice(VALUES)
    else:
        parent[path[-1]] = random.choice(VALUES)


schema = json.loads(pathlib.Path(sys.argv[1]).read_text())
validator = jsonschema.validators.validator_for(schema)(schema)
random = random.Random(1)
workflows = [yaml12.load(pathlib.Path(path).read_text()) for path in sys.argv[3:]]
for _ in range(int(sys.argv[2])):
    workflow = copy.deepcopy(random.choice(workflows))
    mutate(workflow, random)
    if not validator.is_valid(workflow):
        print(json.dumps(workflow))
