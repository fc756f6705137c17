//! What an engine does with those that are kept: it takes over whom an earlier one has left, and notes whom it starts.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forkyard_core::machine::Exit;
use forkyard_core::plan::{Launch, OnEngineLoss, Plan, Way, Wire};

use super::{Claim, Identity, LogStart, Note, Place, Standing, digest, note, stop_all};
use crate::directory::RunDirectory;

/// Somebody whom an earlier engine has left, and who is as the workflow wants it.
#[derive(Clone, Debug)]
pub struct Earlier {
    /// What is noted of it.
    pub note: Note,
    /// Who it is.
    pub identity: Identity,
}

/// All that are kept of a run.
#[derive(Debug)]
pub struct Keeping {
    claim: Claim,
    file: PathBuf,
    /// Those who live and have not been taken over yet, by their names.
    earlier: RefCell<BTreeMap<String, Earlier>>,
    /// What has become of those that were not taken over.
    remarks: RefCell<BTreeMap<String, String>>,
    /// What is noted of those that run now.
    present: RefCell<BTreeMap<String, Note>>,
}

/// Whether a plan has somebody who is to be kept.
#[must_use]
pub fn is_wanted(plan: &Plan) -> bool {
    plan.launches.iter().any(is_kept)
}

fn is_kept(launch: &Launch) -> bool {
    launch.on_engine_loss == OnEngineLoss::Keep
}

impl Keeping {
    /// Looks at all that an earlier engine of the workflow in `file` has left. Who does not fit any more is stopped, in
    /// order, before this returns.
    ///
    /// # Errors
    /// When it cannot be known who is left: a second copy must never be started.
    pub fn begin(claim: Claim, file: PathBuf, plan: &Plan, folder: &Path) -> io::Result<Self> {
        let keeping = Self {
            claim,
            file,
            earlier: RefCell::default(),
            remarks: RefCell::default(),
            present: RefCell::default(),
        };
        let mut unfit = Vec::new();
        for note in keeping.claim.place().notes()? {
            let launch = plan.processes.iter().position(|process| process.name == note.process);
            let launch = launch.map(|index| &plan.launches[index]);
            match (note.standing(keeping.claim.place())?, misfit(&note, launch, folder)) {
                (Standing::Lives(identity), None) => {
                    let earlier = Earlier { note, identity };
                    keeping
                        .earlier
                        .borrow_mut()
                        .insert(earlier.note.process.clone(), earlier);
                }
                (Standing::Lives(identity), Some(why)) => {
                    keeping.remark(&note, &format!("was stopped: {why}"));
                    unfit.push((note, identity));
                }
                (Standing::Ended(ending), _) => {
                    keeping.remark(&note, &ended_in_words(ending.map(|ending| ending.exit)));
                    let is_of_now = note.is_of_now()?;
                    match note.identity.filter(|_| is_of_now) {
                        // Without a keeper it may have left others behind.
                        Some(identity) => unfit.push((note, identity)),
                        None => keeping.claim.forget(&note.process, note.identity)?,
                    }
                }
            }
        }
        keeping.stop(&unfit)?;
        Ok(keeping)
    }

