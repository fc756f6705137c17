//! Why a request is not fulfilled: a status, a word for programs, and a sentence for people.

use forkyard_ipc::client::Patience;
use forkyard_ipc::wire::Why;
use hyper::StatusCode;

/// A request that is not fulfilled.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) code: Code,
    pub(super) message: String,
    /// Of several items, how many were put before this.
    pub(super) put: Option<usize>,
    /// The methods that the path has.
    pub(super) allow: Option<&'static str>,
}

/// The kinds of refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    BadRequest,
    TooMany,
    UnknownToken,
    NotDeclared,
    ForeignOrigin,
    NoSuchPath,
    NoSuchName,
    MethodNotAllowed,
    Slow,
    WouldBlock,
    TimedOut,
    NotHeld,
    Closed,
    Broken,
    Ended,
    TooLarge,
    UnsupportedMediaType,
    WrongKind,
    Limit,
    Unable,
}

impl Refusal {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            put: None,
            allow: None,
        }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(Code::BadRequest, message)
    }

    pub(super) fn ended() -> Self {
        Self::new(
            Code::Ended,
            "the process this client speaks for has ended, or the run has",
        )
    }

    pub(super) fn not_now(patience: Patience) -> Self {
        match patience {
            Patience::Block | Patience::Try => Self::new(Code::WouldBlock, "it would have to wait"),
            Patience::For(_) => Self::new(Code::TimedOut, "the time is over"),
        }
    }
}

impl Code {
    pub(super) const fn of(why: Why) -> Self {
        match why {
            Why::NotDeclared => Self::NotDeclared,
            Why::NoSuchName => Self::NoSuchName,
            Why::WrongKind => Self::WrongKind,
            Why::TooLarge => Self::TooLarge,
            Why::TooMany => Self::TooMany,
            Why::NotHeld => Self::NotHeld,
            Why::UnknownToken => Self::UnknownToken,
            Why::Protocol => Self::Limit,
            Why::Ended => Self::Ended,
            Why::Unable => Self::Unable,
        }
    }

    /// The word for it, and the status that it comes with.
    pub(super) const fn shown(self) -> (&'static str, StatusCode) {
        match self {
            Self::BadRequest => ("bad_request", StatusCode::BAD_REQUEST),
            Self::TooMany => ("too_many", StatusCode::BAD_REQUEST),
            Self::UnknownToken => ("unknown_token", StatusCode::UNAUTHORIZED),
            Self::NotDeclared => ("not_declared", StatusCode::FORBIDDEN),
            Self::ForeignOrigin => ("foreign_origin", StatusCode::FORBIDDEN),
            Self::NoSuchPath => ("no_such_path", StatusCode::NOT_FOUND),
            Self::NoSuchName => ("no_such_name", StatusCode::NOT_FOUND),
            Self::MethodNotAllowed => ("method_not_allowed", StatusCode::METHOD_NOT_ALLOWED),
            Self::Slow => ("slow", StatusCode::REQUEST_TIMEOUT),
            Self::WouldBlock => ("would_block", StatusCode::CONFLICT),
            Self::TimedOut => ("timed_out", StatusCode::CONFLICT),
            Self::NotHeld => ("not_held", StatusCode::CONFLICT),
            Self::Closed => ("closed", StatusCode::GONE),
            Self::Broken => ("broken", StatusCode::GONE),
            Self::Ended => ("ended", StatusCode::GONE),
            Self::TooLarge => ("too_large", StatusCode::PAYLOAD_TOO_LARGE),
            Self::UnsupportedMediaType => ("unsupported_media_type", StatusCode::UNSUPPORTED_MEDIA_TYPE),
            Self::WrongKind => ("wrong_kind", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Limit => ("limit", StatusCode::TOO_MANY_REQUESTS),
            Self::Unable => ("unable", StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}
