//! Any bytes, read as what happens to a channel: it is used, and its words are overwritten. Whoever uses it is refused or goes on:
//! no crash, no waiting for ever, no memory beyond all bounds. The fuzzer runs this too.
//!
//! One thing is left alone where clients use the channel, who may wait: the latch. Who writes a living process into it has made that
//! process stand still with the latch. Hosts never wait for it, so with them it is overwritten too.

use std::fs::{File, OpenOptions};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::time::Duration;

use forkyard_ipc::channel::{Attachment, Channel, Kind, Manner, Place, Shape, VERSION};
use forkyard_ipc::queue::Sheaf;
use forkyard_ipc::{Barrier, Cells, Condition, Error, Event, Lock, Patience, Queue, Semaphore};

/// Where the latch stands.
const LATCH: u64 = 64;
/// The largest item of the queues.
const ITEM_MAX: u64 = 1 << 16;
const O_TMPFILE: i32 = 0o20_200_000;

/// What happens.
pub struct Program<'a>(&'a [u8]);

impl<'a> Program<'a> {
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    fn number(&mut self, bytes: u32) -> u64 {
        (0..bytes).fold(0, |number, _| number << 8 | u64::from(self.byte()))
    }

    /// A number as it may stand in a word: mostly small, or at an end.
    fn word(&mut self) -> u64 {
        match self.byte() % 8 {
            0 => 0,
            1 => u64::from(self.byte() % 4),
            2 => u64::from(self.byte()),
            3 => u64::MAX - u64::from(self.byte() % 4),
            4 => 1 << (self.byte() % 64),
            5 => self.number(2) << 8,
            _ => self.number(8),
        }
    }

