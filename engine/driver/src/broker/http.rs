//! HTTP/1.1 on the run's socket, for programs that neither map memory nor speak frames.
//!
//! A request is turned into the same requests of the broker that frames carry ([`desk`]); its connection is one of the
//! broker's as long as it stays with one token. What a client was granted and what was not written to it goes back
//! ([`flight`]). `openapi.json` says what can be asked and answered; a test holds [`route::TABLE`] to it.

mod desk;
mod flight;
mod line;
mod refusal;
pub(super) mod route;
mod told;
mod verbs;
mod wish;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, HeaderMap, ORIGIN};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::UnixStream;
use tokio::sync::Mutex;

use super::What;
use super::connection::{Door, peer};
use desk::Desk;
use flight::{Flight, Parcel};
use line::Line;
use refusal::{Code, Refusal};
use route::{Route, Verb};
use told::Told;

/// The first line and the headers of a request may have so many bytes together.
const HEAD_BYTES_MAX: usize = 32 * 1024;

/// A request may have so many headers.
const HEADERS_MAX: usize = 64;

/// How long a client may take for them, and stay connected without asking anything.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// Serves a connection until its client goes.
pub(super) async fn serve(stream: UnixStream, first: Vec<u8>, door: Door) {
    let flight = Arc::new(Flight::new(door.delivered.clone()));
    let desk = Arc::new(Mutex::new(Desk::new(door.clone(), peer(&stream), Arc::clone(&flight))));
    converse(Line::new(stream, first, Arc::clone(&flight)), &desk, &flight, &door).await;
    desk.lock().await.close().await;
}

/// Whatever the client did wrong ends the connection, and is nothing to tell anybody.
async fn converse(line: Line, desk: &Arc<Mutex<Desk>>, flight: &Flight, door: &Door) {
    let service = service_fn(|request| {
        let desk = Arc::clone(desk);
        async move { Ok::<_, Infallible>(respond(&mut *desk.lock().await, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(line), service);
    let mut connection = std::pin::pin!(connection);
    loop {
        tokio::select! {
            ended = &mut connection => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a client of the socket has gone");
                }
                return;
            }
            // The broker has been told, and is made to listen.
            connection = flight.landed() => {
                door.tell(connection, What::Delivered).await;
            }
        }
    }
}

async fn respond(desk: &mut Desk, request: Request<Incoming>) -> Response<Parcel> {
    let (head, mut body) = request.into_parts();
    desk.flight().until_empty().await;
    let told = match answer(desk, &head, &mut body).await {
        Ok(told) => told,
        Err(refusal) => {
            wish::drain(&head.headers, &mut body).await;
            Told::Refused(refusal)
        }
    };
    told.into_response(desk.flight())
}

async fn answer(desk: &mut Desk, head: &Parts, body: &mut Incoming) -> Result<Told, Refusal> {
    if head.headers.contains_key(ORIGIN) {
        let message = "a page of the web has no business here: a request with an `Origin` is refused";
        return Err(Refusal::new(Code::ForeignOrigin, message));
    }
    let Route { verb, name } = Route::find(&head.method, head.uri.path())?;
    if verb == Verb::Openapi {
        return Ok(Told::Openapi);
    }
    desk.greet(token(&head.headers, verb)?).await?;
    verbs::carry_out(desk, verb, name, head, body).await
}

/// The token of the request; empty where none is needed.
fn token(headers: &HeaderMap, verb: Verb) -> Result<&str, Refusal> {
    let Some(value) = headers.get(AUTHORIZATION) else {
        if verb == Verb::Ps {
            return Ok("");
        }
        let message = "no token: send the header `Authorization: Bearer $FORKYARD_TOKEN`";
        return Err(Refusal::new(Code::UnknownToken, message));
    };
    let bearer = value.to_str().ok().and_then(|value| value.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => Ok(token.trim()),
        Some(_) | None => Err(Refusal::new(
            Code::UnknownToken,
            "the header is `Authorization: Bearer $FORKYARD_TOKEN`, with the token of a process",
        )),
    }
}
