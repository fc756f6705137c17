//! How serde walks through lists and maps of nodes.

use std::rc::Rc;
use std::slice;

use serde::de::value::U32Deserializer;
use serde::de::{DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess};

use super::{Cursor, Error, UnknownKey};
use crate::source::{Entry, Node};

/// The items of a list, without the poisoned ones.
pub(super) struct ItemAccess<'n, 's> {
    pub cursor: Cursor<'n, 's>,
    pub items: slice::Iter<'n, Rc<Node>>,
}

impl<'n> SeqAccess<'n> for ItemAccess<'n, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let cursor = self.cursor;
        let mut cursors = self.items.by_ref().map(|item| cursor.at(item));
        let next = cursors.find(|cursor| !cursor.is_poisoned());
        next.map(|cursor| seed.deserialize(cursor)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

/// The entries of a map, without the poisoned ones; keys that are not among `fields` are noted and passed over.
pub(super) struct EntryAccess<'n, 's> {
    pub cursor: Cursor<'n, 's>,
    pub entries: slice::Iter<'n, Entry>,
    pub fields: Option<&'static [&'static str]>,
    /// The value of the key that was handed out last.
    pub value: Option<Cursor<'n, 's>>,
}

impl EntryAccess<'_, '_> {
    /// Whether a struct has a field for the key.
    fn is_known(&self, key: &Node) -> bool {
        let Some(fields) = self.fields else {
            return true;
        };
        let known = fields.contains(&key.text());
        if !known {
            self.cursor.session.unknown.borrow_mut().push(UnknownKey {
                key: key.text().to_owned(),
                place: key.span,
                fields,
            });
        }
        known
    }
}

impl<'n> MapAccess<'n> for EntryAccess<'n, '_> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        while let Some(entry) = self.entries.next() {
            let value = self.cursor.at(&entry.value);
            if value.is_poisoned() || !self.is_known(&entry.key) {
                continue;
            }
            self.value = Some(value);
            let key = seed.deserialize(self.cursor.at(&entry.key));
            return key.map(Some).map_err(|mut error| {
                // A key cannot be hidden but by its value.
                error.poison = Some(entry.value.span);
                error
            });
        }
        Ok(None)
    }

    fn next_value_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<S::Value, Error> {
        let value = self.value.take().expect("serde asks for a value after its key");
        seed.deserialize(value)
    }
}

/// A place, as three numbers, and then the value that stands there.
pub(super) struct PlacedAccess<'n, 's> {
    cursor: Cursor<'n, 's>,
    step: u8,
}

impl<'n, 's> PlacedAccess<'n, 's> {
    pub fn of(cursor: Cursor<'n, 's>) -> Self {
        Self { cursor, step: 0 }
    }
}

impl<'n> SeqAccess<'n> for PlacedAccess<'n, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        let span = self.cursor.node.span;
        let number: U32Deserializer<Error> = match self.step {
            0 => span.file.into_deserializer(),
            1 => span.start.into_deserializer(),
            2 => span.end.into_deserializer(),
            _ => return seed.deserialize(self.cursor).map(Some),
        };
        self.step += 1;
        seed.deserialize(number).map(Some)
    }
}

/// One value that stands for a list of one.
pub(super) struct One<'n, 's> {
    cursor: Option<Cursor<'n, 's>>,
}

impl<'n, 's> One<'n, 's> {
    pub fn of(cursor: Cursor<'n, 's>) -> Self {
        Self { cursor: Some(cursor) }
    }
}

impl<'n> SeqAccess<'n> for One<'n, '_> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'n>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        self.cursor.take().map(|cursor| seed.deserialize(cursor)).transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(usize::from(self.cursor.is_some()))
    }
}
