//! What is written is read again, in whatever pieces; whatever else comes is an error and no panic.

use super::{
    Answer, Ask, Decoder, Frame, HEADER_BYTES, ItemId, OVERHEAD_BYTES_MAX, PAYLOAD_BYTES_MAX, Touch, Why, WireError,
};
use crate::channel::Kind;

fn asks() -> Vec<Ask> {
    let name = || "jobs".to_owned();
    vec![
        Ask::Hello {
            token: "secret".to_owned(),
            version: 1,
        },
        Ask::Put {
            name: name(),
            item: vec![0, 255, b'\n'],
            block: true,
        },
        Ask::Put {
            name: name(),
            item: Vec::new(),
            block: false,
        },
        Ask::Get {
            name: name(),
            block: true,
        },
        Ask::Ack {
            name: name(),
            item: ItemId(u64::MAX),
        },
        Ask::Nack {
            name: name(),
            item: ItemId(0),
        },
        Ask::Acquire {
            name: name(),
            permits: 3,
            block: false,
        },
        Ask::Release {
            name: name(),
            permits: 1,
        },
        Ask::Wait {
            name: name(),
            block: true,
        },
        Ask::Set { name: name() },
        Ask::Clear { name: String::new() },
        Ask::Cancel { request: 7 },
        Ask::Ps,
        Ask::Why {
            name: "count.2".to_owned(),
        },
        Ask::Attach {
            name: name(),
            touch: Touch::Hold,
        },
    ]
}

fn answers() -> Vec<Answer> {
    let mut answers = vec![
        Answer::Done,
        Answer::Item {
            id: ItemId(5),
            deliveries: 2,
            bytes: b"item".to_vec(),
        },
        Answer::Granted { orphaned: true },
        Answer::Granted { orphaned: false },
        Answer::WouldBlock,
        Answer::Closed,
        Answer::Broken,
        Answer::Table(b"[]".to_vec()),
        Answer::Channel {
            party: 3,
            kind: Kind::Lock,
        },
    ];
    answers.extend(Why::ALL.map(|why| Answer::Refused {
        why,
        message: "no, für nichts".to_owned(),
    }));
    answers
}

/// The frames in `stream` when it is fed in pieces of so many bytes.
fn decode(stream: &[u8], piece: usize, limit: usize) -> Vec<Frame> {
    let mut decoder = Decoder::new(limit);
    let mut frames = Vec::new();
    for piece in stream.chunks(piece) {
        decoder.feed(piece);
        while let Some(frame) = decoder.next_frame().expect("a well-formed stream") {
            frames.push(frame);
        }
    }
    frames
}

#[test]
fn requests_survive_any_cutting() {
    let stream: Vec<u8> = asks()
        .iter()
        .zip(100..)
        .flat_map(|(ask, request)| ask.encode(request).expect("short"))
        .collect();
    for piece in [1, 2, 15, 16, 17, 1000] {
        let frames = decode(&stream, piece, 1000);
        let decoded: Vec<Ask> = frames
            .iter()
            .map(|frame| Ask::decode(frame).expect("a request"))
            .collect();
        assert_eq!(decoded, asks());
        assert!(
            frames
                .iter()
                .map(|frame| frame.request)
                .eq(100..100 + frames.len() as u64)
        );
    }
}

#[test]
fn answers_survive_any_cutting() {
    let stream: Vec<u8> = answers()
        .iter()
        .flat_map(|answer| answer.encode(9).expect("short"))
        .collect();
    for piece in [1, 7, 1000] {
        let frames = decode(&stream, piece, 1000);
        let decoded: Vec<Answer> = frames
            .iter()
            .map(|frame| Answer::decode(frame).expect("an answer"))
            .collect();
        assert_eq!(decoded, answers());
    }
}

#[test]
fn the_header_is_as_the_table_says() {
    let frame = Ask::Get {
        name: "q".to_owned(),
        block: true,
    }
    .encode(0x0102)
    .expect("short");
    assert_eq!(frame, [3, 0, 0, 0, 3, 1, 0, 0, 2, 1, 0, 0, 0, 0, 0, 0, 1, 0, b'q']);
}

#[test]
fn a_payload_over_the_limit_is_cut_and_the_next_is_whole() {
    let large = Ask::Put {
        name: "jobs".to_owned(),
        item: vec![b'x'; 5000],
        block: true,
    };
    let mut stream = large.encode(1).expect("short");
    stream.extend(Ask::Ps.encode(2).expect("short"));
    for piece in [1, 100, HEADER_BYTES + OVERHEAD_BYTES_MAX, 4096, 100_000] {
        let frames = decode(&stream, piece, 1000);
        let [cut, whole] = &frames[..] else {
            panic!("two frames, not {}", frames.len())
        };
        assert_eq!((cut.request, cut.payload.len(), cut.cut), (1, 512, 5006 - 512));
        assert!(matches!(Ask::decode(cut), Ok(Ask::Put { name, .. }) if name == "jobs"));
        assert_eq!(Ask::decode(whole), Ok(Ask::Ps));
    }
}

