use std::fs;
use std::path::PathBuf;

use forkyard_core::plan::{TaskSource, Tasks as Declared};
use forkyard_core::source::Span;

use super::*;

struct World {
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    fn results(&self) -> PathBuf {
        self.folder.path().join("results.jsonl")
    }

    fn tasks(&self, declared: Declared) -> Tasks {
        Tasks {
            framing: Framing::Lines,
            results_to: None,
            source: Source::new(&TaskSource::Tasks(declared), self.folder.path()),
            credit: 0,
            at_hand: BTreeMap::new(),
            taken: 0,
            kept: Results::new(self.results()),
        }
    }
}

fn pull(tasks: &mut Tasks, credit: u32) -> (u32, bool) {
    tasks.credit += credit;
    let Pulled { count, ended } = tasks.pull().expect("a source that can be read");
    (count, ended)
}

#[test]
fn a_list_ends_with_its_last_task() {
    let world = World::new();
    let mut tasks = world.tasks(Declared::Listed(vec!["a".into(), "b".into(), "c".into()]));
    assert_eq!(pull(&mut tasks, 2), (2, false));
    assert_eq!(tasks.source.left(), 1);
    assert_eq!(pull(&mut tasks, 2), (1, true));
    assert_eq!(tasks.credit, 1);
    assert_eq!(&*tasks.get(TaskId(2)).expect("taken").payload, b"c");
}

#[test]
fn an_empty_source_ends_at_once() {
    let world = World::new();
    assert_eq!(pull(&mut world.tasks(Declared::Listed(Vec::new())), 1), (0, true));
    assert_eq!(pull(&mut world.tasks(Declared::Range(3, 3)), 1), (0, true));
    assert_eq!(pull(&mut world.tasks(Declared::Range(3, -3)), 1), (0, true));
}

#[test]
fn a_range_excludes_its_end() {
    let world = World::new();
    let mut tasks = world.tasks(Declared::Range(-1, 2));
    assert_eq!(tasks.source.left(), 3);
    assert_eq!(pull(&mut tasks, 9), (3, true));
    assert_eq!(&*tasks.get(TaskId(0)).expect("taken").payload, b"-1");
}

#[test]
fn lines_are_read_from_a_file_that_may_come_late() {
    let world = World::new();
    let mut tasks = world.tasks(Declared::Lines("tasks.txt".into(), Span::default()));
    fs::write(world.folder.path().join("tasks.txt"), "one\n\ntwo").expect("written");
    assert_eq!(pull(&mut tasks, 2), (2, false));
    assert_eq!(pull(&mut tasks, 2), (1, true));
    assert_eq!(&*tasks.get(TaskId(1)).expect("taken").payload, b"");
    assert_eq!(&*tasks.get(TaskId(2)).expect("taken").payload, b"two");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let world = World::new();
    let mut tasks = world.tasks(Declared::Lines("missing.txt".into(), Span::default()));
    tasks.credit = 1;
    let error = tasks.pull().expect_err("no such file").to_string();
    assert!(error.contains("missing.txt"), "{error}");
    let mut tasks = world.tasks(Declared::Lines(".".into(), Span::default()));
    tasks.credit = 1;
    let error = tasks.pull().expect_err("a directory").to_string();
    assert!(error.contains("no regular file"), "{error}");
}

#[test]
fn results_are_kept_with_their_items() {
    let world = World::new();
    let mut tasks = world.tasks(Declared::Listed(vec!["a\"b".into(), "c".into()]));
    pull(&mut tasks, 2);
    tasks.get_mut(TaskId(1)).expect("taken").result = Some(b"\xff".to_vec());
    assert_eq!(tasks.deliver(TaskId(1)), Some(b"\xff".to_vec()));
    assert_eq!(tasks.deliver(TaskId(0)), None);
    tasks.kept.flush().expect("written");
    let kept = fs::read_to_string(world.results()).expect("kept");
    assert_eq!(
        kept,
        "{\"item\":\"c\",\"result\":{\"hex\":\"ff\"},\"task\":1}\n{\"item\":\"a\\\"b\",\"result\":null,\"task\":0}\n"
    );
    assert!(tasks.get(TaskId(0)).is_none());
}
