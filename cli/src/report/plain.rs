//! The reporter for everything that is no terminal: the lines, one after another.

use std::io::{self, Write};

use forkyard_driver::news::{News, Receiver};

use super::batches::Batches;
use super::text::{Text, Voice};

/// Writes everything to `out` until the run has ended; a quiet summary goes to `bad` instead.
///
/// When `out` cannot be written any more the run goes on unharmed: its news is taken and dropped, and the
/// error comes back at the end.
pub fn report(news: Receiver, mut text: Text, out: &mut impl Write, bad: &mut impl Write) -> io::Result<()> {
    let mut written = write_lines(out, text.opening());
    let mut lines = String::new();
    for batch in Batches::new(news) {
        if written.is_ok() {
            written = write_batch(&batch, &mut text, &mut lines, out);
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

/// Lines are written together once they have so many bytes: a batch may have hundreds of long ones.
const TOGETHER_BYTES: usize = 64 * 1024;

fn write_batch(batch: &[News], text: &mut Text, lines: &mut String, out: &mut impl Write) -> io::Result<()> {
    for news in batch {
        text.append_line(news, lines);
        if lines.len() >= TOGETHER_BYTES {
            let written = out.write_all(lines.as_bytes());
            lines.clear();
            written?;
        }
    }
    let written = out.write_all(lines.as_bytes());
    lines.clear();
    written.and_then(|()| out.flush())
}

fn write_lines(out: &mut impl Write, lines: impl IntoIterator<Item = String>) -> io::Result<()> {
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()
}

#[cfg(test)]
mod tests;
