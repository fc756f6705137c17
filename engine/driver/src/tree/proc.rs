//! Processes as `/proc` shows them. Whatever is read may be old when it is used: a process is therefore known by
//! its pid together with its start time, and signalled by a pidfd that has been compared with both.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::getpid;

use crate::exit::{open_pidfd_if_there, signal_by_pidfd};

/// A process id.
pub(crate) type Pid = i32;

/// When a process was started, in clock ticks since the machine was.
pub(crate) type StartTime = u64;

/// More than the 52 numbers of a stat can fill, 20 digits each, and the name of 64 bytes at most.
const STAT_BYTES_MAX: usize = 2048;

/// Room for the pids of most lists of children: one read takes 4 KiB of such a list at most.
const CHILDREN_BYTES: usize = 4096;

/// Most environments are smaller.
const ENVIRONMENT_BYTES: usize = 16 * 1024;

/// How often an empty environment is read again before it is taken for truly empty, about 1 ms in all.
const ENVIRONMENT_READS_MAX: u32 = 10;

/// The pause between two such reads; the moment lasts about as long as an `execve`.
const ENVIRONMENT_PAUSE: Duration = Duration::from_micros(100);

/// What matters here of `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Process {
    pub(super) pid: Pid,
    pub(super) parent: Pid,
    pub(super) group: Pid,
    pub(super) session: Pid,
    pub(super) start: StartTime,
    /// Some thread of it still runs; else it is a zombie.
    pub(super) living: bool,
    /// How many threads it has, a zombie its own as well.
    threads: u64,
    /// Whose exit nobody but the thread that looks takes: an orphan that this process has adopted.
    is_adopted: bool,
}

impl Process {
    /// Reads a process; `None` when there is none.
    ///
    /// # Errors
    /// When that cannot be known: for want of descriptors or memory.
    pub(super) fn read(pid: Pid) -> io::Result<Option<Self>> {
        let stat = unless_ended(read_stat(pid))?;
        Ok(stat.and_then(|stat| Self::parse(pid, &stat)))
    }

    /// The fields are counted from the last `)`: the name before it may contain anything.
    fn parse(pid: Pid, stat: &[u8]) -> Option<Self> {
        let name_end = stat.iter().rposition(|&byte| byte == b')')?;
        let mut fields = str::from_utf8(&stat[name_end + 1..]).ok()?.split_ascii_whitespace();
        let ended = matches!(fields.next()?, "Z" | "X");
        let (parent, group, session) = (fields.next()?, fields.next()?, fields.next()?);
        // Field numbers of proc(5): 6 was the last; 20 and 22 follow.
        let threads = fields.nth(20 - 6 - 1)?.parse().ok()?;
        let started = fields.nth(22 - 20 - 1)?.parse().ok()?;
        Some(Self {
            pid,
            parent: parent.parse().ok()?,
            group: group.parse().ok()?,
            session: session.parse().ok()?,
            start: started,
            // A process whose first thread has ended is shown as a zombie though others run.
            living: !ended || threads > 1,
            threads,
            is_adopted: false,
        })
    }

    /// What no other process ever has.
    pub(super) fn identity(&self) -> (Pid, StartTime) {
        (self.pid, self.start)
    }

    /// Whether its environment, as it was when its program was executed, has this entry. No, if it may not be read.
    pub(super) fn has_in_environment(&self, entry: &str) -> io::Result<bool> {
        let environment = self.environment()?;
        Ok(environment
            .split(|&byte| byte == 0)
            .any(|found| found == entry.as_bytes()))
    }

    /// While a program is being executed, the environment is shown as empty for a moment, and so are the arguments:
    /// then this asks again.
    fn environment(&self) -> io::Result<Vec<u8>> {
        let mut has_arguments = false;
        for _ in 0..ENVIRONMENT_READS_MAX {
            let environment = match unless_ended(read_environment(self.pid)) {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => return Ok(Vec::new()),
                environment => environment?.unwrap_or_default(),
            };
            if !environment.is_empty() || has_arguments || !self.living {
                return Ok(environment);
            }
            let arguments = read_if_there(&format!("/proc/{}/cmdline", self.pid))?;
            has_arguments = arguments.is_some_and(|arguments| !arguments.is_empty());
            if !has_arguments {
                thread::sleep(ENVIRONMENT_PAUSE);
            }
        }
        Ok(Vec::new())
    }