    const fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

pub fn survive(bytes: &[u8]) {
    let mut program = Program(bytes);
    match program.byte() % 4 {
        0 => open_bytes(program.0),
        1 => {
            let file = file_with_header(&mut program);
            use_it(&file, Manner::Host, &mut program);
        }
        choice => {
            let manner = if choice == 2 { Manner::Client } else { Manner::Host };
            if let Ok(file) = sound_file(&mut program) {
                use_it(&file, manner, &mut program);
            }
        }
    }
}

/// A file without a name.
fn file(bytes: &[u8]) -> File {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .custom_flags(O_TMPFILE)
        .open(std::env::temp_dir());
    let file = file.expect("there is a place for files");
    file.write_all_at(bytes, 0).expect("there is room");
    file
}

fn open_bytes(bytes: &[u8]) {
    use_it(&file(bytes), Manner::Host, &mut Program(&[]));
}

/// A header of which all but the sense is right.
fn file_with_header(program: &mut Program<'_>) -> File {
    let mut header = b"FORKYARD".to_vec();
    header.extend(VERSION.to_le_bytes());
    header.extend(u32::from(program.byte() % 9).to_le_bytes());
    let slots = [0, 1, 3, 64, 65_535, u32::MAX][usize::from(program.byte() % 6)];
    header.extend(slots.to_le_bytes());
    header.extend(u32::from(program.byte()).to_le_bytes());
    header.extend(program.word().to_le_bytes());
    header.extend(program.word().to_le_bytes());
    let pages = u64::from(program.byte()) * 4096;
    let body = if program.byte().is_multiple_of(4) {
        program.word()
    } else {
        pages
    };
    header.extend(body.to_le_bytes());
    let sum = header.iter().fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    header.extend(sum.to_le_bytes());
    let file = file(&header);
    file.set_len(8 << 20).expect("it may be so long");
    file
}

/// A channel as it should be, perhaps cut off.
fn sound_file(program: &mut Program<'_>) -> Result<File, Error> {
    let place = Place::Memory;
    let shape = |kind| Shape {
        slots: 8,
        ..Shape::new(kind)
    };
    let strict = program.byte().is_multiple_of(2);
    let fd = match program.byte() % 9 {
        0..=2 => Queue::make(&place, u64::from(program.byte() % 8) + 1, ITEM_MAX, shape(Kind::Queue))?
            .descriptor()
            .try_clone_to_owned(),
        3 => Lock::make(&place, strict, shape(Kind::Lock))?
            .descriptor()
            .try_clone_to_owned(),
        4 => Semaphore::make(&place, u32::from(program.byte() % 4), strict, shape(Kind::Semaphore))?
            .descriptor()
            .try_clone_to_owned(),
        5 => Event::make(&place, strict, shape(Kind::Event))?
            .descriptor()
            .try_clone_to_owned(),
        6 => Barrier::make(&place, u32::from(program.byte() % 4), shape(Kind::Barrier))?
            .descriptor()
            .try_clone_to_owned(),
        7 => Condition::make(&place, shape(Kind::Condition))?
            .descriptor()
            .try_clone_to_owned(),
        _ => Cells::make(&place, program.number(2), shape(Kind::Cells))?
            .descriptor()
            .try_clone_to_owned(),
    };
    let whole = File::from(fd.expect("there are descriptors left"));
    if !program.byte().is_multiple_of(16) {
        return Ok(whole);
    }
    let mut bytes = vec![0; usize::try_from(program.number(2)).expect("it is small")];
    let length = whole.read_at(&mut bytes, 0).expect("it can be read");
    Ok(file(&bytes[..length]))
}

fn use_it(file: &File, manner: Manner, program: &mut Program<'_>) {
    let hand = || Attachment {
        manner,
        ..Attachment::of(OwnedFd::from(file.try_clone().expect("there are descriptors left")))
    };
    let opened = [
        Queue::attach(hand()).map(Any::Queue),
        Lock::attach(hand()).map(Any::Lock),
        Semaphore::attach(hand()).map(Any::Semaphore),
        Event::attach(hand()).map(Any::Event),
        Barrier::attach(hand()).map(Any::Barrier),
        Condition::attach(hand()).map(Any::Condition),
        Cells::attach(hand()).map(Any::Cells),
    ];
    for opened in opened {
        match opened {
            Ok(any) => {
                while !program.is_over() {
                    if program.byte().is_multiple_of(4) {
                        overwrite(file, manner, program);
                    } else {
                        any.act(program);
                    }
                }
                any.act(program);
            }
            Err(Error::Damaged | Error::NotAChannel | Error::Version { .. } | Error::WrongKind { .. }) => {}
            Err(error) => panic!("it is refused for another reason: {error}"),
        }
    }
}

/// Another process writes where it should not.
pub fn overwrite(file: &File, manner: Manner, program: &mut Program<'_>) {
    let (from, to) = [
        (56, 128),
        (128, 320),
        (128, 1024),
        (1024, 1152),
        (4096, 4608),
        (4096, 65_536),
    ][usize::from(program.byte() % 6)];
    let width = if program.byte().is_multiple_of(2) { 4 } else { 8 };
    let at = (from + program.number(2) % (to - from)) / width * width;
    let is_latch = (LATCH..LATCH + 8).contains(&at);
    let length = file.metadata().expect("it is open").len();
    if at + width <= length && !(is_latch && manner == Manner::Client) {
        let bytes = program.word().to_le_bytes();
        let bytes = &bytes[..usize::try_from(width).expect("it is small")];
        file.write_all_at(bytes, at).expect("it is writable");
    }
}

/// A channel of any kind.
pub enum Any {
    Queue(Queue),
    Lock(Lock),
    Semaphore(Semaphore),
    Event(Event),
    Barrier(Barrier),
    Condition(Condition),
    Cells(Cells),
}

/// Nothing is refused but by its name.
fn said<T>(outcome: Result<T, Error>) -> Option<T> {
    match outcome {
        Ok(done) => Some(done),
        Err(Error::Io(refused)) => panic!("cannot {}: {}", refused.what, refused.error),
        Err(_named) => None,
    }
}

impl Any {
    fn channel(&self) -> &Arc<Channel> {
        match self {
            Self::Queue(it) => it.channel(),
            Self::Lock(it) => it.channel(),
            Self::Semaphore(it) => it.channel(),
            Self::Event(it) => it.channel(),
            Self::Barrier(it) => it.channel(),
            Self::Condition(it) => it.channel(),
            Self::Cells(it) => it.channel(),
        }
    }

