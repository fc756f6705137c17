//! The bytes of a channel's file, as words and blocks.
//!
//! A file has a *fixed part*, mapped whole, in which all words stand, and behind it an *arena* for large items, which
//! grows. The arena is mapped piece by piece: segment `k` is its bytes from `FIRST << k` to `FIRST << (k + 1)`. A block
//! of a power of two that is aligned to its own size never lies in two segments.
//!
//! All access to words goes through [`Word32`] and [`Word64`]. They are where tests count steps and kill, so that
//! "killed at every step" means every access to shared memory.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence};
use std::sync::{Mutex, PoisonError};

use crate::error::Error;
use crate::guard::Guarded;

/// The offset in the arena of the first block, and the length of the first segment, in bytes.
pub const FIRST: u64 = 64 * 1024;

/// The arena ends before `FIRST << SEGMENTS`: 64 TiB.
const SEGMENTS: usize = 30;

/// A page of the smallest size there is.
pub const PAGE: u64 = 4096;

/// A mapped channel.
#[derive(Debug)]
pub struct Memory {
    file: OwnedFd,
    fixed: NonNull<u8>,
    fixed_bytes: u64,
    segments: [AtomicPtr<u8>; SEGMENTS],
    /// The file is known to be so long; it never shrinks, unless somebody breaks the rules.
    known_bytes: AtomicU64,
    /// Of a host: all its mappings.
    guards: Option<Mutex<Vec<Guarded>>>,
}

// SAFETY: the mapping belongs to the value, and is only accessed by atomics and by copies that the protocols of the
// channels order.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    /// Maps the fixed part of a file, which must be as long at least. Guarded: it may be made shorter later, and this process goes on
    /// with zeros then.
    pub fn map(file: OwnedFd, fixed_bytes: u64, guarded: bool) -> Result<Self, Error> {
        let length = length_of(&file)?;
        if length < fixed_bytes || fixed_bytes < PAGE {
            return Err(Error::NotAChannel);
        }
        let fixed = map_shared(&file, 0, fixed_bytes)?;
        #[cfg(test)]
        crate::simulation::mapped(&file, fixed, fixed_bytes);
        let memory = Self {
            file,
            fixed,
            fixed_bytes,
            segments: [const { AtomicPtr::new(ptr::null_mut()) }; SEGMENTS],
            known_bytes: AtomicU64::new(length),
            guards: guarded.then(Mutex::default),
        };
        memory.guard(fixed, fixed_bytes)?;
        Ok(memory)
    }

    fn guard(&self, address: NonNull<u8>, length: u64) -> Result<(), Error> {
        let Some(guards) = &self.guards else { return Ok(()) };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let guarded = Guarded::new(address, length).map_err(Error::io("catch a signal"))?;
        guards.lock().unwrap_or_else(PoisonError::into_inner).push(guarded);
        Ok(())
    }

    /// Whether the file was made shorter, as far as a host has noticed.
    #[inline]
    pub fn has_lost(&self) -> bool {
        self.guards.as_ref().is_some_and(has_one_lost)
    }

    /// The file, to be handed on.
    pub fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// A word of the fixed part.
    #[inline]
    pub fn u32(&self, at: u64) -> Word32<'_> {
        // SAFETY: `place` is inside the mapping, which lives as long as `self`, and aligned; all access is atomic.
        Word32(unsafe { AtomicU32::from_ptr(self.place(at, 4).cast().as_ptr()) })
    }

    /// A double word of the fixed part.
    #[inline]
    pub fn u64(&self, at: u64) -> Word64<'_> {
        // SAFETY: as in `u32`.
        Word64(unsafe { AtomicU64::from_ptr(self.place(at, 8).cast().as_ptr()) })
    }

    /// A place in the fixed part, aligned to its length. Its first page is always there, so that for the words that stand at known
    /// offsets nothing is left to be checked when the program runs.
    #[inline]
    fn place(&self, at: u64, bytes: u64) -> NonNull<u8> {
        assert!(
            at.is_multiple_of(bytes) && (at < PAGE || at < self.fixed_bytes),
            "a word outside of the channel's fixed part"
        );
        // SAFETY: the fixed part is a whole number of double words, so that an aligned word that begins in it ends in it.
        unsafe { self.fixed.add(usize::try_from(at).unwrap_or(usize::MAX)) }
    }

    /// Records of words in the fixed part, one behind the other.
    #[inline]
    pub fn records(&self, at: u64, count: u32) -> Records<'_> {
        assert!(
            at.is_multiple_of(RECORD) && at <= self.fixed_bytes && u64::from(count) * RECORD <= self.fixed_bytes - at,
            "records outside of the channel's fixed part"
        );
        // SAFETY: the fixed part is mapped whole, and the records begin within it, or at its end when there are none.
        let base = unsafe { self.fixed.add(usize::try_from(at).unwrap_or(usize::MAX)) };
        let memory = self;
        Records { base, count, memory }
    }

    /// A block of the arena: `offset` is a multiple of its length, a power of two. Who may touch it is for the
    /// caller to know.
    ///
    /// # Errors
    /// `Damaged` when there is no such block: the words that led here have been overwritten.
    #[inline]
    pub fn block(&self, offset: u64, length: u64) -> Result<NonNull<u8>, Error> {
        let sound = length.is_power_of_two() && offset >= FIRST && offset.is_multiple_of(length);
        let segment = (offset / FIRST).checked_ilog2().unwrap_or(0) as usize;
        if !sound || segment >= SEGMENTS {
            return Err(Error::Damaged);
        }
        let end = self.fixed_bytes + offset + length;
        if end > self.known_bytes.load(Ordering::Relaxed) {
            self.learn_length(end)?;
        }
        let mut base = self.segments[segment].load(Ordering::Acquire);
        if base.is_null() {
            base = self.map_segment(segment)?;
        }
        let inside = usize::try_from(offset - (FIRST << segment)).unwrap_or(usize::MAX);
        // SAFETY: the block lies within the segment, since it is aligned to its length, and the file is long enough.
        NonNull::new(unsafe { base.add(inside) }).ok_or(Error::Damaged)
    }

    #[cold]
    fn learn_length(&self, end: u64) -> Result<(), Error> {
        let length = length_of(&self.file)?;
        self.known_bytes.fetch_max(length, Ordering::Relaxed);
        if length < end { Err(Error::Damaged) } else { Ok(()) }
    }

    #[cold]
    fn map_segment(&self, segment: usize) -> Result<*mut u8, Error> {
        let bytes = FIRST << segment;
        let made = map_shared(&self.file, self.fixed_bytes + bytes, bytes)?;
        let slot = &self.segments[segment];
        match slot.compare_exchange(ptr::null_mut(), made.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                self.guard(made, bytes)?;
                Ok(made.as_ptr())
            }
            Err(others) => {
                unmap(made, bytes);
                Ok(others)
            }
        }
    }

    /// Makes sure that the bytes of the fixed part have a place on the disk, so that writing to them cannot fail.
    pub fn provide_fixed(&self, from: u64, length: u64) -> Result<(), Error> {
        provide(&self.file, from, length)
    }

    /// The same for bytes of the arena; the file grows as needed.
    pub fn provide_block(&self, offset: u64, length: u64) -> Result<(), Error> {
        provide(&self.file, self.fixed_bytes + offset, length)?;
        self.known_bytes
            .fetch_max(self.fixed_bytes + offset + length, Ordering::Relaxed);
        Ok(())
    }

    /// Has the pages of a new block made at once instead of one by one as they are written to.
    pub fn populate(place: NonNull<u8>, length: u64) {
        let length = usize::try_from(length & !(PAGE - 1)).unwrap_or_default();
        // SAFETY: the range lies in a mapping of this process, which the call does not change but for having its pages made. Where the
        // system cannot do that, they are made later.
        unsafe { libc::madvise(place.as_ptr().cast(), length, libc::MADV_POPULATE_WRITE) };
    }

    /// Gives the bytes of a block of the arena back to the system; they read as zero from now on.
    pub fn discard_block(&self, offset: u64, length: u64) {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        // What cannot be given back stays, which is no harm.
        let _ = fallocate(&self.file, mode, self.fixed_bytes + offset, length);
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // Before others may have a mapping at these addresses.
        self.guards = None;
        unmap(self.fixed, self.fixed_bytes);
        for (segment, base) in self.segments.iter().enumerate() {
            if let Some(base) = NonNull::new(base.load(Ordering::Acquire)) {
                unmap(base, FIRST << segment);
            }
        }
    }
}

