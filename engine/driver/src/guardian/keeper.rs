//! The deputy of a dead engine as the keeper of those that are to outlive it.
//!
//! It stays their parent, so that somebody takes their exits and can tell the next engine of them, and ends with the last
//! of them. The guardian above it ends at once: whoever has called `forkyard run` does not wait for the keeper. It holds
//! nothing of its caller: no descriptor, no folder, no name among the jobs of the shell.

use std::env;
use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::thread;
use std::time::Duration;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal};

use super::group::Group;
use super::tell;
use super::ward::{Above, Spared};
use crate::exit::{open_pidfd, peek};
use crate::kept::{Ending, Place, Stopping, Ward};
use crate::tree::{self, reap_all_but, sweep_all};
use crate::words::io_reason;

/// How often it is looked whether those have ended that a kept process has left behind.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// The deputy's word to the guardian that it stays, with the exit code of the run.
#[derive(Debug)]
pub(super) struct Farewell {
    reader: PipeReader,
    writer: PipeWriter,
}

impl Farewell {
    /// To be made before the deputy is.
    pub(super) fn new() -> io::Result<Self> {
        let (reader, writer) = io::pipe()?;
        fcntl(&reader, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self { reader, writer })
    }

    /// The code, once it has been said.
    pub(super) fn heard(&self) -> Option<i32> {
        let mut code = [0; size_of::<i32>()];
        let read = (&self.reader).read_exact(&mut code);
        read.is_ok().then(|| i32::from_ne_bytes(code))
    }

    fn say(&self, code: i32) -> io::Result<()> {
        (&self.writer).write_all(&code.to_ne_bytes())
    }
}

/// Stays for as long as one of those lives who are to be kept; returns at once when there is none.
pub(super) fn stay(spared: Spared<'_>, group: Option<&Group>, above: &Above, code: i32) {
    let mut wards = match spared.place.wards() {
        Ok(wards) => wards,
        Err(error) => return tell(&format!("it cannot be read who is kept: {}", io_reason(&error))),
    };
    // Those that an earlier engine had started have a keeper, or have lost it.
    wards.retain(|ward| tree::is_own_child(ward.identity.pid, ward.identity.start).unwrap_or(false));
    if wards.is_empty() {
        return;
    }
    // The guardian ends the group, and this process with it.
    if let Some(Err(error)) = group.map(Group::leave) {
        return tell(&format!(
            "nobody will know how those end that are kept: {}",
            io_reason(&error)
        ));
    }
    if let Err(error) = detach().and_then(|()| spared.farewell.say(code)) {
        return tell(&format!(
            "nobody will know how those end that are kept: {}",
            io_reason(&error)
        ));
    }
    above.wake();
    close_all();
    Keeper {
        place: spared.place,
        wards: &wards,
    }
    .keep();
    // SAFETY: the process ends here; the owners of what has been closed are not dropped.
    unsafe { libc::_exit(code) }
}

/// Lets go of the terminal, or of the pipes of whoever reads the output, and of the folder.
fn detach() -> io::Result<()> {
    let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    nix::unistd::dup2_stderr(&null)?;
    env::set_current_dir("/")?;
    // The name is for those who look at the processes of the machine.
    let _ = prctl::set_name(c"forkyard-keeper");
    Ok(())
}

/// Closes all other descriptors, whoever has opened them.
fn close_all() {
    // SAFETY: nothing is read or written from here on by a descriptor that was open before.
    unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) };
}

struct Keeper<'a> {
    place: &'a Place,
    wards: &'a [Ward],
}

impl Keeper<'_> {
    fn keep(&self) {
        let child_ended = SigSet::from_iter([Signal::SIGCHLD]);
        let mut left: Vec<Kept<'_>> = self.wards.iter().map(Kept::Lives).collect();
        loop {
            left = left.into_iter().filter_map(|kept| self.look(kept)).collect();
            let living = left.iter().filter_map(Kept::living).map(|ward| ward.identity.pid);
            let living: Vec<i32> = living.collect();
            reap_all_but(&living);
            if left.is_empty() {
                break;
            }
            // Of those who leave not everybody's end is told by SIGCHLD.
            if living.len() < left.len() || child_ended.wait().is_err() {
                thread::sleep(LOOK_AGAIN);
            }
        }
        // Whoever is still here has nobody any more to be kept for.
        let _ = sweep_all();
    }

    /// How it goes on with one of them; `None`: nobody of it is left.
    fn look<'w>(&self, kept: Kept<'w>) -> Option<Kept<'w>> {
        match kept {
            Kept::Lives(ward) if !self.has_ended(ward) => Some(kept),
            Kept::Lives(ward) => {
                // As an engine would, when a process has left others behind.
                let stopping = Stopping::begin(&ward.tree, ward.note.stop_signal, ward.note.grace());
                self.look(Kept::Leaves(stopping))
            }
            Kept::Leaves(stopping) => (!stopping.is_over()).then_some(Kept::Leaves(stopping)),
        }
    }

    /// Whether its first process has ended; how is written down before it is reaped, so that nobody finds it gone
    /// without a word.
    fn has_ended(&self, ward: &Ward) -> bool {
        let pidfd = loop {
            match open_pidfd(ward.identity.pid) {
                Ok(pidfd) => break pidfd,
                Err(error) if error.raw_os_error() == Some(libc::ESRCH) => return true,
                // The machine lacks something for the moment: that is no end.
                Err(_) => thread::sleep(LOOK_AGAIN),
            }
        };
        match peek(pidfd.as_fd()) {
            Ok(None) => false,
            Ok(Some((exit, usage))) => {
                // Without it the next engine does not know how it ended, and says so.
                let _ = self.place.write_ending(ward.identity, &Ending::new(exit, usage));
                true
            }
            Err(_) => true,
        }
    }
}

/// One of those who are kept.
enum Kept<'a> {
    Lives(&'a Ward),
    /// Its first process has ended, and those that it has left behind are being stopped.
    Leaves(Stopping<'a>),
}

impl<'a> Kept<'a> {
    fn living(&self) -> Option<&'a Ward> {
        match self {
            Self::Lives(ward) => Some(ward),
            Self::Leaves(_) => None,
        }
    }
}
