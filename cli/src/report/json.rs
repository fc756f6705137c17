//! The reporter for programs: one record a line, as a JSON object.

use std::io::{self, Write};

use forkyard_core::plan::Plan;
use forkyard_driver::news::{News, Receiver};
use forkyard_driver::records;

/// Writes every record to `out` until the run has ended. As with the other reporters, an `out` that cannot be
/// written does not harm the run: the error comes back at the end.
pub fn report(mut news: Receiver, plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let mut written = Ok(());
    while let Some(batch) = news.blocking_recv() {
        if written.is_ok() {
            written = write_batch(&batch, plan, out);
        }
    }
    written
}

fn write_batch(batch: &[News], plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    for news in batch {
        writeln!(out, "{}", records::to_json(news, plan))?;
    }
    out.flush()
}
