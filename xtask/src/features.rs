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
        "one normal form of a path for matching and for sending on",
        "paths_are_matched_and_sent_on_in_one_form",
    ),
    row(
        "Refusing",
        "requests that two servers could read in two ways, before anything is sent on",
        "two_ways_to_end_a_body_are_refused",
    ),
    row(
        "Preventing",
        "no 502 from Gunicorn's idle limit, for GET and POST",
        "test_requests_around_the_keep_alive_limit_of_gunicorn_never_fail",
    ),
    row(
        "Preventing",
        "an app that comes back is used again at once",
        "test_a_restarted_app_is_served_again",
    ),
    row(
        "Explaining",
        "an app that is down: cause, evidence and fix in the answer",
        "test_a_killed_app_is_explained_with_a_fix",
    ),
    row(
        "Explaining",
        "more than 60 faults of DNS, TCP, Unix sockets, TLS and HTTP/1, each staged on real \
         sockets (`cargo run -p lab -- table`)",
        "every_scene_is_explained",
    ),
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
        "Configuring",
        "every mistake of a file at once, with line, caret and nearest name",
        "five_mistakes_are_told_at_once",
    ),
];
