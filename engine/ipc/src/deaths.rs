//! Whoever uses a channel is killed before each step of each operation, a step being an access to shared memory; and then
//! whoever repairs that is killed before each step of the repair. What is left must be right after one more repair.
//!
//! The victims are forked from the test, whose other threads go on: so they do only what is safe then, and end by a signal or by
//! `_exit`.

mod holding;
mod meeting;
mod slots;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::channel::Channel;
use crate::steps;

/// How a victim ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It was killed at the step it was to be killed at.
    Killed,
    /// It had done everything before.
    Done,
}

/// A process that was forked from the test.
#[derive(Debug)]
pub struct Victim(libc::pid_t);

impl Victim {
    /// Forks one that does something and ends. It panics quietly: its parent sees that it ended in no good way.
    pub fn new(act: impl FnOnce()) -> Self {
        // SAFETY: the child runs only `act`, whose allocations glibc makes safe after a fork, and leaves by `_exit`.
        match unsafe { libc::fork() } {
            0 => {
                let code = i32::from(catch_unwind(AssertUnwindSafe(act)).is_err());
                // SAFETY: nothing of the parent's is touched: no destructor runs.
                unsafe { libc::_exit(code) }
            }
            pid => {
                assert!(pid > 0, "there are processes left");
                Self(pid)
            }
        }
    }

    /// Kills it, wherever it is.
    pub fn kill(self) -> End {
        // SAFETY: it is our child, and has not been waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        self.wait()
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        let id = libc::id_t::try_from(self.0).expect("a pid is positive");
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: all zeros is a value of that struct.
        let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
        // SAFETY: the kernel writes to `info`, which outlives the call, and so fills what is read then.
        unsafe { libc::waitid(libc::P_PID, id, &raw mut info, flags) == 0 && info.si_pid() != 0 }
    }

    /// Waits until it has ended.
    pub fn wait(mut self) -> End {
        let status = self.reap();
        if libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGKILL {
            return End::Killed;
        }
        assert!(
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0,
            "a victim has failed"
        );
        End::Done
    }

    fn reap(&mut self) -> libc::c_int {
        let mut status = 0;
        // SAFETY: the kernel writes to `status`, which outlives the call.
        while unsafe { libc::waitpid(self.0, &raw mut status, 0) } < 0 {}
        self.0 = 0;
        status
    }
}

/// A test that fails leaves nobody behind.
impl Drop for Victim {
    fn drop(&mut self) {
        if self.0 > 0 {
            // SAFETY: it is our child, and has not been waited for.
            unsafe { libc::kill(self.0, libc::SIGKILL) };
            self.reap();
        }
    }
}

/// Does something in another process, which is killed before a step.
pub fn die_at(step: u64, channel: &Arc<Channel>, act: impl FnOnce()) -> End {
    Victim::new(|| {
        // To come to a slot is another matter: see `slots`.
        channel.me().expect("there are slots");
        steps::kill_after(step);
        act();
        steps::live();
    })
    .wait()
}

/// For each step of `act`: makes a channel, has somebody killed there, and looks whether all is right. Returns how many steps
/// there are.
pub fn at_every_step<T>(
    make: impl Fn() -> T,
    channel: impl Fn(&T) -> &Arc<Channel>,
    act: impl Fn(&T),
    look: impl Fn(&T, End),
) -> u64 {
    for step in 0.. {
        let subject = make();
        channel(&subject).me().expect("there are slots");
        let end = die_at(step, channel(&subject), || act(&subject));
        look(&subject, end);
        if end == End::Done {
            return step;
        }
    }
    unreachable!("an operation has steps without end")
}

/// Of a repair of many steps, how many to leave out. `FORKYARD_STRIDE=1` dies at each of them.
pub fn stride(usual: u64) -> u64 {
    let given = std::env::var("FORKYARD_STRIDE").ok();
    given.and_then(|stride| stride.parse().ok()).unwrap_or(usual)
}

/// The same on two levels: `act` is killed at each step, and for each of these, whoever buries it is killed at every
/// `stride`-th step, beginning with another one each time.
pub fn at_two_steps<T>(
    stride: u64,
    make: impl Fn() -> T,
    channel: impl Fn(&T) -> &Arc<Channel>,
    act: impl Fn(&T),
    look: impl Fn(&T, End),
) {
    for first in 0.. {
        let mut end = End::Done;
        for second in (0..).map(|round| first % stride + round * stride) {
            let subject = make();
            let of_it = channel(&subject);
            of_it.me().expect("there are slots");
            end = die_at(first, of_it, || act(&subject));
            let repaired = die_at(second, of_it, || of_it.bury_dead().expect("it is whole"));
            look(&subject, end);
            if repaired == End::Done {
                break;
            }
        }
        if end == End::Done {
            return;
        }
    }
}
