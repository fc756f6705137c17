//! The host of a yard: it has a pidfd of each client, and buries those that have ended. It may be killed like all others; then the
//! next one buries it too.

use std::collections::BTreeMap;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::Ordering::SeqCst;

use forkyard_ipc::Error;
use forkyard_ipc::channel::Channel;

use crate::roles::Me;
use crate::yard::Yard;

/// Milliseconds until it looks again though nobody has rung, and where it found a channel busy.
const IDLE_MS: i32 = 100;
const BUSY_MS: i32 = 1;

pub fn act(me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    let mut clients = Clients::default();
    let mut is_busy = false;
    loop {
        for (_, channel) in yard.channels() {
            channel.ring_for_clients();
            let _ = channel.was_rung();
            clients.meet(channel);
        }
        // The judge is the last one to be met.
        if me.ledger.over.load(SeqCst) > 1 && clients.0.keys().all(|pid| *pid == std::os::unix::process::parent_id()) {
            return Ok(());
        }
        let ended = clients.wait(yard, if is_busy { BUSY_MS } else { IDLE_MS });
        is_busy = false;
        for pid in ended {
            let buried = yard.channels().iter().all(|(_, channel)| bury(channel, pid));
            if buried {
                clients.0.remove(&pid);
            }
            is_busy |= !buried;
        }
    }
}

/// Whether nothing of the process is left in the channel.
fn bury(channel: &Channel, pid: u32) -> bool {
    let of_pid = channel.clients().into_iter().filter(|client| client.pid == pid);
    let mut buried = true;
    for client in of_pid {
        match channel.bury(client.slot) {
            Ok(()) => {}
            Err(Error::Busy) => buried = false,
            Err(error) => panic!("the host cannot bury: {error}"),
        }
    }
    buried
}

/// Those that are known, with their pidfds; `None` when one had ended before it could be looked at.
#[derive(Debug, Default)]
struct Clients(BTreeMap<u32, Option<OwnedFd>>);

impl Clients {
    fn meet(&mut self, channel: &Channel) {
        for client in channel.clients() {
            if client.pid != std::process::id() {
                self.0.entry(client.pid).or_insert_with(|| pidfd(client.pid));
            }
        }
    }

    /// Waits for the bell or a death: who has ended.
    fn wait(&self, yard: &Yard, milliseconds: i32) -> Vec<u32> {
        let poll = |fd: i32| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        };
        let mut ended: Vec<u32> = self
            .0
            .iter()
            .filter(|(_, fd)| fd.is_none())
            .map(|(pid, _)| *pid)
            .collect();
        let known: Vec<(u32, i32)> = self
            .0
            .iter()
            .filter_map(|(pid, fd)| Some((*pid, fd.as_ref()?.as_raw_fd())))
            .collect();
        let mut polls: Vec<_> = known.iter().map(|(_, fd)| poll(*fd)).collect();
        polls.push(poll(yard.ring().as_raw_fd()));
        let count = libc::nfds_t::try_from(polls.len()).expect("few clients");
        let time = if ended.is_empty() { milliseconds } else { 0 };
        // SAFETY: so many entries are given, which outlive the call.
        unsafe { libc::poll(polls.as_mut_ptr(), count, time) };
        let mut rings = 0_u64;
        // SAFETY: eight bytes are written to `rings`, which outlives the call; the descriptor does not block.
        unsafe { libc::read(yard.ring().as_raw_fd(), (&raw mut rings).cast(), 8) };
        let dead = known.iter().zip(&polls).filter(|(_, poll)| poll.revents != 0);
        ended.extend(dead.map(|((pid, _), _)| *pid));
        ended
    }
}

fn pidfd(pid: u32) -> Option<OwnedFd> {
    let pid = i32::try_from(pid).ok()?;
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0)?;
    // SAFETY: the descriptor is new and ours.
    Some(unsafe { OwnedFd::from_raw_fd(fd) })
}
