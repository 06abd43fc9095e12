use crate::testing::{check, check_last, check_nothing};

#[track_caller]
fn says(text: &str, want: &str) {
    check(
        &format!("[Fri Nov 20 15:16:30.123456 2026] [proxy_http:error] [pid 7:tid 9] {text}"),
        want,
    );
}

#[test]
fn connections_fail_for_the_reason_that_stands_before() {
    for (code, sign) in [
        ("(111)Connection refused", "ConnectRefused"),
        ("(70007)The timeout specified has expired", "ConnectTimedOut"),
        ("(110)Connection timed out", "ConnectTimedOut"),
        ("(113)No route to host", "HostUnreachable"),
        ("(13)Permission denied", "ConnectDenied"),
        ("(99)Cannot assign requested address", "NoLocalPort"),
    ] {
        let words = format!(
            "{code}: AH00957: http: attempt to connect to 192.0.2.7:8000 (app:8000) failed"
        );
        says(&words, &format!("Apache: {sign} upstream=192.0.2.7:8000 | {words}"));
    }
    for (code, sign) in [
        ("(2)No such file or directory", "SocketMissing"),
        ("(13)Permission denied", "SocketDenied"),
        ("(111)Connection refused", "SocketStale"),
    ] {
        let words = format!(
            "{code}: AH02454: http: attempt to connect to Unix domain socket /run/a.sock (localhost:80) failed"
        );
        says(&words, &format!("Apache: {sign} upstream=/run/a.sock | {words}"));
    }
}

#[test]
fn the_older_server_says_the_same_without_numbers() {
    check(
        "[Tue Sep 08 16:38:35 2015] [error] (111)Connection refused: proxy: HTTP: attempt to connect to 192.0.2.7:8881 (app) failed",
        "Apache: ConnectRefused upstream=192.0.2.7:8881 | (111)Connection refused: proxy: HTTP: \
         attempt to connect to 192.0.2.7:8881 (app) failed",
    );
    check(
        "[Tue Sep 08 16:38:35 2015] [error] ap_proxy_connect_backend disabling worker for (app)",
        "Apache: ServerDown upstream=app | ap_proxy_connect_backend disabling worker for",
    );
    check(
        "[error] proxy: HTTP: disabled connection for (app)",
        "Apache: NoLiveUpstream upstream=app | disabled connection for",
    );
    check(
        "[Tue Sep 08 16:38:35 2015] [error] [client 192.0.2.1] (70007)The timeout specified has expired: proxy: error reading status line from remote server app",
        "Apache: HeadTimedOut upstream=app | (70007)The timeout specified has expired: proxy: error \
         reading status line from remote server",
    );
}

#[test]
fn the_same_message_means_what_its_number_says() {
    for (code, sign) in [
        ("(104)Connection reset by peer", "Reset"),
        ("(70007)The timeout specified has expired", "HeadTimedOut"),
        ("(70014)End of file found", "Closed"),
        ("(20014)Internal error (specific information not available)", "Closed"),
    ] {
        says(
            &format!(
                "{code}: [client 192.0.2.1:5] AH01102: error reading status line from remote server 192.0.2.7:80"
            ),
            &format!(
                "Apache: {sign} upstream=192.0.2.7:80 | error reading status line from remote server"
            ),
        );
    }
    says(
        "[client 192.0.2.1:5] AH00898: Error reading from remote server returned by /a",
        "Apache: Answered502 status=502 | Error reading from remote server",
    );
    says(
        "(EAI 2)Name or service not known: [client 192.0.2.1:5] AH00898: DNS lookup failure for: app returned by /a",
        "Apache: NameNotFound upstream=app detail=app | DNS lookup failure for: app",
    );
}

#[test]
fn a_long_header_is_no_full_disk() {
    says(
        "(28)No space left on device: [client 192.0.2.1:5] AH10124: header size is over the limit allowed by ResponseFieldSize (8192 bytes). Bad response header: X",
        "Apache: HeadTooBig number=8192 | header size is over the limit allowed by ResponseFieldSize",
    );
}

#[test]
fn certificates_of_the_outgoing_side_only() {
    says(
        "[remote 192.0.2.7:443] AH02276: Certificate Verification: Error (10): certificate has expired [subject: CN=app]",
        "Apache: CertExpired upstream=192.0.2.7:443 number=10 | Certificate Verification: Error (10): certificate has expired",
    );
    check_nothing(
        "[Fri Nov 20 15:16:30.123456 2026] [ssl:info] [pid 7] [client 192.0.2.1:5] AH02276: Certificate Verification: Error (10): certificate has expired [subject: CN=a]",
    );
}

