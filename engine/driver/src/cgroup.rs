//! Where this process stands among the control groups of the machine: `cgroups(7)`, both versions, also mixed.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::tree::started;

/// What the name of every group of ours begins with; its maker's pid and start time follow, and the namespace in which they
/// mean something: `forkyard-PID-START-NAMESPACE`.
const PREFIX: &str = "forkyard-";

/// Room for what most machines tell of their mounts.
const TEXT_BYTES: usize = 16 * 1024;

/// One hierarchy of groups, as this process sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hierarchy {
    /// Which interface its files have.
    pub version: Version,
    /// The group of this process, as a folder.
    pub own: PathBuf,
    /// The topmost group that is seen.
    pub top: PathBuf,
    /// Version 1: the controllers mounted there.
    controllers: Vec<String>,
}

/// The interface of a hierarchy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// One hierarchy for each controller, or a few.
    One,
    /// One hierarchy for all.
    Two,
}

impl Hierarchy {
    /// Kills what is left here of runs that have no guardian any more, and removes the groups of engines that are no more.
    pub(crate) fn bury_dead(&self) {
        let Self { own, top, .. } = self;
        for folder in if own == top { vec![own] } else { vec![own, top] } {
            for group in dead(folder).iter().filter(|group| is_let_go(group)) {
                bury(group);
            }
        }
    }

    /// Whether limits of this kind can be set in groups that are made in `parent`, which may have to be allowed first.
    pub(crate) fn controls(&self, controller: &str, parent: &Path) -> bool {
        match self.version {
            Version::One => self.controllers.iter().any(|name| name == controller),
            Version::Two => {
                let control = parent.join("cgroup.subtree_control");
                let is_on =
                    || fs::read_to_string(&control).is_ok_and(|on| on.split_whitespace().any(|on| on == controller));
                is_on() || (write(&control, &format!("+{controller}")).is_ok() && is_on())
            }
        }
    }
}

/// All hierarchies; none where the machine has no control groups, or hides them.
pub(crate) fn hierarchies() -> Vec<Hierarchy> {
    let read = |path| text(path).unwrap_or_default();
    parse(&read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// The hierarchy of version 2, if there is one.
pub(crate) fn unified() -> Option<Hierarchy> {
    let mut hierarchies = hierarchies().into_iter();
    hierarchies.find(|hierarchy| hierarchy.version == Version::Two)
}

/// The whole text of a file of the kernel, in few large reads: it is put together at each.
fn text(path: &str) -> io::Result<String> {
    let mut text = String::with_capacity(TEXT_BYTES);
    fs::File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// `groups` has a line `ID:CONTROLLERS:PATH` for each hierarchy, `mounts` is that of `proc_pid_mountinfo(5)`.
fn parse(groups: &str, mounts: &str) -> Vec<Hierarchy> {
    let mounts: Vec<Mount> = mounts.lines().filter_map(Mount::parse).collect();
    let hierarchy = |line: &str| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers: Vec<String> = fields
            .next()?
            .split(',')
            .filter(|name| !name.is_empty())
            .map(Into::into)
            .collect();
        let path = Path::new(fields.next()?);
        let version = if controllers.is_empty() {
            Version::Two
        } else {
            Version::One
        };
        let mount = mounts.iter().find(|mount| mount.is_of(version, &controllers))?;
        // In a container the mount may show a part of the hierarchy alone.
        let below = path.strip_prefix(mount.root).or_else(|_| path.strip_prefix("/")).ok()?;
        Some(Hierarchy {
            version,
            own: Path::new(mount.point).join(below),
            top: mount.point.into(),
            controllers,
        })
    };
    groups.lines().filter_map(hierarchy).collect()
}

/// Where a hierarchy is mounted.
struct Mount<'a> {
    /// The part of it that is seen there.
    root: &'a str,
    point: &'a str,
    version: Version,
    options: &'a str,
}

impl<'a> Mount<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (mount, source) = line.split_once(" - ")?;
        let mut mount = mount.split(' ').skip(3);
        let (root, point) = (mount.next()?, mount.next()?);
        let mut source = source.split(' ');
        let version = match source.next()? {
            "cgroup" => Version::One,
            "cgroup2" => Version::Two,
            _ => return None,
        };
        let options = source.nth(1)?;
        Some(Self {
            root,
            point,
            version,
            options,
        })
    }

    fn is_of(&self, version: Version, controllers: &[String]) -> bool {
        self.version == version
            && controllers
                .iter()
                .all(|name| self.options.split(',').any(|option| option == name))
    }
}

/// The name of the groups that this process makes.
pub(crate) fn own_name() -> io::Result<String> {
    // As `/proc` has it, where the others look it up: that may be another one than this process is told.
    let own = fs::read_link("/proc/self")?;
    let pid = own
        .to_str()
        .and_then(|pid| pid.parse().ok())
        .ok_or(io::ErrorKind::InvalidData)?;
    let start = started(pid)?.ok_or(io::ErrorKind::NotFound)?;
    Ok(format!("{PREFIX}{pid}-{start}-{}", namespace()?))
}

