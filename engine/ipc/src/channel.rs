//! What all channels share: a file with a header, slots for the processes that use it, and a latch.
//!
//! The layout of every word is in docs/design/yard.md.

mod header;
mod latch;
mod sleep;
mod slots;
#[cfg(test)]
mod tests;

use std::ffi::CString;
use std::fs::{self, File, OpenOptions};
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

pub(crate) use header::OWN;
pub use header::{Kind, Shape, VERSION};
pub(crate) use latch::Latched;
pub(crate) use sleep::{Attempt, Gate, Nap, pause, spins};
pub use sleep::{Waiting, endlessly};
use slots::Watch;
pub use slots::{Client, Slot};

use crate::error::Error;
use crate::futex;
use crate::life::{self, Life};
use crate::memory::{Memory, Word32, Word64};

/// How the words of a kind of channel are put right.
#[derive(Debug)]
pub struct Rules {
    /// Which kind.
    pub kind: Kind,
    /// Puts right what somebody has left half done who was killed with the latch. Called with the latch held; whoever does it may
    /// be killed himself, then it is done again from the start.
    pub mend: fn(&Channel) -> Result<(), Error>,
    /// Takes from a slot what it holds: `orphaned` when its process has died, so that the next holder is told. Called with the latch
    /// held; may be done again from the start.
    pub bury: fn(&Channel, Slot, orphaned: bool) -> Result<(), Error>,
}

/// Where a channel lives.
#[derive(Debug)]
pub enum Place<'a> {
    /// A file, to be made; there must be none yet. Only the user who makes it can open it.
    File(&'a Path),
    /// A memory file without a name, which processes get by inheriting or passing its descriptor. It cannot be made
    /// shorter, so nobody can take it away from under the others.
    Memory,
}

/// Who uses a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// A process that may wait.
    Client,
    /// An engine that serves many, and so never waits for a process that stands still: it is told [`Error::Busy`].
    Host,
}

/// A channel's file that has been handed over, and who gets it.
#[derive(Debug)]
pub struct Attachment {
    /// The file, inherited or passed.
    pub file: OwnedFd,
    /// Who uses it.
    pub manner: Manner,
    /// Which process of a workflow this is, for whoever reads the slots; 0 is none.
    pub party: u32,
    /// The eventfd(2) that wakes the host of the channel; `None` when there is no host.
    pub bell: Option<OwnedFd>,
}

impl Attachment {
    /// For a client of a channel without a host.
    #[must_use]
    pub const fn of(file: OwnedFd) -> Self {
        Self {
            file,
            manner: Manner::Client,
            party: 0,
            bell: None,
        }
    }
}

/// A channel that this process has mapped.
#[derive(Debug)]
pub struct Channel {
    memory: Memory,
    shape: Shape,
    rules: &'static Rules,
    manner: Manner,
    /// Written to when the host of the channel asked to be rung.
    bell: Option<OwnedFd>,
    /// Which process of a workflow this one is, for whoever reads the slots; 0 is none.
    party: u32,
    /// The slot of this process and the stamp of the process that it belongs to: a forked child has another stamp.
    me: AtomicU64,
    /// Whether whoever waits is told of signals.
    interruptible: AtomicBool,
    watch: Mutex<Watch>,
}

impl Channel {
    /// Makes a channel. It is there whole or not at all.
    pub fn create(place: &Place<'_>, shape: Shape, rules: &'static Rules) -> Result<Arc<Self>, Error> {
        shape.check()?;
        match place {
            Place::File(path) => {
                let beside = beside(path);
                // One of our number that was killed here may have left its file.
                let _ = fs::remove_file(&beside);
                let file = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create_new(true)
                    .mode(0o600)
                    .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
                    .open(&beside)
                    .map_err(Error::io("make the channel's file"))?;
                let made = header::write(&file, &shape).and_then(|()| {
                    // A link, since a rename would replace a channel that is there already.
                    fs::hard_link(&beside, path).map_err(Error::io("make the channel's file"))
                });
                let removed = fs::remove_file(&beside).map_err(Error::io("make the channel's file"));
                made.and(removed)?;
                Self::attach(file.into(), rules)
            }
            Place::Memory => {
                let file = File::from(memory_file()?);
                header::write(&file, &shape)?;
                seal(&file)?;
                Self::attach(file.into(), rules)
            }
        }
    }

    /// Opens a channel that is there. The dead of one with a host are buried first: the host may be among them, and then nobody
    /// else looks for them.
    pub fn open(path: &Path, rules: &'static Rules) -> Result<Arc<Self>, Error> {
        let channel = Self::attach(open(path)?, rules)?;
        if channel.shape.hosted {
            channel.bury_dead()?;
        }
        Ok(channel)
    }

    /// Maps a channel whose descriptor has been inherited or passed.
    pub fn attach(file: OwnedFd, rules: &'static Rules) -> Result<Arc<Self>, Error> {
        Self::attach_as(Attachment::of(file), rules)
    }

