//! One run: who takes part, the killing, and what must be true at the end.

use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, Instant};

use crate::family::Family;
use crate::ledger::Ledger;
use crate::random::Random;
use crate::roles::{HELD_MAX, Role};
use crate::yard::Yard;

const JOBS: [usize; 2] = [0, 1];
const LINES: [usize; 2] = [2, 3];

const ROLES: [Role; 17] = [
    Role::PutsJobs(JOBS[0]),
    Role::PutsJobs(JOBS[1]),
    Role::PutsLines(LINES[0]),
    Role::PutsLines(LINES[1]),
    Role::Takes,
    Role::Takes,
    Role::GivesBack,
    Role::TakesMany,
    Role::Gets,
    Role::Gets,
    Role::Locks,
    Role::Locks,
    Role::Locks,
    Role::LocksTwice,
    Role::Sits,
    Role::Sits,
    Role::Sits,
];

const LISTENERS: usize = 2;

/// When nothing at all has happened for so long, somebody waits who need not. Far beyond any wait in a healthy run.
const STUCK: Duration = Duration::from_mins(1);

pub fn run(hosted: bool, kills: u64, seed: u64) {
    let began = Instant::now();
    let ledger = Ledger::new();
    let yard = Yard::new(hosted).expect("a yard is made");
    let mut random = Random::new(seed);
    let mut family = Family::new(&yard, ledger, random.clone());
    for role in ROLES {
        family.bear(role);
    }
    for _ in 0..LISTENERS {
        family.bear(Role::Listens);
    }
    family.bear(Role::Rings);
    family.bear(Role::Rings);
    if hosted {
        family.bear(Role::Hosts);
    }
    let mut pulse = Pulse::new(ledger);
    for _ in 0..kills {
        pulse.until(&yard, random.below(300));
        family.replace_one();
        family.reap();
    }
    println!("{kills} killed: {:?}", family.killed);
    end(&mut family, &yard, ledger);
    judge(&family, &yard, ledger);
    let time = began.elapsed();
    let manner = if hosted { "with a host" } else { "without a host" };
    println!(
        "{manner}, seed {seed}: all adds up after {kills} kills and {:.1} s\n",
        time.as_secs_f64()
    );
}

/// Whether something happens.
struct Pulse<'a> {
    ledger: &'a Ledger,
    seen: u64,
    since: Instant,
}

impl<'a> Pulse<'a> {
    fn new(ledger: &'a Ledger) -> Self {
        let seen = ledger.progress.load(SeqCst);
        let since = Instant::now();
        Self { ledger, seen, since }
    }

    /// Returns after so many more events: the killing goes on as the work does.
    fn until(&mut self, yard: &Yard, events: u64) {
        let start = self.ledger.progress.load(SeqCst);
        while self.beat(yard) < start + events {
            std::thread::sleep(Duration::from_micros(50));
        }
    }

    fn beat(&mut self, yard: &Yard) -> u64 {
        let now = self.ledger.progress.load(SeqCst);
        if now != self.seen {
            self.seen = now;
            self.since = Instant::now();
        }
        if self.since.elapsed() > STUCK {
            describe(yard);
            panic!("everybody waits");
        }
        now
    }
}

/// No more killing: those who put end, then those who get, since nothing more comes; then the host, since nobody is left.
fn end(family: &mut Family<'_>, yard: &Yard, ledger: &Ledger) {
    ledger.over.store(1, SeqCst);
    let puts = |role| matches!(role, Role::PutsJobs(_) | Role::PutsLines(_));
    until_gone(family, yard, puts);
    yard.jobs.close().expect("it is closed");
    yard.lines.close().expect("it is closed");
    until_gone(family, yard, |role| !matches!(role, Role::Listens | Role::Hosts));
    yard.bell.set();
    until_gone(family, yard, |role| role == Role::Listens);
    ledger.over.store(2, SeqCst);
    until_gone(family, yard, |role| role == Role::Hosts);
    if !yard.is_hosted() {
        for (_, channel) in yard.channels() {
            channel.bury_dead().expect("it is whole");
        }
    }
}

fn until_gone(family: &mut Family<'_>, yard: &Yard, role: impl Fn(Role) -> bool) {
    let began = Instant::now();
    while family.children.iter().any(|child| role(child.role)) {
        family.reap();
        if began.elapsed() > STUCK {
            describe(yard);
            let left: Vec<_> = family.children.iter().filter(|child| role(child.role)).collect();
            panic!("these wait though they need not: {left:?}");
        }
        std::thread::sleep(Duration::from_micros(200));
    }
}

