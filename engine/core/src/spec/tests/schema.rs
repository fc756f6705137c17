//! The JSON Schema of the language, made from the types that read it. `docs/forkyard.schema.json` is what comes out:
//! `just schema` writes it, and a test here holds the two equal.

mod forms;

use std::path::Path;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::spec::channel::{PipeFields, QueueFields};
use crate::spec::environment::{EnvFields, EnvFiles};
use crate::spec::fields::{Fields, POOL_KEYS, PROCESS_KEYS};
use crate::spec::group::GroupFields;
use crate::spec::name::STREAM_WORDS;
use crate::spec::options::OptionFields;
use crate::spec::resource::{EventFields, LockFields, SemaphoreFields};
use crate::spec::restart::PolicyWord;
use crate::spec::{Condition, resolve};

/// Where the schema is published, from the root of the repository.
const PUBLISHED: &str = "docs/forkyard.schema.json";

/// What a name looks like.
const NAME: &str = "^[A-Za-z_][A-Za-z0-9_-]{0,63}$";

/// The keys of a workflow whose values are not what a type of the language's reader says, with what they are for.
const DESCRIPTIONS: [(&str, &str); 18] = [
    ("forkyard", "The version of the language, 1."),
    (
        "name",
        "The workflow's name; the file's name without its extension by default.",
    ),
    ("description", "What the workflow is for, for people."),
    (
        "params",
        "Values that `forkyard run -p name=value` may replace; the type of the default is the type.",
    ),
    (
        "env",
        "Environment of every process: a map of names to values, or to {value, secret: true}.",
    ),
    ("env_file", "Files with NAME=value lines; `env` wins over them."),
    (
        "include",
        "Further files whose nodes are merged, relative to this file.",
    ),
    (
        "defaults",
        "Fields for every process and, where they fit, for every pool.",
    ),
    ("options", "How the whole run goes."),
    (
        "templates",
        "Processes with holes, to be filled in with `use` and `with`.",
    ),
    (
        "processes",
        "The programs: each is started, watched and stopped together with all that it starts.",
    ),
    (
        "pools",
        "Workers that share many tasks, or slots that processes run in.",
    ),
    (
        "queues",
        "Bounded queues of items, first in first out, with any number of senders and receivers.",
    ),
    ("pipes", "The kernel's pipes: one sender, one receiver, bytes."),
    ("locks", "Locks: one holder at a time."),
    ("semaphores", "Semaphores: so many permits at a time."),
    ("events", "Events: set or not set, and waited for."),
    ("groups", "Processes that fail and restart together."),
];

/// Made from the types anew.
fn schema() -> Value {
    let settings = SchemaSettings::draft07();
    let mut generator = settings.into_generator();
    let mut root = root(&mut generator);
    let mut definitions = generator.take_definitions(true);
    let mut fields = definitions.remove("Fields").expect("a body has fields");
    definitions.extend(bodies(&mut fields));
    definitions.insert("tasks".to_owned(), tasks());
    definitions.insert("expression".to_owned(), expression());
    for definition in definitions.values_mut() {
        without_null(definition);
    }
    let names: Vec<String> = definitions.keys().cloned().collect();
    let bodies = ["process", "pool", "template", "defaults"];
    let has_fields = |name: &&String| name.ends_with("Fields") || bodies.contains(&name.as_str());
    for name in names.iter().filter(has_fields) {
        close(definitions.get_mut(name).expect("it was listed"));
    }
    root["definitions"] = Value::Object(definitions);
    without_null(&mut root);
    root
}

/// The keys at the top.
fn root(generator: &mut SchemaGenerator) -> Value {
    let fields = generator.subschema_for::<Fields>();
    assert_eq!(fields.as_value()["$ref"], "#/definitions/Fields");
    let body = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
    let text = subschema::<crate::spec::values::Bytes>(generator);
    let mut properties = Map::new();
    for (key, description) in DESCRIPTIONS {
        let value = match key {
            "forkyard" => json!({ "const": 1, "default": 1 }),
            "name" | "description" => json!({ "allOf": [text] }),
            "params" => json!({ "type": "object" }),
            "env" => subschema::<EnvFields>(generator),
            "env_file" => subschema::<EnvFiles>(generator),
            "include" => json!({ "anyOf": [text, { "type": "array", "items": text }] }),
            "defaults" => json!({ "allOf": [body("defaults")] }),
            "options" => json!({ "allOf": [subschema::<OptionFields>(generator)] }),
            "templates" => names(&body("template"), &[]),
            "processes" => names(&body("process"), &[]),
            "pools" => names(&body("pool"), &[]),
            "queues" => names(&empty_or::<QueueFields>(generator), &STREAM_WORDS),
            "pipes" => names(&empty_or::<PipeFields>(generator), &STREAM_WORDS),
            "locks" => names(&empty_or::<LockFields>(generator), &[]),
            "semaphores" => names(&subschema::<SemaphoreFields>(generator), &[]),
            "events" => names(&empty_or::<EventFields>(generator), &[]),
            "groups" => names(&subschema::<GroupFields>(generator), &[]),
            other => panic!("`{other}` is no key of a workflow"),
        };
        properties.insert(key.to_owned(), described(value, description));
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$id": format!("{}/raw/main/{PUBLISHED}", env!("CARGO_PKG_REPOSITORY")),
        "title": "Forkyard workflow",
        "description": "A graph of processes, pools, queues, pipes, locks, semaphores and events.",
        "type": "object",
        "required": ["forkyard"],
        "properties": properties,
        "patternProperties": { "^x-": true },
        "additionalProperties": false,
    })
}

