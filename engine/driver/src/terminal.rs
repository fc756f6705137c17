//! Pseudo-terminals for processes that ask for one: `pty(7)`.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::pty::{Winsize, openpty};

/// The size of a terminal where the engine has none to ask.
const SIZE_DEFAULT: Winsize = Winsize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// A terminal with both its sides.
#[derive(Debug)]
pub(crate) struct Terminal {
    engine: OwnedFd,
    process: OwnedFd,
}

impl Terminal {
    /// Opens one of the size of the engine's own.
    ///
    /// # Errors
    /// When there are no descriptors, or no terminals, left.
    pub(crate) fn open() -> io::Result<Self> {
        let pair = openpty(Some(&own_size()), None)?;
        for side in [&pair.master, &pair.slave] {
            fcntl(side, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
        }
        fcntl(&pair.master, FcntlArg::F_SETFL(OFlag::O_RDWR | OFlag::O_NONBLOCK))?;
        Ok(Self {
            engine: pair.master,
            process: pair.slave,
        })
    }

    /// What the process writes can be read here, without waiting.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn engine_side(&self) -> io::Result<OwnedFd> {
        self.engine.try_clone()
    }

    /// For the process.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn process_side(&self) -> io::Result<OwnedFd> {
        self.process.try_clone()
    }

    /// The engine's side alone: once the process has its own, the end of it can be seen.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(crate) fn screen(&self) -> io::Result<Screen> {
        self.engine_side().map(Screen)
    }
}

/// The size of a terminal in the hands of the engine.
#[derive(Debug)]
pub(crate) struct Screen(OwnedFd);

impl Screen {
    /// The engine's own terminal has another size now: so has this one, and its processes get SIGWINCH.
    pub(crate) fn resize(&self) {
        let size = own_size();
        // SAFETY: the call reads one structure, which outlives it. What cannot be resized keeps its size.
        unsafe { libc::ioctl(self.0.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) };
    }
}

fn own_size() -> Winsize {
    let mut size = SIZE_DEFAULT;
    let ask = |fd: i32, size: &mut Winsize| {
        // SAFETY: the call writes one structure, which outlives it.
        Errno::result(unsafe { libc::ioctl(fd, libc::TIOCGWINSZ, size) }).is_ok()
    };
    let streams = [io::stdout().as_fd().as_raw_fd(), io::stderr().as_fd().as_raw_fd()];
    let is_known = streams.iter().any(|fd| ask(*fd, &mut size)) && size.ws_col > 0 && size.ws_row > 0;
    if is_known { size } else { SIZE_DEFAULT }
}
