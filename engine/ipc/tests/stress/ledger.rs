//! What the processes of the test tell each other and the judge, in memory of the test's own: it must hold whatever the yard does.

use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::SeqCst};

/// Each lane has one producer at a time, which numbers its items from 0.
pub const LANES: usize = 4;
/// So many items at most in one lane.
pub const ITEMS: usize = 1 << 22;
/// So many processes at most in one run.
pub const BIRTHS: usize = 1 << 17;
/// The permits of the semaphore.
pub const PERMITS: usize = 3;

/// In an item's word: how often it was recorded.
const RECORDED: u32 = 0xfff;
/// How often it had been handed out when it was recorded last: the bits from here.
const DELIVERIES: u32 = 12;
/// Its producer was killed in the middle of the put.
const UNCERTAIN: u32 = 1 << 29;
/// It is acknowledged.
const GONE: u32 = 1 << 30;

/// One producer's items.
pub struct Lane {
    /// So many puts have begun.
    pub begun: AtomicU64,
    /// So many have ended, or will never.
    pub ended: AtomicU64,
    items: [AtomicU32; ITEMS],
}

/// All of it; made of zeros.
pub struct Ledger {
    /// Not 0: the killing is over.
    pub over: AtomicU32,
    /// Counts whatever anybody has done.
    pub progress: AtomicU64,
    /// Items given back by those who live: begun, and done.
    pub nacks_begun: AtomicU64,
    pub nacks_done: AtomicU64,
    /// What happened under the lock, and what the lock guards: two words that must be the same.
    pub truth: AtomicU64,
    pub guarded: [AtomicU64; 2],
    /// Who is inside the lock.
    pub inside: AtomicU32,
    /// Who has the permits.
    pub seats: [AtomicU32; PERMITS],
    /// How often locks and permits were found orphaned.
    pub orphaned: AtomicU64,
    pub acquired: AtomicU64,
    pub woken: AtomicU64,
    /// Of each process: whether it is about to be killed.
    doomed: [AtomicU8; BIRTHS],
    /// Of each process: how many items are lost if it is killed now.
    pub at_risk: [AtomicU8; BIRTHS],
    pub lanes: [Lane; LANES],
}

/// What the judge counts in a lane.
#[derive(Debug, Default)]
pub struct Tally {
    pub begun: u64,
    pub uncertain: u64,
    /// Different items that have come.
    pub came: u64,
    /// Records beyond the first of each item.
    pub again: u64,
    /// Deliveries beyond the first of each item.
    pub redeliveries: u64,
    /// Items that were put for certain and have not come.
    pub missing: u64,
}

impl Ledger {
    /// A new one, shared with all children forked from now on.
    pub fn new() -> &'static Self {
        let rights = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing of ours.
        let address = unsafe { libc::mmap(ptr::null_mut(), mem::size_of::<Self>(), rights, flags, -1, 0) };
        assert_ne!(address, libc::MAP_FAILED, "there is memory");
        // SAFETY: the mapping is long enough, zero, aligned to a page, and never unmapped; all fields are atomics, for which
        // zero is a value.
        unsafe { &*address.cast::<Self>() }
    }

    pub fn is_over(&self) -> bool {
        self.over.load(SeqCst) != 0
    }

    pub fn went_on(&self) {
        self.progress.fetch_add(1, SeqCst);
    }

    pub fn doom(&self, birth: u32) {
        self.doomed[birth as usize].store(1, SeqCst);
    }

    pub fn is_doomed(&self, birth: u32) -> bool {
        self.doomed[birth as usize].load(SeqCst) != 0
    }

    /// An item has been handed out, for the so many-th time.
    pub fn record(&self, lane: usize, number: u64, deliveries: u32) {
        let word = self.item(lane, number);
        let before = word.fetch_update(SeqCst, SeqCst, |word| {
            let rest = word & !(0xfff << DELIVERIES);
            Some((rest + 1) | deliveries.min(0xfff) << DELIVERIES)
        });
        let before = before.unwrap_or_default();
        let name = format!("item {number} of lane {lane}, delivery {deliveries}, before {before:#x}");
        assert_eq!(before & GONE, 0, "came again though it was acknowledged: {name}");
        assert!(
            before & RECORDED < deliveries,
            "came more often than was counted: {name}"
        );
        assert!(before >> DELIVERIES & 0xfff < deliveries, "deliveries count up: {name}");
        assert!(number < self.lanes[lane].begun.load(SeqCst), "was never put: {name}");
        self.went_on();
    }

    /// It has been acknowledged.
    pub fn is_gone(&self, lane: usize, number: u64) {
        let before = self.item(lane, number).fetch_or(GONE, SeqCst);
        assert_eq!(before & GONE, 0, "item {number} of lane {lane} is acknowledged twice");
    }

    fn item(&self, lane: usize, number: u64) -> &AtomicU32 {
        &self.lanes[lane].items[usize::try_from(number).expect("a number of an item")]
    }

    pub fn tally(&self, lanes: &[usize]) -> Tally {
        let mut tally = Tally::default();
        for lane in lanes {
            let begun = self.lanes[*lane].begun.load(SeqCst);
            tally.begun += begun;
            for number in 0..begun {
                let word = self.item(*lane, number).load(SeqCst);
                let recorded = word & RECORDED;
                tally.uncertain += u64::from(word & UNCERTAIN != 0);
                tally.came += u64::from(recorded > 0);
                tally.again += u64::from(recorded.saturating_sub(1));
                tally.redeliveries += u64::from((word >> DELIVERIES & 0xfff).saturating_sub(1));
                tally.missing += u64::from(recorded == 0 && word & UNCERTAIN == 0);
            }
        }
        tally
    }
}

impl Lane {
    /// The number to go on with: whatever the producer before was in the middle of is left to chance.
    pub fn go_on(&self) -> u64 {
        let begun = self.begun.load(SeqCst);
        for number in self.ended.load(SeqCst)..begun {
            self.items[usize::try_from(number).expect("a number of an item")].fetch_or(UNCERTAIN, SeqCst);
        }
        self.ended.store(begun, SeqCst);
        begun
    }

    /// Whether there are numbers left for so many more.
    pub fn has_room(&self, count: u64) -> bool {
        self.begun.load(SeqCst) + count < ITEMS as u64
    }
}
