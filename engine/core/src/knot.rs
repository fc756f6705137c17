//! Who waits for ever: knots in a graph of waits.
//!
//! A party that waits goes on by any one of its *ways* (a process of three threads has three). A way is open once all of its
//! *needs* are met (a process that has not started needs all of its conditions). A need is met by any one of its *wakers* (an item
//! comes from any of the senders). So a cycle of waits proves nothing: what proves a deadlock is a set of parties in which each
//! way of each needs something that only members of the set could bring (a *knot*: Holt, *Some Deadlock Properties of Computer
//! Systems*, 1972, for one kind of need).
//!
//! The largest such set is what is left when everybody is taken out who may go on: whoever does not wait, and then whoever has a way all
//! of whose needs have a waker that has been taken out. These are Horn clauses, so that linear time is enough (Dowling and Gallier,
//! 1984). Most of the set only wait for the others; those who are to be told of are its innermost parts, from which no wait leads out.

mod components;
#[cfg(test)]
mod tests;

/// Somebody who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked<W> {
    /// He goes on by any of these. None at all: nothing can wake him.
    pub ways: Vec<Way<W>>,
}

/// One way to go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way<W> {
    /// All of these have to come.
    pub needs: Vec<Need<W>>,
}

/// Something that somebody waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need<W> {
    /// What it is, for whoever tells of it.
    pub what: W,
    /// Each of these could bring it, by its number in the table.
    pub wakers: Vec<usize>,
}

impl<W> Blocked<W> {
    /// Somebody who waits for one thing.
    #[must_use]
    pub fn on(need: Need<W>) -> Self {
        Self::on_all(vec![need])
    }

    /// Somebody who waits for all of these.
    #[must_use]
    pub fn on_all(needs: Vec<Need<W>>) -> Self {
        Self {
            ways: vec![Way { needs }],
        }
    }
}

/// For each party whether it waits for ever. `None` in the table is somebody who does not wait; a waker beyond the table is one, too.
#[must_use]
pub fn stuck<W>(table: &[Option<Blocked<W>>]) -> Vec<bool> {
    let mut search = Search::new(table);
    while let Some(free) = search.freed.pop() {
        for way in std::mem::take(&mut search.hopes[free]) {
            search.meet(way);
        }
    }
    search.is_stuck
}

/// The knots: the smallest sets of those who are [`stuck`] from which no wait leads to others, each in ascending order. Once somebody in
/// each of them has been helped, the others may go on, too.
#[must_use]
pub fn knots<W>(table: &[Option<Blocked<W>>]) -> Vec<Vec<usize>> {
    let is_stuck = stuck(table);
    let awaited = |party: usize| match &table[party] {
        Some(blocked) if is_stuck[party] => hopeless(blocked, &is_stuck)
            .flat_map(|need| need.wakers.iter().copied())
            .collect(),
        Some(_) | None => Vec::new(),
    };
    let arcs: Vec<Vec<usize>> = (0..table.len()).map(awaited).collect();
    let mut sinks = components::sinks(&arcs);
    sinks.retain(|sink| sink.iter().all(|party| is_stuck[*party]));
    sinks
}

/// What a party needs that nobody will bring, given who is stuck.
pub fn hopeless<'a, W>(blocked: &'a Blocked<W>, is_stuck: &'a [bool]) -> impl Iterator<Item = &'a Need<W>> {
    let needs = blocked.ways.iter().flat_map(|way| &way.needs);
    needs.filter(|need| need.wakers.iter().all(|waker| is_stuck.get(*waker) == Some(&true)))
}

/// A need, as the search knows it.
#[derive(Clone, Copy, Debug)]
struct Hope {
    party: usize,
    way: usize,
    need: usize,
}

/// The search for those who may go on.
#[derive(Debug)]
struct Search {
    is_stuck: Vec<bool>,
    /// By party and way, how many needs have not been met.
    unmet: Vec<Vec<usize>>,
    /// By party, way and need.
    is_met: Vec<Vec<Vec<bool>>>,
    /// By waker, the needs that it meets once it is free.
    hopes: Vec<Vec<Hope>>,
    /// Those found free whose hopes have not been met yet.
    freed: Vec<usize>,
}

impl Search {
    fn new<W>(table: &[Option<Blocked<W>>]) -> Self {
        let ways = |blocked: &Option<Blocked<W>>| {
            let ways = blocked.iter().flat_map(|blocked| &blocked.ways);
            ways.map(|way| way.needs.len()).collect::<Vec<usize>>()
        };
        let unmet: Vec<Vec<usize>> = table.iter().map(ways).collect();
        let mut search = Self {
            is_stuck: vec![true; table.len()],
            is_met: unmet
                .iter()
                .map(|ways| ways.iter().map(|needs| vec![false; *needs]).collect())
                .collect(),
            unmet,
            hopes: vec![Vec::new(); table.len()],
            freed: Vec::new(),
        };
        for (party, blocked) in table.iter().enumerate() {
            match blocked {
                None => search.free(party),
                Some(blocked) => search.add(party, blocked),
            }
        }
        search
    }

    fn add<W>(&mut self, party: usize, blocked: &Blocked<W>) {
        for (way, Way { needs }) in blocked.ways.iter().enumerate() {
            if needs.is_empty() {
                self.free(party);
            }
            for (need, Need { wakers, .. }) in needs.iter().enumerate() {
                let hope = Hope { party, way, need };
                for waker in wakers {
                    match self.hopes.get_mut(*waker) {
                        Some(hopes) => hopes.push(hope),
                        None => self.meet(hope),
                    }
                }
            }
        }
    }

    fn free(&mut self, party: usize) {
        if std::mem::replace(&mut self.is_stuck[party], false) {
            self.freed.push(party);
        }
    }

    fn meet(&mut self, Hope { party, way, need }: Hope) {
        if std::mem::replace(&mut self.is_met[party][way][need], true) {
            return;
        }
        self.unmet[party][way] -= 1;
        if self.unmet[party][way] == 0 {
            self.free(party);
        }
    }
}
