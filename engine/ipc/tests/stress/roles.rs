//! What each process does until it is killed, or the killing is over.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use forkyard_ipc::{Error, Patience};

use crate::item;
use crate::ledger::{LANES, Lane, Ledger};
use crate::random::Random;
use crate::yard::Yard;

/// What a process is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Puts items of all lengths into `jobs`.
    PutsJobs(usize),
    /// Puts small items into `lines`, one or many at a time.
    PutsLines(usize),
    /// Takes and acknowledges.
    Takes,
    /// Takes, and gives back every other time.
    GivesBack,
    /// Takes several at a time.
    TakesMany,
    /// Gets.
    Gets,
    /// Acquires and releases the lock.
    Locks,
    /// Acquires and releases the reentrant lock.
    LocksTwice,
    /// Acquires and releases permits.
    Sits,
    /// Sets and clears the event.
    Rings,
    /// Waits for the event.
    Listens,
    /// Buries the dead.
    Hosts,
}

/// Who one is.
pub struct Me<'a> {
    pub birth: u32,
    pub random: Random,
    pub ledger: &'a Ledger,
}

/// Nothing waits longer in one piece, so that it sees when the killing is over; but most waits are for ever.
const A_MOMENT: Duration = Duration::from_millis(20);

pub fn act(role: Role, me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    match role {
        Role::PutsJobs(lane) => put_jobs(me, yard, lane),
        Role::PutsLines(lane) => put_lines(me, yard, lane),
        Role::Takes => take(me, yard, 0),
        Role::GivesBack => take(me, yard, 2),
        Role::TakesMany => take_many(me, yard),
        Role::Gets => get(me, yard),
        Role::Locks => hold_lock(me, yard),
        Role::LocksTwice => hold_reentrant(me, yard),
        Role::Sits => sit(me, yard),
        Role::Rings => {
            ring(me, yard);
            Ok(())
        }
        Role::Listens => listen(me, yard),
        Role::Hosts => crate::host::act(me, yard),
    }
}

fn put_jobs(me: &mut Me<'_>, yard: &Yard, lane: usize) -> Result<(), Error> {
    let (ledger, words) = (me.ledger, &me.ledger.lanes[lane]);
    let mut number = words.go_on();
    while !ledger.is_over() && words.has_room(1) {
        let length = [0, 24, 25, 200, 4096, 4097, 20_000, 100_000][me.random.index(8)];
        let bytes = item::write(lane, number, length);
        let done = match me.random.below(4) {
            0 => attempt(words, number, 1, || reserve(yard, &bytes))?,
            1 => attempt(words, number, 1, || yard.jobs.put_timeout(&bytes, A_MOMENT))?,
            2 => attempt(words, number, 1, || yard.jobs.try_put(&bytes))?,
            _ => attempt(words, number, 1, || yard.jobs.put(&bytes).map(|()| true))?,
        };
        number += u64::from(done);
    }
    Ok(())
}

/// One put, or one that is called off.
fn attempt(words: &Lane, number: u64, count: u64, put: impl FnOnce() -> Result<bool, Error>) -> Result<bool, Error> {
    words.begun.store(number + count, SeqCst);
    let done = put()?;
    if done {
        words.ended.store(number + count, SeqCst);
    } else {
        // In vain: nothing was put, and the number is used again.
        words.begun.store(number, SeqCst);
    }
    Ok(done)
}

fn reserve(yard: &Yard, bytes: &[u8]) -> Result<bool, Error> {
    let mut place = yard.jobs.reserve(bytes.len())?;
    let half = bytes.len() / 2;
    place.write_at(half, &bytes[half..]);
    place.write_at(0, &bytes[..half]);
    place.commit()?;
    Ok(true)
}

