//! The processes of the test: who they are, and their ends.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering::SeqCst;

use forkyard_ipc::channel::Manner;

use crate::ledger::{BIRTHS, Ledger};
use crate::random::Random;
use crate::roles::{Me, Role, act};
use crate::yard::Yard;

/// One process.
#[derive(Clone, Copy, Debug)]
pub struct Child {
    pub role: Role,
    pub birth: u32,
    pid: libc::pid_t,
}

/// All of them that live.
pub struct Family<'a> {
    yard: &'a Yard,
    ledger: &'a Ledger,
    random: Random,
    births: u32,
    pub children: Vec<Child>,
    /// How many of each role were killed.
    pub killed: BTreeMap<&'static str, u64>,
    /// Items that may be gone with who had just got them.
    pub at_risk: u64,
}

impl<'a> Family<'a> {
    pub const fn new(yard: &'a Yard, ledger: &'a Ledger, random: Random) -> Self {
        Self {
            yard,
            ledger,
            random,
            births: 0,
            children: Vec::new(),
            killed: BTreeMap::new(),
            at_risk: 0,
        }
    }

    pub fn bear(&mut self, role: Role) {
        self.births += 1;
        assert!((self.births as usize) < BIRTHS, "the ledger has room for all processes");
        let birth = self.births;
        let random = Random::new(self.random.next());
        // SAFETY: this process has one thread, so that the child may do anything.
        match unsafe { libc::fork() } {
            0 => self.live(role, birth, random),
            pid => {
                assert!(pid > 0, "a process: {}", io::Error::last_os_error());
                self.children.push(Child { role, birth, pid });
            }
        }
    }

    fn live(&self, role: Role, birth: u32, random: Random) -> ! {
        let mut me = Me {
            birth,
            random,
            ledger: self.ledger,
        };
        let lived = catch_unwind(AssertUnwindSafe(|| match role {
            Role::Hosts => act(role, &mut me, &self.yard.again(Manner::Host, birth)?),
            // Some use what they have inherited, as forked children do, others map the channels themselves.
            _ if birth.is_multiple_of(2) && !self.yard.is_hosted() => act(role, &mut me, self.yard),
            _ => act(role, &mut me, &self.yard.again(Manner::Client, birth)?),
        }));
        let code = match lived {
            Ok(Ok(())) => 0,
            Ok(Err(error)) => {
                eprintln!("{role:?}: {error}");
                1
            }
            Err(_panic) => 1,
        };
        // SAFETY: nothing of the parent's is torn down.
        unsafe { libc::_exit(code) }
    }

    /// Kills one by chance and puts another in its place.
    pub fn replace_one(&mut self) {
        let index = self.random.index(self.children.len());
        let child = self.children.swap_remove(index);
        self.ledger.doom(child.birth);
        // SAFETY: it is our child, and has not been waited for.
        unsafe { libc::kill(child.pid, libc::SIGKILL) };
        let status = wait(child.pid, 0).expect("it ends");
        assert!(
            libc::WIFSIGNALED(status),
            "{:?} has failed before it was killed",
            child.role
        );
        self.at_risk += u64::from(self.ledger.at_risk[child.birth as usize].load(SeqCst));
        *self.killed.entry(child.role.name()).or_default() += 1;
        self.bear(child.role);
    }

    /// Takes leave of those that have ended.
    pub fn reap(&mut self) {
        self.children.retain(|child| match wait(child.pid, libc::WNOHANG) {
            None => true,
            Some(status) => {
                let well = libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0;
                assert!(well, "{:?} has failed", child.role);
                false
            }
        });
    }
}

impl Drop for Family<'_> {
    /// Nobody is left behind when a check has failed.
    fn drop(&mut self) {
        for child in &self.children {
            // SAFETY: it is our child, and has not been waited for.
            unsafe { libc::kill(child.pid, libc::SIGKILL) };
            let _ = wait(child.pid, 0);
        }
    }
}

impl Role {
    pub const fn name(self) -> &'static str {
        match self {
            Self::PutsJobs(_) => "put jobs",
            Self::PutsLines(_) => "put lines",
            Self::Takes => "take",
            Self::GivesBack => "give back",
            Self::TakesMany => "take many",
            Self::Gets => "get",
            Self::Locks => "lock",
            Self::LocksTwice => "lock twice",
            Self::Sits => "sit",
            Self::Rings => "ring",
            Self::Listens => "listen",
            Self::Hosts => "host",
        }
    }
}

/// How a child has ended; `None` when it has not.
fn wait(pid: libc::pid_t, flags: i32) -> Option<i32> {
    let mut status = 0;
    // SAFETY: the kernel writes to `status`, which outlives the call.
    let waited = unsafe { libc::waitpid(pid, &raw mut status, flags) };
    (waited == pid).then_some(status)
}
