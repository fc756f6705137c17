//! Starting a process: its descriptors, its environment, its program; again and again while the machine lacks
//! something for the moment.

use std::cell::Cell;
use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forkyard_core::id::{ProcessId, QueueId, TaskId};
use forkyard_core::machine::{AHEAD_MAX, Input};
use forkyard_core::plan::{Framing, Launch, Limits, Party, Program, Wire};
use tokio::sync::mpsc;

use super::environment::Environment;
use super::kept::Leader;
use super::lives::{Body, Fate, Life, Start, State, Tries, Watch};
use super::looks::{Porter, Watchword, newline};
use super::pumps::Pump;
use super::turn::Run;
use super::wiring::{Connected, Streams, Wirer, Wiring};
use super::{Happening, is_transient};
use crate::guardian;
use crate::news::Stream;
use crate::over::{Ending, Over};
use crate::preflight;
use crate::spawner::{Confinement, Executable, Identity, Job, Launched, Rlimit, SpawnError, discard};
use crate::spent;
use crate::stdio::framing::Cutter;
use crate::stdio::log::Log;
use crate::stdio::output::{Origin, Output};
use crate::stdio::receiver::{Receiver, Share};
use crate::stdio::sender::Sender;
use crate::stdio::tap::Tap;
use crate::stdio::{output, tail, worker};

/// The pause before another try doubles from the first to the longest: ten seconds and a half in all, counted anew
/// whenever another process has gone meanwhile.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LAST: Duration = Duration::from_secs(1);
const TRIES_MAX: u32 = 16;

/// How many tasks may wait to be written to a persistent worker: the machine gives it one at a time.
const FEED_MAX: usize = AHEAD_MAX + 2;

/// Why a process could not be started.
#[derive(Debug)]
pub(super) struct Failure {
    pub reason: String,
    transient: bool,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self {
            transient: is_transient(&error),
            reason: error.to_string(),
        }
    }
}

impl From<SpawnError> for Failure {
    fn from(error: SpawnError) -> Self {
        Self {
            transient: error.transient(),
            reason: error.to_string(),
        }
    }
}

impl From<String> for Failure {
    fn from(reason: String) -> Self {
        Self {
            reason,
            transient: false,
        }
    }
}

impl Run {
    pub(super) fn spawn(&mut self, process: ProcessId, attempt: u32, task: Option<TaskId>, tries: Tries) {
        self.lives.insert(
            process,
            Life {
                attempt,
                tasks: task.into_iter().collect(),
                state: State::Starting(Start::default()),
                sight: Rc::default(),
                ear: None,
                feed: None,
                streams: Vec::new(),
                groups: None,
                screen: None,
            },
        );
        if let Some(earlier) = self.left_earlier(process) {
            return self.take_over(process, attempt, earlier);
        }
        let prepared = match self.prepare(process, attempt, task) {
            // What lacks may be among what has been put aside.
            Err(failure) if failure.transient && spent::close() => self.prepare(process, attempt, task),
            prepared => prepared,
        };
        match prepared {
            Ok((job, streams)) => {
                if let Some(life) = self.lives.get_mut(process) {
                    life.state = State::Starting(Start { task, tries, streams });
                }
                match self.spawner.launch_here(&job) {
                    Some(result) => {
                        // Its descriptors are closed before anybody reads what it writes.
                        drop(job);
                        self.launched(Launched {
                            process,
                            attempt,
                            result,
                        });
                    }
                    None => self.spawner.launch(process, attempt, job),
                }
            }
            Err(failure) => self.not_launched(process, attempt, task, tries, failure),
        }
    }

    /// The spawner has done its work.
    pub(super) fn launched(&mut self, launched: Launched) {
        let Launched {
            process,
            attempt,
            result,
        } = launched;
        let Some(Start { task, tries, streams }) = self.lives.take_start(process, attempt) else {
            tracing::error!("a process was started that nobody waits for");
            return result.iter().for_each(discard);
        };
        match result {
            Ok(child) => {
                self.let_go_after_start(process);
                self.note_child(process, &child);
                self.watch(process, attempt, task, Leader::Child(child), streams);
                self.inputs.push_back(Input::Spawned { process, attempt });
            }
            Err(error) => self.not_launched(process, attempt, task, tries, error.into()),
        }
    }

