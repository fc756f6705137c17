//! The client against an engine that says what the test wants it to say.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread::JoinHandle;
use std::time::Duration;

use super::{Client, ClientError, Granted, Patience};
use crate::channel::Kind;
use crate::wire::{Answer, Ask, Decoder, ItemId, Touch, Why};

/// The engine's end: it checks what it is asked, and answers as it is told.
struct Engine {
    stream: UnixStream,
    decoder: Decoder,
}

impl Engine {
    fn next_ask(&mut self) -> (u64, Ask) {
        let mut chunk = [0; 100];
        loop {
            if let Some(frame) = self.decoder.next_frame().expect("a frame") {
                return (frame.request, Ask::decode(&frame).expect("a request"));
            }
            let length = self.stream.read(&mut chunk).expect("the client is there");
            assert_ne!(length, 0, "the client has gone");
            self.decoder.feed(&chunk[..length]);
        }
    }

    fn answer(&mut self, request: u64, answer: &Answer) {
        let frame = answer.encode(request).expect("short");
        self.stream.write_all(&frame).expect("the client is there");
    }

    fn expect(&mut self, ask: &Ask, answer: &Answer) {
        let (request, asked) = self.next_ask();
        assert_eq!(asked, *ask);
        self.answer(request, answer);
    }
}

/// A client that has been greeted, and the engine's thread with its script.
fn client(script: impl FnOnce(&mut Engine) + Send + 'static) -> (Client, JoinHandle<()>) {
    let (ours, theirs) = UnixStream::pair().expect("two sockets");
    let engine = std::thread::spawn(move || {
        let mut engine = Engine {
            stream: theirs,
            decoder: Decoder::new(1000),
        };
        engine.expect(
            &Ask::Hello {
                token: "secret".to_owned(),
                version: 1,
            },
            &Answer::Done,
        );
        script(&mut engine);
    });
    (Client::over(ours, "secret").expect("greeted"), engine)
}

fn get(block: bool) -> Ask {
    Ask::Get {
        name: "jobs".to_owned(),
        block,
    }
}

fn item() -> Answer {
    Answer::Item {
        id: ItemId(3),
        deliveries: 2,
        bytes: b"work".to_vec(),
    }
}

#[test]
fn an_item_is_acknowledged_when_its_taker_says_so() {
    let (mut client, engine) = client(|engine| {
        engine.expect(&get(true), &item());
        engine.expect(
            &Ask::Ack {
                name: "jobs".to_owned(),
                item: ItemId(3),
            },
            &Answer::Done,
        );
    });
    let item = client
        .get("jobs", Patience::Block)
        .expect("an answer")
        .expect("an item");
    assert_eq!((item.bytes(), item.deliveries()), (&b"work"[..], 2));
    item.ack().expect("acknowledged");
    engine.join().expect("the script was followed");
}

#[test]
fn an_item_that_is_dropped_goes_back() {
    let (mut client, engine) = client(|engine| {
        engine.expect(&get(false), &item());
        engine.expect(
            &Ask::Nack {
                name: "jobs".to_owned(),
                item: ItemId(3),
            },
            &Answer::Done,
        );
    });
    drop(client.get("jobs", Patience::Try).expect("an answer").expect("an item"));
    engine.join().expect("the script was followed");
}

#[test]
fn ee17_at_the_time_out_the_request_is_cancelled() {
    let (mut client, engine) = client(|engine| {
        let (request, asked) = engine.next_ask();
        assert_eq!(asked, get(true));
        assert_eq!(engine.next_ask().1, Ask::Cancel { request });
        engine.answer(request, &Answer::WouldBlock);
        engine.expect(&get(false), &Answer::Closed);
    });
    let got = client.get("jobs", Patience::For(Duration::from_millis(5)));
    assert!(got.expect("an answer").is_none());
    let closed = client
        .get("jobs", Patience::For(Duration::ZERO))
        .expect_err("it is closed");
    assert!(matches!(closed, ClientError::Closed));
    engine.join().expect("the script was followed");
}

