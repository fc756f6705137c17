//! Channels that are handed to a client over its connection.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;

use forkyard_ipc::Lock;
use forkyard_ipc::channel::{Kind, Place};
use forkyard_ipc::client::Client;
use forkyard_ipc::wire::{Answer, Touch};
use tokio::io::AsyncReadExt as _;
use tokio::sync::mpsc;

use super::world::World;
use crate::broker::connection::{self, Outgoing};

fn copy(lock: &Lock) -> OwnedFd {
    lock.descriptor().try_clone_to_owned().expect("there are descriptors")
}

fn outgoing(request: u64, answer: Answer) -> Outgoing {
    Outgoing {
        request,
        answer,
        descriptors: None,
    }
}

/// The descriptors come with their own frame, however many others are written at once with it.
#[tokio::test]
async fn a_client_uses_a_channel_that_it_was_handed() {
    let lock = Lock::create(&Place::Memory, false).expect("a lock");
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    ours.set_nonblocking(true).expect("a socket");
    let stream = tokio::net::UnixStream::from_std(ours).expect("a socket");
    let (mut reading, writing) = stream.into_split();
    let (answers, to_write) = mpsc::channel(8);
    let writer = tokio::spawn(connection::write(writing, to_write));
    let client = World::task(move || {
        let mut client = Client::over(theirs, "read").expect("greeted");
        let attachment = client.attach("report", Touch::Hold).expect("handed over");
        let party = attachment.party;
        client.set("go").expect("the next answer is whole");
        let theirs = Lock::attach(attachment).expect("it is a lock");
        theirs
            .acquire_raw(forkyard_ipc::Patience::Try)
            .expect("free")
            .expect("free");
        // What it holds is not let go with the handle.
        std::mem::forget(theirs);
        party
    });
    let mut asked = [0; 200];
    assert!(reading.read(&mut asked).await.is_ok_and(|length| length > 0), "hello");
    answers.try_send(outgoing(1, Answer::Done)).expect("there is room");
    assert!(reading.read(&mut asked).await.is_ok_and(|length| length > 0), "attach");
    let channel = Answer::Channel {
        party: 7,
        kind: Kind::Lock,
    };
    let with_lock = Outgoing {
        descriptors: Some([copy(&lock), copy(&lock)]),
        ..outgoing(2, channel)
    };
    answers.try_send(with_lock).expect("there is room");
    answers.try_send(outgoing(3, Answer::Done)).expect("there is room");
    assert_eq!(client.await.expect("no panic"), 7);
    assert!(lock.owner().is_some(), "both use one lock");
    drop(answers);
    writer.await.expect("no panic");
}

#[tokio::test]
async fn only_what_is_declared_is_handed_out() {
    let mut world = World::new();
    let client = world.client("write", |client| {
        [("jobs", Touch::Get), ("jobs", Touch::Hold), ("jobz", Touch::Put)]
            .map(|(name, touch)| client.attach(name, touch).expect_err("it is refused").to_string())
    });
    assert_eq!(
        world.join(client).await,
        [
            "process `write` has not declared that it gets from `jobs`: add `receives: [jobs]` to process `write`",
            "`jobs` is a queue; only a lock or a semaphore is acquired and released",
            "there is no `jobz` in this workflow; did you mean `jobs`?",
        ]
    );
}
