//! `limits` and `cpus`: what a process may use.

use std::time::Duration;

use serde::Deserialize;

use super::Limits;
use super::decode::Many;
use super::values::{Cpus, Period, Share, Size, Whole};

/// `limits`.
#[derive(Clone, Debug, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(default)]
pub(crate) struct LimitFields {
    /// The memory of the whole tree of processes.
    pub memory: Option<Size>,
    /// How many CPUs the whole tree may keep busy: `0.5`, `2`, `50%`.
    pub cpu: Option<Share>,
    /// The CPU time of each process of the tree.
    pub cpu_time: Option<Period>,
    /// How many processes and threads the tree may have.
    pub pids: Option<Whole<1, 4_194_304>>,
    /// How many files each process may have open.
    pub files: Option<Whole<1, 1_000_000_000>>,
    /// The largest core dump.
    pub core: Option<Size>,
    /// The largest stack.
    pub stack: Option<Size>,
    /// The largest file that may be written.
    pub file_size: Option<Size>,
}

pub(super) fn limits(fields: &LimitFields) -> Limits {
    let size = |size: &Option<Size>| size.as_ref().map(|size| size.0);
    Limits {
        memory: size(&fields.memory),
        cpu_thousandths: fields.cpu.as_ref().map(|share| share.0),
        cpu_time: fields.cpu_time.as_ref().map(|period| whole_seconds(period.0)),
        pids: fields.pids.map(Whole::get),
        files: fields.files.map(Whole::get),
        core: size(&fields.core),
        stack: size(&fields.stack),
        file_size: size(&fields.file_size),
    }
}

/// The kernel counts in seconds.
fn whole_seconds(time: Duration) -> Duration {
    let up = u64::from(time.subsec_nanos() > 0);
    Duration::from_secs((time.as_secs() + up).max(1))
}

/// The numbers of `cpus`, each once, in order.
pub(super) fn cpus(fields: &Many<Cpus>) -> Vec<u32> {
    let mut cpus: Vec<u32> = fields.0.iter().flat_map(|range| range.0.clone()).collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}
