//! Which core a process may use, and that the two sides of a measurement do not share one.

use crate::setting::Unmet;
use anyhow::{Context as _, Result};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Puts this process on the core of the load, after seeing that the proxy has another.
pub(crate) fn stay_on(load: usize, proxy: usize) -> Result<()> {
    let allowed = sched_getaffinity(None).context("reading which cores may be used")?;
    for core in [load, proxy] {
        if core >= CpuSet::MAX_CPU || !allowed.is_set(core) {
            let what =
                format!("core {core} may not be used here; see `--proxy-core` and `--load-core`");
            return Err(Unmet::Usage(what).into());
        }
    }
    if load == proxy {
        let what = "the proxy and its load need a core each".to_owned();
        return Err(Unmet::Usage(what).into());
    }
    move_to(load)
}

/// Threads and children that come after this call inherit the core.
pub(crate) fn move_to(core: usize) -> Result<()> {
    let mut only = CpuSet::new();
    only.set(core);
    sched_setaffinity(None, &only).with_context(|| format!("moving to core {core}"))
}
