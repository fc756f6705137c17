//! Who cannot be kept.

use super::one;
use crate::harness::Forkyard;

/// Whatever ends with the engine, or is done by it alone.
const LOSSES: [(&str, &str); 16] = [
    ("stdin: q", "stdin"),
    ("stdout: q", "stdout"),
    ("fds: {3: {send: p}}", "fds"),
    ("sends: q", "sends"),
    ("waits: e", "waits"),
    ("holds: l", "holds"),
    ("acquires: l", "acquires"),
    ("pool: slots", "pool"),
    ("stderr: inherit", "stderr: inherit"),
    ("tty: true", "tty"),
    ("log: {file: copy.log}", "log.file"),
    ("log: {rotate: {size: 1MB}}", "log.rotate"),
    ("log: {when_full: block}", "log.when_full: block"),
    ("env: {KEY: {value: xyz, secret: true}}", "env.KEY: {secret: true}"),
    ("live: {notify: true, timeout: 1s}", "live: {notify: true}"),
    ("limits: {memory: 1GB}", "limits.memory"),
];

#[test]
fn what_ends_with_the_engine_is_refused_with_its_key() {
    for (field, key) in LOSSES {
        let workflow = format!(
            "forkyard: 1\nqueues: {{q: {{}}}}\npipes: {{p: {{}}}}\nlocks: {{l: {{}}}}\nevents: {{e: {{}}}}\npools: {{slots: {{size: 1}}}}\n\
             processes:\n  db: {{run: 'true', on_engine_loss: keep, {field}}}\n"
        );
        let checked = Forkyard::new("check").workflow(&workflow).run();
        checked.exit(1).says("FY142");
        checked.says(&format!("`db` is to outlive its engine, and has `{key}"));
    }
    let workflow = format!("{}options: {{isolation: pidns}}\n", one("true"));
    let checked = Forkyard::new("check").workflow(&workflow).run();
    checked.exit(1).says("has `isolation: pidns`");
}

#[test]
fn a_pool_is_not_kept() {
    let workflow = "forkyard: 1\npools: {p: {run: 'true', tasks: [a], on_engine_loss: keep}}\n";
    let checked = Forkyard::new("check").workflow(workflow).run();
    checked.exit(1).says("`on_engine_loss` belongs to a process");
}
