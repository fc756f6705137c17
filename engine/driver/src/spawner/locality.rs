//! Whether all that a start looks at lies on this machine.

use std::collections::VecDeque;
use std::ffi::{CStr, OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use nix::sys::statfs::{
    BTRFS_SUPER_MAGIC, EXT4_SUPER_MAGIC, F2FS_SUPER_MAGIC, FsType, TMPFS_MAGIC, XFS_SUPER_MAGIC, statfs,
};
use nix::unistd::{AccessFlags, access};

use super::Executable;
use super::error::interpreter_in;

/// File systems that need nobody but the kernel; that of ext4 is also the number of ext2 and ext3. One that lies over others,
/// as those of containers do, may need whom these need; it counts where it is the root, without which the engine is lost too.
const LOCAL: [FsType; 7] = [
    BTRFS_SUPER_MAGIC,
    EXT4_SUPER_MAGIC,
    F2FS_SUPER_MAGIC,
    TMPFS_MAGIC,
    XFS_SUPER_MAGIC,
    // OpenZFS, `include/sys/fs/zfs.h`.
    FsType(0x2fc1_2fc1),
    // Bcachefs, `fs/bcachefs/bcachefs_format.h` of Linux.
    FsType(0xca45_1a4e),
];

/// The kernel follows no more links in one path: `path_resolution(7)`.
const LINKS_MAX: usize = 40;

/// The kernel follows no more interpreters of scripts: `execve(2)`; the last one has a loader.
const INTERPRETERS_MAX: usize = 6;

/// Bytes from the start of a program in which it says who is to load it: of all that the linkers of today make.
const START_BYTES: u64 = 4096;

/// Whether no part of any path that a start of this program follows lies elsewhere.
pub(super) fn is_local(program: &Executable, cwd: Option<&CStr>) -> bool {
    let folder = cwd.map_or(Path::new("."), path);
    let Ok(folder) = std::path::absolute(folder) else {
        return false;
    };
    way_is_local(&folder) && program_is_local(program, &folder)
}

/// Looks at the files as the new process does, up to the one that it executes.
fn program_is_local(program: &Executable, folder: &Path) -> bool {
    for file in program.files() {
        let file = folder.join(path(file));
        if !way_is_local(&file) {
            return false;
        }
        if access(&file, AccessFlags::X_OK).is_ok() && file.is_file() {
            return loads_locally(&file, folder, INTERPRETERS_MAX);
        }
    }
    false
}

/// Whether whoever loads a program lies here as well.
fn loads_locally(file: &Path, folder: &Path, further: usize) -> bool {
    match loader(file) {
        Ok(Loader::Nobody) => true,
        Ok(Loader::File(loader)) if further > 0 => {
            let loader = folder.join(loader);
            way_is_local(&loader) && loader.is_file() && loads_locally(&loader, folder, further - 1)
        }
        Ok(Loader::File(_) | Loader::Unknown) | Err(_) => false,
    }
}

/// Whether no folder or link on the way lies elsewhere. Where it comes to an end too early nothing further is looked at.
fn way_is_local(path: &Path) -> bool {
    let Ok(root) = fs::metadata("/") else {
        return false;
    };
    let mut ahead: VecDeque<OsString> = parts(path).collect();
    let (mut at, mut device) = (PathBuf::from("/"), root.dev());
    let mut links = 0;
    while let Some(part) = ahead.pop_front() {
        let next = at.join(&part);
        let met = match fs::symlink_metadata(&next) {
            Ok(met) => met,
            Err(error) => return matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)),
        };
        if met.dev() != device && met.dev() != root.dev() && !is_of_local_kind(&next) {
            return false;
        }
        if !met.is_symlink() {
            (at, device) = (next, met.dev());
            continue;
        }
        links += 1;
        let Ok(target) = fs::read_link(&next) else {
            return false;
        };
        if links > LINKS_MAX {
            return false;
        }
        for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
            ahead.push_front(part);
        }
    }
    true
}

