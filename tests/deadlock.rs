//! Deadlocks that really happen: each is seen, told, and ends its run; and what only looks like one is left alone.

use std::path::Path;

use forkyard_ipc::channel::Attachment;
use forkyard_ipc::client::Client;
use forkyard_ipc::wire::Touch;
use forkyard_ipc::{Event, Lock};

use crate::harness::{Forkyard, Outcome, binary};
use crate::python::package;

/// What [`a_client_of_a_run`] is to do.
const ACT: &str = "FORKYARD_TEST_DEADLOCK";

/// Runs a workflow without its first line. `CLIENT <act>` is this program as a client, `meet <other>` waits in a script until the other has come as far.
fn run(workflow: &str) -> Outcome {
    let program = std::env::current_exe().expect("this program is a file");
    let client = format!(
        "exec {} --exact deadlock::a_client_of_a_run --test-threads 1",
        program.display()
    );
    let client = format!("client() {{ {ACT}=$1 {client}; }}; client");
    // Whoever meets says first that he has come.
    let meet = "met() { : >\"$1.here\"; until test -e \"$2.here\"; do sleep 0.01; done; }; met";
    let text = workflow.replace("CLIENT", &client).replace("MEET", meet);
    let run = Forkyard::run_of(&format!("forkyard: 1\n{text}"));
    match package() {
        Some(package) => run.env("PYTHONPATH", package).run(),
        None => run.run(),
    }
}

/// It must end with a deadlock that is told so; both names may come in any order.
fn deadlocks(workflow: &str, told: &[&str]) {
    let run = run(workflow);
    run.exit(4);
    let line = run.stdout().lines().find(|line| line.contains("deadlock: "));
    let line = line.unwrap_or_else(|| panic!("no deadlock is told: {}", run.stdout()));
    for clause in told {
        assert!(line.contains(clause), "no `{clause}` in {line}");
    }
    assert_eq!(line.matches("; ").count() + 1, told.len(), "{line}");
    run.line("[..]stopping the run, since processes wait for each other");
}

/// It must end well, though some wait for long.
fn is_left_alone(workflow: &str) {
    let run = run(workflow);
    run.exit(0).no_line("[..]deadlock: [..]");
}

const CROSSED: [&str; 2] = [
    "`a` holds `left` and waits for `right`, which `b` holds",
    "`b` holds `right` and waits for `left`, which `a` holds",
];

/// Run by the processes of the workflows below; of no use alone.
#[test]
fn a_client_of_a_run() {
    match std::env::var(ACT).as_deref() {
        Ok("a") => cross("a", "b", "left", "right"),
        Ok("b") => cross("b", "a", "right", "left"),
        Ok("timed") => {
            let lock = Lock::attach(attach("left", Touch::Hold)).expect("a lock");
            let patience = forkyard_ipc::Patience::For(std::time::Duration::from_millis(1500));
            let granted = lock.acquire_raw(patience).expect("a lock");
            assert!(granted.is_none(), "nobody releases it");
        }
        Ok("second-thread") => second_thread(),
        Ok(act) => panic!("there is no act `{act}`"),
        Err(_) => assert!(Client::from_environment().is_err(), "this is no process of a run"),
    }
}

fn attach(name: &str, touch: Touch) -> Attachment {
    let mut client = Client::from_environment().expect("it is a process of a run");
    client.attach(name, touch).expect("it is declared")
}

fn meet(own: &str, other: &str) {
    std::fs::write(format!("{own}.here"), "").expect("written");
    crate::harness::until("the other is here", || Path::new(&format!("{other}.here")).exists());
}

fn cross(own: &str, other: &str, first: &str, second: &str) {
    let first = Lock::attach(attach(first, Touch::Hold)).expect("a lock");
    let second = Lock::attach(attach(second, Touch::Hold)).expect("a lock");
    let _first = first.acquire().expect("it is free");
    meet(own, other);
    let _second = second.acquire().expect("it never is");
}

/// One thread waits for what another one of the same program brings, some time later.
fn second_thread() {
    let event = Event::attach(attach("go", Touch::Wait)).expect("an event");
    let setter = std::thread::spawn(|| {
        std::thread::sleep(std::time::Duration::from_millis(1500));
        Client::from_environment()
            .expect("a process of a run")
            .set("go")
            .expect("it is declared");
    });
    event.wait().expect("it is set");
    setter.join().expect("it does not panic");
}

#[test]
fn g6_bb1_two_locks_in_two_orders_by_verbs() {
    deadlocks(
        "
locks: {left: {}, right: {}}
processes:
  a: {acquires: [left, right], run: 'forkyard acquire left; MEET a b; forkyard acquire right'}
  b: {acquires: [left, right], run: 'forkyard acquire right; MEET b a; forkyard acquire left'}
",
        &CROSSED,
    );
}

