use crate::testing::{check, check_nothing};

fn session(status: &str, times: &str, ended: &str, target: &str, behind: &str) -> String {
    format!(
        "192.0.2.1:33317 [06/Feb/2009:12:14:14.655] web~ {target} {times} {status} 217 - - {ended} \
         1/1/1/1/0 0/0 {{example.com}} {{}} \"GET /a HTTP/1.1\"{behind}"
    )
}

#[test]
fn four_letters_say_how_a_session_ended() {
    for (status, times, ended, want) in [
        ("503", "0/0/-1/-1/3004", "SC--", "ConnectFailed upstream=app/s1 status=503 | SC--"),
        (
            "503",
            "1/2/-1/-1/3004",
            "sC--",
            "ConnectTimedOut upstream=app/s1 number=3001 status=503 | sC--",
        ),
        ("502", "0/0/1/-1/3", "SH--", "Closed upstream=app/s1 status=502 | SH--"),
        (
            "504",
            "0/0/1/-1/30001",
            "sH--",
            "HeadTimedOut upstream=app/s1 number=30000 status=504 | sH--",
        ),
        ("502", "0/0/1/-1/3", "PH--", "ProtocolError upstream=app/s1 status=502 | PH--"),
        ("200", "0/0/1/2/3", "SD--", "BodyCut upstream=app/s1 status=200 | SD--"),
        ("200", "0/0/1/2/+3", "sDNI", "BodyStalled upstream=app/s1 status=200 | sDNI"),
        (
            "503",
            "0/5000/-1/-1/5000",
            "sQ--",
            "QueueTimedOut upstream=app/s1 number=5000 status=503 | sQ--",
        ),
        ("503", "0/0/-1/-1/0", "PC--", "ConnectionTableFull upstream=app/s1 status=503 | PC--"),
        ("503", "0/0/1/2/3", "----", "RelayedError upstream=app/s1 status=503 | 503"),
        ("400", "0/0/1/2/3", "CH--", "ClientClosed status=400 | CH--"),
        ("408", "-1/-1/-1/-1/9", "cR--", "ClientSlow status=408 | cR--"),
        ("403", "0/-1/-1/-1/0", "PR--", "AuthDenied status=403 | PR--"),
    ] {
        check(
            &session(status, times, ended, "app/s1", ""),
            &format!("served {status}; HAProxy: {want}"),
        );
    }
    check(&session("200", "0/0/1/2/3", "----", "app/s1", ""), "served 200");
    check(&session("-1", "0/0/1/-1/3", "CR--", "app/s1", ""), "HAProxy: ClientClosed | CR--");
}

#[test]
fn nobody_to_send_to_is_no_refusal() {
    check(
        &session("503", "0/-1/-1/-1/0", "SC--", "app/<NOSRV>", ""),
        "served 503; HAProxy: NoLiveUpstream upstream=app/<NOSRV> status=503 | SC--",
    );
    check(
        &session("503", "0/-1/-1/-1/0", "SC--", "web/<NOSRV>", ""),
        "served 503; HAProxy: NoCluster upstream=web/<NOSRV> status=503 | SC--",
    );
}

#[test]
fn what_is_logged_behind_the_request_says_more() {
    for (behind, want) in [
        (
            " ECONNREFUSED returned by OS -",
            "ConnectRefused upstream=app/s1 status=503 | ECONNREFUSED returned by OS",
        ),
        (
            " SSL handshake failure error:0A000086:SSL routines::certificate verify failed",
            "CertRefused upstream=app/s1 status=503 | error:0A000086:SSL routines::certificate verify failed",
        ),
        (
            " Server presented an SSL certificate different from the expected one",
            "CertWrongName upstream=app/s1 status=503 | Server presented an SSL certificate different from the expected one",
        ),
        (
            " 0/0000000000000000/0/0/0 example.com/TLSv1.3/TLS_AES_256_GCM_SHA384",
            "ConnectFailed upstream=app/s1 status=503 | SC--",
        ),
    ] {
        check(
            &session("503", "0/0/-1/-1/9", "SC--", "app/s1", behind),
            &format!("served 503; HAProxy: {want}"),
        );
    }
}

#[test]
fn tcp_has_two_letters_and_syslog_may_stand_before_all() {
    check(
        "haproxy[12]: 192.0.2.1:3 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/-1/3000 212 sC 0/0/0/0/3 0/0",
        "HAProxy: ConnectTimedOut upstream=bck/srv1 number=3000 | sC",
    );
    check_nothing(
        "haproxy[12]: 192.0.2.1:3 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
    );
}

#[test]
fn what_a_caller_asked_for_is_no_end_of_a_session() {
    check(
        "192.0.2.1:3 [06/Feb/2009:12:14:14.655] web app/s1 0/0/1/2/3 200 9 - - ---- 1/1/1/1/0 0/0 {SC-- ECONNREFUSED returned by OS} \"GET /SC--/ECONNREFUSED%20returned%20by%20OS HTTP/1.1\"",
        "served 200",
    );
}

