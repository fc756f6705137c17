use super::*;
use crate::check::check_partial;
use crate::diagnostic::{Rule, Style, render_all, to_json};

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
fn y12_mutated_workflows_are_read_or_refused_and_shown() {
    let style = Style { color: true, width: 80 };
    let mut sequence = Sequence(1);
    let (mut refused, mut told) = (0, 0);
    for round in 0..2_000 {
        let bytes = mutated(SEEDS[round % SEEDS.len()], &mut sequence);
        let loaded = read_all(&["flow.yaml"], &[("flow.yaml", &bytes)], &[]);
        assert_eq!(loaded.workflow.is_none(), !loaded.diagnostics.is_empty());
        if let Some(partial) = &loaded.partial {
            told += check_partial(partial).len();
        }
        let text = render_all(&loaded.diagnostics, &loaded.files, style);
        let harmful = |c: char| c.is_control() && !matches!(c, '\n' | '\u{1b}');
        assert!(!text.contains(harmful), "{text:?}");
        for diagnostic in &loaded.diagnostics {
            refused += 1;
            let json = to_json(diagnostic, &loaded.files);
            assert_eq!(json["severity"], "error");
            assert!(Rule::of(diagnostic.code).is_some());
        }
    }
    assert!(refused > 500, "mutations are to be noticed: {refused}");
    assert!(told > 10, "what is left of them is looked at: {told}");
}

#[test]
fn seeds_are_workflows() {
    for seed in SEEDS {
        assert_eq!(shown(&read_one(seed)), "");
    }
}

#[test]
fn y2_one_line_of_megabytes_is_refused_and_shown_in_short() {
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
fn a_file_of_hundreds_of_megabytes_is_refused() {
    let yaml = vec![b'#'; 300 << 20];
    let loaded = read_all(&["flow.yaml"], &[("flow.yaml", &yaml)], &[]);
    assert_eq!(shown(&loaded), "FY002 `flow.yaml` is larger than 256 MiB");
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
        "end_line": 3,
        "end_column": 11,
        "related": [{"file": "flow.yaml", "line": 2, "column": 13, "end_line": 2, "end_column": 14, "message": "the process"}],
    });
    assert_eq!(found, expected);
}

#[test]
fn a_repetition_is_refused_before_it_is_carried_out() {
    let refused = "FY112 4:25 a text is repeated to more than 1048576 bytes, or a list to more than 100000 items";
    let found = |expression: &str| {
        let yaml = "forkyard: 1\nparams: {text: abc, many: 99000000, list: [1, 2]}\nprocesses:\n  p: {run: x, env: ";
        shown(&read_one(&format!("{yaml}{{A: \"${{{{ {expression} }}}}\"}}}}\n")))
    };
    for expression in [
        "'x' * 100000000",
        "'x' * 1000 * 1000 * 100",
        "100000000 * 'x'",
        "((1, 2) * 50000000)|length",
        "[(1, 2) * 40000000, 1]|length",
        "(params.list * params.many)|length",
        "params.text * (params.many // 3)",
        "(params.text ~ 'x') * params.many",
        "'a' ~ params.text|upper * 10 ** 8",
        "1 if [1] * 90000000 else 2",
        "1 * (1 * (1 * (1 * ('x' * 90000000))))",
    ] {
        assert_eq!(found(expression), refused, "{expression}");
    }
    for expression in [
        "'x' * 3",
        "'ab' * 2 * 2 ~ 2 * 100000000",
        "([0] * 10)|length * 100000000",
        "2 * 3 * 1000000 * 1000000",
        "'a * 999999999 * b'",
    ] {
        assert_eq!(found(expression), "", "{expression}");
    }
}

#[test]
fn long_expressions_do_not_reach_the_end_of_the_stack() {
    let repeated = |start: &str, piece: &str| format!("{start}{}", piece.repeat(240 / piece.trim().len()));
    for expression in [
        repeated("1", "+1"),
        repeated("1", "**1"),
        repeated("env", ".a"),
        repeated("env", "[0]"),
        repeated("1", "|d"),
        repeated("", "not "),
        repeated("", "-"),
        repeated("", "["),
        repeated("", "{1:"),
        repeated("1", " if 1 else 1"),
    ] {
        let loaded = read_one(&format!(
            "forkyard: 1\nprocesses: {{p: {{run: \"${{{{ {expression} }}}}\"}}}}\n"
        ));
        assert!(loaded.diagnostics.len() <= 1, "{}", shown(&loaded));
    }
    let endless = "+1".repeat(5_000);
    let found = shown(&read_one(&format!(
        "forkyard: 1\nprocesses: {{p: {{run: \"${{{{ 1{endless} }}}}\"}}}}\n"
    )));
    assert_eq!(found, "FY110 2:23 an expression has more than 256 parts");
}
