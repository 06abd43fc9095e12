//! All scenes, one file each. Adding one is its file and two lines here.

use crate::scene::Scene;

mod accept_backlog_full;
mod alpn_mismatch;
mod bad_chunk;
mod body_stall;
mod body_stall_large;
mod cl_and_te;
mod client_upload_rejected;
mod client_upload_rejected_silent;
mod connection_reset;
mod content_length_long;
mod content_length_short;
mod content_length_short_large;
mod control_char_in_header;
mod dns_nxdomain;
mod dns_nxdomain_empty;
mod dns_refused;
mod dns_servfail;
mod dns_timeout;
mod duplicate_content_length;
mod grpc_mismatch;
mod head_fin_race;
mod header_too_big;
mod header_too_big_fields;
mod healthy;
mod healthy_dns;
mod healthy_tls;
mod healthy_unix;
mod http1_to_http2;
mod http2_goaway;
mod http2_protocol_error;
mod http2_stream_reset;
mod http2_stream_reset_get;
mod http2_to_http1;
mod http_to_tls_port;
mod invalid_content_length;
mod invalid_header_line;
mod keepalive_race;
mod keepalive_race_get;
mod malformed_status_line;
mod no_route;
mod partial_head;
mod premature_close;
mod premature_close_at_once;
mod process_down;
mod proxy_loop;
mod request_send_timeout;
mod response_header_timeout;
mod response_truncated;
mod response_truncated_large;
mod slow_headers;
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
mod unix_backlog_full;
mod unix_socket_missing;
mod unix_socket_permission;
mod unix_socket_stale;
mod unknown_transfer_encoding;
mod upgrade_not_forwarded;
mod upstream_own_5xx;
mod wrong_protocol_service;

/// In the order of the families of causes; good upstreams first.
pub static SCENES: &[&Scene] = &[
    &healthy::SCENE,
    &healthy_tls::SCENE,
    &healthy_unix::SCENE,
    &healthy_dns::SCENE,
    &process_down::SCENE,
    &no_route::SCENE,
    &accept_backlog_full::SCENE,
    &premature_close::SCENE,
    &premature_close_at_once::SCENE,
    &connection_reset::SCENE,
    &keepalive_race::SCENE,
    &keepalive_race_get::SCENE,
    &head_fin_race::SCENE,
    &response_truncated::SCENE,
    &response_truncated_large::SCENE,
    &client_upload_rejected::SCENE,
    &client_upload_rejected_silent::SCENE,
    &response_header_timeout::SCENE,
    &slow_headers::SCENE,
    &body_stall::SCENE,
    &body_stall_large::SCENE,
    &request_send_timeout::SCENE,
    &total_deadline_exceeded::SCENE,
    &dns_nxdomain::SCENE,
    &dns_nxdomain_empty::SCENE,
    &dns_servfail::SCENE,
    &dns_refused::SCENE,
    &dns_timeout::SCENE,
    &tls_cert_expired::SCENE,
    &tls_clock_skew::SCENE,
    &tls_self_signed::SCENE,
    &tls_unknown_ca::SCENE,
    &tls_incomplete_chain::SCENE,
    &tls_wrong_hostname::SCENE,
    &tls_ip_without_san::SCENE,
    &tls_client_cert_required::SCENE,
    &tls_client_cert_rejected::SCENE,
    &tls_version_mismatch::SCENE,
    &tls_cipher_mismatch::SCENE,
    &tls_sni_rejected::SCENE,
    &tls_to_plain_port::SCENE,
    &tls_handshake_timeout::SCENE,
    &tls_peer_closed::SCENE,
    &http_to_tls_port::SCENE,
    &http1_to_http2::SCENE,
    &http2_to_http1::SCENE,
    &alpn_mismatch::SCENE,
    &http2_stream_reset::SCENE,
    &http2_stream_reset_get::SCENE,
    &http2_goaway::SCENE,
    &http2_protocol_error::SCENE,
    &wrong_protocol_service::SCENE,
    &unexpected_upgrade::SCENE,
    &grpc_mismatch::SCENE,
    &partial_head::SCENE,
    &malformed_status_line::SCENE,
    &invalid_header_line::SCENE,
    &control_char_in_header::SCENE,
    &duplicate_content_length::SCENE,
    &invalid_content_length::SCENE,
    &cl_and_te::SCENE,
    &unknown_transfer_encoding::SCENE,
    &upgrade_not_forwarded::SCENE,
    &header_too_big::SCENE,
    &header_too_big_fields::SCENE,
    &too_many_interim_responses::SCENE,
    &bad_chunk::SCENE,
    &truncated_chunk::SCENE,
    &content_length_short::SCENE,
    &content_length_short_large::SCENE,
    &content_length_long::SCENE,
    &unix_socket_missing::SCENE,
    &unix_socket_stale::SCENE,
    &unix_backlog_full::SCENE,
    &unix_socket_permission::SCENE,
    &proxy_loop::SCENE,
    &upstream_own_5xx::SCENE,
];

/// Finds a scene by its id.
#[must_use]
pub fn scene(id: &str) -> Option<&'static Scene> {
    SCENES.iter().copied().find(|it| it.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_scenes_share_an_id() {
        for (at, scene) in SCENES.iter().enumerate() {
            let same = SCENES[..at].iter().find(|it| it.id == scene.id);
            assert!(same.is_none(), "{}", scene.id);
        }
    }

    #[test]
    fn a_fault_scene_names_its_own_cause_at_the_end() {
        for scene in SCENES {
            let last = scene.expects.last().and_then(|it| it.cause);
            assert!(last.is_none_or(|it| it == scene.cause()), "{}", scene.id);
        }
    }
}
