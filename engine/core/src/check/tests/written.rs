use super::{explained, finds, told};

#[test]
fn secrets_are_not_written_out() {
    let text = "
env: {API_TOKEN: abc, LEVEL: high}
processes:
  a: {run: x, env: {DB_PASSWORD: hunter2, OLD_PASSWORD: {value: hunter3}}}
  b: {run: x, replicas: 2, env: {DB_PASSWORD: hunter2}}
";
    finds(
        text,
        "
warning FY276 2:7 the value of `API_TOKEN` stands in the file for all to read
warning FY276 4:21 the value of `DB_PASSWORD` stands in the file for all to read
warning FY276 4:43 the value of `OLD_PASSWORD` stands in the file for all to read
warning FY276 5:34 the value of `DB_PASSWORD` stands in the file for all to read
"
        .trim_start(),
    );
    assert!(!format!("{:?}", explained(text)).contains("abc"));
}

#[test]
fn what_is_no_secret_or_comes_from_elsewhere_may_stand_there() {
    finds(
        "
params: {token: ''}
processes:
  a:
    run: x
    env:
      A_TOKEN: ${{ params.token }}
      B_TOKEN: {value: abc, secret: true}
      C_TOKEN: ''
      D_PASSWORD_FILE: secret.txt
      E_PASSWORD: /run/secrets/e
      EMPTY_PASSWORD: 'yes'
      PUBLIC_KEY: abc
",
        "",
    );
}

#[test]
fn no_part_has_more_time_than_the_run() {
    let text = |own: &str, wait: &str| {
        format!(
            "{{options: {{timeout: 1m}}, processes: {{a: {{run: x, timeout: {own}}}, b: {{run: x, after: {{a: {{is: started, timeout: {wait}}}}}}}}}}}"
        )
    };
    finds(&text("59s", "30s"), "");
    finds(
        &text("1m", "30s"),
        "warning FY275 1:59 the time-out of `a` never comes to pass: the whole run has 1m\n",
    );
    finds(
        &text("30s", "1h30m"),
        "warning FY275 1:85 the wait of `b` for `a` never comes to pass: the whole run has 1m\n",
    );
    let (help, related) = explained(&text("30s", "1h30m"));
    assert_eq!(help, "make it shorter than 1m, or give the run more than 1h30m");
    assert_eq!(related, ["1:21 the time-out of the run"]);
}

#[test]
fn all_tries_of_a_task_fit_into_the_run() {
    let text = |max: u32, run: &str| {
        format!(
            "{{options: {{timeout: {run}}}, pools: {{w: {{run: x, tasks: [1], timeout: 10s, retry: {{max: {max}, backoff: 5s}}}}}}}}"
        )
    };
    finds(&text(2, "41s"), "");
    finds(&text(0, "11s"), "");
    finds(
        &text(2, "40s"),
        "warning FY274 1:68 a task of `w` may be tried for 40s, but the whole run has 40s\n",
    );
}

#[test]
fn params_are_mentioned_somewhere() {
    finds(
        "
params: {used: b, unused: 2, other: 3}
templates:
  t:
    params: {word: a, silent: b}
    run: echo ${{ params.word | sh }} ${{ params['other'] }}
processes:
  a: {use: t, with: {word: '${{ params.used }}'}}
",
        "
warning FY270 2:19 the param `unused` is not used
warning FY270 5:23 the param `silent` is not used
"
        .trim_start(),
    );
    assert_eq!(
        told("{params: {a: 1, b: 2}, processes: {p: {run: 'echo ${{ params | length }}'}}}"),
        ""
    );
}

#[test]
fn a_group_has_members() {
    finds(
        "{processes: {a: {run: x}}, groups: {g: {members: []}, h: {members: a}}}",
        "warning FY270 1:37 the group `g` is not used\n",
    );
}

#[test]
fn text_from_outside_is_quoted_in_whatever_a_shell_reads() {
    finds(
        "
params: {p: x, n: 3, loud: false}
processes:
  a: {run: [bash, -ec, 'one ${{ params.p }}'], stop: {command: [/bin/sh, -c, 'two ${{ params.p }}']}}
  b: {run: [sh, -c, 'one \"$1\" ${{ params.n }}', sh, 'to ${{ params.p }}']}
  c: {run: [python3, -c, 'one ${{ params.p }}']}
  d: {run: [sh, -c, '${{ params.p }}']}
  e: {run: \"one ${{ params.p if params.loud else '' }}\"}
  f: {run: \"one ${{ '-v' if params.p else '' }} ${{ (params.p if params.loud else 'x') | sh }}\"}
  g: {run: \"one ${{ params.p ~ '.txt' | sh }}\"}
"
        .replace("\\\"", "\"")
        .as_str(),
        "
warning FY277 4:29 `params.p` comes from outside the file and is not quoted for the shell
warning FY277 4:83 `params.p` comes from outside the file and is not quoted for the shell
warning FY277 8:17 `params.p` comes from outside the file and is not quoted for the shell
warning FY277 10:17 `params.p` comes from outside the file and is not quoted for the shell
"
        .trim_start(),
    );
    let help = |expression: &str| {
        explained(&format!(
            "{{params: {{p: x}}, processes: {{a: {{run: \"one ${{{{ {expression} }}}}\"}}}}}}"
        ))
        .0
    };
    assert_eq!(
        help("params.p"),
        "write `${{ params.p | sh }}` without quotes around it, or hand it over by `env` and write `\"$NAME\"`"
    );
    assert_eq!(
        help("params.p if params.p else 'x'"),
        "write `params.p | sh` in the expression and no quotes around it, or hand it over by `env` and write `\"$NAME\"`"
    );
}

#[test]
fn what_quotes_does_not_stand_in_quotes() {
    finds(
        r#"
params: {p: x, n: 3}
templates:
  python: {shell: python3}
processes:
  a: {run: "one 'two ${{ params.p | sh }}' ${{ params.p | sh }} '${{ params.n | sh }}'"}
  b:
    run: |
      # It isn't quoted here:
      one "$(two ${{ params.p | sh }})" "${{ params.p | sh }}"
  c: {shell: python3, run: "print('${{ params.p | sh }}')"}
  d: {use: python, run: "print('${{ params.p | sh }}')"}
  e: {run: [sh, -c, "one '${{ params.p | sh }}'"]}
"#,
        "
warning FY277 6:22 `params.p | sh` stands in quotes of the script, so that its own quotes do not quote
warning FY277 10:42 `params.p | sh` stands in quotes of the script, so that its own quotes do not quote
warning FY277 13:27 `params.p | sh` stands in quotes of the script, so that its own quotes do not quote
"
        .trim_start(),
    );
    assert_eq!(
        explained("{params: {p: x}, processes: {a: {run: \"one 'two ${{ params.p | sh }}'\"}}}").0,
        "end them before it and begin them again behind it, as in `'a '${{ params.p | sh }}' b'`, or hand it over by `env` and write `\"$NAME\"`"
    );
}
