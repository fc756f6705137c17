//! `limits`: by control groups where they can be made, since these hold for a whole tree of processes, else by limits
//! of each process.

use std::cell::{Cell, OnceCell};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use forkyard_core::plan::Limits;

use crate::cgroup::{self, Hierarchy, Version};
use crate::spawner::Rlimit;

/// What a control group can limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Controller {
    Memory,
    Cpu,
    Pids,
}

impl Controller {
    const ALL: [Self; 3] = [Self::Memory, Self::Cpu, Self::Pids];

    const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Cpu => "cpu",
            Self::Pids => "pids",
        }
    }

    /// Whether these limits ask for it.
    const fn is_asked(self, limits: &Limits) -> bool {
        match self {
            Self::Memory => limits.memory.is_some(),
            Self::Cpu => limits.cpu_thousandths.is_some(),
            Self::Pids => limits.pids.is_some(),
        }
    }
}

/// In which a share of CPUs is kept, in microseconds: the kernel's own default.
const PERIOD_US: u64 = 100_000;

/// Where groups with limits can be made.
#[derive(Debug)]
pub(crate) struct Limiter {
    name: String,
    places: Vec<Place>,
    made: Cell<u64>,
}

/// Where groups of one hierarchy are made, and for what.
#[derive(Debug)]
struct Place {
    hierarchy: Hierarchy,
    parent: PathBuf,
    controllers: Vec<Controller>,
}

impl Limiter {
    /// Looks where groups can be made; nothing is made yet.
    pub(crate) fn find() -> Self {
        let mut wanted = Controller::ALL.to_vec();
        let mut places = Vec::new();
        for hierarchy in cgroup::hierarchies() {
            let place = Place::find(&hierarchy, &wanted);
            if let Some(place) = place {
                wanted.retain(|controller| !place.controllers.contains(controller));
                places.push(place);
            }
        }
        Self {
            name: cgroup::own_name().unwrap_or_default(),
            places,
            made: Cell::new(0),
        }
    }

    /// Those of the limits that can be kept neither by a group nor by limits of each process, by their keys.
    pub(crate) fn cannot_keep(&self, limits: &Limits) -> Vec<&'static str> {
        let root = nix::unistd::geteuid().is_root();
        let by_rlimit = |controller| match controller {
            Controller::Memory => true,
            Controller::Cpu => false,
            // The kernel counts processes by user, and counts none of root's.
            Controller::Pids => !root,
        };
        let asked = Controller::ALL
            .into_iter()
            .filter(|controller| controller.is_asked(limits));
        let kept = |controller: &Controller| self.controls(*controller) || by_rlimit(*controller);
        asked
            .filter(|controller| !kept(controller))
            .map(Controller::name)
            .collect()
    }

    fn controls(&self, controller: Controller) -> bool {
        self.places.iter().any(|place| place.controllers.contains(&controller))
    }

    /// Groups for one process, one in each hierarchy that is needed.
    ///
    /// # Errors
    /// When one cannot be made.
    pub(crate) fn groups(&self, limits: &Limits) -> io::Result<Groups> {
        let number = self.made.get();
        self.made.set(number + 1);
        if number == 0 {
            self.places.iter().for_each(Place::bury_dead);
        }
        let mut groups = Groups { folders: Vec::new() };
        for place in &self.places {
            let asked = place
                .controllers
                .iter()
                .copied()
                .filter(|controller| controller.is_asked(limits));
            let asked: Vec<Controller> = asked.collect();
            if asked.is_empty() {
                continue;
            }
            let parent = place.parent.join(&self.name);
            place.make_parent(&parent)?;
            let folder = parent.join(number.to_string());
            fs::create_dir(&folder)?;
            groups.folders.push((place.hierarchy.version, folder.clone()));
            for controller in asked {
                set(place.hierarchy.version, controller, &folder, limits)?;
            }
        }
        Ok(groups)
    }

    /// What each process is limited to, the limits that groups keep left out.
    pub(crate) fn rlimits(&self, limits: &Limits) -> Vec<Rlimit> {
        let of_tree = |controller, limit: Option<u64>| limit.filter(|_| !self.controls(controller));
        let fixed = [
            (libc::RLIMIT_AS, of_tree(Controller::Memory, limits.memory)),
            (
                libc::RLIMIT_NPROC,
                of_tree(Controller::Pids, limits.pids.map(u64::from)),
            ),
            (libc::RLIMIT_NOFILE, limits.files.map(u64::from)),
            (libc::RLIMIT_CORE, limits.core),
            (libc::RLIMIT_STACK, limits.stack),
            (libc::RLIMIT_FSIZE, limits.file_size),
        ];
        let fixed = fixed
            .into_iter()
            .filter_map(|(resource, limit)| Some(Rlimit::fixed(resource, limit?)));
        // SIGXCPU comes at the first, which a program may handle, SIGKILL at the second.
        let cpu_time = limits.cpu_time.map(|time| Rlimit {
            resource: libc::RLIMIT_CPU,
            soft: time.as_secs(),
            hard: time.as_secs() + 1,
        });
        fixed.chain(cpu_time).collect()
    }
}

