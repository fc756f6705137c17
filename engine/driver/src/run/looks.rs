//! Looks whether a process is ready, and whether it still works: one task a life, which ends with it.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::ProcessId;
use forkyard_core::machine::{Exit, Input};
use forkyard_core::plan::{PATTERN_BYTES_MAX, Probe, Program, Way};
use regex::bytes::{Regex, RegexBuilder};
use tokio::io::AsyncReadExt as _;
use tokio::sync::{Notify, mpsc, oneshot};

use super::Happening;
use super::environment::Environment;
use super::lives::Body;
use super::turn::Run;
use crate::notify::{Ear, Word};
use crate::over::Over;
use crate::tree::{Tree, started};
use crate::{exit, probe};

/// How long one look at a process that is not ready yet may take: one that hangs must not hide that the next would see it.
const LOOK_MAX: Duration = Duration::from_secs(5);

/// What was seen of a life, or told by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// It is ready.
    Ready,
    /// It is not ready, and nobody looks any more.
    NotReady,
    /// It asks for so much more time to become ready.
    Extend(Duration),
    /// It does not work.
    NotLive,
    /// What it is doing, in its words.
    Status(String),
}

/// What is seen of one life.
#[derive(Debug, Default)]
pub struct Sight {
    /// It has said, or written, that it is ready.
    said_ready: Notify,
    /// It has said that it works.
    said_alive: Notify,
    /// It has said that it stops: whether it works is nobody's affair any more.
    is_stopping: Cell<bool>,
    /// Why the last look saw nothing.
    last: RefCell<Option<Arc<str>>>,
}

impl Sight {
    /// Why the last look saw nothing, for the record of its stop.
    pub(super) fn why(&self) -> Option<Arc<str>> {
        self.last.borrow().clone()
    }

    /// It is ready, as it seems.
    pub(super) fn ready(&self) {
        self.said_ready.notify_one();
    }
}

/// A line that tells that a process is ready.
#[derive(Clone, Debug)]
pub struct Watchword {
    pattern: Regex,
    sight: Rc<Sight>,
}

impl Watchword {
    /// For a process that is looked at by its log.
    pub(super) fn of(ready: Option<&Probe>, sight: &Rc<Sight>) -> Option<Self> {
        let Some(Probe {
            way: Way::Log(text), ..
        }) = ready
        else {
            return None;
        };
        // The reader of the language has made it before.
        let pattern = RegexBuilder::new(text).size_limit(PATTERN_BYTES_MAX).build().ok()?;
        Some(Self {
            pattern,
            sight: Rc::clone(sight),
        })
    }

    /// Whether the line tells it; then no further one need be looked at.
    pub(crate) fn is_in(&self, line: &[u8]) -> bool {
        let found = self.pattern.is_match(line);
        if found {
            self.sight.ready();
        }
        found
    }
}

/// Waits for a newline on the descriptor of `notify_fd`.
pub(super) async fn newline(pipe: OwnedFd, sight: Rc<Sight>, over: Over) {
    let Ok(mut pipe) = tokio::net::unix::pipe::Receiver::from_owned_fd(pipe) else {
        return;
    };
    let mut bytes = [0; 64];
    loop {
        let count = tokio::select! {
            read = pipe.read(&mut bytes) => read.unwrap_or(0),
            () = over.come() => return,
        };
        if count == 0 {
            return;
        }
        if bytes[..count].contains(&b'\n') {
            sight.ready();
        }
    }
}

/// Who looks at one life.
struct Looker {
    process: ProcessId,
    attempt: u32,
    sight: Rc<Sight>,
    inbox: mpsc::Sender<Happening>,
}

impl Looker {
    /// From the start to readiness, then whether it works.
    async fn look(self, ready: Option<Probe>, live: Option<Probe>) {
        if let Some(ready) = ready {
            let seen = self.until_ready(&ready).await;
            let told = match seen {
                Ok(()) => Seen::Ready,
                Err(()) => Seen::NotReady,
            };
            self.tell(told).await;
            if seen.is_err() {
                return;
            }
        }
        if let Some(live) = live {
            self.while_live(&live).await;
            if !self.sight.is_stopping.get() {
                self.tell(Seen::NotLive).await;
            }
        }
    }

    async fn tell(&self, what: Seen) {
        let Self { process, attempt, .. } = *self;
        // Nobody listens when the run is over.
        let _ = self.inbox.send(Happening::Seen { process, attempt, what }).await;
    }

