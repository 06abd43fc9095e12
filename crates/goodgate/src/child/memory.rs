//! How often the kernel has killed a process of our own cgroup for its memory.

use std::fs;
use std::path::{Path, PathBuf};

/// The counter of our cgroup, where there is one that we may read.
pub(super) struct Kills {
    file: PathBuf,
    seen: u64,
}

impl Kills {
    /// From now on.
    pub(super) fn here() -> Option<Kills> {
        let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
        let file = files(&groups).into_iter().find(|it| count(it).is_some())?;
        let seen = count(&file)?;
        Some(Kills { file, seen })
    }

    /// Some were added since this was asked last.
    pub(super) fn more(&mut self) -> bool {
        let Some(now) = count(&self.file) else { return false };
        std::mem::replace(&mut self.seen, now) < now
    }
}

/// Where the counter may stand, by `/proc/self/cgroup`: `0::/path` of version 2, `5:memory:/path` of
/// version 1. In a container the path may be the host's while the files are mounted at the root.
fn files(groups: &str) -> Vec<PathBuf> {
    let root = Path::new("/sys/fs/cgroup");
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (Some(_), Some(kinds), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        let inside = path.trim_start_matches('/');
        if kinds.is_empty() {
            files.extend([
                root.join(inside).join("memory.events"),
                root.join("unified").join(inside).join("memory.events"),
                root.join("memory.events"),
            ]);
        } else if kinds.split(',').any(|it| it == "memory") {
            let memory = root.join("memory");
            files.push(memory.join(inside).join("memory.oom_control"));
            files.push(memory.join("memory.oom_control"));
        }
    }
    files
}

fn count(file: &Path) -> Option<u64> {
    kills(&fs::read_to_string(file).ok()?)
}

/// `oom_kill 3`, the same word in both versions (cgroup-v2.rst; memcg v1 since Linux 4.13).
fn kills(text: &str) -> Option<u64> {
    text.lines().find_map(|it| it.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_read_in_both_versions() {
        assert_eq!(kills("low 0\nhigh 0\nmax 5\noom 1\noom_kill 3\noom_group_kill 9\n"), Some(3));
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\noom_kill 7\n"), Some(7));
        assert_eq!(kills("oom_kill_disable 0\nunder_oom 0\n"), None);
        assert_eq!(kills("oom_kill x"), None);
    }

    #[test]
    fn the_nearest_file_is_looked_at_first() {
        let first = |groups: &str| files(groups).first().map(|it| it.display().to_string());
        assert_eq!(
            first("0::/system.slice/app.service\n").as_deref(),
            Some("/sys/fs/cgroup/system.slice/app.service/memory.events")
        );
        assert_eq!(
            first("12:cpu,cpuacct:/a\n5:memory:/docker/1\n").as_deref(),
            Some("/sys/fs/cgroup/memory/docker/1/memory.oom_control")
        );
        assert_eq!(first("nonsense"), None);
    }
}
