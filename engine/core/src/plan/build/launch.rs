//! How each process is started: where its descriptors lead and what its clients may touch.

use super::{Builder, Owner, sort_once};
use crate::id::{PipeId, QueueId};
use crate::plan::{Channel, Grant, Hold, Inside, Launch, Op, Program, Resource, Side, Wire, Wires};
use crate::spec::target::{Role, Target};
use crate::spec::{self, Body, Descriptor, Probe, ProtocolStep, ProtocolVerb, Reference, Stream};

/// Whose standard streams they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Streams {
    /// A process's own.
    OfProcess,
    /// A worker's: tasks come in at stdin, and what leaves at stdout for a queue are results.
    OfWorker,
}

/// Which way bytes go through a descriptor.
#[derive(Clone, Copy)]
enum Way {
    In,
    Out,
}

impl Builder<'_> {
    pub(super) fn launch(&mut self, owner: Owner, body: &Body, index: u32, streams: Streams) -> Launch {
        let log = body.log.as_deref().cloned().unwrap_or_default();
        Launch {
            program: body.run.clone().unwrap_or_else(nothing),
            cwd: path(body.cwd.as_deref()),
            env: body.env.clone(),
            clear_env: body.clear_env,
            user: path(body.user.as_deref()),
            group: path(body.group.as_deref()),
            limits: body.limits.as_deref().map(|(limits, _)| *limits).unwrap_or_default(),
            cpus: body.cpus.clone(),
            tty: body.tty.is_some(),
            umask: body.umask,
            nice: body.nice,
            index,
            stop_signal: body.stop.signal,
            stop_command: body.stop.command.as_deref().cloned(),
            fds: self.descriptors(owner, body, streams),
            connects: self.connects(owner, body),
            grants: self.grants(owner, body),
            inside: self.inside(body),
            log_file: path(log.file.as_ref()),
            prefix: log.prefix,
            ready: body.ready.as_deref().cloned(),
            live: body.live.as_deref().cloned(),
            sockets: body.sockets.clone(),
            rotate: log.rotate,
            when_full: log.when_full,
            on_engine_loss: body.on_engine_loss.0,
        }
    }

    fn descriptors(&mut self, owner: Owner, body: &Body, streams: Streams) -> Wires {
        let stdin = match streams {
            Streams::OfWorker => Wire::Tasks,
            Streams::OfProcess => self.stream(owner, Role::Stdin, &body.stdin),
        };
        let stdout = match (streams, self.stream(owner, Role::Stdout, &body.stdout)) {
            (Streams::OfWorker, Wire::ToQueue(_)) => Wire::Results,
            (Streams::OfWorker | Streams::OfProcess, wire) => wire,
        };
        let stderr = self.stream(owner, Role::Stderr, &body.stderr);
        let mut fds: Wires = [(0, stdin), (1, stdout), (2, stderr)].into_iter().collect();
        for (number, descriptor) in &body.fds {
            let wire = self.descriptor(owner, *number, descriptor);
            fds.insert(*number, wire);
        }
        if let Some(Probe {
            way: spec::Way::NotifyFd(number),
            ..
        }) = body.ready.as_deref()
        {
            fds.insert(*number, Wire::Notify);
        }
        fds
    }

    fn descriptor(&mut self, owner: Owner, number: i32, descriptor: &Descriptor) -> Wire {
        match descriptor {
            Descriptor::Send(channel) => self.channel(owner, Role::Send(number), Way::Out, channel),
            Descriptor::Receive(channel) => self.channel(owner, Role::Receive(number), Way::In, channel),
            Descriptor::End(end) => self
                .end(owner, Role::End(number), end)
                .map_or(Wire::Null, |(pipe, side)| Wire::Duplex(pipe, side)),
            // As in a shell, a file on a further descriptor is more often written than read.
            Descriptor::Stream(stream) => self.stream(owner, Role::Send(number), stream),
        }
    }

    fn stream(&mut self, owner: Owner, role: Role, stream: &Stream) -> Wire {
        let way = if role == Role::Stdin { Way::In } else { Way::Out };
        match (stream, way) {
            (Stream::Null, _) => Wire::Null,
            (Stream::Inherit, _) => Wire::Inherit,
            (Stream::Log, _) => Wire::Log,
            (Stream::Stdout, _) => Wire::Stdout,
            (Stream::Channel(channel), way) => self.channel(owner, role, way, channel),
            (Stream::File(path, _), Way::In) => Wire::ReadFile(path.clone()),
            (Stream::File(path, _), Way::Out) => Wire::WriteFile(path.clone()),
            (Stream::Append(path, _), _) => Wire::AppendFile(path.clone()),
            (Stream::Text(text), _) => Wire::Text(text.clone()),
        }
    }

    fn channel(&mut self, owner: Owner, role: Role, way: Way, channel: &Reference) -> Wire {
        match self.resolve(role, channel) {
            Some(Target::Queue(queue)) => self.wire_queue(owner, way, queue),
            Some(Target::Pipe(pipe)) => self.wire_pipe(owner, way, pipe),
            // The reference does not resolve, so the plan is refused at the end.
            Some(_) | None => Wire::Null,
        }
    }

    fn wire_queue(&mut self, owner: Owner, way: Way, id: QueueId) -> Wire {
        let queue = &mut self.plan.queues[id.index()];
        match way {
            Way::In => {
                queue.receivers.push(owner.party);
                Wire::FromQueue(id)
            }
            Way::Out => {
                queue.senders.push(owner.party);
                Wire::ToQueue(id)
            }
        }
    }

    fn wire_pipe(&mut self, owner: Owner, way: Way, id: PipeId) -> Wire {
        let pipe = &mut self.plan.pipes[id.index()];
        match way {
            Way::In => {
                pipe.receivers.push(owner.process);
                Wire::PipeReader(id)
            }
            Way::Out => {
                pipe.senders.push(owner.process);
                Wire::PipeWriter(id)
            }
        }
    }

    fn connects(&mut self, owner: Owner, body: &Body) -> Vec<(PipeId, Side)> {
        let mut ends: Vec<_> = body
            .connects
            .iter()
            .filter_map(|end| self.end(owner, Role::Connects, end))
            .collect();
        sort_once(&mut ends);
        ends
    }

    fn end(&mut self, owner: Owner, role: Role, end: &Reference) -> Option<(PipeId, Side)> {
        let Target::End(id, side) = self.resolve(role, end)? else {
            return None;
        };
        let pipe = &mut self.plan.pipes[id.index()];
        match side {
            Side::Left => pipe.senders.push(owner.process),
            Side::Right => pipe.receivers.push(owner.process),
        }
        Some((id, side))
    }

    fn inside(&mut self, body: &Body) -> Inside {
        let acquires = body.acquires.iter();
        let acquires = acquires.filter_map(|hold| {
            let resource = self.resource(Role::Acquires, &hold.on)?;
            let permits = match resource {
                Resource::Lock(_) => 1,
                Resource::Semaphore(_) => hold.permits,
            };
            Some(Hold { resource, permits })
        });
        Inside {
            acquires: acquires.collect(),
            protocol: body.protocol.as_ref().map(|protocol| self.ops(body, &protocol.steps)),
        }
    }

    /// Steps whose names do not resolve are left out: the rules have told of them.
    fn ops(&mut self, body: &Body, steps: &[ProtocolStep]) -> Vec<Op> {
        let mut ops = Vec::new();
        for step in steps {
            match step {
                ProtocolStep::Repeat(inner) => ops.push(Op::Repeat(self.ops(body, inner))),
                ProtocolStep::Do {
                    verb,
                    on,
                    permits,
                    is_try,
                } => {
                    let op = self.op(body, *verb, on, *permits);
                    ops.extend(op.map(|op| if *is_try { Op::Try(Box::new(op)) } else { op }));
                }
            }
        }
        ops
    }

    fn op(&mut self, body: &Body, verb: ProtocolVerb, on: &Reference, permits: u32) -> Option<Op> {
        let target = self.names.look_up(&on.name)?;
        let resource = target.lock().map(Resource::Lock);
        let resource = resource.or_else(|| target.semaphore().map(Resource::Semaphore));
        let hold = resource.map(|resource| Hold {
            resource,
            permits: if target.lock().is_some() { 1 } else { permits },
        });
        match verb {
            ProtocolVerb::Acquire => hold.map(Op::Acquire),
            ProtocolVerb::Release => hold.map(Op::Release),
            ProtocolVerb::Put => self.channel_of(body, &target, Way::Out).map(Op::Put),
            ProtocolVerb::Get => self.channel_of(body, &target, Way::In).map(Op::Get),
            ProtocolVerb::Wait => target.event().map(Op::Wait),
            ProtocolVerb::Set => target.event().map(Op::Set),
        }
    }

    /// The way through a queue or a pipe; of a duplex pipe that is named as a whole, from or to the end that the process has.
    fn channel_of(&self, body: &Body, target: &Target, way: Way) -> Option<Channel> {
        if let Some(queue) = target.queue() {
            return Some(Channel::Queue(queue));
        }
        let pipe = target.pipe()?;
        let own = if let Target::End(_, side) = target {
            Some(*side)
        } else {
            self.end_of(body, pipe)
        };
        let from = match (own, way) {
            (None, _) | (Some(Side::Right), Way::In) => Side::Left,
            (Some(side), Way::Out) => side,
            (Some(Side::Left), Way::In) => Side::Right,
        };
        Some(Channel::Pipe(pipe, from))
    }

    /// Which end of this duplex pipe the process has.
    fn end_of(&self, body: &Body, pipe: PipeId) -> Option<Side> {
        let in_fds = body.fds.values().filter_map(|descriptor| match descriptor {
            Descriptor::End(end) => Some(end),
            Descriptor::Send(_) | Descriptor::Receive(_) | Descriptor::Stream(_) => None,
        });
        let mut ends = body.connects.iter().chain(in_fds);
        ends.find_map(|end| {
            if let Target::End(found, side) = self.names.look_up(&end.name)?
                && found == pipe
            {
                Some(side)
            } else {
                None
            }
        })
    }

    fn grants(&mut self, owner: Owner, body: &Body) -> Vec<Grant> {
        let mut grants = Vec::new();
        for queue in &body.sends {
            if let Some(queue) = self.queue(Role::Sends, queue) {
                self.plan.queues[queue.index()].senders.push(owner.party);
                grants.push(Grant::Put(queue));
            }
        }
        for queue in &body.receives {
            if let Some(queue) = self.queue(Role::Receives, queue) {
                self.plan.queues[queue.index()].receivers.push(owner.party);
                grants.push(Grant::Get(queue));
            }
        }
        for hold in &body.acquires {
            let resource = self.resource(Role::Acquires, &hold.on);
            grants.extend(resource.map(Grant::Acquire));
        }
        for (role, events, grant) in [
            (Role::Sets, &body.sets, Grant::Set as fn(_) -> _),
            (Role::Waits, &body.waits, Grant::Wait),
        ] {
            let targets = events.iter().filter_map(|event| self.resolve(role, event));
            grants.extend(targets.filter_map(|target| target.event()).map(grant));
        }
        sort_once(&mut grants);
        grants
    }
}

/// A process always has a program; the reader of the language sees to it.
fn nothing() -> Program {
    Program {
        argv: Vec::new(),
        script: false,
        place: crate::source::Span::default(),
    }
}

fn path<T>(given: Option<&(String, T)>) -> Option<String> {
    given.map(|(text, _)| text.clone())
}
