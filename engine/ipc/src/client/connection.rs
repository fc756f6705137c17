//! The client's end of the socket: a request goes out, its answer comes in.

use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::{ClientError, descriptors};
use crate::wire::{Answer, Ask, Decoder, PAYLOAD_BYTES_MAX};

/// So many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    decoder: Decoder,
    chunk: Vec<u8>,
    requests: u64,
    /// What came with the last answer.
    descriptors: Vec<OwnedFd>,
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            decoder: Decoder::new(PAYLOAD_BYTES_MAX),
            chunk: vec![0; READ_BYTES],
            requests: 0,
            descriptors: Vec::new(),
        }
    }

    /// The number of the request, by which its answer is known.
    pub(super) fn send(&mut self, ask: &Ask) -> Result<u64, ClientError> {
        self.requests += 1;
        self.descriptors.clear();
        let frame = ask.encode(self.requests)?;
        self.stream.write_all(&frame).map_err(ClientError::of_io)?;
        Ok(self.requests)
    }

    pub(super) fn receive(&mut self, request: u64) -> Result<Answer, ClientError> {
        loop {
            if let Some(answer) = self.next_answer(request)? {
                return Ok(answer);
            }
            self.read_more()?;
        }
    }

    /// When the time is over the request is cancelled. Its answer comes all the same: either that it
    /// would have to wait, or what was already on the way, so that nothing granted is lost.
    pub(super) fn receive_within(&mut self, request: u64, time: Duration) -> Result<Answer, ClientError> {
        // A time beyond what the clock can count is for ever.
        let Some(deadline) = Instant::now().checked_add(time) else {
            return self.receive(request);
        };
        loop {
            if let Some(answer) = self.next_answer(request)? {
                return Ok(answer);
            }
            let remaining = deadline.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                self.send(&Ask::Cancel { request })?;
                return self.receive(request);
            }
            // Not a time-out of the socket: nobody could see from outside that there is one.
            if descriptors::is_readable_within(&self.stream, remaining).map_err(ClientError::of_io)? {
                self.read_more()?;
            }
        }
    }

    /// The two that came with the last answer.
    pub(super) fn take_descriptors(&mut self) -> Result<[OwnedFd; 2], ClientError> {
        <[OwnedFd; 2]>::try_from(std::mem::take(&mut self.descriptors)).map_err(|came| {
            ClientError::Protocol(format!(
                "two descriptors are due with a channel, and {} came",
                came.len()
            ))
        })
    }

    fn next_answer(&mut self, request: u64) -> Result<Option<Answer>, ClientError> {
        let Some(frame) = self.decoder.next_frame()? else {
            return Ok(None);
        };
        if frame.request != request {
            return Err(ClientError::Protocol(format!(
                "request {} was answered instead of {request}",
                frame.request
            )));
        }
        Ok(Some(Answer::decode(&frame)?))
    }

    /// Reads what is there, once; a time-out is for the caller to notice.
    fn read_more(&mut self) -> Result<(), ClientError> {
        match descriptors::receive(&self.stream, &mut self.chunk, &mut self.descriptors) {
            Ok(0) => Err(ClientError::RunEnded),
            Ok(length) => {
                self.decoder.feed(&self.chunk[..length]);
                Ok(())
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => Ok(()),
                _ => Err(ClientError::of_io(error)),
            },
        }
    }
}