    /// The same for somebody who is more than a client on his own.
    pub fn attach_as(attachment: Attachment, rules: &'static Rules) -> Result<Arc<Self>, Error> {
        let Attachment {
            file,
            manner,
            party,
            bell,
        } = attachment;
        let shape = header::read(&file)?;
        if shape.kind != rules.kind {
            return Err(Error::WrongKind {
                found: shape.kind,
                wanted: rules.kind,
            });
        }
        let memory = Memory::map(file, shape.fixed_bytes(), manner == Manner::Host)?;
        if manner == Manner::Host {
            // It is asked for at the first death, when somebody waits.
            Life::own();
        }
        Ok(Arc::new(Self {
            memory,
            shape,
            rules,
            manner,
            bell,
            party,
            me: AtomicU64::new(0),
            interruptible: AtomicBool::new(false),
            watch: Mutex::default(),
        }))
    }

    /// What it was made as.
    #[inline]
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Its file, to be inherited or passed.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.memory.file().as_fd()
    }

    #[inline]
    pub(crate) fn memory(&self) -> &Memory {
        &self.memory
    }

    #[inline]
    pub(crate) fn u32(&self, at: u64) -> Word32<'_> {
        self.memory.u32(at)
    }

    #[inline]
    pub(crate) fn u64(&self, at: u64) -> Word64<'_> {
        self.memory.u64(at)
    }

    #[inline]
    pub(crate) fn manner(&self) -> Manner {
        self.manner
    }

    /// From now on, whoever waits through this handle is told of signals by [`Error::Interrupted`].
    pub fn tell_of_signals(&self) {
        self.interruptible.store(true, Ordering::Relaxed);
    }

    fn is_interruptible(&self) -> bool {
        self.interruptible.load(Ordering::Relaxed)
    }

    /// The slot of this process, claimed at its first use.
    #[inline]
    pub fn me(&self) -> Result<Slot, Error> {
        self.me_at_once().map_or_else(|| self.claim(), Ok)
    }

    /// The slot of this process, if it has claimed one.
    #[inline]
    pub(crate) fn me_at_once(&self) -> Option<Slot> {
        let me = self.me.load(Ordering::Relaxed);
        let is_ours = me >> 32 == u64::from(life::stamp());
        is_ours.then(|| Slot::from_word((me & 0xffff_ffff) as u32))
    }

    /// A new process, or a forked child of the one that had the handle before.
    #[cold]
    fn claim(&self) -> Result<Slot, Error> {
        let before = self.me.load(Ordering::Acquire);
        if before >> 32 == u64::from(life::stamp()) {
            // Another thread has claimed one since we looked.
            return Ok(Slot::from_word((before & 0xffff_ffff) as u32));
        }
        let life = Life::own();
        let slot = self.claim_slot(life, self.party)?;
        let claimed = u64::from(life::stamp()) << 32 | u64::from(slot.word());
        // No mutex guards this: a child that was forked while another thread had it would wait for ever.
        match self
            .me
            .compare_exchange(before, claimed, Ordering::AcqRel, Ordering::Acquire)
        {
            Ok(_) => {
                self.ring_for(sleep::CLIENTS);
                Ok(slot)
            }
            Err(me) => {
                // Another thread was faster. Nothing is held in the slot of this one.
                self.empty(slot, life);
                Ok(Slot::from_word((me & 0xffff_ffff) as u32))
            }
        }
    }

    /// A further slot of this process, in which it holds what it holds on behalf of another.
    pub fn proxy(&self, party: u32) -> Result<Slot, Error> {
        self.claim_slot(Life::own(), party)
    }

    /// Marks the channel as damaged, for all.
    #[cold]
    pub(crate) fn damaged(&self) -> Error {
        self.u32(header::DAMAGE).store(1, Ordering::Release);
        // Whoever sleeps finds it out when he takes the latch.
        for gate in Gate::ALL {
            futex::wake(gate.turn(self), i32::MAX);
        }
        Error::Damaged
    }

    /// Whether somebody has found it damaged.
    #[inline]
    pub fn is_damaged(&self) -> bool {
        self.u32(header::DAMAGE).load(Ordering::Relaxed) != 0 || self.memory.has_lost()
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        let me = self.me.load(Ordering::Relaxed);
        if me >> 32 == u64::from(life::stamp()) {
            // What cannot be let go of now is found when the process has ended.
            let _ = self.leave(Slot::from_word((me & 0xffff_ffff) as u32));
        }
    }
}

/// Which kind of channel a file is.
pub fn kind_of(path: &Path) -> Result<Kind, Error> {
    Ok(header::read(&open(path)?)?.kind)
}

fn open(path: &Path) -> Result<OwnedFd, Error> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(Error::io("open the channel's file"))?;
    Ok(file.into())
}

/// A name that no other process and no other thread uses while it makes the same channel.
fn beside(path: &Path) -> PathBuf {
    static MADE: AtomicU64 = AtomicU64::new(0);
    let mut name = path.file_name().unwrap_or_default().to_owned();
    let made = MADE.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".{}.{made}.new", std::process::id()));
    path.with_file_name(name)
}

fn memory_file() -> Result<OwnedFd, Error> {
    let name = CString::new("forkyard").unwrap_or_default();
    // SAFETY: the name is a C string that outlives the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING) };
    if fd < 0 {
        return Err(Error::last("make a memory file"));
    }
    // SAFETY: the descriptor is new and ours.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn seal(file: &File) -> Result<(), Error> {
    use std::os::fd::AsRawFd;
    // SAFETY: the call takes no pointers.
    if unsafe { libc::fcntl(file.as_raw_fd(), libc::F_ADD_SEALS, libc::F_SEAL_SHRINK) } < 0 {
        return Err(Error::last("seal a memory file"));
    }
    Ok(())
}
