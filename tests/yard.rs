//! Programs that were handed a channel of their run and do with it what they like: die, overwrite it, cut it off.

use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Duration;

use forkyard_ipc::channel::Attachment;
use forkyard_ipc::client::Client;
use forkyard_ipc::wire::Touch;
use forkyard_ipc::{Lock, Patience, Queue, Semaphore};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::Forkyard;

/// What [`a_client_of_a_run`] is to do.
const ACT: &str = "FORKYARD_TEST_ACT";

/// A workflow in which `CLIENT <act>` is this program as a client.
fn run_of(workflow: &str) -> Forkyard {
    let program = std::env::current_exe().expect("this program is a file");
    let client = format!("{} --exact yard::a_client_of_a_run", program.display());
    let client = format!("client() {{ {ACT}=$1 {client}; }}; client");
    Forkyard::run_of(&workflow.replace("CLIENT", &client)).quiet()
}

/// Run by the processes of the workflows below; of no use alone.
#[test]
fn a_client_of_a_run() {
    match std::env::var(ACT).as_deref() {
        Ok("die") => die_with_everything(),
        Ok("overwrite") => overwrite("q"),
        Ok("shorten") => shorten("q"),
        Ok(act) => panic!("there is no act `{act}`"),
        Err(_) => assert!(Client::from_environment().is_err(), "this is no process of a run"),
    }
}

fn attach(name: &str, touch: Touch) -> Attachment {
    let mut client = Client::from_environment().expect("it is a process of a run");
    client.attach(name, touch).expect("it is declared")
}

fn die_with_everything() {
    let lock = Lock::attach(attach("l", Touch::Hold)).expect("a lock");
    let semaphore = Semaphore::attach(attach("s", Touch::Hold)).expect("a semaphore");
    let queue = Queue::attach(attach("q", Touch::Get)).expect("a queue");
    let _guard = lock.acquire().expect("it is free");
    let _permits = semaphore.acquire(2).expect("they are free");
    let taken = queue.take().expect("there are items");
    assert_eq!(taken.to_vec(), b"first");
    fs::write("held", "").expect("written");
    while !Path::new("asking").exists() {
        std::thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::this(), Signal::SIGKILL).expect("it is ours");
}

fn overwrite(queue: &str) {
    let file = File::from(attach(queue, Touch::Put).file);
    // All words behind what is written once.
    file.write_all_at(&[0xa7; 4096], 64).expect("overwritten");
}

fn shorten(queue: &str) {
    let file = File::from(attach(queue, Touch::Put).file);
    file.set_len(0).expect("shortened");
}

#[test]
fn i1_i2_i3_ee15_who_dies_with_channels_of_its_own_leaves_everything_to_the_next() {
    let run = run_of(
        "
forkyard: 1
locks: {l: {}}
semaphores: {s: {permits: 2}}
queues: {q: {}}
processes:
  fills: {run: forkyard put q first second, sends: q}
  dies:
    after: fills
    acquires: [l, s]
    receives: q
    # The process itself lives on.
    run: 'CLIENT die >client 2>&1; until test -e done; do sleep 0.01; done'
  next:
    acquires: [l, s]
    receives: q
    run: |
      until test -e held; do sleep 0.01; done
      forkyard acquire l --no-block; echo taken $?
      touch asking
      forkyard acquire l 2>told; echo lock $?
      forkyard acquire s --permits 2 2>>told; echo permits $?
      grep -c died told
      forkyard get q; forkyard get q
      touch done
",
    )
    .run();
    run.exit(0);
    assert_eq!(
        run.said("next"),
        ["taken 1", "lock 0", "permits 0", "2", "first", "second"]
    );
    let counted = run
        .records()
        .into_iter()
        .find(|record| record["queue"] == "q" && record["put"] == 2);
    let counted = counted.expect("queues are counted");
    assert_eq!((&counted["got"], &counted["returned"]), (&2.into(), &1.into()));
}

#[test]
fn what_a_dead_reader_had_read_of_its_stdin_is_told() {
    let run = Forkyard::run_of(
        "
forkyard: 1
queues:
  q: {}
processes:
  write: {run: \"printf 'a\\nbb\\nccc\\nd\\n'\", stdout: q}
  read:
    stdin: q
    on_failure: ignore
    run: |
      read one; read two; kill -9 $$
",
    )
    .run();
    run.line("read │ had read 2 items (5 bytes) of q; 2 items went back");
    let told = run.records_of("stdin_read", "read");
    let [told] = &told[..] else {
        panic!("it is told once: {told:?}")
    };
    assert_eq!(told["queue"], "q");
    assert_eq!((&told["items"], &told["bytes"]), (&2.into(), &5.into()));
    assert_eq!(told["returned"], 2);
}

#[test]
fn more_items_than_a_queue_gives_out_at_once_reach_a_reader_that_begins_late() {
    // Empty lines: more of them fit into a pipe than may be taken from a queue and not acknowledged. However late the reader begins, it
    // gets all of them; as late as here the pipe has become full.
    let run = Forkyard::run_of(
        "
forkyard: 1
queues:
  q: {}
processes:
  writes:
    stdout: q
    run: |
      yes '' | head -n 100000; touch there; yes '' | head -n 200000
  reads:
    stdin: q
    run: |
      until test -e there; do sleep 0.01; done; sleep 0.5; wc -l
",
    )
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.said("reads"), ["300000"]);
}