fn put_lines(me: &mut Me<'_>, yard: &Yard, lane: usize) -> Result<(), Error> {
    const MANY: u64 = 20;
    let (ledger, words) = (me.ledger, &me.ledger.lanes[lane]);
    let mut number = words.go_on();
    while !ledger.is_over() && words.has_room(MANY) {
        // It has no capacity, so it is for us to wait.
        if yard.lines.len() > 1000 {
            std::thread::sleep(Duration::from_micros(100));
            continue;
        }
        let count = if me.random.one_in(2) { 1 } else { MANY };
        let items: Vec<_> = (number..number + count)
            .map(|number| item::write(lane, number, 20 + me.random.index(40)))
            .collect();
        attempt(words, number, count, || match items.as_slice() {
            [one] => yard.lines.put(one).map(|()| true),
            many => yard.lines.put_many(many, Patience::Block).map(|put| put == many.len()),
        })?;
        number += count;
    }
    Ok(())
}

/// Items come in the order in which their producer has put them, but for those that come again.
#[derive(Debug, Default)]
struct Order([Option<u64>; LANES]);

impl Order {
    fn check(&mut self, lane: usize, number: u64) {
        assert!(
            self.0[lane] < Some(number),
            "item {number} of lane {lane} is out of order"
        );
        self.0[lane] = Some(number);
    }
}

