//! Those that outlive their engine, in a run: whom an earlier one has left is taken over, whoever is started is noted.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::ProcessId;
use forkyard_core::machine::{Exit, Input};
use forkyard_core::plan::{OnEngineLoss, Way};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::time::Instant;

use super::Options;
use super::lives::Tries;
use super::spawn::Failure;
use super::turn::Run;
use super::wiring::Connected;
use crate::cgroup;
use crate::directory::with_folder;
use crate::exit::{self, Usage, open_pidfd};
use crate::kept::{Earlier, Identity, Keeping, LogStart, Place, Starts};
use crate::news::Stream;
use crate::spawner::{Child, Job, TARGET_MAX};
use crate::stdio::tail::Tail;
use crate::tree::{self, Tree};

/// The keeper needs an instant to write down how one has ended whom it keeps: longer than that it hangs, or is stopped.
const WORD_PATIENCE: Duration = Duration::from_secs(10);

/// How often it is looked for that word.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// The first process of a tree.
#[derive(Debug)]
pub enum Leader {
    /// The engine has started it.
    Child(Child),
    /// An earlier one has.
    Stranger(Box<Stranger>),
}

/// One that an earlier engine has started, and this one has taken over.
#[derive(Debug)]
pub struct Stranger {
    identity: Identity,
    pidfd: OwnedFd,
    token: String,
    place: Place,
}

impl Leader {
    pub(super) const fn pid(&self) -> i32 {
        match self {
            Self::Child(child) => child.pid,
            Self::Stranger(stranger) => stranger.identity.pid,
        }
    }

    pub(super) fn pidfd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Child(child) => child.pidfd.as_fd(),
            Self::Stranger(stranger) => stranger.pidfd.as_fd(),
        }
    }

    /// Its tree; `token` is the one that this run has for it.
    pub(super) fn tree(&self, token: &str) -> Tree {
        match self {
            Self::Child(child) => Tree::new(child.pid, token),
            Self::Stranger(stranger) => {
                Tree::of_stranger(stranger.identity.pid, stranger.identity.start, &stranger.token)
            }
        }
    }

    /// How it has ended, and what it has used, once it has.
    pub(super) async fn ended(self) -> io::Result<(Exit, Option<Usage>)> {
        match self {
            Self::Child(child) => {
                let (exit, usage) = exit::ended(child.pidfd).await?;
                Ok((exit, Some(usage)))
            }
            // It is rare: what it needs is not part of every watch that waits.
            Self::Stranger(stranger) => Box::pin(stranger.ended()).await,
        }
    }
}

