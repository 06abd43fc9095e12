//! The language runtime ran out of its own heap and ended the process.
//!
//! ## What you see
//! 502s in the middle of requests, while the machine has memory to spare. Node prints `FATAL
//! ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory` and exits with
//! 134; Java `java.lang.OutOfMemoryError: Java heap space` (or `GC overhead limit exceeded`,
//! `Metaspace`, `unable to create native thread`); Go `fatal error: runtime: out of memory`; PHP
//! `Allowed memory size of N bytes exhausted (tried to allocate M bytes)`; uWSGI `!!! tried memory
//! allocation of N bytes !!!`.
//!
//! ## Why it happens
//! The runtime's limit is below what the requests need: a leak, a large answer built in memory, or
//! a default that does not know of the container's size.
//!
//! ## How to tell
//! The line above in the app's own log, exit code 134 (SIGABRT), and no line of the kernel. Before
//! it, garbage collection takes ever more of the time.
//!
//! ## Fix
//! Find the leak with a heap dump. Set the heap to about three quarters of the container's limit
//! (`node --max-old-space-size`, `java -XX:MaxRAMPercentage=75`), and stream large answers.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Step};
use crate::signs::{Loss, loss, window};
use crate::text::{DECIDES, Text, When, during};
use crate::wording;
use evidence::{Sign, Stack};

pub(super) static CAUSE: Cause = Cause {
    id: "runtime_heap_exhausted",
    family: Family::F1,
    title: "The app's runtime ran out of its heap",
    side: Side::App,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::Reset, 0.01), (Sign::Closed, 0.01)],
        clues: &[during(Sign::HeapExhausted, DECIDES)],
        brings: &[
            "worker_crashed",
            "premature_close",
            "connection_reset",
            "process_down",
            "crash_loop",
            "unhandled_exception",
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let confidence = match loss(case)? {
        Loss::AtWork(_) | Loss::InAnswer => 0.03,
        Loss::OnReuse(_) | Loss::AtOnce | Loss::AtWatchdog(_) => return None,
    };
    Some(Finding::new(
        confidence,
        format!("the runtime of {} may have run out of its heap", case.server()),
        "a runtime without heap ends its process in the middle of a request",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "Look for the runtime's last words",
            format!(
                "journalctl {} --grep 'heap out of memory|OutOfMemoryError|runtime: out of memory'",
                window(case)
            ),
        ),
        Fix::new(
            "Take a heap dump before raising anything; then set the heap to about 75 % of the \
             container's limit",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::HeapExhausted, When::During)?;
    Some(format!(
        "the runtime of {} reached its own memory limit{}",
        wording::app(dossier),
        wording::because(&seen)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let seen = wording::first(dossier, Sign::HeapExhausted, When::During);
    let stack = seen.map(|it| it.key.product.stack());
    let (dump, bound) = match stack {
        Some(Stack::Java) => {
            ("jmap -dump:live,file=/tmp/heap.hprof PID", "`-XX:MaxRAMPercentage=75`")
        }
        Some(Stack::Node) => ("kill -USR2 PID", "`NODE_OPTIONS=--max-old-space-size=MEGABYTES`"),
        Some(Stack::Php) => ("grep -n memory_limit /etc/php/*/fpm/php.ini", "`memory_limit`"),
        Some(Stack::Python) => {
            ("sudo py-spy dump --pid PID", "the address space limit (`ulimit -v`)")
        }
        _ => ("ps -eo pid,rss,comm --sort=-rss | head", "the runtime's heap limit"),
    };
    Cure {
        before: vec![Step::look(
            match stack {
                Some(Stack::Node) => "Take a heap dump while it is large (node started with `--heapsnapshot-signal=SIGUSR2`)",
                Some(Stack::Java) => "Take a heap dump while it is large",
                _ => "See which process grows, and where it is",
            },
            dump,
        )],
        now: vec![
            wording::restarted(dossier),
            Step::say(format!(
                "If the container has room, set {bound} to about three quarters of its memory: for a \
                 leak that hides the growth for a while only"
            ))
            .hides(),
        ],
        lasting: vec![Step::say(
            "Cure what the dump shows to grow; stream large answers and read large results in pieces",
        )],
        verify: vec![wording::quiet(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not, check_text};

    #[test]
    fn a_heap_may_end_while_an_answer_is_built() {
        check_among("head: closed | fresh after=4s", "runtime_heap_exhausted");
        check_among("body: chunk_cut | fresh received=90000", "runtime_heap_exhausted");
    }

    #[test]
    fn a_refused_connection_is_not_about_heaps() {
        check_not("connect: refused | to=127.0.0.1:8000", "runtime_heap_exhausted");
    }

    #[test]
    fn python_ran_out_of_its_own_memory() {
        check_text(
            &[(
                "app.log",
                "Traceback (most recent call last):\n  File \"/srv/app.py\", line 7, in report\n    rows = list(all)\nMemoryError\n",
            )],
            "runtime_heap_exhausted: the runtime of the app reached its own memory limit: MemoryError\n\
             before: See which process grows, and where it is [sudo py-spy dump --pid PID] checks\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             now: If the container has room, set the address space limit (`ulimit -v`) to about three quarters of its memory: for a leak that hides the growth for a while only hides\n\
             lasting: Cure what the dump shows to grow; stream large answers and read large results in pieces\n\
             verify: the app logs no new failure of this kind [journalctl -u APP --since -1h] checks",
        );
    }
}
