//! Decodes node trees by serde, so that the language is declared by plain structs.
//!
//! Serde stops at the first error. Here each error is noted, the value that has it is *poisoned*, which hides its
//! key from then on, and the decoding begins again, until nothing is left to complain about: all errors in one pass.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, Visitor};

use crate::diagnostic::{Code, Findings, codes, difference, meant, nearest, seeming};
use crate::source::{Entry, Kind, Node, Plain, Span};

mod access;
mod shapes;

use access::{EntryAccess, ItemAccess, PlacedAccess};
pub(crate) use shapes::{Any, Command, Keyed, Many, Nullable, Spanned, TextOr};

/// So many errors are looked for in one value.
const ERRORS_MAX: usize = 100;

/// Names that tell the deserializer that a value is one of [`shapes`].
const PLACED: &str = "$placed";
const MANY: &str = "$many";
const NULLABLE: &str = "$nullable";
const TEXT_OR: &str = "$text-or";
const COMMAND: &str = "$command";

/// Decodes a node; what is wrong is noted, and the values concerned are left out. `None`: nothing could be decoded.
pub(crate) fn decode<'n, T: Deserialize<'n>>(node: &'n Node, findings: &mut Findings) -> Option<T> {
    let session = Session::default();
    for _ in 0..ERRORS_MAX {
        let decoded = T::deserialize(Cursor {
            node,
            session: &session,
        });
        for unknown in session.unknown.take() {
            unknown.note(findings);
        }
        let error = match decoded {
            Ok(value) => return Some(value),
            Err(error) => error,
        };
        let place = error.place.unwrap_or(node.span);
        let finding = findings.error(error.code, place, error.message);
        if let Some(help) = error.help {
            finding.help(help);
        }
        let hidden = session.poisoned.borrow_mut().insert(error.poison.unwrap_or(place));
        if place == node.span || !hidden {
            return None;
        }
    }
    None
}

/// What one decoding has met so far.
#[derive(Default)]
struct Session {
    /// Values that are not looked at again.
    poisoned: RefCell<BTreeSet<Span>>,
    unknown: RefCell<Vec<UnknownKey>>,
}

/// A key that no field has.
struct UnknownKey {
    key: String,
    place: Span,
    fields: &'static [&'static str],
}

impl UnknownKey {
    fn note(self, findings: &mut Findings) {
        let shown = crate::source::excerpt(&self.key);
        let help = match nearest(&self.key, self.fields.iter().copied()) {
            Some(near) => meant(&self.key, near),
            None => format!("the keys here are {}", listed(self.fields)),
        };
        let message = format!("unknown key `{shown}`");
        findings.error(codes::UNKNOWN_KEY, self.place, message).help(help);
    }
}