fn has_one_lost(guards: &Mutex<Vec<Guarded>>) -> bool {
    let guards = guards.lock().unwrap_or_else(PoisonError::into_inner);
    guards.iter().any(Guarded::has_lost)
}

fn map_shared(file: &OwnedFd, from: u64, length: u64) -> Result<NonNull<u8>, Error> {
    let (Ok(length), Ok(from)) = (usize::try_from(length), libc::off_t::try_from(from)) else {
        return Err(Error::Damaged);
    };
    let rights = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_NORESERVE;
    // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
    let address = unsafe { libc::mmap(ptr::null_mut(), length, rights, flags, file.as_raw_fd(), from) };
    if address == libc::MAP_FAILED {
        return Err(Error::last("map the channel's file"));
    }
    NonNull::new(address.cast()).ok_or(Error::Damaged)
}

fn unmap(address: NonNull<u8>, length: u64) {
    // SAFETY: the range is one that `map_shared` has returned, and whoever owned it is being dropped.
    unsafe {
        libc::munmap(address.as_ptr().cast(), usize::try_from(length).unwrap_or_default());
    }
}

/// How long the file is, in bytes. Needs no descriptor, of which there may be none left.
pub fn length_of(file: &OwnedFd) -> Result<u64, Error> {
    let mut about = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel writes to `about`, which outlives the call.
    if unsafe { libc::fstat(file.as_raw_fd(), about.as_mut_ptr()) } != 0 {
        return Err(Error::last("look at the channel's file"));
    }
    // SAFETY: the call has filled it in.
    let about = unsafe { about.assume_init() };
    Ok(u64::try_from(about.st_size).unwrap_or_default())
}

