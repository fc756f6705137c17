//! How a process is started: by one `clone` that shares the engine's memory and descriptors until `execve`.
//!
//! The new process first gets a table of descriptors of its own, with the low ones only
//! (`close_range(…, CLOSE_RANGE_UNSHARE)`); before that, every change would hit the engine's table. It then runs
//! on a stack of its own in the engine's memory, so it may neither allocate nor panic; what fails it writes
//! into [`Orders::failure`], which the engine reads once `CLONE_VFORK` lets it go on.

use std::cell::Cell;
use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;

use super::confinement::{Confinement, CpuSet, confine, enter_groups};
use super::error::{Failure, Step};
use super::slots::{LOW, SlotsGuard, TARGET_MAX, slots, slots_now};
use super::{Child, Executable, Identity, Job, SpawnError};
use crate::exit::reap_blocking;
use crate::signals::LISTENED;

/// The highest signal number of Linux.
const SIGNAL_MAX: c_int = 64;

/// Bytes of the kernel's set of signals, one bit each.
const SIGNAL_SET_BYTES: usize = 8;

/// Bytes of stack for a new process before `execve`; it calls a few system calls deep.
const STACK_BYTES: usize = 128 * 1024;

/// Bytes below the stack that nobody may touch: an overflow is a crash, not a corruption. Larger than any page.
const GUARD_BYTES: usize = 64 * 1024;

/// Whether this kernel has what [`launch`] needs.
///
/// # Errors
/// With words for the user, when it has not.
pub(crate) fn probe() -> io::Result<()> {
    // SAFETY: no descriptor has the highest number, so nothing is closed.
    let done = unsafe { libc::syscall(libc::SYS_close_range, c_uint::MAX, c_uint::MAX, 0) };
    Errno::result(done).map(drop).map_err(|errno| {
        let why = format!("this kernel cannot start processes as forkyard does (close_range: {errno}); Linux 5.9 can");
        io::Error::new(io::ErrorKind::Unsupported, why)
    })
}

/// The stack on which a new process runs until `execve`; one, since the thread that starts it waits for that.
struct Stack {
    base: *mut c_void,
}

// SAFETY: it is a piece of memory that only its owner uses; any thread may.
unsafe impl Send for Stack {}

impl Stack {
    /// Maps the stack with the guard below it.
    ///
    /// # Errors
    /// When there is no memory.
    fn new() -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches nothing that exists.
        let base = unsafe {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            libc::mmap(ptr::null_mut(), GUARD_BYTES + STACK_BYTES, access, flags, -1, 0)
        };
        if base == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let stack = Self { base };
        // SAFETY: these bytes are the lower part of the mapping just made.
        let done = unsafe { libc::mprotect(base, GUARD_BYTES, libc::PROT_NONE) };
        Errno::result(done)?;
        Ok(stack)
    }

    /// One past its last byte, where a stack that grows downwards begins; aligned as mappings are.
    fn top(&self) -> *mut c_void {
        self.base.wrapping_byte_add(GUARD_BYTES + STACK_BYTES)
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours, and no process runs on it while its owner drops it.
        unsafe { libc::munmap(self.base, GUARD_BYTES + STACK_BYTES) };
    }
}

/// The signals whose dispositions a new process has to reset: those that something else than the default happens at, by
/// inheritance or by a handler of this process. To reset all 64 would be half of a start's system calls.
#[derive(Clone)]
struct Changed(Vec<c_int>);

impl Changed {
    /// Those that are changed now, and those that the engine listens to, perhaps later.
    fn now() -> Self {
        let listened = LISTENED.map(|signal| signal as c_int);
        let is_meant = |signal: &c_int| {
            *signal == libc::SIGPIPE || listened.contains(signal) || disposition(*signal) != libc::SIG_DFL
        };
        Self((1..=SIGNAL_MAX).filter(is_meant).collect())
    }
}

/// What happens at a signal; the kernel is asked, since the C library does not tell of two that it keeps for itself.
fn disposition(signal: c_int) -> usize {
    let mut action = [0_usize; 8];
    let none = ptr::null::<c_void>();
    // SAFETY: the kernel's structure for one signal is never larger, and begins with the handler. For SIGKILL and SIGSTOP
    // as for all others it is only read.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigaction,
            signal,
            none,
            action.as_mut_ptr(),
            SIGNAL_SET_BYTES,
        );
    }
    action[0]
}

/// What one thread starts processes with, one after another.
pub(super) struct Starter {
    stack: Stack,
    changed: Changed,
}

