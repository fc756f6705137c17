//! Lays one tree over another.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::source::{Entry, Kind, Node};

/// The entries of `below` with those of `above` over them; where both have a key, `join` decides.
pub(crate) fn overlay(below: &Node, above: &Node, join: fn(&str, &Rc<Node>, &Rc<Node>) -> Rc<Node>) -> Node {
    let mut entries = below.entries().to_vec();
    let mut places: BTreeMap<String, usize> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        places.insert(entry.key.text().to_owned(), index);
    }
    for entry in above.entries() {
        match places.get(entry.key.text()) {
            None => entries.push(entry.clone()),
            Some(&index) => {
                let value = join(entry.key.text(), &entries[index].value, &entry.value);
                let key = Rc::clone(&entry.key);
                entries[index] = Entry { key, value };
            }
        }
    }
    Node::mapping(above.span, entries)
}

/// Lays the fields of a node over others: each field as a whole, but `env`, `with` and `params` key by key.
pub(crate) fn over_fields(below: &Node, above: &Node) -> Node {
    overlay(below, above, |key, below, above| match key {
        "env" | "with" | "params" if are_maps(below, above) => {
            Rc::new(overlay(below, above, |_, _, above| Rc::clone(above)))
        }
        _ => Rc::clone(above),
    })
}

/// Lays a workflow over another: nodes by their names, and each field by field.
pub(crate) fn over_workflow(below: &Node, above: &Node) -> Node {
    overlay(below, above, |section, below, above| match section {
        _ if !are_maps(below, above) => Rc::clone(above),
        "params" | "env" => Rc::new(overlay(below, above, |_, _, above| Rc::clone(above))),
        "defaults" | "options" => Rc::new(over_fields(below, above)),
        _ => Rc::new(overlay(below, above, |_, below, above| {
            if are_maps(below, above) {
                Rc::new(over_fields(below, above))
            } else {
                Rc::clone(above)
            }
        })),
    })
}

fn are_maps(below: &Node, above: &Node) -> bool {
    matches!((&below.kind, &above.kind), (Kind::Mapping(_), Kind::Mapping(_)))
}