    /// Who lacks something for the moment waits for others to leave it: as long as some do, it does not give up.
    pub(super) fn not_launched(
        &mut self,
        process: ProcessId,
        attempt: u32,
        task: Option<TaskId>,
        tries: Tries,
        failure: Failure,
    ) {
        let count = if tries.gone == self.lives.gone() {
            tries.count
        } else {
            0
        };
        if failure.transient && count < TRIES_MAX && !self.lives.is_stopping() {
            let pause = PAUSE_LAST.min(PAUSE_FIRST * 2_u32.saturating_pow(count));
            let tries = Tries {
                count: count + 1,
                gone: self.lives.gone(),
            };
            let inbox = self.inbox.clone();
            self.alarm.start(async move {
                tokio::time::sleep(pause).await;
                let again = Happening::TryAgain {
                    process,
                    attempt,
                    task,
                    tries,
                };
                // Nobody listens when the run is over.
                let _ = inbox.send(again).await;
            });
            return;
        }
        self.lives.remove(process);
        self.forget(process);
        self.words.insert(process, Arc::from(failure.reason));
        self.inputs.push_back(Input::NotSpawned { process, attempt });
    }

    /// The sockets, and the ends of pipes, of a worker, and of whoever may be restarted, are kept for further lives.
    fn let_go_after_start(&mut self, process: ProcessId) {
        let plan = &self.plan.processes[process.index()];
        if plan.worker_of.is_none() && plan.restart.is_none() {
            self.forsake(process);
        }
    }

    fn prepare(&mut self, process: ProcessId, attempt: u32, task: Option<TaskId>) -> Result<(Job, Streams), Failure> {
        let wiring = Wirer {
            plan: &self.plan,
            pipes: &mut self.pipes,
            files: &mut self.files,
            pools: &mut self.pools,
            sockets: &self.sockets,
            directory: &self.options.directory,
            process,
            task,
        }
        .wire()?;
        let mut environment = Environment::new(&self.facts, &self.plan, process, attempt);
        if let Some(item) = self.payload(process, task) {
            environment.item(&item);
        }
        let launch = &self.plan.launches[process.index()];
        let Wiring {
            fds,
            mut streams,
            connected,
            sockets,
            terminal,
            ..
        } = wiring;
        if !sockets.is_empty() {
            environment.listens(&sockets);
        }
        for (pipe, number) in connected {
            environment.descriptor(&pipe, number);
        }
        if let Some(ear) = self.ear(process, identity(launch)?.map(|identity| identity.uid))? {
            environment.notify(ear.address(), launch.live.as_ref());
            streams.push(Connected::Ear(ear));
        }
        let mut job = self.job(launch, &launch.program, environment, fds)?;
        job.listens = !sockets.is_empty();
        if let Some((terminal, number)) = terminal {
            job.terminal = Some(number);
            if let Some(life) = self.lives.get_mut(process) {
                life.screen = Some(terminal.screen()?);
            }
        }
        if launch.limits != Limits::default() {
            let groups = self.limiter.get().groups(&launch.limits)?;
            job.confinement.groups = groups.doors()?;
            if let Some(life) = self.lives.get_mut(process) {
                life.groups = Some(groups);
            }
        }
        self.prepare_to_outlive(process, &mut job)?;
        Ok((job, streams))
    }

    /// What is to be executed, by the rules of a launch.
    fn job(
        &self,
        launch: &Launch,
        program: &Program,
        environment: Environment,
        fds: Vec<(Option<OwnedFd>, i32)>,
    ) -> Result<Job, Failure> {
        let cwd = working_directory(self.files.folder(), launch);
        let name = program
            .argv
            .first()
            .ok_or_else(|| "there is nothing to execute".to_owned())?;
        let program_file = if name.contains('/') {
            Executable::At(c_path(&cwd.join(name))?)
        } else {
            let files = preflight::on_path(name, environment.path(), &cwd).map(|file| c_path(&file));
            Executable::Among(files.collect::<Result<_, _>>()?)
        };
        let argv: Result<Vec<CString>, _> = program.argv.iter().map(|word| CString::new(word.as_str())).collect();
        Ok(Job {
            program: program_file,
            argv: argv.map_err(|_| "a word of the command has a NUL byte, which no program can be given".to_owned())?,
            envp: environment
                .into_strings()
                .map_err(|name| format!("the environment's {name} has a NUL byte, which no process can be given"))?,
            listens: false,
            cwd: Some(c_path(&cwd)?),
            fds,
            umask: launch.umask,
            nice: launch.nice,
            confinement: Confinement {
                rlimits: self.rlimits(launch),
                cpus: launch.cpus.clone(),
                groups: Vec::new(),
            },
            terminal: None,
            identity: identity(launch)?,
            outlives: false,
            until_program: None,
        })
    }

