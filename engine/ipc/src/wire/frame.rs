//! Frames, and how they are cut out of a stream of bytes.

use super::{HEADER_BYTES, OVERHEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, WireError};

/// A frame, not yet understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is; see [`super::Ask`] and [`super::Answer`].
    pub operation: u8,
    /// Bits.
    pub flags: u8,
    /// The number of the request.
    pub request: u64,
    /// The payload; when it was longer than the decoder's limit, only its beginning.
    pub payload: Vec<u8>,
    /// How many bytes of the payload were thrown away, 0 but for a payload over the limit.
    pub cut: usize,
}

/// Cuts frames out of a stream, in whatever pieces it comes.
///
/// It never holds more than was fed to it: the length that a header claims allocates nothing. Of a
/// payload over the limit only the beginning is kept, enough to say whose it was, so that a client
/// that sends too large an item is refused and goes on.
#[derive(Debug)]
pub struct Decoder {
    limit: usize,
    pub(super) buffer: Vec<u8>,
    /// How far into `buffer` it has been read.
    start: usize,
    cutting: Option<Cutting>,
}

/// A frame over the limit whose payload is being thrown away.
#[derive(Debug)]
struct Cutting {
    frame: Frame,
    missing: usize,
}

struct Header {
    length: usize,
    operation: u8,
    flags: u8,
    request: u64,
}

impl Decoder {
    /// `limit`: how many bytes a payload may have to be kept whole.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self {
            limit,
            buffer: Vec::new(),
            start: 0,
            cutting: None,
        }
    }

    /// Changes the limit for the frames to come.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Takes the next bytes of the stream; call [`Decoder::next_frame`] until it has none before more are fed.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        if let Some(cutting) = &mut self.cutting {
            let thrown = cutting.missing.min(bytes.len());
            cutting.missing -= thrown;
            bytes = &bytes[thrown..];
        }
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// When the stream is none of this protocol. Nothing after that can be understood.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, WireError> {
        if let Some(cutting) = self.cutting.take() {
            return Ok(self.finish_cutting(cutting));
        }
        let unread = &self.buffer[self.start..];
        let Some(header) = Header::read(unread)? else {
            return Ok(None);
        };
        let available = &unread[HEADER_BYTES..];
        if header.length > self.limit {
            return Ok(self.begin_cutting(&header));
        }
        let Some(payload) = available.get(..header.length) else {
            return Ok(None);
        };
        let frame = header.frame(payload.to_vec());
        self.start += HEADER_BYTES + header.length;
        Ok(Some(frame))
    }

    fn begin_cutting(&mut self, header: &Header) -> Option<Frame> {
        let available = &self.buffer[self.start + HEADER_BYTES..];
        let kept = header.length.min(OVERHEAD_BYTES_MAX);
        let payload = available.get(..kept)?.to_vec();
        let thrown = available.len().min(header.length) - kept;
        let mut frame = header.frame(payload);
        frame.cut = header.length - kept;
        self.start += HEADER_BYTES + kept + thrown;
        let missing = frame.cut - thrown;
        self.finish_cutting(Cutting { frame, missing })
    }

    fn finish_cutting(&mut self, cutting: Cutting) -> Option<Frame> {
        if cutting.missing == 0 {
            return Some(cutting.frame);
        }
        self.cutting = Some(cutting);
        None
    }
}

impl Header {
    fn read(bytes: &[u8]) -> Result<Option<Self>, WireError> {
        let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, operation, flags, z0, z1, request @ ..] = *bytes;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        if length > PAYLOAD_BYTES_MAX {
            return Err(WireError::LongPayload);
        }
        if [z0, z1] != [0, 0] || flags > 1 {
            return Err(WireError::Excess);
        }
        Ok(Some(Self {
            length,
            operation,
            flags,
            request: u64::from_le_bytes(request),
        }))
    }

    const fn frame(&self, payload: Vec<u8>) -> Frame {
        Frame {
            operation: self.operation,
            flags: self.flags,
            request: self.request,
            payload,
            cut: 0,
        }
    }
}
