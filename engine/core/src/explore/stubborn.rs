//! Which moves need be tried in a situation, and who will never move again.
//!
//! *Stubborn sets* (Valmari, "Stubborn sets for reduced state space generation", 1991): of all that may happen, it is enough to try
//! the moves of a set of actors that is closed – with an actor who can move, all who may do something that does not go with that
//! move in either order; with one who cannot, all who could help him. Every deadlock that the full search finds is found all the
//! same, after as many steps. A set in which nobody can move is a deadlock itself, whatever the others do.

use super::model::{Actor, Model};
use super::moves::Need;
use super::world::{Move, World};

/// What may happen in a situation, by actor.
#[derive(Clone, Debug, Default)]
pub(super) struct Choices {
    pub moves: Vec<Move>,
    /// Where the moves of each actor begin, with one more entry for the end.
    first: Vec<usize>,
}

impl Choices {
    pub fn of(world: &World, model: &Model) -> Self {
        let mut choices = Self::default();
        for actor in 0..model.actors() {
            choices.first.push(choices.moves.len());
            world.moves(model, actor, &mut choices.moves);
        }
        choices.first.push(choices.moves.len());
        choices
    }

    pub fn by(&self, actor: Actor) -> &[Move] {
        &self.moves[self.first[actor]..self.first[actor + 1]]
    }
}

/// Who will never move again though there is something that they wait for: the greatest set of those who cannot move and of whose
/// helpers none is outside of the set. Empty when the run can go on to its end.
pub(super) fn stuck(world: &World, model: &Model, choices: &Choices) -> Vec<(Actor, Need)> {
    if world.is_over {
        return Vec::new();
    }
    let actors = model.actors();
    let mut helped_by: Vec<Vec<Actor>> = vec![Vec::new(); actors];
    let mut needs: Vec<Option<Need>> = vec![None; actors];
    let mut alive: Vec<Actor> = Vec::new();
    let mut can_move = vec![false; actors];
    for actor in 0..actors {
        let is_idle = choices.by(actor).is_empty();
        let need = is_idle.then(|| world.need(model, actor)).flatten();
        if let Some(need) = need {
            needs[actor] = Some(need);
            for helper in world.helpers(model, need) {
                helped_by[helper].push(actor);
            }
        } else if !is_idle || model.stays(actor) {
            // Who waits for something else of a daemon that runs than what it keeps is not held against it.
            can_move[actor] = true;
            alive.push(actor);
        }
    }
    while let Some(helper) = alive.pop() {
        for actor in std::mem::take(&mut helped_by[helper]) {
            if !can_move[actor] {
                can_move[actor] = true;
                alive.push(actor);
            }
        }
    }
    let stuck = needs.into_iter().enumerate();
    let stuck: Vec<_> = stuck
        .filter(|(actor, _)| !can_move[*actor])
        .filter_map(|(actor, need)| Some((actor, need?)))
        .collect();
    if stuck.iter().all(|(actor, _)| is_harmless(model, *actor)) {
        return Vec::new();
    }
    stuck
}

/// Whether it may wait for ever without harm: a daemon is stopped when all others have ended, and a pool that lends slots
/// waits for its processes alone.
pub(super) fn is_harmless(model: &Model, actor: Actor) -> bool {
    let pool = model.pool_of_actor(actor).map(|pool| &model.plan.pools[pool.index()]);
    model.is_daemon(actor) || pool.is_some_and(|pool| pool.work.is_none())
}

/// The moves of the smallest closed set that has any; `alike` says who stands for whom (see [`super::search`]).
pub(super) fn smallest(world: &World, model: &Model, choices: &Choices, stands_for: &[Actor]) -> Vec<Move> {
    let mut best: Option<Vec<Move>> = None;
    let movers = (0..model.actors()).filter(|actor| !choices.by(*actor).is_empty() && stands_for[*actor] == *actor);
    // Daemons that stay may go round for ever in a set of their own, and nobody else would get his turn. Everybody else may end, so
    // that all get theirs where one of them leads; where there are only daemons, all of their moves are tried.
    let (daemons, leaders): (Vec<Actor>, Vec<Actor>) = movers.partition(|actor| model.stays(*actor));
    if leaders.is_empty() {
        return daemons.iter().flat_map(|actor| choices.by(*actor)).copied().collect();
    }
    for seed in leaders {
        let limit = best.as_ref().map_or(usize::MAX, Vec::len);
        let Some(set) = closed(world, model, choices, stands_for, seed, limit) else {
            continue;
        };
        let small = set.len() <= 1;
        best = Some(set);
        if small {
            break;
        }
    }
    best.unwrap_or_default()
}

/// The moves of the closed set of `seed`; `None` when they are not fewer than `limit`.
fn closed(
    world: &World,
    model: &Model,
    choices: &Choices,
    stands_for: &[Actor],
    seed: Actor,
    limit: usize,
) -> Option<Vec<Move>> {
    let mut inside = vec![false; model.actors()];
    inside[seed] = true;
    let mut counted = vec![false; model.actors()];
    let mut members = vec![seed];
    let mut moves = Vec::new();
    let mut found = Vec::new();
    while let Some(actor) = members.pop() {
        if choices.by(actor).is_empty() {
            if let Some(need) = world.need(model, actor) {
                found.extend(world.helpers(model, need));
            }
        } else {
            for step in choices.by(actor) {
                world.rivals(model, *step, &mut found);
            }
            // Who is alike moves alike: one of them is enough.
            let stand_in = stands_for[actor];
            if !std::mem::replace(&mut counted[stand_in], true) {
                moves.extend(choices.by(stand_in));
            }
        }
        if moves.len() >= limit {
            return None;
        }
        for actor in found.drain(..) {
            if !std::mem::replace(&mut inside[actor], true) {
                members.push(actor);
            }
        }
    }
    Some(moves)
}
