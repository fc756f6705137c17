//! Notes, endings and digests; processes that are really kept have tests on the binary.

use forkyard_core::machine::Exit;
use tempfile::TempDir;

use super::*;
use crate::exit::Usage;

fn state() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

fn note(process: &str, identity: Option<Identity>) -> Note {
    Note {
        file: "/w.yaml".into(),
        workflow: "w".to_owned(),
        process: process.to_owned(),
        run: "20261125-120000-aaaa".to_owned(),
        token: "a token that nobody has".to_owned(),
        digest: String::new(),
        boot: note::boot().expect("/proc is there"),
        namespace: note::namespace().expect("/proc is there"),
        identity,
        ready: false,
        log: None,
        stop_signal: 15,
        grace_ms: 10,
    }
}

fn claim(state: &TempDir) -> Claim {
    let place = Place::of(state.path(), Path::new("/w.yaml"), "w");
    Claim::take(place).expect("it can be made").expect("it is free")
}

#[test]
fn one_engine_has_the_say() {
    let state = state();
    let mut first = claim(&state);
    first.sign("the first").expect("it can be written");
    let second = Claim::take(first.place().clone()).expect("it is there");
    assert_eq!(second.map(drop), Err("the first".to_owned()));
    drop(first);
    claim(&state);
}

#[test]
fn what_is_noted_is_read_again_and_forgotten() {
    let state = state();
    let claim = claim(&state);
    let identity = Identity { pid: 1, start: 1 };
    let noted = [note("a", None), note("b.0", Some(identity))];
    for note in &noted {
        claim.note(note).expect("it can be written");
    }
    assert_eq!(claim.place().notes().expect("readable"), noted);
    let ending = Ending::new(Exit::Code(3), Usage::default());
    claim
        .place()
        .write_ending(identity, &ending)
        .expect("it can be written");
    assert_eq!(claim.place().ending(identity).expect("readable"), Some(ending));
    claim.forget("b.0", Some(identity)).expect("it can be removed");
    assert_eq!(claim.place().ending(identity).expect("readable"), None);
    assert_eq!(claim.place().notes().expect("readable"), noted[..1]);
    let places = Place::all(state.path()).expect("readable");
    assert_eq!(places.len(), 1);
}

#[test]
fn a_damaged_note_is_an_error_that_names_it() {
    let state = state();
    let claim = claim(&state);
    claim.note(&note("a", None)).expect("it can be written");
    fs::write(claim.place().note_path("a"), "{}").expect("it is ours");
    let error = claim.place().notes().expect_err("it says nothing");
    assert!(error.to_string().contains("notes/a.json"), "{error}");
}

#[test]
fn whoever_is_not_this_very_process_does_not_live() {
    let state = state();
    let claim = claim(&state);
    let pid = i32::try_from(std::process::id()).expect("a pid fits");
    let start = tree::started(pid).expect("/proc is there").expect("it lives");
    let standing = |note: Note| note.standing(claim.place()).expect("it can be known");
    let own = Identity { pid, start };
    assert_eq!(standing(note("a", Some(own))), Standing::Lives(own));
    let later = Identity { pid, start: start + 1 };
    assert_eq!(standing(note("a", Some(later))), Standing::Ended(None));
    let before = Note {
        boot: "another start of the machine".to_owned(),
        ..note("a", Some(own))
    };
    assert_eq!(standing(before), Standing::Ended(None));
    assert_eq!(standing(note("a", None)), Standing::Ended(None), "nobody has the token");
    let elsewhere = Note {
        namespace: "pid:[1]".to_owned(),
        ..note("a", Some(own))
    };
    elsewhere
        .standing(claim.place())
        .expect_err("it cannot be seen from here");
}

#[test]
fn digests_are_those_of_fnv() {
    // The test vector of the empty text by RFC 9923.
    assert_eq!(digest::of_bytes([]), "6c62272e07bb014262b821756295c58d");
    assert_ne!(
        digest::of_bytes([&b"ab"[..], b"c"]),
        digest::of_bytes([&b"a"[..], b"bc"])
    );
}
