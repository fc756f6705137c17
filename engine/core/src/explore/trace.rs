//! A way to a deadlock: made again on a fresh machine, and shortened by what it does not need.

use super::inside::{Act, Program};
use super::model::{Actor, Daemons, Model, resource_index};
use super::moves::{Need, numbered};
use super::part::{Part, is_arrival};
use super::stubborn::{Choices, is_harmless, stuck};
use super::world::{Move, Phase, What, World, source_queue};
use super::{Blocked, Deadlock, Does, Happening, Obstacle};
use crate::id::{PoolId, QueueId};
use crate::plan::{Channel, Hold};

/// Makes `moves` on a fresh machine. `None` when one of them cannot be made when its turn comes.
pub(super) fn replay(model: &Model, moves: &[Move]) -> Option<World> {
    let mut world = World::new(model);
    for step in moves {
        let mut possible = Vec::new();
        world.moves(model, step.actor, &mut possible);
        if !possible.contains(step) {
            return None;
        }
        world.make(model, *step);
    }
    Some(world)
}

/// Who is stuck after `moves`; empty when these do not lead to a deadlock.
pub(super) fn stuck_after(model: &Model, moves: &[Move]) -> Vec<(Actor, Need)> {
    let Some(world) = replay(model, moves) else {
        return Vec::new();
    };
    stuck(&world, model, &Choices::of(&world, model))
}

/// Leaves out moves as long as what is left still leads to a deadlock and the budget lets it: first all of one actor, then
/// halves, quarters and so on down to single ones, from the end on.
pub(super) fn shortened(model: &Model, moves: Vec<Move>, budget: &mut dyn FnMut() -> bool) -> Vec<Move> {
    let mut kept = moves;
    let mut actors: Vec<Actor> = kept.iter().map(|step| step.actor).collect();
    actors.sort_unstable();
    actors.dedup();
    for actor in actors {
        let fewer: Vec<Move> = kept.iter().filter(|step| step.actor != actor).copied().collect();
        if budget() && !stuck_after(model, &fewer).is_empty() {
            kept = fewer;
        }
    }
    let mut size = kept.len().div_ceil(2);
    while size > 0 {
        let mut place = kept.len();
        while place > 0 {
            if !budget() {
                return kept;
            }
            let end = place;
            place = place.saturating_sub(size);
            let mut fewer = kept.clone();
            fewer.drain(place..end);
            if !stuck_after(model, &fewer).is_empty() {
                kept = fewer;
            }
        }
        size /= 2;
    }
    kept
}

/// The way in the words of the plan; `None` when it does not lead to a deadlock, which would be a mistake of the search.
pub(super) fn told(part: &Part, moves: &[Move], is_shortest: bool) -> Option<Deadlock> {
    let model = &part.model;
    let mut world = World::new(model);
    let mut steps = Vec::new();
    for step in moves {
        let does = happening(part, &world, *step);
        world.make(model, *step);
        steps.extend(does.map(|does| Happening {
            who: part.actor(step.actor),
            does,
        }));
    }
    let all = stuck_after(model, moves);
    let core = smallest_ring(model, &world, &all);
    if core.is_empty() {
        return None;
    }
    let blocked = core
        .iter()
        .filter_map(|(actor, need)| blocked(part, &world, &core, *actor, *need));
    let blocked: Vec<Blocked> = blocked.collect();
    // That a daemon does not end by itself is taken for granted.
    let ends = blocked.iter().all(|blocked| blocked.keepers.is_empty());
    let mut waits = core.iter();
    Some(Deadlock {
        steps,
        is_certain: ends && waits.all(|(actor, need)| is_certain(model, &world, &core, *actor, *need)),
        blocked,
        is_shortest,
    })
}

/// The fewest of those who are stuck that keep each other so.
fn smallest_ring(model: &Model, world: &World, all: &[(Actor, Need)]) -> Vec<(Actor, Need)> {
    let need_of = |actor: Actor| all.iter().find(|(stuck, _)| *stuck == actor).map(|(_, need)| *need);
    let mut best: Option<Vec<Actor>> = None;
    for (seed, _) in all {
        let mut ring = vec![*seed];
        let mut next = 0;
        while let Some(actor) = ring.get(next).copied() {
            next += 1;
            let helpers = need_of(actor)
                .map(|need| world.helpers(model, need))
                .unwrap_or_default();
            for helper in helpers {
                if need_of(helper).is_some() && !ring.contains(&helper) {
                    ring.push(helper);
                }
            }
        }
        // Where daemons stay, what does not come of that is found without them, and those who do no harm are not told of alone.
        let is_kept = |actor: &Actor| need_of(*actor).is_some_and(|need| !world.keepers(model, need).is_empty());
        let is_needed = |actor: &Actor| !is_harmless(model, *actor);
        let counts = model.assumed() == Daemons::MayEnd || ring.iter().any(is_kept) && ring.iter().any(is_needed);
        if counts && best.as_ref().is_none_or(|best| ring.len() < best.len()) {
            best = Some(ring);
        }
    }
    let mut ring = best.unwrap_or_default();
    ring.sort_unstable();
    ring.into_iter()
        .filter_map(|actor| Some((actor, need_of(actor)?)))
        .collect()
}

