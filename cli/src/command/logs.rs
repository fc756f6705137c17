//! `forkyard logs`: what the processes of a run have written.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use forkyard_driver::directory::{RunDirectory, RunState, RunSummary};
use forkyard_driver::stdio::log;

use super::runs;
use crate::exit;
use crate::failure::{Failure, reason};
use crate::report::{Colors, last_drawn, sanitised};
use crate::screen::When;

/// Its arguments.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// A run's id, then names of processes; without an id the latest run, without names all of its processes
    #[arg(value_name = "RUN|NAME")]
    words: Vec<String>,

    /// Only the last lines of each log
    #[arg(short = 'n', long, value_name = "COUNT")]
    lines: Option<usize>,

    /// Go on with new lines until the run has ended
    #[arg(short, long)]
    follow: bool,
}

const EXAMPLES: &str = "\
Examples:
  forkyard logs                                  all logs of the latest run
  forkyard logs count.2 -n 20                    the last lines of one process
  forkyard logs 20261123-141122-ab12 count       all instances of `count` in that run

The logs stand one after the other, each in the order in which it was written. When lines of two
processes were written, a log does not say; `records.jsonl` in the run's directory tells when
each started and ended.
Exit codes: 0 done, 3 no such run or process.";

/// How often logs are looked at again with `--follow`.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// How much of a log is read at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Writes the logs to stdout.
pub fn run(args: &Args, color: When) -> Result<u8, Failure> {
    refuse_unreadable(&args.words)?;
    let (run, names) = choose(runs::all()?, &args.words)?;
    let directory = RunDirectory::open(&runs::state_directory()?, &run.about.id)
        .map_err(|error| Failure::unable(format!("cannot open the run {}: {}", run.about.id, reason(&error))))?;
    let mut reader = Logs::open(&directory, &names)?;
    let mut shown = Shown {
        out: io::stdout().lock(),
        colors: color.colors(&io::stdout()),
    };
    reader.show(args.lines, &mut shown)?;
    while args.follow && is_running(&run.about.id)? {
        thread::sleep(LOOK_AGAIN);
        reader.find_more(&directory, &names)?;
        reader.show(None, &mut shown)?;
    }
    reader.show_rest(&mut shown)?;
    Ok(exit::DONE)
}

/// A run that is there, and cannot be read, is not said to be missing.
fn refuse_unreadable(words: &[String]) -> Result<(), Failure> {
    let state = runs::state_directory()?;
    match words.first().map(|id| RunDirectory::open(&state, id)) {
        Some(Err(error)) if error.kind() == io::ErrorKind::InvalidData => Err(Failure::unable(error.to_string())),
        Some(Ok(_) | Err(_)) | None => Ok(()),
    }
}

/// The run, and the names in it: the first word is a run's id when there is such a run.
fn choose(runs: Vec<RunSummary>, words: &[String]) -> Result<(RunSummary, Vec<String>), Failure> {
    let by_id = words
        .first()
        .and_then(|word| runs.iter().find(|run| run.about.id == *word).cloned());
    if let Some(run) = by_id {
        return Ok((run, words[1..].to_vec()));
    }
    // No name of a process begins with a digit.
    if let Some(id) = words
        .first()
        .filter(|word| word.starts_with(|first: char| first.is_ascii_digit()))
    {
        let message = format!("there is no run `{}`; see: forkyard runs", id.escape_debug());
        return Err(Failure::unable(message));
    }
    let latest = runs.into_iter().next_back();
    let latest = latest.ok_or_else(|| Failure::unable("there are no runs yet; start one with `forkyard run`"))?;
    Ok((latest, words.to_vec()))
}

fn is_running(id: &str) -> Result<bool, Failure> {
    let run = runs::all()?.into_iter().find(|run| run.about.id == id);
    Ok(run.is_some_and(|run| run.state == RunState::Running))
}

/// Where lines go.
struct Shown<W> {
    out: W,
    colors: Colors,
}

impl<W: Write> Shown<W> {
    fn line(&mut self, label: Option<&str>, line: &[u8]) -> io::Result<()> {
        let line = sanitised(last_drawn(line), self.colors);
        match label {
            Some(label) => writeln!(self.out, "{label} │ {line}"),
            None => writeln!(self.out, "{line}"),
        }
    }
}

/// The logs that are shown.
struct Logs {
    logs: Vec<Log>,
    /// Columns for the names, which stand before the lines when there are several logs.
    width: Option<usize>,
}

/// One log, read so far.
struct Log {
    name: String,
    path: PathBuf,
    /// What was set aside when it was rotated, the oldest first; shown before the rest.
    older: Vec<File>,
    file: File,
    /// The beginning of a line whose end has not been read yet.
    begun: Vec<u8>,
}

