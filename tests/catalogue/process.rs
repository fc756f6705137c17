//! P and CC: whatever a process does.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{OWN_PIDS, has_namespaces};
use crate::harness::{Forkyard, Live, until};

fn has_python() -> bool {
    let found = Command::new("python3").arg("--version").output().is_ok();
    if !found {
        println!("skipped: there is no python3");
    }
    found
}

/// The pid of a process of the run, and whether it stands still.
fn is_stopped(live: &Live, process: &str) -> Option<Pid> {
    let run = live.world().runs().pop()?;
    let records = fs::read_to_string(run.join("records.jsonl")).ok()?;
    let mut records = records
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let started = records.find(|record| record["record"] == "started" && record["process"] == process)?;
    let pid = i32::try_from(started["pid"].as_i64()?).ok()?;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    (stat.rsplit_once(") ")?.1.starts_with('T')).then(|| Pid::from_raw(pid))
}

#[test]
fn p1_cc1_what_the_kernel_does_not_execute_is_told_in_words() {
    let workflow = "
forkyard: 1
processes:
  foreign: {run: [./foreign]}
  busy: {run: [./busy]}
  next: {run: touch touched, after: [foreign, busy]}
  other: {run: echo other}
";
    // The beginning of a program for 64-bit ARM, and, where that is this machine, of one for x86.
    let machine = if cfg!(target_arch = "aarch64") {
        b"\x3e\0"
    } else {
        b"\xb7\0"
    };
    let foreign = [
        b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0",
        &machine[..],
        b"\x01\0\0\0",
    ]
    .concat();
    let run = Forkyard::run_of(workflow).file("foreign", foreign).file("busy", "");
    for name in ["foreign", "busy"] {
        fs::set_permissions(run.folder().join(name), Permissions::from_mode(0o755)).expect("it is ours");
    }
    fs::copy("/bin/true", run.folder().join("busy")).expect("there is a program to copy");
    let kept_open = fs::OpenOptions::new()
        .append(true)
        .open(run.folder().join("busy"))
        .expect("it is ours");
    let run = run.run();
    drop(kept_open);
    run.exit(1)
        .line("foreign │ could not be started: cannot execute ./foreign: it is a program for another kind of machine")
        .line("busy │ could not be started: cannot execute ./busy: it is being written at the moment")
        .line("next │ skipped: [..]")
        .line("other │ other");
    assert!(!run.world().has("touched"));
}

/// All signals from 1 to 31 that end a process which does nothing about them.
const DEADLY: [Signal; 23] = [
    Signal::SIGHUP,
    Signal::SIGINT,
    Signal::SIGQUIT,
    Signal::SIGILL,
    Signal::SIGTRAP,
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGKILL,
    Signal::SIGUSR1,
    Signal::SIGSEGV,
    Signal::SIGUSR2,
    Signal::SIGPIPE,
    Signal::SIGALRM,
    Signal::SIGTERM,
    Signal::SIGSTKFLT,
    Signal::SIGXCPU,
    Signal::SIGXFSZ,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGPWR,
    Signal::SIGSYS,
];

#[test]
fn p2_every_end_is_told_by_its_name() {
    let numbers = DEADLY.map(|signal| (signal as i32).to_string()).join(", ");
    let run = Forkyard::run_of(&format!(
        "
forkyard: 1
processes:
  last: {{run: exit 255}}
  by: {{run: 'kill -${{{{ item }}}} $$; exec sleep 1000', each: [{numbers}], limits: {{core: 0}}}}
"
    ))
    .run();
    run.exit(1).line("last │ exited with code 255 after [..]");
    for (index, signal) in DEADLY.iter().enumerate() {
        let name = format!("by.{index}");
        run.line(&format!("{name} │ killed by {signal} after [..]"));
        let exits = run.records_of("exited", &name);
        assert_eq!(exits.len(), 1, "{name}: {exits:?}");
        assert_eq!(exits[0]["exit"], json!({"signal": *signal as i32}));
    }
}

#[test]
fn p2_who_stands_still_for_a_while_goes_on() {
    let live = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'kill -STOP $$; echo goes on'}}\n").start();
    until("it stands still", || is_stopped(&live, "p").is_some());
    let pid = is_stopped(&live, "p").expect("it has just been seen");
    kill(pid, Signal::SIGCONT).expect("it is ours");
    live.end().exit(0).line("p │ goes on");
}

/// Python can block signals, which a shell cannot.
const BLOCKS: &str = "
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
print('up', flush=True)
while True:
    time.sleep(1000)
";