fn subschema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    generator.subschema_for::<T>().to_value()
}

fn empty_or<T: JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    json!({ "anyOf": [subschema::<T>(generator), { "const": null }] })
}

/// A section: a map whose keys are names.
fn names(value: &Value, forbidden: &[&str]) -> Value {
    let mut section = json!({
        "type": "object",
        "propertyNames": { "pattern": NAME },
        "additionalProperties": value.clone(),
    });
    if !forbidden.is_empty() {
        section["propertyNames"]["not"] = json!({ "enum": forbidden });
    }
    section
}

fn described(mut schema: Value, description: &str) -> Value {
    if !schema.is_object() {
        schema = json!({});
    }
    schema["description"] = description.into();
    schema
}

fn expression() -> Value {
    json!({
        "description": "An expression over params, env, item, index, name and cpus: ${{ params.n }}.",
        "type": "string",
        "pattern": "\\$\\{\\{",
    })
}

fn tasks() -> Value {
    json!({
        "description": "Numbers, or the lines of a file.",
        "type": "object",
        "properties": {
            "range": {
                "description": "The first number, and the one past the last.",
                "anyOf": [
                    { "type": "array", "items": { "type": ["integer", "string"] }, "minItems": 2, "maxItems": 2 },
                    { "$ref": "#/definitions/expression" },
                ],
            },
            "lines": { "description": "A file; each of its lines is a task.", "allOf": [{ "$ref": "#/definitions/text" }] },
        },
        "additionalProperties": false,
    })
}

/// The fields of processes, pools, templates and `defaults`, which are read by one type.
fn bodies(fields: &mut Value) -> Map<String, Value> {
    let properties = fields["properties"].as_object_mut().expect("it has fields");
    for (key, value) in by_hand() {
        let description = properties[key]["description"].clone();
        properties[key] = described(value, description.as_str().expect("each field says what it is for"));
    }
    let without = |keys: &[&str]| {
        let mut body = fields.clone();
        let properties = body["properties"].as_object_mut().expect("it has fields");
        for key in keys {
            properties.remove(*key);
        }
        body
    };
    let mut process = without(&POOL_KEYS);
    process["description"] = "A program that is started, watched and stopped.".into();
    let mut pool = without(&PROCESS_KEYS);
    pool["description"] = "Workers that share many tasks; without `run`, slots.".into();
    let mut template = without(&[]);
    template["description"] = "A process or pool with holes, which `params` names.".into();
    template["properties"]["params"] = json!({
        "description": "The names of the holes, with their defaults; one without a default must be given.",
        "type": "object",
    });
    let mut defaults = without(&["use", "with"]);
    defaults["description"] = "Fields that hold where a process or pool has none of its own.".into();
    let bodies = [
        ("process", process),
        ("pool", pool),
        ("template", template),
        ("defaults", defaults),
    ];
    bodies.map(|(name, body)| (name.to_owned(), body)).into_iter().collect()
}