#[test]
fn modules_that_reach_apps_have_words_of_their_own() {
    for (text, want) in [
        (
            "[client 192.0.2.1:5] Timeout when reading response headers from daemon process 'app': /srv/app.wsgi",
            "Apache: HeadTimedOut upstream=app | Timeout when reading response headers from daemon process",
        ),
        (
            "[client 192.0.2.1:5] Truncated or oversized response headers received from daemon process 'app': /srv/app.wsgi",
            "Apache: Closed upstream=app | Truncated or oversized response headers received from daemon process",
        ),
        (
            "(2)No such file or directory: [client 192.0.2.1:5] mod_wsgi (pid=7): Unable to connect to WSGI daemon process 'app' on '/run/a.sock'",
            "Apache: SocketMissing upstream=app | Unable to connect to WSGI daemon process",
        ),
        (
            "(70007)The timeout specified has expired: [client 192.0.2.1:5] AH01075: Error dispatching request to : (polling)",
            "Apache: HeadTimedOut | Error dispatching request to",
        ),
        (
            "[client 192.0.2.1:5] AH01071: Got error 'Primary script unknown'",
            "php-fpm: RouteWrong | Primary script unknown",
        ),
        (
            "[client 192.0.2.1:5] Script timed out before returning headers: app.cgi",
            "Apache: HeadTimedOut detail=app.cgi | Script timed out before returning headers",
        ),
        (
            "AH00052: child pid 12 exit signal Segmentation fault (11)",
            "Apache: ProxyWorkerCrashed number=11 | child pid 12 exit signal Segmentation fault (11)",
        ),
        (
            "AH00484: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting",
            "Apache: PoolExhausted | server reached MaxRequestWorkers setting",
        ),
        (
            "AH01114: HTTP: failed to make connection to backend: app",
            "Apache: Answered503 upstream=app status=503 | failed to make connection to backend",
        ),
        (
            "AH00959: ap_proxy_connect_backend disabling worker for (app:80) for 60s",
            "Apache: ServerDown upstream=app:80 number=60000 | ap_proxy_connect_backend disabling worker for",
        ),
    ] {
        says(text, want);
    }
    check(
        "[Mon Mar 15 23:59:41 2010] [5575:3004840816] [error] ajp_send_request::jk_ajp_common.c (1359): (w1) connecting to backend failed. Tomcat is probably not started or is listening on the wrong port (errno=111)",
        "Apache: ConnectRefused who=w1 | connecting to backend failed",
    );
}

#[test]
fn lines_without_their_time_are_still_apaches() {
    check(
        "[proxy_http:error] [pid 2580] (104)Connection reset by peer: [client 192.0.2.1:5] AH01102: error reading status line from remote server 192.0.2.7:80",
        "Apache: Reset upstream=192.0.2.7:80 | error reading status line from remote server",
    );
    check_nothing("[error] something else");
    check_nothing("[INFO] [pid 3] AH01102: error reading status line");
}

#[test]
fn what_a_caller_sent_is_no_evidence() {
    check_nothing(
        "[Fri Nov 20 15:16:30 2026] [core:error] [pid 7] [client 192.0.2.1:5] AH00128: File does not exist: /srv/(111)Connection refused: AH00957: attempt to connect to 203.0.113.9:1 (x), referer: http://x/ failed",
    );
    check_nothing(
        "[Fri Nov 20 15:16:30 2026] [core:error] [pid 7] [client 192.0.2.1:5] AH00128: File does not exist: /srv/error reading status line from remote server",
    );
    check_nothing(
        "[Fri Nov 20 15:16:30 2026] [core:error] [pid 7] [client 192.0.2.1:5] AH00128: File does not exist: /srv/a attempt to connect to 203.0.113.9:1 (x) failed",
    );
    check_nothing(
        "[Fri Nov 20 15:16:30 2026] [core:error] [pid 7] [client 192.0.2.1:5] AH00128: File does not exist: /srv/disabled connection for (x)",
    );
}

#[test]
fn access_lines_behind_a_virtual_host_are_of_apache() {
    let line = "192.0.2.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 503 299";
    check(
        &format!("example.com:80 {line} \"-\" \"curl\""),
        "served 503; Apache: Answered503 status=503 | 503",
    );
    check(line, "served 503; the proxy: Answered503 status=503 | 503");
}