#[test]
fn a_small_limit_keeps_no_more_than_it_needs() {
    let hello = Ask::Hello {
        token: "t".repeat(20),
        version: 1,
    };
    let frames = decode(&hello.encode(1).expect("short"), 3, 10);
    assert_eq!(frames.len(), 1);
    assert_eq!((frames[0].payload.len(), frames[0].cut), (26, 0));
}

#[test]
fn i8_ee6_a_claimed_length_allocates_nothing() {
    let mut decoder = Decoder::new(PAYLOAD_BYTES_MAX);
    let mut header = Ask::Ps.encode(1).expect("short");
    header[..4].copy_from_slice(&u32::try_from(PAYLOAD_BYTES_MAX).expect("1 GiB").to_le_bytes());
    decoder.feed(&header);
    assert_eq!(decoder.next_frame(), Ok(None));
    assert!(decoder.buffer.capacity() < 1000);
}

#[test]
fn what_is_no_header_ends_the_stream() {
    for (bytes, error) in [
        ([255; 16], WireError::LongPayload),
        ([0, 0, 0, 0, 12, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], WireError::Excess),
        ([0, 0, 0, 0, 12, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], WireError::Excess),
    ] {
        let mut decoder = Decoder::new(1000);
        decoder.feed(&bytes);
        assert_eq!(decoder.next_frame(), Err(error));
    }
}

fn frame(operation: u8, flags: u8, payload: &[u8]) -> Frame {
    Frame {
        operation,
        flags,
        request: 1,
        payload: payload.to_vec(),
        cut: 0,
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for (frame, error) in [
        (frame(0, 0, b""), WireError::Operation(0)),
        (frame(65, 0, b""), WireError::Operation(65)),
        (frame(3, 0, b""), WireError::Short),
        (frame(3, 0, b"\x05\x00jobs"), WireError::Short),
        (frame(3, 0, b"\x01\x00jobs"), WireError::Excess),
        (frame(3, 0, b"\x01\x00\xff"), WireError::Text),
        (frame(3, 0, b"\xff\xff"), WireError::LongText),
        (frame(4, 0, b"1234567"), WireError::Short),
        (frame(12, 1, b""), WireError::Excess),
        (frame(13, 0, b"\x00\x00\x00\x00\x01\x00q"), WireError::Excess),
        (frame(13, 0, b"\x06\x00\x00\x00\x01\x00q"), WireError::Excess),
        (frame(13, 1, b"\x01\x00\x00\x00\x01\x00q"), WireError::Excess),
    ] {
        assert_eq!(Ask::decode(&frame), Err(error), "{frame:?}");
    }
}

#[test]
fn what_is_no_answer_is_refused() {
    for (frame, error) in [
        (frame(1, 0, b""), WireError::Operation(1)),
        (frame(65, 0, b"x"), WireError::Excess),
        (frame(65, 1, b""), WireError::Excess),
        (frame(66, 0, b"12345678901"), WireError::Short),
        (frame(71, 0, b"\xff\x00\x00\x00no"), WireError::Excess),
        (frame(71, 0, b"\x00\x00\x00\x00\xff"), WireError::Text),
        (frame(73, 0, b"\x01\x00\x00\x00\x63\x00\x00\x00"), WireError::Excess),
    ] {
        assert_eq!(Answer::decode(&frame), Err(error), "{frame:?}");
    }
}

#[test]
fn a_frame_cannot_be_made_of_too_long_a_name() {
    let ask = Ask::Set { name: "x".repeat(256) };
    assert_eq!(ask.encode(1), Err(WireError::LongText));
    let ask = Ask::Set {
        name: "x".repeat(100_000),
    };
    assert_eq!(ask.encode(1), Err(WireError::LongText));
}

#[test]
fn i8_ee7_random_bytes_never_panic() {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut understood = 0;
    for _ in 0..20_000 {
        let mut bytes = [0; 40];
        for byte in &mut bytes {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            *byte = state.to_le_bytes()[3] & 0x4f;
        }
        // Headers that are mostly right reach deeper.
        bytes[1..4].fill(0);
        bytes[5] &= 1;
        bytes[6..8].fill(0);
        let mut decoder = Decoder::new(16);
        decoder.feed(&bytes);
        while let Ok(Some(frame)) = decoder.next_frame() {
            understood += u32::from(Ask::decode(&frame).is_ok()) + u32::from(Answer::decode(&frame).is_ok());
        }
    }
    assert!(understood > 0, "all of them were refused");
}