    /// The engine may have raised the limit of open files for itself: its processes have the one before.
    fn rlimits(&self, launch: &Launch) -> Vec<Rlimit> {
        let before = self.facts.open_files.map(|(soft, hard)| Rlimit {
            resource: libc::RLIMIT_NOFILE,
            soft,
            hard,
        });
        let own = if launch.limits == Limits::default() {
            Vec::new()
        } else {
            self.limiter.get().rlimits(&launch.limits)
        };
        before.into_iter().chain(own).collect()
    }

    /// Starts the watch over a life, and its pumps.
    pub(super) fn watch(
        &mut self,
        process: ProcessId,
        attempt: u32,
        task: Option<TaskId>,
        leader: Leader,
        streams: Streams,
    ) {
        let body = Rc::new(Body {
            tree: leader.tree(&self.facts.tokens[process.index()]),
            fate: Cell::new(Fate::Live),
            patience: Cell::new(None),
        });
        // Where it cannot be read for the moment, the number inside is better than none.
        let outside = guardian::pid_outside(leader.pidfd()).ok().flatten();
        self.pids[process.index()] = Some(outside.unwrap_or(leader.pid()));
        let (ending, over) = Ending::new();
        let (groups, screen) = self
            .lives
            .remove(process)
            .map_or((None, None), |life| (life.groups, life.screen));
        let mut life = Life {
            attempt,
            tasks: task.into_iter().collect(),
            state: State::Running(Rc::clone(&body)),
            sight: Rc::default(),
            ear: None,
            feed: None,
            streams: streams.iter().filter_map(Connected::far).collect(),
            groups,
            screen,
        };
        let pumps = streams
            .into_iter()
            .filter_map(|stream| self.connect(&mut life, process, stream, &over));
        let pumps = pumps.collect();
        let ear = life.ear.take().map(|ear| (ear, Porter::of(Rc::clone(&body))));
        let sight = Rc::clone(&life.sight);
        self.observe(process, attempt, sight, ear, over);
        let watch = Watch {
            process,
            attempt,
            body,
            ending,
            child_ended: Rc::clone(&self.child_ended),
            commons: self.yard.clone(),
            inbox: self.inbox.clone(),
        };
        self.lives.insert(process, life);
        self.alarm.start(watch.over(leader, pumps));
    }

    /// The pump behind a stream; `None` where there is none, or none whose end need be waited for.
    fn connect(&mut self, life: &mut Life, process: ProcessId, stream: Connected, over: &Over) -> Option<Pump> {
        match self.try_connect(life, process, stream, over) {
            Ok(pump) => pump,
            Err(error) => {
                let name = &self.plan.processes[process.index()].name;
                self.fault(format!("a stream of `{name}` cannot be watched: {error}").into());
                None
            }
        }
    }

    fn try_connect(
        &mut self,
        life: &mut Life,
        process: ProcessId,
        stream: Connected,
        over: &Over,
    ) -> io::Result<Option<Pump>> {
        let inbox = self.inbox.clone();
        let faults = inbox.clone();
        let tap = |pipe| Tap::new(pipe, over.clone(), faults.clone());
        let pump: Pump = match stream {
            Connected::Output { pipe, log, stream } => {
                let output = self.output(life, process, Some(log), stream);
                Box::pin(output::pump(tap(pipe)?, output))
            }
            Connected::Tail { tail, stream } => {
                let output = self.output(life, process, None, stream);
                Box::pin(tail::follow(tail, output, over.clone()))
            }
            Connected::ToQueue(pipe, queue) => self.queue_pump(process, queue, tap(pipe)?),
            Connected::FromQueue(pipe, queue) => {
                let limits = &self.plan.queues[queue.index()];
                let share = Share::among(limits.receivers.len());
                let receiver = Receiver::new(process, queue, limits.framing, share, self.yard.clone(), inbox);
                Box::pin(receiver.pump(pipe, over.clone()))
            }
            Connected::Result(pipe) => {
                let item_bytes_max = self.result_bytes_max(process);
                Box::pin(worker::collect(tap(pipe)?, process, item_bytes_max, inbox))
            }
            Connected::Answers { pipe, log } => {
                let cutter = Cutter::new(Framing::Lines, self.result_bytes_max(process));
                let output = log.map(|log| self.output(life, process, Some(log), Stream::Stdout));
                Box::pin(worker::answers(
                    tap(pipe)?,
                    cutter,
                    output,
                    process,
                    life.attempt,
                    inbox,
                ))
            }
            Connected::Newline(pipe) => {
                self.alarm.start(newline(pipe, Rc::clone(&life.sight), over.clone()));
                return Ok(None);
            }
            Connected::Ear(ear) => {
                life.ear = Some(ear);
                return Ok(None);
            }
            Connected::Tasks(pipe) => {
                let (feed, tasks) = mpsc::channel(FEED_MAX);
                life.feed = Some(feed);
                self.alarm.start(worker::feed(
                    tokio::net::unix::pipe::Sender::from_owned_fd(pipe)?,
                    tasks,
                ));
                return Ok(None);
            }
        };
        Ok(Some(pump))
    }

