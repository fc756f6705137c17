//! A cgroup for a run: `cgroups(7)`, version 2. It holds the deputy and all that comes from it.
//!
//! Its name tells whose it is, `forkyard-PID-START` of the guardian: when that has ended, what is in the group is left of
//! a run whose guardians and engine were killed together, and the next run kills it.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, getpid};

use crate::tree::started;

/// What every group's name begins with.
const PREFIX: &str = "forkyard-";

/// The group of a run.
#[derive(Debug)]
pub(super) struct Group {
    path: PathBuf,
}

impl Group {
    /// Makes an empty one below the group of this process.
    pub(super) fn make() -> io::Result<Self> {
        let pid = getpid().as_raw();
        let start = started(pid)?.ok_or(io::ErrorKind::NotFound)?;
        let own = own_group()?;
        // Who moves a process needs to write here, too, as the nearest common ancestor: cgroups(7).
        access(&own.join("cgroup.procs"), AccessFlags::W_OK)?;
        let path = own.join(format!("{PREFIX}{pid}-{start}"));
        fs::create_dir(&path)?;
        let group = Self { path };
        if group.path.join("cgroup.kill").exists() {
            return Ok(group);
        }
        group.end();
        let why = "this kernel has no cgroup.kill (Linux 5.14 has)";
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }

    /// Puts this process into it, and with it all that it will start.
    pub(super) fn enter(&self) -> io::Result<()> {
        write(&self.path.join("cgroup.procs"), "0")
    }

    /// Kills what is in it, and removes it.
    pub(super) fn end(&self) {
        bury(&self.path);
    }
}

/// Kills what is left of runs that have no guardian any more.
pub(super) fn bury_dead() {
    let Ok(groups) = own_group().and_then(fs::read_dir) else {
        return;
    };
    for group in groups.flatten() {
        if group.file_name().to_str().is_some_and(is_dead) {
            bury(&group.path());
        }
    }
}

/// Whether a group has this name whose guardian has ended.
fn is_dead(name: &str) -> bool {
    let guardian = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-'));
    let guardian = guardian.and_then(|(pid, start)| Some((pid.parse().ok()?, start.parse().ok()?)));
    guardian.is_some_and(|(pid, start): (i32, u64)| started(pid).is_ok_and(|now| now != Some(start)))
}

/// Whoever is in the group is killed, and the group removed; when somebody is still dying, the next run removes it.
fn bury(group: &Path) {
    let _ = write(&group.join("cgroup.kill"), "1");
    remove(group);
}

/// Removes the group with those that its processes may have made in it.
fn remove(group: &Path) {
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
    }
    let _ = fs::remove_dir(group);
}

/// The group of this process in the hierarchy of version 2, as a folder.
fn own_group() -> io::Result<PathBuf> {
    let missing = || io::Error::new(io::ErrorKind::NotFound, "there is no cgroup hierarchy of version 2");
    let own = fs::read_to_string("/proc/self/cgroup")?;
    let own = own
        .lines()
        .find_map(|line| line.strip_prefix("0::/"))
        .ok_or_else(missing)?
        .to_owned();
    let mounts = fs::read_to_string("/proc/self/mountinfo")?;
    let mounted = mounts.lines().find_map(mount_point).ok_or_else(missing)?;
    Ok(mounted.join(own))
}

/// Where the hierarchy of version 2 is mounted, if this line of mountinfo says so: `proc_pid_mountinfo(5)`.
fn mount_point(line: &str) -> Option<PathBuf> {
    let (mount, of) = line.split_once(" - ")?;
    let is_whole = mount.split(' ').nth(3) == Some("/");
    (is_whole && of.starts_with("cgroup2 ")).then(|| mount.split(' ').nth(4).map(PathBuf::from))?
}

/// A file of a cgroup is not created, and takes one write.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_CLOEXEC)
        .open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hierarchy_is_found_where_it_is_mounted() {
        let found = |line: &str| mount_point(line);
        let unified = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        assert_eq!(found(unified), Some(PathBuf::from("/sys/fs/cgroup")));
        assert_eq!(found("31 23 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu"), None);
        assert_eq!(
            found("30 23 0:26 /part /sys/fs/cgroup rw - cgroup2 cgroup2 rw"),
            None,
            "a part of it only"
        );
        assert_eq!(found("nonsense"), None);
    }

    #[test]
    fn a_group_is_dead_when_its_guardian_is_another_process_or_none() {
        let pid = getpid().as_raw();
        let start = started(pid).expect("/proc is there").expect("we live");
        assert!(!is_dead(&format!("forkyard-{pid}-{start}")));
        assert!(is_dead(&format!("forkyard-{pid}-{}", start + 1)));
        for other in ["user.slice", "forkyard-", "forkyard-x-1", "forkyard-1"] {
            assert!(!is_dead(other), "{other}");
        }
    }
}