impl Starter {
    /// # Errors
    /// When there is no memory for its stack.
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            stack: Stack::new()?,
            changed: Changed::now(),
        })
    }

    /// The same for another thread.
    ///
    /// # Errors
    /// As [`Starter::new`].
    pub(super) fn another(&self) -> io::Result<Self> {
        Ok(Self {
            stack: Stack::new()?,
            changed: self.changed.clone(),
        })
    }

    /// Starts the process, once no other thread is starting one; to be called with all signals blocked.
    ///
    /// # Errors
    /// Why it could not be started.
    pub(super) fn launch(&self, job: &Job) -> Result<Child, SpawnError> {
        let started = slots()
            .map_err(|error| no_descriptors(errno_of(&error)))
            .and_then(|slots| start(job, slots, self));
        started.map_err(|failure| SpawnError::explain(failure, job))
    }

    /// The same without waiting; `None` when another thread is starting one.
    pub(super) fn launch_now(&self, job: &Job) -> Option<Result<Child, SpawnError>> {
        let started = start(job, slots_now()?, self);
        Some(started.map_err(|failure| SpawnError::explain(failure, job)))
    }
}

const fn no_descriptors(errno: Errno) -> Failure {
    Failure {
        step: Step::Descriptors,
        errno,
        file: None,
    }
}