fn happening(part: &Part, world: &World, step: Move) -> Option<Does> {
    let model = &part.model;
    let life = || world.lives[step.actor];
    Some(match step.what {
        What::Turn(_) => return None,
        What::Grant => {
            let hold = model.plan.processes[step.actor].holds[life().granted];
            Does::Holds(Hold {
                resource: part.resource(resource_index(&model.plan, hold.resource)),
                permits: hold.permits,
            })
        }
        What::Do(number) => match &model.programs[step.actor] {
            Program::Free { acquires, acts } => told_act(part, world, numbered(acquires, acts, life(), number)?),
            Program::Exact { steps, .. } => match steps[life().at].act() {
                Some(act) => told_act(part, world, act),
                None => Does::BeginsRound,
            },
        },
        What::Leave => Does::LeavesRound,
        What::Answer => Does::Answers,
        What::End => Does::Ends,
        What::Fail | What::Break => Does::Fails,
        What::Take => {
            let (_, queue) = source_queue(model, step.actor)?;
            Does::TakesTask(queue_of(part, queue.index())?)
        }
        What::Deliver => {
            let pool = model.pool_of_actor(step.actor)?;
            let results = model.plan.pools[pool.index()].work.as_ref()?.results?;
            Does::PutsResult(queue_of(part, results.index())?)
        }
        What::GiveUp(place) => {
            let mut waits = world.machine().open_waits(model.party(step.actor));
            let (_, wait) = waits.find(|(at, _)| *at == place)?;
            if is_arrival(wait, model.party(step.actor)) {
                return None;
            }
            Does::GivesUp(part.wait(wait))
        }
    })
}

fn queue_of(part: &Part, way: usize) -> Option<QueueId> {
    match part.channel(way) {
        Channel::Queue(queue) => Some(queue),
        Channel::Pipe(..) => None,
    }
}

fn told_act(part: &Part, world: &World, act: Act) -> Does {
    match act {
        Act::Acquire { resource, permits } | Act::Release { resource, permits } => Does::Acquires(Hold {
            resource: part.resource(resource),
            permits,
        }),
        Act::Put(way) => Does::Puts {
            channel: part.channel(way),
            fills: part.model.ways[way].capacity == Some(world.contents[way].items + 1),
        },
        Act::Get(way) if world.contents[way].items == 0 => Does::SeesEnd(part.channel(way)),
        Act::Get(way) => Does::Gets(part.channel(way)),
        Act::Wait(event) => Does::PassesWait(part.event(event)),
        Act::Set(event) => Does::Sets(part.event(event)),
    }
}

fn blocked(part: &Part, world: &World, ring: &[(Actor, Need)], actor: Actor, need: Need) -> Option<Blocked> {
    let model = &part.model;
    let by = match need {
        Need::Permits { resource, permits } => Obstacle::Hold {
            hold: Hold {
                resource: part.resource(resource),
                permits,
            },
            lent: world.lives[actor].phase == Phase::Asking,
        },
        Need::Room(way) => Obstacle::Room(part.channel(way)),
        Need::Item(way) => Obstacle::Item(part.channel(way)),
        Need::Event(event) => Obstacle::Event(part.event(event)),
        Need::After(wait) => Obstacle::After(part.wait(wait)),
        Need::Slot(pool) => Obstacle::Slot(part.pool(pool)),
        // Who has nothing to do is no cause.
        Need::Task(_) => return None,
        Need::Work(pool) => {
            model.plan.pools[pool.index()].work.as_ref()?;
            obstacle_of_pool(part, world, pool)
        }
    };
    let helpers = world.helpers(model, need).into_iter();
    let helpers = helpers.filter(|helper| {
        ring.iter()
            .any(|(stuck, need)| stuck == helper && !matches!(need, Need::Task(_)))
    });
    Some(Blocked {
        who: part.actor(actor),
        by,
        helpers: helpers.map(|helper| part.actor(helper)).collect(),
        keepers: world
            .keepers(model, need)
            .into_iter()
            .map(|keeper| part.actor(keeper))
            .collect(),
        has_not_started: model.pool_of_actor(actor).is_none() && world.lives[actor].phase != Phase::Inside,
    })
}

fn obstacle_of_pool(part: &Part, world: &World, pool: PoolId) -> Obstacle {
    let model = &part.model;
    let store = &world.stores[pool.index()];
    let results = model.plan.pools[pool.index()]
        .work
        .as_ref()
        .and_then(|work| work.results);
    match (results, source_queue(model, model.pool_actor(pool))) {
        (Some(queue), _) if !store.results.is_empty() => Obstacle::Room(part.channel(queue.index())),
        (_, Some((_, queue))) if store.credit > 0 => Obstacle::Item(part.channel(queue.index())),
        (_, _) => Obstacle::Work(part.pool(pool)),
    }
}

/// Whether this one waits where it must come to by what the file says alone.
///
/// What a free process acquires, it acquires in the order written; what it puts or gets it could do at another time, or not at all;
/// and it waits for an event at a time of its own choice, though it does.
fn is_certain(model: &Model, world: &World, ring: &[(Actor, Need)], actor: Actor, need: Need) -> bool {
    let runs = model.pool_of_actor(actor).is_none() && world.lives[actor].phase == Phase::Inside;
    let is_free = model.programs.get(actor).is_none_or(Program::is_free);
    let by_itself = match need {
        Need::Permits { .. } | Need::After(_) | Need::Slot(_) | Need::Task(_) => true,
        // For an event it may wait with a time-out of its own.
        Need::Room(_) | Need::Item(_) | Need::Event(_) => !is_free,
        Need::Work(pool) => model.plan.pools[pool.index()].work.is_none(),
    };
    // Another of them hopes for what this one could have done before.
    let hopes = |other: &(Actor, Need)| {
        let waits = matches!(other.1, Need::Room(_) | Need::Item(_) | Need::Event(_));
        waits && world.helpers(model, other.1).contains(&actor)
    };
    by_itself && !(runs && is_free && ring.iter().any(hopes))
}
