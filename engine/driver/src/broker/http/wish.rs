//! What stands in a request beside its path: the JSON or the item in its body, and how long to wait.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use forkyard_core::spec;
use forkyard_ipc::client::Patience;
use forkyard_ipc::wire::ItemId;
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, EXPECT, HeaderMap};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::refusal::{Code, Refusal};
use super::told::{self, RAW};

/// How long a client may pause within a body.
const PAUSE_TIME: Duration = Duration::from_secs(30);

/// So much JSON may come with what is not an item.
const JSON_BYTES_MAX: usize = 64 * 1024;

/// No more JSON comes with items, whatever the queue's `max_item`.
const ITEMS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// No more of a body is read to be thrown away.
const DRAIN_BYTES_MAX: usize = 256 * 1024 * 1024;

/// So many items may be got, put or settled at once.
pub(super) const ITEMS_MAX: usize = 1000;

/// How long to wait; each verb that may wait has these two.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Waiting {
    timeout: Option<String>,
    block: Option<bool>,
}

/// What comes with `put`, in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PutBody {
    item: Option<String>,
    items: Option<Vec<String>>,
    base64: Option<String>,
    timeout: Option<String>,
    block: Option<bool>,
}

/// What comes with `get`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GetBody {
    max: Option<usize>,
    ack: Option<bool>,
    timeout: Option<String>,
    block: Option<bool>,
}

/// What comes with `acquire` of a semaphore.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PermitsBody {
    permits: Option<u32>,
    timeout: Option<String>,
    block: Option<bool>,
}

/// What comes with `release` of a semaphore.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct ReleaseBody {
    permits: Option<u32>,
}

/// What comes with `ack` and `nack`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct SettleBody {
    id: Option<String>,
    ids: Option<Vec<String>>,
}

/// Nothing.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Empty {}

/// What is to be put.
#[derive(Debug)]
pub(super) struct PutWish {
    pub(super) items: Vec<Vec<u8>>,
    /// How much of the only item was thrown away, being over the limit.
    pub(super) cut: usize,
    pub(super) patience: Patience,
}

/// What is to be got.
#[derive(Debug)]
pub(super) struct GetWish {
    pub(super) max: usize,
    pub(super) ack: bool,
    pub(super) raw: bool,
    pub(super) patience: Patience,
}

impl Waiting {
    pub(super) fn patience(self) -> Result<Patience, Refusal> {
        match (self.block, self.timeout) {
            (None | Some(true), None) => Ok(Patience::Block),
            (Some(false), None) => Ok(Patience::Try),
            (Some(false), Some(_)) => Err(Refusal::bad("`block: false` waits for no `timeout`: give one of them")),
            (None | Some(true), Some(text)) => match spec::duration(&text) {
                Some(Duration::ZERO) => Ok(Patience::Try),
                Some(time) => Ok(Patience::For(time)),
                None => Err(Refusal::bad(
                    "`timeout` is a duration, written as \"250ms\", \"3s\", \"2m\" or \"1h30m\"",
                )),
            },
        }
    }

    /// Of an address that ends with `?timeout=2s`.
    fn of_query(query: Option<&str>) -> Result<Self, Refusal> {
        let mut waiting = Self::default();
        for pair in query.unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=') {
                Some(("timeout", time)) => waiting.timeout = Some(time.to_owned()),
                Some(("block", "true")) => waiting.block = Some(true),
                Some(("block", "false")) => waiting.block = Some(false),
                Some(_) | None => {
                    let message = "after the `?` stand `timeout`, such as `timeout=2s`, or `block`, true or false";
                    return Err(Refusal::bad(message));
                }
            }
        }
        Ok(waiting)
    }
}

