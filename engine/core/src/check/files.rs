//! Files that several processes are wired to: two do not write one at the same time, and who reads it waits for who
//! writes it.

use std::collections::BTreeMap;

use super::order::{Facts, Party, parties};
use super::{Findings, Subject, codes, related};
use crate::graph::Resolved;
use crate::id::PoolId;
use crate::source::Span;
use crate::spec::target::Role;
use crate::spec::{Body, Descriptor, Stream, Tasks};

/// How a file is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// It is read.
    Read,
    /// It is emptied at the start, and written.
    Write,
    /// It is written to at its end.
    Append,
}

/// One use of a file.
#[derive(Clone, Copy)]
struct Use<'a> {
    party: Party,
    way: Way,
    /// As it is written.
    path: &'a str,
    place: Span,
}

pub(super) fn are_used_in_order(subject: &Subject, findings: &mut Findings) {
    let mut files: BTreeMap<String, Vec<Use>> = BTreeMap::new();
    for party in parties(subject.workflow) {
        for used in uses(subject, party) {
            if let Some(path) = normal(used.path) {
                files.entry(path).or_default().push(used);
            }
        }
    }
    for uses in files.values().filter(|uses| uses.len() > 1) {
        written_at_once(subject, uses, findings);
        read_too_early(subject, uses, findings);
    }
}

fn uses<'a>(subject: &Subject<'a>, party: Party) -> Vec<Use<'a>> {
    let workflow = subject.workflow;
    let body: &'a Body = party.body(workflow);
    let further = body.fds.values().filter_map(|descriptor| match descriptor {
        Descriptor::Stream(stream) => Some((stream, Way::Write)),
        Descriptor::Send(_) | Descriptor::Receive(_) | Descriptor::End(_) => None,
    });
    let standard = [
        (&body.stdin, Way::Read),
        (&body.stdout, Way::Write),
        (&body.stderr, Way::Write),
    ];
    let streams = standard
        .into_iter()
        .chain(further)
        .filter_map(|(stream, way)| match stream {
            Stream::File(path, place) => Some((way, path, *place)),
            Stream::Append(path, place) => Some((Way::Append, path, *place)),
            Stream::Null | Stream::Inherit | Stream::Log | Stream::Stdout | Stream::Channel(_) | Stream::Text(_) => {
                None
            }
        });
    let log = body
        .log
        .iter()
        .flat_map(|log| &log.file)
        .map(|(path, place)| (Way::Write, path, *place));
    let tasks = match party {
        Party::Pool(index) => workflow.pools[index].tasks.as_ref(),
        Party::Process(_) => None,
    };
    let lines = tasks.and_then(|tasks| match tasks {
        Tasks::Lines(path, place) => Some((Way::Read, path, *place)),
        Tasks::Listed(_) | Tasks::Range(..) => None,
    });
    let all = streams.chain(log).chain(lines);
    all.map(|(way, path, place)| Use {
        party,
        way,
        path,
        place,
    })
    .collect()
}

