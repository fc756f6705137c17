//! Steps that need others, all of them or one of several; which of them can come, and which need themselves.
//!
//! What can come is the least fixed point: a step comes once what it needs has come. A step that is not reached needs,
//! over one step or several, another that is not reached; followed far enough, these needs go round in a ring, which
//! is the reason why none of them comes. Everything here is linear in the number of needs.

/// What a step needs of those it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// All of them.
    All,
    /// One of them; with none it comes by itself.
    Any,
}

/// One need: the step, what it needs, and why.
type Edge<W> = (u32, u32, W);

/// Steps by their numbers, with what they need.
pub(super) struct Steps<W> {
    kinds: Vec<Needs>,
    edges: Vec<Edge<W>>,
}

impl<W: Copy> Steps<W> {
    /// So many steps, each of which needs all that it will be said to need.
    pub fn new(count: usize) -> Self {
        Self {
            kinds: vec![Needs::All; count],
            edges: Vec::new(),
        }
    }

    /// One more step.
    pub fn add(&mut self) -> usize {
        self.kinds.push(Needs::All);
        self.kinds.len() - 1
    }

    /// `step` needs just one of those that it will be said to need.
    pub fn needs_any(&mut self, step: usize) {
        self.kinds[step] = Needs::Any;
    }

    pub fn need(&mut self, step: usize, needed: usize, why: W) {
        self.edges.push((number(step), number(needed), why));
    }

    /// Which steps can come, when those that are `given` do.
    pub fn that_come(&self, given: &[bool]) -> Vec<bool> {
        let mut come = vec![false; self.kinds.len()];
        let mut open = self.open_needs();
        let mut next: Vec<usize> = (0..come.len())
            .filter(|step| open[*step] == 0 || given.get(*step) == Some(&true))
            .collect();
        for step in &next {
            come[*step] = true;
        }
        let (first, dependents) = self.dependents();
        while let Some(step) = next.pop() {
            for dependent in &dependents[first[step]..first[step + 1]] {
                let dependent = *dependent as usize;
                open[dependent] = open[dependent].saturating_sub(1);
                if open[dependent] == 0 && !come[dependent] {
                    come[dependent] = true;
                    next.push(dependent);
                }
            }
        }
        come
    }

    /// How many needs of each step are to be met.
    fn open_needs(&self) -> Vec<u32> {
        let mut open = vec![0; self.kinds.len()];
        for (step, ..) in &self.edges {
            let count: &mut u32 = &mut open[*step as usize];
            *count = match self.kinds[*step as usize] {
                Needs::All => *count + 1,
                Needs::Any => 1,
            };
        }
        open
    }

    /// For each step who needs it: where they begin in the list, and the list.
    fn dependents(&self) -> (Vec<usize>, Vec<u32>) {
        let mut first = vec![0; self.kinds.len() + 1];
        for (_, needed, _) in &self.edges {
            first[*needed as usize + 1] += 1;
        }
        for step in 0..self.kinds.len() {
            first[step + 1] += first[step];
        }
        let mut free = first.clone();
        let mut list = vec![0; self.edges.len()];
        for (step, needed, _) in &self.edges {
            let place = &mut free[*needed as usize];
            list[*place] = *step;
            *place += 1;
        }
        (first, list)
    }

    /// Rings of needs among the steps that do not come; each such step leads to one of them. A ring is a list of steps,
    /// each with why it needs the next, the last the first.
    pub fn rings(&self, come: &[bool]) -> Vec<Vec<(usize, W)>> {
        let mut blocked_by: Vec<Option<(u32, W)>> = vec![None; self.kinds.len()];
        for (step, needed, why) in &self.edges {
            let blocker = &mut blocked_by[*step as usize];
            if blocker.is_none() && !come[*step as usize] && !come[*needed as usize] {
                *blocker = Some((*needed, *why));
            }
        }
        // From which start each step was passed first; 0 is none.
        let mut passed = vec![0_usize; self.kinds.len()];
        let mut rings = Vec::new();
        for start in 0..self.kinds.len() {
            let mut step = start;
            while let Some((needed, _)) = blocked_by[step].filter(|_| passed[step] == 0) {
                passed[step] = start + 1;
                step = needed as usize;
            }
            if !come[step] && passed[step] == start + 1 && blocked_by[start].is_some() {
                rings.push(ring(&blocked_by, step));
            }
            // What was passed now leads to a ring that is known.
            let mut step = start;
            while let Some((needed, _)) = blocked_by[step].filter(|_| passed[step] == start + 1) {
                passed[step] = usize::MAX;
                step = needed as usize;
            }
        }
        rings
    }
}

/// The ring that `start` is in.
fn ring<W: Copy>(blocked_by: &[Option<(u32, W)>], start: usize) -> Vec<(usize, W)> {
    let mut ring = Vec::new();
    let mut step = start;
    while let Some((needed, why)) = blocked_by[step] {
        ring.push((step, why));
        step = needed as usize;
        if step == start {
            break;
        }
    }
    ring
}

fn number(step: usize) -> u32 {
    u32::try_from(step).expect("a workflow has fewer than 2^32 steps")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(count: usize, any: &[usize], needs: &[(usize, usize)]) -> Steps<()> {
        let mut steps = Steps::new(count);
        for step in any {
            steps.needs_any(*step);
        }
        for (step, needed) in needs {
            steps.need(*step, *needed, ());
        }
        steps
    }

    #[test]
    fn one_of_several_is_enough_where_any_is_needed() {
        let steps = steps(4, &[1], &[(1, 0), (1, 3), (2, 1), (2, 3), (3, 3)]);
        assert_eq!(steps.that_come(&[]), [true, true, false, false]);
        assert_eq!(steps.that_come(&[false, false, false, true]), [true; 4]);
    }

    #[test]
    fn each_ring_is_found_once() {
        let steps = steps(7, &[2], &[(0, 1), (1, 2), (2, 0), (2, 1), (3, 0), (5, 6), (6, 5)]);
        let come = steps.that_come(&[]);
        assert_eq!(come, [false, false, false, false, true, false, false]);
        let rings: Vec<Vec<usize>> = steps
            .rings(&come)
            .iter()
            .map(|ring| ring.iter().map(|(step, ())| *step).collect())
            .collect();
        assert_eq!(rings, [vec![0, 1, 2], vec![5, 6]]);
    }

    #[test]
    fn what_needs_nothing_of_any_comes_by_itself() {
        assert_eq!(steps(2, &[1], &[(0, 1)]).that_come(&[]), [true, true]);
    }
}