fn judge(family: &Family<'_>, yard: &Yard, ledger: &Ledger) {
    let own = std::process::id();
    for (name, channel) in yard.channels() {
        let others: Vec<_> = channel
            .clients()
            .into_iter()
            .filter(|client| client.pid != own)
            .collect();
        assert!(others.is_empty(), "{name}: the dead are buried, but for {others:?}");
        assert!(!channel.is_damaged(), "{name}: it is whole");
    }
    judge_jobs(family, yard, ledger);
    judge_lines(family, yard, ledger);
    let orphaned = yard
        .lock
        .try_acquire()
        .expect("it is whole")
        .expect("the lock is free")
        .orphaned();
    let [first, second] = ledger.guarded.each_ref().map(|word| word.load(SeqCst));
    let truth = ledger.truth.load(SeqCst);
    assert!(
        orphaned || first == second && first == truth,
        "{first}, {second}, {truth}"
    );
    assert!(yard.lock.owner().is_none(), "the lock is free");
    assert!(
        yard.reentrant.try_acquire().expect("it is whole").is_some(),
        "the reentrant lock is free"
    );
    assert_eq!(yard.seats.free(), yard.seats.permits(), "all permits are free");
    assert_eq!(yard.seats.holders(), [], "nobody has a permit");
    let count = |word: &std::sync::atomic::AtomicU64| word.load(SeqCst);
    println!(
        "locks and permits: {} times acquired, {} times found orphaned; events: {} times woken",
        count(&ledger.acquired),
        count(&ledger.orphaned),
        count(&ledger.woken),
    );
}

/// Taken and acknowledged: every item that was put has come, and has come again exactly as often as it was counted.
fn judge_jobs(family: &Family<'_>, yard: &Yard, ledger: &Ledger) {
    yard.jobs.audit().expect("all words fit");
    let counts = yard.jobs.counts().expect("it is whole");
    let tally = ledger.tally(&JOBS);
    println!("jobs: {counts:?}\n      {tally:?}");
    assert_eq!(
        (counts.ready, counts.taken, counts.reserved, counts.refused),
        (0, 0, 0, 0)
    );
    assert_eq!(counts.put, counts.got);
    assert_eq!(tally.missing, 0, "no item is lost");
    assert_eq!(counts.put, tally.came, "no item is there that was not put");
    assert_eq!(counts.returned, tally.redeliveries, "every redelivery is counted");
    assert!(tally.again <= tally.redeliveries, "what comes again was given back");
    let deaths = |role: Role| family.killed.get(role.name()).copied().unwrap_or_default();
    let by_death = deaths(Role::Takes) + deaths(Role::GivesBack) + HELD_MAX * deaths(Role::TakesMany);
    let nacks = [&ledger.nacks_done, &ledger.nacks_begun].map(|word| word.load(SeqCst));
    assert!(counts.returned >= nacks[0], "who gives back has given back");
    assert!(
        counts.returned <= nacks[1] + by_death,
        "nothing comes back but what was given back or had a dead taker"
    );
}

/// Got: who is killed when it has just got something takes it along, and nothing else is lost.
fn judge_lines(family: &Family<'_>, yard: &Yard, ledger: &Ledger) {
    yard.lines.audit().expect("all words fit");
    let counts = yard.lines.counts().expect("it is whole");
    let tally = ledger.tally(&LINES);
    println!("lines: {counts:?}\n      {tally:?}, {} at risk", family.at_risk);
    assert_eq!(
        (counts.ready, counts.taken, counts.reserved, counts.refused),
        (0, 0, 0, 0)
    );
    assert_eq!((counts.put, counts.returned), (counts.got, 0));
    let lost = counts
        .put
        .checked_sub(tally.came)
        .expect("no item is there that was not put");
    assert!(lost <= family.at_risk, "{lost} are lost");
    assert!(
        tally.missing <= lost,
        "of {lost} lost items {} were put for certain",
        tally.missing
    );
    assert_eq!(tally.again, 0, "what was got does not come again");
}

/// For whoever looks into a run that has come to a stop.
fn describe(yard: &Yard) {
    for (name, channel) in yard.channels() {
        eprintln!("{name}: {:?}", channel.clients());
    }
    eprintln!("jobs {:?}", yard.jobs.glance());
    eprintln!("lines {:?}", yard.lines.glance());
    eprintln!(
        "lock of {:?}, semaphore of {:?}",
        yard.lock.owner(),
        yard.seats.holders()
    );
}
