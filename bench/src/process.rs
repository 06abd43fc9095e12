//! What the kernel counts for a process and its children: time on CPU and memory.

use anyhow::{Context as _, Result};
use std::collections::HashMap;
use std::fs::{read_dir, read_to_string};
use std::ops::Sub;
use std::path::PathBuf;

/// Time on CPU, counted twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CpuTime {
    /// Of the threads that live, exact.
    pub(crate) threads_ns: u64,
    /// Of all threads that ever lived, in the clock's coarse ticks.
    pub(crate) whole_ns: u64,
}

impl CpuTime {
    /// A thread that ends takes its exact time with it; then only the coarse count is whole.
    pub(crate) fn lost_threads(self) -> bool {
        const COARSENESS_NS: u64 = 50_000_000;
        self.whole_ns > self.threads_ns + self.threads_ns / 20 + COARSENESS_NS
    }
}

impl Sub for CpuTime {
    type Output = CpuTime;

    fn sub(self, before: CpuTime) -> CpuTime {
        CpuTime {
            threads_ns: self.threads_ns.saturating_sub(before.threads_ns),
            whole_ns: self.whole_ns.saturating_sub(before.whole_ns),
        }
    }
}

/// Bytes, summed over a process and its children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Resident; pages that two processes share count in both.
    pub(crate) resident: u64,
    /// The most that was ever resident.
    pub(crate) peak: u64,
}

/// The process and all below it.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&pid) = family.get(next) {
        for task in tasks(pid) {
            let text = read_to_string(task.join("children")).unwrap_or_default();
            family.extend(text.split_whitespace().filter_map(|it| it.parse::<u32>().ok()));
        }
        next += 1;
    }
    family
}

pub(crate) fn cpu_time(pid: u32) -> Result<CpuTime> {
    let mut sum = CpuTime::default();
    for pid in family(pid) {
        for task in tasks(pid) {
            // A thread that ended since the listing has no file any more.
            let text = read_to_string(task.join("schedstat")).unwrap_or_default();
            sum.threads_ns += first_number(&text).unwrap_or(0);
        }
        let stat = read_to_string(format!("/proc/{pid}/stat"))?;
        sum.whole_ns += ticks(&stat).context("reading the ticks of a process")? * ns_per_tick();
    }
    Ok(sum)
}

/// The exact time of each thread, of the process and its children.
pub(crate) fn thread_times(pid: u32) -> HashMap<PathBuf, u64> {
    let threads = family(pid).into_iter().flat_map(tasks);
    let timed = threads.filter_map(|task| {
        let text = read_to_string(task.join("schedstat")).ok()?;
        Some((task, first_number(&text)?))
    });
    timed.collect()
}

/// What part of all the time since `before` the busiest thread took; `None` where none took any.
pub(crate) fn busiest(
    before: &HashMap<PathBuf, u64>,
    after: &HashMap<PathBuf, u64>,
) -> Option<f64> {
    let since = |(task, time): (&PathBuf, &u64)| {
        time.saturating_sub(before.get(task).copied().unwrap_or(0))
    };
    let all = after.iter().map(since).sum::<u64>();
    let most = after.iter().map(since).max()?;
    (0 < all).then(|| most as f64 / all as f64)
}

pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in family(pid) {
        let text = read_to_string(format!("/proc/{pid}/status"))?;
        sum.resident += kilobytes(&text, "VmRSS:").context("`VmRSS` is not there")?;
        sum.peak += kilobytes(&text, "VmHWM:").context("`VmHWM` is not there")?;
    }
    Ok(sum)
}

/// Resident bytes where a page that two processes share counts half in each.
pub(crate) fn proportional(pid: u32) -> Result<u64> {
    let mut sum = 0;
    for pid in family(pid) {
        let text = read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
        sum += kilobytes(&text, "Pss:").context("`Pss` is not there")?;
    }
    Ok(sum)
}

fn tasks(pid: u32) -> Vec<PathBuf> {
    let Ok(listing) = read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    listing.filter_map(|it| Some(it.ok()?.path())).collect()
}

fn ns_per_tick() -> u64 {
    1_000_000_000 / rustix::param::clock_ticks_per_second().max(1)
}

/// User and system ticks: the fields 14 and 15, counted behind the name, which may hold spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|it| it.strip_prefix(name))?;
    first_number(line).map(|it| it * 1024)
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_a_name_with_spaces_and_parentheses() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 4194304 92 158 0 0 30 12 0 0 20 0 1 0 29 26 3";
        assert_eq!(ticks(stat), Some(42));
    }

    #[test]
    fn memory_is_read_in_bytes() {
        assert_eq!(kilobytes("VmHWM:\t  12 kB\nVmRSS:\t   10 kB\n", "VmRSS:"), Some(10_240));
        assert_eq!(kilobytes("VmHWM:\t  12 kB\n", "VmRSS:"), None);
    }

    #[test]
    fn time_of_ended_threads_is_noticed_but_not_the_coarseness_of_ticks() {
        let check = |threads_ns, whole_ns, lost| {
            assert_eq!(CpuTime { threads_ns, whole_ns }.lost_threads(), lost, "{threads_ns}");
        };
        check(1_000_000_000, 1_010_000_000, false);
        check(5_000_000, 20_000_000, false);
        check(1_000_000_000, 1_200_000_000, true);
    }

    #[test]
    fn the_busiest_thread_is_that_of_the_time_between() {
        let times = |times: &[(&str, u64)]| {
            times.iter().map(|(task, time)| (PathBuf::from(task), *time)).collect()
        };
        let before: HashMap<PathBuf, u64> = times(&[("a", 1_000), ("b", 10)]);
        let after = times(&[("a", 1_010), ("b", 30), ("c", 10)]);
        assert_eq!(busiest(&before, &after), Some(0.5));
        assert_eq!(busiest(&after, &after), None);
    }

    #[test]
    fn we_are_of_our_own_family() {
        let us = std::process::id();
        assert!(family(us).contains(&us));
        assert!(memory(us).unwrap().resident > 0);
    }
}
