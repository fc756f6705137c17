//! The answer that is on its way to a client: what was granted with it is the client's when it is written.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::{Notify, mpsc};

use crate::broker::ConnectionId;
use crate::broker::delivery::Delivered;

/// One for each connection.
#[derive(Debug)]
pub(super) struct Flight {
    stage: Mutex<Stage>,
    /// Where the broker is told.
    delivered: mpsc::UnboundedSender<Delivered>,
    emptied: Notify,
    landed: Notify,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing that was granted is on its way.
    Empty,
    /// The answer is not yet among the bytes to be written.
    Loaded(Delivered),
    /// The bytes to be written end with the answer.
    Queued(Delivered),
    /// It is written, and the broker is still to be woken.
    Landed(ConnectionId),
}

impl Flight {
    pub(super) fn new(delivered: mpsc::UnboundedSender<Delivered>) -> Self {
        Self {
            stage: Mutex::new(Stage::Empty),
            delivered,
            emptied: Notify::new(),
            landed: Notify::new(),
        }
    }

    /// The next answer grants something.
    pub(super) fn load(&self, delivered: Delivered) {
        self.change(|stage| *stage = Stage::Loaded(delivered));
    }

    fn queue(&self) {
        self.change(|stage| {
            if let Stage::Loaded(delivered) = *stage {
                *stage = Stage::Queued(delivered);
            }
        });
    }

    /// Everything is written.
    pub(super) fn land(&self) {
        let landed = self.change(|stage| {
            let Stage::Queued(delivered) = *stage else { return None };
            *stage = Stage::Landed(delivered.connection);
            Some(delivered)
        });
        if let Some(delivered) = landed {
            // When the broker has gone, the run has ended.
            let _told = self.delivered.send(delivered);
            self.landed.notify_one();
        }
    }

    /// Resolves when something is written that was granted, with the connection of the broker that it was granted to.
    pub(super) async fn landed(&self) -> ConnectionId {
        loop {
            self.landed.notified().await;
            let connection = self.change(|stage| {
                let Stage::Landed(connection) = *stage else { return None };
                *stage = Stage::Empty;
                Some(connection)
            });
            if let Some(connection) = connection {
                self.emptied.notify_waiters();
                return connection;
            }
        }
    }

    /// Resolves when the answer before is written: a client may send its next request without having read it.
    pub(super) async fn until_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.change(|stage| matches!(stage, Stage::Empty)) {
                return;
            }
            emptied.await;
        }
    }

    fn change<T>(&self, change: impl FnOnce(&mut Stage) -> T) -> T {
        change(&mut self.stage.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The body of an answer. It is dropped when all of it is among the bytes to be written.
#[derive(Debug)]
pub(super) struct Parcel {
    bytes: Bytes,
    flight: Arc<Flight>,
}

impl Parcel {
    pub(super) const fn new(bytes: Bytes, flight: Arc<Flight>) -> Self {
        Self { bytes, flight }
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        self.flight.queue();
    }
}

impl Body for Parcel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = std::mem::take(&mut self.get_mut().bytes);
        Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
