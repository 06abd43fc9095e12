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
    row(
        "Passing on",
        "5 MB up and down, unchanged",
        "test_five_megabytes_arrive_whole_in_both_directions",
    ),
    row("Passing on", "chunked uploads from curl", "test_curl_gets_posts_and_uploads"),
    row(
        "Passing on",
        "server-sent events, each as it comes",
        "test_events_arrive_piece_by_piece_with_httpx",
    ),
    row(
        "Passing on",
        "connections of clients that are kept and used again",
        "test_a_client_that_keeps_its_connection_is_served_again_and_again",
    ),
    row(
        "Passing on",
        "an app's own 500 and 503 unchanged, marked as the app's in `Proxy-Status`",
        "test_an_error_of_the_app_itself_passes_unchanged",
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
        "a worker that dies inside a request, and in which phase",
        "test_a_worker_that_dies_inside_a_request_closed_before_its_answer",
    ),
];
