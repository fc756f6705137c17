//! One execution: who takes part, who sleeps where, who has died.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicU32, AtomicU64};

use shuttle::rand::Rng;
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::AtomicBool;
use shuttle::sync::mpsc::{Receiver, Sender, channel};
use shuttle::{Config, MaxSteps, Runner};

use crate::channel::{Channel, Kind, Shape};
use crate::futex::Slept;
use crate::memory::Word32;

/// No pid of a real process: they end at 2^22.
const PID: u32 = 1 << 24;

/// The process that looks at what the others have done, and never dies.
const JUDGE: usize = 0;

/// No execution has more processes.
const PROCESSES_MAX: usize = 8;

/// So many orders of each kind, unless `FORKYARD_SCHEDULES` says otherwise.
const SCHEDULES: usize = 30;
/// So often priorities change.
const CHANGES: usize = 4;
/// No scenario is so long: who takes more steps goes round in circles.
const STEPS_MAX: usize = 20_000;
const STACK_BYTES: usize = 1 << 18;

/// Where the words stand that the simulation looks at: see docs/design/yard.md.
const SLOT_COUNT: u64 = 16;
const FLAGS: u64 = 20;
const LATCH: u64 = 64;
const SLOTS: u64 = 1024;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Run>>> = const { RefCell::new(None) };
}

/// The execution that is going on in this thread.
pub fn current() -> Option<Rc<Run>> {
    CURRENT.with(|current| current.borrow().clone())
}

/// What kind of executions to look at.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The judge plays the host.
    pub hosted: bool,
    /// One of the processes, and before which of the steps of all it dies: one of so many. 0: none dies.
    pub deadly: u32,
    /// Who has to wait may have waited for long.
    pub fair: bool,
}

impl Setting {
    /// Nobody dies, and nobody has waited for long.
    pub const CALM: Self = Self {
        hosted: true,
        deadly: 0,
        fair: false,
    };

    /// The shape of a channel for so few.
    pub const fn shape(self, kind: Kind) -> Shape {
        Shape {
            slots: 6,
            hosted: self.hosted,
            ..Shape::new(kind)
        }
    }
}

/// What a scenario is made of: something that all use, once for each process; what each does with it; what is done when one has
/// died, so that the others come to an end; what must be true then.
pub struct Scenario<T> {
    pub make: fn(Setting) -> T,
    pub again: fn(&T) -> T,
    pub channels: fn(&T) -> Vec<Arc<Channel>>,
    pub users: Vec<fn(&T, &Notes)>,
    pub after_death: fn(&T, victim: usize),
    pub judge: fn(&T, &Notes, died: bool),
}

/// What the processes have done, for the judge.
#[derive(Debug, Default)]
pub struct Notes {
    pub inside: AtomicU32,
    pub begun: AtomicU64,
    pub done: AtomicU64,
    pub items: std::sync::Mutex<Vec<(u64, &'static str)>>,
}

impl Notes {
    pub fn write(&self, item: u64, what: &'static str) {
        self.items.lock().expect("nobody panics with it").push((item, what));
    }

    pub fn count(&self, what: &'static str) -> usize {
        let items = self.items.lock().expect("nobody panics with it");
        items.iter().filter(|(_, said)| *said == what).count()
    }
}

/// A process is unwound with this at the end, if it has died.
struct Died;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Lives,
    Dead,
    Ended,
}

#[derive(Debug)]
struct Mapping {
    at: u64,
    bytes: u64,
    file: u64,
}

/// A word: of which file, and where.
type Place = (u64, u64);

#[derive(Debug, Default)]
struct State {
    standing: Vec<Standing>,
    mappings: Vec<Mapping>,
    asleep: VecDeque<(usize, Place)>,
    slept: [Option<Slept>; PROCESSES_MAX],
    /// Who dies, and after how many steps of all.
    doom: Option<(usize, u32)>,
    /// The judge knows of the death.
    was_told: bool,
    /// Nobody else takes a step for now.
    unseen: bool,
    is_over: bool,
}

