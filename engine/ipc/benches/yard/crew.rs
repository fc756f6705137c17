//! Processes that begin at the same moment, each on its core, and report what they did.

use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::shared::Shared;

/// The most processes that are measured at once.
pub const CREW_MAX: usize = 16;

/// Whoever has not ended so long after he was told to is taken for hung.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where the processes run. A wake-up from one core to another can cost thirty times one on the same core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cores {
    /// All on the same core.
    One,
    /// By turns on two cores.
    Two,
    /// Wherever the kernel puts them.
    Free,
}

/// What is to be measured.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many processes do it.
    pub processes: usize,
    /// Where they run.
    pub cores: Cores,
    /// For how long.
    pub time: Duration,
    /// How long an item is, in bytes.
    pub size: usize,
}

/// What one process did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// How many operations it has done.
    pub operations: u64,
    /// What must add up.
    pub sum: u64,
    /// The longest time between two looks at the clock.
    pub longest: Duration,
}

/// What all of them did.
#[derive(Debug)]
pub struct Race {
    /// In the order of the processes.
    pub tallies: Vec<Tally>,
    /// From the first beginning to the last end.
    pub wall: Duration,
    /// Of all of them together.
    pub cpu: Duration,
}

#[derive(Debug, Default)]
struct Report {
    operations: AtomicU64,
    sum: AtomicU64,
    longest: AtomicU64,
    began: AtomicU64,
    ended: AtomicU64,
    cpu: AtomicU64,
}

#[derive(Debug, Default)]
struct Page {
    ready: AtomicU32,
    go: AtomicU32,
    /// On a line of its own: all look at it all the time.
    over: Line,
    reports: [Report; CREW_MAX],
}

#[derive(Debug, Default)]
#[repr(align(64))]
struct Line(AtomicU32);

/// One of the processes.
#[derive(Debug)]
pub struct Worker<'a> {
    /// Counted from 0.
    pub number: usize,
    page: &'a Page,
}

impl Worker<'_> {
    /// Whether the time is over.
    pub fn is_over(&self) -> bool {
        self.page.over.0.load(Ordering::Relaxed) != 0
    }
}

/// A child of this process.
#[derive(Debug)]
pub struct Child {
    pid: libc::pid_t,
}

impl Child {
    /// Forks one that does `body` and ends. This process must have no other threads.
    pub fn fork(body: impl FnOnce()) -> io::Result<Self> {
        // SAFETY: there are no other threads, so the child may do whatever this process may.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let done = panic::catch_unwind(AssertUnwindSafe(body));
                // SAFETY: the call does not return; nothing of the parent's is to be tidied up by the child.
                unsafe { libc::_exit(i32::from(done.is_err())) }
            }
            pid => Ok(Self { pid }),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> libc::pid_t {
        self.pid
    }

