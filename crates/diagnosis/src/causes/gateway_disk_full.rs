//! The gateway had to write a body, a cache entry or a log to its disk, and the disk was full.
//!
//! ## What you see
//! Uploads and large answers fail with 500, 502 or 507 while small ones work. nginx logs at level
//! crit `pwrite() "/var/lib/nginx/body/0000000001" failed (28: No space left on device)` or
//! `mkdir() ... failed (28: ...)`. Logs end in the middle of a line, and then nothing is logged at
//! all.
//!
//! ## Why it happens
//! Bodies above the memory buffer go to temporary files, and caches and logs grow. One of them
//! filled the file system, or its inodes.
//!
//! ## How to tell
//! `df -h` and `df -i` of the paths that the line names. Apache's `(28)No space left on device:
//! AH10124` is about a header that is too long, see `header_too_big`; the same words in the app's
//! log are `app_disk_full`.
//!
//! ## Fix
//! Free space: rotate logs, bound the cache (`max_size`). Then put temporary files on a file system
//! of their own, and stream large bodies (`proxy_request_buffering off`, `proxy_max_temp_file_size
//! 0`).

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::Text;
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_disk_full",
    family: Family::F11,
    title: "The gateway's disk is full",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { behind: &[(Sign::DiskFull, 0.94)], says, cure, ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See space and inodes of the gateway's paths", "df -h /var /tmp; df -i /var /tmp"),
        Fix::run("Find what grew", "du -xh --max-depth=2 /var | sort -h | tail -20"),
        Fix::new("Bound the cache, rotate the logs, and watch the free space"),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    Some(format!("no space is left on the disk to which {} writes bodies and logs", dossier.hop()))
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    Cure {
        before: vec![
            Step::look("See which disk is full, by bytes or by inodes, and of what", "df -h; df -i; sudo du -xh --max-depth=2 /var | sort -h | tail").at(at.clone()),
            Step::say("Copy logs that you still need before they are removed"),
        ],
        now: vec![
            Step::run("Make room: old journals and rotated logs first", "sudo journalctl --vacuum-size=200M; sudo find /var/log -name '*.gz' -mtime +7 -delete", Risk::Data).at(at.clone()),
            Step::look("A file that was removed while open keeps its space until its process opens its log anew", "sudo lsof +L1 | head").at(at.clone()),
        ],
        lasting: vec![
            Step::say("Rotate the logs by size, and let an alarm ring at 80 %"),
            advice::set(
                dossier,
                "Bound what the proxy itself writes there",
                &[(Hop::Nginx, "proxy_max_temp_file_size 256m;\nproxy_temp_path /var/cache/nginx/proxy_temp;")],
            ),
        ],
        verify: vec![Step::look("See free space and free inodes", "df -h; df -i").at(at)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, nginx};

    #[test]
    fn nginx_cannot_write() {
        let line = nginx(
            "pwritev() \"/var/lib/nginx/proxy/1\" failed (28: No space left on device) while reading upstream",
            "http://127.0.0.1:8000/",
        );
        check_report(
            &[("error.log", &line)],
            "gateway_disk_full: no space is left on the disk to which nginx writes bodies and logs",
        );
    }
}
