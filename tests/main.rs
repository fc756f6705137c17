//! The tests on the real binary, the workflows, the pages and the rules of the code: one program of many modules.

mod bad_input;
mod benchmarks;
mod check;
mod cli;
mod diagnostics;
mod docs;
mod explore;
mod faults;
mod gauntlet;
mod harness;
mod http;
mod language;
mod limits;
mod origin;
mod orphans;
mod pages;
mod python;
mod real;
mod secrets;
mod stop;
mod tidy;
mod tty;
mod verbs;
mod yard;
