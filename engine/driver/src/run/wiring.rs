//! From the wires of a launch to descriptors, and the pumps behind them.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd, RawFd};
use std::rc::Rc;

use forkyard_core::id::{ProcessId, QueueId, TaskId};
use forkyard_core::plan::{FIRST_SOCKET, Launch, OnEngineLoss, Plan, Wire, WorkerKind};

use super::files::Opener;
use super::pools::framed_task;
use crate::deadlock::{Conduit, End};
use crate::directory::RunDirectory;
use crate::news::Stream;
use crate::notify::Ear;
use crate::pipes::{self, Pipes, resize};
use crate::sockets::Sockets;
use crate::spawner::TARGET_MAX;
use crate::stdio::log::{Log, Rotating};
use crate::stdio::memory;
use crate::stdio::tail::Tail;
use crate::tasks::Pools;
use crate::terminal::Terminal;

/// The engine's ends of a process's streams.
pub type Streams = Vec<Connected>;

/// The engine's end of a stream, and what is to be done there.
#[derive(Debug)]
pub enum Connected {
    /// Into the log.
    Output {
        /// To read from.
        pipe: OwnedFd,
        /// Where to.
        log: Rc<Log>,
        /// Which stream it is.
        stream: Stream,
    },
    /// In the log already: the process writes there itself.
    Tail {
        /// The log.
        tail: Tail,
        /// As which stream it is shown.
        stream: Stream,
    },
    /// Into a queue.
    ToQueue(OwnedFd, QueueId),
    /// Out of a queue.
    FromQueue(OwnedFd, QueueId),
    /// All of it is the result of a task.
    Result(OwnedFd),
    /// Each line is an answer of a persistent worker.
    Answers {
        /// To read from.
        pipe: OwnedFd,
        /// Where they are kept as well.
        log: Option<Rc<Log>>,
    },
    /// Tasks for a persistent worker.
    Tasks(OwnedFd),
    /// A newline here says that it is ready.
    Newline(OwnedFd),
    /// What it tells of itself.
    Ear(Ear),
}

impl Connected {
    /// Which pipe it is, and what the engine does there.
    pub(super) fn far(&self) -> Option<Conduit> {
        let (pipe, end) = match self {
            Self::Output { pipe, .. } | Self::Result(pipe) | Self::Answers { pipe, .. } | Self::Newline(pipe) => {
                (pipe, End::Sink)
            }
            Self::Ear(_) | Self::Tail { .. } => return None,
            Self::ToQueue(pipe, queue) => (pipe, End::Into(*queue)),
            Self::FromQueue(pipe, queue) => (pipe, End::From(*queue)),
            Self::Tasks(pipe) => (pipe, End::Tasks),
        };
        // Of a pipe that nobody knows the engine says nothing.
        let pipe = nix::sys::stat::fstat(pipe).ok()?.st_ino;
        Some(Conduit { pipe, end })
    }
}

/// What a wiring is made with.
pub struct Wirer<'a> {
    pub plan: &'a Plan,
    pub pipes: &'a mut Pipes,
    pub files: &'a mut Opener,
    pub pools: &'a mut Pools,
    pub sockets: &'a Sockets,
    pub directory: &'a RunDirectory,
    pub process: ProcessId,
    pub task: Option<TaskId>,
}

/// A process's descriptors, each with its number there, and the engine's ends.
#[derive(Debug, Default)]
pub struct Wiring {
    pub fds: Vec<(Option<OwnedFd>, RawFd)>,
    pub streams: Streams,
    /// Where it finds the pipes it `connects` to.
    pub connected: Vec<(String, RawFd)>,
    /// The names of its sockets, in the order of their descriptors.
    pub sockets: Vec<String>,
    /// Its terminal, and the first of its descriptors that is one.
    pub terminal: Option<(Rc<Terminal>, RawFd)>,
    log: Option<Rc<Log>>,
    /// The log that the process writes to itself.
    own_log: Option<File>,
}

/// A pipe of one page is writable only when all of it has been read.
const PAGE_BYTES: u64 = 4096;