/// The parts of a path that are walked one by one; `..` is one of them, since it leads where the folder is.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    let walked = |part: &Component<'_>| !matches!(part, Component::CurDir);
    path.components().filter(walked).map(|part| part.as_os_str().to_owned())
}

fn is_of_local_kind(path: &Path) -> bool {
    statfs(path).is_ok_and(|at| LOCAL.contains(&at.filesystem_type()))
}

/// Who loads a program.
#[derive(Debug, PartialEq, Eq)]
enum Loader {
    /// The kernel.
    Nobody,
    /// The interpreter of a script, or what links a program with its libraries.
    File(PathBuf),
    /// It is a program of another kind.
    Unknown,
}

fn loader(file: &Path) -> io::Result<Loader> {
    let mut start = Vec::new();
    File::open(file)?.take(START_BYTES).read_to_end(&mut start)?;
    if start.starts_with(b"#!") {
        return Ok(interpreter_in(&start).map_or(Loader::Unknown, |name| Loader::File(name.into())));
    }
    Ok(linker(&start).unwrap_or(Loader::Unknown))
}

/// By the program headers of an ELF file of 64 bits, the first byte of a number being the lowest: `elf(5)`. `None` when it is
/// another, or goes on behind what was read.
fn linker(start: &[u8]) -> Option<Loader> {
    const PT_INTERP: u64 = 3;
    if !start.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let bytes = start.get(at..at.checked_add(bytes)?)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0, |number, &byte| number << 8 | u64::from(byte)),
        )
    };
    let place = |at, bytes| usize::try_from(number(at, bytes)?).ok();
    let (headers, size, count) = (place(32, 8)?, place(54, 2)?, place(56, 2)?);
    for index in 0..count {
        let header = headers.checked_add(index * size)?;
        if number(header, 4)? == PT_INTERP {
            let at = place(header.checked_add(8)?, 8)?;
            let text = start.get(at..at.checked_add(place(header.checked_add(32)?, 8)?)?)?;
            let name = CStr::from_bytes_until_nul(text).ok()?;
            return Some(Loader::File(path(name).to_owned()));
        }
    }
    Some(Loader::Nobody)
}

fn path(text: &CStr) -> &Path {
    Path::new(OsStr::from_bytes(text.to_bytes()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_way_through_a_link_is_followed() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let here = folder.path();
        symlink("/proc/self", here.join("elsewhere")).expect("linked");
        symlink("elsewhere/..", here.join("back")).expect("linked");
        symlink("round", here.join("round")).expect("linked");
        assert!(way_is_local(here));
        assert!(way_is_local(&here.join("missing/and/more")), "nobody looks further");
        for way in ["elsewhere", "elsewhere/exe", "back", "elsewhere/../../tmp", "round"] {
            assert!(!way_is_local(&here.join(way)), "{way}");
        }
    }

    #[test]
    fn who_loads_a_program_is_known() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let of = |content: &[u8]| {
            let file = folder.path().join("program");
            fs::write(&file, content).expect("written");
            loader(&file).expect("read")
        };
        assert_eq!(of(b"#! /bin/sh -e\n"), Loader::File("/bin/sh".into()));
        assert_eq!(of(b"hello\n"), Loader::Unknown);
        assert_eq!(of(b"\x7fELF\x02\x01"), Loader::Unknown);
        let mut program = vec![0; 200];
        program[..6].copy_from_slice(b"\x7fELF\x02\x01");
        (program[32], program[54], program[56]) = (64, 56, 1);
        assert_eq!(of(&program), Loader::Nobody, "it has one header of no kind");
        (program[64], program[72], program[96]) = (3, 150, 8);
        program[150..158].copy_from_slice(b"/lib/ld\0");
        assert_eq!(of(&program), Loader::File("/lib/ld".into()));
        program[73] = 0xff;
        assert_eq!(of(&program), Loader::Unknown, "it stands beyond");
    }
}
