use crate::testing::{check, check_nothing};

const TIME: &str = "2023/10/27 10:30:15";
const REST: &str = "client: 192.0.2.1, server: x, request: \"GET /data HTTP/1.1\", upstream: \
                    \"http://192.0.2.7:8000/data\", host: \"x\"";

/// A message of an error line with a request behind it.
#[track_caller]
fn says(message: &str, want: &str) {
    check(&format!("{TIME} [warn] 1#1: *5 {message}, {REST}"), want);
}

#[track_caller]
fn says_nothing(message: &str) {
    check_nothing(&format!("{TIME} [error] 1#1: *5 {message}, {REST}"));
}

#[test]
fn errno_and_action_make_the_sign() {
    check(
        "2023/10/27 10:30:15 [crit] 1#1: *5 connect() to 127.0.0.1:8000 failed (111: Connection \
         refused) while connecting to upstream, client: 192.0.2.1, server: x, request: \"GET \
         /data HTTP/1.1\", upstream: \"http://127.0.0.1:8000/data\", host: \"x\"",
        "nginx: ConnectRefused upstream=http://127.0.0.1:8000/data | connect() to \
         127.0.0.1:8000 failed (111: Connection refused) while connecting to upstream",
    );
}

#[test]
fn each_error_of_a_connection_says_why_there_is_none() {
    let unix = "client: 192.0.2.1, server: x, request: \"GET / HTTP/1.1\", upstream: \
                \"fastcgi://unix:/run/app.sock:\", host: \"x\"";
    for (code, tcp, socket) in [
        ("111: Connection refused", "ConnectRefused", "SocketStale"),
        ("13: Permission denied", "ConnectDenied", "SocketDenied"),
        ("2: No such file or directory", "ConnectFailed", "SocketMissing"),
        ("11: Resource temporarily unavailable", "ConnectFailed", "SocketBacklogFull"),
        ("99: Cannot assign requested address", "NoLocalPort", "NoLocalPort"),
        ("113: No route to host", "HostUnreachable", "HostUnreachable"),
        ("113: Host is unreachable", "HostUnreachable", "HostUnreachable"),
        ("101: Network is unreachable", "NetworkUnreachable", "NetworkUnreachable"),
        ("1: Operation not permitted", "ConnectNotPermitted", "ConnectNotPermitted"),
        ("22: Invalid argument", "ConnectFailed", "ConnectFailed"),
    ] {
        let words =
            format!("connect() to 192.0.2.7:8000 failed ({code}) while connecting to upstream");
        says(&words, &format!("nginx: {tcp} upstream=http://192.0.2.7:8000/data | {words}"));
        let words =
            format!("connect() to unix:/run/app.sock failed ({code}) while connecting to upstream");
        check(
            &format!("{TIME} [crit] 1#1: *5 {words}, {unix}"),
            &format!("nginx: {socket} upstream=fastcgi://unix:/run/app.sock: | {words}"),
        );
    }
    let words = "socket() failed (24: Too many open files)";
    says(
        &format!("{words} while connecting to upstream"),
        &format!("nginx: NoDescriptors upstream=http://192.0.2.7:8000/data | {words}"),
    );
    check(
        &format!("{TIME} [alert] 1#1: accept4() failed (24: Too many open files)"),
        "nginx: NoDescriptors | failed (24: Too many open files)",
    );
}

#[test]
fn the_same_end_means_another_thing_in_another_phase() {
    let timed_out = "upstream timed out (110: Connection timed out)";
    let reset = "recv() failed (104: Connection reset by peer)";
    let closed = "upstream prematurely closed connection";
    for (words, doing, sign) in [
        (timed_out, "connecting to upstream", "ConnectTimedOut"),
        (timed_out, "SSL handshaking to upstream", "TlsTimedOut"),
        (timed_out, "sending request to upstream", "SendTimedOut"),
        (timed_out, "reading response header from upstream", "HeadTimedOut"),
        (timed_out, "reading upstream", "BodyStalled"),
        (timed_out, "proxying upgraded connection", "BodyStalled"),
        (reset, "reading response header from upstream", "Reset"),
        (reset, "reading upstream", "BodyReset"),
        (closed, "reading response header from upstream", "Closed"),
        (closed, "sending request to upstream", "Closed"),
        (closed, "reading upstream", "BodyCut"),
        ("send() failed (32: Broken pipe)", "sending request to upstream", "SendBroken"),
        ("writev() failed (104: Connection reset by peer)", "sending request to upstream", "Reset"),
    ] {
        let words = format!("{words} while {doing}");
        says(&words, &format!("nginx: {sign} upstream=http://192.0.2.7:8000/data | {words}"));
    }
    // Which side of a tunnel it was is not said.
    says_nothing(
        "recv() failed (104: Connection reset by peer) while proxying upgraded connection",
    );
    says_nothing(
        "recv() failed (104: Connection reset by peer) while requesting certificate status",
    );
}

