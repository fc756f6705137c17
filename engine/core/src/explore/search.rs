//! The search through all situations that can come, until none is left, a deadlock is found, or the budget is spent.

#[expect(
    clippy::disallowed_types,
    reason = "millions of fingerprints are asked for and never gone through"
)]
use std::collections::HashSet;
use std::collections::VecDeque;
use std::hash::{BuildHasherDefault, Hasher};

use super::inside::{Act, Program};
use super::model::{Actor, Model};
use super::stubborn::{Choices, smallest, stuck};
use super::world::{Move, What, World};
use crate::machine::Print;

/// How the search is made smaller; without any of it, it is the full one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Method {
    /// By stubborn sets.
    pub is_stubborn: bool,
    /// By taking like processes in like situations for one.
    pub is_folded: bool,
    /// A set of actors that will never move again is a deadlock even while others can.
    pub is_early: bool,
}

impl Method {
    pub const REDUCED: Self = Self {
        is_stubborn: true,
        is_folded: true,
        is_early: true,
    };
}

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// All situations were seen, and none is a deadlock.
    Exhausted,
    /// These moves lead to a deadlock.
    Deadlock(Vec<Move>),
    /// The budget was spent before.
    Spent,
}

/// So many states at most: two million prints are 32 MB, and two of them are the same by chance once in ten million searches.
pub(super) const STATES_MAX: usize = 2_000_000;

/// As many situations are kept at once by a search in breadth.
const FRONTIER_MAX: usize = 50_000;

/// The budget is asked for after so many steps.
const STEPS_A_LOOK: usize = 32;

/// Prints are well mixed already.
#[derive(Clone, Copy, Default)]
pub(super) struct Known(u64);

impl Hasher for Known {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0 << 8 | u64::from(*byte);
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

#[expect(clippy::disallowed_types, reason = "as above")]
pub(super) type Prints = HashSet<u64, BuildHasherDefault<Known>>;

/// A search.
pub(super) struct Search<'a> {
    pub model: &'a Model,
    method: Method,
    /// May it go on?
    budget: &'a mut dyn FnMut() -> bool,
    seen: Prints,
    steps: usize,
}

/// A situation with what is to be tried in it.
struct Frame {
    /// Gone when its last move is being tried.
    world: Option<World>,
    moves: Vec<Move>,
    next: usize,
}

/// What there is to say about a situation.
enum Sight {
    Deadlock,
    Moves(Vec<Move>),
}

impl<'a> Search<'a> {
    pub fn new(model: &'a Model, method: Method, budget: &'a mut dyn FnMut() -> bool) -> Self {
        Self {
            model,
            method,
            budget,
            seen: Prints::default(),
            steps: 0,
        }
    }

    /// How many different situations were seen.
    pub fn states(&self) -> usize {
        self.seen.len()
    }

    /// Goes into depth: what is wrong is found soon, though not by the shortest way.
    pub fn in_depth(&mut self, found: &mut dyn FnMut(&World, &[Move]) -> bool) -> Outcome {
        let mut path: Vec<Move> = Vec::new();
        let mut stack = Vec::new();
        let first = World::new(self.model);
        if let Some(ended) = self.enter(first, &mut path, &mut stack, found) {
            return ended;
        }
        while let Some(frame) = stack.last_mut() {
            let Some(step) = frame.moves.get(frame.next).copied() else {
                stack.pop();
                path.pop();
                continue;
            };
            frame.next += 1;
            let is_last = frame.next == frame.moves.len();
            let world = if is_last {
                frame.world.take()
            } else {
                frame.world.clone()
            };
            let Some(mut world) = world else { continue };
            world.make(self.model, step);
            path.push(step);
            if let Some(ended) = self.enter(world, &mut path, &mut stack, found) {
                return ended;
            }
        }
        Outcome::Exhausted
    }

    /// Looks at a situation that has been reached, and puts it on the stack if it is new.
    fn enter(
        &mut self,
        world: World,
        path: &mut Vec<Move>,
        stack: &mut Vec<Frame>,
        found: &mut dyn FnMut(&World, &[Move]) -> bool,
    ) -> Option<Outcome> {
        if self.is_spent() {
            return Some(Outcome::Spent);
        }
        let (print, stands_for) = self.print(&world);
        if !self.seen.insert(print) {
            path.pop();
            return None;
        }
        match self.look(&world, &stands_for) {
            Sight::Deadlock => {
                if found(&world, path) {
                    return Some(Outcome::Deadlock(path.clone()));
                }
                path.pop();
            }
            Sight::Moves(mut moves) => {
                self.sort(&world, &mut moves, path.last().map_or(0, |step| step.actor));
                stack.push(Frame {
                    world: Some(world),
                    moves,
                    next: 0,
                });
            }
        }
        None
    }