impl Logs {
    fn open(directory: &RunDirectory, names: &[String]) -> Result<Self, Failure> {
        let mut logs = Self {
            logs: Vec::new(),
            width: None,
        };
        logs.find_more(directory, names)?;
        // Who has said nothing yet has no log, and is known all the same.
        let all = in_order(known(directory)?.into_iter().chain(started(directory)?).collect());
        if let Some(name) = names.iter().find(|name| !all.iter().any(|one| is_meant(name, one))) {
            let known = if all.is_empty() {
                "nobody".to_owned()
            } else {
                all.join(", ")
            };
            let id = directory.id();
            let message = format!(
                "the run {id} has no log of `{}`; it has those of: {known}",
                name.escape_debug()
            );
            return Err(Failure::unable(message));
        }
        logs.label(
            all.iter()
                .filter(|name| is_wanted(names, name))
                .map(String::len)
                .collect(),
        );
        Ok(logs)
    }

    /// With several logs the names, which are so long, stand before the lines.
    fn label(&mut self, lengths: Vec<usize>) {
        if lengths.len() > 1 {
            self.width = self.width.max(lengths.into_iter().max());
        }
    }

    /// Opens the logs that are there and not open yet.
    fn find_more(&mut self, directory: &RunDirectory, names: &[String]) -> Result<(), Failure> {
        for name in known(directory)? {
            if is_wanted(names, &name) && !self.logs.iter().any(|log| log.name == name) {
                let path = directory.log(&name);
                let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
                self.logs.push(Log {
                    name,
                    older: set_aside(&path),
                    path,
                    file,
                    begun: Vec::new(),
                });
            }
        }
        self.label(self.logs.iter().map(|log| log.name.len()).collect());
        Ok(())
    }

    /// Shows what has been written since the last time; of that only the last `lines` lines.
    fn show<W: Write>(&mut self, lines: Option<usize>, shown: &mut Shown<W>) -> Result<(), Failure> {
        for log in &mut self.logs {
            let label = self.width.map(|width| format!("{:width$}", log.name));
            if let Some(count) = lines {
                log.older.clear();
                start_of_tail(&mut log.file, count).map_err(|error| unreadable(Path::new(&log.name), &error))?;
            }
            for mut older in log.older.drain(..) {
                show_new(&mut older, &mut log.begun, label.as_deref(), shown)?;
            }
            show_new(&mut log.file, &mut log.begun, label.as_deref(), shown)?;
            if log.was_set_aside() {
                let rest = File::open(&log.path).map_err(|error| unreadable(&log.path, &error))?;
                log.file = rest;
                show_new(&mut log.file, &mut log.begun, label.as_deref(), shown)?;
            }
        }
        shown.out.flush()?;
        Ok(())
    }

    /// Shows last lines that have no newline.
    fn show_rest<W: Write>(&mut self, shown: &mut Shown<W>) -> Result<(), Failure> {
        self.show(None, shown)?;
        for log in &mut self.logs {
            if !log.begun.is_empty() {
                let label = self.width.map(|width| format!("{:width$}", log.name));
                shown.line(label.as_deref(), &std::mem::take(&mut log.begun))?;
            }
        }
        shown.out.flush()?;
        Ok(())
    }
}

impl Log {
    /// Whether another file stands now where this one was opened.
    fn was_set_aside(&self) -> bool {
        let now = fs::metadata(&self.path).map(|now| (now.dev(), now.ino()));
        let then = self.file.metadata().map(|then| (then.dev(), then.ino()));
        matches!((now, then), (Ok(now), Ok(then)) if now != then)
    }
}

/// The files that were set aside before the log at `path`, the oldest first.
fn set_aside(path: &Path) -> Vec<File> {
    let mut files: Vec<File> = (1..)
        .map_while(|number| File::open(log::aside(path, number)).ok())
        .collect();
    files.reverse();
    files
}

fn show_new<W: Write>(
    file: &mut File,
    begun: &mut Vec<u8>,
    label: Option<&str>,
    shown: &mut Shown<W>,
) -> Result<(), Failure> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        let count = file
            .read(&mut chunk)
            .map_err(|error| Failure::unable(format!("cannot read a log: {}", reason(&error))))?;
        if count == 0 {
            return Ok(());
        }
        for piece in chunk[..count].split_inclusive(|byte| *byte == b'\n') {
            begun.extend_from_slice(piece);
            // A line without end is shown in pieces, so that it does not fill the memory.
            if begun.ends_with(b"\n") || begun.len() >= CHUNK_BYTES {
                let line = begun.strip_suffix(b"\n").unwrap_or(begun);
                shown.line(label, line)?;
                begun.clear();
            }
        }
    }
}