fn start(job: &Job, mut slots: SlotsGuard, starter: &Starter) -> Result<Child, Failure> {
    if job.fds.iter().any(|&(_, target)| !(0..=TARGET_MAX).contains(&target)) {
        return Err(no_descriptors(Errno::EBADF));
    }
    let filled = slots
        .fill(job.fds.iter().map(|(fd, _)| fd.as_ref().map(AsFd::as_fd)))
        .map_err(no_descriptors)?;
    let listener = Listener::default();
    let orders = Orders::new(job, &filled, &listener, &starter.changed);
    let child = clone(&orders, &starter.stack)?;
    match orders.failure.take() {
        None => Ok(child),
        Some(failure) => {
            // It exits by itself; it has never been anybody's but ours, so its exit is of no interest.
            let _ = reap_blocking(child.pidfd.as_fd());
            Err(failure)
        }
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// Kills a process that nobody waits for any more, with its group, and reaps it.
pub(crate) fn discard(child: &Child) {
    // SAFETY: kill takes two numbers. The group is the child's own, since the child has not been reaped.
    unsafe { libc::kill(-child.pid, libc::SIGKILL) };
    // A killed child of ours can be reaped; there is nobody to whom a failure could be told.
    let _ = reap_blocking(child.pidfd.as_fd());
}

/// Makes the process; returns once it has executed its program or given up.
fn clone(orders: &Orders<'_>, stack: &Stack) -> Result<Child, Failure> {
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::CLONE_FILES | libc::CLONE_PIDFD | libc::SIGCHLD;
    let mut pidfd: RawFd = -1;
    let argument = ptr::from_ref(orders).cast_mut().cast::<c_void>();
    // SAFETY: `child` runs on `stack`, which nobody else uses, and reads `orders`, which outlives it: this thread
    // goes on only when the child has left our memory. It allocates nothing and takes no lock. All signals are
    // blocked in this thread, hence in the child, until it has reset their handlers.
    let pid = unsafe { libc::clone(child, stack.top(), flags, argument, &raw mut pidfd) };
    let pid = Errno::result(pid).map_err(|errno| Failure {
        step: Step::Clone,
        errno,
        file: None,
    })?;
    // SAFETY: the kernel has just opened this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child { pid, pidfd })
}

/// `LISTEN_PID=` with its value, which only the new process knows.
const LISTEN_PID: &[u8] = b"LISTEN_PID=";

/// Bytes of that variable: ten digits are enough for a pid, and a NUL byte ends it.
const LISTEN_PID_BYTES: usize = LISTEN_PID.len() + 11;

/// Room for the variable, in the engine's memory: the new process writes it, and `execve` copies it.
struct Listener {
    variable: Cell<[u8; LISTEN_PID_BYTES]>,
}

impl Default for Listener {
    fn default() -> Self {
        let mut variable = [0; LISTEN_PID_BYTES];
        variable[..LISTEN_PID.len()].copy_from_slice(LISTEN_PID);
        Self {
            variable: Cell::new(variable),
        }
    }
}

impl Listener {
    fn as_ptr(&self) -> *const c_char {
        self.variable.as_ptr().cast_const().cast()
    }

    /// Writes the pid in decimal digits. It allocates nothing, and cannot panic: there is room for every `u32`.
    fn name(&self, pid: u32) {
        let mut variable = self.variable.get();
        let digits = pid.checked_ilog10().map_or(1, |log| log as usize + 1);
        let mut rest = pid;
        for byte in variable[LISTEN_PID.len()..].iter_mut().take(digits).rev() {
            *byte = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        self.variable.set(variable);
    }
}

/// All that a new process needs to know, in the engine's memory; it allocates nothing itself.
struct Orders<'a> {
    engine: libc::pid_t,
    program: &'a Executable,
    /// Which of its files could not be executed: written by the new process.
    unexecuted: Cell<Option<usize>>,
    argv: Vec<*const c_char>,
    envp: Vec<*const c_char>,
    cwd: Option<*const c_char>,
    /// Slots, and the numbers they are to have.
    wires: Vec<(RawFd, RawFd)>,
    /// Ranges of low descriptors that are not wired.
    gaps: Vec<(RawFd, RawFd)>,
    umask: Option<libc::mode_t>,
    nice: Option<c_int>,
    terminal: Option<RawFd>,
    confinement: &'a Confinement,
    cpus: Option<CpuSet>,
    identity: Option<&'a Identity>,
    /// Its variable is in `envp` then.
    listener: Option<&'a Listener>,
    changed: &'a Changed,
    outlives: bool,
    until_program: Option<RawFd>,
    /// Written by the new process when something fails.
    failure: Cell<Option<Failure>>,
}

impl<'a> Orders<'a> {
    fn new(job: &'a Job, slots: &[RawFd], listener: &'a Listener, changed: &'a Changed) -> Self {
        let listener = job.listens.then_some(listener);
        let targets: Vec<RawFd> = job.fds.iter().map(|&(_, target)| target).collect();
        Self {
            // The same for all threads of the engine.
            engine: nix::unistd::getpid().as_raw(),
            program: &job.program,
            unexecuted: Cell::new(None),
            argv: terminated(&job.argv, None),
            envp: terminated(&job.envp, listener.map(Listener::as_ptr)),
            cwd: job.cwd.as_ref().map(|cwd| cwd.as_ptr()),
            gaps: gaps(&targets),
            wires: slots.iter().copied().zip(targets).collect(),
            umask: job.umask,
            nice: job.nice,
            terminal: job.terminal,
            confinement: &job.confinement,
            cpus: (!job.confinement.cpus.is_empty()).then(|| CpuSet::of(&job.confinement.cpus)),
            identity: job.identity.as_ref().filter(|identity| !identity.is_engines_own()),
            listener,
            changed,
            outlives: job.outlives,
            until_program: job.until_program,
            failure: Cell::new(None),
        }
    }
}

/// The strings as C has them, and perhaps one more: pointers, then null.
fn terminated(strings: &[impl AsRef<CStr>], further: Option<*const c_char>) -> Vec<*const c_char> {
    let pointers = strings.iter().map(|string| string.as_ref().as_ptr());
    pointers.chain(further).chain([ptr::null()]).collect()
}

/// The ranges of numbers below [`LOW`], both ends included, that are no targets.
fn gaps(targets: &[RawFd]) -> Vec<(RawFd, RawFd)> {
    let mut gaps = Vec::new();
    let mut first = 0;
    for number in 0..=LOW {
        if number == LOW || targets.contains(&number) {
            if first < number {
                gaps.push((first, number - 1));
            }
            first = number + 1;
        }
    }
    gaps
}

/// The new process. When it returns, it exits.
extern "C" fn child(orders: *mut c_void) -> c_int {
    // SAFETY: `clone` passes a reference to `Orders`, which lives until this process is gone from our memory.
    let orders = unsafe { &*orders.cast::<Orders<'_>>() };
    // SAFETY: this is the new process.
    let step = unsafe { carry_out(orders) };
    orders.failure.set(Some(Failure {
        step,
        errno: Errno::last(),
        file: orders.unexecuted.get(),
    }));
    127
}

/// Does everything up to `execve`, and returns only the step that failed, its reason in `errno`.
///
/// # Safety
/// To be called in a process made by [`clone`] alone.
unsafe fn carry_out(orders: &Orders<'_>) -> Step {
    // SAFETY: all are system calls on numbers, or on strings and lists that `orders` keeps alive.
    unsafe {
        if let Err(step) = enter_groups(orders.confinement) {
            return step;
        }
        if wire(orders) != 0 {
            return Step::Descriptors;
        }
        if let Some(lock) = orders.until_program
            && libc::fcntl(lock, libc::F_SETFD, libc::FD_CLOEXEC) != 0
        {
            return Step::Descriptors;
        }
        if lead(orders) != 0 {
            return Step::Group;
        }
        reset_signals(orders.changed);
        if let Some(umask) = orders.umask {
            libc::umask(umask);
        }
        if let Some(nice) = orders.nice
            && libc::setpriority(libc::PRIO_PROCESS, 0, nice) != 0
        {
            return Step::Nice;
        }
        if let Err(step) = confine(orders.confinement, orders.cpus.as_ref()) {
            return step;
        }
        if let Some(identity) = orders.identity
            && become_user(identity) != 0
        {
            return Step::Identity;
        }
        // Changing the user clears the parent-death signal, so this comes after it.
        if !orders.outlives && libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
            return Step::Group;
        }
        if libc::getppid() != orders.engine {
            // The engine died before the signal was asked for.
            libc::_exit(127);
        }
        if let Some(cwd) = orders.cwd
            && libc::chdir(cwd) != 0
        {
            return Step::WorkingDirectory;
        }
        if let Some(listener) = orders.listener {
            listener.name(libc::getpid().unsigned_abs());
        }
        execute(orders);
    }
    Step::Exec
}

/// Executes the first file that may be, and returns only when that fails or there is none, with the reason in `errno`: that
/// one is forbidden, the first such, says more than that others are not there.
///
/// # Safety
/// As [`carry_out`].
unsafe fn execute(orders: &Orders<'_>) {
    let is_searched = matches!(orders.program, Executable::Among(_));
    let mut forbidden = None;
    for (at, file) in orders.program.files().iter().enumerate() {
        // It is asked first since before Linux 6.9 an `execve` takes long to find that there is no such file.
        // SAFETY: all are strings, and lists of them, that `orders` keeps alive.
        let is_there = !is_searched || unsafe { libc::access(file.as_ptr(), libc::X_OK) } == 0;
        if is_there {
            // SAFETY: as above.
            unsafe { libc::execve(file.as_ptr(), orders.argv.as_ptr(), orders.envp.as_ptr()) };
        }
        match Errno::last() {
            // A folder may be called like the program.
            Errno::EACCES if is_searched => forbidden = forbidden.or(Some(at)),
            _ if !is_there => {}
            _failed => return orders.unexecuted.set(Some(at)),
        }
    }
    orders.unexecuted.set(forbidden);
    let reason = if forbidden.is_some() {
        Errno::EACCES
    } else {
        Errno::ENOENT
    };
    reason.set();
}

/// Makes the process the leader of a group, or, with a terminal, or to outlive the one of the engine, of a session, which
/// costs more. Not 0 on failure.
///
/// # Safety
/// As [`carry_out`].
unsafe fn lead(orders: &Orders<'_>) -> c_int {
    // SAFETY: all are system calls on numbers.
    unsafe {
        match orders.terminal {
            None if orders.outlives => libc::setsid().min(0),
            None => libc::setpgid(0, 0),
            Some(terminal) if libc::setsid() >= 0 => libc::ioctl(terminal, libc::TIOCSCTTY, 0),
            Some(_) => -1,
        }
    }
}

/// Takes a table of descriptors of its own, with the declared ones alone. Not 0 on failure.
///
/// # Safety
/// As [`carry_out`].
unsafe fn wire(orders: &Orders<'_>) -> libc::c_long {
    // SAFETY: once the first call has succeeded, the table is this process's own and nobody else's descriptors
    // can be closed or replaced.
    unsafe {
        let unshared = libc::syscall(libc::SYS_close_range, LOW, c_uint::MAX, libc::CLOSE_RANGE_UNSHARE);
        if unshared != 0 {
            return unshared;
        }
        for &(slot, target) in &orders.wires {
            if libc::dup2(slot, target) < 0 {
                return -1;
            }
        }
        for &(first, last) in &orders.gaps {
            let closed = libc::syscall(libc::SYS_close_range, first, last, 0);
            if closed != 0 {
                return closed;
            }
        }
    }
    0
}

/// Default dispositions, then the empty mask: in this order, since the engine's handlers must not run here.
///
/// # Safety
/// As [`carry_out`].
unsafe fn reset_signals(changed: &Changed) {
    // The kernel's own structure for one signal is never larger; all zero it is SIG_DFL with no flags.
    let default = [0_u64; 8];
    // SAFETY: this process has its own table of handlers. The raw call is used since the C library refuses two
    // signals it keeps for itself, which may be ignored by inheritance too; it fails for SIGKILL and SIGSTOP,
    // which are always default.
    unsafe {
        for &signal in &changed.0 {
            let none = ptr::null_mut::<c_void>();
            libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), none, SIGNAL_SET_BYTES);
        }
        let mut empty = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(empty.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, empty.as_ptr(), ptr::null_mut());
    }
}

/// Groups, group, user. By raw system calls: the C library's functions would change all threads of the engine.
///
/// # Safety
/// As [`carry_out`].
unsafe fn become_user(identity: &Identity) -> libc::c_long {
    // SAFETY: the list of groups is valid for its length.
    unsafe {
        let groups = libc::syscall(libc::SYS_setgroups, identity.groups.len(), identity.groups.as_ptr());
        if groups != 0 {
            return groups;
        }
        let group = libc::syscall(libc::SYS_setgid, identity.gid);
        if group != 0 {
            return group;
        }
        libc::syscall(libc::SYS_setuid, identity.uid)
    }
}