#[test]
fn names_are_no_part_of_the_words() {
    let rest = "client: 192.0.2.1, server: x, request: \"GET / HTTP/1.1\", host: \"x\"";
    for (code, sign) in [
        ("3: Host not found", "NameNotFound"),
        ("2: Server failure", "NameServerFailed"),
        ("5: Operation refused", "NameRefused"),
        ("110: Operation timed out", "NameTimedOut"),
        ("1: Format error", "NameUnresolved"),
    ] {
        check(
            &format!(
                "{TIME} [error] 1#1: *5 app.example.com could not be resolved ({code}), {rest}"
            ),
            &format!(
                "nginx: {sign} upstream=app.example.com detail=app.example.com | could not be \
                 resolved ({code})"
            ),
        );
    }
    check(
        &format!("{TIME} [error] 1#1: *5 no resolver defined to resolve app.example.com, {rest}"),
        "nginx: NameUnresolved upstream=app.example.com detail=app.example.com | no resolver \
         defined to resolve",
    );
    check(
        "nginx: [emerg] host not found in upstream \"app\" in /etc/nginx/conf.d/x.conf:3",
        "nginx: NameNotFound upstream=app detail=app | host not found in upstream \"app\"",
    );
}

#[test]
fn words_of_openssl_are_read_in_all_its_releases() {
    let failed = "SSL_do_handshake() failed (SSL: ";
    for (reason, want) in [
        (
            "error:0A00010B:SSL routines::wrong version number",
            "TlsToPlain upstream=U detail=wrong version number",
        ),
        (
            "error:1408F10B:SSL routines:ssl3_get_record:wrong version number",
            "TlsToPlain upstream=U detail=wrong version number",
        ),
        (
            "error:140770FC:SSL routines:SSL23_GET_SERVER_HELLO:unknown protocol",
            "TlsToPlain upstream=U detail=unknown protocol",
        ),
        (
            "error:0A00042E:SSL routines::tlsv1 alert protocol version:SSL alert number 70",
            "TlsVersion upstream=U detail=tlsv1 alert protocol version number=70",
        ),
        (
            "error:1407742E:SSL routines:SSL23_GET_SERVER_HELLO:tlsv1 alert protocol version",
            "TlsVersion upstream=U detail=tlsv1 alert protocol version",
        ),
        (
            "error:0A000410:SSL routines::sslv3 alert handshake failure:SSL alert number 40",
            "TlsCipher upstream=U detail=sslv3 alert handshake failure number=40",
        ),
        (
            "error:0A000458:SSL routines::tlsv1 unrecognized name:SSL alert number 112",
            "TlsNameRejected upstream=U detail=tlsv1 unrecognized name number=112",
        ),
        (
            "error:0A00045C:SSL routines::tlsv13 alert certificate required:SSL alert number 116",
            "TlsClientCertRequired upstream=U detail=tlsv13 alert certificate required number=116",
        ),
        (
            "error:0A000412:SSL routines::sslv3 alert bad certificate:SSL alert number 42",
            "TlsClientCertRejected upstream=U detail=sslv3 alert bad certificate number=42",
        ),
        (
            "error:0A000418:SSL routines::tlsv1 alert unknown ca:SSL alert number 48",
            "TlsClientCertRejected upstream=U detail=tlsv1 alert unknown ca number=48",
        ),
        (
            "error:0A000438:SSL routines::tlsv1 alert internal error:SSL alert number 80",
            "TlsFailed upstream=U detail=tlsv1 alert internal error number=80",
        ),
        (
            "error:0A0000BF:SSL routines::no protocols available",
            "TlsVersion upstream=U detail=no protocols available",
        ),
        (
            "error:0A000102:SSL routines::unsupported protocol",
            "TlsVersion upstream=U detail=unsupported protocol",
        ),
        (
            "error:0A000126:SSL routines::unexpected eof while reading",
            "TlsClosed upstream=U detail=unexpected eof while reading",
        ),
    ] {
        let words = format!("{failed}{reason}) while SSL handshaking to upstream");
        let want = want.replace("=U", "=http://192.0.2.7:8000/data");
        says(&words, &format!("nginx: {want} | {words}"));
    }
    let words = "peer closed connection in SSL handshake while SSL handshaking to upstream";
    says(words, &format!("nginx: TlsClosed upstream=http://192.0.2.7:8000/data | {words}"));
}

