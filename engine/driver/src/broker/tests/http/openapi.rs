//! openapi.json says what the server does, all of it, and nothing else.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::put;
use super::wire::{self, Exchange, post};
use crate::broker::http::route::TABLE;
use crate::broker::tests::world::World;

fn page() -> Value {
    serde_json::from_str(include_str!("../../http/openapi.json")).expect("it is JSON")
}

#[test]
fn every_route_is_in_it_and_nothing_else_is() {
    let page = page();
    let paths = page["paths"].as_object().expect("paths");
    let said: BTreeSet<(String, String)> = paths
        .iter()
        .flat_map(|(path, item)| {
            let methods = item.as_object().expect("methods").keys();
            let methods = methods.filter(|key| *key != "parameters");
            methods.map(|method| (path.clone(), method.to_uppercase()))
        })
        .collect();
    let served = TABLE.map(|(path, verb)| (path.to_owned(), verb.method().to_string()));
    assert_eq!(said, BTreeSet::from(served));
}

#[tokio::test]
async fn the_server_hands_it_out() {
    let mut world = World::new();
    let told = Exchange::of(&mut world, &wire::request("GET", "/v1/openapi.json", "", "")).await;
    assert_eq!((told.status, told.json()), (200, page()));
}

/// Whether a value is as a schema says, as far as this page's schemas go.
fn fits(page: &Value, schema: &Value, value: &Value) -> bool {
    if let Some(reference) = schema["$ref"].as_str() {
        return fits(page, resolve(page, reference), value);
    }
    let all = |key: &str| schema[key].as_array().into_iter().flatten();
    let kind = |name: &Value| match name.as_str().expect("a type") {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        other => panic!("no schema of ours has the type {other}"),
    };
    let types = match &schema["type"] {
        Value::Null => true,
        Value::Array(names) => names.iter().any(kind),
        name => kind(name),
    };
    let items = value
        .as_array()
        .into_iter()
        .flatten()
        .all(|item| fits(page, &schema["items"], item));
    let one_of: Vec<_> = all("oneOf").filter(|one| fits(page, one, value)).collect();
    let fields = value.as_object().into_iter().flatten().all(|(name, field)| {
        let known = schema["properties"].get(name);
        known.map_or(schema["additionalProperties"] != json!(false), |known| {
            fits(page, known, field)
        })
    });
    types
        && items
        && fields
        && (schema["enum"].is_null() || all("enum").any(|one| one == value))
        && all("required").all(|name| value.get(name.as_str().expect("a name")).is_some())
        && all("allOf").all(|part| fits(page, part, value))
        && (schema["oneOf"].is_null() || one_of.len() == 1)
}

fn resolve<'a>(page: &'a Value, reference: &str) -> &'a Value {
    let pointer = reference.strip_prefix('#').expect("within the page");
    page.pointer(pointer)
        .unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

#[test]
fn schemas_are_looked_at_rightly() {
    let page = page();
    let item = json!({"$ref": "#/components/schemas/Item"});
    for (value, is_one) in [
        (json!({"id": "1", "deliveries": 1, "text": "x"}), true),
        (json!({"id": 1, "deliveries": 1, "text": "x"}), false),
        (json!({"id": "1", "text": "x"}), false),
        (json!({"id": "1", "deliveries": 1}), false),
        (json!({"id": "1", "deliveries": 1, "text": "x", "more": 1}), false),
    ] {
        assert_eq!(fits(&page, &item, &value), is_one, "{value}");
    }
}

/// The answer is one that the page has for that path.
fn assert_said(path: &str, told: &Exchange) {
    let page = page();
    let template = TABLE.iter().map(|(template, _)| *template).find(|template| {
        let (before, after) = template.split_once("{name}").unwrap_or((template, ""));
        path.starts_with(before) && path.ends_with(after)
    });
    let item = &page["paths"][template.expect("a path of the page")];
    let operation = if item["post"].is_null() {
        &item["get"]
    } else {
        &item["post"]
    };
    let response = &operation["responses"][told.status.to_string()];
    assert!(!response.is_null(), "{path}: {} is not said", told.status);
    let response = response["$ref"]
        .as_str()
        .map_or(response, |reference| resolve(&page, reference));
    if response["content"].is_null() {
        assert_eq!(told.body.len(), 0, "{path}: {} has no body", told.status);
    } else if told.header("content-type") == "application/json" {
        let schema = &response["content"]["application/json"]["schema"];
        let json = told.json();
        assert!(fits(&page, schema, &json), "{path}: {} with {json}", told.status);
    } else {
        let kind = &response["content"][told.header("content-type")];
        assert!(!kind.is_null(), "{path}: {} has no such content", told.status);
    }
}

/// What each path answers when all is well, what it answers to nobody, and to nonsense.
#[tokio::test]
async fn every_path_answers_as_it_says() {
    let mut world = World::new();
    put(&mut world, "kept").await;
    let well = [
        ("read", "queues/jobs/get", r#"{"ack":false}"#, 200),
        ("read", "queues/jobs/nack", r#"{"id":"0"}"#, 204),
        ("read", "queues/jobs/get", r#"{"ack":false}"#, 200),
        ("read", "queues/jobs/ack", r#"{"id":"0"}"#, 204),
        ("write", "queues/jobs/put", r#"{"item":"x"}"#, 200),
        ("read", "locks/report/acquire", "", 200),
        ("write", "locks/report/acquire", r#"{"block":false}"#, 409),
        ("read", "locks/report/release", "", 204),
        ("read", "semaphores/slots/acquire", "", 200),
        ("read", "semaphores/slots/release", "", 204),
        ("read", "events/go/wait", r#"{"block":false}"#, 409),
        ("write", "events/go/set", "", 204),
        ("read", "events/go/wait", "", 204),
        ("write", "events/go/clear", "", 204),
    ];
    for (token, path, body, status) in well {
        let told = Exchange::of(&mut world, &post(token, path, body)).await;
        assert_eq!(told.status, status, "{path}");
        assert_said(&format!("/v1/{path}"), &told);
    }
    for (template, verb) in TABLE {
        let path = template.replace("{name}", "nothing");
        let method = verb.method().to_string();
        let cases = [
            wire::request(&method, &path, "", ""),
            wire::request(&method, &path, "Authorization: Bearer guessed\r\n", ""),
            wire::request(&method, &path, "Authorization: Bearer read\r\n", ""),
            wire::request(&method, &path, "Authorization: Bearer read\r\n", r#"{"nonsense":1}"#),
            wire::request(
                &method,
                &path,
                "Authorization: Bearer read\r\nContent-Type: text/html\r\n",
                "x",
            ),
            wire::request("PATCH", &path, "Authorization: Bearer read\r\n", ""),
            wire::request(&method, &path, "Origin: null\r\n", ""),
        ];
        for case in cases {
            let told = Exchange::of(&mut world, &case).await;
            assert_said(&path, &told);
        }
    }
}
