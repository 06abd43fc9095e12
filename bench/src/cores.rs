//! Which core a process may use, and that the two sides of a measurement do not share one.

use crate::setting::Unmet;
use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Puts this process on the core of the load, after seeing that the proxy has others.
pub(crate) fn stay_on(load: usize, proxy: &[usize]) -> Result<()> {
    let allowed = sched_getaffinity(None).context("reading which cores may be used")?;
    for core in [load].into_iter().chain(proxy.iter().copied()) {
        if core >= CpuSet::MAX_CPU || !allowed.is_set(core) {
            let what =
                format!("core {core} may not be used here; see `--proxy-core` and `--load-core`");
            return Err(Unmet::Usage(what).into());
        }
    }
    if proxy.contains(&load) {
        let what = "the proxy and its load must not share a core".to_owned();
        return Err(Unmet::Usage(what).into());
    }
    move_to(&[load])
}

/// Threads and children that come after this call inherit the cores.
pub(crate) fn move_to(cores: &[usize]) -> Result<()> {
    let mut only = CpuSet::new();
    for core in cores {
        only.set(*core);
    }
    sched_setaffinity(None, &only).with_context(|| format!("moving to the cores {cores:?}"))
}

/// All that this process may use.
pub(crate) fn allowed() -> Result<Vec<usize>> {
    let allowed = sched_getaffinity(None).context("reading which cores may be used")?;
    Ok((0..CpuSet::MAX_CPU).filter(|it| allowed.is_set(*it)).collect())
}