/// Makes sure that these bytes of a file have a place on the disk.
pub fn provide(file: &impl AsRawFd, from: u64, length: u64) -> Result<(), Error> {
    fallocate(file, 0, from, length).map_err(Error::io("give the channel's file more room"))
}

fn fallocate(file: &impl AsRawFd, mode: i32, from: u64, length: u64) -> io::Result<()> {
    let (Ok(from), Ok(length)) = (libc::off_t::try_from(from), libc::off_t::try_from(length)) else {
        return Err(io::Error::from_raw_os_error(libc::EFBIG));
    };
    loop {
        // SAFETY: only the file is touched, whose descriptor is open.
        if unsafe { libc::fallocate(file.as_raw_fd(), mode, from, length) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// How long a [`Record`] is, in bytes: a line of the cache.
pub const RECORD: u64 = 64;

/// The same, to step through mapped memory by.
const RECORD_BYTES: usize = 64;

/// Some records, of which it has been checked once that they lie in the fixed part.
#[derive(Clone, Copy, Debug)]
pub struct Records<'a> {
    base: NonNull<u8>,
    count: u32,
    memory: &'a Memory,
}

impl<'a> Records<'a> {
    /// How many.
    #[inline]
    pub fn count(self) -> u32 {
        self.count
    }

    /// One of them.
    #[inline]
    pub fn at(self, index: u32) -> Record<'a> {
        assert!(index < self.count, "a record behind the last");
        // SAFETY: so many records lie within the mapping, as was seen when this was made.
        let base = unsafe { self.base.add(index as usize * RECORD_BYTES) };
        let memory = self.memory;
        Record { base, memory }
    }
}

/// Some words of the fixed part that belong together; where it lies has been checked once for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    base: NonNull<u8>,
    memory: &'a Memory,
}

impl<'a> Record<'a> {
    /// A word of it, at an offset below its length.
    #[inline]
    pub fn u32(self, offset: u64) -> Word32<'a> {
        // SAFETY: `place` is inside the mapping, which lives as long as the memory, and aligned; all access is atomic.
        Word32(unsafe { AtomicU32::from_ptr(self.place(offset, 4).cast().as_ptr()) })
    }

    /// A double word of it.
    #[inline]
    pub fn u64(self, offset: u64) -> Word64<'a> {
        // SAFETY: as in `u32`.
        Word64(unsafe { AtomicU64::from_ptr(self.place(offset, 8).cast().as_ptr()) })
    }

    /// Its bytes from an offset on, for items that are kept there. Who may touch them is for the caller to know.
    #[inline]
    pub fn place(self, offset: u64, align: u64) -> NonNull<u8> {
        assert!(offset.is_multiple_of(align) && offset < RECORD, "outside of the record");
        // SAFETY: inside the record, as just seen.
        unsafe { self.base.add(usize::try_from(offset).unwrap_or(usize::MAX)) }
    }

    /// What it is a part of.
    #[inline]
    pub fn memory(self) -> &'a Memory {
        self.memory
    }
}

/// A word of shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Word32<'a>(&'a AtomicU32);

/// A double word of shared memory.
#[derive(Clone, Copy, Debug)]
pub struct Word64<'a>(&'a AtomicU64);

macro_rules! word {
    ($word:ident, $value:ty) => {
        impl $word<'_> {
            #[inline]
            pub fn load(self, order: Ordering) -> $value {
                step();
                self.0.load(order)
            }

            #[inline]
            pub fn store(self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            /// The store by which a step becomes true. Nothing of the program moves across it, so that who is killed
            /// has done all that stands before it when he has done it, and nothing of what stands behind it when not.
            #[inline]
            pub fn commit(self, value: $value) {
                compiler_fence(Ordering::SeqCst);
                self.store(value, Ordering::Release);
                compiler_fence(Ordering::SeqCst);
            }

            /// Exchanges when it is `current`; else says what it is.
            #[inline]
            pub fn exchange(self, current: $value, new: $value) -> Result<$value, $value> {
                step();
                self.0
                    .compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire)
            }

            #[inline]
            pub fn add(self, value: $value) -> $value {
                step();
                self.0.fetch_add(value, Ordering::AcqRel)
            }
        }
    };
}

word!(Word32, u32);
word!(Word64, u64);

impl Word32<'_> {
    #[inline]
    pub fn swap(self, value: u32, order: Ordering) -> u32 {
        step();
        self.0.swap(value, order)
    }

    #[inline]
    pub fn set_bits(self, bits: u32) -> u32 {
        step();
        self.0.fetch_or(bits, Ordering::AcqRel)
    }

    #[inline]
    pub fn clear_bits(self, bits: u32) -> u32 {
        step();
        self.0.fetch_and(!bits, Ordering::AcqRel)
    }

    /// For the kernel to sleep on.
    pub fn address(self) -> *mut u32 {
        self.0.as_ptr()
    }
}

/// Before an access: where tests count, and kill.
#[inline]
fn step() {
    #[cfg(test)]
    crate::steps::pass();
}