#[test]
fn p3_cc5_whoever_blocks_or_traps_every_signal_is_gone_after_its_grace() {
    if !has_python() {
        return;
    }
    let live = Forkyard::run_of(
        "
forkyard: 1
defaults: {stop: {grace: 200ms}}
processes:
  blocks: {run: [python3, blocks.py]}
  traps: {run: \"trap 'echo no' TERM INT HUP QUIT USR1; echo up; while :; do sleep 0.01; done\"}
",
    )
    .file("blocks.py", BLOCKS)
    .start();
    live.wait_for("blocks │ up").wait_for("traps │ up");
    live.signal(Signal::SIGTERM);
    let run = live.end();
    run.exit(143).line("traps │ no");
    for name in ["blocks", "traps"] {
        run.line(&format!("{name} │ stopped: killed by SIGKILL after [..]"));
        // Between the two at least the grace.
        let at = |kind: &str| {
            run.records_of(kind, name)[0]["at"]
                .as_u64()
                .expect("a record has a time")
        };
        assert!(at("killing") - at("stopping") >= 200_000_000);
    }
}

#[test]
fn cc4_who_stands_still_hears_the_stop_and_can_act_on_it() {
    let live = Forkyard::run_of(
        "forkyard: 1\nprocesses: {p: {run: \"trap 'echo in order; exit 0' TERM; kill -STOP $$; sleep 1000\", stop: {grace: 1h}}}\n",
    )
    .start();
    until("it stands still", || is_stopped(&live, "p").is_some());
    live.signal(Signal::SIGTERM);
    live.end().exit(143).line("p │ in order");
}

#[test]
fn p6_cc11_a_grandchild_that_keeps_the_output_open_holds_nobody_up() {
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  parent: {run: '(setsid sleep 1000 &); (exec env -i /bin/sh -c \"echo late; exec sleep 1000\" &); sleep 0.1; echo done', stop: {grace: 100ms}}
  next: {run: echo next, after: parent}
",
    )
    .run();
    run.exit(0)
        .line("parent │ done")
        .line("parent │ late")
        .line("parent │ has left processes behind ([..]): stopping them")
        .line("next │ next");
    assert!(run.when("exited", "parent") < run.when("started", "next"));
}

#[test]
fn p8_a_reader_that_does_not_read_holds_its_writer_up_and_one_that_goes_ends_it() {
    let live = Forkyard::run_of(
        "
forkyard: 1
pipes: {link: {}}
processes:
  writes: {run: 'i=0; while echo $i; do i=$((i + 1)); echo $i > count; done', stdout: link}
  idle: {run: 'until test -e go; do sleep 0.01; done; head -n 1 > /dev/null; exec <&-', stdin: link}
",
    )
    .start();
    let count = || fs::read_to_string(live.world().folder().join("count")).unwrap_or_default();
    let mut before = String::from("nothing yet");
    until("the writer is held up by a full pipe", || {
        // It counts without a pause as long as it can write.
        std::thread::sleep(std::time::Duration::from_millis(100));
        let stands = count() == before && !before.is_empty();
        before = count();
        stands
    });
    live.world().write("go", "");
    let run = live.end();
    run.exit(0);
    let exits = run.records_of("exited", "writes");
    assert_eq!(exits[0]["exit"], json!({"signal": Signal::SIGPIPE as i32}));
}

/// Leaves children behind that nobody waits for: they have ended, and their parent sleeps.
const ZOMBIES: &str = "
import os, time
for _ in range(50):
    if os.fork() == 0:
        os._exit(0)
print('up', flush=True)
time.sleep(1000)
";

#[test]
fn p10_a_parent_of_zombies_is_stopped_like_any_other() {
    if !has_python() {
        return;
    }
    let live = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: [python3, zombies.py]}}\n")
        .file("zombies.py", ZOMBIES)
        .start();
    live.wait_for("p │ up").signal(Signal::SIGTERM);
    live.end().exit(143).line("p │ stopped: killed by SIGTERM after [..]");
}

#[test]
fn cc18_as_the_first_process_of_a_container_it_reaps_what_others_leave() {
    if !has_namespaces() {
        return;
    }
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  leaves: {run: 'for i in $(seq 50); do (setsid sh -c \"sleep 0.01; exit 3\" &); done'}
  looks:
    after: leaves
    run: 'until ! grep -l \"^State:.Z\" /proc/[0-9]*/status; do sleep 0.01; done; echo none'
",
    )
    .launched_by(&OWN_PIDS)
    .run();
    run.exit(0).line("looks │ none");
}

