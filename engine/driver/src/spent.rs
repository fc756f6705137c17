//! What an ended process has left open, until there is time to close it.
//!
//! When a process has ended another may wait for its place, and a core may stand idle until that is started. To close
//! what is left takes as long as to prepare the next start; so it is put aside, and closed once the starts of a turn are
//! on their way. Whoever prepares a start, or looks who is left of a tree, and finds no descriptor free has it closed first.

use std::cell::RefCell;
use std::os::fd::OwnedFd;

use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe::Receiver;

/// Something that nobody needs any more.
#[derive(Debug)]
#[expect(dead_code, reason = "what is in it is only dropped")]
pub enum Spent {
    /// The engine's end of a stream that has come to its end.
    Stream(Receiver),
    /// The pidfd of a process that has been reaped.
    Pidfd(AsyncFd<OwnedFd>),
}

thread_local! {
    /// Of the engine's thread, in which all that watches over processes works.
    static ASIDE: RefCell<Vec<Spent>> = const { RefCell::new(Vec::new()) };
}

/// Leaves it for [`close`].
pub fn put_aside(spent: Spent) {
    ASIDE.with_borrow_mut(|aside| aside.push(spent));
}

/// Closes all that has been put aside; whether there was something.
pub fn close() -> bool {
    let spent = ASIDE.take();
    !spent.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_put_aside_is_open_until_it_is_closed() {
        let (reader, writer) = crate::pipes::to_read().expect("a pipe can be made");
        put_aside(Spent::Stream(Receiver::from_owned_fd(reader).expect("it is a pipe")));
        nix::unistd::write(&writer, b"x").expect("somebody could read");
        assert!(close());
        assert!(!close(), "it is closed once");
        assert_eq!(nix::unistd::write(&writer, b"x"), Err(nix::errno::Errno::EPIPE));
    }
}
