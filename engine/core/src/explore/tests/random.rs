//! Workflows made at random: small, and nearer to a deadlock than what people write.

use std::fmt::Write as _;

/// A small generator of numbers: xorshift64*, after Vigna, "An experimental exploration of Marsaglia's
/// xorshift generators, scrambled" (2016). One seed is one workflow.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let word = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(word % end.max(1) as u64).expect("a small number")
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn some(&mut self, names: &[&'static str], one_in: usize) -> Vec<&'static str> {
        let mut some: Vec<_> = names.iter().copied().filter(|_| self.one_in(one_in)).collect();
        // In any order.
        for place in (1..some.len()).rev() {
            some.swap(place, self.below(place + 1));
        }
        some
    }
}

const LOCKS: [&str; 2] = ["l", "m"];
const QUEUES: [&str; 2] = ["q", "r"];

/// Who is there at either side of what needs two.
#[derive(Default)]
struct Sides {
    sends: Vec<&'static str>,
    receives: Vec<&'static str>,
    is_set: bool,
    is_awaited: bool,
}

impl Sides {
    fn enter_pool(&mut self, text: &str) {
        self.receives.extend(text.contains("stdin: q").then_some("q"));
        self.sends.extend(text.contains("stdout: r").then_some("r"));
    }

    /// Processes for the sides that nobody has taken.
    fn missing(&self) -> String {
        let mut text = String::new();
        for queue in QUEUES {
            match (self.sends.contains(&queue), self.receives.contains(&queue)) {
                (true, false) => text.extend([format!("  to_{queue}: {{run: x, receives: {queue}}}\n")]),
                (false, true) => text.extend([format!("  from_{queue}: {{run: x, sends: {queue}}}\n")]),
                (true, true) | (false, false) => {}
            }
        }
        if self.is_awaited && !self.is_set {
            text += "  setter: {run: x, sets: e}\n";
        }
        text
    }
}

/// What one process touches.
struct Touches {
    acquires: Vec<&'static str>,
    sends: Vec<&'static str>,
    receives: Vec<&'static str>,
    sets: bool,
    waits: bool,
}

/// A workflow, in the language.
pub fn workflow(random: &mut Random) -> String {
    let permits = 1 + random.below(2);
    let capacity = 1 + random.below(2);
    let mut text = format!(
        "locks: {{l: {{}}, m: {{}}}}\nsemaphores: {{s: {{permits: {permits}}}}}\nevents: {{e: {{}}}}\n\
         queues: {{q: {{capacity: {capacity}}}, r: {{capacity: 1}}}}\n"
    );
    let has_slots = random.one_in(3);
    let works = random.one_in(4);
    if has_slots || works {
        text += "pools:\n";
    }
    if has_slots {
        text += "  slots: {size: 1}\n";
    }
    if works {
        let kind = ["task", "persistent"][random.below(2)];
        let source = ["tasks: [x, y]", "stdin: q"][random.below(2)];
        let results = ["", ", stdout: r"][random.below(2)];
        let holds = ["", ", holds: s", ", holds: l"][random.below(3)];
        let _ = writeln!(
            text,
            "  p: {{size: 2, worker: {kind}, {source}{results}{holds}, run: x}}"
        );
    }
    text += "processes:\n";
    let count = 2 + random.below(2);
    let mut all = Sides::default();
    all.enter_pool(&text);
    for place in 0..count {
        text += &process(random, place, has_slots, &mut all);
    }
    text += &all.missing();
    // Whether the setter of an event is skipped because something has not failed is not looked at.
    if text.contains("sets:") {
        return text.replace("failed", "finished");
    }
    text
}

/// The same with every other process that has something from its start on as a daemon.
pub fn with_daemons(text: &str) -> String {
    let mut is_daemon = false;
    let line = |line: &str| {
        if !(line.contains("holds: ") || line.contains("pool: ")) || line.contains("size: ") {
            return format!("{line}\n");
        }
        is_daemon = !is_daemon;
        let marked = line.replacen("run: x", "run: x, daemon: true", 1);
        format!("{}\n", if is_daemon { &marked } else { line })
    };
    text.lines().map(line).collect()
}

fn process(random: &mut Random, place: usize, has_slots: bool, all: &mut Sides) -> String {
    let mut acquires = random.some(&LOCKS, 2);
    if random.one_in(3) {
        let at = random.below(acquires.len() + 1);
        acquires.insert(at, "s");
    }
    let touches = Touches {
        acquires,
        sends: random.some(&QUEUES, 3),
        receives: random.some(&QUEUES, 3),
        sets: random.one_in(4),
        waits: random.one_in(4),
    };
    all.sends.extend(&touches.sends);
    all.receives.extend(&touches.receives);
    all.is_set |= touches.sets;
    all.is_awaited |= touches.waits;
    let mut fields = vec!["run: x".to_owned()];
    let mut list = |key: &str, names: &[&str]| {
        if !names.is_empty() {
            fields.push(format!("{key}: [{}]", names.join(", ")));
        }
    };
    list("acquires", &touches.acquires);
    list("sends", &touches.sends);
    list("receives", &touches.receives);
    list("sets", if touches.sets { &["e"] } else { &[] });
    list("waits", if touches.waits { &["e"] } else { &[] });
    if place > 0 && random.one_in(3) {
        let is = ["started", "succeeded", "finished", "failed"][random.below(4)];
        fields.push(format!("after: {{p{}: {is}}}", random.below(place)));
    } else if random.one_in(8) {
        all.is_awaited = true;
        fields.push("after: {e: set}".to_owned());
    } else if random.one_in(12) && !all.sends.is_empty() {
        fields.push("after: {q: drained}".to_owned());
    }
    let holds = ["l", "s"][random.below(2)];
    if random.one_in(5) && !touches.acquires.contains(&holds) {
        fields.push(format!("holds: {holds}"));
    }
    if has_slots && random.one_in(2) {
        fields.push("pool: slots".to_owned());
    }
    if random.one_in(6) {
        fields.push("replicas: 2".to_owned());
    }
    if !random.one_in(3) {
        let steps = protocol(random, &touches);
        fields.push(format!("protocol: [{}]", steps.join(", ")));
    }
    format!("  p{place}: {{{}}}\n", fields.join(", "))
}

/// The acquisitions nested, and the rest between them at any place, all once, or in rounds.
fn protocol(random: &mut Random, touches: &Touches) -> Vec<String> {
    let mut steps: Vec<String> = touches.acquires.iter().map(|name| format!("acquire {name}")).collect();
    let mut rest: Vec<String> = touches.sends.iter().map(|name| format!("put {name}")).collect();
    rest.extend(touches.receives.iter().map(|name| format!("get {name}")));
    rest.extend(touches.sets.then(|| "set e".to_owned()));
    rest.extend(
        touches
            .waits
            .then(|| ["wait e", "try wait e"][random.below(2)].to_owned()),
    );
    steps.extend(touches.acquires.iter().rev().map(|name| format!("release {name}")));
    for step in rest {
        let at = random.below(steps.len() + 1);
        steps.insert(at, step);
    }
    if random.one_in(4) {
        return vec![format!("{{repeat: [{}]}}", steps.join(", "))];
    }
    steps
}