    /// Fails when more looks in a row have seen nothing than may.
    async fn until_ready(&self, probe: &Probe) -> Result<(), ()> {
        let mut failures = 0;
        loop {
            match self.once(probe, LOOK_MAX.min(probe.timeout)).await {
                Ok(()) => return Ok(()),
                Err(why) => *self.sight.last.borrow_mut() = Some(why.into()),
            }
            failures += 1;
            if probe.retries.is_some_and(|retries| failures > retries) {
                return Err(());
            }
            tokio::time::sleep(probe.interval).await;
        }
    }

    /// Until too many looks in a row have seen nothing.
    async fn while_live(&self, probe: &Probe) {
        let mut failures = 0;
        loop {
            let seen = if probe.way == Way::Notify {
                tokio::time::timeout(probe.timeout, self.sight.said_alive.notified())
                    .await
                    .map_err(|_| format!("it has said nothing for {:?}", probe.timeout))
            } else {
                tokio::time::sleep(probe.interval).await;
                self.once(probe, probe.timeout).await
            };
            if self.sight.is_stopping.get() {
                return;
            }
            match seen {
                Ok(()) => failures = 0,
                Err(why) => {
                    *self.sight.last.borrow_mut() = Some(why.into());
                    failures += 1;
                    // One silence is enough: it had the whole time.
                    if probe.way == Way::Notify || probe.retries.is_some_and(|retries| failures > retries) {
                        return;
                    }
                }
            }
        }
    }

    /// One look, which takes no longer than that.
    async fn once(&self, probe: &Probe, at_most: Duration) -> Result<(), String> {
        let look = async {
            match &probe.way {
                Way::Log(_) | Way::Notify | Way::NotifyFd(_) => {
                    self.sight.said_ready.notified().await;
                    Ok(())
                }
                Way::Exec(command) => self.exec(command, at_most).await,
                Way::Tcp(address) => probe::tcp(address).await,
                Way::Http { address, path } => probe::http(address, path).await,
            }
        };
        match &probe.way {
            // These take as long as it takes; a command is killed when its time is over, which takes a moment more.
            Way::Log(_) | Way::Notify | Way::NotifyFd(_) | Way::Exec(_) => look.await,
            Way::Tcp(_) | Way::Http { .. } => tokio::time::timeout(at_most, look)
                .await
                .unwrap_or_else(|_| Err(format!("no answer within {at_most:?}"))),
        }
    }

