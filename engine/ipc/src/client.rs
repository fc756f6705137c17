//! A process's way to the queues, locks, semaphores and events of its run.
//!
//! A [`Client`] is a blocking connection to the engine. It speaks for the process whose
//! `FORKYARD_TOKEN` it finds in its environment: what that process has not declared in the workflow
//! is refused, with the line of YAML that is missing. A lock or permit belongs to the process, not
//! to the connection: another program of the same process may release it, and it is released when
//! the process ends.
//!
//! ```no_run
//! use std::io::Write;
//! use std::time::Duration;
//!
//! use forkyard_ipc::client::{Client, Patience};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut client = Client::from_environment()?;
//! client.put("squares", "144", Patience::Block)?;
//! if let Some(item) = client.get("numbers", Patience::For(Duration::from_secs(2)))? {
//!     std::io::stdout().write_all(item.bytes())?;
//!     item.ack()?; // only now is it gone; who dies before leaves it to the next
//! }
//! # Ok(())
//! # }
//! ```

mod connection;
mod descriptors;
mod error;
mod item;
#[cfg(test)]
mod tests;

use std::env;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use connection::Connection;
pub use error::ClientError;
pub use item::Item;

use crate::channel::{Attachment, Manner};
pub use crate::lock::Granted;
pub use crate::patience::Patience;
use crate::wire::{Answer, Ask, Touch, VERSION};

/// A connection to the engine of a run. See the [module](self).
///
/// After an error of the kinds [`ClientError::RunEnded`] and [`ClientError::Protocol`] it is of no use any more.
#[derive(Debug)]
pub struct Client {
    connection: Connection,
}

impl Client {
    /// The client of the process that this program runs in, by `FORKYARD_SOCKET` and `FORKYARD_TOKEN`.
    ///
    /// # Errors
    /// [`ClientError::OutsideRun`] when these are not set, [`ClientError::RunEnded`] when nobody
    /// answers there, [`ClientError::UnknownToken`].
    pub fn from_environment() -> Result<Self, ClientError> {
        let set = |name| {
            env::var_os(name)
                .filter(|value| !value.is_empty())
                .ok_or(ClientError::OutsideRun)
        };
        let (socket, token) = (set("FORKYARD_SOCKET")?, set("FORKYARD_TOKEN")?);
        Self::of_process(Path::new(&socket), &token.to_string_lossy())
    }

    /// A client that belongs to no process, of the run with that socket: it may only [`Client::ps`] and ask [`Client::why`].
    pub fn connect(socket: &Path) -> Result<Self, ClientError> {
        Self::of_process(socket, "")
    }

    /// The client of the process with that token, of the run with that socket.
    pub fn of_process(socket: &Path, token: &str) -> Result<Self, ClientError> {
        let stream = UnixStream::connect(socket).map_err(ClientError::of_connect)?;
        Self::over(stream, token)
    }

    /// The same, over a connection that is there already.
    pub fn over(stream: UnixStream, token: &str) -> Result<Self, ClientError> {
        let mut client = Self {
            connection: Connection::new(stream),
        };
        client.order(&Ask::Hello {
            token: token.to_owned(),
            version: VERSION,
        })?;
        Ok(client)
    }

    /// Puts an item into a queue. False: it is full, and the patience is at its end.
    pub fn put(&mut self, queue: &str, item: impl Into<Vec<u8>>, patience: Patience) -> Result<bool, ClientError> {
        let ask = Ask::Put {
            name: queue.to_owned(),
            item: item.into(),
            block: patience.blocks(),
        };
        self.done_in_time(&ask, patience)
    }