#[test]
fn handshakes_of_clients_are_no_fault_of_an_upstream() {
    check(
        &format!(
            "{TIME} [crit] 1#1: *5 SSL_do_handshake() failed (SSL: error:0A00010B:SSL \
             routines::wrong version number) while SSL handshaking, client: 192.0.2.1, server: \
             0.0.0.0:443"
        ),
        "nginx: ClientTls | SSL_do_handshake() failed",
    );
}

#[test]
fn certificates_are_refused_for_a_reason() {
    let up = "upstream=http://192.0.2.7:8000/data";
    for (code, sign) in [
        ("10:certificate has expired", "CertExpired"),
        ("18:self-signed certificate", "CertSelfSigned"),
        ("19:self-signed certificate in certificate chain", "CertUntrusted"),
        ("20:unable to get local issuer certificate", "CertUntrusted"),
        ("21:unable to verify the first certificate", "CertIncomplete"),
    ] {
        let words = format!("upstream SSL certificate verify error: ({code})");
        let number = &code[..2];
        says(
            &format!("{words} while SSL handshaking to upstream"),
            &format!("nginx: {sign} {up} number={number} | {words}"),
        );
    }
    for (name, sign) in [("app", "CertWrongName"), ("192.0.2.7", "CertNoIpSan")] {
        let words = format!("upstream SSL certificate does not match \"{name}\"");
        says(
            &format!("{words} while SSL handshaking to upstream"),
            &format!("nginx: {sign} {up} detail={name} | {words}"),
        );
    }
}

#[test]
fn answers_that_nginx_refuses_are_told_apart() {
    for (words, rest, want) in [
        ("upstream sent too big header", "", "HeadTooBig"),
        ("upstream sent no valid HTTP/1.0 header", "", "NotHttp"),
        ("upstream sent invalid header", ": \"Bad\\x20...\"", "HeaderBad"),
        ("upstream sent invalid header", ": \"X-Ctl: ab\\x00...\"", "HeaderControlChar"),
        (
            "upstream sent duplicate header line: \"Content-Length",
            ": 5\", previous value: \"Content-Length: 5\"",
            "LengthTwice",
        ),
        (
            "upstream sent duplicate header line: \"Transfer-Encoding",
            ": chunked\", previous value: \"x\"",
            "CodingTwice",
        ),
        (
            "upstream sent \"Content-Length\" and \"Transfer-Encoding\" headers at the same time",
            "",
            "LengthAndChunked",
        ),
        ("upstream sent invalid \"Content-Length\" header", ": \"abc\"", "LengthInvalid"),
        ("upstream sent unknown \"Transfer-Encoding\"", ": \"foo\"", "CodingUnknown"),
        ("upstream sent invalid chunked response", "", "ChunkBad"),
        ("upstream sent more data than specified in \"Content-Length\" header", "", "LengthLong"),
        ("upstream sent no :status header", "", "GrpcMismatch"),
        ("upstream sent frame for", " unknown stream 3", "ProtocolError"),
        ("no live upstreams", "", "NoLiveUpstream"),
    ] {
        says(
            &format!("{words}{rest} while reading response header from upstream"),
            &format!("nginx: {want} upstream=http://192.0.2.7:8000/data | {words}"),
        );
    }
    for (words, want, number) in [
        ("upstream sent unsupported FastCGI protocol version: 72", "FastCgiMismatch", 72),
        ("upstream sent too large http2 frame: 4740180", "Http2ToHttp1", 4_740_180),
        ("upstream sent too large http2 frame: 65536", "ProtocolError", 65536),
        ("upstream sent goaway with error 2", "GoAway", 2),
        ("upstream rejected request with error 7", "StreamReset", 7),
    ] {
        says(
            &format!("{words} while reading response header from upstream"),
            &format!("nginx: {want} upstream=http://192.0.2.7:8000/data number={number} | {words}"),
        );
    }
    says_nothing("upstream sent data after final chunk while reading upstream");
    says_nothing(
        "an upstream response is buffered to a temporary file /tmp/1 while reading upstream",
    );
    check(
        &format!(
            "{TIME} [warn] 1#1: *5 upstream server temporarily disabled while connecting to upstream, {REST}"
        ),
        "nginx: ServerDown upstream=http://192.0.2.7:8000/data | upstream server temporarily disabled",
    );
}

