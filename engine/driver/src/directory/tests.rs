use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn state() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let state = folder.path().join("state/forkyard");
    (folder, state)
}

#[test]
fn a_run_is_running_until_it_has_ended() {
    let (_folder, state) = state();
    assert_eq!(list(&state).expect("no runs yet"), []);
    let directory = RunDirectory::create(&state, "word-count", None).expect("created");
    directory.started().expect("started");
    let runs = list(&state).expect("one run");
    assert_eq!(runs[0].state, RunState::Running);
    assert_eq!(runs[0].about.name, "word-count");
    directory.ended(1).expect("ended");
    let runs = list(&state).expect("one run");
    assert_eq!(runs[0].state, RunState::Ended);
    assert_eq!(runs[0].about.exit_code, Some(1));
}

#[test]
fn e7_dd18_a_run_whose_lock_is_free_without_an_end_has_died() {
    let (_folder, state) = state();
    drop(RunDirectory::create(&state, "x", None).expect("created"));
    assert_eq!(list(&state).expect("one run")[0].state, RunState::Died);
}

#[test]
fn s1_all_of_it_is_private() {
    let (_folder, state) = state();
    let directory = RunDirectory::create(&state, "x", None).expect("created");
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(&state), 0o700);
    assert_eq!(mode(directory.path()), 0o700);
    for file in [directory.log("p"), directory.results("p")] {
        RunDirectory::append_within(&file).expect("made with its folder");
        assert_eq!(mode(&file), 0o600);
        assert_eq!(mode(file.parent().expect("a folder")), 0o700);
    }
    assert_eq!(mode(&directory.bin().expect("made")), 0o700);
}

#[test]
fn s1_gg2_a_planted_way_to_this_program_is_refused() {
    for planted in ["bin", "of this program"] {
        let (folder, state) = state();
        let directory = RunDirectory::create(&state, "x", None).expect("created");
        let bin = directory.bin().expect("made");
        let place = if planted == "bin" { state.join("bin") } else { bin };
        let elsewhere = folder.path().join("elsewhere");
        fs::rename(&place, &elsewhere).expect("moved");
        symlink(&elsewhere, &place).expect("linked");
        let error = directory.bin().expect_err("refused");
        assert!(error.to_string().contains("is a symbolic link"), "{error}");
    }
}

#[test]
fn the_processes_of_all_runs_find_this_program_in_one_place() {
    let (_folder, state) = state();
    let bin = || {
        RunDirectory::create(&state, "x", None)
            .expect("created")
            .bin()
            .expect("made")
    };
    let (first, program) = (bin(), std::env::current_exe().expect("known"));
    assert_eq!(fs::read_link(first.join("forkyard")).expect("a link"), program);
    // Whatever has become of it meanwhile.
    fs::remove_file(first.join("forkyard")).expect("removed");
    symlink("/nowhere", first.join("forkyard")).expect("linked");
    assert_eq!(bin(), first);
    assert_eq!(fs::read_link(first.join("forkyard")).expect("a link"), program);
}

#[test]
fn s1_gg2_a_planted_link_is_refused() {
    let (folder, state) = state();
    let elsewhere = folder.path().join("elsewhere");
    fs::create_dir_all(&elsewhere).expect("made");
    fs::create_dir_all(&state).expect("made");
    symlink(&elsewhere, state.join("runs")).expect("linked");
    let error = RunDirectory::create(&state, "x", None).expect_err("refused");
    assert!(error.to_string().contains("is a symbolic link"), "{error}");
    assert_eq!(fs::read_dir(&elsewhere).expect("readable").count(), 0);
}

#[test]
fn a_long_path_gets_a_short_socket_which_is_taken_away() {
    let (folder, _) = state();
    let state = folder.path().join("s".repeat(100));
    let directory = RunDirectory::create(&state, "x", None).expect("created");
    let socket = directory.socket().to_owned();
    assert!(
        socket.as_os_str().len() <= SOCKET_PATH_BYTES_MAX,
        "{}",
        socket.display()
    );
    directory.ended(0).expect("ended");
    assert!(!socket.parent().expect("a folder").exists());
}

#[test]
fn an_opened_run_reads_its_logs() {
    let (_folder, state) = state();
    let directory = RunDirectory::create(&state, "x", None).expect("created");
    let mut log = RunDirectory::append_within(&directory.log("count.2")).expect("made");
    log.write_all(b"a\xff\n").expect("written");
    let opened = RunDirectory::open(&state, directory.id()).expect("opened");
    assert_eq!(opened.read_log("count.2").expect("read"), b"a\xff\n");
    assert_eq!(opened.read_log("silent").expect("read"), b"");
    assert!(RunDirectory::open(&state, "../../etc").is_err());
}

#[test]
fn runs_of_the_same_second_are_in_the_order_of_their_starts() {
    let (_folder, state) = state();
    for name in ["first", "second", "third", "fourth", "fifth"] {
        let directory = RunDirectory::create(&state, name, None).expect("created");
        let mut about = directory.about().expect("readable");
        // As if all had started within one second, each a millisecond after the one before.
        about.started_ms = 1_000_000 + list(&state).expect("readable").len() as u64;
        directory.write_about(&about).expect("written");
    }
    let names: Vec<String> = list(&state)
        .expect("readable")
        .into_iter()
        .map(|run| run.about.name)
        .collect();
    assert_eq!(names, ["first", "second", "third", "fourth", "fifth"]);
}
