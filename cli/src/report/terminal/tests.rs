use super::*;
use crate::report::sanitise::Colors;
use crate::report::tests::{COUNT_0, READ, exited, output, plan, started};
use forkyard_core::machine::{Exit, Outcome};
use tokio::sync::mpsc;

fn text() -> Text {
    Text::new(plan(), "R1".to_owned(), Voice::Full, Colors::Drop)
}

fn as_text(out: Vec<u8>) -> String {
    String::from_utf8(out).expect("reporters write UTF-8")
}

#[test]
fn the_status_line_counts_and_never_wraps() {
    let mut text = text();
    for news in [
        started(READ),
        started(COUNT_0),
        exited(READ, Exit::Code(0), Outcome::Succeeded),
    ] {
        text.line(&news);
    }
    let elapsed = Duration::from_secs(12);
    assert_eq!(line(&text, elapsed, 80), "1 running · 3 waiting · 1 done · 00:12");
    assert_eq!(line(&text, elapsed, 12), "1 running ·");
    assert_eq!(line(&text, elapsed, 0), "");
}

#[test]
fn lines_take_the_place_of_the_status_line() {
    let (mut text, mut out) = (text(), Vec::new());
    let mut status = Status::new(Voice::Full);
    status.draw(&text, 80, &mut out).expect("a vector takes all");
    write_batch(&[output(READ, b"one")], &mut text, &mut status, &mut out).expect("a vector takes all");
    let expected = "\r\x1b[2K\x1b[2m5 waiting · 00:00\x1b[0m\r\x1b[2Kread      │ one\n";
    assert_eq!(as_text(out), expected);
}

#[test]
fn it_is_not_drawn_again_at_once() {
    let (text, mut out) = (text(), Vec::new());
    let mut status = Status::new(Voice::Full);
    status.draw(&text, 80, &mut out).expect("a vector takes all");
    let once = out.len();
    status.draw(&text, 40, &mut out).expect("a vector takes all");
    assert_eq!(out.len(), once);
}

#[test]
fn nothing_is_left_of_it_at_the_end() {
    let (sender, receiver) = mpsc::channel(4);
    sender.try_send(vec![output(READ, b"one")]).expect("there is room");
    drop(sender);
    let (mut out, mut bad) = (Vec::new(), Vec::new());
    report(receiver, text(), &mut out, &mut bad, || 80).expect("a vector takes all");
    let out = as_text(out);
    let last_status = out.rfind("\x1b[2m").expect("it was drawn");
    assert!(
        out[last_status..].contains("\r\x1b[2Kforkyard  │ word-count ended"),
        "{out:?}"
    );
    assert!(out.ends_with("see: forkyard logs R1\n"), "{out:?}");
    assert!(bad.is_empty());
}

#[test]
fn a_quiet_terminal_has_no_status_line() {
    let (mut out, text) = (Vec::new(), text());
    Status::new(Voice::Quiet)
        .draw(&text, 80, &mut out)
        .expect("a vector takes all");
    assert!(out.is_empty());
}