/// One execution.
pub struct Run {
    setting: Setting,
    /// To load it is to let others take their steps.
    point: AtomicBool,
    /// Each process waits at its own, the judge at the first.
    bells: [(Sender<()>, Receiver<()>); PROCESSES_MAX],
    state: RefCell<State>,
}

/// Runs a scenario once, in the order that the scheduler chooses.
pub fn explore<T: Send + 'static>(setting: Setting, scenario: &Arc<Scenario<T>>) {
    let run = Rc::new(Run::new(setting, scenario.users.len()));
    CURRENT.set(Some(Rc::clone(&run)));
    let first = (scenario.make)(setting);
    run.unseen(|| {
        for channel in (scenario.channels)(&first) {
            channel.me().expect("there are slots");
        }
    });
    let notes = Arc::new(Notes::default());
    let mut threads = Vec::new();
    for index in 1..=scenario.users.len() {
        let (own, scenario, notes) = ((scenario.again)(&first), Arc::clone(scenario), Arc::clone(&notes));
        threads.push(shuttle::thread::spawn(move || live(index, own, &scenario, &notes)));
    }
    let mut died = false;
    while let Some(victim) = run.until_death_or_end() {
        died = true;
        for channel in (scenario.channels)(&first) {
            if setting.hosted {
                channel.bury_dead().expect("it is whole");
            }
        }
        (scenario.after_death)(&first, victim);
    }
    for channel in (scenario.channels)(&first) {
        channel.bury_dead().expect("it is whole");
        assert!(!channel.is_damaged());
    }
    (scenario.judge)(&first, &notes, died);
    run.end(&(scenario.channels)(&first));
    for thread in threads {
        drop(thread.join().expect("it has ended"));
    }
    drop(first);
    CURRENT.set(None);
}

/// Runs it as often as the environment wants, in orders that are chosen by chance in two ways: any next step is as likely as any
/// other; or processes have priorities, which change a few times (Burckhardt and others, *A Randomized Scheduler with
/// Probabilistic Guarantees of Finding Bugs*).
pub fn explore_by_chance<T: Send + 'static>(setting: Setting, scenario: fn() -> Scenario<T>) {
    let times = std::env::var("FORKYARD_SCHEDULES")
        .ok()
        .and_then(|text| text.parse().ok());
    let times = times.unwrap_or(SCHEDULES);
    let seed = std::env::var("FORKYARD_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or(1);
    let scenario = Arc::new(scenario());
    let body = move || explore(setting, &scenario);
    Runner::new(RandomScheduler::new_from_seed(seed, times), config()).run(body.clone());
    Runner::new(PctScheduler::new_from_seed(seed, CHANGES, times), config()).run(body);
}

fn config() -> Config {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.silence_warnings = true;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    config
}

/// It comes to its slots and leaves them unseen: both wake all who sleep, so that a lost waking would not be noticed.
fn live<T>(index: usize, own: T, scenario: &Scenario<T>, notes: &Notes) -> Option<T> {
    let run = current().expect("an execution goes on");
    run.unseen(|| {
        for channel in (scenario.channels)(&own) {
            channel.me().expect("there are slots");
        }
    });
    let user = scenario.users[index - 1];
    let lived = catch_unwind(AssertUnwindSafe(|| {
        user(&own, notes);
        run.pass();
    }));
    match lived {
        Ok(()) => {
            run.ended(index);
            Some(own)
        }
        Err(died) if died.is::<Died>() => {
            run.state.borrow_mut().standing[index] = Standing::Ended;
            None
        }
        Err(panic) => resume_unwind(panic),
    }
}

fn index() -> usize {
    shuttle::current::me().into()
}