#[test]
fn what_nginx_says_of_itself_and_of_clients() {
    for (message, want) in [
        (
            "1024 worker_connections are not enough",
            "ConnectionTableFull number=1024 | 1024 worker_connections are not enough",
        ),
        (
            "worker process 12 exited on signal 11 (core dumped)",
            "ProxyWorkerCrashed number=11 | worker process 12 exited on signal 11",
        ),
        ("start worker processes", "ProxyStarted | start worker processes"),
        ("signal process started", "ProxyStarted | signal process started"),
        (
            "signal 1 (SIGHUP) received from 9, reconfiguring",
            "ProxyStarted | signal 1 (SIGHUP) received",
        ),
        (
            "bind() to 0.0.0.0:80 failed (98: Address already in use)",
            "PortInUse detail=0.0.0.0:80 | bind() to 0.0.0.0:80 failed (98: Address already in use)",
        ),
        (
            "bind() to 0.0.0.0:80 failed (13: Permission denied)",
            "BindFailed detail=0.0.0.0:80 | bind() to 0.0.0.0:80 failed (13: Permission denied)",
        ),
        (
            "pwritev() \"/tmp/1\" failed (28: No space left on device)",
            "DiskFull | failed (28: No space left on device)",
        ),
        (
            "limiting requests, excess: 5.1 by zone \"a\"",
            "RateLimited detail=a | limiting requests, excess: 5.1 by zone \"a\"",
        ),
        (
            "limiting connections by zone \"a\"",
            "RateLimited detail=a | limiting connections by zone \"a\"",
        ),
        (
            "client intended to send too large body: 2000000 bytes",
            "ClientBodyTooLarge number=2000000 | client intended to send too large body: 2000000",
        ),
        (
            "epoll_wait() reported that client prematurely closed connection, so upstream connection is closed too while connecting to upstream",
            "ClientClosed | epoll_wait() reported that client prematurely closed connection",
        ),
        (
            "broken header: \"GET / HTTP/1.1\" while reading PROXY protocol",
            "ProxyHeaderMissing | while reading PROXY protocol",
        ),
    ] {
        check(&format!("{TIME} [info] 1#1: {message}"), &format!("nginx: {want}"));
    }
    check_nothing(&format!("{TIME} [notice] 1#1: worker process 12 exited with code 0"));
    check_nothing(&format!(
        "{TIME} [error] 1#1: *5 limiting requests, dry run, excess: 5.1 by zone \"a\""
    ));
    check(
        "nginx: [emerg] unknown directive \"sever\" in /etc/nginx/nginx.conf:12",
        "nginx: ConfigRefused detail=unknown directive \"sever\" in /etc/nginx/nginx.conf:12 | unknown \
         directive \"sever\" in /etc/nginx/nginx.conf:12",
    );
    check_nothing("nginx: [warn] duplicate MIME type \"text/html\" in /etc/nginx/nginx.conf:12");
}

#[test]
fn files_that_cannot_be_opened_are_no_connections() {
    let asked = "client: 192.0.2.1, server: x, request: \"GET /a HTTP/1.1\", host: \"x\"";
    check_nothing(&format!(
        "{TIME} [crit] 1#1: *5 open() \"/srv/a\" failed (13: Permission denied), {asked}"
    ));
    // The path is what the caller asked for, decoded.
    check_nothing(&format!(
        "{TIME} [error] 1#1: *5 open() \"/srv/connect() failed (111: Connection refused) while \
         connecting to upstream\" failed (2: No such file or directory), {asked}"
    ));
}

