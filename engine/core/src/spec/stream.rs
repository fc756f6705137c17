//! Streams: where standard streams and further descriptors lead.

use std::collections::BTreeMap;

use super::decode::{Keyed, Nullable, Spanned, TextOr};
use super::edge::reference;
use super::fields::{DescriptorFields, Fields, StreamField, StreamFields};
use super::values::{Bytes, Text};
use super::{Descriptor, Stream};
use crate::diagnostic::{Findings, codes};
use crate::source::{Span, excerpt};

/// The descriptors that `fds` may name.
pub(crate) const FDS: std::ops::RangeInclusive<i32> = 3..=31;

/// Which standard stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standard {
    /// Descriptor 0.
    Stdin,
    /// Descriptor 1.
    Stdout,
    /// Descriptor 2.
    Stderr,
}

impl Standard {
    const fn name(self) -> &'static str {
        match self {
            Self::Stdin => "stdin",
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    const fn default(self) -> Stream {
        match self {
            Self::Stdin => Stream::Null,
            Self::Stdout | Self::Stderr => Stream::Log,
        }
    }

    fn field(self, fields: &Fields) -> Option<&StreamField> {
        match self {
            Self::Stdin => fields.stdin.as_ref(),
            Self::Stdout => fields.stdout.as_ref(),
            Self::Stderr => fields.stderr.as_ref(),
        }
    }

    /// Where it leads.
    pub fn stream(self, fields: &Fields, findings: &mut Findings) -> Stream {
        let Some(Spanned { value, place }) = self.field(fields) else {
            return self.default();
        };
        let stream = match &value.0 {
            None => Ok(Stream::Null),
            Some(TextOr::Text(word)) => self.word(word, *place),
            Some(TextOr::Other(fields)) => self.place_of(fields),
        };
        stream.unwrap_or_else(|(message, help)| {
            // With a mistake in it, it may only seem to lead nowhere.
            if !findings.any_within(*place) {
                findings.error(codes::STREAM, *place, message).help(help);
            }
            self.default()
        })
    }

    fn word(self, word: &str, place: Span) -> Result<Stream, (String, String)> {
        match (word, self) {
            ("null", _) => Ok(Stream::Null),
            ("inherit", _) => Ok(Stream::Inherit),
            ("log", Self::Stdout | Self::Stderr) => Ok(Stream::Log),
            ("stdout", Self::Stderr) => Ok(Stream::Stdout),
            ("log", Self::Stdin) => Err((
                "a log cannot be read from".to_owned(),
                "`log` is for stdout and stderr; to read a file, write `stdin: {file: path}`".to_owned(),
            )),
            ("stdout", Self::Stdin | Self::Stdout) => Err((
                format!("`stdout` cannot be where {} leads", self.name()),
                "only stderr can join stdout".to_owned(),
            )),
            (channel, _) => Ok(Stream::Channel(reference(channel, place))),
        }
    }

    fn place_of(self, fields: &StreamFields) -> Result<Stream, (String, String)> {
        let stream = one_stream(fields.file.as_ref(), fields.append.as_ref(), fields.text.as_ref());
        let stream = stream.ok_or_else(|| {
            let choices = "`{file: path}`, `{append: path}` or, for stdin, `{text: …}`";
            (
                format!("`{}` leads to one place", self.name()),
                format!("write one of {choices}"),
            )
        })?;
        match (&stream, self) {
            (Stream::Text(_), Self::Stdout | Self::Stderr) => Err((
                format!("a text cannot be written to by {}", self.name()),
                "`text` is for stdin; an output goes to `{file: path}` or `{append: path}`".to_owned(),
            )),
            (Stream::Append(..), Self::Stdin) => Err((
                "stdin cannot append to a file".to_owned(),
                "to read a file, write `stdin: {file: path}`".to_owned(),
            )),
            _ => Ok(stream),
        }
    }
}

/// The one of these that is there; `None` when none is, or several are.
fn one_stream(
    file: Option<&Spanned<Text>>,
    append: Option<&Spanned<Text>>,
    text: Option<&Spanned<Bytes>>,
) -> Option<Stream> {
    match (file, append, text) {
        (Some(file), None, None) => Some(Stream::File(file.value.0.clone(), file.place)),
        (None, Some(append), None) => Some(Stream::Append(append.value.0.clone(), append.place)),
        (None, None, Some(text)) => Some(Stream::Text(text.value.0.clone())),
        _ => None,
    }
}

/// A descriptor of `fds` as it is written.
type DescriptorField = Spanned<Nullable<TextOr<DescriptorFields>>>;

/// The further descriptors of `fds`.
pub(crate) fn descriptors(fds: Option<&Keyed<DescriptorField>>, findings: &mut Findings) -> BTreeMap<i32, Descriptor> {
    let mut descriptors = BTreeMap::new();
    for (key, field) in fds.map_or(&[][..], |fds| &fds.0) {
        let number = key.value.parse().ok().filter(|number| FDS.contains(number));
        let Some(number) = number else {
            let message = format!(
                "expected a descriptor from {} to {}; found `{}`",
                FDS.start(),
                FDS.end(),
                excerpt(&key.value)
            );
            findings.error(codes::BAD_VALUE, key.place, message);
            continue;
        };
        if descriptors.contains_key(&number) {
            findings.error(
                codes::DUPLICATE_KEY,
                key.place,
                format!("descriptor {number} occurs twice"),
            );
        }
        match descriptor(field) {
            Some(descriptor) => {
                descriptors.insert(number, descriptor);
            }
            None if findings.any_within(field.place) => {}
            None => {
                findings
                    .error(
                        codes::STREAM,
                        field.place,
                        format!("descriptor {number} leads to one place"),
                    )
                    .help(
                        "write one of `{send: q}`, `{receive: q}`, `{end: p.left}`, `{file: path}`, `{append: path}`, \
                         `{text: …}`, `null` and `inherit`",
                    );
            }
        }
    }
    descriptors
}

fn descriptor(field: &DescriptorField) -> Option<Descriptor> {
    let fields = match &field.value.0 {
        None => return Some(Descriptor::Stream(Stream::Null)),
        Some(TextOr::Text(word)) => {
            return match word.as_str() {
                "null" => Some(Descriptor::Stream(Stream::Null)),
                "inherit" => Some(Descriptor::Stream(Stream::Inherit)),
                _ => None,
            };
        }
        Some(TextOr::Other(fields)) => fields,
    };
    let channels = [&fields.send, &fields.receive, &fields.end];
    let stream = one_stream(fields.file.as_ref(), fields.append.as_ref(), fields.text.as_ref());
    let streams =
        usize::from(fields.file.is_some()) + usize::from(fields.append.is_some()) + usize::from(fields.text.is_some());
    if channels.iter().filter(|channel| channel.is_some()).count() + streams != 1 {
        return None;
    }
    let named = |name: &Spanned<Text>| reference(&name.value.0, name.place);
    match channels {
        [Some(send), _, _] => Some(Descriptor::Send(named(send))),
        [_, Some(receive), _] => Some(Descriptor::Receive(named(receive))),
        [_, _, Some(end)] => Some(Descriptor::End(named(end))),
        [None, None, None] => stream.map(Descriptor::Stream),
    }
}
