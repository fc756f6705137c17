use std::fmt::Write as _;

use super::*;

fn read(bytes: &[u8]) -> (Option<Rc<Node>>, String) {
    let (mut files, mut findings) = (Files::default(), Findings::default());
    let content = parse("w.yaml", bytes.to_vec(), &mut files, &mut findings);
    let root = content.map(Content::tree);
    let found = findings.sorted().into_iter().map(|diagnostic| {
        let place = diagnostic.place.map_or((0, 0), |place| files.line_column(place));
        format!("{} {}:{} {}", diagnostic.code, place.0, place.1, diagnostic.message)
    });
    (root, found.collect::<Vec<_>>().join("\n"))
}

#[track_caller]
fn check(yaml: &str, expected: &str) {
    assert_eq!(read(yaml.as_bytes()).1, expected);
}

#[test]
fn merge_keys_give_what_is_not_there() {
    let (root, found) = read(b"base: &b {x: 1, y: 2}\nnode: {<<: *b, y: 3}\n");
    assert_eq!(found, "");
    let root = root.unwrap();
    let node = root.get("node").unwrap();
    assert_eq!(node.get("y").unwrap().text(), "3");
    assert_eq!(node.get("x").unwrap().text(), "1");
}

#[test]
fn places_are_bytes_after_marks_of_byte_order_and_wide_characters() {
    for ending in ["\n", "\r\n"] {
        let text = format!("\u{FEFF}ä: ö{ending}b: [c, 'd']{ending}");
        let (root, found) = read(text.as_bytes());
        assert_eq!(found, "");
        let root = root.unwrap();
        let Kind::Sequence(items) = &root.get("b").unwrap().kind else {
            panic!("b is a list");
        };
        let shown: Vec<_> = items
            .iter()
            .map(|item| &text[item.span.start as usize..item.span.end as usize])
            .collect();
        assert_eq!(shown, ["c", "'d'"]);
    }
}

#[test]
fn a_key_that_occurs_twice_is_shown_with_the_first() {
    check("a: 1\nb: 2\na: 3\n", "FY010 3:1 the key `a` occurs twice");
    check(
        "a: &a {}\nb: {<<: *a, <<: *a}\n",
        "FY010 2:13 the key `<<` occurs twice",
    );
}

#[test]
fn what_cannot_be_a_key_is_refused() {
    check(
        "? [a]\n: 1\n~: 2\n",
        "FY011 1:3 a list cannot be a key\nFY011 3:1 a key is missing here",
    );
}

#[test]
fn files_that_are_not_yaml_have_a_place() {
    check("", "FY005 1:1 the file is empty");
    check("# nothing\n", "FY005 1:1 the file is empty");
    check(
        "a: [1\n",
        "FY006 2:1 not well-formed YAML: while parsing a flow sequence, expected ',' or ']'",
    );
    check("a:\n\tb: 1\n", "FY007 2:1 a tab cannot indent in YAML");
    check("a: 1\n---\nb: 2\n", "FY008 2:1 a second document begins here");
    check(
        "a: !!str 1\n",
        "FY012 1:4 YAML tags such as `!!str` are not part of the language",
    );
    check("a: \0\n", "FY004 1:4 the character U+0000 is not allowed in YAML");
    assert_eq!(read(b"a: \xff\n").1, "FY003 1:4 this byte is not UTF-8");
}

#[test]
fn an_expression_between_braces_is_to_be_quoted() {
    for text in ["a: {b: x ${{ c }}}\n", "a: [${{ c }}]\n"] {
        let mut findings = Findings::default();
        let mut files = Files::default();
        assert!(parse("f.yaml", text.as_bytes().to_vec(), &mut files, &mut findings).is_none());
        let found = findings.sorted();
        let help = found[0].help.as_deref().unwrap_or_default();
        assert!(help.starts_with("quote the text"), "{text}: {found:?}");
    }
}

#[test]
fn aliases_have_a_budget() {
    check(
        "a: &a [*a]\n",
        "FY013 1:8 this alias stands inside of what it stands for",
    );
    check("<<: 1\n", "FY013 1:5 `<<` merges a map or a list of maps; found `1`");
    let mut bomb = String::from("a0: &a0 x\n");
    for level in 1..10 {
        let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    check(
        &bomb,
        "FY002 8:5 with all aliases followed this is more than 5000000 values",
    );
    let many = format!("a: &a 1\nb: [{}]\n", "*a,".repeat(1001));
    check(&many, "FY013 2:3005 the file has more than 1000 aliases");
}

#[test]
fn nesting_has_a_limit_that_no_stack_feels() {
    check(&"[".repeat(200_000), "FY009 1:256 nested more than 64 levels deep");
    check(&"? ".repeat(20_000), "FY009 1:129 nested more than 64 levels deep");
    check(&"- ".repeat(100_000), "FY009 1:129 nested more than 64 levels deep");
    check(
        &format!("a: {}", "{b: ".repeat(100)),
        "FY009 1:256 nested more than 64 levels deep",
    );
    let mut steps = String::new();
    for level in 0..1_000 {
        writeln!(steps, "{}a:", " ".repeat(level)).unwrap();
    }
    check(&steps, "FY009 65:65 nested more than 64 levels deep");
}

#[test]
fn brackets_in_text_are_no_nesting() {
    let open = "[{".repeat(10_000);
    for yaml in [
        format!("a: |\n  {open}\nb: [1]\n"),
        format!("a: >-\n  {open}\n"),
        format!("a: '{open}'\n"),
        format!("a: \"{open}\"\n"),
        format!("a: x{open}\n"),
        format!("# {open}\na: 1 # {open}\n"),
        "a: [x] # [\n".to_owned() + &"# {\n".repeat(600),
    ] {
        check(&yaml, "");
    }
    // What only looks like text to a careless reader is counted all the same.
    for yaml in [
        format!("a: ' '' ' # '\nb: {open}\n"),
        format!("a: |\n  x\n{open}\n"),
        format!("a: [x'y, {open}"),
    ] {
        let found = read(yaml.as_bytes()).1;
        assert!(found.starts_with("FY00"), "{found}");
    }
}