#[test]
fn what_a_caller_sent_is_no_evidence() {
    check_nothing(
        "2023/10/27 10:30:15 [error] 1#1: *5 open() \"/x\" failed (2: No such file or \
         directory), client: 192.0.2.1, server: x, request: \"GET /no%20live%20upstreams?upstream \
         timed out (110: Connection timed out) while connecting to upstream HTTP/1.1\", host: \"x\"",
    );
    // A referrer, and a request line, that try to name another upstream.
    check(
        &format!(
            "{TIME} [error] 1#1: *5 no live upstreams while connecting to upstream, client: \
             192.0.2.1, server: x, request: \"GET /a\", upstream: \"http://203.0.113.9/ HTTP/1.1\", \
             upstream: \"http://app/a\", host: \"x\", referrer: \"y\", upstream: \"z\""
        ),
        "nginx: NoLiveUpstream upstream=http://app/a | no live upstreams",
    );
}

#[test]
fn lines_cut_at_either_end_still_say_what_they_said() {
    let words = "connect() failed (111: Connection refused) while connecting to upstream";
    let want = format!("nginx: ConnectRefused upstream=http://192.0.2.7:8000/data | {words}");
    for before in [
        "[error] 46#0: *19 ",
        "*7 ",
        "",
        "web-7d4 app 2024-10-21T10:41:45+02:00 2024/10/21 08:41:45 [error] 6#6: *1 ",
    ] {
        check(&format!("{before}{words}, {REST}"), &want);
    }
    check(&format!("{words}, client..."), &format!("nginx: ConnectRefused | {words}"));
    check(
        "connect() failed (113: Host is unreachable)",
        "nginx: HostUnreachable | connect() failed (113: Host is unreachable)",
    );
    // Half a port is another port.
    check(
        &format!(
            "{TIME} [error] 1#1: *1 {words}, client: 192.0.2.1, server: x, request: \"GET / HTTP/1.1\", upstream: \"http://192.0.2.7:80"
        ),
        &format!("nginx: ConnectRefused | {words}"),
    );
    check_nothing(
        "INFO user wrote: connect() failed (111: Connection refused) while connecting to upstream",
    );
}

#[test]
fn streams_and_tunnels_name_their_upstream_in_their_own_way() {
    check(
        &format!(
            "{TIME} [error] 9#9: *1 upstream timed out (110: Connection timed out) while connecting \
             to upstream, client: 192.0.2.1, server: 0.0.0.0:8000, upstream: \"192.0.2.7:8000\", \
             bytes from/to client:0/0, bytes from/to upstream:0/0"
        ),
        "nginx: ConnectTimedOut upstream=192.0.2.7:8000 | upstream timed out (110: Connection timed \
         out) while connecting to upstream",
    );
    check(
        &format!(
            "{TIME} [error] 2#0: *3 connect() to [2001:db8::1]:443 failed (101: Network is \
             unreachable) while connecting to upstream, client: 192.0.2.1, server: , request: \
             \"CONNECT example.com:443 HTTP/1.1\", host: \"example.com:443\""
        ),
        "nginx: NetworkUnreachable upstream=[2001:db8::1]:443 | connect() to [2001:db8::1]:443 \
         failed (101: Network is unreachable) while connecting to upstream",
    );
}

#[test]
fn what_an_app_wrote_is_known_by_how_it_begins() {
    let told = |text: &str| {
        format!("FastCGI sent in stderr: \"{text}\" while reading response header from upstream")
    };
    let up = "upstream=http://192.0.2.7:8000/data";
    says(
        &told(
            "PHP message: PHP Fatal error:  Allowed memory size of 1000 bytes exhausted (tried to allocate 20 bytes) in /srv/a.php on line 3",
        ),
        &format!(
            "PHP: HeapExhausted {up} detail=Allowed memory size of 1000 bytes exhausted number=1000 | Allowed memory size of 1000 bytes exhausted"
        ),
    );
    says(
        &told(
            "PHP message: PHP Warning:  x in /srv/a.php; PHP message: PHP Fatal error:  Maximum execution time of 30 seconds exceeded in /srv/a.php on line 3",
        ),
        &format!(
            "PHP: RequestSlow {up} detail=Maximum execution time of 30 seconds exceeded number=30000 | Maximum execution time of 30 seconds exceeded"
        ),
    );
    says(
        &told("Primary script unknown"),
        &format!("php-fpm: RouteWrong {up} | Primary script unknown"),
    );
    says_nothing(&told("PHP message: searched for Allowed memory size of 1 bytes exhausted"));
    says_nothing(&told("upstream timed out (110: Connection timed out)"));
}

