use super::*;
use crate::report::sanitise::Colors;
use crate::report::tests::{READ, exited, output, plan, record, started};
use forkyard_core::machine::{Exit, Outcome, Record, Verdict};
use tokio::sync::mpsc;

/// A disk that is full after so many bytes.
struct Disk {
    room: usize,
    written: Vec<u8>,
}

impl Write for Disk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = bytes.len().min(self.room - self.written.len());
        if count == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn run(voice: Voice, verdict: Verdict, room: usize) -> (io::Result<()>, String, String) {
    let (sender, receiver) = mpsc::channel(8);
    let exit = Exit::Code(verdict.exit_code());
    let outcome = if exit == Exit::Code(0) {
        Outcome::Succeeded
    } else {
        Outcome::Failed
    };
    let batches = [
        vec![started(READ), output(READ, b"one")],
        vec![exited(READ, exit, outcome), record(Record::RunEnded { verdict })],
    ];
    for batch in batches {
        sender.try_send(batch).expect("there is room");
    }
    drop(sender);
    let text = Text::new(plan(), "R1".to_owned(), voice, Colors::Drop);
    let (mut out, mut bad) = (
        Disk {
            room,
            written: Vec::new(),
        },
        Vec::new(),
    );
    let written = report(receiver, text, &mut out, &mut bad);
    let text = |bytes| String::from_utf8(bytes).expect("reporters write UTF-8");
    (written, text(out.written), text(bad))
}

#[test]
fn everything_comes_in_order() {
    let (written, out, bad) = run(Voice::Full, Verdict::Succeeded, 10_000);
    assert!(written.is_ok());
    let expected = "\
forkyard  │ run R1 of word-count
read      │ started (pid 123)
read      │ one
read      │ exited with code 0 after 1.2s
forkyard  │ word-count succeeded after 3.2s: 4 waiting · 1 done
forkyard  │ see: forkyard logs R1
";
    assert_eq!((out.as_str(), bad.as_str()), (expected, ""));
}

#[test]
fn a_quiet_run_is_its_output() {
    let (_, out, bad) = run(Voice::Quiet, Verdict::Succeeded, 10_000);
    assert_eq!((out.as_str(), bad.as_str()), ("read      │ one\n", ""));
    let (_, out, bad) = run(Voice::Quiet, Verdict::Failed, 10_000);
    assert_eq!(out, "read      │ one\n");
    assert!(bad.starts_with("forkyard  │ word-count failed after 3.2s"), "{bad}");
}

#[test]
fn a_full_disk_does_not_keep_the_run_waiting() {
    let (written, out, _) = run(Voice::Full, Verdict::Succeeded, 40);
    assert_eq!(written.map_err(|error| error.kind()), Err(io::ErrorKind::StorageFull));
    assert_eq!(out.len(), 40);
}
