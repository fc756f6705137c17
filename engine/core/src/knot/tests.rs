use super::*;

/// A table in short: for each party its ways, for each way its needs, for each need its wakers.
type Short = Vec<Option<Vec<Vec<Vec<usize>>>>>;

fn table(short: &Short) -> Vec<Option<Blocked<()>>> {
    let need = |wakers: &Vec<usize>| Need {
        what: (),
        wakers: wakers.clone(),
    };
    let way = |needs: &Vec<Vec<usize>>| Way {
        needs: needs.iter().map(need).collect(),
    };
    let blocked = |ways: &Vec<Vec<Vec<usize>>>| Blocked {
        ways: ways.iter().map(way).collect(),
    };
    short.iter().map(|party| party.as_ref().map(blocked)).collect()
}

/// Somebody who waits for one thing that any of these could bring.
#[expect(clippy::unnecessary_wraps, reason = "it is an entry of a table")]
fn on(wakers: &[usize]) -> Option<Vec<Vec<Vec<usize>>>> {
    Some(vec![vec![wakers.to_vec()]])
}

fn knots_of(short: &Short) -> Vec<Vec<usize>> {
    knots(&table(short))
}

#[test]
fn two_locks_in_two_orders_are_a_knot() {
    assert_eq!(knots_of(&vec![on(&[1]), on(&[0])]), [[0, 1]]);
}

#[test]
fn who_waits_for_himself_is_one() {
    assert_eq!(knots_of(&vec![on(&[0]), None]), [[0]]);
}

#[test]
fn who_waits_for_nobody_is_one() {
    assert_eq!(knots_of(&vec![on(&[])]), [[0]]);
}

#[test]
fn a_cycle_that_somebody_else_can_open_is_none() {
    // An item may come from 1, who waits for 0, or from 2, who runs.
    assert_eq!(knots_of(&vec![on(&[1, 2]), on(&[0]), None]), Vec::<Vec<usize>>::new());
}

#[test]
fn a_chain_that_ends_at_somebody_who_runs_is_none() {
    assert_eq!(knots_of(&vec![on(&[1]), on(&[2]), None]), Vec::<Vec<usize>>::new());
}

#[test]
fn one_thread_that_may_go_on_is_enough() {
    let two_threads = Some(vec![vec![vec![1]], vec![vec![2]]]);
    assert_eq!(knots_of(&vec![two_threads, on(&[0]), None]), Vec::<Vec<usize>>::new());
}

#[test]
fn one_condition_that_cannot_come_is_enough() {
    let two_conditions = Some(vec![vec![vec![1], vec![2]]]);
    assert_eq!(knots_of(&vec![two_conditions, on(&[0]), None]), [[0, 1]]);
}

#[test]
fn those_who_only_wait_for_a_knot_are_not_part_of_it_though_they_are_stuck() {
    let short = vec![on(&[1]), on(&[0]), on(&[0]), on(&[2])];
    assert_eq!(stuck(&table(&short)), [true; 4]);
    assert_eq!(knots_of(&short), [[0, 1]]);
}

#[test]
fn two_knots_are_two() {
    let short = vec![on(&[2]), on(&[3]), on(&[0]), on(&[1])];
    assert_eq!(knots_of(&short), [[0, 2], [1, 3]]);
}

#[test]
fn a_waker_beyond_the_table_is_somebody_who_may_come() {
    assert_eq!(knots_of(&vec![on(&[7])]), Vec::<Vec<usize>>::new());
}

#[test]
fn a_chain_of_a_million_needs_no_recursion() {
    let count = 1_000_000;
    let mut short: Short = (1..count).map(|next| on(&[next])).collect();
    short.push(on(&[count - 1]));
    assert_eq!(knots_of(&short), [[count - 1]]);
}

/// Small numbers, the same ones each time (xorshift64*, Vigna 2016).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).expect("31 bits") % bound
    }
}

fn at_random(random: &mut Random) -> Short {
    let count = 1 + random.below(6);
    let mut party = || {
        if random.below(5) == 0 {
            return None;
        }
        let ways = 1 + random.below(2);
        let mut way = || {
            let needs = usize::from(random.below(12) > 0) + random.below(2);
            let mut need = || {
                let wakers = random.below(3);
                (0..wakers).map(|_| random.below(count + 1)).collect()
            };
            (0..needs).map(|_| need()).collect()
        };
        Some((0..ways).map(|_| way()).collect())
    };
    (0..count).map(|_| party()).collect()
}

/// Whether all of these only wait for each other, by the words of the definition.
fn is_closed(short: &Short, set: &dyn Fn(usize) -> bool) -> bool {
    let is_hopeless = |wakers: &Vec<usize>| wakers.iter().all(|waker| set(*waker));
    (0..short.len()).filter(|party| set(*party)).all(|party| {
        let ways = short[party].as_ref();
        ways.is_some_and(|ways| ways.iter().all(|needs| needs.iter().any(is_hopeless)))
    })
}

#[test]
fn the_search_agrees_with_a_look_at_all_sets() {
    let mut random = Random(0x5eed);
    let (mut with, mut without) = (0, 0);
    for _ in 0..20_000 {
        let short = at_random(&mut random);
        let count = short.len();
        let closed =
            (0..1_usize << count).filter(|set| is_closed(&short, &|party| party < count && set >> party & 1 == 1));
        // Closed sets are closed under union, so the largest is that of all of them.
        let largest = closed.fold(0, |union, set| union | set);
        let expected: Vec<bool> = (0..count).map(|party| largest >> party & 1 == 1).collect();
        let found = stuck(&table(&short));
        assert_eq!(found, expected, "{short:?}");
        if largest == 0 {
            without += 1;
        } else {
            with += 1;
        }
        assert_eq!(knots_of(&short).is_empty(), largest == 0, "{short:?}");
        for knot in knots_of(&short) {
            assert!(knot.iter().all(|party| found[*party]), "{short:?}: {knot:?}");
        }
    }
    assert!(with > 1000 && without > 1000, "{with} {without}");
}
