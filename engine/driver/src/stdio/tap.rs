//! The engine's end of a pipe that a process writes to.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::watch;
use tokio::time::Instant;

/// A full pipe of the kernel's default size: one read empties it.
const READ_BYTES: usize = 64 * 1024;

/// How long the end of a stream is waited for when the whole process tree is gone and somebody outside of it
/// still holds the other end.
const LEAK_PATIENCE: Duration = Duration::from_secs(1);

/// Reads until the end of the stream, or until nobody of the process's tree can write any more.
#[derive(Debug)]
pub struct Tap {
    pipe: Receiver,
    /// Becomes true when the process's tree is empty.
    tree_gone: watch::Receiver<bool>,
    deadline: Option<Instant>,
    buffer: Vec<u8>,
}

impl Tap {
    /// Reads from `pipe`. Within a runtime.
    pub fn new(pipe: OwnedFd, tree_gone: watch::Receiver<bool>) -> io::Result<Self> {
        Ok(Self {
            pipe: Receiver::from_owned_fd(pipe)?,
            tree_gone,
            deadline: None,
            buffer: vec![0; READ_BYTES],
        })
    }

    /// What was written next; `None` at the end, or when the stream has been left open by strangers. An error of
    /// the pipe itself is its end too: there is nothing more to be had from it.
    pub async fn read(&mut self) -> Option<&[u8]> {
        loop {
            match self.pipe.try_read(&mut self.buffer) {
                Ok(0) => return None,
                Ok(count) => return Some(&self.buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(_) => return None,
            }
            if !self.wait().await {
                return None;
            }
        }
    }

    /// Waits for more; false when nothing more is to be expected.
    async fn wait(&mut self) -> bool {
        if let Some(deadline) = self.deadline {
            return matches!(
                tokio::time::timeout_at(deadline, self.pipe.readable()).await,
                Ok(Ok(()))
            );
        }
        tokio::select! {
            readable = self.pipe.readable() => readable.is_ok(),
            // A closed channel says the same: whoever watched the tree is gone.
            _ = self.tree_gone.wait_for(|gone| *gone) => {
                self.deadline = Some(Instant::now() + LEAK_PATIENCE);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[tokio::test]
    async fn all_is_read_up_to_the_end() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let (_keep, gone) = watch::channel(false);
        let mut tap = Tap::new(reader.into(), gone).expect("a tap");
        writer.write_all(b"one").expect("written");
        assert_eq!(tap.read().await, Some(&b"one"[..]));
        writer.write_all(b"two").expect("written");
        drop(writer);
        assert_eq!(tap.read().await, Some(&b"two"[..]));
        assert_eq!(tap.read().await, None);
    }

    #[tokio::test]
    async fn strangers_that_hold_the_pipe_do_not_hold_up_the_end() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let (gone, watching) = watch::channel(false);
        let mut tap = Tap::new(reader.into(), watching).expect("a tap");
        writer.write_all(b"last").expect("written");
        gone.send(true).expect("watched");
        assert_eq!(tap.read().await, Some(&b"last"[..]));
        assert_eq!(tap.read().await, None, "though the writer is still open");
        drop(writer);
    }
}
