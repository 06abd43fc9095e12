//! The catalogue: one file a cause. Adding one is its file, a `mod` line and an `entry!`.

use crate::catalogue::Entry;

mod accept_backlog_full;
mod alpn_mismatch;
mod apigw_integration_timeout;
mod apigw_malformed_lambda;
mod app_concurrency_limit;
mod app_disk_full;
mod app_fd_exhausted;
mod apparmor_denied;
mod auth_denied;
mod bad_chunk;
mod body_stall;
mod bound_to_loopback;
mod broker_down;
mod cache_down;
mod circuit_open;
mod cl_and_te;
mod client_body_too_large;
mod client_closed;
mod client_header_too_large;
mod client_proxy_misconfig;
mod client_slow;
mod client_tls;
mod client_upload_rejected;
mod clock_jump;
mod connect_timeout_too_short;
mod connection_reset;
mod conntrack_table_full;
mod content_coding_error;
mod content_length_long;
mod content_length_short;
mod control_char_in_header;
mod cpu_throttled;
mod crash_at_start;
mod crash_loop;
mod db_down;
mod db_failover;
mod db_pool_exhausted;
mod db_slow_or_locked;
mod db_too_many_clients;
mod dependency_dns;
mod deploy_in_progress;
mod discovery_stale;
mod dns_nxdomain;
mod dns_partial_answer;
mod dns_refused;
mod dns_search_domain;
mod dns_servfail;
mod dns_stale_ip;
mod dns_timeout;
mod docker_restart;
mod duplicate_content_length;
mod egress_policy_denied;
mod endpoints_empty;
mod ephemeral_ports_exhausted;
mod external_api_slow;
mod fastcgi_mismatch;
mod firewall_drop;
mod firewall_reject;
mod gateway_bug;
mod gateway_config_error;
mod gateway_disk_full;
mod gateway_draining;
mod gateway_fd_exhausted;
mod gateway_memory;
mod gateway_queue_timeout;
mod gateway_reload_cut;
mod gateway_worker_crash;
mod gc_or_loop_pause;
mod grpc_mismatch;
mod head_fin_race;
mod header_too_big;
mod health_check_flapping;
mod health_check_timeout;
mod health_check_wrong_path;
mod health_check_wrong_port_or_scheme;
mod host_down;
mod host_reboot;
mod http1_to_http2;
mod http2_goaway;
mod http2_protocol_error;
mod http2_stream_reset;
mod http2_to_http1;
mod http_to_tls_port;
mod idle_drop_by_middlebox;
mod invalid_content_length;
mod invalid_header_line;
mod ip_family_mismatch;
mod k8s_evicted;
mod k8s_image_pull;
mod k8s_liveness_kill;
mod k8s_node_lost;
mod k8s_readiness_failing;
mod k8s_selector_mismatch;
mod k8s_target_port_mismatch;
mod k8s_unschedulable;
mod k8s_volume;
mod keepalive_race;
mod lambda_limits;
mod lb_deregistration;
mod lb_idle_mismatch;
mod lb_security_group;
mod license_or_quota;
mod load_shed;
mod localhost_in_container;
mod long_request_needs_async;
mod malformed_request;
mod malformed_status_line;
mod migration_missing;
mod mtls_policy_mismatch;
mod mtu_blackhole;
mod no_live_upstreams;
mod no_response_from_app;
mod no_route;
mod no_route_matched;
mod partial_head;
mod port_in_use;
mod premature_close;
mod process_down;
mod process_hung;
mod proxy_connection_table_full;
mod proxy_loop;
mod proxy_protocol_mismatch;
mod rate_limited;
mod read_only_fs;
mod request_header_too_big_for_upstream;
mod request_send_timeout;
mod response_body_too_large;
mod response_header_timeout;
mod response_truncated;
mod retry_storm;
mod runtime_heap_exhausted;
mod secret_or_config_missing;
mod selinux_denied;
mod shared_worker_path;
mod sidecar_order;
mod slow_headers;
mod startup_not_ready;
mod sticky_target_gone;
mod timeout_ladder_inverted;
mod tls_cert_expired;
mod tls_cipher_mismatch;
mod tls_client_cert_rejected;
mod tls_client_cert_required;
mod tls_clock_skew;
mod tls_handshake_timeout;
mod tls_incomplete_chain;
mod tls_ip_without_san;
mod tls_peer_closed;
mod tls_self_signed;
mod tls_sni_rejected;
mod tls_to_plain_port;
mod tls_unknown_ca;
mod tls_version_mismatch;
mod tls_wrong_hostname;
mod too_many_interim_responses;
mod total_deadline_exceeded;
mod truncated_chunk;
mod unexpected_upgrade;
mod unhandled_exception;
mod unix_backlog_full;
mod unix_socket_missing;
mod unix_socket_permission;
mod unix_socket_stale;
mod unknown_transfer_encoding;
mod upgrade_not_forwarded;
mod upstream_connection_limit;
mod upstream_own_5xx;
mod uwsgi_mismatch;
mod websocket_idle_timeout;
mod worker_crashed;
mod worker_oom_killed_cgroup;
mod worker_oom_killed_global;
mod worker_pool_exhausted;
mod worker_recycled;
mod worker_timeout_killed;
mod wrong_network;
mod wrong_port;
mod wrong_protocol_service;
mod wrong_route_or_path;

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
    entry!(gateway_queue_timeout),
    entry!(upstream_connection_limit),
    entry!(cpu_throttled),
    entry!(gc_or_loop_pause),
    entry!(retry_storm),
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
    entry!(conntrack_table_full),
    entry!(connect_timeout_too_short),
    // F4
    entry!(connection_reset),
    entry!(premature_close),
    entry!(keepalive_race),
    entry!(head_fin_race),
    entry!(idle_drop_by_middlebox),
    entry!(response_truncated),
    entry!(http2_goaway),
    entry!(http2_stream_reset),
    entry!(client_upload_rejected),
    // F5
    entry!(response_header_timeout),
    entry!(slow_headers),
    entry!(body_stall),
    entry!(request_send_timeout),
    entry!(total_deadline_exceeded),
    entry!(timeout_ladder_inverted),
    entry!(long_request_needs_async),
    entry!(websocket_idle_timeout),
    // F6
    entry!(dns_nxdomain),
    entry!(dns_servfail),
    entry!(dns_refused),
    entry!(dns_timeout),
    entry!(dns_search_domain),
    entry!(dns_stale_ip),
    entry!(dns_partial_answer),
    // F7
    entry!(tls_cert_expired),
    entry!(tls_self_signed),
    entry!(tls_unknown_ca),
    entry!(tls_incomplete_chain),
    entry!(tls_wrong_hostname),
    entry!(tls_ip_without_san),
    entry!(tls_version_mismatch),
    entry!(tls_cipher_mismatch),
    entry!(tls_sni_rejected),
    entry!(tls_client_cert_required),
    entry!(tls_client_cert_rejected),
    entry!(tls_to_plain_port),
    entry!(tls_handshake_timeout),
    entry!(tls_peer_closed),
    entry!(tls_clock_skew),
    entry!(mtls_policy_mismatch),
    // F8
    entry!(http_to_tls_port),
    entry!(http1_to_http2),
    entry!(http2_to_http1),
    entry!(alpn_mismatch),
    entry!(grpc_mismatch),
    entry!(fastcgi_mismatch),
    entry!(uwsgi_mismatch),
    entry!(proxy_protocol_mismatch),
    entry!(unexpected_upgrade),
    entry!(upgrade_not_forwarded),
    entry!(wrong_protocol_service),
    // F9
    entry!(malformed_status_line),
    entry!(invalid_header_line),
    entry!(control_char_in_header),
    entry!(header_too_big),
    entry!(http2_protocol_error),
    entry!(duplicate_content_length),
    entry!(invalid_content_length),
    entry!(cl_and_te),
    entry!(unknown_transfer_encoding),
    entry!(bad_chunk),
    entry!(truncated_chunk),
    entry!(content_length_short),
    entry!(content_length_long),
    entry!(partial_head),
    entry!(response_body_too_large),
    entry!(content_coding_error),
    entry!(too_many_interim_responses),
    entry!(request_header_too_big_for_upstream),
    // F10
    entry!(unix_socket_missing),
    entry!(unix_socket_stale),
    entry!(unix_socket_permission),
    entry!(selinux_denied),
    entry!(apparmor_denied),
    entry!(shared_worker_path),
    // F11
    entry!(gateway_fd_exhausted),
    entry!(ephemeral_ports_exhausted),
    entry!(proxy_connection_table_full),
    entry!(gateway_disk_full),
    entry!(gateway_memory),
    entry!(gateway_worker_crash),
    entry!(gateway_reload_cut),
    entry!(gateway_config_error),
    entry!(proxy_loop),
    entry!(gateway_draining),
    entry!(gateway_bug),
    // F12
    entry!(no_live_upstreams),
    entry!(health_check_wrong_path),
    entry!(health_check_wrong_port_or_scheme),
    entry!(health_check_timeout),
    entry!(health_check_flapping),
    entry!(circuit_open),
    entry!(endpoints_empty),
    entry!(discovery_stale),
    entry!(sticky_target_gone),
    entry!(wrong_route_or_path),
    // F13
    entry!(db_down),
    entry!(db_pool_exhausted),
    entry!(db_too_many_clients),
    entry!(db_slow_or_locked),
    entry!(db_failover),
    entry!(cache_down),
    entry!(broker_down),
    entry!(external_api_slow),
    entry!(dependency_dns),
    entry!(app_disk_full),
    entry!(app_fd_exhausted),
    entry!(read_only_fs),
    entry!(secret_or_config_missing),
    entry!(migration_missing),
    entry!(license_or_quota),
    entry!(unhandled_exception),
    entry!(no_response_from_app),
    // F14
    entry!(k8s_readiness_failing),
    entry!(k8s_liveness_kill),
    entry!(k8s_evicted),
    entry!(k8s_unschedulable),
    entry!(k8s_image_pull),
    entry!(k8s_node_lost),
    entry!(k8s_volume),
    entry!(k8s_target_port_mismatch),
    entry!(k8s_selector_mismatch),
    entry!(sidecar_order),
    entry!(lb_idle_mismatch),
    entry!(lb_security_group),
    entry!(lb_deregistration),
    entry!(lambda_limits),
    entry!(apigw_integration_timeout),
    entry!(apigw_malformed_lambda),
    entry!(docker_restart),
    entry!(host_reboot),
    entry!(clock_jump),
    // F15
    entry!(client_closed),
    entry!(client_slow),
    entry!(client_header_too_large),
    entry!(client_body_too_large),
    entry!(client_tls),
    entry!(auth_denied),
    entry!(rate_limited),
    entry!(upstream_own_5xx),
    entry!(client_proxy_misconfig),
    entry!(no_route_matched),
    entry!(malformed_request),
];