/// `a`, `b` and `c`, each in backticks.
pub(crate) fn listed<T: AsRef<str>>(words: &[T]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("`{}`", word.as_ref())).collect();
    match quoted.split_last() {
        None => "none".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// Why a value could not be decoded. It gets its place from the innermost node that was being decoded.
#[derive(Debug)]
pub(crate) struct Error {
    code: Code,
    message: String,
    /// Whether `message` says what is wanted, and what was found is still to be added.
    wanted: bool,
    help: Option<String>,
    place: Option<Span>,
    poison: Option<Span>,
}

impl Error {
    fn new(message: String, wanted: bool) -> Self {
        Self {
            code: codes::BAD_VALUE,
            message,
            wanted,
            help: None,
            place: None,
            poison: None,
        }
    }

    /// Fixes the place, and says what stands there.
    fn at(mut self, node: &Node) -> Self {
        if self.wanted {
            self.wanted = false;
            self.message = format!("expected {}; found {}", self.message, node.describe());
            if node.is_null() {
                self.code = codes::MISSING_VALUE;
            }
            if self.help.is_none() && seeming(node.text()).is_some() {
                self.help = difference(node.text()).map(|difference| format!("it has {difference}"));
            }
        }
        self.place.get_or_insert(node.span);
        self.poison.get_or_insert(node.span);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

impl de::Error for Error {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string(), false)
    }

    fn invalid_type(_: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::new(wanted.to_string(), true)
    }

    fn invalid_value(found: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_type(found, wanted)
    }
}

fn wanted(visitor: &dyn de::Expected) -> Error {
    <Error as de::Error>::invalid_type(de::Unexpected::Other("another value"), visitor)
}

/// A place in a tree that is being decoded.
#[derive(Clone, Copy)]
struct Cursor<'n, 's> {
    node: &'n Node,
    session: &'s Session,
}

impl<'n, 's> Cursor<'n, 's> {
    fn at(self, node: &'n Node) -> Self {
        Self { node, ..self }
    }

    fn is_poisoned(self) -> bool {
        self.session.poisoned.borrow().contains(&self.node.span)
    }

    fn items(self, items: &'n [std::rc::Rc<Node>]) -> ItemAccess<'n, 's> {
        ItemAccess {
            cursor: self,
            items: items.iter(),
        }
    }

    fn entries(self, entries: &'n [Entry], fields: Option<&'static [&'static str]>) -> EntryAccess<'n, 's> {
        EntryAccess {
            cursor: self,
            entries: entries.iter(),
            fields,
            value: None,
        }
    }

    fn any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Sequence(items) => visitor.visit_seq(self.items(items)),
            Kind::Mapping(entries) => visitor.visit_map(self.entries(entries, None)),
            Kind::Scalar(scalar) => match scalar.meaning() {
                Plain::Null => visitor.visit_unit(),
                Plain::Bool(value) => visitor.visit_bool(value),
                Plain::Whole(value) => match (u64::try_from(value), i64::try_from(value)) {
                    (Ok(value), _) => visitor.visit_u64(value),
                    (_, Ok(value)) => visitor.visit_i64(value),
                    _ => Err(wanted(&visitor)),
                },
                Plain::Float(value) => visitor.visit_f64(value),
                Plain::Text(text) => visitor.visit_borrowed_str(text),
            },
        }
    }

    /// A scalar's text as it was written, whatever it may mean.
    fn text<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Scalar(scalar) if !self.node.is_null() => visitor.visit_borrowed_str(&scalar.text),
            Kind::Scalar(_) | Kind::Sequence(_) | Kind::Mapping(_) => Err(wanted(&visitor)),
        }
    }

    fn fields<V: Visitor<'n>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        match &self.node.kind {
            Kind::Mapping(entries) => visitor.visit_map(self.entries(entries, Some(fields))),
            Kind::Scalar(_) | Kind::Sequence(_) => Err(Error::new("a map of fields".to_owned(), true)),
        }
    }

    fn choice<V: Visitor<'n>>(self, choices: &'static [&'static str], visitor: V) -> Result<V::Value, Error> {
        let text = self.node.text();
        if choices.contains(&text) {
            let chosen = de::IntoDeserializer::<Error>::into_deserializer(text);
            return visitor.visit_enum(chosen);
        }
        let mut error = Error::new(format!("one of {}", listed(choices)), true);
        error.help = nearest(text, choices.iter().copied()).map(|near| meant(text, near));
        Err(error)
    }

    fn truth<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.node.plain() {
            Some(Plain::Bool(value)) => visitor.visit_bool(value),
            _ => Err(Error::new("true or false".to_owned(), true)),
        }
    }
}

/// Runs a step of the decoding and gives its error the place of this node.
macro_rules! placed {
    ($($method:ident => $step:ident),* $(,)?) => {$(
        fn $method<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
            self.$step(visitor).map_err(|error| error.at(self.node))
        }
    )*};
}

impl<'n> Deserializer<'n> for Cursor<'n, '_> {
    type Error = Error;

    placed! {
        deserialize_any => any, deserialize_bool => truth, deserialize_str => text, deserialize_string => text,
        deserialize_identifier => text, deserialize_char => text, deserialize_i8 => any, deserialize_i16 => any,
        deserialize_i32 => any, deserialize_i64 => any, deserialize_i128 => any, deserialize_u8 => any,
        deserialize_u16 => any, deserialize_u32 => any, deserialize_u64 => any, deserialize_u128 => any,
        deserialize_f32 => any, deserialize_f64 => any, deserialize_bytes => any, deserialize_byte_buf => any,
        deserialize_unit => any, deserialize_seq => any, deserialize_map => any,
    }

    /// A key that is there has a value: nothing is not the same as no key.
    fn deserialize_option<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_unit_struct<V: Visitor<'n>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'n>>(self, name: &'static str, visitor: V) -> Result<V::Value, Error> {
        let decoded = match (name, &self.node.kind) {
            (PLACED, _) => visitor.visit_seq(PlacedAccess::of(self)),
            (MANY | COMMAND, Kind::Sequence(items)) => visitor.visit_seq(self.items(items)),
            (MANY, Kind::Scalar(_) | Kind::Mapping(_)) => visitor.visit_seq(access::One::of(self)),
            (NULLABLE | TEXT_OR, Kind::Scalar(_)) if self.node.is_null() => visitor.visit_unit(),
            (TEXT_OR, Kind::Scalar(scalar)) => visitor.visit_borrowed_str(&scalar.text),
            (COMMAND, Kind::Scalar(_)) => self.text(visitor),
            (COMMAND, Kind::Mapping(_)) => Err(wanted(&visitor)),
            _ => visitor.visit_newtype_struct(self),
        };
        decoded.map_err(|error| error.at(self.node))
    }

    fn deserialize_tuple<V: Visitor<'n>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_any(visitor)
    }

    fn deserialize_struct<V: Visitor<'n>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.fields(fields, visitor).map_err(|error| error.at(self.node))
    }

    fn deserialize_enum<V: Visitor<'n>>(
        self,
        _: &'static str,
        choices: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.choice(choices, visitor).map_err(|error| error.at(self.node))
    }

    fn deserialize_ignored_any<V: Visitor<'n>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_unit()
    }
}