impl Run {
    fn new(setting: Setting, users: usize) -> Self {
        let doom = (setting.deadly > 0).then(|| {
            let mut random = shuttle::rand::thread_rng();
            (random.gen_range(1..=users), random.gen_range(0..setting.deadly))
        });
        let state = State {
            standing: vec![Standing::Lives; users + 1],
            doom,
            ..State::default()
        };
        Self {
            setting,
            point: AtomicBool::new(false),
            bells: std::array::from_fn(|_| channel()),
            state: RefCell::new(state),
        }
    }

    fn ring(&self, index: usize) {
        self.bells[index].0.send(()).expect("the other end is here, too");
    }

    /// Waits until the bell of the calling process is rung.
    fn listen(&self) {
        self.bells[index()].1.recv().expect("the other end is here, too");
    }

    pub fn pid() -> u32 {
        PID + u32::try_from(index()).expect("few processes")
    }

    pub fn lives(&self, pid: u32) -> bool {
        let index = pid.checked_sub(PID).map(|index| index as usize);
        let state = self.state.borrow();
        let standing = index.and_then(|index| state.standing.get(index));
        standing.is_some_and(|standing| *standing != Standing::Dead)
    }

    pub fn victim(&self) -> Option<usize> {
        self.state.borrow().victim()
    }

    pub fn has_passed(&self) -> bool {
        self.setting.fair && shuttle::rand::thread_rng().gen_bool(0.5)
    }

    pub fn note_mapping(&self, file: &OwnedFd, at: u64, bytes: u64) {
        let file = file.try_clone().and_then(|file| File::from(file).metadata());
        let file = file.expect("it is open").ino();
        self.state.borrow_mut().mappings.push(Mapping { at, bytes, file });
    }

    pub fn pass(&self) {
        if self.state.borrow().unseen {
            return;
        }
        if self.state.borrow().is_over {
            self.stop_if_dead();
            return;
        }
        self.point.load(SeqCst);
        let dies = {
            let mut state = self.state.borrow_mut();
            match &mut state.doom {
                Some((victim, 0)) => Some(*victim),
                Some((_, left)) => {
                    *left -= 1;
                    None
                }
                None => None,
            }
        };
        if let Some(victim) = dies {
            self.kill(victim);
        }
        self.stop_if_dead();
    }

    fn unseen(&self, act: impl FnOnce()) {
        self.state.borrow_mut().unseen = true;
        act();
        self.state.borrow_mut().unseen = false;
    }

    fn kill(&self, victim: usize) {
        let mut state = self.state.borrow_mut();
        state.doom = None;
        if state.standing[victim] == Standing::Ended {
            return;
        }
        state.standing[victim] = Standing::Dead;
        state.asleep.retain(|(sleeper, _)| *sleeper != victim);
        let (timed_out, asleep): (Vec<_>, Vec<_>) =
            state.asleep.iter().partition(|(_, place)| state.has_time_outs(*place));
        state.asleep = asleep.into();
        for (sleeper, _) in &timed_out {
            state.slept[*sleeper] = Some(Slept::TimedOut);
        }
        drop(state);
        for (sleeper, _) in timed_out {
            self.ring(sleeper);
        }
        self.ring(JUDGE);
    }

    /// Who has died stands still until all is over, and is then taken apart: what that does to the channel nobody sees.
    fn stop_if_dead(&self) {
        let me = index();
        if self.state.borrow().standing[me] != Standing::Dead || std::thread::panicking() {
            return;
        }
        while !self.state.borrow().is_over {
            self.listen();
        }
        resume_unwind(Box::new(Died));
    }