/// In a namespace of its own the next pid can be chosen: so a few of them come again and again.
#[test]
fn p10_cc19_no_stranger_is_signalled_though_pids_come_again() {
    if !has_namespaces() {
        return;
    }
    let script = "
(trap '' HUP; exec sleep 1000) & stranger=$!
echo 200 > /proc/sys/kernel/ns_last_pid || exit 77
\"$0\" \"$@\"; code=$?
kill -0 $stranger && echo the stranger lives
exit $code
";
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  crowd:
    replicas: 60
    timeout: 30s
    stop: {grace: 20ms}
    run: 'echo 210 > /proc/sys/kernel/ns_last_pid; (setsid sleep 1000 &); (sleep 1000 &); exit 0'
",
    )
    .launched_by(&[&OWN_PIDS[..], &["sh", "-c", script]].concat())
    .run();
    run.exit_one_of(&[0, 77]);
    if run.stdout().contains("exit 77") || !run.stdout().contains("crowd") {
        println!("skipped: the next pid cannot be chosen here");
        return;
    }
    run.says("the stranger lives");
    let exits = run
        .records()
        .into_iter()
        .filter(|record| record["record"] == "exited")
        .count();
    assert_eq!(exits, 60);
}

#[test]
fn p11_cc17_a_process_has_exactly_what_is_declared() {
    let script = "trap '' USR1 PIPE ALRM; umask 027; exec 7</etc/passwd 9>canary; exec \"$0\" \"$@\"";
    let run = Forkyard::run_of(
        "
forkyard: 1
pipes: {link: {}}
processes:
  descriptors: {run: [ls, /proc/self/fd]}
  declared: {run: [ls, /proc/self/fd], fds: {5: {send: link}}}
  other: {run: cat, stdin: link}
  signals: {run: [grep, -E, '^Sig(Blk|Ign)', /proc/self/status]}
  stdin: {run: [readlink, /proc/self/fd/0]}
  mask: {run: umask, umask: '077'}
  same: {run: umask}
  variables:
    run: env | grep -vE '^(PWD|OLDPWD|SHLVL|_|FORKYARD_[A-Z]+|PATH)='
    clear_env: true
    env: {OWN: x}
",
    )
    .launched_by(&["sh", "-c", script])
    .quiet()
    .run();
    run.exit(0);
    // The last one is the folder that `ls` reads.
    assert_eq!(run.said("descriptors"), ["0", "1", "2", "3"]);
    assert_eq!(run.said("declared"), ["0", "1", "2", "3", "5"]);
    let zero = "0000000000000000";
    assert_eq!(
        run.said("signals"),
        [format!("SigBlk:\t{zero}"), format!("SigIgn:\t{zero}")]
    );
    assert_eq!(run.said("stdin"), ["/dev/null"]);
    assert_eq!(run.said("mask"), ["0077"]);
    assert_eq!(run.said("same"), ["0027"]);
    assert_eq!(run.said("variables"), ["OWN=x"]);
}

#[test]
fn cc12_who_closes_its_output_is_supervised_on() {
    let live = Forkyard::run_of(
        "
forkyard: 1
processes:
  silent: {run: 'echo up; exec >&- 2>&-; until test -e go; do sleep 0.01; done; exit 3'}
",
    )
    .start();
    live.wait_for("silent │ up");
    live.world().write("go", "");
    let run = live.end();
    run.exit(1).line("silent │ exited with code 3 after [..]");
}

#[test]
fn cc15_cc16_a_log_has_every_byte_whatever_they_are() {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let run = Forkyard::run_of(
        "
forkyard: 1
processes:
  binary: {run: [cat, bytes]}
  half: {run: 'printf \"whole\\nhalf a line\"; kill -KILL $$', on_failure: ignore}
  clips: {run: \"printf 'a\\\\033]52;c;AAAA\\\\007b\\\\033[2Jc\\\\n'\"}
",
    )
    .file("bytes", &bytes)
    .run();
    run.exit(0).line("half │ half a line").line("clips │ abc");
    assert!(!run.stdout().contains('\x1b') && !run.stdout().contains('\x07'));
    let log = |name: &str| fs::read(run.world().run_directory().join(format!("logs/{name}.log"))).expect("a log");
    assert!(log("binary") == bytes, "the log of binary output is not exact");
    assert_eq!(log("half"), b"whole\nhalf a line");
    assert_eq!(log("clips"), b"a\x1b]52;c;AAAA\x07b\x1b[2Jc\n");
}

/// The kernel's parent-death signal comes when the *thread* ends that has started a process; idle threads of the runtime end after ten
/// seconds.
#[test]
fn cc20_a_process_outlives_every_idle_thread_of_the_engine() {
    let run = Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'sleep 11; echo lives'}}\n").run();
    run.exit(0).line("p │ lives");
}