    /// Takes the next item of a queue. `None`: it is empty, and the patience is at its end.
    ///
    /// # Errors
    /// [`ClientError::Closed`] when it is empty and has no senders any more.
    pub fn get(&mut self, queue: &str, patience: Patience) -> Result<Option<Item<'_>>, ClientError> {
        let ask = Ask::Get {
            name: queue.to_owned(),
            block: patience.blocks(),
        };
        let Some(answer) = self.ask(&ask, patience)? else {
            return Ok(None);
        };
        if let Answer::Item { id, deliveries, bytes } = answer {
            return Ok(Some(Item::new(self, queue, id, deliveries, bytes)));
        }
        Err(unexpected(&answer))
    }

    /// Acquires a lock (`permits` is 1) or permits of a semaphore. `None`: they are taken, and the
    /// patience is at its end.
    pub fn acquire(&mut self, name: &str, permits: u32, patience: Patience) -> Result<Option<Granted>, ClientError> {
        let ask = Ask::Acquire {
            name: name.to_owned(),
            permits,
            block: patience.blocks(),
        };
        let Some(answer) = self.ask(&ask, patience)? else {
            return Ok(None);
        };
        if let Answer::Granted { orphaned } = answer {
            return Ok(Some(Granted { orphaned }));
        }
        Err(unexpected(&answer))
    }

    /// Releases a lock or permits that the process holds.
    pub fn release(&mut self, name: &str, permits: u32) -> Result<(), ClientError> {
        self.order(&Ask::Release {
            name: name.to_owned(),
            permits,
        })
    }

    /// Waits until an event is set. False: it is not, and the patience is at its end.
    pub fn wait(&mut self, event: &str, patience: Patience) -> Result<bool, ClientError> {
        let ask = Ask::Wait {
            name: event.to_owned(),
            block: patience.blocks(),
        };
        self.done_in_time(&ask, patience)
    }

    /// Sets an event and wakes all who wait for it.
    pub fn set(&mut self, event: &str) -> Result<(), ClientError> {
        self.order(&Ask::Set { name: event.to_owned() })
    }

    /// Clears an event.
    pub fn clear(&mut self, event: &str) -> Result<(), ClientError> {
        self.order(&Ask::Clear { name: event.to_owned() })
    }

    /// The processes of the run, as the JSON text of the engine.
    pub fn ps(&mut self) -> Result<Vec<u8>, ClientError> {
        let answer = self.ask(&Ask::Ps, Patience::Block)?;
        if let Some(Answer::Table(json)) = answer {
            Ok(json)
        } else {
            Err(unexpected(&answer))
        }
    }

    /// Why somebody or something of the run does not get on, as the JSON text of the engine.
    ///
    /// # Errors
    /// [`ClientError::NoSuchName`] when nothing has that name, or several have it.
    pub fn why(&mut self, name: &str) -> Result<Vec<u8>, ClientError> {
        let answer = self.ask(&Ask::Why { name: name.to_owned() }, Patience::Block)?;
        if let Some(Answer::Table(json)) = answer {
            Ok(json)
        } else {
            Err(unexpected(&answer))
        }
    }

    /// Is handed a channel of the run, to use it from now on without the engine in between: pass it to
    /// [`Queue::attach`](crate::Queue::attach) and its like.
    ///
    /// What is held or taken by it belongs to this program, not to its connection here.
    ///
    /// # Errors
    /// [`ClientError::NotDeclared`] when the process has not declared that touch.
    pub fn attach(&mut self, name: &str, touch: Touch) -> Result<Attachment, ClientError> {
        let ask = Ask::Attach {
            name: name.to_owned(),
            touch,
        };
        let answer = self.ask(&ask, Patience::Block)?;
        let Some(Answer::Channel { party, kind: _ }) = answer else {
            return Err(unexpected(&answer));
        };
        let [file, bell] = self.connection.take_descriptors()?;
        Ok(Attachment {
            file,
            manner: Manner::Client,
            party,
            bell: Some(bell),
        })
    }

    /// Something that is done at once.
    fn order(&mut self, ask: &Ask) -> Result<(), ClientError> {
        let answer = self.ask(ask, Patience::Block)?;
        done(&answer.unwrap_or(Answer::WouldBlock))
    }

    /// Something that may have to wait; false when it would have to wait too long.
    fn done_in_time(&mut self, ask: &Ask, patience: Patience) -> Result<bool, ClientError> {
        let Some(answer) = self.ask(ask, patience)? else {
            return Ok(false);
        };
        done(&answer).map(|()| true)
    }

    /// `None`: it would have to wait longer than the patience reaches.
    fn ask(&mut self, ask: &Ask, patience: Patience) -> Result<Option<Answer>, ClientError> {
        let request = self.connection.send(ask)?;
        let answer = match patience {
            // The engine answers at once when it is not to wait.
            Patience::Block | Patience::Try | Patience::For(Duration::ZERO) => self.connection.receive(request)?,
            Patience::For(time) => self.connection.receive_within(request, time)?,
        };
        match answer {
            Answer::Done | Answer::Item { .. } | Answer::Granted { .. } | Answer::Table(_) | Answer::Channel { .. } => {
                Ok(Some(answer))
            }
            Answer::WouldBlock => Ok(None),
            Answer::Closed => Err(ClientError::Closed),
            Answer::Broken => Err(ClientError::Broken),
            Answer::Refused { why, message } => Err(ClientError::of_refusal(why, message)),
        }
    }
}

fn done(answer: &Answer) -> Result<(), ClientError> {
    if *answer == Answer::Done {
        Ok(())
    } else {
        Err(unexpected(answer))
    }
}

fn unexpected(answer: &impl std::fmt::Debug) -> ClientError {
    let mut told = format!("{answer:?}");
    told.truncate(told.floor_char_boundary(100));
    ClientError::Protocol(format!(
        "the engine answered {told}, which is no answer to what was asked"
    ))
}