#[test]
fn two_locks_in_two_orders_around_commands() {
    deadlocks(
        "
locks: {left: {}, right: {}}
processes:
  a: {acquires: [left, right], run: \"forkyard lock left -- sh -c 'MEET a b; forkyard lock right -- true'\"}
  b: {acquires: [left, right], run: \"forkyard lock right -- sh -c 'MEET b a; forkyard lock left -- true'\"}
"
        .replace("MEET a b", "touch a.here; until test -e b.here; do sleep 0.01; done")
        .replace("MEET b a", "touch b.here; until test -e a.here; do sleep 0.01; done")
        .as_str(),
        &CROSSED,
    );
}

#[test]
fn g6_bb1_two_locks_in_two_orders_in_mapped_memory() {
    deadlocks(
        "
locks: {left: {}, right: {}}
processes:
  a: {acquires: [left, right], run: 'CLIENT a'}
  b: {acquires: [left, right], run: 'CLIENT b'}
",
        &CROSSED,
    );
}

#[test]
fn one_by_verbs_and_one_in_mapped_memory() {
    deadlocks(
        "
locks: {left: {}, right: {}}
processes:
  a: {acquires: [left, right], run: 'CLIENT a'}
  b: {acquires: [left, right], run: 'forkyard acquire right; MEET b a; forkyard acquire left'}
",
        &CROSSED,
    );
}

const CROSSED_IN_PYTHON: &str = "
locks: {left: {}, right: {}}
processes:
  a:
    acquires: [left, right]
    shell: python3
    run: |
      import forkyard, os, time
      with forkyard.Lock('left'):
          open('a.here', 'w').close()
          while not os.path.exists('b.here'):
              time.sleep(0.01)
          with forkyard.Lock('right'): pass
  b:
    acquires: [left, right]
    shell: python3
    run: |
      import forkyard, os, time
      with forkyard.Lock('right'):
          open('b.here', 'w').close()
          while not os.path.exists('a.here'):
              time.sleep(0.01)
          with forkyard.Lock('left'): pass
";

#[test]
fn two_locks_in_two_orders_in_python() {
    if package().is_some() {
        deadlocks(CROSSED_IN_PYTHON, &CROSSED);
    }
}

/// Python's own client of HTTP waits in a read without a time-out.
#[test]
fn g6_bb1_one_over_http() {
    if package().is_none() {
        return;
    }
    deadlocks(
        "
locks: {left: {}, right: {}}
processes:
  a:
    acquires: [left, right]
    shell: python3
    run: |
      import http.client, os, socket, time
      class Run(http.client.HTTPConnection):
          def connect(self):
              self.sock = socket.socket(socket.AF_UNIX)
              self.sock.connect(os.environ['FORKYARD_SOCKET'])
      def acquire(lock):
          run.request('POST', f'/v1/locks/{lock}/acquire', headers={'Authorization': 'Bearer ' + os.environ['FORKYARD_TOKEN']})
          assert run.getresponse().read() is not None
      run = Run('localhost')
      acquire('left')
      open('a.here', 'w').close()
      while not os.path.exists('b.here'):
          time.sleep(0.01)
      acquire('right')
  b: {acquires: [left, right], run: 'forkyard acquire right; MEET b a; forkyard acquire left'}
",
        &CROSSED,
    );
}

#[test]
fn g6_permits_of_a_semaphore() {
    deadlocks(
        "
semaphores: {seats: {permits: 2}}
processes:
  a: {acquires: seats, run: 'forkyard acquire seats; MEET a b; forkyard acquire seats'}
  b: {acquires: seats, run: 'forkyard acquire seats; MEET b a; forkyard acquire seats'}
",
        &[
            "`a` holds a permit of `seats` and waits for a permit of `seats`, which ",
            "`b` holds a permit of `seats` and waits for a permit of `seats`, which ",
        ],
    );
}

#[test]
fn who_waits_for_what_he_holds() {
    deadlocks(
        "
locks: {left: {}}
processes:
  a: {acquires: left, run: 'forkyard acquire left; forkyard acquire left'}
",
        &["`a` holds `left` and waits for `left`, which `a` holds"],
    );
}

#[test]
fn two_full_queues() {
    deadlocks(
        "
queues: {there: {capacity: 2}, back: {capacity: 2}}
processes:
  a: {sends: there, receives: back, run: 'seq 5 | forkyard put there; forkyard get back -n 5'}
  b: {sends: back, receives: there, run: 'seq 5 | forkyard put back; forkyard get there -n 5'}
",
        &[
            "`a` waits for room in `there`, from which only `b` gets",
            "`b` waits for room in `back`, from which only `a` gets",
        ],
    );
}

#[test]
fn g2_g6_two_full_queues_through_streams() {
    deadlocks(
        "
queues: {there: {capacity: 2}, back: {capacity: 2}}
processes:
  # The pipes take some, too.
  a: {stdout: there, receives: back, run: 'yes abcdefgh; forkyard get back'}
  b: {stdout: back, receives: there, run: 'yes abcdefgh; forkyard get there'}
",
        &[
            "`a` waits for room in `there`, from which only `b` gets",
            "`b` waits for room in `back`, from which only `a` gets",
        ],
    );
}

#[test]
fn two_empty_queues() {
    deadlocks(
        "
queues: {there: {}, back: {}}
processes:
  a: {sends: there, receives: back, run: 'forkyard get back; forkyard put there x'}
  b: {stdout: back, stdin: there, run: cat}
",
        &[
            "`a` waits for an item of `back`, which only `b` could bring",
            "`b` waits for an item of `there`, which only `a` could bring",
        ],
    );
}

#[test]
fn g2_bb8_two_pipes_that_are_full() {
    deadlocks(
        "
pipes: {there: {}, back: {}}
processes:
  a: {run: 'yes >&4; read x <&5', fds: {4: {send: there}, 5: {receive: back}}}
  b: {run: 'yes >&5; read x <&4', fds: {4: {receive: there}, 5: {send: back}}}
",
        &[
            "`a` waits for `b` at the pipe `there`",
            "`b` waits for `a` at the pipe `back`",
        ],
    );
}

#[test]
fn an_event_whose_setter_waits() {
    deadlocks(
        "
events: {ready: {}, go: {}}
processes:
  a: {waits: go, sets: ready, run: 'forkyard wait go; forkyard set ready'}
  b: {waits: ready, sets: go, run: 'forkyard wait ready; forkyard set go'}
",
        &[
            "`a` waits for the event `go`, which only `b` could set",
            "`b` waits for the event `ready`, which only `a` could set",
        ],
    );
}

#[test]
fn bb6_an_event_that_nobody_is_left_to_set() {
    deadlocks(
        "
events: {go: {}}
processes:
  a: {waits: go, run: forkyard wait go}
  b: {sets: go, run: 'true'}
",
        &["`a` waits for the event `go`, which nobody is left to set"],
    );
}

#[test]
fn g6_bb10_what_is_to_be_held_and_what_waits_for_the_holder() {
    deadlocks(
        "
locks: {left: {}}
events: {go: {}, held: {}}
processes:
  a: {acquires: left, sets: held, waits: go, run: 'forkyard acquire left; forkyard set held; forkyard wait go'}
  b: {after: {held: set}, holds: left, sets: go, run: forkyard set go}
",
        &[
            "`a` holds `left` and waits for the event `go`, which only `b` could set",
            "`b` waits for `left`, which `a` holds",
        ],
    );
}

#[test]
fn g6_bb11_a_slot_and_what_its_holder_waits_for() {
    deadlocks(
        "
pools: {one: {size: 1}}
queues: {q: {}}
processes:
  a: {pool: one, receives: q, run: forkyard get q}
  b: {pool: one, sends: q, run: forkyard put q x}
",
        &[
            "`a` holds a slot of `one` and waits for an item of `q`, which only `b` could bring",
            "`b` waits for a slot of `one`, which `a` has",
        ],
    );
}

#[test]
fn a_condition_that_cannot_come() {
    deadlocks(
        "
locks: {left: {}}
events: {go: {}, held: {}}
processes:
  holder: {acquires: left, sets: held, waits: go, run: 'forkyard acquire left; forkyard set held; forkyard wait go'}
  a: {after: {held: set}, acquires: left, run: forkyard acquire left}
  b: {after: a, run: 'true'}
  c: {after: b, sets: go, run: forkyard set go}
",
        &[
            "`holder` holds `left` and waits for the event `go`, which only `c` could set",
            "`a` waits for `left`, which `holder` holds",
            "`b` waits for `a` to succeed",
            "`c` waits for `b` to succeed",
        ],
    );
}

#[test]
fn it_is_told_in_json_and_in_the_records() {
    let text = "
forkyard: 1
locks: {left: {}}
processes:
  a: {acquires: left, run: 'forkyard acquire left; forkyard acquire left'}
";
    let run = Forkyard::run_of(text).arg("--json").run();
    run.exit(4);
    let told = run.records().into_iter().find(|record| record["record"] == "deadlock");
    let told = told.expect("it is told");
    let party = &told["parties"][0];
    assert_eq!(
        (&party["name"], &party["holds"][0]["name"]),
        (&"a".into(), &"left".into())
    );
    let expected = serde_json::json!([{"for": "lock", "name": "left", "from": ["a"]}]);
    assert_eq!(party["waits"], expected);
    assert!(party["pid"].is_i64(), "{party}");
}

#[test]
fn it_may_only_be_reported_and_is_so_once() {
    let run = run("
options: {on_deadlock: report, timeout: 4s}
locks: {left: {}, right: {}}
processes:
  a: {acquires: [left, right], run: 'forkyard acquire left; MEET a b; forkyard acquire right'}
  b: {acquires: [left, right], run: 'forkyard acquire right; MEET b a; forkyard acquire left'}
  other: {run: 'sleep 2; echo done'}
");
    run.exit(124);
    assert_eq!(run.stdout().matches("deadlock: ").count(), 1, "{}", run.stdout());
    assert!(run.said("other").contains(&"done"), "the others go on");
}

#[test]
fn bb14_a_holder_that_is_slow_is_no_deadlock() {
    is_left_alone(
        "
locks: {left: {}, right: {}}
events: {held: {}}
processes:
  slow: {acquires: left, sets: held, run: 'forkyard acquire left; forkyard set held; sleep 1.5'}
  busy: {acquires: right, run: 'forkyard acquire right; end=$(($(date +%s) + 2)); while test $(date +%s) -lt $end; do :; done'}
  first: {after: {held: set}, acquires: left, run: forkyard acquire left}
  second: {after: {held: set}, holds: left, run: 'true'}
  third: {after: {held: set}, acquires: right, run: forkyard acquire right}
",
    );
}

#[test]
fn who_gives_up_after_some_time_is_no_deadlock() {
    is_left_alone(
        "
locks: {left: {}, right: {}}
processes:
  a: {acquires: [left, right], run: 'forkyard acquire left; MEET a b; forkyard acquire right --timeout 1500ms || true'}
  b: {acquires: [left, right], run: 'forkyard acquire right; MEET b a; forkyard acquire left'}
",
    );
}

#[test]
fn nor_is_it_in_mapped_memory() {
    is_left_alone(
        "
locks: {left: {}}
events: {held: {}}
processes:
  a: {acquires: left, sets: held, waits: held, run: 'forkyard acquire left; forkyard set held; CLIENT timed'}
  b: {after: {held: set}, acquires: left, run: forkyard acquire left}
",
    );
}

#[test]
fn a_condition_with_a_time_out_is_no_deadlock() {
    is_left_alone(
        "
events: {go: {}}
processes:
  a: {waits: go, run: forkyard wait go}
  b: {after: {a: {is: succeeded, timeout: 1500ms, else: start}}, sets: go, run: forkyard set go}
",
    );
}

#[test]
fn another_thread_that_will_come_is_no_deadlock() {
    is_left_alone(
        "
events: {go: {}}
processes:
  a: {waits: go, sets: go, run: 'CLIENT second-thread'}
",
    );
}

#[test]
fn nor_is_another_program_of_the_same_process() {
    is_left_alone(
        "
events: {go: {}}
processes:
  a: {waits: go, sets: go, run: '(sleep 1.5; forkyard set go) & forkyard wait go; wait'}
",
    );
}

#[test]
fn somebody_outside_who_is_waited_for_is_no_deadlock() {
    let script = "import socket, time; s = socket.socket(socket.AF_UNIX); s.bind('outside'); s.listen(); \
                  c = s.accept()[0]; time.sleep(1.5); c.send(b'x')";
    if package().is_none() {
        return;
    }
    is_left_alone(&format!(
        "
locks: {{left: {{}}}}
events: {{held: {{}}, listening: {{}}}}
processes:
  # It is not known to be waited for.
  outside: {{run: [python3, -c, \"{script}\"]}}
  a:
    acquires: left
    sets: held
    shell: python3
    run: |
      import os, socket, subprocess, time
      subprocess.run(['{binary}', 'acquire', 'left'], check=True)
      subprocess.run(['{binary}', 'set', 'held'], check=True)
      while not os.path.exists('outside'):
          time.sleep(0.01)
      s = socket.socket(socket.AF_UNIX)
      s.connect('outside')
      s.recv(1)
  b: {{after: {{held: set}}, acquires: left, run: forkyard acquire left}}
",
        binary = binary()
    ));
}

#[test]
fn bb12_a_crew_that_has_nothing_to_do_for_a_while_is_no_deadlock() {
    is_left_alone(
        "
queues: {jobs: {}, done: {}}
pools:
  crew: {size: 2, worker: persistent, stdin: jobs, stdout: done, run: cat}
processes:
  slow: {sends: jobs, run: 'forkyard put jobs one; sleep 1.5; forkyard put jobs two'}
  show: {stdin: done, run: cat}
",
    );
}

#[test]
fn daemons_that_wait_for_each_other_do_no_harm() {
    is_left_alone(
        "
queues: {there: {}, back: {}}
processes:
  a: {daemon: true, sends: there, receives: back, run: forkyard get back}
  b: {daemon: true, sends: back, receives: there, run: forkyard get there}
  work: {run: sleep 1.5}
",
    );
}
