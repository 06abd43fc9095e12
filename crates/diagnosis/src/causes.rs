//! The catalogue: one file a cause. Adding one is its file, a `mod` line and an `entry!`.

use crate::catalogue::Entry;

mod accept_backlog_full;
mod app_concurrency_limit;
mod apparmor_denied;
mod body_stall;
mod bound_to_loopback;
mod client_upload_rejected;
mod connect_timeout_too_short;
mod connection_reset;
mod cpu_throttled;
mod crash_at_start;
mod crash_loop;
mod deploy_in_progress;
mod egress_policy_denied;
mod firewall_drop;
mod firewall_reject;
mod gc_or_loop_pause;
mod head_fin_race;
mod host_down;
mod idle_drop_by_middlebox;
mod ip_family_mismatch;
mod keepalive_race;
mod load_shed;
mod localhost_in_container;
mod long_request_needs_async;
mod mtu_blackhole;
mod no_route;
mod port_in_use;
mod premature_close;
mod process_down;
mod process_hung;
mod request_send_timeout;
mod response_header_timeout;
mod response_truncated;
mod runtime_heap_exhausted;
mod selinux_denied;
mod slow_headers;
mod startup_not_ready;
mod timeout_ladder_inverted;
mod total_deadline_exceeded;
mod unix_backlog_full;
mod unix_socket_missing;
mod unix_socket_permission;
mod unix_socket_stale;
mod upstream_connection_limit;
mod worker_crashed;
mod worker_oom_killed_cgroup;
mod worker_oom_killed_global;
mod worker_pool_exhausted;
mod worker_recycled;
mod worker_timeout_killed;
mod wrong_network;
mod wrong_port;

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
    entry!(crash_at_start),
    entry!(crash_loop),
    entry!(port_in_use),
    entry!(worker_crashed),
    entry!(worker_oom_killed_cgroup),
    entry!(worker_oom_killed_global),
    entry!(runtime_heap_exhausted),
    entry!(worker_timeout_killed),
    entry!(worker_recycled),
    entry!(startup_not_ready),
    entry!(deploy_in_progress),
    entry!(process_hung),
    // F2
    entry!(accept_backlog_full),
    entry!(unix_backlog_full),
    entry!(worker_pool_exhausted),
    entry!(app_concurrency_limit),
    entry!(upstream_connection_limit),
    entry!(cpu_throttled),
    entry!(gc_or_loop_pause),
    entry!(load_shed),
    // F3
    entry!(wrong_port),
    entry!(bound_to_loopback),
    entry!(localhost_in_container),
    entry!(wrong_network),
    entry!(ip_family_mismatch),
    entry!(no_route),
    entry!(host_down),
    entry!(firewall_drop),
    entry!(firewall_reject),
    entry!(egress_policy_denied),
    entry!(mtu_blackhole),
    entry!(connect_timeout_too_short),
    // F4
    entry!(connection_reset),
    entry!(premature_close),
    entry!(keepalive_race),
    entry!(head_fin_race),
    entry!(idle_drop_by_middlebox),
    entry!(response_truncated),
    entry!(client_upload_rejected),
    // F5
    entry!(response_header_timeout),
    entry!(slow_headers),
    entry!(body_stall),
    entry!(request_send_timeout),
    entry!(total_deadline_exceeded),
    entry!(timeout_ladder_inverted),
    entry!(long_request_needs_async),
    // F10
    entry!(unix_socket_missing),
    entry!(unix_socket_stale),
    entry!(unix_socket_permission),
    entry!(selinux_denied),
    entry!(apparmor_denied),
];