impl Stranger {
    /// It is no child of ours: its keeper, if there is one, takes its exit, and writes it down before.
    async fn ended(self) -> io::Result<(Exit, Option<Usage>)> {
        let Self {
            identity, pidfd, place, ..
        } = self;
        // SAFETY: an owned descriptor is open, the same for ever, and closed only when `pidfd` is dropped.
        let pidfd = unsafe { AsyncFd::register_with_interest(pidfd, Interest::READABLE) }?;
        let _ = pidfd.readable().await?;
        let begin = Instant::now();
        loop {
            // Asked before the word is looked for: who is gone now has been spoken of, or never will be.
            let is_reaped = !tree::is_there(identity.pid, identity.start)?;
            if let Some(ending) = place.ending(identity)? {
                return Ok((ending.exit, Some(ending.usage())));
            }
            if is_reaped || begin.elapsed() > WORD_PATIENCE {
                return Ok((Exit::Unknown, None));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }
}

/// The trees that the end of a failed engine is to spare.
pub(super) fn spared(options: &Options) -> Vec<Tree> {
    let wards = options
        .kept
        .as_ref()
        .map_or(Ok(Vec::new()), |kept| kept.place().wards());
    let wards = wards.unwrap_or_else(|error| {
        tracing::error!("it cannot be read who is to be kept, so nobody is: {error}");
        Vec::new()
    });
    wards.into_iter().map(|ward| ward.tree).collect()
}

impl Run {
    fn keeping(&self, process: ProcessId) -> Option<(&Keeping, &str)> {
        let keeping = self.options.kept.as_ref()?;
        let is_kept = self.plan.launches[process.index()].on_engine_loss == OnEngineLoss::Keep;
        is_kept.then(|| (keeping, self.plan.processes[process.index()].name.as_str()))
    }

    /// Whom an earlier engine has left in the place of this process.
    pub(super) fn left_earlier(&self, process: ProcessId) -> Option<Earlier> {
        let (keeping, name) = self.keeping(process)?;
        keeping.take(name)
    }

    /// It runs already: it is watched over from now on.
    pub(super) fn take_over(&mut self, process: ProcessId, attempt: u32, earlier: Earlier) {
        match self.try_take_over(process, attempt, earlier.clone()) {
            Ok(()) => self.inputs.push_back(Input::Spawned { process, attempt }),
            Err(error) => {
                // It lives: at the end of the run it is stopped.
                if let Some((keeping, _)) = self.keeping(process) {
                    keeping.put_back(earlier);
                }
                let failure = Failure::from(format!(
                    "the one that an earlier run had left cannot be taken over: {error}"
                ));
                self.not_launched(process, attempt, None, Tries::default(), failure);
            }
        }
    }

    fn try_take_over(&mut self, process: ProcessId, attempt: u32, earlier: Earlier) -> io::Result<()> {
        let Some((keeping, name)) = self.keeping(process) else {
            return Ok(());
        };
        let Earlier { note, identity } = earlier.clone();
        let stranger = Stranger {
            // Of one that has ended since it was looked for, the pid is gone or another's: that it has ended is seen at once.
            pidfd: pidfd_of(identity)?,
            identity,
            token: note.token,
            place: keeping.place().clone(),
        };
        let log = note.log.map(|log| share_log(log, &self.options.directory.log(name)));
        keeping.took_over(earlier, log.clone())?;
        let words = format!("the run {} had left it", note.run);
        let streams = log
            .and_then(|log| self.followed(process, &log, note.ready))
            .into_iter()
            .collect();
        self.words.insert(process, words.into());
        self.watch(process, attempt, None, Leader::Stranger(Box::new(stranger)), streams);
        if note.ready
            && let Some(life) = self.lives.get_mut(process)
        {
            life.sight.ready();
        }
        Ok(())
    }

    /// Its log from now on; from its start where the line may be there already that tells that it is ready.
    fn followed(&self, process: ProcessId, log: &LogStart, is_ready: bool) -> Option<Connected> {
        let launch = &self.plan.launches[process.index()];
        let tells = launch
            .ready
            .as_ref()
            .is_some_and(|ready| matches!(ready.way, Way::Log(_)));
        let opened = File::open(&log.path).and_then(|file| {
            let from = if tells && !is_ready {
                log.from
            } else {
                file.metadata()?.len()
            };
            Ok(Tail::new(file, from))
        });
        match opened {
            Ok(tail) => Some(Connected::Tail {
                tail,
                stream: Stream::Stdout,
            }),
            Err(error) => {
                tracing::warn!("the log {} cannot be followed: {error}", log.path.display());
                None
            }
        }
    }

    /// Whether it is one that an earlier engine has started.
    pub(super) fn has_taken_over(&self, process: ProcessId, attempt: u32) -> bool {
        let body = self.lives.body(process, attempt);
        body.is_some_and(|body| body.tree.is_strange())
    }

    /// What is to be told with the start of a process.
    pub(super) fn say_of_start(&mut self, process: ProcessId) -> Option<Arc<str>> {
        let (keeping, name) = self.keeping(process)?;
        let remark = keeping.remark_on(name).map(Arc::from);
        remark.or_else(|| self.words.remove(&process))
    }

    /// It is about to be started and is to outlive the engine: that is noted first.
    pub(super) fn prepare_to_outlive(&self, process: ProcessId, job: &mut Job) -> Result<(), Failure> {
        let Some((keeping, name)) = self.keeping(process) else {
            return Ok(());
        };
        job.outlives = true;
        job.confinement.groups.extend(cgroup::way_out()?);
        // Should the engine be killed now, the next one has to wait until the process can be found by its token.
        let free = (3..=TARGET_MAX).find(|number| job.fds.iter().all(|(_, taken)| taken != number));
        let free = free.ok_or_else(|| "the process has no descriptor left".to_owned())?;
        job.fds.push((Some(keeping.lock()?), free));
        job.until_program = Some(free);
        let starts = Starts {
            plan: &self.plan,
            process: name,
            launch: &self.plan.launches[process.index()],
            token: &self.facts.tokens[process.index()],
            folder: self.files.folder(),
            grace: self.plan.processes[process.index()].grace,
        };
        keeping.starts(&self.options.directory, &starts)?;
        Ok(())
    }

    /// It has been started: its pid is noted.
    pub(super) fn note_child(&self, process: ProcessId, child: &Child) {
        let Some((keeping, name)) = self.keeping(process) else {
            return;
        };
        let start = tree::started_or_ended(child.pid);
        let noted = start.and_then(|start| {
            let pid = child.pid;
            start.map_or(Ok(()), |start| keeping.runs(name, Identity { pid, start }))
        });
        if let Err(error) = noted {
            tracing::warn!("`{name}` is to outlive the engine, and its pid cannot be noted: {error}");
        }
    }

    /// It has been seen to be ready.
    pub(super) fn note_ready(&self, process: ProcessId, attempt: u32) {
        if let Some((keeping, name)) = self.keeping(process)
            && self.lives.body(process, attempt).is_some()
            && let Err(error) = keeping.is_ready(name)
        {
            tracing::warn!("it cannot be noted that `{name}` is ready: {error}");
        }
    }

    /// Nobody of it is left.
    pub(super) fn forget(&self, process: ProcessId) {
        if let Some((keeping, name)) = self.keeping(process)
            && let Err(error) = keeping.gone(name)
        {
            tracing::warn!("the note of `{name}` cannot be removed: {error}");
        }
    }

    /// The run is over: whom it has not taken over is not left behind either.
    pub(super) fn end_kept(&self) {
        if let Some(Err(error)) = self.options.kept.as_ref().map(Keeping::end) {
            tracing::error!("{error}");
        }
    }
}

/// A descriptor for this very process; one that is at its end when it has ended.
fn pidfd_of(identity: Identity) -> io::Result<OwnedFd> {
    let pidfd = open_pidfd(identity.pid);
    match pidfd {
        Ok(pidfd) if tree::is_there(identity.pid, identity.start)? => Ok(pidfd),
        Err(error) if error.raw_os_error() != Some(libc::ESRCH) => Err(error),
        // A pipe whose other end is closed is readable, as the pidfd of a process that has ended is.
        Ok(_) | Err(_) => Ok(io::pipe()?.0.into()),
    }
}

/// The log goes on under the run that has taken over, byte by byte the same file; where there can be no link, it stays
/// where it is.
fn share_log(log: LogStart, path: &Path) -> LogStart {
    match with_folder(path, || fs::hard_link(&log.path, path)) {
        Ok(()) => LogStart {
            path: path.to_owned(),
            ..log
        },
        Err(error) => {
            tracing::warn!("the log {} cannot be linked: {error}", log.path.display());
            log
        }
    }
}
