//! Digests: of the name of a place, and of a declaration.

use std::fmt::Write as _;
use std::path::Path;

use forkyard_core::plan::Launch;

/// FNV-1a with 128 bits: <https://datatracker.ietf.org/doc/html/rfc9923>. Nobody has anything to gain from two alike.
const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

/// Of some texts, each ended by a byte that none of them has.
pub(super) fn of_bytes<'a>(texts: impl IntoIterator<Item = &'a [u8]>) -> String {
    let bytes = texts.into_iter().flat_map(|text| text.iter().chain(&[0]));
    let hash = bytes.fold(OFFSET, |hash, byte| (hash ^ u128::from(*byte)).wrapping_mul(PRIME));
    format!("{hash:032x}")
}

/// Of all that makes a process what it is once it has been started. How it is watched, stopped and shown may change
/// under it; where it is written in the file does not matter.
#[must_use]
pub fn digest(folder: &Path, launch: &Launch) -> String {
    let mut text = String::new();
    let Launch {
        program,
        cwd,
        env,
        clear_env,
        user,
        group,
        limits,
        cpus,
        umask,
        nice,
        fds,
        ..
    } = launch;
    let identity = (user, group, umask, nice);
    // To write into a text cannot fail.
    let _ = write!(
        text,
        "{}\0{:?}\0{cwd:?}\0{env:?}\0{clear_env}\0{identity:?}\0{limits:?}\0{cpus:?}\0{fds:?}",
        folder.display(),
        program.argv
    );
    of_bytes([text.as_bytes()])
}
