//! How much of the memory that its control group allows the process uses. The kernel kills what
//! grows beyond, with every request in it; turning new ones away before that keeps the others.

use config::Limits;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// How often it is looked.
const LOOK: Duration = Duration::from_millis(500);

/// How far below the limit it is over, in percent of what is allowed.
const RELIEF: u64 = 5;

/// Whether new requests are turned away.
pub(crate) struct Memory {
    full: AtomicBool,
    /// `limits.memory`
    percent: AtomicUsize,
}

impl Memory {
    pub(crate) fn new(limits: &Limits) -> Arc<Memory> {
        let (full, percent) = (AtomicBool::new(false), AtomicUsize::new(limits.memory));
        Arc::new(Memory { full, percent })
    }

    /// What holds from now on.
    pub(crate) fn adopt(&self, limits: &Limits) {
        self.percent.store(limits.memory, Relaxed);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.full.load(Relaxed)
    }

    /// Looks for as long as the gateway runs; says when it is full, each time.
    pub(crate) async fn watch(self: Arc<Memory>, full: impl Fn()) {
        let groups = Group::all();
        if groups.is_empty() {
            return;
        }
        loop {
            let used = groups.iter().filter_map(Group::used).max().unwrap_or_default();
            let percent = self.percent.load(Relaxed) as u64;
            let relief = if self.is_full() { RELIEF } else { 0 };
            let is_full = percent < 100 && percent.saturating_sub(relief) <= used;
            self.full.store(is_full, Relaxed);
            if is_full {
                full();
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// A control group with a limit that holds for this process: its own, or one above it.
struct Group {
    folder: PathBuf,
    files: &'static Files,
}

/// How the files of a version of control groups are called (the kernel's cgroup-v2.rst and
/// cgroup-v1/memory.rst).
struct Files {
    mounted: &'static str,
    used: &'static str,
    limits: &'static [&'static str],
    /// In `memory.stat`: what is given up before anything is killed.
    cache: &'static [&'static str],
}

const V2: Files = Files {
    mounted: "/sys/fs/cgroup",
    used: "memory.current",
    limits: &["memory.max", "memory.high"],
    cache: &["inactive_file", "active_file", "slab_reclaimable"],
};

const V1: Files = Files {
    mounted: "/sys/fs/cgroup/memory",
    used: "memory.usage_in_bytes",
    limits: &["memory.limit_in_bytes"],
    cache: &["total_inactive_file", "total_active_file"],
};

/// Above it a number stands for no limit, in version 1.
const NO_LIMIT: u64 = 1 << 60;

impl Group {
    fn all() -> Vec<Group> {
        let ours = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let Some((files, path)) = own(&ours) else {
            return Vec::new();
        };
        let root = Path::new(files.mounted);
        let own = root.join(path.trim_start_matches('/'));
        // In a container the path may be that of the host, while what is mounted begins here.
        let own = if own.is_dir() { own } else { root.to_owned() };
        own.ancestors()
            .take_while(|it| it.starts_with(root))
            .map(|it| Group { folder: it.to_owned(), files })
            .filter(|it| it.allowed().is_some())
            .collect()
    }

    fn number(&self, file: &str) -> Option<u64> {
        fs::read_to_string(self.folder.join(file)).ok()?.trim().parse().ok()
    }

    fn allowed(&self) -> Option<u64> {
        let limits = self.files.limits.iter().filter_map(|it| self.number(it));
        limits.filter(|it| (1..NO_LIMIT).contains(it)).min()
    }

    /// In percent.
    fn used(&self) -> Option<u64> {
        let used = self.number(self.files.used)?;
        let stat = fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        Some(percent(used, cached(&stat, self.files.cache), self.allowed()?))
    }
}

/// Which files tell of the group in `/proc/self/cgroup`, and its path.
fn own(text: &str) -> Option<(&'static Files, &str)> {
    let line = |it: &'static Files, list: &str| {
        text.lines().find_map(|line| {
            let (_, rest) = line.split_once(':')?;
            let (controllers, path) = rest.split_once(':')?;
            controllers.split(',').any(|it| it == list).then_some((it, path))
        })
    };
    // Where version 1 has the controller, version 2 does not.
    line(&V1, "memory").or_else(|| line(&V2, ""))
}

fn cached(stat: &str, keys: &[&str]) -> u64 {
    let lines = stat.lines().filter_map(|it| it.split_once(' '));
    let of_keys = lines.filter(|(name, _)| keys.contains(name));
    of_keys.filter_map(|(_, value)| value.trim().parse::<u64>().ok()).sum()
}

fn percent(used: u64, cached: u64, allowed: u64) -> u64 {
    used.saturating_sub(cached).saturating_mul(100) / allowed.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(&str, &str)>) {
        assert_eq!(own(text).map(|(files, path)| (files.used, path)), expected, "{text}");
    }

    #[test]
    fn the_group_of_the_process() {
        check(
            "0::/system.slice/goodgate.service\n",
            Some(("memory.current", "/system.slice/goodgate.service")),
        );
        check("0::/\n", Some(("memory.current", "/")));
        check(
            "9:name=systemd:/x\n4:memory:/docker/ab\n1:cpu,cpuacct:/x\n0::/y\n",
            Some(("memory.usage_in_bytes", "/docker/ab")),
        );
        check("4:cpu,cpuacct:/x\n", None);
        check("", None);
    }

    #[test]
    fn what_the_kernel_can_take_back_does_not_count() {
        let stat = "anon 10\nfile 900\ninactive_file 850\nactive_file 50\nslab_reclaimable 20\n";
        assert_eq!(percent(970, cached(stat, V2.cache), 1_000), 5);
        assert_eq!(percent(970, cached("", V2.cache), 1_000), 97);
        assert_eq!(percent(5, 10, 0), 0);
    }
}