/// Fields that are read elsewhere, and those whose words the types do not know.
fn by_hand() -> Vec<(&'static str, Value)> {
    let mut generator = SchemaSettings::draft07().into_generator();
    let text = json!({ "$ref": "#/definitions/text" });
    let words = |words: Value| json!({ "enum": words });
    let conditions = generator.root_schema_for::<Condition>().to_value()["oneOf"].clone();
    let policies = generator.root_schema_for::<PolicyWord>().to_value()["oneOf"].clone();
    let wait = json!({ "anyOf": [{ "oneOf": conditions }, { "$ref": "#/definitions/WaitFields" }] });
    let waits = json!({ "type": "object", "additionalProperties": wait });
    let stream = |known: Value| json!({ "anyOf": [{ "enum": known }, text, { "$ref": "#/definitions/StreamFields" }, { "const": null }] });
    let list = json!({ "type": "array", "items": true });
    vec![
        ("use", json!({ "allOf": [text] })),
        ("with", json!({ "type": "object" })),
        ("if", json!({ "type": ["boolean", "string"] })),
        ("replicas", json!({ "type": "integer", "minimum": 0 })),
        (
            "each",
            json!({ "anyOf": [list, { "type": "object", "additionalProperties": list }] }),
        ),
        (
            "after",
            json!({ "anyOf": [text, waits, { "type": "array", "items": { "anyOf": [text, waits] } }] }),
        ),
        (
            "restart",
            json!({ "anyOf": [{ "oneOf": policies }, { "$ref": "#/definitions/RestartFields" }] }),
        ),
        ("stdin", stream(json!(["inherit", "null"]))),
        ("stdout", stream(json!(["log", "inherit", "null"]))),
        ("stderr", stream(json!(["log", "stdout", "inherit", "null"]))),
        ("shell", {
            let known = words(json!(["sh", "dash", "bash", "zsh", "python3", "perl", "ruby", "node"]));
            json!({ "anyOf": [known, { "type": "array", "items": text, "minItems": 1 }] })
        }),
        (
            "tasks",
            json!({ "anyOf": [text, list, { "$ref": "#/definitions/tasks" }] }),
        ),
    ]
}

/// No key may be there without a value: schemars admits null for each that may be left out.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(without_null),
        Value::Object(object) => {
            object.values_mut().for_each(without_null);
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|kind| kind != "null");
                if let [one] = types.as_slice() {
                    object["type"] = one.clone();
                }
            }
            let Some(Value::Array(choices)) = object.get_mut("anyOf") else {
                return;
            };
            choices.retain(|choice| *choice != json!({ "type": "null" }));
            if let [one] = choices.as_slice() {
                let one = one.clone();
                object.remove("anyOf");
                match one {
                    Value::Object(one) if !one.contains_key("$ref") => {
                        one.into_iter().for_each(|(key, value)| {
                            object.entry(key).or_insert(value);
                        });
                    }
                    reference @ (Value::Null
                    | Value::Bool(_)
                    | Value::Number(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_)) => drop(object.insert("allOf".to_owned(), json!([reference]))),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// A map of fields: no other keys, and an expression wherever a value is.
fn close(definition: &mut Value) {
    let expression = json!({ "$ref": "#/definitions/expression" });
    definition["additionalProperties"] = false.into();
    // A merge key of YAML is no field; readers that follow it never see it.
    definition["patternProperties"] = json!({ "^<<$": true });
    for property in definition["properties"]
        .as_object_mut()
        .expect("it has fields")
        .values_mut()
    {
        let description = property
            .as_object_mut()
            .and_then(|property| property.remove("description"));
        let default = property.as_object_mut().and_then(|property| property.remove("default"));
        let choices = match property.get_mut("anyOf") {
            Some(Value::Array(choices)) => std::mem::take(choices),
            _ => vec![property.clone()],
        };
        let mut open = json!({ "anyOf": choices.into_iter().chain([expression.clone()]).collect::<Value>() });
        for (key, value) in [("description", description), ("default", default)] {
            if let Some(value) = value {
                open[key] = value;
            }
        }
        *property = open;
    }
}

fn published() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(PUBLISHED)
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test compares with what is published")]
fn the_published_schema_is_the_one_of_the_types() {
    let made = format!("{:#}\n", schema());
    if std::env::var_os("FORKYARD_WRITE_SCHEMA").is_some() {
        std::fs::write(published(), &made).expect("the file can be written");
    }
    let there = std::fs::read_to_string(published()).expect("the schema is published");
    assert!(there == made, "{PUBLISHED} is old: `just schema` writes it anew");
}

#[test]
fn every_key_is_in_the_schema_and_says_what_it_is_for() {
    let schema = schema();
    let keys: Vec<&str> = DESCRIPTIONS.iter().map(|(key, _)| *key).collect();
    assert_eq!(keys, resolve::KEYS);
    for (name, definition) in schema["definitions"].as_object().expect("there are definitions") {
        assert!(definition["description"].is_string(), "{name}");
        for (key, property) in definition["properties"].as_object().into_iter().flatten() {
            let description = property["description"].as_str().unwrap_or_default();
            assert!(
                description.len() > 8 && description.ends_with(['.', '?', ')']),
                "{name}.{key}: `{description}`"
            );
        }
    }
}
