//! What every thread of a process does, as far as the kernel tells: whether all of them sleep, and where.
//!
//! Only some sleeps are known to end by nobody but somebody of the run. Whatever else a thread does, it counts as awake: running, sleeping for
//! some time, waiting for a terminal, for a connection, for a file's lock; and so does whatever cannot be read.

use std::fs;
use std::io;
use std::path::Path;

use crate::tree::Tree;

/// A thread that sleeps where somebody of the run can wake it. Those that wait for a child, or for another thread, are left out: when these go on,
/// so do they.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sleep {
    pub pid: u32,
    pub at: At,
}

/// Where a thread sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum At {
    /// It reads from a socket.
    Socket,
    /// It waits for a word of shared memory.
    Word,
    /// It reads from the pipe with this number.
    Empty(u64),
    /// It writes into it.
    Full(u64),
}

/// A process all of whose threads sleep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Asleep {
    /// All of its pids.
    pub pids: Vec<u32>,
    pub sleeps: Vec<Sleep>,
    /// What the kernel says of each thread: where it is to the last instruction.
    pub traces: Vec<(u32, String)>,
}

/// `FUTEX_WAIT` and `FUTEX_WAIT_BITSET` without their flags, and the flag of a word that only one process uses; see `futex(2)`.
const FUTEX_WAITS: [u64; 2] = [0, 9];
const FUTEX_COMMAND: u64 = 0x7f;
const FUTEX_PRIVATE: u64 = 128;

/// Where a process sleeps, with all that it has started; `None` when one of its threads is awake, or nobody knows.
pub(super) fn asleep(tree: &Tree) -> Option<Asleep> {
    let members = tree.members().ok()?;
    let is_alone = members.len() == 1;
    let mut asleep = Asleep::default();
    for member in members {
        let pid = u32::try_from(member).ok()?;
        asleep.pids.push(pid);
        for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
            let thread = thread.ok()?.path();
            let call = match Call::of(&thread)? {
                Doing::Sleeps(call) => call,
                Doing::Nothing => continue,
            };
            match call.sleep(pid, is_alone)? {
                Place::Inside => {}
                Place::Outside(at) => asleep.sleeps.push(Sleep { pid, at }),
            }
            asleep.traces.push((pid, call.trace));
        }
    }
    asleep.sleeps.sort_unstable();
    Some(asleep)
}

enum Doing {
    Sleeps(Call),
    /// It has ended.
    Nothing,
}

enum Place {
    /// Others of the same process wake it.
    Inside,
    Outside(At),
}

/// A system call in which a thread sleeps: `/proc/PID/task/TID/syscall`, see `proc_pid_syscall(5)`.
struct Call {
    number: i64,
    arguments: [u64; 6],
    trace: String,
}

impl Call {
    fn of(thread: &Path) -> Option<Doing> {
        let stat = fs::read_to_string(thread.join("stat")).ok()?;
        match stat.rsplit_once(") ")?.1.bytes().next()? {
            b'S' => {}
            b'Z' | b'X' => return Some(Doing::Nothing),
            _ => return None,
        }
        let trace = fs::read_to_string(thread.join("syscall")).ok()?;
        Self::parse(trace).map(Doing::Sleeps)
    }

    /// `202 0x7f… 0x80 … `, or `running`, or `-1 …` for who sleeps elsewhere.
    fn parse(trace: String) -> Option<Self> {
        let mut words = trace.split_ascii_whitespace();
        let number: i64 = words.next()?.parse().ok()?;
        let mut arguments = [0; 6];
        for argument in &mut arguments {
            *argument = u64::from_str_radix(words.next()?.strip_prefix("0x")?, 16).ok()?;
        }
        Some(Self {
            number,
            arguments,
            trace,
        })
    }

    fn sleep(&self, pid: u32, is_alone: bool) -> Option<Place> {
        match self.number {
            libc::SYS_wait4 | libc::SYS_waitid => Some(Place::Inside),
            // A shell that waits for its children.
            libc::SYS_rt_sigsuspend if !is_alone => Some(Place::Inside),
            libc::SYS_futex => self.futex(),
            libc::SYS_read | libc::SYS_readv | libc::SYS_recvfrom | libc::SYS_recvmsg => {
                self.descriptor(pid, At::Empty)
            }
            libc::SYS_write | libc::SYS_writev => self.descriptor(pid, At::Full),
            _ => None,
        }
    }

