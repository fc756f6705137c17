//! What is answered, as HTTP.

use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use forkyard_ipc::wire::ItemId;
use hyper::Response;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use hyper::http::response::Builder;
use serde::Serialize;

use super::flight::{Flight, Parcel};
use super::refusal::{Code, Refusal};

const OPENAPI: &str = include_str!("openapi.json");
const JSON: &str = "application/json";

/// Bytes as they are.
pub(super) const RAW: &str = "application/octet-stream";

/// An answer.
#[derive(Debug)]
pub(super) enum Told {
    /// It is done, and there is nothing to say.
    Done,
    Put(usize),
    Items(Vec<Taken>),
    /// The bytes of one item.
    Raw(Taken),
    Granted {
        orphaned: bool,
    },
    /// The processes of the run, in JSON.
    Table(Vec<u8>),
    Openapi,
    Refused(Refusal),
}

/// An item.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) id: ItemId,
    pub(super) deliveries: u32,
    pub(super) bytes: Vec<u8>,
}

#[derive(Serialize)]
struct Items<'a> {
    items: Vec<Item<'a>>,
}

/// Text where it is text.
#[derive(Serialize)]
struct Item<'a> {
    id: String,
    deliveries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Serialize)]
struct Refused<'a> {
    #[serde(rename = "error")]
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    put: Option<usize>,
}

/// How the number of an item is written: text, since it may be more than a number of JavaScript can hold.
pub(super) fn shown(id: ItemId) -> String {
    id.0.to_string()
}

/// The number of an item, as it was written by [`shown`].
pub(super) fn item_id(text: &str) -> Option<ItemId> {
    text.parse().ok().map(ItemId)
}

impl Told {
    pub(super) fn into_response(self, flight: &Arc<Flight>) -> Response<Parcel> {
        let parcel = |bytes: Vec<u8>| Parcel::new(Bytes::from(bytes), Arc::clone(flight));
        let json = |bytes: Vec<u8>| Response::builder().header(CONTENT_TYPE, JSON).body(parcel(bytes));
        let response = match self {
            Self::Done => Response::builder().status(204).body(parcel(Vec::new())),
            Self::Put(put) => json(format!("{{\"put\":{put}}}\n").into_bytes()),
            Self::Granted { orphaned } => json(format!("{{\"orphaned\":{orphaned}}}\n").into_bytes()),
            Self::Items(items) => json(written(&Items {
                items: items.iter().map(Taken::shown).collect(),
            })),
            Self::Raw(Taken { id, deliveries, bytes }) => Response::builder()
                .header(CONTENT_TYPE, RAW)
                .header("Forkyard-Item", shown(id))
                .header("Forkyard-Deliveries", deliveries)
                .body(parcel(bytes)),
            Self::Table(bytes) => json(bytes),
            Self::Openapi => json(OPENAPI.as_bytes().to_vec()),
            Self::Refused(refusal) => refused(&refusal).body(parcel(refusal.to_json())),
        };
        // The parts of all of these are valid.
        response.unwrap_or_else(|_| Response::new(parcel(Vec::new())))
    }
}

fn refused(refusal: &Refusal) -> Builder {
    let (_, status) = refusal.code.shown();
    let mut response = Response::builder().status(status).header(CONTENT_TYPE, JSON);
    if let Some(allow) = refusal.allow {
        response = response.header(ALLOW, allow);
    }
    if refusal.code == Code::UnknownToken {
        response = response.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

impl Refusal {
    fn to_json(&self) -> Vec<u8> {
        written(&Refused {
            code: self.code.shown().0,
            message: &self.message,
            put: self.put,
        })
    }
}

impl Taken {
    fn shown(&self) -> Item<'_> {
        let text = std::str::from_utf8(&self.bytes).ok();
        Item {
            id: shown(self.id),
            deliveries: self.deliveries,
            base64: text.is_none().then(|| BASE64_STANDARD.encode(&self.bytes)),
            text,
        }
    }
}

/// With a line's end, for people at a terminal.
fn written(value: &impl Serialize) -> Vec<u8> {
    // Texts and numbers can always be written.
    let mut json = serde_json::to_vec(value).unwrap_or_default();
    json.push(b'\n');
    json
}