    pub fn wait(&self, word: Word32<'_>, expected: u32) -> Slept {
        self.pass();
        let me = index();
        let mut state = self.state.borrow_mut();
        let place = state.place(word.address() as u64);
        // SAFETY: the word is a live, aligned u32, and all access to it is atomic.
        let is = unsafe { AtomicU32::from_ptr(word.address()) }.load(SeqCst);
        if state.is_over || is != expected {
            return Slept::Woken;
        }
        let slept = if state.standing[me] == Standing::Dead {
            None
        } else if state.has_time_outs(place) {
            Some(Slept::TimedOut)
        } else {
            state.asleep.push_back((me, place));
            None
        };
        drop(state);
        if let Some(slept) = slept {
            shuttle::thread::yield_now();
            return slept;
        }
        loop {
            let (slept, is_over) = {
                let mut state = self.state.borrow_mut();
                let is_alive = state.standing[me] != Standing::Dead;
                (state.slept[me].take().filter(|_| is_alive), state.is_over)
            };
            if let Some(slept) = slept {
                return slept;
            }
            if is_over {
                resume_unwind(Box::new(Died));
            }
            self.listen();
        }
    }

    pub fn wake(&self, word: Word32<'_>, count: usize) {
        self.pass();
        if self.state.borrow().is_over {
            return;
        }
        let mut state = self.state.borrow_mut();
        let place = state.place(word.address() as u64);
        let mut woken = Vec::new();
        for (sleeper, at) in std::mem::take(&mut state.asleep) {
            if at == place && woken.len() < count {
                woken.push(sleeper);
                state.slept[sleeper] = Some(Slept::Woken);
            } else {
                state.asleep.push_back((sleeper, at));
            }
        }
        drop(state);
        for sleeper in woken {
            self.ring(sleeper);
        }
    }

    fn ended(&self, index: usize) {
        let was_last = {
            let mut state = self.state.borrow_mut();
            state.standing[index] = Standing::Ended;
            !state.standing[JUDGE + 1..].contains(&Standing::Lives)
        };
        if was_last {
            self.ring(JUDGE);
        }
    }

    /// For the judge: the victim, once; then `None` when all the others have ended.
    fn until_death_or_end(&self) -> Option<usize> {
        loop {
            {
                let mut state = self.state.borrow_mut();
                if let Some(victim) = state.victim()
                    && !state.was_told
                {
                    state.was_told = true;
                    return Some(victim);
                }
                if !state.standing[JUDGE + 1..].contains(&Standing::Lives) {
                    return None;
                }
            }
            self.listen();
        }
    }

    /// Nothing that happens from now on matters.
    fn end(&self, channels: &[Arc<Channel>]) {
        self.state.borrow_mut().is_over = true;
        for channel in channels {
            // Who has died with it lets go of it while he is taken apart, and may need it again.
            channel.u32(LATCH).store(0, SeqCst);
        }
        for index in 0..PROCESSES_MAX {
            self.ring(index);
        }
    }
}

impl State {
    fn victim(&self) -> Option<usize> {
        self.standing.iter().position(|standing| *standing == Standing::Dead)
    }

    fn mapping(&self, address: u64) -> &Mapping {
        let is_in = |mapping: &&Mapping| (mapping.at..mapping.at + mapping.bytes).contains(&address);
        self.mappings
            .iter()
            .rev()
            .find(is_in)
            .expect("a word is in a mapped channel")
    }

    fn place(&self, address: u64) -> Place {
        let mapping = self.mapping(address);
        (mapping.file, address - mapping.at)
    }

    /// Whether who sleeps there wakes up by time: somebody has died and is not buried, and there is nobody else to tell.
    fn has_time_outs(&self, (file, at): Place) -> bool {
        let mapping = self.mappings.iter().find(|mapping| mapping.file == file);
        let base = mapping.expect("it is mapped").at;
        // SAFETY: the processes keep their mappings until the end; all access to words is atomic.
        let u32_at = |at: u64| unsafe { AtomicU32::from_ptr((base + at) as *mut u32) }.load(SeqCst);
        if u32_at(FLAGS) & 1 != 0 && at != LATCH {
            return false;
        }
        let is_dead = |slot: u64| {
            let pid = u32_at(SLOTS + 16 * slot);
            let index = pid.checked_sub(PID).map(|index| index as usize);
            index.and_then(|index| self.standing.get(index)) == Some(&Standing::Dead)
        };
        (0..u64::from(u32_at(SLOT_COUNT))).any(is_dead)
    }
}
