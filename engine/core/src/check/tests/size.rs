//! Large workflows: the rules neither recurse nor compare everything with everything.

use std::fmt::Write as _;

use super::super::{check, codes};
use crate::diagnostic::Severity;
use crate::sample;
use crate::source::Span;
use crate::spec::{After, Otherwise, Process, Reference, Workflow};

/// `count` processes `p0`, `p1`, …, each touched up by `edit`.
fn many(count: u32, edit: impl Fn(u32, &mut Process)) -> Workflow {
    let mut workflow = sample::workflow("{processes: {p: {run: x}}}");
    let model = workflow.processes.pop().expect("the sample has a process");
    for index in 0..count {
        let mut process = model.clone();
        process.declared.name = format!("p{index}");
        process.declared.place = place(index);
        edit(index, &mut process);
        workflow.processes.push(process);
    }
    workflow
}

fn place(at: u32) -> Span {
    Span {
        file: 0,
        start: at,
        end: at + 1,
    }
}

fn reference(name: String, at: u32) -> Reference {
    Reference { name, place: place(at) }
}

fn after(name: String, at: u32) -> After {
    After {
        on: reference(name, at),
        is: None,
        timeout: None,
        otherwise: Otherwise::Fail,
    }
}

#[test]
fn g1_a_ring_of_ten_thousand_is_one_cycle() {
    let ring = many(10_000, |index, process| {
        process
            .body
            .after
            .push(after(format!("p{}", (index + 1) % 10_000), index));
    });
    let findings = check(&ring);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].code, codes::CYCLE);
    let mut expected = String::from("a cycle in `after`: ");
    for index in 0..64 {
        write!(expected, "`p{index}` → ").expect("a string takes every text");
    }
    expected.push_str("(9936 more) → `p0`");
    assert_eq!(findings[0].message, expected);
    assert_eq!(findings[0].related.len(), 63);
}

#[test]
fn aa15_a_chain_of_a_hundred_thousand_is_sound() {
    let chain = many(100_000, |index, process| {
        if index > 0 {
            process.body.after.push(after(format!("p{}", index - 1), index));
        }
    });
    assert_eq!(check(&chain), []);
}

#[test]
fn twenty_thousand_replicas_may_wait_for_twenty_thousand() {
    let mut workflow = many(40_000, |index, process| {
        process.declared.name = if index < 20_000 { "a" } else { "b" }.to_owned();
        process.declared.place = place(index / 20_000);
        process.index = Some(index % 20_000);
    });
    for process in &mut workflow.processes[20_000..] {
        process.body.after.push(after("a".to_owned(), 7));
    }
    assert_eq!(check(&workflow), []);
}

#[test]
fn many_small_cycles_are_all_found() {
    let pairs = many(20_000, |index, process| {
        process.body.after.push(after(format!("p{}", index ^ 1), index));
        if index > 1 {
            process.body.after.push(after(format!("p{}", index - 2), index));
        }
    });
    assert_eq!(check(&pairs).len(), 10_000);
}

#[test]
fn thirty_thousand_unknown_names_are_all_told() {
    let unknown = many(30_000, |index, process| {
        process.body.sends.push(reference(format!("q{index}"), index));
    });
    let findings = check(&unknown);
    assert_eq!(findings.len(), 30_000);
    assert!(findings.iter().all(|finding| finding.severity == Severity::Error));
}