/// `item_bytes_max`: how long an item may be at most.
pub(super) async fn put(
    headers: &HeaderMap,
    query: Option<&str>,
    body: &mut Incoming,
    item_bytes_max: usize,
) -> Result<PutWish, Refusal> {
    if media_type(headers) == Some(RAW.to_owned()) {
        let patience = Waiting::of_query(query)?.patience()?;
        let (item, cut) = read(body, item_bytes_max).await?;
        return Ok(PutWish {
            items: vec![item],
            cut,
            patience,
        });
    }
    let limit = item_bytes_max.saturating_mul(2).saturating_add(JSON_BYTES_MAX);
    let body: PutBody = json(headers, query, body, limit.min(ITEMS_BYTES_MAX)).await?;
    let items = match (body.item, body.items, body.base64) {
        (Some(item), None, None) => vec![item.into_bytes()],
        (None, Some(items), None) if items.len() <= ITEMS_MAX => items.into_iter().map(String::into_bytes).collect(),
        (None, Some(_), None) => return Err(Refusal::bad(format!("at most {ITEMS_MAX} items are put at once"))),
        (None, None, Some(base64)) => vec![
            BASE64_STANDARD
                .decode(base64)
                .map_err(|error| Refusal::bad(format!("`base64` is none: {error}")))?,
        ],
        (None, None, None) | (Some(_), ..) | (None, Some(_), Some(_)) => {
            return Err(Refusal::bad("one of `item`, `items` and `base64` is what to put"));
        }
    };
    let waiting = Waiting {
        timeout: body.timeout,
        block: body.block,
    };
    Ok(PutWish {
        items,
        cut: 0,
        patience: waiting.patience()?,
    })
}

pub(super) async fn get(headers: &HeaderMap, query: Option<&str>, body: &mut Incoming) -> Result<GetWish, Refusal> {
    let body: GetBody = json(headers, query, body, JSON_BYTES_MAX).await?;
    let raw = accepts_raw(headers);
    let max = body.max.unwrap_or(1);
    if max == 0 || max > ITEMS_MAX {
        return Err(Refusal::bad(format!("`max` is a number from 1 to {ITEMS_MAX}")));
    }
    if raw && max > 1 {
        return Err(Refusal::bad(format!("as {RAW} one item is got at a time: `max` is 1")));
    }
    let waiting = Waiting {
        timeout: body.timeout,
        block: body.block,
    };
    Ok(GetWish {
        max,
        ack: body.ack.unwrap_or(true),
        raw,
        patience: waiting.patience()?,
    })
}

/// The items to be acknowledged or given back.
pub(super) async fn settle(
    headers: &HeaderMap,
    query: Option<&str>,
    body: &mut Incoming,
) -> Result<Vec<ItemId>, Refusal> {
    let body: SettleBody = json(headers, query, body, JSON_BYTES_MAX).await?;
    let ids = match (body.id, body.ids) {
        (Some(id), None) => vec![id],
        (None, Some(ids)) if ids.len() <= ITEMS_MAX => ids,
        (None, Some(_)) => return Err(Refusal::bad(format!("at most {ITEMS_MAX} items are settled at once"))),
        (None, None) | (Some(_), Some(_)) => return Err(Refusal::bad("one of `id` and `ids` says which items")),
    };
    let unknown = |id: &str| Refusal::bad(format!("`{}` is no id of an item", id.escape_debug()));
    ids.iter()
        .map(|id| told::item_id(id).ok_or_else(|| unknown(id)))
        .collect()
}

pub(super) async fn waiting(
    headers: &HeaderMap,
    query: Option<&str>,
    body: &mut Incoming,
) -> Result<Patience, Refusal> {
    let waiting: Waiting = json(headers, query, body, JSON_BYTES_MAX).await?;
    waiting.patience()
}

/// How many permits, and how long to wait for them.
pub(super) async fn permits(
    headers: &HeaderMap,
    query: Option<&str>,
    body: &mut Incoming,
) -> Result<(u32, Patience), Refusal> {
    let body: PermitsBody = json(headers, query, body, JSON_BYTES_MAX).await?;
    let waiting = Waiting {
        timeout: body.timeout,
        block: body.block,
    };
    Ok((body.permits.unwrap_or(1), waiting.patience()?))
}

