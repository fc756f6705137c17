//! Which errors a system call can have, and the cases made of them.

use std::collections::BTreeMap;
use std::fmt;

/// What is injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// This call fails.
    Once(&'static str),
    /// This call fails, and every later one.
    FromThenOn(&'static str),
    /// The process is killed at this call.
    Killed,
}

/// A call of every thread of the engine and its guardians: the N-th that it makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub syscall: &'static str,
    pub number: usize,
    pub fault: Fault,
}

impl Case {
    /// As strace has it.
    pub fn injection(&self) -> String {
        let Self { syscall, number, fault } = self;
        match fault {
            Fault::Once(error) => format!("inject={syscall}:error={error}:when={number}"),
            Fault::FromThenOn(error) => format!("inject={syscall}:error={error}:when={number}+"),
            Fault::Killed => format!("inject={syscall}:signal=KILL:when={number}"),
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.injection())
    }
}

/// What each call can really be refused with, of the errors of a machine that lacks something and of a call that is
/// interrupted. Left out are `close`, which fails with the descriptor closed while an injected failure leaves it open; `futex`, whose
/// wake cannot fail; EAGAIN of what tells by it that it would have to wait; and EINTR of what cannot be interrupted.
const ERRORS: [(&str, &[&str]); 54] = [
    ("accept4", &["EMFILE", "ENOMEM", "EINTR"]),
    ("access", &["EIO", "ENOMEM"]),
    ("bind", &["EIO", "ENOMEM"]),
    ("brk", &["ENOMEM"]),
    ("chdir", &["EIO", "ENOMEM"]),
    ("chmod", &["EIO"]),
    ("clock_nanosleep", &["EINTR"]),
    ("clone", &["EAGAIN", "ENOMEM"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
    ("close_range", &["EMFILE", "ENOMEM"]),
    ("copy_file_range", &["ENOSPC", "EIO"]),
    ("dup3", &["EMFILE", "EINTR"]),
    ("epoll_create1", &["EMFILE", "ENOMEM"]),
    ("epoll_ctl", &["ENOMEM", "ENOSPC"]),
    ("epoll_wait", &["EINTR"]),
    ("eventfd2", &["EMFILE", "ENOMEM"]),
    ("fallocate", &["ENOSPC", "EIO", "EINTR"]),
    ("fcntl", &["EMFILE"]),
    ("flock", &["EINTR"]),
    ("ftruncate", &["ENOSPC", "EIO", "EINTR"]),
    ("getcwd", &["ENOMEM"]),
    ("getdents64", &["EIO"]),
    ("getrandom", &["EINTR"]),
    ("linkat", &["ENOSPC", "EIO"]),
    ("listen", &["ENOMEM"]),
    ("madvise", &["ENOMEM"]),
    ("memfd_create", &["EMFILE", "ENOMEM"]),
    ("mkdir", &["ENOSPC", "EIO"]),
    ("mmap", &["ENOMEM"]),
    ("mprotect", &["ENOMEM"]),
    ("munmap", &["ENOMEM"]),
    ("newfstatat", &["EIO", "ENOMEM"]),
    ("openat", &["EMFILE", "ENOMEM", "ENOSPC", "EIO", "EINTR"]),
    ("pidfd_open", &["EMFILE", "ENOMEM"]),
    ("pipe2", &["EMFILE"]),
    ("poll", &["ENOMEM", "EINTR"]),
    ("pread64", &["EIO", "EINTR"]),
    ("pwrite64", &["ENOSPC", "EIO", "EINTR"]),
    ("read", &["EIO", "EINTR"]),
    ("readlink", &["EIO", "ENOMEM"]),
    ("recvfrom", &["ENOMEM", "EINTR"]),
    ("recvmsg", &["ENOMEM", "EINTR"]),
    ("rename", &["ENOSPC", "EIO"]),
    ("rmdir", &["EIO"]),
    ("rt_sigtimedwait", &["EINTR"]),
    ("sendmsg", &["ENOMEM", "EPIPE", "EINTR"]),
    ("sendto", &["ENOMEM", "EPIPE", "EINTR"]),
    ("socket", &["EMFILE", "ENOMEM"]),
    ("socketpair", &["EMFILE", "ENOMEM"]),
    ("statx", &["EIO", "ENOMEM"]),
    ("symlink", &["ENOSPC", "EIO"]),
    ("unlink", &["EIO"]),
    ("waitid", &["EINTR"]),
    ("write", &["ENOSPC", "EIO", "EPIPE", "EINTR"]),
];

/// All cases of a workflow in which no thread makes more calls than these; of each call the first `calls_max`.
pub fn cases(made: &BTreeMap<String, usize>, calls_max: usize) -> Vec<Case> {
    let mut cases = Vec::new();
    for (syscall, errors) in ERRORS {
        let calls = made.get(syscall).copied().unwrap_or_default().min(calls_max);
        for error in errors {
            for number in 1..=calls {
                let case = |fault| Case { syscall, number, fault };
                cases.push(case(Fault::Once(error)));
                if *error != "EINTR" {
                    cases.push(case(Fault::FromThenOn(error)));
                }
            }
        }
    }
    cases
}

/// A kill at each write.
pub fn kills(made: &BTreeMap<String, usize>, calls_max: usize) -> Vec<Case> {
    let writes = made.get("write").copied().unwrap_or_default().min(calls_max);
    let kill = |number| Case {
        syscall: "write",
        number,
        fault: Fault::Killed,
    };
    (1..=writes).map(kill).collect()
}
