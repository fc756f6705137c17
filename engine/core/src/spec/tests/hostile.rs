use super::*;
use crate::diagnostic::{Style, codes, render_all, to_json};

const SEEDS: [&str; 3] = [
    include_str!("every-field.yaml"),
    "forkyard: 1\nparams: {n: 2}\ntemplates: {t: {params: {a: 1}, run: 'x ${{ params.a }}'}}\nprocesses:\n  p: {use: t, \
     with: {a: '${{ item }}'}, each: [1, 2]}\npools:\n  w: {run: [x], tasks: {range: [0, 5]}}\n",
    "forkyard: 1\nx-a: &a {run: x, env: {A: \"\\u00e4\"}}\nprocesses:\n  p:\n    <<: *a\n    stdin:\n      text: |-\n        ä [b\n",
];

/// A pseudorandom sequence (Knuth's MMIX constants), the same in every run.
struct Sequence(u64);

impl Sequence {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).expect("31 bits fit") % end
    }
}

/// The seed with a few bytes replaced, removed or doubled.
fn mutated(seed: &str, sequence: &mut Sequence) -> Vec<u8> {
    const BYTES: &[u8] = b"\0\t\n\r !\"#$&'*,-.:<>?@[\\]`{|}~019aA\x80\xc3\xff";
    let mut bytes = seed.as_bytes().to_vec();
    for _ in 0..=sequence.below(4) {
        let at = sequence.below(bytes.len());
        match sequence.below(4) {
            0 => bytes[at] = BYTES[sequence.below(BYTES.len())],
            1 => bytes.insert(at, BYTES[sequence.below(BYTES.len())]),
            2 => {
                bytes.remove(at);
            }
            _ => {
                let end = (at + sequence.below(40)).min(bytes.len());
                let piece = bytes[at..end].to_vec();
                let to = sequence.below(bytes.len());
                bytes.splice(to..to, piece);
            }
        }
    }
    bytes
}

#[test]
fn mutated_workflows_are_read_or_refused_and_shown() {
    let style = Style { color: true, width: 80 };
    let mut sequence = Sequence(1);
    let mut refused = 0;
    for round in 0..2_000 {
        let bytes = mutated(SEEDS[round % SEEDS.len()], &mut sequence);
        let loaded = read_all(&["flow.yaml"], &[("flow.yaml", &bytes)], &[]);
        assert_eq!(loaded.workflow.is_none(), !loaded.diagnostics.is_empty());
        let text = render_all(&loaded.diagnostics, &loaded.files, style);
        let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\u{1b}');
        assert!(!text.contains(harmful), "{text:?}");
        for diagnostic in &loaded.diagnostics {
            refused += 1;
            let json = to_json(diagnostic, &loaded.files);
            assert_eq!(json["severity"], "error");
            assert!(codes::TITLES.iter().any(|(code, _)| *code == diagnostic.code));
        }
    }
    assert!(refused > 500, "mutations are to be noticed: {refused}");
}

#[test]
fn seeds_are_workflows() {
    for seed in SEEDS {
        assert_eq!(shown(&read_one(seed)), "");
    }
}

#[test]
fn one_line_of_megabytes_is_refused_and_shown_in_short() {
    let mut yaml = b"forkyard: 1\nprocesses: {p: {run: x, nope: '".to_vec();
    yaml.resize(2 << 20, b'x');
    yaml.extend(b"'}}\n");
    let loaded = read_all(&["flow.yaml"], &[("flow.yaml", &yaml)], &[]);
    assert_eq!(shown(&loaded), "FY102 2:25 unknown key `nope`");
    let text = render_all(
        &loaded.diagnostics,
        &loaded.files,
        Style {
            color: false,
            width: 80,
        },
    );
    assert!(text.len() < 2_000, "{text}");
}

#[test]
fn a_file_of_a_hundred_megabytes_is_refused() {
    let yaml = vec![b'#'; 100 << 20];
    let loaded = read_all(&["flow.yaml"], &[("flow.yaml", &yaml)], &[]);
    assert_eq!(shown(&loaded), "FY002 `flow.yaml` is larger than 64 MiB");
    assert!(!loaded.readable);
}

#[test]
fn a_diagnostic_is_told_to_programs() {
    let loaded = read_one("forkyard: 1\nprocesses: {p: {run: x}}\nqueues: {p: {}}\n");
    let found = to_json(&loaded.diagnostics[0], &loaded.files);
    let expected = serde_json::json!({
        "code": "FY109",
        "severity": "error",
        "message": "the name `p` is used for a process and a queue",
        "help": "all kinds share one name space: rename one of them",
        "file": "flow.yaml",
        "line": 3,
        "column": 10,
        "related": [{"file": "flow.yaml", "line": 2, "column": 13, "message": "the process"}],
    });
    assert_eq!(found, expected);
}