#[test]
fn gateways_in_lua_say_what_they_could_not_reach() {
    let asked = "client: 192.0.2.1, server: kong, request: \"GET /a HTTP/1.1\", host: \"x\"";
    for (text, want) in [
        (
            "[lua] balancer.lua:900: execute(): DNS resolution failed: dns server error: 3 name error. Tried: [\"(short)app:(na) - cache-miss\"]",
            "Kong: NameNotFound upstream=app detail=app | DNS resolution failed: dns server error: 3 name error",
        ),
        (
            "[lua] init.lua:7: balancer(): failure to get a peer from the ring-balancer",
            "Kong: NoLiveUpstream | failure to get a peer from the ring-balancer",
        ),
        (
            "[lua] balancer.lua:360: run(): failed to pick server: failed to find valid upstream server, all upstream servers tried",
            "APISIX: NoLiveUpstream | failed to pick server",
        ),
        (
            "lua tcp socket connect timed out, when connecting to 192.0.2.9:6379",
            "OpenResty: ExternalTimedOut detail=192.0.2.9:6379 | lua tcp socket connect timed out",
        ),
    ] {
        check(&format!("{TIME} [error] 32#0: *5 {text}, {asked}"), want);
    }
    check_nothing(&format!(
        "{TIME} [error] 32#0: *5 [lua] x.lua:1: f(): got DNS resolution failed: 3 name error, {asked}"
    ));
}

const ACCESS: &str = "192.0.2.1 - - [27/Oct/2023:10:30:15 +0000] \"GET /data HTTP/1.1\"";

#[test]
fn a_status_alone_does_not_say_who_made_it() {
    check(
        &format!("{ACCESS} 502 157 \"-\" \"curl/8.0\" \"-\""),
        "served 502; nginx: Answered502 status=502 | 502",
    );
    check(&format!("{ACCESS} 200 157 \"-\" \"502 504\""), "served 200");
    check(
        &format!("{ACCESS} 499 0 \"-\" \"curl/8.0\""),
        "served 499; nginx: ClientClosed status=499 | 499",
    );
    check(&format!("{ACCESS} 009 0 \"-\" \"curl/8.0\""), "served 9; nginx: NotHttp status=9 | 009");
    check(&format!("{ACCESS} 429 0 \"-\" \"curl/8.0\""), "served 429");
}

#[test]
fn lists_of_attempts_say_which_failed() {
    let ingress = |status: &str, tail: &str| {
        format!("{ACCESS} {status} 150 \"-\" \"curl/8.0\" 94 0.003 [ns-app-80] [] {tail}")
    };
    check(
        &ingress("502", "192.0.2.7:8080 0 0.003 502 b9058637e160edcb392b30a6dab624e6"),
        "served 502; ingress-nginx: Answered502 upstream=192.0.2.7:8080 status=502 | 502",
    );
    check(
        &ingress("502", "192.0.2.7:8080 99 0.003 502 b9058637e160edcb392b30a6dab624e6"),
        "served 502; ingress-nginx: RelayedError upstream=192.0.2.7:8080 status=502 | 502",
    );
    check(
        &ingress(
            "200",
            "192.0.2.7:8080, 192.0.2.8:8080 0, 12 0.003, 0.004 502, 200 b9058637e160edcb",
        ),
        "served 200; ingress-nginx: Answered502 upstream=192.0.2.7:8080 status=200 | 502",
    );
    check(
        &format!(
            "{ACCESS} 502 150 \"-\" \"a\" rt=0.1 uct=\"0.0\" uht=\"0.1\" urt=\"0.1\" us=\"502\" ua=\"192.0.2.7:80\""
        ),
        "served 502; nginx: RelayedError upstream=192.0.2.7:80 status=502 | 502",
    );
    check(
        &format!("{ACCESS} 502 150 \"-\" \"a\" rt=0.1 uht=- us=502 ua=192.0.2.7:80"),
        "served 502; nginx: Answered502 upstream=192.0.2.7:80 status=502 | 502",
    );
    check(
        "192.0.2.1 - - [27/Oct/2023:10:30:15 +0000] api.example.com \"GET / HTTP/1.1\" 502 1 0.004 \
         \"-\" \"curl/8\" 192.0.2.7:80, 192.0.2.8:80 502, 502 0.002, 0.002 \"http://api.example.com\"",
        "served 502; APISIX: Answered502 upstream=192.0.2.8:80 status=502 | 502",
    );
}