    /// What has become of those that were not taken over, in words, each with its name.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let remarks = self.remarks.borrow();
        remarks
            .iter()
            .map(|(name, remark)| format!("`{name}`: {remark}"))
            .collect()
    }

    /// Tells others which run has the say.
    ///
    /// # Errors
    /// When the lock cannot be written.
    pub fn sign(&mut self, run: &str) -> io::Result<()> {
        self.claim.sign(run)
    }

    /// Where the notes are.
    #[must_use]
    pub const fn place(&self) -> &Place {
        self.claim.place()
    }

    /// The lock, for a process that is being started: whoever has it keeps the next engine out.
    pub(crate) fn lock(&self) -> io::Result<OwnedFd> {
        self.claim.lock()
    }

    /// Whom an earlier engine has left of this name; once.
    pub(crate) fn take(&self, name: &str) -> Option<Earlier> {
        self.earlier.borrow_mut().remove(name)
    }

    /// It could not be taken over.
    pub(crate) fn put_back(&self, earlier: Earlier) {
        self.earlier.borrow_mut().insert(earlier.note.process.clone(), earlier);
    }

    /// What has become of the one of this name that was not taken over; once.
    pub(crate) fn remark_on(&self, name: &str) -> Option<String> {
        self.remarks.borrow_mut().remove(name)
    }

    /// Notes that a process is about to be started.
    pub(crate) fn starts(&self, directory: &RunDirectory, starts: &Starts<'_>) -> io::Result<()> {
        let Starts {
            plan,
            process,
            launch,
            token,
            folder,
            grace,
        } = *starts;
        let path = directory.log(process);
        let log = launch.fds.values().any(|wire| *wire == Wire::Log);
        let from = fs::metadata(&path).map_or(0, |log| log.len());
        let note = Note {
            file: self.file.clone(),
            workflow: plan.name.clone(),
            process: process.to_owned(),
            run: directory.id().to_owned(),
            token: token.to_owned(),
            digest: digest(folder, launch),
            boot: note::boot()?,
            namespace: note::namespace()?,
            identity: None,
            ready: false,
            log: log.then_some(LogStart { path, from }),
            stop_signal: launch.stop_signal,
            grace_ms: u64::try_from(grace.as_millis()).unwrap_or(u64::MAX),
        };
        self.hold(note)
    }

    /// Notes who it is.
    pub(crate) fn runs(&self, process: &str, identity: Identity) -> io::Result<()> {
        self.change(process, |note| note.identity = Some(identity))
    }

    /// Notes that it is ready.
    pub(crate) fn is_ready(&self, process: &str) -> io::Result<()> {
        self.change(process, |note| note.ready = true)
    }

    /// One of an earlier engine is this engine's now; its log may be reached by another path.
    pub(crate) fn took_over(&self, earlier: Earlier, log: Option<LogStart>) -> io::Result<()> {
        self.hold(Note {
            identity: Some(earlier.identity),
            log,
            ..earlier.note
        })
    }

    /// Nobody of it is left, or it could not be started.
    pub(crate) fn gone(&self, process: &str) -> io::Result<()> {
        let note = self.present.borrow_mut().remove(process);
        note.map_or(Ok(()), |note| self.claim.forget(process, note.identity))
    }

    /// The run has ended: whoever was not taken over is stopped.
    pub(crate) fn end(&self) -> io::Result<()> {
        let left = std::mem::take(&mut *self.earlier.borrow_mut());
        let left: Vec<(Note, Identity)> = left
            .into_values()
            .map(|earlier| (earlier.note, earlier.identity))
            .collect();
        self.stop(&left)
    }

    fn hold(&self, note: Note) -> io::Result<()> {
        self.claim.note(&note)?;
        self.present.borrow_mut().insert(note.process.clone(), note);
        Ok(())
    }

    fn change(&self, process: &str, change: impl FnOnce(&mut Note)) -> io::Result<()> {
        match self.present.borrow_mut().get_mut(process) {
            Some(note) => {
                change(note);
                self.claim.note(note)
            }
            None => Ok(()),
        }
    }

    fn remark(&self, note: &Note, what: &str) {
        let remark = format!("the one that the run {} had left {what}", note.run);
        self.remarks.borrow_mut().insert(note.process.clone(), remark);
    }

    fn stop(&self, kept: &[(Note, Identity)]) -> io::Result<()> {
        let survivors = stop_all(kept);
        if let Some(note) = survivors.first() {
            let why = format!("`{}` of the run {} cannot be killed", note.process, note.run);
            return Err(io::Error::other(why));
        }
        kept.iter()
            .try_for_each(|(note, identity)| self.claim.forget(&note.process, Some(*identity)))
    }
}

/// A process that is about to be started.
#[derive(Clone, Copy)]
pub(crate) struct Starts<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) process: &'a str,
    pub(crate) launch: &'a Launch,
    pub(crate) token: &'a str,
    pub(crate) folder: &'a Path,
    pub(crate) grace: Duration,
}

/// Why a process that lives is not the one that the workflow wants; `None`: it is.
fn misfit(note: &Note, launch: Option<&Launch>, folder: &Path) -> Option<&'static str> {
    let Some(launch) = launch.filter(|launch| is_kept(launch)) else {
        return Some("the workflow has nobody of that name any more who is to be kept");
    };
    if note.digest != digest(folder, launch) {
        return Some("its declaration has changed");
    }
    // It tells that but once, and the engine that would have heard it is gone.
    let tells = |way: &Way| matches!(way, Way::Notify | Way::NotifyFd(_));
    let told_nobody = !note.ready && launch.ready.as_ref().is_some_and(|probe| tells(&probe.way));
    told_nobody.then_some("it had not told yet that it is ready, and nobody would hear it now")
}

fn ended_in_words(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(code)) => format!("has ended with code {code} meanwhile"),
        Some(Exit::Signal(signal)) => format!("was killed by signal {signal} meanwhile"),
        Some(Exit::Unknown) | None => "has ended meanwhile, nobody knows how".to_owned(),
    }
}
