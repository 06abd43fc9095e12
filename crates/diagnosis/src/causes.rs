//! The catalogue: one file a cause. Adding one is its file, a `mod` line and an `entry!`.

use crate::catalogue::Entry;

mod bad_chunk;
mod cl_and_te;
mod client_closed;
mod client_header_too_large;
mod client_slow;
mod content_length_long;
mod content_length_short;
mod control_char_in_header;
mod dns_nxdomain;
mod dns_partial_answer;
mod dns_refused;
mod dns_search_domain;
mod dns_servfail;
mod dns_stale_ip;
mod dns_timeout;
mod duplicate_content_length;
mod ephemeral_ports_exhausted;
mod fastcgi_mismatch;
mod gateway_bug;
mod gateway_config_error;
mod gateway_draining;
mod gateway_fd_exhausted;
mod gateway_memory;
mod header_too_big;
mod http1_to_http2;
mod http_to_tls_port;
mod invalid_content_length;
mod invalid_header_line;
mod keepalive_race;
mod malformed_request;
mod malformed_status_line;
mod mtls_policy_mismatch;
mod no_route_matched;
mod partial_head;
mod process_down;
mod proxy_loop;
mod proxy_protocol_mismatch;
mod request_header_too_big_for_upstream;
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
mod truncated_chunk;
mod unexpected_upgrade;
mod unknown_transfer_encoding;
mod upstream_own_5xx;
mod uwsgi_mismatch;
mod wrong_protocol_service;

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
    entry!(fastcgi_mismatch),
    entry!(uwsgi_mismatch),
    entry!(proxy_protocol_mismatch),
    entry!(unexpected_upgrade),
    entry!(wrong_protocol_service),
    // F9
    entry!(malformed_status_line),
    entry!(invalid_header_line),
    entry!(control_char_in_header),
    entry!(header_too_big),
    entry!(duplicate_content_length),
    entry!(invalid_content_length),
    entry!(cl_and_te),
    entry!(unknown_transfer_encoding),
    entry!(bad_chunk),
    entry!(truncated_chunk),
    entry!(content_length_short),
    entry!(content_length_long),
    entry!(partial_head),
    entry!(too_many_interim_responses),
    entry!(request_header_too_big_for_upstream),
    // F11
    entry!(gateway_fd_exhausted),
    entry!(ephemeral_ports_exhausted),
    entry!(gateway_memory),
    entry!(gateway_config_error),
    entry!(proxy_loop),
    entry!(gateway_draining),
    entry!(gateway_bug),
    // F15
    entry!(client_closed),
    entry!(client_slow),
    entry!(client_header_too_large),
    entry!(upstream_own_5xx),
    entry!(no_route_matched),
    entry!(malformed_request),
];

#[cfg(test)]
mod tests {
    use super::CATALOGUE;
    use std::collections::HashSet;

    #[test]
    fn every_cause_has_a_page_of_the_same_shape() {
        for entry in CATALOGUE {
            let (id, page) = (entry.cause.id, entry.page());
            let headings: Vec<&str> = page.lines().filter(|it| it.starts_with('#')).collect();
            let expected = ["## What you see", "## Why it happens", "## How to tell", "## Fix"];
            assert_eq!(headings, expected, "{id}");
            let first = page.split("\n\n").next().unwrap_or_default();
            assert!(first.ends_with('.'), "{id}: {first}");
            assert!(!entry.cause.title.ends_with('.'), "{id}");
        }
    }

    #[test]
    fn an_id_is_the_name_of_its_file_and_stands_once() {
        let mut seen = HashSet::new();
        for entry in CATALOGUE {
            let id = entry.cause.id;
            assert!(seen.insert(id), "{id} is there twice");
            assert!(entry.source.contains(&format!("id: \"{id}\"")), "{id}");
        }
    }
}
