//! The Python face: its own tests, run by whatever python3 there is.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::harness::{binary, files_under, repository};

/// A folder for `PYTHONPATH`, with the package and its native module; `None` where there is no Python to use it.
///
/// The module is built by cargo and put beside the package: what `pip` would do, without asking for `pip` and `maturin`.
pub fn package() -> Option<&'static Path> {
    static PACKAGE: OnceLock<Option<PathBuf>> = OnceLock::new();
    PACKAGE.get_or_init(|| has_python().then(build)).as_deref()
}

fn has_python() -> bool {
    let recent = "import sys; sys.exit(sys.version_info < (3, 9))";
    let found = Command::new("python3").args(["-c", recent]).status();
    found.is_ok_and(|status| status.success())
}

fn build() -> PathBuf {
    let built = Path::new(binary()).parent().expect("a binary stands in a folder");
    let target = built.parent().expect("a profile stands in the target folder");
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .current_dir(repository(""))
        .args(["build", "--quiet", "--package", "forkyard-python", "--target-dir"])
        .arg(target);
    if built.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(
        cargo.status().expect("cargo can be started").success(),
        "the native module cannot be built"
    );
    let folder = target.join("python-package");
    let package = folder.join("forkyard");
    fs::create_dir_all(&package).expect("a folder can be made");
    for extension in ["py", "pyi", "typed"] {
        for file in files_under("engine/ipc/python/python/forkyard", extension) {
            copy(&file, &package.join(file.file_name().expect("a file has a name")));
        }
    }
    copy(&built.join("lib_native.so"), &package.join("_native.abi3.so"));
    folder
}

/// By renaming, since another test program may have the old one loaded.
fn copy(from: &Path, to: &Path) {
    let beside = to.with_extension("new");
    fs::copy(from, &beside).expect("a file can be copied");
    fs::rename(&beside, to).expect("a file can be renamed");
}

#[test]
fn the_python_face_passes_its_own_tests() {
    let Some(package) = package() else {
        println!("skipped: there is no python3 of 3.9 or later");
        return;
    };
    let tests = repository("engine/ipc/python/tests");
    let python = Command::new("python3")
        .args(["-B", "-W", "error::ResourceWarning", "-m", "unittest", "discover", "--start-directory"])
        .arg(&tests)
        .env("PYTHONPATH", std::env::join_paths([package, &tests]).expect("paths without a colon"))
        .output()
        .expect("python3 can be started");
    let said = String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "{said}");
    assert!(said.contains("\nOK") && !said.contains("Ran 0 tests"), "{said}");
}
