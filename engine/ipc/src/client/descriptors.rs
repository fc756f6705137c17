//! Bytes and descriptors from a Unix socket.

use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{io, mem, ptr};

/// With a frame come two; the kernel closes what does not fit here.
const DESCRIPTORS_BYTES: u32 = 2 * 4;

/// The space for their message, aligned as its header must be.
#[repr(C)]
union Space {
    bytes: [u8; 64],
    _header: libc::cmsghdr,
}

/// As a read of `bytes`; descriptors that came along are added to `descriptors`, closed on exec.
///
/// # Errors
/// Those of `recvmsg(2)`, and `EMFILE` when this process has no room for what was sent.
pub(super) fn receive(stream: &UnixStream, bytes: &mut [u8], descriptors: &mut Vec<OwnedFd>) -> io::Result<usize> {
    let mut space = Space { bytes: [0; 64] };
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: all zeros is a valid header: no name, no parts, no control message.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = (&raw mut space).cast();
    // SAFETY: the call computes a length.
    header.msg_controllen = unsafe { libc::CMSG_SPACE(DESCRIPTORS_BYTES) } as usize;
    // SAFETY: the header points to one part and to the space, both of which outlive the call.
    let length = unsafe { libc::recvmsg(stream.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    let length = usize::try_from(length).map_err(|_| io::Error::last_os_error())?;
    // SAFETY: the kernel has filled the header that the call was given.
    unsafe { take(&header, descriptors) };
    if header.msg_flags & libc::MSG_CTRUNC != 0 {
        return Err(io::Error::from_raw_os_error(libc::EMFILE));
    }
    Ok(length)
}

/// Waits until there is something to read, or the other end has gone; false when the time is over, or a signal came.
///
/// # Errors
/// Those of `poll(2)`.
pub(super) fn is_readable_within(stream: &UnixStream, time: Duration) -> io::Result<bool> {
    let mut poll = libc::pollfd {
        fd: stream.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // Rounded up: to wake too early would be to turn round and round.
    let milliseconds = time.as_nanos().div_ceil(1_000_000);
    // SAFETY: one entry is given, which outlives the call.
    let count = unsafe { libc::poll(&raw mut poll, 1, i32::try_from(milliseconds).unwrap_or(i32::MAX)) };
    match count {
        0.. => Ok(count > 0),
        _ => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::Interrupted => Ok(false),
            error => Err(error),
        },
    }
}

/// # Safety
/// `header` has been filled by `recvmsg(2)`, and its descriptors are nobody's yet.
unsafe fn take(header: &libc::msghdr, descriptors: &mut Vec<OwnedFd>) {
    // SAFETY: the header is the kernel's, so its control messages are well formed.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: the message is whole, as the kernel has written it.
        let (level, kind, length) = unsafe { ((*message).cmsg_level, (*message).cmsg_type, (*message).cmsg_len) };
        if (level, kind) == (libc::SOL_SOCKET, libc::SCM_RIGHTS) {
            // SAFETY: the call computes a length.
            let head = unsafe { libc::CMSG_LEN(0) } as usize;
            let count = length.saturating_sub(head) / mem::size_of::<RawFd>();
            for index in 0..count {
                // SAFETY: the message has `count` descriptors behind its head, each new and ours.
                let descriptor = unsafe {
                    let number = libc::CMSG_DATA(message).add(index * mem::size_of::<RawFd>());
                    OwnedFd::from_raw_fd(RawFd::from_ne_bytes(ptr::read(number.cast())))
                };
                descriptors.push(descriptor);
            }
        }
        // SAFETY: `message` is one of the header's.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
}
