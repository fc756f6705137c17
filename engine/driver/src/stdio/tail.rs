//! From a log that the process itself writes to, to the reporters: it goes on being written when the engine dies.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use super::output::Output;
use crate::over::Over;

/// So many bytes are read at once.
const READ_BYTES: usize = 64 * 1024;

/// How often a file is looked at: nothing tells of a file's growth on every file system. The pause doubles as long as
/// nothing comes.
const PAUSE_MIN: Duration = Duration::from_millis(5);
const PAUSE_MAX: Duration = Duration::from_millis(160);

/// A log that grows by itself.
#[derive(Debug)]
pub struct Tail {
    file: File,
    /// So far it has been read.
    at: u64,
}

impl Tail {
    /// From this byte on.
    #[must_use]
    pub const fn new(file: File, from: u64) -> Self {
        Self { file, at: from }
    }

    /// What has been written since; nothing when it cannot be read, or has been cut off.
    fn read<'b>(&mut self, buffer: &'b mut [u8]) -> &'b [u8] {
        let count = self.file.read_at(buffer, self.at).unwrap_or(0);
        self.at += count as u64;
        &buffer[..count]
    }
}

/// Follows the log until the process's tree is gone, and then to its end.
pub async fn follow(mut tail: Tail, mut output: Output, over: Over) {
    let mut buffer = vec![0; READ_BYTES];
    let mut pause = PAUSE_MIN;
    loop {
        let is_last = over.is_so();
        let bytes = tail.read(&mut buffer);
        if !bytes.is_empty() {
            output.take(bytes).await;
            pause = PAUSE_MIN;
            continue;
        }
        if is_last {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = over.come() => {}
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
    output.finish().await;
}
