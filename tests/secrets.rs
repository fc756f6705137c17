//! Secrets of the environment are shown nowhere.

use std::fs;
use std::path::Path;

use crate::harness::Forkyard;

/// Searches all files below a folder.
fn holds(folder: &Path, secret: &str) -> Option<String> {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("it has a kind");
        if kind.is_dir() {
            if let Some(found) = holds(&path, secret) {
                return Some(found);
            }
        } else if kind.is_file() && fs::read(&path).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(secret))
        {
            return Some(path.display().to_string());
        }
    }
    None
}

#[test]
fn p12_gg5_a_secret_is_masked_on_the_screen_and_in_every_file_of_the_run() {
    let run = Forkyard::run_of(
        "
forkyard: 1
env_file: {path: secret.env, secret: true}
processes:
  tells:
    run: 'echo \"key=$KEY\"; echo \"$PASS\" >&2; printf %s \"${KEY%??}\"; sleep 0.05; echo \"${KEY#??????}\"; echo $OPEN'
    env: {KEY: {value: '${{ params.key }}', secret: true}, OPEN: seen}
  fails: {run: 'exec /no/such/$KEY', env: {KEY: {value: '${{ params.key }}', secret: true}}}
params: {key: none}
",
    )
    .file("secret.env", "PASS=hunter22\n")
    .arg("-p")
    .arg("key=sesame42")
    .run();
    run.exit(1)
        .line("tells │ key=***")
        .line("tells │ ***")
        .line("tells │ seen");
    for secret in ["sesame42", "hunter22"] {
        assert!(!run.stdout().contains(secret), "{}", run.stdout());
        assert!(!run.errors().contains(secret), "{}", run.errors());
        assert_eq!(holds(&run.world().run_directory(), secret), None);
    }
}

#[test]
fn p12_a_dry_run_masks_secrets_too() {
    let run =
        Forkyard::run_of("forkyard: 1\nprocesses: {p: {run: 'true', env: {KEY: {value: sesame42, secret: true}}}}\n")
            .arg("--dry-run")
            .run();
    run.exit(0);
    assert!(
        run.stdout().contains("KEY") && !run.stdout().contains("sesame42"),
        "{}",
        run.stdout()
    );
}
