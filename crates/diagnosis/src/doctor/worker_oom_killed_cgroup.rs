//! A container has less memory than its workers need to start.

use super::files::Files;
use super::{Check, Found, Severity};
use crate::report::Step;
use evidence::{Limit, Product};

pub(super) const CHECK: Check = Check { cause: "worker_oom_killed_cgroup", look };

/// A Python process with any framework takes more than this; below it there is no doubt.
const LEAST: i64 = 32 << 20;

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for unit in &files.units {
        let workers = unit.find(|it| {
            let python = matches!(it.product(), Product::Gunicorn | Product::Uvicorn);
            // Threads share their worker's memory.
            let threads = it.setting.quote.contains("thread");
            it.limit(Limit::Workers).filter(|_| python && !threads)
        });
        let memory = unit.limit(Limit::Memory).filter(|it| it.1 > 0);
        let (Some((fact, count)), Some((proof, bytes))) = (workers, memory) else { continue };
        if count < 1 || bytes / count >= LEAST {
            continue;
        }
        let statement = format!(
            "{count} workers share {} MiB, less than {} MiB each: the kernel will kill some",
            bytes >> 20,
            LEAST >> 20
        );
        let step = Step::say(
            "Have fewer workers and more threads, or raise the limit to what the workers are \
             measured to use",
        );
        found.say(Severity::Hint, statement, &[fact, proof], vec![step]);
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "worker_oom_killed_cgroup";

    #[test]
    fn many_workers_in_little_memory() {
        check(
            ID,
            "c.yml docker app: memory 128m; c.yml gunicorn app: workers 8",
            "hint: 8 workers share 128 MiB, less than 32 MiB each: the kernel will kill some",
        );
    }

    #[test]
    fn enough_for_each_or_not_known() {
        for settings in [
            "c.yml docker app: memory 256m; c.yml gunicorn app: workers 8",
            "c.yml docker app: memory 128m; c.yml gunicorn app: threads 8",
            "c.yml docker app: memory 0; c.yml gunicorn app: workers 8",
            "c.yml docker a: memory 128m; c.yml gunicorn b: workers 8",
        ] {
            check_nothing(ID, settings);
        }
    }
}