/// The path without detours; `None` for what is no file of the disk, such as `/dev/null`.
pub(super) fn normal(path: &str) -> Option<String> {
    if path.starts_with("/dev/") || path.starts_with("/proc/") {
        return None;
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    Some(format!("{root}{}", parts.join("/")))
}

/// Of those who write a file, each is compared with the next: one pair is enough to say what is wrong.
fn written_at_once(subject: &Subject, uses: &[Use], findings: &mut Findings) {
    let mut writers: Vec<Use> = uses.iter().copied().filter(|used| used.way != Way::Read).collect();
    // A process may write one file by several descriptors: it empties it once.
    writers.dedup_by_key(|used| used.party);
    for pair in writers.windows(2) {
        let [first, second] = [pair[0], pair[1]];
        let empties = first.way == Way::Write || second.way == Way::Write;
        if !empties || are_apart(subject, first.party, second.party) != Some(false) {
            continue;
        }
        let [one, other] = [first, second].map(|used| used.party.name(subject.workflow));
        let message = if one == other {
            format!(
                "several instances of `{one}` write to `{}` at the same time",
                second.path
            )
        } else {
            format!("`{one}` and `{other}` write to `{}` at the same time", second.path)
        };
        let finding = findings.warning(codes::FILE_WRITTEN_AT_ONCE, second.place, message);
        finding.help = Some(
            "each empties the file when it starts: give each a file of its own, let one wait for the other, or `append`"
                .to_owned(),
        );
        if first.place != second.place {
            finding
                .related
                .push(related(first.place, format!("`{one}` writes to it here")));
        }
        return;
    }
}

fn read_too_early(subject: &Subject, uses: &[Use], findings: &mut Findings) {
    for reader in uses.iter().filter(|used| used.way == Way::Read) {
        for writer in uses.iter().filter(|used| used.way != Way::Read) {
            if reader.party == writer.party {
                if writer.way == Way::Write {
                    read_by_its_writer(subject, reader, writer, findings);
                }
            } else if is_read_too_early(subject, reader.party, writer.party) == Some(true) {
                let [reads, writes] = [reader, writer].map(|used| used.party.name(subject.workflow));
                let message = format!(
                    "`{reads}` reads `{}`, which `{writes}` may not have written yet",
                    reader.path
                );
                let finding = findings.warning(codes::FILE_READ_TOO_EARLY, reader.place, message);
                finding.help = Some(format!("let `{reads}` wait for it: `after: {writes}`"));
                let message = format!("`{writes}` writes it here");
                finding.related.push(related(writer.place, message));
                return;
            }
        }
    }
}

fn read_by_its_writer(subject: &Subject, reader: &Use, writer: &Use, findings: &mut Findings) {
    let name = reader.party.name(subject.workflow);
    let message = format!("`{name}` empties `{}` before it reads it", reader.path);
    let finding = findings.warning(codes::FILE_READ_TOO_EARLY, reader.place, message);
    finding.help = Some("write to another file".to_owned());
    finding.related.push(related(writer.place, "emptied here"));
}

/// Whether two parties are never there at the same time; `None` when it is not known.
fn are_apart(subject: &Subject, one: Party, other: Party) -> Option<bool> {
    if share_a_place_for_one(subject, one, other) {
        return Some(true);
    }
    let [before_one, before_other] = [subject.before(one)?, subject.before(other)?];
    let in_order = before_one.has_ended(other) || before_other.has_ended(one);
    Some(in_order || before_one.exclude(&before_other))
}

/// Whether the reader may come while the writer writes, or before it; `None` when it is not known.
fn is_read_too_early(subject: &Subject, reader: Party, writer: Party) -> Option<bool> {
    let [before_reader, before_writer] = [subject.before(reader)?, subject.before(writer)?];
    let is_told = |facts: &Facts| facts.place(writer, super::order::Come::Told).is_some();
    let in_order = before_reader.has_ended(writer) || is_told(&before_reader) || before_writer.has_ended(reader);
    Some(!in_order && !before_reader.exclude(&before_writer))
}

/// Whether both hold the same lock, or take the only slot of a pool.
fn share_a_place_for_one(subject: &Subject, one: Party, other: Party) -> bool {
    let [first, second] = [one, other].map(|party| subject.touches_of(party));
    first.iter().any(|resolved| {
        let Some(target) = &resolved.target else {
            return false;
        };
        let is_single = |pool: PoolId| subject.workflow.pools[pool.index()].size == 1;
        let is_lock = resolved.touch.role == Role::Holds && target.lock().is_some();
        let is_slot = resolved.touch.role == Role::InPool && target.pool().is_some_and(is_single);
        let same = |other: &Resolved| other.touch.role == resolved.touch.role && other.target == resolved.target;
        (is_lock || is_slot) && second.iter().any(same)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detours_make_no_other_file() {
        assert_eq!(normal("./out/../a.txt").as_deref(), Some("a.txt"));
        assert_eq!(normal("/tmp//a.txt").as_deref(), Some("/tmp/a.txt"));
        assert_eq!(normal("../../a.txt").as_deref(), Some("../../a.txt"));
        assert_eq!(normal("/dev/stderr"), None);
    }
}