impl Place {
    fn find(hierarchy: &Hierarchy, wanted: &[Controller]) -> Option<Self> {
        // In version 2 a group with processes of its own, as ours may be, cannot have groups with limits: then it is
        // tried at the top.
        [&hierarchy.own, &hierarchy.top].into_iter().find_map(|parent| {
            let is_writable = nix::unistd::access(parent, nix::unistd::AccessFlags::W_OK).is_ok();
            let controls = |controller: &&Controller| hierarchy.controls(controller.name(), parent);
            let controllers: Vec<Controller> = if is_writable {
                wanted.iter().filter(controls).copied().collect()
            } else {
                Vec::new()
            };
            (!controllers.is_empty()).then(|| Self {
                hierarchy: hierarchy.clone(),
                parent: parent.clone(),
                controllers,
            })
        })
    }

    /// Removes what earlier engines have left; in version 2 the guardian has done so.
    fn bury_dead(&self) {
        match self.hierarchy.version {
            Version::One => self.hierarchy.bury_dead(),
            Version::Two => {}
        }
    }

    fn make_parent(&self, folder: &Path) -> io::Result<()> {
        match fs::create_dir(folder) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            made => made?,
        }
        if self.hierarchy.version == Version::Two {
            for controller in &self.controllers {
                cgroup::write(
                    &folder.join("cgroup.subtree_control"),
                    &format!("+{}", controller.name()),
                )?;
            }
        }
        Ok(())
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        for place in &self.places {
            cgroup::remove(&place.parent.join(&self.name));
        }
    }
}

fn set(version: Version, controller: Controller, folder: &Path, limits: &Limits) -> io::Result<()> {
    let write = |file: &str, text: String| cgroup::write(&folder.join(file), &text);
    match (controller, version) {
        (Controller::Memory, Version::One) => {
            write("memory.limit_in_bytes", number(limits.memory))?;
            // There only where swap is counted.
            let _ = write("memory.memsw.limit_in_bytes", number(limits.memory));
            Ok(())
        }
        (Controller::Memory, Version::Two) => {
            write("memory.max", number(limits.memory))?;
            let _ = write("memory.swap.max", "0".to_owned());
            Ok(())
        }
        (Controller::Pids, Version::One | Version::Two) => write("pids.max", number(limits.pids.map(u64::from))),
        (Controller::Cpu, Version::One) => {
            write("cpu.cfs_period_us", PERIOD_US.to_string())?;
            write("cpu.cfs_quota_us", quota(limits).to_string())
        }
        (Controller::Cpu, Version::Two) => write("cpu.max", format!("{} {PERIOD_US}", quota(limits))),
    }
}

fn number(limit: Option<u64>) -> String {
    limit.unwrap_or_default().to_string()
}

/// How long it may run in a period; the kernel takes no less than a millisecond.
fn quota(limits: &Limits) -> u64 {
    (u64::from(limits.cpu_thousandths.unwrap_or_default()) * PERIOD_US / 1000).max(1000)
}

/// The groups of one process; dropped, they are removed.
#[derive(Debug)]
pub(crate) struct Groups {
    folders: Vec<(Version, PathBuf)>,
}

impl Groups {
    /// The files by which a process enters them.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub(crate) fn doors(&self) -> io::Result<Vec<File>> {
        let door = |(_, folder): &(Version, PathBuf)| OpenOptions::new().write(true).open(folder.join("cgroup.procs"));
        self.folders.iter().map(door).collect()
    }

    /// Whether the kernel has killed a process of theirs for want of memory.
    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.folders.iter().any(|(version, folder)| {
            let file = match version {
                Version::One => "memory.oom_control",
                Version::Two => "memory.events",
            };
            let events = fs::read_to_string(folder.join(file)).unwrap_or_default();
            let kills = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
            kills.is_some_and(|kills| kills.trim() != "0")
        })
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        for (_, folder) in &self.folders {
            cgroup::remove(folder);
        }
    }
}

/// Found at the first process that has limits: most workflows have none.
#[derive(Debug, Default)]
pub(crate) struct LimiterCell(OnceCell<Limiter>);

impl LimiterCell {
    pub(crate) fn get(&self) -> &Limiter {
        self.0.get_or_init(Limiter::find)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn nowhere() -> Limiter {
        Limiter {
            name: String::new(),
            places: Vec::new(),
            made: Cell::new(0),
        }
    }

    #[test]
    fn what_no_group_keeps_is_kept_for_each_process() {
        let limits = Limits {
            memory: Some(1 << 30),
            cpu_time: Some(Duration::from_secs(3)),
            files: Some(64),
            core: Some(0),
            ..Limits::default()
        };
        let found = nowhere().rlimits(&limits);
        let expected = [
            Rlimit::fixed(libc::RLIMIT_AS, 1 << 30),
            Rlimit::fixed(libc::RLIMIT_NOFILE, 64),
            Rlimit::fixed(libc::RLIMIT_CORE, 0),
            Rlimit {
                resource: libc::RLIMIT_CPU,
                soft: 3,
                hard: 4,
            },
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_share_of_cpus_needs_a_group() {
        let limits = Limits {
            cpu_thousandths: Some(500),
            memory: Some(1),
            ..Limits::default()
        };
        assert_eq!(nowhere().cannot_keep(&limits), ["cpu"]);
        assert_eq!(quota(&limits), 50_000);
    }
}