    fn futex(&self) -> Option<Place> {
        let [_, operation, _, time, ..] = self.arguments;
        if !FUTEX_WAITS.contains(&(operation & FUTEX_COMMAND)) {
            return None;
        }
        match (operation & FUTEX_PRIVATE != 0, time) {
            // Who sleeps at a channel looks around now and then, and the channel says whether there is an end to it.
            (false, _) => Some(Place::Outside(At::Word)),
            (true, 0) => Some(Place::Inside),
            (true, _) => None,
        }
    }

    fn descriptor(&self, pid: u32, pipe: impl Fn(u64) -> At) -> Option<Place> {
        let link = fs::read_link(format!("/proc/{pid}/fd/{}", self.arguments[0])).ok()?;
        let link = link.to_str()?;
        match number_in(link, "pipe:[") {
            Some(number) => Some(Place::Outside(pipe(number))),
            None if link.starts_with("socket:[") => Some(Place::Outside(At::Socket)),
            None => None,
        }
    }
}

/// `123` of `pipe:[123]`.
fn number_in(link: &str, prefix: &str) -> Option<u64> {
    link.strip_prefix(prefix)?.strip_suffix(']')?.parse().ok()
}

/// The pipes that the engine itself was started with: whoever is at their other ends is no process of the run.
pub(super) fn inherited_pipes() -> Vec<u64> {
    let links = (0..=2).map(|number| fs::read_link(format!("/proc/self/fd/{number}")));
    links
        .filter_map(io::Result::ok)
        .filter_map(|link| number_in(link.to_str()?, "pipe:["))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};

    use super::*;

    fn call(trace: &str) -> Option<Call> {
        Call::parse(trace.to_owned())
    }

    #[test]
    fn who_runs_or_sleeps_elsewhere_is_awake() {
        assert!(call("running\n").is_none());
        assert!(call("-1 0x7ffc 0x7f12\n").is_none());
        assert!(call("").is_none());
    }

    #[test]
    fn a_word_of_one_process_is_waited_for_inside_and_a_shared_one_outside() {
        let place = |operation: &str, time: &str| {
            let text = format!(
                "{} 0x7f00 {operation} 0x0 {time} 0x0 0x0 0x7ffc 0x7f12",
                libc::SYS_futex
            );
            call(&text).expect("it is a call").sleep(1, true)
        };
        assert!(matches!(place("0x80", "0x0"), Some(Place::Inside)));
        assert!(matches!(place("0x189", "0x0"), Some(Place::Inside)));
        assert!(place("0x80", "0x7ffc").is_none(), "it has a time-out");
        assert!(matches!(place("0x0", "0x7ffc"), Some(Place::Outside(At::Word))));
        assert!(place("0x81", "0x0").is_none(), "it wakes somebody");
    }

    fn started(script: &str) -> (Child, Tree) {
        use std::os::unix::process::CommandExt as _;
        let child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("there is a shell");
        let pid = i32::try_from(child.id()).expect("a pid fits");
        (child, Tree::new(pid, "none"))
    }

    #[test]
    fn a_shell_whose_child_reads_from_a_pipe_sleeps_there_and_one_whose_child_sleeps_for_a_time_does_not() {
        let (mut reader, tree) = started("cat >/dev/null; true");
        while asleep(&tree).is_none_or(|asleep| asleep.pids.len() != 2) {
            std::thread::yield_now();
        }
        let found = asleep(&tree).expect("it has nothing to do");
        assert!(
            matches!(found.sleeps[..], [Sleep { at: At::Empty(_), .. }]),
            "{found:?}"
        );
        drop(reader.stdin.take());
        reader.wait().expect("it is ours");

        let (mut sleeper, tree) = started("sleep 1000; true");
        while tree.members().expect("it is there").len() < 2 {
            std::thread::yield_now();
        }
        assert_eq!(asleep(&tree), None);
        assert!(tree.signal(libc::SIGKILL).is_ok());
        sleeper.wait().expect("it is ours");
    }
}
