//! The tests on the real binary, the workflows, the pages and the rules of the code: one program of many modules.

mod bad_input;
mod benchmarks;
mod check;
mod cli;
mod docs;
mod faults;
mod harness;
mod http;
mod language;
mod limits;
mod origin;
mod orphans;
mod pages;
mod python;
mod real;
mod restart;
mod stop;
mod tidy;
mod verbs;
mod yard;
