//! What works, for the table in the README. `cargo xtask docs` fails where a row names a test that
//! does not exist.

pub(crate) struct Feature {
    /// Rows of one area stand together.
    pub(crate) area: &'static str,
    pub(crate) works: &'static str,
    /// The name of a test function, in Rust or Python.
    pub(crate) test: &'static str,
}

const fn row(area: &'static str, works: &'static str, test: &'static str) -> Feature {
    Feature { area, works, test }
}

pub(crate) const FEATURES: &[Feature] = &[
    row(
        "Passing on",
        "GET and POST with JSON, to Flask under Gunicorn (sync and gthread) and FastAPI under \
         Uvicorn, from requests, httpx and httpx2",
        "test_get_and_post_json_pass_through",
    ),
    row("Passing on", "TLS from clients", "test_clients_speak_tls_to_the_gateway"),
    row(
        "Passing on",
        "HTTP/2 from clients, by ALPN or by its preface",
        "requests_of_one_connection_are_answered_each",
    ),
    row(
        "Passing on",
        "HTTP/2 to targets, by ALPN or `h2c://`: shared connections within both sides' limits",
        "clients_of_both_versions_share_one_connection",
    ),
    row(
        "Passing on",
        "HTTP/3 from clients where `listen.http3` is on, told by `Alt-Svc`; clients may change \
         their address",
        "requests_by_quic_are_answered_each",
    ),
    row(
        "Passing on",
        "WebSocket and other upgrades of HTTP/1.1, with an idle limit of their own",
        "both_sides_talk_until_both_have_ended",
    ),
    row(
        "Passing on",
        "WebSocket over HTTP/2 (RFC 8441), from clients and to targets",
        "a_websocket_over_http2_talks_until_both_have_ended",
    ),
    row("Passing on", "`Expect: 100-continue`", "a_client_that_waits_is_told_to_send"),
    row(
        "Passing on",
        "several certificates by name, and certificates of callers",
        "each_name_has_its_certificate",
    ),
    row(
        "Passing on",
        "the lowest version of TLS, the cipher suites and their order, tickets on or off",
        "suites_that_were_not_named_are_refused_and_the_first_named_is_taken",
    ),
    row(
        "Passing on",
        "to the servers that SRV records list, by priority and weight",
        "srv_records_say_which_servers_and_ports_and_how_often",
    ),
    row(
        "Passing on",
        "an OCSP answer stapled to its certificate",
        "an_ocsp_answer_is_stapled_to_its_certificate",
    ),
    row(
        "Passing on",
        "the PROXY protocol: versions 1 and 2 from trusted proxies, version 2 to targets",
        "a_trusted_proxy_says_who_calls",
    ),
    row(
        "Passing on",
        "gRPC, with streams of either side or both, to the end within the caller's deadline",
        "every_kind_of_call_passes_over_http2_to_the_server",
    ),
    row(
        "Passing on",
        "gRPC-Web of browsers, in bytes and in base64, translated to gRPC",
        "browsers_speak_grpc_web_in_bytes_and_in_text",
    ),
    row(
        "Passing on",
        "calls of grpcio to a server of grpcio: metadata, trailers, statuses and details",
        "test_metadata_passes_both_ways_and_trailers_back",
    ),
    row(
        "Passing on",
        "WebSockets of Chromium over HTTP/2, and its pages over HTTP/3",
        "test_a_page_and_its_websocket_share_one_connection_of_http2",
    ),
    row(
        "Passing on",
        "5 MB up and down, unchanged",
        "test_five_megabytes_arrive_whole_in_both_directions",
    ),
    row(
        "Passing on",
        "length, chunked and close-delimited bodies, HEAD, 204 and 304",
        "every_framing_of_an_answer_arrives_whole",
    ),
    row("Passing on", "trailers, both ways", "trailers_reach_a_client_that_asks_for_them"),
    row(
        "Passing on",
        "server-sent events, each as it comes",
        "test_events_arrive_piece_by_piece_with_httpx",
    ),
    row(
        "Passing on",
        "an answer that comes while the upload still runs",
        "an_answer_comes_while_the_upload_goes_on",
    ),
    row(
        "Passing on",
        "an app's own 500 and 503 unchanged, marked as the app's in `Proxy-Status`",
        "test_an_error_of_the_app_itself_passes_unchanged",
    ),
    row(
        "Routing",
        "by host, exact path, path prefix and method; redirects and fixed answers",
        "the_most_specific_route_takes_it",
    ),
    row(
        "Routing",
        "by wildcard host, `{name}` segments, expressions, headers, query and cookies",
        "open_segments_come_by_their_literal_beginning",
    ),
    row(
        "Routing",
        "divided between upstreams by weight, with sticky callers; rewritten paths",
        "requests_are_divided_by_weight_and_callers_stay",
    ),
    row("Routing", "plain callers sent to `https`", "plain_callers_are_sent_to_https"),
    row(
        "Routing",
        "`goodgate route` says which route takes a request, and why each other one does not",
        "a_request_is_told_its_route_and_why",
    ),
    row(
        "Routing",
        "one normal form of a path for matching and for sending on",
        "paths_are_matched_and_sent_on_in_one_form",
    ),
    row(
        "Refusing",
        "requests that two servers could read in two ways, before anything is sent on",
        "two_ways_to_end_a_body_are_refused",
    ),
    row(
        "Refusing",
        "more than 350 ways to hide a request in another one, before upstreams that read by the \
         book and before ones that read loosely",
        "a_length_beside_a_coding_hides_no_request",
    ),
    row(
        "Refusing",
        "HTTP/2 heads that would become other lines of HTTP/1",
        "no_field_makes_a_line_of_its_own",
    ),
    row(
        "Refusing",
        "answers that end in two ways; what an upstream says beyond its answer reaches nobody",
        "what_follows_an_answer_is_nobodys",
    ),
    row(
        "Refusing",
        "floods of HTTP/2 frames: bounded, counted, and the connection ended",
        "requests_that_are_taken_back_at_once_end_the_connection",
    ),
    row(
        "Refusing",
        "clients and targets that break HTTP/2: named, within the same memory, others served meanwhile",
        "test_a_flood_ends_its_connection_and_no_other",
    ),
    row(
        "Preventing",
        "no failed request while Envoy drains its HTTP/2 connections",
        "test_no_request_fails_while_envoy_drains",
    ),
    row(
        "Preventing",
        "no 502 from Gunicorn's idle limit, for GET and POST",
        "test_requests_around_the_keep_alive_limit_of_gunicorn_never_fail",
    ),
    row(
        "Preventing",
        "no POST lost to an idle limit that is nobody's default: it is learned from the first closes",
        "no_post_is_lost_around_an_idle_limit_once_a_connection_was_closed",
    ),
    row(
        "Preventing",
        "no POST lost to a target that closes after a number of requests, once that is learned",
        "no_request_is_lost_to_a_target_that_closes_after_forty_once_that_is_learned",
    ),
    row(
        "Preventing",
        "connections are still used again where workers are recycled all the time",
        "connections_are_used_again_however_many_were_recycled",
    ),
    row(
        "Preventing",
        "what may be repeated is, after a reset, a 503 or an answer that breaks off; the record says what \
         was prevented",
        "what_may_be_repeated_is_and_its_failure_is_counted_as_prevented",
    ),
    row(
        "Preventing",
        "a POST is never sent twice unless its caller or its target allows it",
        "what_may_not_be_repeated_is_never_sent_twice",
    ),
    row(
        "Preventing",
        "a storm of failures stays within a budget",
        "a_storm_stays_within_the_budget",
    ),
    row(
        "Preventing",
        "a target that fails is taken out, and comes back by a trial",
        "a_target_that_fails_is_taken_out_and_comes_back_by_a_trial",
    ),
    row(
        "Preventing",
        "requests wait while their only target restarts",
        "requests_wait_for_the_only_target_while_it_restarts",
    ),
    row(
        "Preventing",
        "no failed request while the gateway reloads, under load",
        "reloads_lose_no_request",
    ),
    row(
        "Preventing",
        "no failed request while another process takes over, under load, also with other workers",
        "restarts_with_another_number_of_workers_lose_no_request",
    ),
    row(
        "Preventing",
        "an app that comes back is used again at once",
        "test_a_restarted_app_is_served_again",
    ),
    row(
        "Preventing",
        "targets by turn, by what they have in hand, by latency, by a key or by chance, with weights",
        "each_balance_spreads_requests_in_its_way",
    ),
    row(
        "Preventing",
        "a key keeps its target where another one goes, and spills over where it is asked for too much",
        "the_keys_of_a_removed_target_move_and_no_others",
    ),
    row(
        "Preventing",
        "callers stay with their target by a cookie, and move when it dies",
        "a_cookie_keeps_a_caller_with_its_target_until_that_dies",
    ),
    row(
        "Preventing",
        "requests beyond `concurrency.requests` wait in a queue, counted over all cores; those beyond it get \
         503 with `Retry-After`",
        "requests_beyond_the_limit_wait_and_those_beyond_the_queue_are_refused",
    ),
    row(
        "Preventing",
        "an answer that was kept instead of an error, where a route allows it (`stale`): marked, never \
         of one caller to another",
        "an_answer_that_was_kept_stands_in_for_each_failure",
    ),
    row(
        "Preventing",
        "targets are asked whether they are well: by HTTP/1.1 and HTTP/2, by TCP, and by the health \
         service of gRPC",
        "test_a_python_app_is_asked_for_its_health",
    ),
    row(
        "Preventing",
        "a target that is ill by its checks gets no request while another is there",
        "a_target_that_is_ill_gets_no_request_while_another_is_there",
    ),
    row(
        "Preventing",
        "a health check that asks for the wrong thing is told, and takes no target out",
        "a_check_that_asks_for_the_wrong_thing_is_told_and_does_not_count",
    ),
    row(
        "Preventing",
        "a name that moves: asked for again before its answer ends, and before an attempt fails",
        "a_name_is_asked_for_again_before_an_attempt_fails",
    ),
    row(
        "Preventing",
        "an outage of the name servers: the last addresses are kept for `dns.keep_for`",
        "an_outage_of_the_name_server_loses_nothing",
    ),
    row(
        "Preventing",
        "a silent address among several: the next one is tried 250 ms later, and first from then on",
        "an_address_that_is_silent_is_overtaken_and_then_tried_last",
    ),
    row(
        "Preventing",
        "an app that says that it will end (`X-Goodgate-Drain: true`) is left alone until it is back",
        "a_target_that_says_that_it_leaves_is_left_alone_until_it_says_no_longer",
    ),
    row(
        "Preventing",
        "rolling restarts of Gunicorn and Uvicorn lose no GET, and no POST where the app says that it \
         will end",
        "rolling_restarts_of_gunicorn_lose_nothing",
    ),
    row(
        "Preventing",
        "a caller's own deadline holds, shrinks from try to try, and is told to each target",
        "what_is_left_shrinks_from_try_to_try",
    ),
    row(
        "Preventing",
        "work that takes minutes: 202 and an address, the answer fetched later, bounded in time and memory",
        "what_takes_long_is_answered_with_202_and_fetched_later",
    ),
    row(
        "Preventing",
        "`goodgate check` warns of limits of time that another one never lets fire",
        "a_second_try_needs_half_of_the_time",
    ),
    row(
        "Explaining",
        "an app that is down: cause, evidence and fix in the answer",
        "test_a_killed_app_is_explained_with_a_fix",
    ),
    row(
        "Explaining",
        "failed gRPC calls: `grpc-status` with `google.rpc` details, also where an answer breaks off",
        "our_own_failures_are_statuses_with_details",
    ),
    row(
        "Explaining",
        "more than 60 faults of DNS, TCP, Unix sockets, TLS and HTTP/1, each staged on real \
         sockets (`cargo run -p lab -- table`)",
        "every_scene_is_explained",
    ),
    row(
        "Explaining other stacks",
        "`goodgate why` on a file, a folder, an archive, a pipe or a pasted line; nothing is probed",
        "a_log_is_read_however_it_is_given",
    ),
    row(
        "Explaining other stacks",
        "logs of proxies, app servers, runtimes, databases, containers, kernels and clouds \
         (`goodgate formats`), told apart by their content",
        "every_reader_reads_its_own_example_and_no_earlier_one_takes_it",
    ),
    row(
        "Explaining other stacks",
        "statement and cure of a cause in the words of the products seen, such as the library that \
         crashed a worker",
        "a_faulting_library_is_named",
    ),
    row(
        "Explaining other stacks",
        "several causes that fit are ranked, with the command that decides between them (`either`)",
        "one_of_two_causes",
    ),
    row(
        "Explaining other stacks",
        "a symptom alone stays `unknown`, and what would fit is listed",
        "a_symptom_without_a_cause",
    ),
    row(
        "Explaining other stacks",
        "lines of a healthy server are `no_failure`",
        "lines_of_a_healthy_server_are_no_failure",
    ),
    row(
        "Explaining other stacks",
        "failures that a retry absorbed are told from those that callers saw",
        "failures_that_no_caller_saw",
    ),
    row(
        "Explaining other stacks",
        "large logs in parts and side by side, with the same result however they are cut",
        "the_same_bytes_read_the_same_however_they_are_cut",
    ),
    row(
        "Explaining other stacks",
        "rotated and compressed logs as one source, archives within archives",
        "archives_hold_sources_and_so_do_archives_in_them",
    ),
    row(
        "Explaining other stacks",
        "layers around lines come off one after the other: journald, Docker, CRI, Compose, kubectl",
        "layers_come_off_one_after_the_other",
    ),
    row(
        "Explaining other stacks",
        "in a chain of exceptions, the one that is the reason",
        "the_first_of_a_chain_is_the_reason_unless_a_driver_says_more",
    ),
    row(
        "Explaining other stacks",
        "what a caller sent is no evidence, and writes no line of the report",
        "a_stranger_writes_no_line_of_his_own",
    ),
    row(
        "Explaining other stacks",
        "`--share` masks addresses and host names, each always by the same stand-in",
        "a_thing_has_the_same_stand_in_everywhere",
    ),
    row(
        "Explaining other stacks",
        "the same for an assistant (`goodgate mcp`)",
        "an_assistant_gets_the_report_as_data_and_as_text",
    ),
    row(
        "Preventing elsewhere",
        "`goodgate doctor` compares the configurations of proxies and app servers before they fail",
        "the_doctor_says_what_will_fail_and_shows_the_lines",
    ),
    row(
        "Surviving",
        "no file descriptor left: clients are told so (503), it is said aloud, idle connections are \
         given up, and it recovers",
        "without_descriptors_clients_are_told_so_and_it_recovers",
    ),
    row(
        "Surviving",
        "no local port left towards a target: 503 with that cause",
        "without_ports_requests_are_answered_and_it_recovers",
    ),
    row(
        "Surviving",
        "memory of the container nearly used up: new requests get 503, those in flight are served",
        "with_its_memory_nearly_used_up_it_takes_no_new_requests",
    ),
    row(
        "Surviving",
        "a limit for all connections of clients, and one for each address",
        "connections_beyond_their_limit_are_answered_and_closed",
    ),
    row(
        "Surviving",
        "slow heads, slow uploads, slow readers: each ended by a named limit, others answered at once",
        "slow_bodies_under_tls",
    ),
    row(
        "Surviving",
        "a byte now and then of a body, or of an answer, is not enough (`limits.client_rate`)",
        "a_body_that_trickles_is_refused",
    ),
    row(
        "Surviving",
        "a mistake of ours ends one request, as `gateway_bug`, and no other of its connection",
        "one_stream_of_a_connection_breaks_down_alone",
    ),
    row(
        "Surviving",
        "a full disk or a pipe that nobody reads costs lines of the log, counted, and no request",
        "a_log_goes_on_with_a_whole_line_when_there_is_room_again",
    ),
    row(
        "Surviving",
        "name servers that come after the start are asked without a restart",
        "a_host_that_learns_its_name_servers_later_needs_no_restart",
    ),
    row("Surviving", "clocks that jump", "a_clock_that_jumps_confuses_nothing"),
    row(
        "Recording",
        "each request once, also when its client leaves half-way",
        "clients_that_leave_while_they_wait",
    ),
    row(
        "Stopping",
        "SIGTERM answers what is in flight and ends with 0",
        "a_request_in_flight_is_answered_first",
    ),
    row(
        "Stopping",
        "`goodgate run --takeover`: another process goes on with the same sockets, and no connection is \
         lost; one that fails to start changes nothing",
        "another_process_takes_over_and_no_connection_is_lost",
    ),
    row(
        "Stopping",
        "systemd: sockets that it opened, `Type=notify-reload`, and its watchdog",
        "a_service_manager_is_told_how_it_is",
    ),
    row(
        "Configuring",
        "reload by `goodgate reload`, SIGHUP or a changed file: all of it or nothing",
        "a_bad_file_keeps_what_runs_and_every_complaint_is_told",
    ),
    row(
        "Configuring",
        "renewed certificates and keys, without being told",
        "renewed_certificates_are_served_and_half_of_a_pair_is_not",
    ),
    row(
        "Configuring",
        "`goodgate status`, `drain` and `stop`, and the same as JSON on a socket for `curl`",
        "the_control_socket_answers_whoever_may_ask",
    ),
    row(
        "Configuring",
        "a target drained, ejected, tried or reset by order, while everybody is served",
        "a_drained_target_ends_what_it_has_and_gets_nothing_new",
    ),
    row(
        "Configuring",
        "upstreams and their targets as they are: by `goodgate status`, as JSON, in the metrics",
        "upstreams_are_told_on_the_console_and_nowhere_else",
    ),
    row(
        "Configuring",
        "every mistake of a file at once, with line, caret and nearest name",
        "five_mistakes_are_told_at_once",
    ),
    row(
        "Installing",
        "static binaries, archives, Debian packages, images and their checksums by one task, the \
         same bytes each time",
        "the_same_release_is_the_same_bytes",
    ),
    row(
        "Installing",
        "`install.sh` refuses what is not as its checksum says, not whole, or not over TLS",
        "what_is_not_as_its_checksum_says_is_refused",
    ),
    row(
        "Installing",
        "a unit of systemd that may do as little as a gateway can, and one for its sockets",
        "the_units_are_what_systemd_understands",
    ),
    row(
        "The app beside it",
        "`goodgate run -- COMMAND` starts the app, hands it a port, finds it where it listens instead",
        "an_app_is_handed_a_port_and_found_where_it_listens_instead",
    ),
    row(
        "The app beside it",
        "It is kept alive with growing pauses, and told to end after the last answer",
        "a_request_in_flight_is_answered_before_the_app_is_told_to_end",
    ),
    row(
        "The app beside it",
        "Its words and its end stand as evidence in the answer to the request that failed",
        "a_worker_that_is_killed_is_named_by_its_master",
    ),
    row(
        "The app beside it",
        "A process that the kernel killed for memory is named as such",
        "memory_that_is_used_up_is_named_by_the_kernel",
    ),
    row(
        "The app beside it",
        "What it says later amends the record and the stored report",
        "what_is_said_after_the_answer_is_added_to_its_report",
    ),
];