/// How many permits are released.
pub(super) async fn released(headers: &HeaderMap, query: Option<&str>, body: &mut Incoming) -> Result<u32, Refusal> {
    let body: ReleaseBody = json(headers, query, body, JSON_BYTES_MAX).await?;
    Ok(body.permits.unwrap_or(1))
}

/// Where nothing is to be said, nothing may be.
pub(super) async fn nothing(headers: &HeaderMap, query: Option<&str>, body: &mut Incoming) -> Result<(), Refusal> {
    let Empty {} = json(headers, query, body, JSON_BYTES_MAX).await?;
    Ok(())
}

async fn json<T: Default + DeserializeOwned>(
    headers: &HeaderMap,
    query: Option<&str>,
    body: &mut Incoming,
    limit: usize,
) -> Result<T, Refusal> {
    if query.is_some() {
        return Err(Refusal::bad(format!(
            "nothing may stand after a `?`, but for a put of {RAW}"
        )));
    }
    let media_type = media_type(headers);
    let (bytes, cut) = read(body, limit).await?;
    if cut > 0 {
        return Err(Refusal::new(
            Code::TooLarge,
            format!("the body has more than {limit} bytes"),
        ));
    }
    if bytes.is_empty() {
        return Ok(T::default());
    }
    let is_object = bytes.trim_ascii_start().first() == Some(&b'{');
    match media_type.as_deref() {
        Some("application/json") | None if !is_object => {
            return Err(Refusal::bad("the body is a JSON object: it begins with `{`"));
        }
        Some("application/json") | None => {}
        // curl calls whatever it sends a form, unless it is told better.
        Some("application/x-www-form-urlencoded") if is_object => {}
        Some(other) => {
            let other = other.escape_debug();
            let message = format!("a body is application/json, or for a put {RAW}, not {other}");
            return Err(Refusal::new(Code::UnsupportedMediaType, message));
        }
    }
    serde_json::from_slice(&bytes).map_err(|error| Refusal::bad(format!("the body is not as it should be: {error}")))
}

/// The body; or, when it is longer than the limit, nothing, and how much of it was seen.
async fn read(body: &mut Incoming, limit: usize) -> Result<(Vec<u8>, usize), Refusal> {
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limit {
        return Ok((Vec::new(), announced));
    }
    let mut bytes = Vec::with_capacity(announced);
    loop {
        let Ok(frame) = tokio::time::timeout(PAUSE_TIME, body.frame()).await else {
            return Err(Refusal::new(Code::Slow, "the body does not come"));
        };
        let Some(frame) = frame else { return Ok((bytes, 0)) };
        let frame = frame.map_err(|error| Refusal::bad(format!("the body cannot be read: {error}")))?;
        let data = frame.into_data().unwrap_or_default();
        if data.len() > limit - bytes.len() {
            return Ok((Vec::new(), bytes.len() + data.len()));
        }
        bytes.extend_from_slice(&data);
    }
}

/// Throws away what is left of a body: a client that is still sending would not see the answer. One that waits to be
/// told to send is not told.
pub(super) async fn drain(headers: &HeaderMap, body: &mut Incoming) {
    let mut drained = 0;
    while !headers.contains_key(EXPECT) && drained < DRAIN_BYTES_MAX {
        let Ok(Some(Ok(frame))) = tokio::time::timeout(PAUSE_TIME, body.frame()).await else {
            return;
        };
        drained += frame.data_ref().map_or(0, Bytes::len);
    }
}

fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?;
    let value = String::from_utf8_lossy(value.as_bytes());
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// Whether the bytes are wanted as they are.
fn accepts_raw(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get_all(ACCEPT)
        .into_iter()
        .filter_map(|value| value.to_str().ok());
    let mut types = accepted.flat_map(|value| value.split(','));
    types.any(|range| {
        range
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case(RAW)
    })
}
