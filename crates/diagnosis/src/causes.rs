//! The catalogue: one file a cause. Adding one is its file, a `mod` line and an `entry!`.

use crate::catalogue::Entry;

mod dns_nxdomain;
mod dns_partial_answer;
mod dns_refused;
mod dns_search_domain;
mod dns_servfail;
mod dns_stale_ip;
mod dns_timeout;
mod keepalive_race;
mod process_down;

macro_rules! entry {
    ($name:ident) => {
        Entry {
            cause: &$name::CAUSE,
            source: include_str!(concat!("causes/", stringify!($name), ".rs")),
        }
    };
}

/// Every cause that we know, by family. Ties go to the earlier one.
pub static CATALOGUE: &[Entry] = &[
    // F1
    entry!(process_down),
    // F4
    entry!(keepalive_race),
    // F6
    entry!(dns_nxdomain),
    entry!(dns_servfail),
    entry!(dns_refused),
    entry!(dns_timeout),
    entry!(dns_search_domain),
    entry!(dns_stale_ip),
    entry!(dns_partial_answer),
];
