//! The reporter for programs: one record a line, as a JSON object.

use std::io::{self, Write};

use forkyard_core::plan::Plan;
use forkyard_driver::news::{News, Receiver};
use forkyard_driver::records;

use super::batches::Batches;

/// Writes every record to `out` until the run has ended. As with the other reporters, an `out` that cannot be
/// written does not harm the run: the error comes back at the end.
pub fn report(news: Receiver, plan: &Plan, run: &str, out: &mut impl Write) -> io::Result<()> {
    let mut written = Ok(());
    for batch in Batches::new(news) {
        if written.is_ok() {
            written = write_batch(&batch, plan, run, out);
        }
    }
    written
}

fn write_batch(batch: &[News], plan: &Plan, run: &str, out: &mut impl Write) -> io::Result<()> {
    for news in batch {
        writeln!(out, "{}", records::to_json(news, plan, run))?;
    }
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{READ, exited, output, plan, started};
    use forkyard_core::machine::{Exit, Outcome};

    #[test]
    fn every_line_is_an_object_with_a_record() {
        let (sender, receiver) = tokio::sync::mpsc::channel(8);
        let batch = vec![
            started(READ),
            output(READ, b"a\nb\xff"),
            exited(READ, Exit::Code(0), Outcome::Succeeded),
        ];
        sender.try_send(batch).expect("there is room");
        drop(sender);
        let mut out = Vec::new();
        report(receiver, &plan(), "R1", &mut out).expect("a vector takes all");
        let out = String::from_utf8(out).expect("reporters write UTF-8");
        let records: Vec<String> = out
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON"))
            .map(|object| object["record"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert_eq!(records, ["started", "output", "exited"]);
    }
}
