//! What tests of the primitives need: other users of a channel, a host, processes that are waited for.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use crate::channel::{Attachment, Channel, Manner};

/// The channel's file once more, for another user.
pub fn again(file: BorrowedFd<'_>) -> OwnedFd {
    file.try_clone_to_owned().expect("there are descriptors left")
}

/// A bell.
pub fn bell() -> OwnedFd {
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    assert!(fd >= 0, "there are descriptors left");
    // SAFETY: the descriptor is new and ours.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// For somebody who has the bell.
pub fn with_bell(file: BorrowedFd<'_>, manner: Manner, bell: &OwnedFd) -> Attachment {
    Attachment {
        file: again(file),
        manner,
        party: 7,
        bell: Some(bell.try_clone().expect("there are descriptors left")),
    }
}

/// Whether the bell has been rung since this was asked last.
pub fn has_rung(bell: &OwnedFd, host: &Channel) -> bool {
    let mut count = 0_u64;
    // SAFETY: eight bytes are written to `count`, which outlives the call.
    let read = unsafe { libc::read(bell.as_raw_fd(), (&raw mut count).cast(), 8) };
    assert_eq!(host.was_rung(), read == 8, "the word and the bell say the same");
    read == 8
}

/// Returns when so many threads sleep at the channel.
pub fn until_asleep(channel: &Arc<Channel>, threads: u32) {
    while channel
        .clients()
        .iter()
        .map(|client| client.waiting.threads())
        .sum::<u32>()
        < threads
    {
        std::thread::yield_now();
    }
}