fn take(me: &mut Me<'_>, yard: &Yard, give_back_one_in: u64) -> Result<(), Error> {
    let mut order = Order::default();
    loop {
        let taken = match me.random.below(3) {
            0 => yard.jobs.take_timeout(A_MOMENT),
            1 => yard.jobs.try_take(),
            _ => yard.jobs.take().map(Some),
        };
        let taken = match taken {
            Ok(Some(taken)) => taken,
            Ok(None) => continue,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let (lane, number) = item::read(&taken.to_vec());
        if taken.deliveries() == 1 {
            order.check(lane, number);
        }
        me.ledger.record(lane, number, taken.deliveries());
        if give_back_one_in > 0 && me.random.one_in(give_back_one_in) {
            me.ledger.nacks_begun.fetch_add(1, SeqCst);
            taken.nack()?;
            me.ledger.nacks_done.fetch_add(1, SeqCst);
        } else {
            taken.ack()?;
            me.ledger.is_gone(lane, number);
        }
    }
}

/// So many items are held at once.
pub const HELD_MAX: u64 = 4;

fn take_many(me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    let slot = yard.jobs.channel().me()?;
    let mut order = Order::default();
    loop {
        let many = usize::try_from(HELD_MAX).expect("few");
        let taken = match yard.jobs.take_many_as(slot, many, 50_000, Patience::For(A_MOMENT)) {
            Ok(taken) => taken,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        let mut names = Vec::new();
        for one in &taken {
            let (lane, number) = item::read(&one.bytes);
            if one.deliveries == 1 {
                order.check(lane, number);
            }
            me.ledger.record(lane, number, one.deliveries);
            names.push((lane, number));
        }
        let items: Vec<_> = taken.iter().map(|one| one.item).collect();
        yard.jobs.ack_many_as(slot, &items)?;
        for (lane, number) in names {
            me.ledger.is_gone(lane, number);
        }
    }
}

fn get(me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    const MANY: usize = 10;
    let at_risk = &me.ledger.at_risk[me.birth as usize];
    let mut order = Order::default();
    loop {
        let many = if me.random.one_in(2) { 1 } else { MANY };
        at_risk.store(u8::try_from(many).expect("few"), SeqCst);
        let got = match many {
            1 => yard.lines.get().map(|item| vec![item]),
            _ => yard.lines.get_many(many, Patience::Block),
        };
        let got = match got {
            Ok(got) => got,
            Err(Error::Closed) => return Ok(()),
            Err(error) => return Err(error),
        };
        for bytes in got {
            let (lane, number) = item::read(&bytes);
            order.check(lane, number);
            me.ledger.record(lane, number, 1);
            me.ledger.is_gone(lane, number);
        }
        at_risk.store(0, SeqCst);
    }
}

fn patience(random: &mut Random) -> Patience {
    match random.below(4) {
        0 => Patience::Try,
        1 => Patience::For(A_MOMENT),
        _ => Patience::Block,
    }
}

fn hold_lock(me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    let ledger = me.ledger;
    while !ledger.is_over() {
        let Some(granted) = yard.lock.acquire_raw(patience(&mut me.random))? else {
            continue;
        };
        let before = ledger.inside.swap(me.birth, SeqCst);
        ledger.orphaned.fetch_add(u64::from(granted.orphaned), SeqCst);
        if before != 0 {
            assert!(
                ledger.is_doomed(before),
                "two are inside the lock, {before} and {}",
                me.birth
            );
            assert!(
                granted.orphaned,
                "{before} has died with the lock, and {} is not told",
                me.birth
            );
        }
        let [first, second] = &ledger.guarded;
        if granted.orphaned {
            // Half done perhaps: made right again from what is known.
            first.store(ledger.truth.load(SeqCst), SeqCst);
            second.store(ledger.truth.load(SeqCst), SeqCst);
        }
        let value = first.load(SeqCst);
        assert_eq!(value, second.load(SeqCst), "what the lock guards is whole");
        ledger.truth.fetch_add(1, SeqCst);
        first.store(value + 1, SeqCst);
        second.store(value + 1, SeqCst);
        let _ = ledger.inside.compare_exchange(me.birth, 0, SeqCst, SeqCst);
        yard.lock.release()?;
        ledger.acquired.fetch_add(1, SeqCst);
        ledger.went_on();
    }
    Ok(())
}

fn hold_reentrant(me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    while !me.ledger.is_over() {
        let Some(_outer) = yard.reentrant.acquire_timeout(A_MOMENT)? else {
            continue;
        };
        let inner = yard.reentrant.acquire()?;
        assert_eq!(yard.reentrant.depth()?, 2, "it is held twice");
        assert!(!inner.orphaned(), "we are alive");
        me.ledger.acquired.fetch_add(1, SeqCst);
        me.ledger.went_on();
    }
    Ok(())
}

fn sit(me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    while !me.ledger.is_over() {
        let want = 1 + me.random.index(me.ledger.seats.len());
        let permits = u32::try_from(want).expect("few");
        let Some(granted) = yard.seats.acquire_raw(permits, patience(&mut me.random))? else {
            continue;
        };
        me.ledger.orphaned.fetch_add(u64::from(granted.orphaned), SeqCst);
        let seats: Vec<_> = (0..want).map(|_| find_seat(me)).collect();
        for seat in seats {
            let _ = me.ledger.seats[seat].compare_exchange(me.birth, 0, SeqCst, SeqCst);
        }
        yard.seats.release_raw(permits)?;
        me.ledger.acquired.fetch_add(1, SeqCst);
        me.ledger.went_on();
    }
    Ok(())
}

/// Who has a permit finds a seat that is free, or whose holder has died.
fn find_seat(me: &Me<'_>) -> usize {
    // Who looks while others come and go may miss a free seat; but not for ever.
    for _ in 0..1_000_000 {
        for (index, seat) in me.ledger.seats.iter().enumerate() {
            let holder = seat.load(SeqCst);
            let is_free = holder == 0 || holder != me.birth && me.ledger.is_doomed(holder);
            if is_free && seat.compare_exchange(holder, me.birth, SeqCst, SeqCst).is_ok() {
                return index;
            }
        }
        std::thread::yield_now();
    }
    panic!("more permits are held than there are");
}

fn ring(me: &mut Me<'_>, yard: &Yard) {
    while !me.ledger.is_over() {
        yard.bell.set();
        if me.random.one_in(2) {
            std::thread::yield_now();
        }
        yard.bell.clear();
        std::thread::sleep(Duration::from_micros(me.random.below(300)));
        me.ledger.went_on();
    }
}

fn listen(me: &mut Me<'_>, yard: &Yard) -> Result<(), Error> {
    while !me.ledger.is_over() {
        yard.bell.wait()?;
        me.ledger.woken.fetch_add(1, SeqCst);
    }
    Ok(())
}
