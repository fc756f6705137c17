//! The fields of a payload, one after another.

use super::{PAYLOAD_BYTES_MAX, TEXT_BYTES_MAX, WireError};

/// Reads fields from the front of a payload.
pub(super) struct Reader<'a>(pub &'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, length: usize) -> Result<&'a [u8], WireError> {
        let (field, rest) = self.0.split_at_checked(length).ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(field)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (field, rest) = self.0.split_first_chunk().ok_or(WireError::Short)?;
        self.0 = rest;
        Ok(*field)
    }

    pub(super) fn u32(&mut self) -> Result<u32, WireError> {
        self.array().map(u32::from_le_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, WireError> {
        self.array().map(u64::from_le_bytes)
    }

    pub(super) fn text(&mut self) -> Result<String, WireError> {
        let length = self.array().map(u16::from_le_bytes)?;
        if usize::from(length) > TEXT_BYTES_MAX {
            return Err(WireError::LongText);
        }
        let bytes = self.bytes(usize::from(length))?;
        std::str::from_utf8(bytes)
            .map(str::to_owned)
            .map_err(|_| WireError::Text)
    }

    pub(super) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(super) fn end(&self) -> Result<(), WireError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(WireError::Excess)
        }
    }
}

/// Writes a whole frame: the header first, then field by field.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// `expected` is how long the payload will be, about.
    pub(super) fn new(operation: u8, flags: u8, request: u64, expected: usize) -> Self {
        let mut frame = Vec::with_capacity(super::HEADER_BYTES + expected);
        frame.extend_from_slice(&[0, 0, 0, 0, operation, flags, 0, 0]);
        frame.extend_from_slice(&request.to_le_bytes());
        Self(frame)
    }

    pub(super) fn u32(&mut self, number: u32) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn u64(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) -> Result<(), WireError> {
        let length = u16::try_from(text.len()).map_err(|_| WireError::LongText)?;
        if text.len() > TEXT_BYTES_MAX {
            return Err(WireError::LongText);
        }
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }

    pub(super) fn rest(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, WireError> {
        let length = self.0.len() - super::HEADER_BYTES;
        if length > PAYLOAD_BYTES_MAX {
            return Err(WireError::LongPayload);
        }
        let length = u32::try_from(length).map_err(|_| WireError::LongPayload)?;
        self.0[..4].copy_from_slice(&length.to_le_bytes());
        Ok(self.0)
    }
}