    /// Kills it; it is still to be reaped.
    pub fn kill(&self) {
        // SAFETY: the child has not been reaped, so its id is still its own.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// Waits until it has ended, and returns its status and the CPU time it has used. Kills it when it does not end.
    pub fn reap(self, patience: Duration) -> io::Result<(i32, Duration)> {
        let began = Instant::now();
        loop {
            let mut status = 0;
            // SAFETY: an `rusage` of zeros is valid.
            let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
            // SAFETY: both outlive the call.
            let reaped = unsafe { libc::wait4(self.pid, &raw mut status, libc::WNOHANG, &raw mut usage) };
            if reaped == self.pid {
                return Ok((status, time_of(usage.ru_utime) + time_of(usage.ru_stime)));
            }
            if reaped < 0 {
                return Err(io::Error::last_os_error());
            }
            if began.elapsed() > patience {
                self.kill();
                // SAFETY: as above.
                unsafe { libc::waitpid(self.pid, &raw mut status, 0) };
                return Err(io::Error::other("a process hung and was killed"));
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Lets `body` run in all processes at once. A process that fails makes the race fail.
pub fn race(setup: &Setup, body: impl Fn(&Worker<'_>) -> Tally) -> io::Result<Race> {
    let page = Shared::new(Page::default())?;
    let mut children = Vec::new();
    for number in 0..setup.processes.min(CREW_MAX) {
        children.push(Child::fork(|| take_part(setup.cores, number, &page, &body))?);
    }
    let all = u32::try_from(children.len()).unwrap_or(u32::MAX);
    let began = Instant::now();
    while page.ready.load(Ordering::Acquire) < all && began.elapsed() < PATIENCE {
        thread::sleep(Duration::from_micros(200));
    }
    page.go.store(1, Ordering::Release);
    thread::sleep(setup.time);
    page.over.0.store(1, Ordering::Release);
    let count = children.len();
    let mut failed = None;
    for child in children {
        match child.reap(PATIENCE) {
            Ok((0, _)) => {}
            Ok((status, _)) => failed = Some(io::Error::other(format!("a process ended with status {status:#x}"))),
            Err(error) => failed = Some(error),
        }
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(summary(&page.reports[..count])),
    }
}

fn take_part(cores: Cores, number: usize, page: &Page, body: &impl Fn(&Worker<'_>) -> Tally) {
    pin(cores, number);
    page.ready.fetch_add(1, Ordering::AcqRel);
    while page.go.load(Ordering::Acquire) == 0 {
        thread::sleep(Duration::from_micros(50));
    }
    let report = &page.reports[number];
    let cpu = clock(libc::CLOCK_PROCESS_CPUTIME_ID);
    report.began.store(clock(libc::CLOCK_MONOTONIC), Ordering::Relaxed);
    let tally = body(&Worker { number, page });
    report.ended.store(clock(libc::CLOCK_MONOTONIC), Ordering::Relaxed);
    let used = clock(libc::CLOCK_PROCESS_CPUTIME_ID) - cpu;
    report.cpu.store(used, Ordering::Relaxed);
    report.operations.store(tally.operations, Ordering::Relaxed);
    report.sum.store(tally.sum, Ordering::Relaxed);
    let longest = u64::try_from(tally.longest.as_nanos()).unwrap_or(u64::MAX);
    report.longest.store(longest, Ordering::Relaxed);
}

fn summary(reports: &[Report]) -> Race {
    let all = |word: fn(&Report) -> &AtomicU64| reports.iter().map(move |it| word(it).load(Ordering::Relaxed));
    let began = all(|it| &it.began).min().unwrap_or(0);
    let ended = all(|it| &it.ended).max().unwrap_or(0);
    let tallies = reports.iter().map(|it| Tally {
        operations: it.operations.load(Ordering::Relaxed),
        sum: it.sum.load(Ordering::Relaxed),
        longest: Duration::from_nanos(it.longest.load(Ordering::Relaxed)),
    });
    Race {
        tallies: tallies.collect(),
        wall: Duration::from_nanos(ended.saturating_sub(began)),
        cpu: Duration::from_nanos(all(|it| &it.cpu).sum()),
    }
}

/// Puts this process on the core that is its own by its number.
pub fn pin(cores: Cores, number: usize) {
    let which = match cores {
        Cores::Free => return,
        Cores::One => 0,
        Cores::Two => number % 2,
    };
    let Some(&core) = usable_cores().get(which) else {
        return;
    };
    // SAFETY: a set of zeros is an empty one, `core` comes from such a set, and the set outlives the call.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set);
    }
}

/// The cores this process may use.
pub fn usable_cores() -> Vec<usize> {
    // SAFETY: a set of zeros is an empty one; it outlives the call.
    let set = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut set);
        set
    };
    let limit = usize::try_from(libc::CPU_SETSIZE).unwrap_or(0);
    // SAFETY: the numbers are below the size of the set.
    (0..limit)
        .filter(|core| unsafe { libc::CPU_ISSET(*core, &set) })
        .collect()
}

/// Nanoseconds of a clock.
pub fn clock(id: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` outlives the call.
    unsafe { libc::clock_gettime(id, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

fn time_of(time: libc::timeval) -> Duration {
    let micros = u64::try_from(time.tv_usec).unwrap_or(0);
    Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0)) + Duration::from_micros(micros)
}