#[test]
fn objects_of_json_are_read_by_their_names() {
    let line = |rest: &str| {
        format!(
            r#"{{"time_iso8601":"2023-10-27T10:30:15+00:00","request":"GET /a\" HTTP/1.1","request_time":0.1,{rest}}}"#
        )
    };
    check(
        &line(
            r#""status":504,"upstream_addr":"192.0.2.7:80","upstream_status":"504","upstream_header_time":"-""#,
        ),
        "served 504; nginx: Answered504 upstream=192.0.2.7:80 status=504 | 504",
    );
    check(&line(r#""http_user_agent":"\"status\":\"502\"","status": "200""#), "served 200");
    check_nothing(r#"{"level":"error","status":502,"request_time":1}"#);
    check_nothing(r#"{"status":502}"#);
    check_nothing("{\"");
}

#[test]
fn a_message_is_read_behind_marks_and_fields() {
    let refused = "connect() failed (111: Connection refused) while connecting to upstream";
    for line in [
        format!("> {refused}, client: 192.0.2.1"),
        format!("`{refused}`"),
        format!("- nginx: {refused}"),
        format!("error: {refused}"),
        format!("[error] {refused}"),
        format!("nginx error log: {refused}"),
        format!("level=error msg=\"{refused}\""),
        format!(r#"{{"level":"error","message":"{refused}"}}"#),
        format!("2026-11-20T15:16:30Z proxy-1 [error] {refused}"),
    ] {
        check(&line, &format!("nginx: ConnectRefused | {refused}"));
    }
    check_nothing(&format!("the docs say that {refused} is a common message"));
    check_nothing(&format!("warn: somebody sent \"x: {refused}\""));
    check_nothing(&format!(
        "192.0.2.1 - - [20/Nov/2026:15:16:30 +0000] \"GET /: {refused} HTTP/1.1\" 200 5"
    ));
}

#[test]
fn the_user_of_an_access_line_may_be_any_words() {
    let line = |user: &str| {
        format!(
            "192.0.2.1 - {user} [27/Oct/2023:10:30:15 +0000] \"GET / HTTP/1.1\" 200 5 \"-\" \"a\""
        )
    };
    check(&line("me"), "served 200");
    check(&line("Out of memory: Killed process 42 (a)"), "served 200");
    check(
        &line("Oct 27 10:30:15 a kernel: b[42]: segfault at 0 ip 1 sp 2 error 4 in c[3+4]"),
        "served 200",
    );
    check(
        &line("Oct 27 10:30:15 a haproxy[42]: Server b/c is DOWN, reason: Layer4 timeout"),
        "served 200",
    );
    check(&line("{[27/Oct/2023:10:30:15 +0000]"), "served 200");
}

#[test]
fn messages_of_rarer_modules_are_read() {
    for (message, sign, words) in [
        (
            "upstream closed prematurely FastCGI stdout while reading response header from upstream",
            "Closed",
            "upstream closed prematurely FastCGI stdout",
        ),
        (
            "upstream split a header line in FastCGI records while reading upstream",
            "HeaderBad",
            "upstream split a header line in FastCGI records",
        ),
        (
            "upstream buffer is too small to read response while reading upstream",
            "HeadTooBig",
            "upstream buffer is too small to read response",
        ),
        (
            "upstream sent response body larger than indicated content length while reading upstream",
            "LengthLong",
            "upstream sent response body larger than indicated content length",
        ),
        (
            "upstream violated stream flow control, received 9 data frame with window 1",
            "ProtocolError",
            "upstream violated stream flow control",
        ),
        (
            "memcached sent invalid response: \"no live upstreams\" while reading upstream",
            "ProtocolError",
            "memcached sent invalid",
        ),
        ("zero length URI to proxy", "NoCluster", "zero length URI to proxy"),
        ("invalid URL prefix in \"app\"", "NoCluster", "invalid URL prefix in"),
    ] {
        says(message, &format!("nginx: {sign} upstream=http://192.0.2.7:8000/data | {words}"));
    }
    check(
        &format!("{TIME} [error] 1#1: *5 upstream \"app\" not found, client: 192.0.2.1, server: x"),
        "nginx: NoCluster upstream=app | upstream \"app\" not found",
    );
    says_nothing("upstream \"no live upstreams\" was said");
}

#[test]
fn what_nginx_lacks_at_its_start_keeps_it_from_starting() {
    for words in [
        "cannot load certificate \"/etc/ssl/a.pem\": BIO_new_file() failed (SSL: error:80000002)",
        "open() \"/etc/nginx/mime.types\" failed (2: No such file or directory)",
        "getpwnam(\"app\") failed",
        "still could not bind()",
    ] {
        let want = format!("nginx: BootFailed detail={words} | {words}");
        check(&format!("nginx: [emerg] {words}"), &want);
        check_nothing(&format!("{TIME} [error] 1#1: *5 {words}, {REST}"));
    }
}

#[test]
fn a_line_whose_middle_was_left_out_still_names_the_upstream() {
    check(
        "connect() failed (111: Connection refused) while connecting to upstream: \"http://192.0.2.7:8000/x\"",
        "nginx: ConnectRefused upstream=http://192.0.2.7:8000/x | connect() failed (111: Connection \
         refused) while connecting to upstream",
    );
    check(
        "connect() failed (111: Connection refused) while connecting to upstream: \"http://192.0",
        "nginx: ConnectRefused | connect() failed (111: Connection refused) while connecting to upstream",
    );
}

#[test]
fn a_proxy_behind_a_bridge_of_docker_is_in_a_container() {
    let refused = "connect() failed (111: Connection refused) while connecting to upstream";
    let line = |client: &str| {
        format!(
            "2026/11/20 15:16:30 [error] 7#7: *5 {refused}, client: {client}, server: a, request: \
             \"GET / HTTP/1.1\", upstream: \"http://127.0.0.1:8000/\", host: \"a\""
        )
    };
    let fault = format!("nginx: ConnectRefused upstream=http://127.0.0.1:8000/ | {refused}");
    check(&line("172.18.0.1"), &format!("nginx: InContainer | {refused}; {fault}"));
    check(&line("172.18.0.2"), &fault);
    check(&line("172.32.0.1"), &fault);
    check(&line("192.0.2.1"), &fault);
    check(
        "/docker-entrypoint.sh: Configuration complete; ready for start up",
        "nginx: InContainer | /docker-entrypoint.sh: Configuration complete",
    );
}

#[test]
fn the_request_is_found_without_who_asked_and_on_lines_of_its_own() {
    check(
        "[error] 7#7: connect() failed (111: Connection refused) while connecting to upstream, request: \"GET /\", upstream: \"http://192.0.2.10:8000/\", host: \"a\"",
        "nginx: ConnectRefused upstream=http://192.0.2.10:8000/ | connect() failed (111: Connection refused) while connecting to upstream",
    );
    check(
        "[error] 7#7: *5 upstream prematurely closed connection while reading response header from upstream,\nclient: 192.0.2.1,\nserver: a,\nrequest: \"GET / HTTP/1.1\",\nupstream: \"http://192.0.2.10:8000/\",\nhost: \"a\"",
        "nginx: Closed upstream=http://192.0.2.10:8000/ | upstream prematurely closed connection while reading response header from upstream",
    );
    check(
        "[error] 7#7: *5 upstream prematurely closed connection while reading response header from upstream,\nsomething else\nupstream: \"http://192.0.2.10:8000/\"",
        "nginx: Closed | upstream prematurely closed connection while reading response header from upstream",
    );
}