    async fn exec(&self, command: &Program, at_most: Duration) -> Result<(), String> {
        let (answer, answered) = oneshot::channel();
        let look = Happening::Look {
            process: self.process,
            attempt: self.attempt,
            command: command.clone(),
            at_most,
            answer,
        };
        let gone = || "the run is over".to_owned();
        self.inbox.send(look).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// Knows who belongs to one life.
#[derive(Debug)]
pub struct Porter {
    body: Rc<Body>,
    /// Who was asked about last, by pid and start time, and whether it is another's: who speaks once speaks often.
    last: Cell<Option<((i32, u64), bool)>>,
}

impl Porter {
    /// Of this life.
    pub(super) const fn of(body: Rc<Body>) -> Self {
        Self {
            body,
            last: Cell::new(None),
        }
    }

    /// Whether a process is known to be no part of the tree. One that has ended before anybody could look – programs like
    /// `systemd-notify` live that short – is believed: the address is known to the tree alone, unless somebody has looked for it.
    fn is_another(&self, pid: i32) -> bool {
        // The kernel gives no number to who is outside of the run's namespace.
        if pid <= 0 {
            return true;
        }
        let Ok(Some(start)) = started(pid) else {
            return false;
        };
        if let Some((who, is_another)) = self.last.get()
            && who == (pid, start)
        {
            return is_another;
        }
        let is_another = matches!(self.body.tree.has(pid), Ok(Some(false)));
        self.last.set(Some(((pid, start), is_another)));
        is_another
    }
}

/// Takes in what a process tells of itself.
async fn hear(
    ear: Ear,
    porter: Porter,
    process: ProcessId,
    attempt: u32,
    sight: Rc<Sight>,
    inbox: mpsc::Sender<Happening>,
) {
    loop {
        let words = match ear.hear(|pid| porter.is_another(pid)).await {
            Ok(words) => words,
            Err(error) => {
                tracing::warn!("what a process tells of itself cannot be heard: {error}");
                return;
            }
        };
        for word in words {
            let told = match word {
                Word::Ready => {
                    sight.ready();
                    continue;
                }
                Word::Alive => {
                    sight.said_alive.notify_one();
                    continue;
                }
                Word::Stopping => {
                    sight.is_stopping.set(true);
                    continue;
                }
                Word::Broken => {
                    *sight.last.borrow_mut() = Some("it says so".into());
                    Seen::NotLive
                }
                Word::Extend(by) => Seen::Extend(by),
                Word::Status(text) => Seen::Status(text),
            };
            let told = Happening::Seen {
                process,
                attempt,
                what: told,
            };
            if inbox.send(told).await.is_err() {
                return;
            }
        }
    }
}

impl Run {
    /// Something was seen of a life.
    pub(super) fn seen(&mut self, process: ProcessId, attempt: u32, what: Seen) {
        let input = match what {
            Seen::Ready => {
                self.note_ready(process, attempt);
                Input::Ready { process, attempt }
            }
            Seen::NotReady => Input::NotReady { process, attempt },
            Seen::Extend(by) => Input::Extend { process, attempt, by },
            Seen::NotLive => Input::NotLive { process, attempt },
            Seen::Status(text) => {
                if self.lives.body(process, attempt).is_some() {
                    self.table.says(process, text);
                }
                return;
            }
        };
        self.inputs.push_back(input);
    }

    /// The socket for what the process tells of itself, if anybody listens.
    pub(super) fn ear(&self, process: ProcessId, user: Option<u32>) -> io::Result<Option<Ear>> {
        let launch = &self.plan.launches[process.index()];
        let tells = [&launch.ready, &launch.live]
            .into_iter()
            .flatten()
            .any(|probe| probe.way == Way::Notify);
        tells.then(|| Ear::open(user)).transpose()
    }

    /// Looks at a life, as long as it lasts.
    pub(super) fn observe(
        &self,
        process: ProcessId,
        attempt: u32,
        sight: Rc<Sight>,
        ear: Option<(Ear, Porter)>,
        over: Over,
    ) {
        let launch = &self.plan.launches[process.index()];
        let (ready, live) = (launch.ready.clone(), launch.live.clone());
        if ready.is_none() && live.is_none() {
            return;
        }
        let inbox = self.inbox.clone();
        let looker = Looker {
            process,
            attempt,
            sight: Rc::clone(&sight),
            inbox: inbox.clone(),
        };
        self.alarm.start(async move {
            let heard = async {
                match ear {
                    Some((ear, porter)) => hear(ear, porter, process, attempt, sight, inbox).await,
                    None => std::future::pending().await,
                }
            };
            let seeing = async {
                looker.look(ready, live).await;
                // What it tells is heard to its end.
                std::future::pending::<()>().await;
            };
            tokio::select! {
                () = heard => {}
                () = seeing => {}
                // Its end, or that nobody watches over it any more.
                () = over.come() => {}
            }
        });
    }

    /// Runs the command of a look.
    pub(super) fn look(
        &self,
        process: ProcessId,
        attempt: u32,
        command: &Program,
        at_most: Duration,
        answer: oneshot::Sender<Result<(), String>>,
    ) {
        let environment = Environment::new(&self.facts, &self.plan, process, attempt);
        let job = match self.side_job(process, command, environment) {
            Ok(job) => job,
            Err(why) => {
                // Who has asked may have ended meanwhile, here and below.
                let _ = answer.send(Err(why));
                return;
            }
        };
        let spawned = self.spawner.spawn(job);
        self.alarm.start(async move {
            let seen = match spawned.await {
                Ok(child) => {
                    // Its own tree, by its process group; who is in the tree of the process, by its token, is not.
                    let tree = Tree::new(child.pid, "");
                    let mut ended = std::pin::pin!(exit::ended(child.pidfd));
                    match tokio::time::timeout(at_most, &mut ended).await {
                        Ok(Ok((Exit::Code(0), _))) => Ok(()),
                        Ok(Ok((Exit::Code(code), _))) => Err(format!("the command exits with {code}")),
                        Ok(Ok((Exit::Signal(signal), _))) => Err(format!("the command is killed by signal {signal}")),
                        Ok(Ok((Exit::Unknown, _))) => Err("nobody knows how the command has ended".to_owned()),
                        Ok(Err(error)) => Err(format!("the end of the command cannot be seen: {error}")),
                        Err(_) => {
                            let _ = tree.kill();
                            // It has got SIGKILL; what it says at its end is of no interest.
                            let _ = ended.await;
                            Err(format!("the command takes longer than {at_most:?}"))
                        }
                    }
                }
                Err(error) => Err(error.to_string()),
            };
            let _ = answer.send(seen);
        });
    }
}
