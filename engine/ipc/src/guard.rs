//! Mappings whose file may be made shorter under way.
//!
//! To touch a page that its file has no longer raises SIGBUS. A host must survive that, since any of its clients can shorten a file
//! that it was handed. So it maps zeros over the page, notes that the channel has lost some of its memory, and goes on; the next look at
//! the channel finds it damaged.

use std::io;
use std::mem::MaybeUninit;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::memory::PAGE;

/// A mapping that is guarded as long as this lives.
#[derive(Debug)]
pub struct Guarded(&'static Entry);

/// One place in the list that the handler goes through. It is never freed, but used again.
#[derive(Debug)]
struct Entry {
    from: AtomicUsize,
    /// 0: the place is free.
    length: AtomicUsize,
    has_lost: AtomicBool,
    next: *const Self,
}

// SAFETY: `next` is written before the entry is seen by others, and what it points to is never freed.
unsafe impl Sync for Entry {}
// SAFETY: as above.
unsafe impl Send for Entry {}

/// The newest entry.
static ENTRIES: AtomicPtr<Entry> = AtomicPtr::new(ptr::null_mut());

/// Only the handler goes through the entries without it.
static CHANGING: Mutex<()> = Mutex::new(());

/// What SIGBUS did before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

impl Guarded {
    /// Guards a mapping from now on.
    ///
    /// # Errors
    /// When the signal cannot be caught.
    pub fn new(address: NonNull<u8>, length: usize) -> io::Result<Self> {
        catch()?;
        let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries().find(|entry| entry.length.load(Ordering::Relaxed) == 0);
        let entry = entry.unwrap_or_else(|| {
            let fresh = Box::leak(Box::new(Entry {
                from: AtomicUsize::new(0),
                length: AtomicUsize::new(0),
                has_lost: AtomicBool::new(false),
                next: ENTRIES.load(Ordering::Acquire),
            }));
            ENTRIES.store(fresh, Ordering::Release);
            fresh
        });
        entry.has_lost.store(false, Ordering::Relaxed);
        entry
            .from
            .store(address.as_ptr().expose_provenance(), Ordering::Relaxed);
        entry.length.store(length, Ordering::Release);
        Ok(Self(entry))
    }

    /// Whether zeros have been mapped over some of it.
    pub fn has_lost(&self) -> bool {
        self.0.has_lost.load(Ordering::Relaxed)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.0.length.store(0, Ordering::Release);
    }
}

fn entries() -> impl Iterator<Item = &'static Entry> {
    let mut next: *const Entry = ENTRIES.load(Ordering::Acquire);
    std::iter::from_fn(move || {
        // SAFETY: entries are never freed, and are whole before they are in the list.
        let entry = unsafe { next.as_ref() }?;
        next = entry.next;
        Some(entry)
    })
}

/// From now on SIGBUS is caught, once.
fn catch() -> io::Result<()> {
    let _changing = CHANGING.lock().unwrap_or_else(PoisonError::into_inner);
    if BEFORE.get().is_some() {
        return Ok(());
    }
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    let mut before = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a `sigaction` of zeros is valid: no signals masked, no flags.
    let caught = unsafe {
        let action = action.assume_init_mut();
        action.sa_sigaction = handle as *const () as libc::sighandler_t;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        libc::sigaction(libc::SIGBUS, action, before.as_mut_ptr())
    };
    if caught != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, and has written it.
    let _ = BEFORE.set(unsafe { before.assume_init() });
    Ok(())
}

/// Only what may be done in a signal's handler: atomics and system calls.
extern "C" fn handle(_signal: libc::c_int, about: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel hands over a valid description, and that of SIGBUS has an address.
    let address = unsafe { (*about).si_addr() }.addr();
    if !entries().any(|entry| entry.cover(address)) {
        give_back();
    }
}

impl Entry {
    /// Maps zeros over the page of an address, if it is one of the mapping's.
    fn cover(&self, address: usize) -> bool {
        let length = self.length.load(Ordering::Acquire);
        let from = self.from.load(Ordering::Relaxed);
        if address.wrapping_sub(from) >= length {
            return false;
        }
        let page = address & !(usize::try_from(PAGE).unwrap_or(usize::MAX) - 1);
        self.has_lost.store(true, Ordering::Relaxed);
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED;
        let bytes = usize::try_from(PAGE).unwrap_or_default();
        // SAFETY: the page belongs to a mapping of ours, all access to which is by atomics and copies of bytes, for which zeros are
        // as valid as anything.
        let mapped = unsafe { libc::mmap(ptr::with_exposed_provenance_mut(page), bytes, rights, flags, -1, 0) };
        mapped != libc::MAP_FAILED
    }
}

/// It is none of ours: the instruction is tried again, and whatever happened before happens.
fn give_back() {
    let default = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: a `sigaction` of zeros is the default action; both outlive the call.
    unsafe {
        let before = BEFORE.get().map_or(default.as_ptr(), ptr::from_ref);
        libc::sigaction(libc::SIGBUS, before, ptr::null_mut());
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use crate::channel::{Attachment, Manner, Place};
    use crate::{Error, Lock, Patience, Queue};

    #[test]
    fn a_host_survives_a_client_that_shortens_the_file() {
        let folder = std::env::temp_dir().join(format!("forkyard-shortened-{}", std::process::id()));
        // What an earlier process of the same number has left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).expect("a folder");
        let path = folder.join("queue");
        let client = Queue::create(&Place::File(&path), 10, 1 << 20).expect("a queue");
        let attachment = |file| Attachment {
            manner: Manner::Host,
            ..Attachment::of(file)
        };
        let copy = client.descriptor().try_clone_to_owned().expect("a descriptor");
        let host = Queue::attach(attachment(copy)).expect("a queue");
        host.put(&vec![7; 100_000]).expect("it is put");
        let lock = Lock::create(&Place::File(&folder.join("lock")), false).expect("a lock");
        let copy = lock.descriptor().try_clone_to_owned().expect("a descriptor");
        let lock = Lock::attach(attachment(copy)).expect("a lock");

        let file = OpenOptions::new().write(true).open(&path).expect("it is there");
        file.set_len(0).expect("it is shortened");
        let taken = host.take_as(host.channel().me().expect("a slot"), Patience::Try);
        assert!(matches!(taken, Ok(None) | Err(Error::Damaged)), "{taken:?}");
        assert!(host.channel().is_damaged());
        assert!(!lock.channel().is_damaged(), "others are unharmed");
        lock.acquire_raw(Patience::Try).expect("whole").expect("free");
        // The client would be killed by a look at it.
        std::mem::forget(client);
        fs::remove_dir_all(&folder).expect("it is there");
    }
}