    fn queue_pump(&self, process: ProcessId, queue: QueueId, tap: Tap) -> Pump {
        let limits = &self.plan.queues[queue.index()];
        let cutter = Cutter::new(limits.framing, limits.max_item);
        let sender = Sender {
            process,
            queue,
            name: limits.name.as_str().into(),
            is_stream: self.has_one_reader(queue),
            slot: self.engine_slot(),
            commons: self.yard.clone(),
            inbox: self.inbox.clone(),
        };
        Box::pin(sender.pump(tap, cutter))
    }

    /// Whether all of a queue goes to one process's stdin.
    fn has_one_reader(&self, queue: QueueId) -> bool {
        let [Party::Process(reader)] = self.plan.queues[queue.index()].receivers[..] else {
            return false;
        };
        let mut wires = self.plan.launches[reader.index()].fds.values();
        wires.any(|wire| matches!(wire, Wire::FromQueue(from) if *from == queue))
    }

    fn output(&self, life: &Life, process: ProcessId, log: Option<Rc<Log>>, stream: Stream) -> Output {
        let origin = Origin {
            process,
            task: life.tasks.front().copied(),
            stream,
            start: self.start,
        };
        let secrets = self.facts.secrets.clone();
        let watchword = Watchword::of(self.plan.launches[process.index()].ready.as_ref(), &life.sight);
        let when_full = self.plan.launches[process.index()].when_full;
        let outlet = || self.herald.outlet().of_process(when_full);
        let outlet = self.options.shows_output.then(outlet);
        Output::new(log, origin, outlet, self.inbox.clone(), secrets).watching_for(watchword)
    }

    /// A command beside a process, without streams.
    ///
    /// # Errors
    /// Why it could not be prepared, in words.
    pub(super) fn side_job(
        &self,
        process: ProcessId,
        command: &Program,
        environment: Environment,
    ) -> Result<Job, String> {
        let launch = &self.plan.launches[process.index()];
        let fds = (0..=2).map(|number| (None, number)).collect();
        self.job(launch, command, environment, fds)
            .map_err(|failure| failure.reason)
    }

    /// Runs the stop command of a process.
    ///
    /// # Errors
    /// Why it could not be prepared, in words.
    pub(super) fn stop_command(&self, process: ProcessId, attempt: u32, command: &Program) -> Result<(), String> {
        let launch = &self.plan.launches[process.index()];
        let environment = Environment::new(&self.facts, &self.plan, process, attempt);
        let spawned = self.spawner.spawn(self.side_job(process, command, environment)?);
        let body = self.lives.body(process, attempt).map(Rc::clone);
        let signal = launch.stop_signal;
        self.alarm.start(async move {
            match spawned.await {
                // Its exit says nothing; whether the process stops is seen by itself.
                Ok(child) => drop(crate::exit::ended(child.pidfd).await),
                Err(error) => {
                    tracing::warn!("the stop command {error}; the signal is sent instead");
                    if let Some(body) = body {
                        body.terminate(signal);
                    }
                }
            }
        });
        Ok(())
    }
}

fn working_directory(folder: &Path, launch: &Launch) -> PathBuf {
    match &launch.cwd {
        Some(cwd) => folder.join(cwd),
        None => folder.to_owned(),
    }
}

fn c_path(path: &Path) -> Result<CString, Failure> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Failure::from("a path has a NUL byte".to_owned()))
}

/// Who it runs as; `None`: as the engine.
fn identity(launch: &Launch) -> Result<Option<Identity>, Failure> {
    let identity = Identity::of(launch.user.as_deref(), launch.group.as_deref());
    identity.map_err(|unknown| unknown.to_string().into())
}
