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

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::look::Fix;
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
    text: Text { behind: &[(Sign::DiskFull, 0.94)], ..Text::NONE },
};

fn fix(_: &Case) -> Vec<Fix> {
    vec![
        Fix::run("See space and inodes of the gateway's paths", "df -h /var /tmp; df -i /var /tmp"),
        Fix::run("Find what grew", "du -xh --max-depth=2 /var | sort -h | tail -20"),
        Fix::new("Bound the cache, rotate the logs, and watch the free space"),
    ]
}
