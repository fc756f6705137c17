//! S and GG: whoever means ill.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;

use nix::sys::signal::Signal;

use crate::harness::{Forkyard, files_under, repository};

fn is_root() -> bool {
    let is_root = nix::unistd::geteuid().is_root();
    if !is_root {
        println!("skipped: only root can be another user");
    }
    is_root
}

/// As another user, with no more than it has.
const NOBODY: [&str; 6] = [
    "setpriv",
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--inh-caps=-all",
    "--bounding-set=-all",
];

/// A request that everybody may make whom the engine serves at all.
const ASKS: [&str; 5] = ["curl", "-sSf", "--max-time", "30", "--unix-socket"];

#[test]
fn s1_gg1_another_user_reads_nothing_and_is_not_served() {
    if !is_root() || Command::new("curl").arg("--version").output().is_err() {
        return;
    }
    let live = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'echo up; sleep 1000'}}\n").start();
    live.wait_for("p │ up");
    live.world().open_to_all();
    fs::set_permissions(live.world().state(), Permissions::from_mode(0o755)).expect("it is ours");
    let run = live.world().run_directory();
    let as_nobody = |words: &[&str]| {
        let done = Command::new(NOBODY[0])
            .args(&NOBODY[1..])
            .args(words)
            .output()
            .expect("setpriv can be executed");
        done.status.code()
    };
    let socket = run.join("socket");
    let address = socket.to_str().expect("a path of text");
    let asks = [&ASKS[..], &[address, "http://forkyard/v1/ps"]].concat();
    let text = |path: &Path| path.to_str().expect("a path of text").to_owned();
    assert_ne!(as_nobody(&["cat", &text(&run.join("records.jsonl"))]), Some(0));
    assert_ne!(as_nobody(&["ls", &text(&run)]), Some(0));
    assert_ne!(as_nobody(&asks), Some(0));
    // Even if all doors were opened by mistake: the engine asks the kernel who it is that calls.
    for path in [
        live.world().state().join("forkyard"),
        live.world().state().join("forkyard/runs"),
        run.clone(),
    ] {
        fs::set_permissions(path, Permissions::from_mode(0o755)).expect("it is ours");
    }
    fs::set_permissions(&socket, Permissions::from_mode(0o666)).expect("it is ours");
    assert_ne!(as_nobody(&asks), Some(0));
    let own = Command::new(asks[0])
        .args(&asks[1..])
        .output()
        .expect("curl can be executed");
    assert_eq!(own.status.code(), Some(0), "its own user is answered");
    live.signal(Signal::SIGTERM);
    live.end().exit(143);
}

#[test]
fn s1_gg2_what_somebody_else_may_have_planted_is_refused() {
    let workflow = "forkyard: 1\nprocesses: {p: {run: touch touched}}\n";
    let run = Forkyard::run_of(workflow);
    let elsewhere = run.folder().join("elsewhere");
    fs::create_dir(&elsewhere).expect("a folder can be made");
    symlink(&elsewhere, run.world().state().join("forkyard")).expect("a link can be made");
    let run = run.run();
    run.exit(3).stderr("is a symbolic link").stderr("XDG_STATE_HOME");
    assert!(!run.world().has("touched"));
    assert_eq!(fs::read_dir(&elsewhere).expect("a folder").count(), 0);
    if is_root() {
        let run = Forkyard::run_of(workflow);
        let planted = run.world().state().join("forkyard");
        fs::create_dir(&planted).expect("a folder can be made");
        std::os::unix::fs::chown(&planted, Some(65534), None).expect("root may");
        let run = run.run();
        run.exit(3).stderr("belongs to another user");
        assert!(!run.world().has("touched"));
    }
}

/// All files and folders below, with what others may do.
fn modes(folder: &Path, found: &mut Vec<(String, u32)>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let metadata = entry.path().symlink_metadata().expect("it is there");
        if metadata.is_symlink() {
            continue;
        }
        found.push((entry.path().display().to_string(), metadata.mode() & 0o077));
        if metadata.is_dir() {
            modes(&entry.path(), found);
        }
    }
}

#[test]
fn s1_gg6_all_is_private_though_the_mask_is_open() {
    let live = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
locks: {l: {}}
pools: {w: {tasks: [1, 2], run: echo $FORKYARD_ITEM}}
processes:
  p: {run: 'echo up; sleep 1000', acquires: l, sends: q}
  r: {run: cat, stdin: q}
",
    )
    .launched_by(&["sh", "-c", "umask 000; exec \"$0\" \"$@\""])
    .start();
    live.wait_for("p │ up").wait_for("w │ 2");
    let mut found = Vec::new();
    modes(&live.world().state().join("forkyard"), &mut found);
    live.signal(Signal::SIGTERM);
    live.end().exit(143);
    let open: Vec<_> = found.iter().filter(|(_, mode)| *mode != 0).collect();
    assert!(found.len() > 8, "{found:?}");
    assert!(open.is_empty(), "others may use {open:?}");
}

