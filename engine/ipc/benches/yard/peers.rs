//! What others use between processes, bare: the C library's mutex and semaphore in shared memory, flock, a lock server.

use std::cell::UnsafeCell;
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::ptr;
use std::sync::atomic::AtomicU32;

use crate::shared::Shared;

/// A pthread mutex between processes.
#[derive(Debug)]
pub struct Mutex {
    inner: UnsafeCell<libc::pthread_mutex_t>,
}

// SAFETY: a mutex is made to be used by many at once.
unsafe impl Sync for Mutex {}

impl Mutex {
    /// Makes one in shared memory; a robust one passes to the next when its owner has died.
    pub fn shared(robust: bool) -> io::Result<Shared<Self>> {
        let mutex = Shared::new(Self {
            inner: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
        })?;
        mutex.init(robust)?;
        Ok(mutex)
    }

    /// A plain one between processes, where it is. To be called before anyone uses it.
    pub fn init(&self, robust: bool) -> io::Result<()> {
        let robustness = if robust {
            libc::PTHREAD_MUTEX_ROBUST
        } else {
            libc::PTHREAD_MUTEX_STALLED
        };
        let mut attributes = MaybeUninit::uninit();
        // SAFETY: the attributes are made by the first call and used by the others; the mutex is used by nobody yet.
        unsafe {
            done(libc::pthread_mutexattr_init(attributes.as_mut_ptr()))?;
            done(libc::pthread_mutexattr_setpshared(
                attributes.as_mut_ptr(),
                libc::PTHREAD_PROCESS_SHARED,
            ))?;
            done(libc::pthread_mutexattr_setrobust(attributes.as_mut_ptr(), robustness))?;
            done(libc::pthread_mutex_init(self.inner.get(), attributes.as_ptr()))
        }
    }

    /// A mutex that is still to be made by `init`.
    pub const fn unmade() -> Self {
        Self {
            inner: UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER),
        }
    }

    /// Waits for it. Whether its last owner died with it.
    #[inline]
    pub fn acquire(&self) -> bool {
        // SAFETY: the mutex was made by `init` and stays where it is.
        unsafe {
            let orphaned = libc::pthread_mutex_lock(self.inner.get()) == libc::EOWNERDEAD;
            if orphaned {
                libc::pthread_mutex_consistent(self.inner.get());
            }
            orphaned
        }
    }

    /// Releases it.
    #[inline]
    pub fn release(&self) {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_unlock(self.inner.get()) };
    }
}

fn done(code: i32) -> io::Result<()> {
    if code == 0 {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(code))
    }
}

/// A POSIX semaphore between processes.
#[derive(Debug)]
pub struct Semaphore {
    inner: UnsafeCell<libc::sem_t>,
}

// SAFETY: a semaphore is made to be used by many at once.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    /// Makes one in shared memory.
    pub fn shared(permits: u32) -> io::Result<Shared<Self>> {
        // SAFETY: `sem_init` writes all of it before anyone uses it.
        let inner = UnsafeCell::new(unsafe { std::mem::zeroed() });
        let semaphore = Shared::new(Self { inner })?;
        // SAFETY: the semaphore is where it stays, and nobody uses it yet.
        if unsafe { libc::sem_init(semaphore.inner.get(), 1, permits) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(semaphore)
    }

    /// Waits for a permit.
    #[inline]
    pub fn acquire(&self) {
        // SAFETY: the semaphore was made by `shared`.
        while unsafe { libc::sem_wait(self.inner.get()) } != 0 {}
    }

    /// Gives one back.
    #[inline]
    pub fn release(&self) {
        // SAFETY: as above.
        unsafe { libc::sem_post(self.inner.get()) };
    }

    /// How many are free.
    pub fn free(&self) -> u64 {
        let mut value = 0;
        // SAFETY: as above; `value` outlives the call.
        unsafe { libc::sem_getvalue(self.inner.get(), &raw mut value) };
        u64::try_from(value).unwrap_or(0)
    }
}

/// A file that is locked as a whole by flock(2).
#[derive(Debug)]
pub struct Flock {
    file: File,
}

impl Flock {
    /// Opens a file of this process's own memory files anew, since the lock is that of an open file.
    pub fn open(file: RawFd) -> io::Result<Self> {
        let file = File::open(format!("/proc/self/fd/{file}"))?;
        Ok(Self { file })
    }

    /// Waits for it.
    #[inline]
    pub fn acquire(&self) {
        // SAFETY: the call takes no pointers.
        while unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_EX) } != 0 {}
    }

    /// Releases it.
    #[inline]
    pub fn release(&self) {
        // SAFETY: as above.
        unsafe { libc::flock(self.file.as_raw_fd(), libc::LOCK_UN) };
    }
}

/// Serves one lock to all clients until it is killed: a byte asks for it, a byte grants it, a byte gives it back.
pub fn serve(clients: &mut [UnixStream]) -> io::Result<()> {
    let mut polled: Vec<libc::pollfd> = clients
        .iter()
        .map(|client| libc::pollfd {
            fd: client.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let mut queue = std::collections::VecDeque::new();
    loop {
        // SAFETY: the descriptors are open, and their list outlives the call.
        unsafe { libc::poll(polled.as_mut_ptr(), polled.len() as libc::nfds_t, -1) };
        for (number, client) in polled.iter().enumerate() {
            if client.revents == 0 {
                continue;
            }
            let mut bytes = [0; 16];
            let length = clients[number].read(&mut bytes)?;
            for byte in &bytes[..length] {
                let was_free = queue.is_empty();
                match byte {
                    b'a' => queue.push_back(number),
                    _ => drop(queue.pop_front()),
                }
                let is_next = if *byte == b'a' { was_free } else { !queue.is_empty() };
                if is_next {
                    clients[queue[0]].write_all(b"g")?;
                }
            }
        }
    }
}

/// A sleep until the word is no longer `expected`.
pub fn futex_wait(word: &AtomicU32, expected: u32) {
    // SAFETY: the word is alive and aligned; the kernel only compares it.
    unsafe {
        libc::syscall(
            libc::SYS_futex,
            word.as_ptr(),
            libc::FUTEX_WAIT,
            expected,
            ptr::null::<libc::timespec>(),
        )
    };
}

/// Wakes `count` of those who sleep there.
pub fn futex_wake(word: &AtomicU32, count: i32) {
    // SAFETY: the word is alive; the kernel only uses its address.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, count) };
}
