//! The rows of the fault catalogue, docs/reliability.md, that no other module's tests cover already.
//!
//! A test's name begins with the numbers of its rows: `p2_`, `y4_aa11_`.

mod engine;
mod file;
mod graph;
mod process;
mod races;
mod security;
mod yard;

use std::process::Command;

/// Launches a program in a namespace of processes of its own.
const OWN_PIDS: [&str; 6] = [
    "unshare",
    "--user",
    "--map-root-user",
    "--pid",
    "--fork",
    "--mount-proc",
];

/// Whether this user may make a namespace of processes; it is said when not.
fn has_namespaces() -> bool {
    let made = Command::new(OWN_PIDS[0]).args(&OWN_PIDS[1..]).arg("true").output();
    let has = made.is_ok_and(|output| output.status.success());
    if !has {
        println!("skipped: no namespace of processes can be made");
    }
    has
}