    /// Goes into breadth: the first deadlock that is found is as near as any. Not farther than `depth` moves.
    pub fn in_breadth(&mut self, depth: usize) -> Outcome {
        let first = World::new(self.model);
        let mut steps: Vec<(usize, Option<Move>, usize)> = vec![(0, None, 0)];
        let (print, _) = self.print(&first);
        self.seen.insert(print);
        let mut frontier = VecDeque::from([(first, 0)]);
        while let Some((world, at)) = frontier.pop_front() {
            let (_, stands_for) = self.print(&world);
            let moves = match self.look(&world, &stands_for) {
                Sight::Deadlock => return Outcome::Deadlock(way_to(&steps, at)),
                Sight::Moves(moves) => moves,
            };
            if steps[at].2 >= depth {
                continue;
            }
            for step in moves {
                let mut next = world.clone();
                next.make(self.model, step);
                let (print, _) = self.print(&next);
                if self.seen.insert(print) {
                    steps.push((at, Some(step), steps[at].2 + 1));
                    frontier.push_back((next, steps.len() - 1));
                }
            }
            if frontier.len() > FRONTIER_MAX || self.is_spent() {
                return Outcome::Spent;
            }
        }
        Outcome::Exhausted
    }

    fn is_spent(&mut self) -> bool {
        self.steps += 1;
        self.seen.len() > STATES_MAX || self.steps.is_multiple_of(STEPS_A_LOOK) && !(self.budget)()
    }

    fn look(&self, world: &World, stands_for: &[Actor]) -> Sight {
        let choices = Choices::of(world, self.model);
        let is_at_end = choices.moves.is_empty();
        if (self.method.is_early || is_at_end) && !stuck(world, self.model, &choices).is_empty() {
            return Sight::Deadlock;
        }
        Sight::Moves(if self.method.is_stubborn {
            smallest(world, self.model, &choices, stands_for)
        } else {
            let movers = choices.moves.iter();
            movers
                .filter(|step| stands_for[step.actor] == step.actor)
                .copied()
                .collect()
        })
    }

    /// The fingerprint of a situation, and for each actor the first that is like it in every way.
    pub fn print(&self, world: &World) -> (u64, Vec<Actor>) {
        let model = self.model;
        let processes = model.plan.processes.len();
        let mut words: Vec<u64> = (0..processes).map(|process| world.print_of(process)).collect();
        let mut stands_for: Vec<Actor> = (0..model.actors()).collect();
        if self.method.is_folded {
            for group in &model.alike {
                let mut sorted: Vec<(u64, Actor)> = group.iter().map(|actor| (words[*actor], *actor)).collect();
                sorted.sort_unstable();
                for pair in 1..sorted.len() {
                    if sorted[pair].0 == sorted[pair - 1].0 {
                        stands_for[sorted[pair].1] = stands_for[sorted[pair - 1].1];
                    }
                }
                for (place, (word, _)) in group.iter().zip(sorted) {
                    words[*place] = word;
                }
            }
        }
        let mut print = Print::default();
        for word in words {
            print.add(word);
        }
        print.add(world.print_rest(model));
        (print.value(), stands_for)
    }

    /// What takes something first, and first for those who have the least: so that who could get into each other's way does.
    fn sort(&self, world: &World, moves: &mut [Move], last: Actor) {
        let actors = self.model.actors();
        moves.sort_by_key(|step| {
            let turn = (step.actor + actors - last - 1) % actors;
            let life = world.lives.get(step.actor);
            let has = life.map_or(0, |life| life.at + life.granted);
            (self.eagerness(world, *step), has, turn)
        });
    }

    fn eagerness(&self, world: &World, step: Move) -> u8 {
        match step.what {
            What::Grant | What::Turn(_) => 0,
            What::Do(number) => {
                let takes = match &self.model.programs[step.actor] {
                    Program::Free { .. } => number == 0,
                    Program::Exact { steps, .. } => {
                        let act = steps[world.lives[step.actor].at].act();
                        matches!(act, Some(Act::Acquire { .. } | Act::Put(_)))
                    }
                };
                u8::from(!takes)
            }
            What::Take | What::Deliver | What::Answer => 2,
            What::Leave | What::GiveUp(_) => 3,
            What::End => 4,
            What::Fail | What::Break => 5,
        }
    }
}

fn way_to(steps: &[(usize, Option<Move>, usize)], end: usize) -> Vec<Move> {
    let mut at = end;
    let mut way = Vec::new();
    while let (before, Some(step), _) = steps[at] {
        way.push(step);
        at = before;
    }
    way.reverse();
    way
}
