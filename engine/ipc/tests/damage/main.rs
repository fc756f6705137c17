//! Channels whose files hold any bytes, from a seed: `FORKYARD_CASES` says how many, `FORKYARD_SEED` where to begin. For more of
//! them, there is the fuzzer.

mod body;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use body::{Any, Program, file_of, overwrite, survive};
use forkyard_ipc::channel::{Kind, Manner, Place, Shape};
use forkyard_ipc::{Error, Queue, Semaphore};

/// No case takes as long, on any machine.
const STUCK: Duration = Duration::from_mins(1);

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable)
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(otherwise)
}

/// So many bytes, by Steele, Lea and Flood's generator.
fn bytes(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0xd134_2543_de82_ef95);
    let words = std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31).to_le_bytes()
    });
    words.flatten().take(count).collect()
}

/// Runs each case; says which one it was if it panics or does not come to an end.
fn run_cases(cases: u64, case: fn(u64)) {
    let first = number("FORKYARD_SEED", 1);
    let (says, said) = mpsc::channel();
    let worker = thread::spawn(move || {
        for seed in first..first + cases {
            case(seed);
            says.send(seed).expect("somebody listens");
        }
    });
    let mut next = first;
    loop {
        match said.recv_timeout(STUCK) {
            Ok(seed) => next = seed + 1,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("case {next} does not come to an end"),
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    assert!(worker.join().is_ok(), "case {next} has failed");
    assert_eq!(next, first + cases, "all have been run");
}

#[test]
fn whatever_stands_in_a_channel_it_is_refused_or_survived() {
    run_cases(number("FORKYARD_CASES", 2000), |seed| survive(&bytes(seed, 400)));
}

#[test]
fn who_finds_damage_tells_all() {
    let queue = Queue::create(&Place::Memory, 4, 100).expect("there is memory");
    let fd = || {
        queue
            .descriptor()
            .try_clone_to_owned()
            .expect("there are descriptors left")
    };
    let other = Queue::from_fd(fd()).expect("it is a queue");
    other.put(b"x").expect("it is whole");
    // The first of the line is none.
    File::from(fd()).write_all_at(&[0xff; 4], 128).expect("it is writable");
    assert!(matches!(queue.try_get(), Err(Error::Damaged)));
    assert!(other.channel().is_damaged());
    assert!(matches!(other.put(b"y"), Err(Error::Damaged)));
    assert!(matches!(
        Queue::from_fd(fd()).and_then(|late| late.counts()),
        Err(Error::Damaged)
    ));
}

#[test]
fn a_channel_may_be_overwritten_while_it_is_used() {
    run_cases(number("FORKYARD_CASES", 2000) / 100, |seed| {
        let shape = |kind| Shape {
            slots: 8,
            ..Shape::new(kind)
        };
        let any = match seed % 3 {
            0 => Semaphore::make(&Place::Memory, 2, false, shape(Kind::Semaphore)).map(Any::Semaphore),
            _ => Queue::make(&Place::Memory, 4, 1 << 16, shape(Kind::Queue)).map(Any::Queue),
        };
        let any = any.expect("there is memory");
        let file = file_of(&any);
        thread::scope(|scope| {
            let any = &any;
            for user in 0..2 {
                scope.spawn(move || {
                    let bytes = bytes(seed * 10 + user, 4000);
                    bytes.chunks(20).for_each(|some| any.act(&mut Program::new(some)));
                });
            }
            scope.spawn(|| {
                let bytes = bytes(seed * 10 + 2, 4000);
                let write = |some| overwrite(&file, Manner::Client, &mut Program::new(some));
                bytes.chunks(20).for_each(write);
            });
        });
    });
}