#[test]
fn ee12_a_grant_that_races_with_the_time_out_is_not_lost() {
    let (mut client, engine) = client(|engine| {
        let (request, _) = engine.next_ask();
        assert_eq!(engine.next_ask().1, Ask::Cancel { request });
        engine.answer(request, &Answer::Granted { orphaned: true });
    });
    let granted = client
        .acquire("report", 1, Patience::For(Duration::from_millis(5)))
        .expect("an answer");
    assert_eq!(granted, Some(Granted { orphaned: true }));
    engine.join().expect("the script was followed");
}

#[test]
fn a_patience_without_end_is_to_block() {
    let (mut client, engine) = client(|engine| {
        engine.expect(
            &Ask::Wait {
                name: "go".to_owned(),
                block: true,
            },
            &Answer::Done,
        );
    });
    assert!(client.wait("go", Patience::For(Duration::MAX)).expect("an answer"));
    engine.join().expect("the script was followed");
}

#[test]
fn refusals_are_told_in_the_words_of_the_engine() {
    let (mut client, engine) = client(|engine| {
        let message = "add `sends: [jobs]`".to_owned();
        let put = Ask::Put {
            name: "jobs".to_owned(),
            item: b"x".to_vec(),
            block: true,
        };
        engine.expect(
            &put,
            &Answer::Refused {
                why: Why::NotDeclared,
                message,
            },
        );
    });
    let refused = client.put("jobs", "x", Patience::Block).expect_err("it is refused");
    assert_eq!(refused.to_string(), "add `sends: [jobs]`");
    assert!(matches!(refused, ClientError::NotDeclared(_)));
    engine.join().expect("the script was followed");
}

#[test]
fn an_answer_to_another_question_is_an_error() {
    let (mut client, engine) = client(|engine| {
        engine.expect(&Ask::Ps, &Answer::Done);
        let (request, _) = engine.next_ask();
        engine.answer(request + 1, &Answer::Done);
    });
    assert!(matches!(client.ps(), Err(ClientError::Protocol(_))));
    assert!(matches!(client.set("go"), Err(ClientError::Protocol(_))));
    engine.join().expect("the script was followed");
}

#[test]
fn a_channel_without_its_descriptors_is_an_error() {
    let (mut client, engine) = client(|engine| {
        let attach = Ask::Attach {
            name: "report".to_owned(),
            touch: Touch::Hold,
        };
        let channel = Answer::Channel {
            party: 2,
            kind: Kind::Lock,
        };
        engine.expect(&attach, &channel);
    });
    let refused = client.attach("report", Touch::Hold).expect_err("none came");
    assert_eq!(
        refused.to_string(),
        "the engine of the run is not understood: two descriptors are due with a channel, and 0 came"
    );
    engine.join().expect("the script was followed");
}

#[test]
fn when_the_engine_goes_the_run_has_ended() {
    let (mut client, engine) = client(|engine| {
        engine.next_ask();
    });
    assert!(matches!(client.release("report", 1), Err(ClientError::RunEnded)));
    engine.join().expect("the script was followed");
    assert!(matches!(client.clear("go"), Err(ClientError::RunEnded)));
}

#[test]
fn without_a_socket_the_run_has_ended() {
    let gone = Client::connect(std::path::Path::new("/nonexistent/forkyard/socket"));
    assert!(matches!(gone, Err(ClientError::RunEnded)));
}

#[test]
fn too_long_a_name_is_refused_before_it_is_sent() {
    let (mut client, engine) = client(|engine| engine.expect(&Ask::Ps, &Answer::Table(b"[]".to_vec())));
    assert!(client.set(&"x".repeat(1000)).is_err());
    assert_eq!(client.ps().expect("a table"), b"[]");
    engine.join().expect("the script was followed");
}