#[test]
fn s3_gg7_what_a_shell_would_execute_arrives_as_data() {
    let evil = "a;touch pwned;$(touch pwned)`touch pwned`\n-x \"' & | > pwned";
    let run = Forkyard::run_of(
        "
forkyard: 1
params: {p: none}
queues: {q: {}}
processes:
  text: {run: 'printf \"%s\\n\" ${{ params.p | sh }}'}
  variable: {run: 'printf \"%s\\n\" \"$V\"', env: {V: '${{ params.p }}'}}
  list: {run: [printf, '%s\\n', '${{ params.p }}']}
pools:
  tasks: {tasks: ['${{ params.p }}'], run: 'printf \"%s\\n\" \"$FORKYARD_ITEM\"'}
",
    )
    .param(&format!("p={evil}"))
    .quiet()
    .run();
    run.exit(0);
    let lines: Vec<&str> = evil.lines().collect();
    for name in ["text", "variable", "list", "tasks.0"] {
        assert_eq!(run.said(name), lines, "{name}");
    }
    assert!(!run.world().has("pwned"));
}

#[test]
fn s4_gg8_no_name_leads_out_of_the_runs_directory() {
    let done = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: echo hello, log: {file: p.log}}}\n").run();
    done.exit(0);
    assert!(
        done.world().has("p.log"),
        "a file that the workflow names itself is where it says"
    );
    let state = done.world().state().as_os_str().to_owned();
    done.world().write("secret.log", "canary");
    for words in [
        &["logs", "../../../secret"][..],
        &["logs", "/etc/passwd"],
        &["logs", "../../etc", "p"],
        &["ps", "--run", "../../../../etc"],
    ] {
        let call = Forkyard::new(words[0]).env("XDG_STATE_HOME", state.clone());
        let told = words[1..].iter().fold(call, |call, word| call.arg(*word)).run();
        told.exit_one_of(&[2, 3]);
        assert!(!told.stdout().contains("canary") && !told.stdout().contains("root:"));
    }
}

#[test]
fn s5_the_token_of_one_process_is_of_no_use_for_what_another_declared() {
    let run = Forkyard::run_of(
        "
forkyard: 1
locks: {l: {}}
events: {e: {}}
processes:
  a: {run: 'echo $FORKYARD_TOKEN > token; until test -e done; do sleep 0.01; done', sets: e}
  b:
    acquires: l
    run: |
      exec 2>&1
      until test -s token; do sleep 0.01; done
      forkyard acquire l; echo own $?
      FORKYARD_TOKEN=$(cat token) forkyard release l; echo $?
      FORKYARD_TOKEN=$(cat token) forkyard acquire l --no-block; echo $?
      FORKYARD_TOKEN=guessed forkyard release l; echo $?
      forkyard release l; echo own $?
      touch done
  c: {run: echo c, after: {e: {is: set, timeout: 1s, else: skip}}}
",
    )
    .run();
    run.exit(0);
    let said = run.said("b");
    let codes: Vec<&str> = said
        .iter()
        .copied()
        .filter(|line| line.len() == 1 || line.starts_with("own"))
        .collect();
    assert_eq!(codes, ["own 0", "3", "3", "3", "own 0"], "{said:?}");
    assert!(said.iter().any(|line| line.contains("acquires: [l]")), "{said:?}");
}

#[test]
fn gg10_a_process_of_another_user_has_none_of_ours() {
    if !is_root() {
        return;
    }
    let run = Forkyard::run_of(
        "forkyard: 1\nprocesses: {p: {run: 'id -u; id -G; grep -E ^CapEff /proc/self/status', user: '65534', group: '65534', cwd: /}}\n",
    )
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.texts(), ["65534", "65534", "CapEff:\t0000000000000000"]);
}

/// What no test of ours can see: the advisories, licences and sources of what we depend on.
#[test]
fn s6_dependencies_are_looked_at_whenever_anything_is_taken() {
    let checks = fs::read_to_string(repository(".ci/run")).expect("it is there");
    assert!(
        checks.contains("cargo deny check bans licenses sources") && checks.contains("cargo deny check advisories")
    );
    let policy = fs::read_to_string(repository("deny.toml")).expect("it is there");
    for section in ["[licenses]", "[bans]", "[sources]"] {
        assert!(policy.contains(section), "{section}");
    }
    assert!(files_under("engine", "rs").len() > 10);
}
