//! What all channels of a yard have in common for the engine: whom it acts for there, what it has still to do, and whether the
//! channel is sound.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use forkyard_ipc::Error;
use forkyard_ipc::channel::{Attachment, Channel, Manner, Shape, Slot as Proxy};

use super::Slot;

/// How a channel is made.
#[derive(Debug)]
pub(super) struct Making {
    pub name: String,
    pub path: PathBuf,
    pub shape: Shape,
    /// The engine's own number in it.
    pub party: u32,
}

impl Making {
    /// A channel that was just made, for the engine to use. It needs no bell: it looks after each thing it does by itself.
    pub(super) fn for_host(&self, made: &Channel) -> io::Result<Attachment> {
        Ok(Attachment {
            file: made.descriptor().try_clone_to_owned()?,
            manner: Manner::Host,
            party: self.party,
            bell: None,
        })
    }
}

/// The engine's place at a channel.
#[derive(Debug)]
pub(super) struct Post {
    channel: Arc<Channel>,
    name: String,
    proxies: BTreeMap<Slot, Proxy>,
    /// In this order, and before anything else is tried.
    errands: VecDeque<Errand>,
    condition: Condition,
}

/// Something that has to be done once the channel is not busy.
struct Errand(Box<dyn Fn() -> Result<(), Error>>);

impl fmt::Debug for Errand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errand")
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Condition {
    Sound,
    /// A program stands still in the middle of something.
    Busy,
    /// A program has overwritten it. `told`: that has been told.
    Damaged {
        told: bool,
    },
}

impl Post {
    pub(super) fn new(channel: &Arc<Channel>, making: Making) -> Self {
        channel.ring_for_clients();
        Self {
            channel: Arc::clone(channel),
            name: making.name,
            proxies: BTreeMap::new(),
            errands: VecDeque::new(),
            condition: Condition::Sound,
        }
    }

    pub(super) fn channel(&self) -> &Arc<Channel> {
        &self.channel
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The place in the channel in which the engine acts for a slot.
    pub(super) fn proxy(&mut self, slot: Slot) -> Result<Proxy, Error> {
        if let Some(proxy) = self.proxies.get(&slot) {
            return Ok(*proxy);
        }
        let proxy = self.channel.proxy(slot.party())?;
        self.proxies.insert(slot, proxy);
        Ok(proxy)
    }

    /// The same, unless it has never acted for it.
    pub(super) fn known(&self, slot: Slot) -> Option<Proxy> {
        self.proxies.get(&slot).copied()
    }

    /// Whose a place in the channel is.
    pub(super) fn slot_of(&self, place: Proxy) -> Option<Slot> {
        Slot::of_party(self.channel.party(place))
    }
}

/// What is to be done.
impl Post {
    /// Does it now or, if the channel is busy, when it is so no longer.
    ///
    /// # Errors
    /// Why it was refused, if that is known at once.
    pub(super) fn run(&mut self, errand: impl Fn() -> Result<(), Error> + 'static) -> Result<(), Error> {
        if self.is_damaged() {
            return Ok(());
        }
        if self.errands.is_empty() {
            match errand() {
                Err(Error::Busy) => {}
                Err(Error::Damaged) => {
                    self.damage();
                    return Ok(());
                }
                done => return done,
            }
        }
        self.errands.push_back(Errand(Box::new(errand)));
        Ok(())
    }

    /// Takes from a slot what it holds; whether there may be any.
    pub(super) fn let_go(&mut self, slot: Slot, orphaned: bool) -> bool {
        let Some(proxy) = self.known(slot) else { return false };
        let channel = Arc::clone(&self.channel);
        self.attend(move || channel.let_go(proxy, orphaned));
        true
    }

    /// A client has died.
    pub(super) fn bury(&mut self, client: Proxy, life: u64) {
        let channel = Arc::clone(&self.channel);
        self.attend(move || channel.bury_known(client, life));
    }

    /// Does what is not refused.
    pub(super) fn attend(&mut self, errand: impl Fn() -> Result<(), Error> + 'static) {
        if let Err(error) = self.run(errand) {
            tracing::warn!("at `{}`: {error}", self.name);
        }
    }

    /// Does what was put off.
    ///
    /// # Errors
    /// When the channel is still busy, or damaged.
    pub(super) fn work_off(&mut self) -> Result<(), Error> {
        if self.is_damaged() || self.channel.is_damaged() {
            return Err(Error::Damaged);
        }
        while let Some(Errand(errand)) = self.errands.front() {
            match errand() {
                Err(error @ (Error::Busy | Error::Damaged)) => return Err(error),
                // Whoever is refused this late has been told that it is done.
                Ok(()) | Err(_) => self.errands.pop_front(),
            };
        }
        Ok(())
    }
}

/// Whether it is sound.
impl Post {
    /// Notes how an attempt to do all that can be done has ended.
    pub(super) fn conclude(&mut self, ended: &Result<(), Error>) {
        match ended {
            Ok(()) => self.condition = Condition::Sound,
            Err(Error::Busy) => self.look_again(),
            Err(_) => self.damage(),
        }
    }

    /// It is to be looked at again soon.
    pub(super) fn look_again(&mut self) {
        if !self.is_damaged() {
            self.condition = Condition::Busy;
        }
    }

    fn damage(&mut self) {
        if !self.is_damaged() {
            self.condition = Condition::Damaged { told: false };
            self.errands.clear();
        }
    }

    pub(super) fn is_busy(&self) -> bool {
        self.condition == Condition::Busy
    }

    pub(super) fn is_damaged(&self) -> bool {
        matches!(self.condition, Condition::Damaged { .. })
    }

    /// True once: when it has been found damaged.
    pub(super) fn take_damage(&mut self) -> bool {
        let is_news = self.condition == Condition::Damaged { told: false };
        if is_news {
            self.condition = Condition::Damaged { told: true };
        }
        is_news
    }
}