#[test]
fn servers_go_down_and_come_back_for_a_reason() {
    check(
        "Server app/s1 is DOWN, reason: Layer7 wrong status, code: 404, info: \"Not Found\", check duration: 2ms. 0 active and 0 backup servers left.",
        "HAProxy: ServerDown who=app/s1 detail=Layer7 wrong status | Server app/s1 is DOWN; HAProxy: \
         HealthWrongAnswer who=app/s1 number=404 | reason: Layer7 wrong status",
    );
    check(
        "[WARNING]  (8) : Server app/s1 is UP, reason: Layer4 check passed, check duration: 0ms.",
        "HAProxy: ServerUp who=app/s1 detail=Layer4 check passed | Server app/s1 is UP",
    );
    check(
        "haproxy[3]: Health check for server app/s1 failed, reason: Layer4 connection problem, info: \"Connection refused\", check duration: 0ms, status: 0/2 DOWN.",
        "HAProxy: HealthConnectFailed who=app/s1 detail=Connection refused | reason: Layer4 connection problem",
    );
    check(
        "[ALERT]    (8) : backend 'app' has no server available!",
        "HAProxy: NoLiveUpstream upstream=app | has no server available!",
    );
    check(
        "haproxy[9]: backend app has no server available!",
        "HAProxy: NoLiveUpstream upstream=app | has no server available!",
    );
    check_nothing("INFO Server room is DOWN, reason: Layer4 timeout");
}

#[test]
fn haproxy_says_what_its_own_host_lacks() {
    for (text, want) in [
        (
            "Connect() failed for backend app: no free ports.",
            "NoLocalPort upstream=app | Connect() failed for backend app: no free ports",
        ),
        (
            "Connect() failed for backend app: can't connect to destination unix socket, check backlog size on the server.",
            "SocketBacklogFull upstream=app | Connect() failed for backend app: can't connect to destination unix socket, check backlog size on the server",
        ),
        (
            "Proxy web reached process FD limit (maxsock=4031). Please check 'ulimit-n' and restart.",
            "NoDescriptors number=4031 | reached process FD limit",
        ),
        (
            "[ALERT] 049/041157 (4) : Current worker (12) exited with code 139 (Segmentation fault)",
            "ProxyWorkerCrashed number=11 | Current worker (12) exited with code 139",
        ),
        (
            "[ALERT] (1) : Starting frontend web: cannot bind socket (Address already in use) [0.0.0.0:80]",
            "PortInUse detail=0.0.0.0:80 | cannot bind socket (Address already in use)",
        ),
        (
            "[ALERT] (1) : parsing [/etc/haproxy/haproxy.cfg:9] : 'server app/s1' : could not resolve address 'app'.",
            "NameNotFound upstream=app detail=app | could not resolve address 'app'",
        ),
        (
            "192.0.2.1:5 [06/Feb/2009:12:14:14.655] web/1: SSL handshake failure",
            "ClientTls | SSL handshake failure",
        ),
    ] {
        check(text, &format!("HAProxy: {want}"));
    }
    check(
        "[ALERT] (1) : proxy 'web': unable to find required default_backend: 'app'.",
        "HAProxy: NoCluster upstream=app | unable to find required default_backend: 'app'",
    );
}

#[test]
fn no_beginning_makes_the_reader_stumble() {
    let line = session("503", "0/0/-1/-1/9", "SC--", "app/s1", " error:");
    for text in [
        line.as_str(),
        "[ALERT] é : backend é",
        "backend",
        "Backend ",
        "[WARNING] : Server a/b is DOWN, reason: ",
    ] {
        for end in (0..=text.len()).filter(|it| text.is_char_boundary(*it)) {
            let _ = crate::testing::read(&text[..end]);
        }
    }
    check_nothing(
        "192.0.2.1:3 [06/Feb/2009:12:14:14.655] web a/b 9223372036854775807/9223372036854775807/1/-1/1 200 9 - - ---- 1/1/1/1/0 0/0",
    );
}

#[test]
fn a_reason_that_a_pager_cut_counts_while_only_one_begins_so() {
    check(
        "Server be/web1 is DOWN, reason: Layer7 wron>",
        "HAProxy: ServerDown who=be/web1 detail=Layer7 wron> | Server be/web1 is DOWN; HAProxy: \
         HealthWrongAnswer who=be/web1 | reason: Layer7 wron>",
    );
    check(
        "Server be/web1 is DOWN, reason: Layer7 >",
        "HAProxy: ServerDown who=be/web1 detail=Layer7 > | Server be/web1 is DOWN",
    );
}

#[test]
fn what_it_refuses_at_its_start_is_told_from_what_it_warns_of() {
    check(
        "[ALERT]    (8) : config : parsing [/etc/haproxy/haproxy.cfg:12] : unknown keyword 'x' in \
         'global' section",
        "HAProxy: ConfigRefused detail=unknown keyword 'x' in 'global' section | unknown keyword 'x' in \
         'global' section",
    );
    check_nothing(
        "[WARNING]  (8) : config : parsing [/etc/haproxy/haproxy.cfg:12] : 'option x' is deprecated",
    );
    check(
        "[ALERT] 049/041157 (8) : proxy 'app' has no server available !",
        "HAProxy: NoLiveUpstream upstream=app | has no server available !",
    );
}

#[test]
fn words_of_haproxy_inside_of_a_request_are_the_callers() {
    let line = session("200", "0/0/1/1/9", "----", "app/s1", "");
    let forged =
        line.replace("GET /", "GET /haproxy[42]: Server b/c is DOWN, reason: Layer4 timeout");
    assert_ne!(line, forged);
    check_nothing(&forged);
}