#[test]
fn i7_a_channel_that_a_client_has_spoilt_is_of_no_use_and_others_are_unharmed() {
    for act in ["overwrite", "shorten"] {
        let run = run_of(&format!(
            "
forkyard: 1
queues: {{q: {{}}, r: {{}}}}
processes:
  spoils:
    sends: [q, r]
    run: |
      forkyard put q before
      CLIENT {act} >client 2>&1
      forkyard put q after 2>error; test $? -gt 1 && echo refused
      grep -c damaged error
      forkyard put r through; echo $?
  reads: {{stdin: q, run: cat > /dev/null; echo the end}}
  others: {{stdin: r, run: cat}}
"
        ))
        .run();
        // What `reads` was to read is lost, which it must not take for the end.
        run.exit(1).says("`q` is damaged").no_line("[..]the end");
        assert_eq!(run.said("spoils"), ["refused", "1", "0"], "{act}");
        assert_eq!(run.said("others"), ["through"], "{act}");
    }
}

#[test]
fn i6_the_items_of_a_killed_engine_are_there_to_be_got() {
    let live = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
processes:
  puts: {sends: q, run: forkyard put q a b c && echo up && sleep 1000}
  idle: {receives: q, run: sleep 1000}
",
    )
    .start();
    live.wait_for("up");
    kill(live.engine(), Signal::SIGKILL).expect("the engine is alive");
    let yard = live.world().run_directory().join("yard");
    let run = live.end();
    run.exit(3);
    let queue = Queue::open(&yard.join("q")).expect("its file is there");
    let items = queue.get_many(10, Patience::Try).expect("it is sound");
    assert_eq!(items, [b"a", b"b", b"c"]);
}

#[test]
fn i6_what_a_killed_engine_had_handed_out_goes_back() {
    // More than a pipe takes: the item is taken, and cannot be written out, and so is not acknowledged.
    let live = Forkyard::run_of(
        "
forkyard: 1
queues: {q: {}}
processes:
  puts: {sends: q, run: 'head -c 200000 /dev/zero | tr \"\\0\" x | forkyard put q; forkyard put q second; exec sleep 1000'}
  gets: {receives: q, run: 'forkyard get q | (dd bs=1 count=1 >first 2>/dev/null; echo taken; exec sleep 1000)'}
",
    )
    .start();
    live.wait_for("gets │ taken");
    kill(live.engine(), Signal::SIGKILL).expect("the engine is alive");
    let yard = live.world().run_directory().join("yard");
    let run = live.end();
    run.exit(3);
    let queue = Queue::open(&yard.join("q")).expect("its file is there");
    let item = queue.try_get().expect("it is sound").expect("it has come back");
    assert_eq!(item.len(), 200_000);
}

#[test]
fn after_an_orderly_end_the_files_are_gone() {
    let run = Forkyard::run_of(
        "forkyard: 1\nqueues: {q: {}}\nprocesses: {a: {run: echo x, stdout: q}, b: {run: cat, stdin: q}}\n",
    )
    .run();
    run.exit(0);
    let yard = run.world().run_directory().join("yard");
    assert_eq!(fs::read_dir(yard).expect("the folder is there").count(), 0);
}

/// A run whose files cannot become longer than some megabytes: what is beyond is refused as on a full disk.
fn on_a_small_disk(workflow: &str) -> Forkyard {
    let script = "trap '' XFSZ && ulimit -f 12288 && exec \"$0\" \"$@\"";
    Forkyard::run_of(workflow).launched_by(&["sh", "-c", script])
}

#[test]
fn e5_on_a_full_disk_a_put_is_refused_and_nothing_is_torn() {
    let run = on_a_small_disk(
        "
forkyard: 1
queues: {q: {capacity: 500}}
processes:
  puts:
    sends: q
    run: |
      item=$(head -c 100000 /dev/zero | tr '\\0' x)
      count=0
      while forkyard put q $item 2>error; do count=$((count + 1)); done
      grep -c 'no space' error
      test $count -gt 3 && echo some
      echo $count > count
      forkyard put q end; echo $?
  gets:
    receives: q
    after: puts
    run: |
      for item in $(seq $(cat count)); do forkyard get q | wc -c; done | sort -u
      forkyard get q
",
    )
    .quiet()
    .run();
    run.exit(0);
    assert_eq!(run.said("puts"), ["1", "some", "0"]);
    assert_eq!(run.said("gets"), ["100001", "end"]);
}

#[test]
fn e5_on_a_full_disk_a_stream_into_a_queue_stops_the_run_in_order() {
    let run = on_a_small_disk(
        "
forkyard: 1
queues: {q: {capacity: 500}}
processes:
  writes: {stdout: q, run: 'head -c 100000000 /dev/zero | tr \"\\\\0\" x | fold -w 100000'}
  idle: {receives: q, run: exec sleep 1000}
",
    )
    .run();
    run.exit(3).says("`q`: no space is left");
}
