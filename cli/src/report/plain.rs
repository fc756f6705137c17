//! The reporter for everything that is no terminal: the lines, one after another.

use std::io::{self, Write};

use forkyard_driver::news::{News, Receiver};

use super::text::{Text, Voice};

/// Writes everything to `out` until the run has ended; a quiet summary goes to `bad` instead.
///
/// When `out` cannot be written any more the run goes on unharmed: its news is taken and dropped, and the
/// error comes back at the end.
pub fn report(mut news: Receiver, mut text: Text, out: &mut impl Write, bad: &mut impl Write) -> io::Result<()> {
    let mut written = write_lines(out, text.opening());
    while let Some(batch) = news.blocking_recv() {
        if written.is_ok() {
            written = write_batch(&batch, &mut text, out);
        } else {
            text.tally.add_all(&batch);
        }
    }
    match text.voice() {
        Voice::Full if written.is_ok() => written = write_lines(out, text.summary()),
        Voice::Full => {}
        Voice::Quiet => write_lines(bad, text.summary())?,
    }
    written
}

fn write_batch(batch: &[News], text: &mut Text, out: &mut impl Write) -> io::Result<()> {
    for news in batch {
        if let Some(line) = text.line(news) {
            writeln!(out, "{line}")?;
        }
    }
    out.flush()
}

fn write_lines(out: &mut impl Write, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests;
