//! Y and AA: whatever stands in the file.

use crate::harness::{Forkyard, Random, World};

fn checked(workflow: &str) -> crate::harness::Outcome {
    Forkyard::new("check").workflow(workflow).run()
}

/// A workflow with this process field, or these.
fn with(fields: &str) -> String {
    format!("forkyard: 1\nprocesses: {{a: {{run: \"true\", {fields}}}}}\n")
}

#[test]
fn y2_aa4_more_than_a_limit_is_refused_in_a_few_words() {
    checked(&with("replicas: 1000001"))
        .exit(1)
        .says("a whole number from 0 to 1000000");
    let long_line = checked(&with(&format!("{}: 1", "x".repeat(1_000_000))));
    long_line.exit_one_of(&[1, 2]).says("workflow.yaml:2:");
    assert!(long_line.stdout().len() < 2_000 && long_line.errors().len() < 2_000);
    let many_values = format!("{}x-many: [{}]\n", with(""), "1,".repeat(5_000_001));
    checked(&many_values).exit(2).says("commas");
}

#[test]
fn y4_aa11_text_in_other_clothes_is_read_or_told_by_its_place() {
    let plain = with("nice: 1");
    let with_mark = format!("\u{feff}{plain}");
    let with_returns = plain.replace('\n', "\r\n");
    for text in [&with_mark, &with_returns] {
        checked(text).exit(0);
    }
    let utf16: Vec<u8> = plain.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let check = Forkyard::new("check")
        .file("workflow.yaml", [b"\xff\xfe", &utf16[..]].concat())
        .arg("workflow.yaml");
    check.run().exit(2).says("workflow.yaml:1:1").says("not UTF-8");
    checked(&with("env: {A: \"\\ud800\"}"))
        .exit(2)
        .says("workflow.yaml:2:")
        .says("escape code");
}

#[test]
fn y5_keys_that_are_no_names_are_told_with_their_places() {
    let twice = "forkyard: 1\nx-y: &a {nice: 1}\nprocesses:\n  a: {run: x, <<: *a, <<: *a}\n";
    checked(twice)
        .exit_one_of(&[1, 2])
        .says("the key `<<` occurs twice")
        .says("workflow.yaml:4:23")
        .says("workflow.yaml:4:15");
    checked("forkyard: 1\nprocesses: {[a]: {run: x}, 5: {run: x}, ~: {run: x}}\n")
        .exit_one_of(&[1, 2])
        .says("a list cannot be a key")
        .says("`5` cannot be the name of a process")
        .says("a key is missing here");
    checked("forkyard: 1\nprocesses: {a: }\n").exit(1).says("found nothing");
}

#[test]
fn y6_aa8_text_that_looks_like_something_else_stays_text() {
    let words = [
        "no",
        "on",
        "012",
        "1e3",
        "0x10",
        ".inf",
        "2026-11-23",
        "12:30",
        "1.10",
        "0o17",
    ];
    let run = Forkyard::run_of(&format!(
        "forkyard: 1\nprocesses:\n  on: {{run: [echo, {}]}}\n  no: {{run: 'echo $A $B', env: {{A: no, B: 1.10}}}}\n",
        words.join(", ")
    ))
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.said("on"), [words.join(" ")]);
    assert_eq!(run.said("no"), ["no 1.10"]);
    for wrong in ["no", "012x", "1e3x", "2026-11-23"] {
        checked(&with(&format!("replicas: {wrong}")))
            .exit(1)
            .says("expected a whole number");
    }
}

#[test]
fn y7_aa10_gg8_a_name_that_could_do_harm_is_refused_and_never_shown_raw() {
    let long = "a".repeat(1_000);
    let names = [
        "",
        &long,
        "a/b",
        "..",
        "../up",
        "/abs",
        "a\\nb",
        "\\e[31m",
        "-dash",
        "a\\u202eb",
        "a\\u200bb",
        ".hidden",
        "a b",
        "a%s",
    ];
    for name in names {
        let workflow = format!("forkyard: 1\nprocesses:\n  \"{name}\": {{run: touch touched}}\n");
        let run = Forkyard::run_of(&workflow).run();
        run.exit(2)
            .stderr("cannot be the name of a process")
            .stderr("workflow.yaml:3:3");
        let harmful = |c: char| c.is_control() && c != '\n' || c == '\u{202e}' || c == '\u{200b}';
        assert!(!run.errors().contains(harmful), "{name}: {:?}", run.errors());
        assert!(!run.world().has("touched"));
        assert!(run.world().runs().is_empty(), "no directory is made for it");
    }
}