/// Moves to where the last `count` lines begin, reading backwards so that a long log costs nothing.
fn start_of_tail(file: &mut File, count: usize) -> io::Result<()> {
    let mut start = file.seek(SeekFrom::End(0))?;
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut newlines = VecDeque::new();
    let end = start;
    while start > 0 && newlines.len() <= count {
        let length = start.min(CHUNK_BYTES as u64);
        start -= length;
        file.seek(SeekFrom::Start(start))?;
        let piece = &mut chunk[..usize::try_from(length).unwrap_or(CHUNK_BYTES)];
        file.read_exact(piece)?;
        for (at, _) in piece.iter().enumerate().rev().filter(|(_, byte)| **byte == b'\n') {
            let next_line = start + at as u64 + 1;
            // The newline at the very end begins no further line.
            if next_line < end {
                newlines.push_back(next_line);
            }
        }
    }
    let from = match count {
        0 => end,
        count => newlines.get(count - 1).copied().unwrap_or(0),
    };
    file.seek(SeekFrom::Start(from)).map(|_| ())
}

/// Whether `wanted` means the process `name`: by its own name, or by that of its declaration.
fn is_meant(wanted: &str, name: &str) -> bool {
    name.strip_prefix(wanted)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Whether one of these words means the process `name`; no word means all.
fn is_wanted(words: &[String], name: &str) -> bool {
    words.is_empty() || words.iter().any(|word| is_meant(word, name))
}

/// The names of all processes that have a log, replicas in the order of their numbers.
fn known(directory: &RunDirectory) -> Result<Vec<String>, Failure> {
    let folder = directory.path().join("logs");
    let entries = match fs::read_dir(&folder) {
        // It is made with the first log.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| unreadable(&folder, &error))?,
    };
    let names = entries.filter_map(|entry| Some(entry.ok()?.file_name().to_str()?.strip_suffix(".log")?.to_owned()));
    Ok(in_order(names.collect()))
}

/// The names of all processes that have been started.
fn started(directory: &RunDirectory) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    let read = runs::each_record(directory, |record| {
        if record["record"] == "started" {
            names.extend(record["process"].as_str().map(str::to_owned));
        }
    });
    match read {
        // The run has not begun.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        read => read
            .map(|()| names)
            .map_err(|error| unreadable(&directory.records(), &error)),
    }
}

/// Each once, replicas in the order of their numbers.
fn in_order(mut names: Vec<String>) -> Vec<String> {
    names.sort_by_cached_key(|name| {
        let (declared, index) = name.split_once('.').unwrap_or((name, ""));
        (declared.to_owned(), index.parse::<u64>().unwrap_or(0))
    });
    names.dedup();
    names
}

fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::unable(format!("cannot read {}: {}", path.display(), reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tail(text: &str, count: usize, expected: &str) {
        let mut file = tempfile::tempfile().expect("a temporary file can be made");
        file.write_all(text.as_bytes()).expect("it can be written");
        start_of_tail(&mut file, count).expect("it can be read");
        let mut rest = String::new();
        file.read_to_string(&mut rest).expect("it is UTF-8");
        assert_eq!(rest, expected);
    }

    #[test]
    fn the_last_lines_are_found_from_the_end() {
        tail("a\nb\nc\n", 2, "b\nc\n");
        tail("a\nb\nc", 2, "b\nc");
        tail("a\nb\n", 9, "a\nb\n");
        tail("a\nb\n", 0, "");
        tail("", 3, "");
        let long = "x".repeat(CHUNK_BYTES);
        tail(&format!("a\n{long}\n{long}\n"), 1, &format!("{long}\n"));
    }

    #[test]
    fn a_word_that_is_no_run_is_a_process() {
        let choose = |word: &str| {
            choose(Vec::new(), &[word.to_owned()])
                .map_err(|failure| failure.to_string())
                .err()
        };
        let unknown = "there is no run `20261123-x`; see: forkyard runs";
        assert_eq!(choose("20261123-x").as_deref(), Some(unknown));
        let none = "there are no runs yet; start one with `forkyard run`";
        assert_eq!(choose("count").as_deref(), Some(none));
    }

    #[test]
    fn a_declared_name_means_all_instances() {
        assert!(is_meant("count", "count.2"));
        assert!(is_meant("count.2", "count.2"));
        assert!(!is_meant("count", "counter"));
        assert!(!is_meant("count.2", "count.20"));
    }

    #[test]
    fn lines_are_shown_whole_and_labelled_when_asked() {
        let mut file = tempfile::tempfile().expect("a temporary file can be made");
        file.write_all(b"one\n\x1b[2Jtwo\nthr").expect("it can be written");
        file.rewind().expect("it can be read from the start");
        let mut shown = Shown {
            out: Vec::new(),
            colors: Colors::Drop,
        };
        let mut begun = Vec::new();
        show_new(&mut file, &mut begun, Some("a.0"), &mut shown).expect("it can be shown");
        assert_eq!(String::from_utf8_lossy(&shown.out), "a.0 │ one\na.0 │ two\n");
        assert_eq!(begun, b"thr");
    }
}
