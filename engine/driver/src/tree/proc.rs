//! Processes as `/proc` shows them. Whatever is read may be old when it is used: a process is therefore known by
//! its pid together with its start time, and signalled by a pidfd that has been compared with both.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::AsRawFd;
use std::thread;
use std::time::Duration;

use nix::unistd::getpid;

use crate::exit::open_pidfd;

/// A process id.
pub(super) type Pid = i32;

/// When a process was started, in clock ticks since the machine was.
pub(super) type StartTime = u64;

/// How often an empty environment is read again before it is taken for truly empty, about 1 ms in all.
const ENVIRONMENT_READS_MAX: u32 = 10;

/// The pause between two such reads; the moment lasts about as long as an `execve`.
const ENVIRONMENT_PAUSE: Duration = Duration::from_micros(100);

/// What matters here of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) group: Pid,
    pub(super) start: StartTime,
    /// Some thread of it still runs; else it is a zombie.
    pub(super) living: bool,
}

impl Process {
    /// Reads a process; `None` when there is none.
    pub(super) fn read(pid: Pid) -> Option<Self> {
        Self::parse(pid, &fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The fields are counted from the last `)`: the name before it may contain anything.
    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let fields = str::from_utf8(&stat[name_end + 1..]).ok()?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        // Field numbers of proc(5), less the three that end with the name and the state at 0.
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        let ended = matches!(*fields.first()?, "Z" | "X");
        Some(Self {
            pid,
            group: fields.get(5 - 3)?.parse().ok()?,
            start: number(22)?,
            // A process whose first thread has ended is shown as a zombie though others run.
            living: !ended || number(20)? > 1,
        })
    }

    /// What no other process ever has.
    pub(super) fn identity(&self) -> (Pid, StartTime) {
        (self.pid, self.start)
    }

    /// Whether its environment, as it was when its program was executed, has this entry.
    pub(super) fn has_in_environment(&self, entry: &str) -> bool {
        let environment = self.environment();
        environment
            .split(|&byte| byte == 0)
            .any(|found| found == entry.as_bytes())
    }

    /// The environment is shown as empty for a moment while a program is being executed, so this asks again.
    fn environment(&self) -> Vec<u8> {
        for _ in 0..ENVIRONMENT_READS_MAX {
            match fs::read(format!("/proc/{}/environ", self.pid)) {
                Ok(environment) if environment.is_empty() && self.living => thread::sleep(ENVIRONMENT_PAUSE),
                Ok(environment) => return environment,
                // It has ended, or belongs to somebody else.
                Err(_) => break,
            }
        }
        Vec::new()
    }

    /// Signals this very process, if it still lives.
    pub(super) fn signal(&self, signal: i32) {
        let Ok(pidfd) = open_pidfd(self.pid) else {
            return;
        };
        // The pidfd may refer to a later process with the same pid; from here on it is pinned.
        if Self::read(self.pid).is_some_and(|now| now.start == self.start) {
            let no_info = std::ptr::null::<libc::siginfo_t>();
            // SAFETY: the descriptor is open, and no information is passed.
            unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, no_info, 0) };
        }
    }
}

/// The pids of the orphans this process has adopted, zombies too: the kernel gives an orphan to the first thread of
/// its new parent, while processes started here are children of the spawner's thread.
pub(super) fn adopted() -> Vec<Pid> {
    children_of_thread(getpid().as_raw(), getpid().as_raw())
}

/// The pids of all children of a process, zombies too.
pub(super) fn children(pid: Pid) -> Vec<Pid> {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let threads = threads.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    threads.flat_map(|thread| children_of_thread(pid, thread)).collect()
}

fn children_of_thread(pid: Pid, thread: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{thread}/children")).unwrap_or_default();
    list.split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect()
}

/// A walk from processes to all of their descendants.
#[derive(Default)]
pub(super) struct Walk {
    visited: BTreeSet<(Pid, StartTime)>,
    /// Those met that live.
    pub(super) living: Vec<Process>,
}

impl Walk {
    /// Visits the roots and all their descendants.
    pub(super) fn visit(&mut self, roots: Vec<Process>) {
        let mut to_visit = roots;
        while let Some(process) = to_visit.pop() {
            // One that becomes an orphan meanwhile is met twice.
            if !self.visited.insert(process.identity()) {
                continue;
            }
            to_visit.extend(children(process.pid).into_iter().filter_map(Process::read));
            if process.living {
                self.living.push(process);
            }
        }
    }

    /// Whether it has been met.
    pub(super) fn has_visited(&self, process: &Process) -> bool {
        self.visited.contains(&process.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &[u8] = b"4 (a) Z (b) S 1 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 7890 10 11";

    #[test]
    fn a_name_may_hold_anything() {
        let process = Process {
            pid: 4,
            group: 40,
            start: 7890,
            living: true,
        };
        assert_eq!(Process::parse(4, STAT), Some(process));
    }

    #[test]
    fn a_zombie_with_running_threads_lives() {
        let stat = |state, threads| {
            let stat = format!("4 (a) {state} 1 40 40 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 {threads} 0 7890");
            Process::parse(4, stat.as_bytes()).map(|process| process.living)
        };
        assert_eq!(stat('Z', 1), Some(false));
        assert_eq!(stat('Z', 2), Some(true));
        assert_eq!(stat('T', 1), Some(true));
    }

    #[test]
    fn what_is_no_stat_is_no_process() {
        for stat in [&b""[..], b"4 (a", b"4 (a)", b"4 (a) S 1", b"4 (a) S 1 x 40 0"] {
            assert_eq!(Process::parse(4, stat), None);
        }
    }
}
