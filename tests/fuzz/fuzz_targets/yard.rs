//! Any bytes, read as what happens to a channel of a yard: whoever uses it is refused or goes on.
#![no_main]

#[path = "../../../engine/ipc/tests/damage/body.rs"]
mod body;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| body::survive(bytes));