/// The namespace of processes that this one is in, as a number.
fn namespace() -> io::Result<u64> {
    fs::metadata("/proc/self/ns/pid").map(|namespace| namespace.ino())
}

/// The way out of the group of the run that this process is in: the `cgroup.procs` of the group around it, for one who is
/// not to end with the run. `None`: the run has no group.
///
/// # Errors
/// When it cannot be opened to be written.
pub(crate) fn way_out() -> io::Result<Option<fs::File>> {
    let Some(own) = unified().map(|hierarchy| hierarchy.own) else {
        return Ok(None);
    };
    let is_of_run = own
        .file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(PREFIX.as_bytes()));
    match own.parent() {
        Some(outside) if is_of_run => fs::OpenOptions::new()
            .write(true)
            .open(outside.join("cgroup.procs"))
            .map(Some),
        Some(_) | None => Ok(None),
    }
}

/// Whether nobody has locked it any more. The groups of an engine's processes are locked by nobody.
fn is_let_go(group: &Path) -> bool {
    fs::File::open(group).is_ok_and(|group| group.try_lock().is_ok())
}

/// Whoever is in the group is killed, and the group removed; when somebody is still dying, the next run removes it.
pub(crate) fn bury(group: &Path) {
    // A group of version 1 cannot be killed; those in it were its engine's, and the guardians have killed them.
    let _ = write(&group.join("cgroup.kill"), "1");
    remove(group);
}

/// The groups in this folder whose maker has ended.
fn dead(folder: &Path) -> Vec<PathBuf> {
    let Ok(groups) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let dead = |group: &fs::DirEntry| group.file_name().to_str().is_some_and(is_dead);
    groups.flatten().filter(dead).map(|group| group.path()).collect()
}

/// The pids of another namespace are not seen from here, or are those of others: whoever makes groups there may live.
fn is_dead(name: &str) -> bool {
    let Some(maker) = Maker::parse(name) else { return false };
    namespace().is_ok_and(|own| own == maker.namespace) && started(maker.pid).is_ok_and(|now| now != Some(maker.start))
}

/// Who has made a group.
struct Maker {
    pid: i32,
    start: u64,
    namespace: u64,
}

impl Maker {
    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(PREFIX)?.split('-');
        let maker = Self {
            pid: parts.next()?.parse().ok()?,
            start: parts.next()?.parse().ok()?,
            namespace: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(maker)
    }
}

/// Removes a group with those in it; one in which somebody is still dying stays.
pub(crate) fn remove(group: &Path) {
    if let Ok(entries) = fs::read_dir(group) {
        for entry in entries.flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                remove(&entry.path());
            }
        }
    }
    let _ = fs::remove_dir(group);
}

/// Writes a file of a group: it is never made, and takes its text by one write.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).open(path)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIXED: &str = "\
25 20 0:22 / /sys/fs/cgroup rw - tmpfs tmpfs rw
26 25 0:23 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw
27 25 0:24 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
28 25 0:25 /docker/x /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";

    #[test]
    fn hierarchies_are_found_where_they_are_mounted() {
        let found = parse("5:memory:/docker/x/y\n4:cpu,cpuacct:/a\n3:pids:/\n0::/user\n", MIXED);
        let own: Vec<_> = found
            .iter()
            .map(|found| (found.version, found.own.to_str().unwrap()))
            .collect();
        assert_eq!(
            own,
            [
                (Version::One, "/sys/fs/cgroup/memory/y"),
                (Version::One, "/sys/fs/cgroup/cpu,cpuacct/a"),
                (Version::Two, "/sys/fs/cgroup/unified/user"),
            ]
        );
        assert!(found[1].controls("cpu", Path::new("/")));
        assert!(!found[0].controls("cpu", Path::new("/")));
        assert_eq!(parse("nonsense\n", "nonsense\n"), []);
    }

    #[test]
    fn a_group_is_dead_when_its_maker_is_another_process_or_none() {
        let name = own_name().expect("/proc is there");
        assert!(!is_dead(&name));
        let own = Maker::parse(&name).expect("it is one of ours");
        let of = |start: u64, namespace: u64| format!("{PREFIX}{}-{start}-{namespace}", own.pid);
        assert!(
            is_dead(&of(own.start + 1, own.namespace)),
            "a process with this pid, started at another time"
        );
        assert!(
            !is_dead(&of(own.start + 1, own.namespace + 1)),
            "who knows who that is there"
        );
        for other in [
            "user.slice",
            "forkyard-",
            "forkyard-x-1-1",
            "forkyard-1",
            "forkyard-1-1",
            "forkyard-1-1-1-1",
        ] {
            assert!(!is_dead(other), "{other}");
        }
    }
}
