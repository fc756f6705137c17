use super::*;

#[track_caller]
fn check_files(files: &[(&str, &str)], expected: &str) -> Loaded {
    let files: Vec<_> = files.iter().map(|&(path, text)| (path, text.as_bytes())).collect();
    let loaded = read_all(&[files[0].0], &files, &[]);
    assert_eq!(shown(&loaded), expected);
    loaded
}

#[test]
fn an_include_adds_its_nodes() {
    let loaded = check_files(
        &[
            (
                "dir/a.yaml",
                "forkyard: 1\ninclude: [sub/b.yaml]\nprocesses: {p: {run: x}}\n",
            ),
            (
                "dir/sub/b.yaml",
                "include: ../c.yaml\nprocesses: {q: {run: x}}\nqueues: {l: {}}\nx-own: 1\n",
            ),
            ("dir/c.yaml", "forkyard: 1\nevents: {e: {}}\nprocesses: {r: {run: x}}\n"),
        ],
        "",
    );
    let workflow = loaded.workflow.unwrap();
    assert_eq!(workflow.name, "a");
    assert_eq!(workflow.processes.len(), 3);
    assert_eq!(workflow.events.len(), 1);
}

#[test]
fn an_included_file_may_be_large() {
    let lines = (0..3_000).map(|it| format!("  p{it}: {{run: [program, argument]}}\n"));
    let many = format!("processes:\n{}", lines.collect::<Vec<_>>().concat());
    assert!(many.len() > 64 << 10);
    let main = "forkyard: 1\ninclude: many.yaml\nprocesses: {own: {run: x}}\n";
    let loaded = check_files(&[("a.yaml", main), ("many.yaml", &many)], "");
    assert_eq!(loaded.workflow.unwrap().processes.len(), 3_001);
}

#[test]
fn a_name_in_two_files_is_shown_in_both() {
    let loaded = check_files(
        &[
            ("a.yaml", "forkyard: 1\ninclude: b.yaml\nprocesses: {p: {run: x}}\n"),
            ("b.yaml", "processes: {p: {run: y}}\n"),
        ],
        "FY109 b.yaml:1:13 the name `p` is declared in two files",
    );
    assert_eq!(
        loaded.files.line_column(loaded.diagnostics[0].related[0].place),
        (3, 13)
    );
}

#[test]
fn an_include_that_cannot_be_followed_shows_the_way() {
    let main = "forkyard: 1\ninclude: b.yaml\nprocesses: {p: {run: x}}\n";
    let loaded = check_files(
        &[("a.yaml", main)],
        "FY117 2:10 `b.yaml` cannot be read: there is no such file",
    );
    assert!(!loaded.readable);
    assert_eq!(
        loaded.diagnostics[0].help.as_deref(),
        Some("the way to it is a.yaml → b.yaml")
    );
    check_files(
        &[("a.yaml", main), ("b.yaml", "include: a.yaml\n")],
        "FY117 b.yaml:1:10 `a.yaml` includes itself: a.yaml → b.yaml → a.yaml",
    );
    for outside in ["../b.yaml", "/b.yaml", "sub/../../b.yaml"] {
        let main = main.replace("b.yaml", outside);
        let expected = format!("FY117 2:10 `{outside}` is outside of the folder of the workflow");
        check_files(&[("dir/a.yaml", &main)], &expected);
    }
}

#[test]
fn includes_are_not_followed_for_ever() {
    let files: Vec<_> = (0..1_000)
        .map(|number| {
            let next = number + 1;
            let text = format!("forkyard: 1\ninclude: {next}.yaml\nprocesses: {{p{number}: {{run: x}}}}\n");
            (format!("{number}.yaml"), text)
        })
        .collect();
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_bytes()))
        .collect();
    let found = shown(&read_all(&["0.yaml"], &files, &[]));
    assert!(
        found.starts_with("FY117 15.yaml:2:10 more than 16 files include one another: 0.yaml → 1.yaml"),
        "{found}"
    );
}

#[test]
fn an_included_file_has_no_options_of_the_whole() {
    check_files(
        &[
            ("a.yaml", "forkyard: 1\ninclude: b.yaml\nprocesses: {p: {run: x}}\n"),
            ("b.yaml", "forkyard: 2\noptions: {timeout: 1s}\n"),
        ],
        "FY101 b.yaml:1:11 written for language version 2; this forkyard reads version 1\n\
         FY106 b.yaml:2:1 `options` has no place in an included file",
    );
}

#[test]
fn a_later_file_wins_field_by_field() {
    let loaded = read_all(
        &["base.yaml", "local.yaml"],
        &[
            (
                "base.yaml",
                b"forkyard: 1\nparams: {n: 1}\nprocesses: {p: {run: x, timeout: 1s, env: {A: a, B: b}, stdout: {file: f}}}\n",
            ),
            (
                "local.yaml",
                b"params: {n: 2}\nprocesses: {p: {timeout: 2s, env: {B: '${{ params.n }}'}, stdout: {append: g}}, q: {run: y}}\n",
            ),
        ],
        &[],
    );
    assert_eq!(shown(&loaded), "");
    let workflow = loaded.workflow.unwrap();
    let body = &workflow.processes[0].body;
    assert_eq!(workflow.name, "base");
    assert_eq!(body.timeout.unwrap().0.as_secs(), 2);
    assert_eq!((body.env["A"].value.as_str(), body.env["B"].value.as_str()), ("a", "2"));
    assert!(matches!(&body.stdout, Stream::Append(path, _) if path == "g"));
    assert_eq!(workflow.processes.len(), 2);
}

#[test]
fn files_of_variables_come_before_variables() {
    let loaded = check_files(
        &[
            (
                "dir/a.yaml",
                "forkyard: 1\nenv_file: top.env\nenv: {B: top}\nprocesses: {p: {run: x, env_file: own.env, env: {D: own}}}\n",
            ),
            ("dir/top.env", "A=file\nB=file\nC=file\n"),
            ("dir/own.env", "# mine\nexport C='own file'\nD=file\n"),
        ],
        "",
    );
    let workflow = loaded.workflow.unwrap();
    let values: Vec<_> = workflow.processes[0]
        .body
        .env
        .values()
        .map(|value| value.value.clone())
        .collect();
    assert_eq!(values, ["file", "top", "own file", "own"]);
}

#[test]
fn a_file_of_variables_that_cannot_be_used_is_placed() {
    check_files(
        &[
            (
                "a.yaml",
                "forkyard: 1\nenv_file: [b.env, none.env]\nprocesses: {p: {run: x}}\n",
            ),
            ("b.env", "A=b\nnonsense\n"),
        ],
        "FY118 2:12 line 2 of `b.env`: there is no `=`\nFY118 2:19 `none.env` cannot be read: there is no such file",
    );
}

#[test]
fn a_file_that_cannot_be_read_is_unreadable() {
    let loaded = read_all(&["none.yaml"], &[], &[]);
    assert_eq!(
        shown(&loaded),
        "FY001 `none.yaml` cannot be read: there is no such file"
    );
    assert!(!loaded.readable);
    let loaded = read_all(&[], &[], &[]);
    assert_eq!(shown(&loaded), "FY001 no workflow file is given");
    assert!(!read_one("a: [").readable);
    assert!(read_one("forkyard: 2\nprocesses: {p: {run: x}}\n").readable);
}
