//! Which path and method mean what.

use hyper::Method;

use super::refusal::{Code, Refusal};

/// What a request wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::broker) enum Verb {
    Put,
    Get,
    Ack,
    Nack,
    AcquireLock,
    ReleaseLock,
    AcquirePermits,
    ReleasePermits,
    Set,
    Clear,
    Wait,
    Ps,
    Openapi,
}

/// All there is, by path; openapi.json says the same in words.
pub(in crate::broker) const TABLE: [(&str, Verb); 13] = [
    ("/v1/queues/{name}/put", Verb::Put),
    ("/v1/queues/{name}/get", Verb::Get),
    ("/v1/queues/{name}/ack", Verb::Ack),
    ("/v1/queues/{name}/nack", Verb::Nack),
    ("/v1/locks/{name}/acquire", Verb::AcquireLock),
    ("/v1/locks/{name}/release", Verb::ReleaseLock),
    ("/v1/semaphores/{name}/acquire", Verb::AcquirePermits),
    ("/v1/semaphores/{name}/release", Verb::ReleasePermits),
    ("/v1/events/{name}/set", Verb::Set),
    ("/v1/events/{name}/clear", Verb::Clear),
    ("/v1/events/{name}/wait", Verb::Wait),
    ("/v1/ps", Verb::Ps),
    ("/v1/openapi.json", Verb::Openapi),
];

/// From this similarity on (Jaro and Winkler's, 1 is equal) a path is taken for a misspelling.
const SIMILAR: f64 = 0.8;

/// No longer path is compared with others.
const PATH_BYTES_MAX: usize = 200;

/// A verb and the name that it is for; empty where there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Route<'a> {
    pub(super) verb: Verb,
    pub(super) name: &'a str,
}

impl Verb {
    pub(in crate::broker) const fn method(self) -> Method {
        match self {
            Self::Ps | Self::Openapi => Method::GET,
            Self::Put
            | Self::Get
            | Self::Ack
            | Self::Nack
            | Self::AcquireLock
            | Self::ReleaseLock
            | Self::AcquirePermits
            | Self::ReleasePermits
            | Self::Set
            | Self::Clear
            | Self::Wait => Method::POST,
        }
    }
}

impl<'a> Route<'a> {
    pub(super) fn find(method: &Method, path: &'a str) -> Result<Self, Refusal> {
        let found = TABLE
            .iter()
            .find_map(|(template, verb)| Some((*verb, name_in(template, path)?)));
        let Some((verb, name)) = found else {
            return Err(Refusal::new(Code::NoSuchPath, no_such_path(path)));
        };
        if *method != verb.method() {
            let allow = if verb.method() == Method::GET { "GET" } else { "POST" };
            return Err(Refusal {
                allow: Some(allow),
                ..Refusal::new(
                    Code::MethodNotAllowed,
                    format!("{path} is asked by {allow}, not {method}"),
                )
            });
        }
        Ok(Self { verb, name })
    }
}

/// The name in a path that is like this template; empty when the template has none.
fn name_in<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let Some((before, after)) = template.split_once("{name}") else {
        return (template == path).then_some("");
    };
    let name = path.strip_prefix(before)?.strip_suffix(after)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn no_such_path(path: &str) -> String {
    if path.len() > PATH_BYTES_MAX {
        return "there is no such path; see /v1/openapi.json".to_owned();
    }
    let name = path
        .split('/')
        .nth(3)
        .filter(|name| !name.is_empty())
        .unwrap_or("{name}");
    let rated = TABLE.iter().map(|(template, _)| {
        let known = template.replace("{name}", name);
        (strsim::jaro_winkler(&known, path), known)
    });
    let nearest = rated.max_by(|(a, _), (b, _)| a.total_cmp(b));
    match nearest {
        Some((rate, nearest)) if rate >= SIMILAR => format!("there is no {path}; did you mean {nearest}?"),
        Some(_) | None => format!("there is no {path}; see /v1/openapi.json"),
    }
}