    /// Signals this very process, if it still lives, with each of these in turn. Whether there is nothing left to do: one
    /// that may not be signalled has become another user's.
    ///
    /// # Errors
    /// When it could not be told whether it lives.
    pub(super) fn signal(&self, signals: &[i32]) -> io::Result<bool> {
        if self.is_adopted {
            // It has not been reaped since it was read, so the pid is its own.
            return Ok(signals.iter().all(|&signal| signal_child(self.pid, signal)));
        }
        let Some(pidfd) = open_pidfd_if_there(self.pid)? else {
            return Ok(true);
        };
        // The pidfd may refer to a later process with the same pid; from here on it is pinned.
        if Self::read(self.pid)?.is_none_or(|now| now.start != self.start) {
            return Ok(true);
        }
        let mut signals = signals.iter();
        Ok(signals.all(|&signal| signal_by_pidfd(pidfd.as_fd(), signal).is_ok()))
    }

    /// Its children, zombies too. Of a zombie there are none: whoever was left has been adopted before it became one.
    fn children(&self) -> io::Result<Vec<Pid>> {
        match self.threads {
            _ if !self.living => Ok(Vec::new()),
            // Nearly every process has one thread, whose number is the pid: the threads need not be listed.
            1 => children_of_thread(self.pid, self.pid),
            _ => children(self.pid),
        }
    }
}

/// Signals a child that has not been reaped.
fn signal_child(pid: Pid, signal: i32) -> bool {
    // SAFETY: kill takes two numbers.
    let sent = Errno::result(unsafe { libc::kill(pid, signal) });
    matches!(sent, Ok(_) | Err(Errno::ESRCH))
}

/// When the living process that has this pid was started; `None` when there is none.
///
/// # Errors
/// As [`Process::read`].
pub(crate) fn started(pid: Pid) -> io::Result<Option<StartTime>> {
    let process = Process::read(pid)?.filter(|process| process.living);
    Ok(process.map(|process| process.start))
}

/// Reads a stat by one system call: it is asked for at each start.
fn read_stat(pid: Pid) -> io::Result<Vec<u8>> {
    let mut stat = vec![0; STAT_BYTES_MAX];
    let length = File::open(format!("/proc/{pid}/stat"))?.read_at(&mut stat, 0)?;
    stat.truncate(length);
    Ok(stat)
}

/// Reads an environment by one system call: after `execve` the rest of the old one is gone, and a second call would
/// find an end where there is none.
fn read_environment(pid: Pid) -> io::Result<Vec<u8>> {
    let file = File::open(format!("/proc/{pid}/environ"))?;
    let mut environment = vec![0; ENVIRONMENT_BYTES];
    loop {
        let length = file.read_at(&mut environment, 0)?;
        if length < environment.len() {
            environment.truncate(length);
            return Ok(environment);
        }
        // The kernel limits an environment to a quarter of the stack.
        environment.resize(2 * length, 0);
    }
}

/// A file of `/proc`; `None` when its process, or thread, has ended.
fn read_if_there(path: &str) -> io::Result<Option<Vec<u8>>> {
    unless_ended(fs::read(path))
}

fn unless_ended<T>(read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH)) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Those of the processes that are still there.
pub(super) fn read_all(pids: &[Pid]) -> io::Result<Vec<Process>> {
    pids.iter().filter_map(|&pid| Process::read(pid).transpose()).collect()
}

/// All processes that have been started at this moment or later, the kernel's own threads left out.
///
/// # Errors
/// As [`Process::read`].
pub(super) fn all_since(start: StartTime) -> io::Result<Vec<Process>> {
    let mut processes = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let process = Process::read(pid)?;
        // The group of the kernel's threads is shown as 0, as is that of whoever comes from outside of this namespace.
        processes.extend(process.filter(|process| process.start >= start && process.group != 0));
    }
    Ok(processes)
}

/// The orphans this process has adopted that are not `known`, zombies too.
///
/// # Errors
/// As [`Process::read`].
pub(super) fn orphans_but(known: &BTreeSet<Pid>) -> io::Result<Vec<Process>> {
    let mut pids = adopted()?;
    pids.retain(|pid| !known.contains(pid));
    let mut orphans = read_all(&pids)?;
    for orphan in &mut orphans {
        orphan.is_adopted = true;
    }
    Ok(orphans)
}

/// The children of this process that are not its `orphans`: those it has started.
///
/// # Errors
/// As [`Process::read`].
pub(super) fn started_but(orphans: &BTreeSet<Pid>) -> io::Result<Vec<Process>> {
    let mut pids = children(getpid().as_raw())?;
    pids.retain(|pid| !orphans.contains(pid));
    read_all(&pids)
}