impl Wirer<'_> {
    /// Opens and makes everything. What was made before an error is closed again.
    pub(super) fn wire(&mut self) -> io::Result<Wiring> {
        let plan = self.plan;
        let launch: &Launch = &plan.launches[self.process.index()];
        let mut wiring = Wiring::default();
        for (number, wire) in launch.fds.iter() {
            let fd = self.descriptor(&mut wiring, number, wire)?;
            wiring.fds.push((fd, number));
        }
        for (number, (socket, name)) in (FIRST_SOCKET..).zip(self.sockets.copies(self.process)?) {
            wiring.fds.push((Some(socket), number));
            wiring.sockets.push(name);
        }
        for &(pipe, side) in &launch.connects {
            let number = (3..=TARGET_MAX).find(|number| wiring.fds.iter().all(|(_, taken)| taken != number));
            let number = number.ok_or_else(|| io::Error::other("the process has no descriptor left for its pipes"))?;
            wiring.fds.push((Some(self.pipes.end(pipe, side)?), number));
            wiring.connected.push((plan.pipes[pipe.index()].name.clone(), number));
        }
        Ok(wiring)
    }

    /// What stands at a number; `None` is `/dev/null`.
    fn descriptor(&mut self, wiring: &mut Wiring, number: i32, wire: &Wire) -> io::Result<Option<OwnedFd>> {
        if self.plan.launches[self.process.index()].tty && number <= 2 && matches!(wire, Wire::Null | Wire::Log) {
            return self.terminal(wiring, number).map(Some);
        }
        let fd = match wire {
            Wire::Null => return Ok(None),
            Wire::Inherit => inherited(number),
            Wire::Log => self.logged(wiring, number),
            Wire::Stdout => match wiring.fds.iter().find(|(_, number)| *number == 1) {
                Some((Some(stdout), _)) => stdout.try_clone(),
                Some((None, _)) => return Ok(None),
                None => inherited(1),
            },
            Wire::ToQueue(queue) => output(wiring, |pipe| Connected::ToQueue(pipe, *queue)),
            Wire::FromQueue(queue) => self.queue_reader(wiring, *queue),
            Wire::PipeWriter(pipe) => self.pipes.end(*pipe, forkyard_core::plan::Side::Left),
            Wire::PipeReader(pipe) => self.pipes.end(*pipe, forkyard_core::plan::Side::Right),
            Wire::Duplex(pipe, side) => self.pipes.end(*pipe, *side),
            Wire::ReadFile(path) => Ok(self.files.read(path)?.into()),
            Wire::WriteFile(path) => Ok(self.files.write(self.plan, self.process, path)?.into()),
            Wire::AppendFile(path) => Ok(self.files.append(path)?.into()),
            Wire::Text(text) => memory::file(text.as_bytes()),
            Wire::Notify => output(wiring, Connected::Newline),
            Wire::Tasks => self.tasks(wiring),
            Wire::Results if self.is_persistent() => output(wiring, |pipe| Connected::Answers { pipe, log: None }),
            Wire::Results => output(wiring, Connected::Result),
        };
        fd.map(Some)
    }

    /// A pipe into the log; stdout and stderr share one log.
    fn logged(&mut self, wiring: &mut Wiring, number: i32) -> io::Result<OwnedFd> {
        if self.plan.launches[self.process.index()].on_engine_loss == OnEngineLoss::Keep {
            return self.own_log(wiring, number);
        }
        let log = match &wiring.log {
            Some(log) => Rc::clone(log),
            None => Rc::new(self.open_log()?),
        };
        wiring.log = Some(Rc::clone(&log));
        // Its lines are the answers to its tasks wherever they go.
        if number == 1 && self.is_persistent() {
            return output(wiring, |pipe| Connected::Answers { pipe, log: Some(log) });
        }
        let stream = if number == 2 { Stream::Stderr } else { Stream::Stdout };
        output(wiring, |pipe| Connected::Output { pipe, log, stream })
    }

    /// The log itself: no pipe breaks, and nothing is lost, when the engine dies. What is written to it, by both streams,
    /// is followed.
    fn own_log(&mut self, wiring: &mut Wiring, number: i32) -> io::Result<OwnedFd> {
        if let Some(log) = &wiring.own_log {
            return Ok(log.try_clone()?.into());
        }
        let path = self.directory.log(&self.plan.processes[self.process.index()].name);
        let log = RunDirectory::append_within(&path)?;
        let from = log.metadata()?.len();
        wiring.streams.push(Connected::Tail {
            tail: Tail::new(File::open(&path)?, from),
            stream: if number == 2 { Stream::Stderr } else { Stream::Stdout },
        });
        wiring.own_log = Some(log.try_clone()?);
        Ok(log.into())
    }

    /// The process's side of a terminal; the engine's is read into the log.
    fn terminal(&mut self, wiring: &mut Wiring, number: RawFd) -> io::Result<OwnedFd> {
        if let Some((terminal, _)) = &wiring.terminal {
            return terminal.process_side();
        }
        let log = Rc::new(self.open_log()?);
        wiring.log = Some(Rc::clone(&log));
        let terminal = Rc::new(Terminal::open()?);
        wiring.streams.push(Connected::Output {
            pipe: terminal.engine_side()?,
            log,
            stream: Stream::Stdout,
        });
        let side = terminal.process_side()?;
        wiring.terminal = Some((terminal, number));
        Ok(side)
    }

    fn open_log(&mut self) -> io::Result<Log> {
        let name = &self.plan.processes[self.process.index()].name;
        let launch = &self.plan.launches[self.process.index()];
        let also = match &launch.log_file {
            Some(path) => {
                let file = self.files.write(self.plan, self.process, path)?;
                Some(Rotating::new(file, self.files.folder().join(path), launch.rotate)?)
            }
            None => None,
        };
        Ok(Log::new(Rotating::at(self.directory.log(name), launch.rotate), also))
    }

    fn queue_reader(&mut self, wiring: &mut Wiring, queue: QueueId) -> io::Result<OwnedFd> {
        let (reader, writer) = io::pipe()?;
        let writer = OwnedFd::from(writer);
        if self.plan.queues[queue.index()].receivers.len() > 1 {
            resize(&writer, PAGE_BYTES);
        }
        wiring.streams.push(Connected::FromQueue(writer, queue));
        Ok(reader.into())
    }

    fn tasks(&mut self, wiring: &mut Wiring) -> io::Result<OwnedFd> {
        if self.is_persistent() {
            let (reader, writer) = io::pipe()?;
            wiring.streams.push(Connected::Tasks(writer.into()));
            return Ok(reader.into());
        }
        let pool = self.plan.processes[self.process.index()].worker_of;
        let item = pool
            .zip(self.task)
            .and_then(|(pool, task)| framed_task(self.pools.of(pool), task));
        memory::file(&item.unwrap_or_default())
    }

    fn is_persistent(&self) -> bool {
        let pool = self.plan.processes[self.process.index()].worker_of;
        let work = pool.and_then(|pool| self.plan.pools[pool.index()].work.as_ref());
        work.is_some_and(|work| work.worker == WorkerKind::Persistent)
    }
}

/// A pipe whose reading end stays here.
fn output(wiring: &mut Wiring, connected: impl FnOnce(OwnedFd) -> Connected) -> io::Result<OwnedFd> {
    let (reader, writer) = pipes::to_read()?;
    wiring.streams.push(connected(reader));
    Ok(writer)
}

/// The engine's own standard stream.
fn inherited(number: i32) -> io::Result<OwnedFd> {
    match number {
        0 => io::stdin().as_fd().try_clone_to_owned(),
        1 => io::stdout().as_fd().try_clone_to_owned(),
        2 => io::stderr().as_fd().try_clone_to_owned(),
        _ => Err(io::Error::other(format!(
            "descriptor {number} of the engine cannot be inherited"
        ))),
    }
}