#[test]
fn y9_aa13_a_wrong_amount_is_told_with_the_forms_that_are_right() {
    const DURATION: &str = "a duration such as 250ms, 3s, 2m or 1h30m";
    const SIZE: &str = "a size such as 512, 64KiB or 10MB";
    let cases = [
        ("timeout: -1s", DURATION),
        ("timeout: 5", DURATION),
        ("timeout: NaN", DURATION),
        ("timeout: 99999999999999999h", DURATION),
        ("timeout: 1e999s", DURATION),
        ("limits: {memory: -1}", SIZE),
        ("limits: {memory: 1e3}", SIZE),
        ("limits: {memory: 99999999999GiB}", SIZE),
        ("replicas: .nan", "a whole number"),
        ("replicas: 1e999", "a whole number"),
        ("replicas: -1", "a whole number"),
    ];
    for (field, form) in cases {
        checked(&with(field)).exit(1).says(form).says("workflow.yaml:2:");
    }
    let channels = "queues: {q: {capacity: 10000000000000000000000000000000}}\nsemaphores: {s: {permits: 0}}\npools: {p: {size: -1}}\n";
    checked(&format!("{}{channels}", with("nice: 1")))
        .exit(1)
        .says("workflow.yaml:3:")
        .says("workflow.yaml:4:")
        .says("workflow.yaml:5:");
}

#[test]
fn y10_an_expression_reaches_nothing_but_what_it_is_given() {
    let cases = [
        ("open('/etc/passwd')", "open is unknown"),
        ("env.NOT_THERE", "`NOT_THERE` is not defined here"),
        ("'x' * 10000000", "repeated to more than"),
        ("[1] * 10000000", "repeated to more than"),
        ("range(1000000000) | list", "workflow.yaml:2:"),
        ("name.__class__", "workflow.yaml:2:"),
    ];
    for (expression, words) in cases {
        let workflow = format!("forkyard: 1\nprocesses: {{a: {{run: \"echo ${{{{ {expression} }}}}\"}}}}\n");
        checked(&workflow).exit(1).says(words);
    }
}

#[test]
fn y11_includes_are_told_with_the_whole_chain() {
    let file = |number: u32| {
        format!(
            "include: [i{}.yaml]\nforkyard: 1\nprocesses: {{p{number}: {{run: \"true\"}}}}\n",
            number + 1
        )
    };
    let mut check = Forkyard::new("check").arg("i0.yaml");
    for number in 0..1_000 {
        check = check.file(&format!("i{number}.yaml"), file(number));
    }
    check.run().exit(1).says("i0.yaml → i1.yaml").says("i15.yaml:1:");
    let cycle = Forkyard::new("check")
        .file("i0.yaml", file(0))
        .file("i1.yaml", file(1).replace("i2", "i0"));
    cycle.arg("i0.yaml").run().exit(1).says("i0.yaml → i1.yaml → i0.yaml");
}

#[test]
fn aa9_a_nul_is_refused_wherever_the_kernel_would_refuse_it() {
    let workflow = "forkyard: 1\nprocesses:\n  a: {run: \"a\\0b\"}\n  b: {run: [echo, \"\\0\"]}\n  c: {run: x, env: {A: \"\\0\"}}\n  d: {run: x, cwd: \"\\0\"}\n";
    let found = checked(workflow);
    found.exit(1).line("4 errors");
    for line in 3..=6 {
        found.says(&format!("workflow.yaml:{line}:"));
    }
}

#[test]
fn aa12_a_tag_is_refused_and_not_dropped() {
    for tag in ["!!python/object", "!!str", "!own"] {
        checked(&format!("forkyard: 1\nprocesses: {{a: {tag} {{run: x}}}}\n"))
            .exit(1)
            .says("YAML tags");
    }
}

#[test]
fn aa16_what_an_environment_file_holds_is_not_shown_when_it_is_none() {
    let check = Forkyard::new("check").file("private", "root:$6$canary:19000\n");
    let check = check
        .workflow("forkyard: 1\nenv_file: private\nprocesses: {a: {run: x}}\n")
        .run();
    check.exit(1).says("FY118").says("line 1 of");
    assert!(!check.stdout().contains("canary") && !check.errors().contains("canary"));
}

/// A few at a time, since each file costs a process; the core has thousands of them, and `just fuzz` all you like.
#[test]
fn y12_random_bytes_and_broken_workflows_never_panic_or_hang() {
    let world = World::new();
    let sound = "forkyard: 1\nx-a: &a {env: {A: \"\\u00e4\"}}\nqueues: {q: {}}\nprocesses:\n  p: {run: 'seq ${{ 1 + 2 }}', stdout: q, <<: *a}\n  r: {run: cat, stdin: q, after: {p: started}}\n";
    let mut random = Random::new(1);
    let mut check = Forkyard::new("check").arg("--format").arg("json");
    for number in 0..400 {
        let bytes: Vec<u8> = if number % 4 == 0 {
            (0..200)
                .map(|_| u8::try_from(random.below(256)).expect("a byte"))
                .collect()
        } else {
            let mut bytes = sound.as_bytes().to_vec();
            for _ in 0..=random.below(3) {
                let at = random.index(bytes.len());
                bytes[at] = random.one_of(b"\0\t\n !\"#$&'*,-:<>?@[\\]{|}~9\x80\xff");
            }
            bytes
        };
        world.write(&format!("f{number}.yaml"), bytes);
        check = check.arg(format!("f{number}.yaml"));
    }
    let check = check.within(world).run();
    check.exit_one_of(&[1, 2]);
    let findings: serde_json::Value = serde_json::from_str(check.stdout()).expect("findings are JSON");
    assert!(findings.as_array().is_some_and(|all| all.len() > 200));
}
