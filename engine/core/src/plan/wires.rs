//! What the descriptors of a process are wired to.

use super::Wire;

/// Each descriptor once, in ascending order. A list: most processes have three, and a tree has room for eleven in its smallest
/// node, which counts where a million are planned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wires(Vec<(i32, Wire)>);

impl Wires {
    /// Wires descriptor `number`, whatever it was wired to before.
    pub fn insert(&mut self, number: i32, wire: Wire) {
        match self.0.binary_search_by_key(&number, |(known, _)| *known) {
            Ok(place) => self.0[place].1 = wire,
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (number, wire));
            }
        }
    }

    /// Each descriptor with its wire.
    pub fn iter(&self) -> impl Iterator<Item = (i32, &Wire)> {
        self.0.iter().map(|(number, wire)| (*number, wire))
    }

    /// The wires alone.
    pub fn values(&self) -> impl Iterator<Item = &Wire> {
        self.0.iter().map(|(_, wire)| wire)
    }
}

impl FromIterator<(i32, Wire)> for Wires {
    fn from_iter<T: IntoIterator<Item = (i32, Wire)>>(wires: T) -> Self {
        let wires = wires.into_iter();
        let mut all = Self(Vec::with_capacity(wires.size_hint().0));
        for (number, wire) in wires {
            all.insert(number, wire);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_descriptor_is_there_once_and_in_its_place() {
        let mut wires: Wires = [(2, Wire::Log), (0, Wire::Null)].into_iter().collect();
        wires.insert(1, Wire::Log);
        wires.insert(2, Wire::Stdout);
        let all: Vec<_> = wires.iter().collect();
        assert_eq!(all, [(0, &Wire::Null), (1, &Wire::Log), (2, &Wire::Stdout)]);
        assert!(wires.values().eq([&Wire::Null, &Wire::Log, &Wire::Stdout]));
    }
}