    pub fn act(&self, program: &mut Program<'_>) {
        let patience = match program.byte() % 8 {
            0 => Patience::For(Duration::from_micros(20)),
            _ => Patience::Try,
        };
        match self {
            _ if program.byte().is_multiple_of(8) => look(self.channel(), program),
            Self::Queue(queue) => act_queue(queue, patience, program),
            Self::Lock(lock) => act_lock(lock, patience, program),
            Self::Semaphore(semaphore) => act_semaphore(semaphore, patience, program),
            Self::Event(event) => act_event(event, patience, program),
            Self::Barrier(barrier) => act_barrier(barrier, patience, program),
            Self::Condition(condition) => act_condition(condition, patience, program),
            Self::Cells(cells) => act_cells(cells, patience, program),
        }
    }
}

fn look(channel: &Arc<Channel>, program: &mut Program<'_>) {
    for client in channel.clients() {
        let _ = (channel.life(client.slot), channel.party(client.slot));
        if program.byte().is_multiple_of(4) {
            said(channel.bury(client.slot));
        }
    }
    said(channel.bury_dead());
    if let Some(slot) = said(channel.proxy(7)) {
        said(channel.let_go(slot, true));
    }
    let _ = (channel.was_rung(), channel.is_damaged());
}

fn act_queue(queue: &Queue, patience: Patience, program: &mut Program<'_>) {
    let length = [0, 10, 24, 25, 1000, 4096, 4097, 70_000][usize::from(program.byte() % 8)];
    let item = vec![7; length];
    match program.byte() % 18 {
        0 | 1 => drop(said(queue.put_with(&item, patience))),
        2 => drop(said(queue.put_many(&[&item, &item, &item], patience))),
        3 | 4 => drop(said(queue.get_with(patience))),
        5 => drop(said(queue.get_many(5, patience))),
        6 | 7 => {
            if let Some(Some(taken)) = said(queue.take_with(patience)) {
                assert!(taken.len() as u64 <= ITEM_MAX || queue.max_item() > ITEM_MAX);
                let _ = taken.to_vec();
                match program.byte() % 4 {
                    0 => drop(said(taken.ack())),
                    1 => drop(said(taken.nack())),
                    2 => drop(taken),
                    _ => {
                        let _stays = taken.into_item();
                    }
                }
            }
        }
        8 => {
            if let Some(Some(mut place)) = said(queue.reserve_with(length, patience)) {
                place.write_at(length / 2, &item[length / 2..]);
                if program.byte().is_multiple_of(2) {
                    said(place.commit());
                }
            }
        }
        9 => drop(said(queue.task_done())),
        10 => drop(said(queue.audit())),
        11 => drop((said(queue.counts()), queue.glance(), queue.is_full(), queue.is_closed())),
        12 => drop(said(queue.wait_for_item(patience))),
        13 => drop(said(queue.wait_for_room(patience))),
        14 => drop(said(queue.join_with(patience))),
        15 => {
            let bytes = [item.as_slice(), b"\n", b"\n", b"x\n"].concat();
            let sheaf = said(Sheaf::new(&bytes, b'\n'));
            let _ = sheaf.and_then(|sheaf| said(queue.put_sheaf(&sheaf)));
        }
        16 => {
            let mut bytes = Vec::new();
            let me = said(queue.channel().me());
            let taken = me.and_then(|me| Some((me, said(queue.take_sheaf_as(me, &mut bytes))??)));
            if let Some((me, taken)) = taken {
                let (items, length) = (program.byte().into(), program.byte().into());
                said(queue.ack_from_sheaf_as(me, taken.item, items, length));
                if program.byte().is_multiple_of(2) {
                    said(queue.nack_as(me, taken.item));
                }
            }
        }
        _ if program.byte().is_multiple_of(8) => drop((said(queue.close()), said(queue.break_off()))),
        _ => {
            let me = said(queue.channel().me());
            let taken = me.and_then(|me| said(queue.take_many_as(me, 4, 10_000, patience)));
            let items: Vec<_> = taken.iter().flatten().map(|taken| taken.item).collect();
            if let Some(me) = me {
                said(queue.nack_many_as(me, &items));
            }
        }
    }
}

fn act_lock(lock: &Lock, patience: Patience, program: &mut Program<'_>) {
    match program.byte() % 6 {
        0 | 1 => drop(said(lock.acquire_raw(patience))),
        2 => drop(said(lock.try_acquire())),
        3 => drop(said(lock.release())),
        4 => drop(said(lock.release_any())),
        _ => {
            let _ = (
                lock.owner().map(|owner| lock.channel().party(owner)),
                lock.is_orphaned(),
            );
            said(lock.depth());
        }
    }
}

fn act_semaphore(semaphore: &Semaphore, patience: Patience, program: &mut Program<'_>) {
    let permits = u32::from(program.byte() % 4);
    match program.byte() % 6 {
        0 | 1 => drop(said(semaphore.acquire_raw(permits, patience))),
        2 => drop(said(semaphore.try_acquire(permits))),
        3 => drop(said(semaphore.release_raw(permits))),
        4 => drop(said(semaphore.release_any(permits))),
        _ => {
            let parties = semaphore
                .holders()
                .into_iter()
                .map(|(slot, _)| semaphore.channel().party(slot));
            let _ = (parties.count(), semaphore.free(), semaphore.permits());
        }
    }
}

fn act_event(event: &Event, patience: Patience, program: &mut Program<'_>) {
    match program.byte() % 5 {
        0 => event.set(),
        1 => event.clear(),
        2 => drop(said(event.wait_with(patience))),
        3 => drop(said(event.wait_since(event.settings(), patience))),
        _ => drop((event.is_set(), event.watch())),
    }
}

fn act_barrier(barrier: &Barrier, patience: Patience, program: &mut Program<'_>) {
    match program.byte() % 5 {
        0 => drop(said(barrier.wait_with(patience))),
        1 => {
            if let Some(arrival) = said(barrier.arrive()) {
                said(barrier.meet(arrival, patience));
            }
        }
        2 => drop(said(barrier.abort())),
        3 => drop(said(barrier.reset())),
        _ => drop((barrier.waiting(), barrier.is_broken(), barrier.parties())),
    }
}

fn act_condition(condition: &Condition, patience: Patience, program: &mut Program<'_>) {
    match program.byte() % 3 {
        0 => {
            let lock = Lock::create(&Place::Memory, false).expect("there is memory");
            let _guard = lock.acquire().expect("it is whole");
            let patience = if patience == Patience::Block {
                Patience::Try
            } else {
                patience
            };
            said(condition.wait_with(&lock, patience));
        }
        1 => drop(said(condition.notify(u32::from(program.byte())))),
        _ => drop(condition.waiting()),
    }
}

fn act_cells(cells: &Cells, patience: Patience, program: &mut Program<'_>) {
    let mut bytes = vec![0; usize::from(program.byte())];
    match program.byte() % 4 {
        0 => drop(said(cells.load(program.number(2), &mut bytes))),
        1 => drop(said(cells.store(program.number(2), &bytes))),
        2 => act_lock(cells.lock(), patience, program),
        _ => drop((cells.len(), cells.body_offset())),
    }
}

/// The file of a channel.
pub fn file_of(any: &Any) -> File {
    let fd = any.channel().descriptor().as_fd().try_clone_to_owned();
    File::from(fd.expect("there are descriptors left"))
}
