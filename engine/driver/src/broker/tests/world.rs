//! A run without processes: a yard, a broker, and clients on threads of their own.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use crate::yard::{Layout, LockKind, QueueLimits, Slot, Yard};
use forkyard_core::id::{EventId, LockId, QueueId, SemaphoreId};
use forkyard_core::plan::{
    Event, Framing, Grant, Inside, Launch, Limits, Lock, OnFailure, Plan, Process, Program, Queue, Resource, Semaphore,
};
use forkyard_core::source::Span;
use forkyard_ipc::client::Client;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::alarm::Alarm;
use crate::broker::{Broker, FromClient, Names};

/// What `ps` is answered.
pub const TABLE: &[u8] = b"[]";

/// The process `write` (slot 0) puts into `jobs`, sets `go` and acquires `report`; `read.0` (slot 1)
/// gets, waits, and acquires `report` and `slots`. Their tokens are their names without the index.
pub struct World {
    pub yard: Yard,
    pub broker: Broker,
    names: Names,
    inbox: mpsc::Receiver<FromClient>,
    folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(folder.path().join("yard")).expect("a folder");
        let (sender, inbox) = mpsc::channel(8);
        let broker = Broker::bind(&folder.path().join("socket"), sender, &Alarm::default()).expect("a socket");
        let names = Names::new(&plan(), vec!["write".to_owned(), "read".to_owned()]);
        Self {
            yard: Yard::create(&folder.path().join("yard"), layout()).expect("a yard"),
            broker,
            names,
            inbox,
            folder,
        }
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// Something that blocks, beside the turn loop.
    pub fn task<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        tokio::task::spawn_blocking(work)
    }

    /// A client of the process with that token, beside the turn loop.
    pub fn client<T: Send + 'static>(
        &self,
        token: &'static str,
        work: impl FnOnce(&mut Client) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let socket = self.socket();
        Self::task(move || work(&mut Client::of_process(&socket, token).expect("greeted")))
    }

    /// Turns until the task is done.
    pub async fn join<T>(&mut self, mut task: JoinHandle<T>) -> T {
        loop {
            tokio::select! {
                done = &mut task => return done.expect("the task did not panic"),
                from = self.inbox.recv() => self.turn(from),
            }
        }
    }

    /// Turns until it is so.
    pub async fn until(&mut self, is_so: impl Fn(&Yard) -> bool) {
        while !is_so(&self.yard) {
            self.turn_once().await;
        }
    }

    /// Turns until so many requests wait in the yard.
    pub async fn until_parked(&mut self, count: usize) {
        while self.broker.parked.len() != count {
            self.turn_once().await;
        }
    }

    /// Turns until no client is connected.
    pub async fn until_alone(&mut self) {
        while self.broker.connections() > 0 {
            self.turn_once().await;
        }
    }

    /// The slot's process is killed.
    pub fn died(&mut self, slot: Slot) {
        self.broker.look(&mut self.yard);
        self.yard.died(slot);
        self.broker.hang_up(&mut self.yard, slot);
        self.pass_on_replies();
    }

    /// No sender is left.
    pub fn close_queue(&mut self) {
        self.yard.close(0);
        self.pass_on_replies();
    }

    async fn turn_once(&mut self) {
        let from = tokio::time::timeout(Duration::from_secs(20), self.inbox.recv()).await;
        self.turn(from.expect("something happens before long"));
    }

    fn turn(&mut self, from: Option<FromClient>) {
        let from = from.expect("the broker is there");
        if let Some(wanted) = self.broker.handle(&mut self.yard, &self.names, from) {
            self.broker.reply_table(&mut self.yard, &wanted, TABLE.to_vec());
        }
        self.pass_on_replies();
    }

    /// Passes on what the yard has to say.
    pub fn pass_on_replies(&mut self) {
        loop {
            let replies = self.yard.replies();
            if replies.is_empty() {
                return;
            }
            for (ticket, reply) in replies {
                assert!(self.broker.answered(&mut self.yard, ticket, reply), "nobody else asks");
            }
        }
    }
}

fn layout() -> Layout {
    Layout {
        slots: 3,
        queues: vec![(
            "jobs".to_owned(),
            QueueLimits {
                capacity: 2,
                max_item: 2000,
            },
        )],
        locks: vec![("report".to_owned(), LockKind::Plain)],
        semaphores: vec![("slots".to_owned(), 2)],
        events: vec![("go".to_owned(), false)],
    }
}

fn plan() -> Plan {
    let lock = Resource::Lock(LockId(0));
    let semaphore = Resource::Semaphore(SemaphoreId(0));
    let (queue, event) = (QueueId(0), EventId(0));
    let name = |name: &str| name.to_owned();
    Plan {
        name: name("world"),
        timeout: None,
        pipefail: false,
        on_deadlock: forkyard_core::plan::OnDeadlock::Fail,
        processes: vec![process("write"), process("read.0")],
        launches: vec![
            launch(vec![Grant::Put(queue), Grant::Set(event), Grant::Acquire(lock)]),
            launch(vec![
                Grant::Get(queue),
                Grant::Wait(event),
                Grant::Acquire(lock),
                Grant::Acquire(semaphore),
            ]),
        ],
        pools: Vec::new(),
        queues: vec![Queue {
            name: name("jobs"),
            capacity: 2,
            framing: Framing::Lines,
            max_item: 2000,
            senders: Vec::new(),
            receivers: Vec::new(),
        }],
        pipes: Vec::new(),
        locks: vec![Lock {
            name: name("report"),
            reentrant: false,
        }],
        semaphores: vec![Semaphore {
            name: name("slots"),
            permits: 2,
        }],
        events: vec![Event {
            name: name("go"),
            set: false,
        }],
        groups: Vec::new(),
    }
}

fn process(name: &str) -> Process {
    Process {
        name: name.to_owned(),
        worker_of: None,
        after: Vec::new(),
        holds: Vec::new(),
        slot_in: None,
        daemon: false,
        timeout: None,
        grace: Duration::from_secs(10),
        success: forkyard_core::plan::Endings::of_codes(&[0]),
        restart: None,
        ready: None,
        group: None,
        on_failure: OnFailure::Fail,
    }
}

fn launch(grants: Vec<Grant>) -> Launch {
    Launch {
        program: Program {
            argv: vec!["true".to_owned()],
            script: false,
            place: Span::default(),
        },
        cwd: None,
        env: BTreeMap::new(),
        clear_env: false,
        user: None,
        group: None,
        limits: Limits::default(),
        cpus: Vec::new(),
        tty: false,
        umask: None,
        nice: None,
        index: 0,
        stop_signal: 15,
        stop_command: None,
        fds: forkyard_core::plan::Wires::default(),
        connects: Vec::new(),
        grants,
        inside: Inside::default(),
        log_file: None,
        prefix: None,
        ready: None,
        live: None,
        sockets: Vec::new(),
        rotate: None,
        when_full: forkyard_core::plan::WhenFull::Drop,
        on_engine_loss: forkyard_core::plan::OnEngineLoss::Kill,
    }
}