#[cfg(test)]
mod tests {
    use super::CATALOGUE;
    use crate::Case;
    use crate::report::{Cure, Effect, Step};
    use crate::testing::{CASES, HOSTILE, each_dossier, exchange};
    use std::collections::BTreeSet;

    const HEADINGS: [&str; 4] =
        ["## What you see", "## Why it happens", "## How to tell", "## Fix"];

    /// What no page and no fix may tell anybody to do.
    const FORBIDDEN: [&str; 18] = [
        "chmod 777",
        "chmod 0777",
        "chmod 666",
        "0777",
        "setenforce 0",
        "SELINUX=disabled",
        "SELINUX=permissive",
        "aa-complain",
        "aa-disable",
        "verify = false",
        "verify=false",
        "ssl_verify off",
        "verify none",
        "InsecureSkipVerify",
        "--insecure",
        "curl -k ",
        "user root",
        "User=root",
    ];

    #[test]
    fn every_file_is_in_the_catalogue_and_the_catalogue_is_these_files() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/causes");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|it| it.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        let ids: BTreeSet<String> = CATALOGUE.iter().map(|it| it.cause.id.to_owned()).collect();
        assert_eq!(ids, files);
        assert_eq!(ids.len(), CATALOGUE.len(), "an id occurs twice");
    }

    #[test]
    fn every_id_is_the_name_of_its_own_file() {
        for entry in CATALOGUE {
            let id = entry.cause.id;
            assert!(entry.source.contains(&format!("id: \"{id}\"")), "{id} is of another file");
            assert!(id.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{id}");
        }
    }

    #[test]
    fn the_catalogue_goes_by_family() {
        assert!(CATALOGUE.is_sorted_by_key(|it| it.cause.family));
    }

    #[test]
    fn every_page_opens_with_one_sentence_and_has_its_four_parts() {
        for entry in CATALOGUE {
            let (id, page) = (entry.cause.id, entry.page());
            let opening = page.split("\n\n").next().unwrap().trim();
            assert!(opening.ends_with('.') && !opening.starts_with('#'), "{id}: {opening}");
            assert!(!opening.contains(". "), "{id} opens with more than a sentence: {opening}");
            let headings: Vec<&str> = page.lines().filter(|it| it.starts_with('#')).collect();
            assert_eq!(headings, HEADINGS, "{id}");
            for part in page.split("## ").skip(1) {
                let text = part.split_once('\n').map_or("", |(_, text)| text.trim());
                assert!(text.len() > 20, "{id} has nothing under {part}");
            }
        }
    }

    #[test]
    fn a_title_is_a_headline() {
        for entry in CATALOGUE {
            let (id, title) = (entry.cause.id, entry.cause.title);
            assert!(
                !title.is_empty() && !title.ends_with('.') && title.len() <= 80,
                "{id}: {title}"
            );
        }
    }

    #[test]
    fn no_page_tells_anybody_to_switch_off_what_protects_them() {
        for entry in CATALOGUE {
            let page = entry.page();
            let advice = page.split("## Fix").nth(1).unwrap_or_default();
            harmless(entry.cause.id, &advice.replace('\n', " "));
        }
    }

    #[test]
    fn no_fix_tells_anybody_to_switch_off_what_protects_them() {
        for line in CASES {
            let exchange = exchange(line);
            let Some(case) = Case::of(&exchange) else { continue };
            for entry in CATALOGUE {
                let (id, fixes) = (entry.cause.id, (entry.cause.fix)(&case));
                // What is asked for is worded for cases in which the cause speaks.
                let speaks = (entry.cause.look)(&case).is_some();
                assert!(!speaks || (1..=4).contains(&fixes.len()), "{id}: {} fixes", fixes.len());
                for fix in fixes {
                    harmless(id, &fix.text);
                    harmless(id, fix.run.as_deref().unwrap_or_default());
                    assert!(!fix.text.ends_with('.'), "{id}: {}", fix.text);
                }
            }
        }
    }

    #[test]
    fn a_cause_that_no_exchange_shows_says_what_to_do_all_the_same() {
        let exchanges: Vec<_> = CASES.iter().map(|line| exchange(line)).collect();
        let cases: Vec<Case> = exchanges.iter().filter_map(Case::of).collect();
        for entry in CATALOGUE {
            let speaks = cases.iter().any(|case| (entry.cause.look)(case).is_some());
            let fixes = cases.iter().map(|case| (entry.cause.fix)(case).len());
            if !speaks {
                assert!(fixes.clone().all(|it| (1..=4).contains(&it)), "{}", entry.cause.id);
            }
        }
    }

    #[test]
    fn no_cure_tells_anybody_to_switch_off_what_protects_them() {
        each_dossier(|dossier| {
            for entry in CATALOGUE {
                let (id, cure) = (entry.cause.id, (entry.cause.text.cure)(dossier));
                for part in [&cure.before, &cure.now, &cure.lasting, &cure.verify] {
                    assert!(part.len() <= 3, "{id}: {} steps", part.len());
                    part.iter().for_each(|step| sound(id, step));
                }
                let acts = cure.now.iter().chain(&cure.lasting).count();
                assert!(cure == Cure::default() || acts > 0, "{id} has nothing to do");
            }
        });
    }

    /// It harms nothing, is a sentence without a full stop, and hides only what it says it hides.
    #[track_caller]
    fn sound(id: &str, step: &Step) {
        let run = step.run.as_deref().unwrap_or_default();
        let diff = step.diff.as_deref().unwrap_or_default();
        for advice in [step.text.as_str(), run, diff] {
            harmless(id, advice);
        }
        assert!(!run.contains(HOSTILE), "{id} runs what a log says: {run}");
        assert!(!step.text.ends_with('.') && !step.text.is_empty(), "{id}: {}", step.text);
        let longer = step.text.to_lowercase();
        let waits =
            ["timeout", "harakiri", "limit for tunnels"].iter().any(|it| longer.contains(it));
        if longer.contains("raise") && waits && !longer.contains("keep-alive") {
            assert_eq!(step.effect, Effect::Hides, "{id}: {}", step.text);
        }
    }

    #[test]
    fn a_statement_is_one_sentence_without_a_full_stop() {
        each_dossier(|dossier| {
            for entry in CATALOGUE {
                let Some(says) = (entry.cause.text.says)(dossier) else { continue };
                let id = entry.cause.id;
                assert!(!says.is_empty() && !says.ends_with('.'), "{id}: {says}");
                assert!(!says.contains('\n') && !says.contains("  "), "{id}: {says}");
                assert!(says.len() <= 500, "{id}: {says}");
            }
        });
    }

    #[track_caller]
    fn harmless(id: &str, advice: &str) {
        for word in FORBIDDEN {
            assert!(!advice.contains(word), "{id} advises {word}: {advice}");
        }
        // A longer wait may be right, but only for who knows what it hides. Keep-alive is no wait.
        let lower = advice.to_lowercase().replace("timeout-keep-alive", "");
        if lower.contains("raise") && lower.contains("timeout") {
            assert!(lower.contains("hide"), "{id} does not say what it hides: {advice}");
        }
    }
}