/// The pids of the orphans this process has adopted, zombies too: the kernel gives an orphan to the first thread of
/// its new parent, while processes started here are children of the engine's thread or the spawner's.
///
/// # Errors
/// As [`Process::read`].
pub(super) fn adopted() -> io::Result<Vec<Pid>> {
    if is_nobody_adopted() {
        return Ok(Vec::new());
    }
    children_of_thread(getpid().as_raw(), getpid().as_raw())
}

thread_local! {
    /// The list of the first thread's children, in a thread that asks for it again and again.
    static FIRST_THREAD: OnceCell<File> = const { OnceCell::new() };
}

/// From now on this thread asks in one call, for which no descriptor need be free, whether anybody is adopted. Where the list
/// cannot be opened it is read each time, as it is elsewhere.
pub fn keep_list_open() {
    let own = getpid().as_raw();
    if let Ok(list) = File::open(children_path(own, own)) {
        // Once it is open it stays the same.
        let _ = FIRST_THREAD.with(|kept| kept.set(list));
    }
}

/// Asked at each end of a process, and mostly so. Where that cannot be told in one call, the answer is no.
fn is_nobody_adopted() -> bool {
    FIRST_THREAD.with(|list| matches!(list.get().map(|list| list.read_at(&mut [0], 0)), Some(Ok(0))))
}

/// Whether no thread has a child, zombies too. The kernel tells that without a descriptor, of which there may be none. No exit
/// is taken.
pub(super) fn has_no_child() -> bool {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    waitid(Id::All, look) == Err(Errno::ECHILD)
}

/// The pids of all children of a process, zombies too.
///
/// # Errors
/// As [`Process::read`].
pub(super) fn children(pid: Pid) -> io::Result<Vec<Pid>> {
    let mut children = Vec::new();
    let Some(threads) = unless_ended(fs::read_dir(format!("/proc/{pid}/task")))? else {
        return Ok(children);
    };
    for thread in threads {
        let Some(thread) = unless_ended(thread)? else {
            break;
        };
        if let Some(thread) = thread.file_name().to_str().and_then(|name| name.parse().ok()) {
            children.extend(children_of_thread(pid, thread)?);
        }
    }
    Ok(children)
}

fn children_of_thread(pid: Pid, thread: Pid) -> io::Result<Vec<Pid>> {
    let list = unless_ended(File::open(children_path(pid, thread)).and_then(read_list))?.unwrap_or_default();
    Ok(list
        .split_ascii_whitespace()
        .filter_map(|pid| pid.parse().ok())
        .collect())
}

fn children_path(pid: Pid, thread: Pid) -> String {
    format!("/proc/{pid}/task/{thread}/children")
}

/// Reads a list by as few system calls as there can be: its size is not known before, and most are empty.
fn read_list(mut file: File) -> io::Result<String> {
    let mut list = String::new();
    let mut part = [0; CHILDREN_BYTES];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(list),
            length => list.push_str(&String::from_utf8_lossy(&part[..length])),
        }
    }
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
    ///
    /// # Errors
    /// As [`Process::read`].
    pub(super) fn visit(&mut self, roots: Vec<Process>) -> io::Result<()> {
        self.visit_but(roots, |_| Ok(false))
    }

    /// The same without those that are left out, and whoever descends from them: whoever is born there meanwhile is
    /// not met either.
    ///
    /// # Errors
    /// As [`Process::read`], and those of `is_left_out`.
    pub(super) fn visit_but(
        &mut self,
        roots: Vec<Process>,
        is_left_out: impl Fn(&Process) -> io::Result<bool>,
    ) -> io::Result<()> {
        let mut to_visit = roots;
        while let Some(process) = to_visit.pop() {
            // One that becomes an orphan meanwhile is met twice.
            if !self.visited.insert(process.identity()) || is_left_out(&process)? {
                continue;
            }
            to_visit.extend(read_all(&process.children()?)?);
            if process.living {
                self.living.push(process);
            }
        }
        Ok(())
    }

    /// Whether it has been met.
    pub(super) fn has_visited(&self, process: &Process) -> bool {
        self.visited.contains(&process.identity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAT: &[u8] = b"4 (a) Z (b) S 1 40 41 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 7890 10 11";

    #[test]
    fn a_name_may_hold_anything() {
        let process = Process {
            pid: 4,
            parent: 1,
            group: 40,
            session: 41,
            start: 7890,
            living: true,
            threads: 1,
            is_adopted: false,
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