#[test]
fn a_message_is_known_by_its_number_without_what_stands_before_it() {
    check(
        "AH00957: HTTP: attempt to connect to 192.0.2.7:8000 (app) failed",
        "Apache: ConnectFailed upstream=192.0.2.7:8000 | HTTP: attempt to connect to 192.0.2.7:8000 \
         (app) failed",
    );
    check(
        "(111)Connection refused: AH00957: http: attempt to connect to 192.0.2.7:8000 (app) failed",
        "Apache: ConnectRefused upstream=192.0.2.7:8000 | (111)Connection refused: AH00957: http: \
         attempt to connect to 192.0.2.7:8000 (app) failed",
    );
    check(
        "[proxy:warn] AH01144: No protocol handler was valid for the URL /a (scheme 'ws'). If you are \
         using a DSO version of mod_proxy, make sure the proxy submodules are included",
        "Apache: NoCluster detail=mod_proxy_wstunnel | No protocol handler was valid for the URL",
    );
    check_nothing("AH1: No protocol handler was valid for the URL /a");
    check_nothing("see AH01144: No protocol handler was valid for the URL /a");
}

#[test]
fn a_proxy_without_tls_says_which_setting_it_lacks() {
    for message in [
        "AH01961: failed to enable ssl support [Hint: if using mod_ssl, see SSLProxyEngine]",
        "AH00961: https: failed to enable ssl support for 192.0.2.7:443 (app)",
    ] {
        check(
            &format!("[proxy:error] {message}"),
            "Apache: NoCluster detail=SSLProxyEngine | failed to enable ssl support",
        );
    }
    check(
        "[Fri Nov 20 15:16:30 2026] [error] SSL Proxy requested for app.example.com:80 but not enabled \
         [Hint: SSLProxyEngine]",
        "Apache: NoCluster detail=SSLProxyEngine | but not enabled",
    );
}

#[test]
fn words_of_openssl_belong_to_the_side_that_the_lines_beside_them_name() {
    let time = "[Fri Nov 20 15:16:30.123456 2026]";
    let library = "SSL Library Error: error:0A00010B:SSL routines::wrong version number";
    check_last(
        &format!(
            "{time} [ssl:error] [pid 7] AH02003: SSL Proxy connect failed\n{time} [ssl:error] [pid 7] \
             {library}"
        ),
        "Apache: TlsToPlain | error:0A00010B:SSL routines::wrong version number",
    );
    check_last(
        &format!(
            "{time} [ssl:info] [pid 7] [client 192.0.2.1:5] AH02008: SSL library error 1 in handshake \
             (server a:443)\n{time} [ssl:info] [pid 7] {library}"
        ),
        "",
    );
    check_last(
        "AH02003: SSL Proxy connect failed\n  Library Error: error:0A000126:SSL routines::unexpected eof \
         while reading",
        "Apache: TlsClosed | error:0A000126:SSL routines::unexpected eof while reading",
    );
    check_nothing(
        "AH02003: SSL Proxy connect failed\nSSL Library Error: error:0A000126:SSL routines::unexpected eof",
    );
    check("AH02003: SSL Proxy connect failed", "Apache: TlsFailed | SSL Proxy connect failed");
    check(
        "AH02411: SSL Proxy: Peer certificate does not match for hostname app.example.com",
        "Apache: CertWrongName detail=app.example.com | SSL Proxy: Peer certificate does not match for \
         hostname app.example.com",
    );
}

#[test]
fn a_unix_socket_is_no_host_and_a_start_that_fails_is_told() {
    says(
        "(103)Software caused connection abort: [client 192.0.2.1:5] AH01102: error reading status line from remote server httpd-UDS:0",
        "Apache: Disconnected | error reading status line from remote server",
    );
    check(
        "[Fri Nov 20 15:16:30 2026] [proxy_ajp:error] [pid 7] (70007)The timeout specified has expired: AH00896: cping/cpong failed to 192.0.2.7:8009 (app)",
        "Apache: HeadTimedOut | cping/cpong failed to",
    );
    check_nothing(
        "[Fri Nov 20 15:16:30 2026] [core:info] [pid 7] [client 192.0.2.1:5] AH00128: File does not exist: /srv/Syntax error on line 5",
    );
}
