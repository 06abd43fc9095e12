//! What to look at next: the commands that would decide between candidates, cheapest first.

use crate::advice::{self, hop_host};
use crate::dossier::Dossier;
use crate::platform::{
    app_log, ask, config_of, container, host_of, is_name, is_plain, kubernetes, log_of, program,
    service, since,
};
use crate::report::{Next, NotLookedAt, Then};
use crate::tls_words;
use crate::weigh::Weighed;
use evidence::{Kind, Sign, Stack, address};

/// Something to run, and what its outcomes would say.
pub(crate) struct Look {
    /// Outcomes and the causes that they speak for.
    pub(crate) then: &'static [(&'static str, &'static str)],
    decides: &'static str,
    needs: Option<&'static str>,
    /// Where to run it, and what; `None` where it makes no sense for this incident.
    run: fn(&Dossier) -> Option<(String, String)>,
}

/// At most so many: more is not read.
const STEPS: usize = 3;
/// A step with at most so many outcomes shows all of them.
const OUTCOMES: usize = 5;
/// One with more shows those of the candidates, and others up to so many.
const AT_LEAST: usize = 3;
/// An outcome below this is shown only where there is room.
const WORTH: f32 = 0.01;

/// In the order of their cost to who runs them.
pub(crate) const LOOKS: &[Look] = &[
    Look {
        then: &[
            ("no line", "process_down"),
            ("the app is there, on another port", "wrong_port"),
            ("it listens on 127.0.0.1 only, and the proxy is elsewhere", "bound_to_loopback"),
            ("another program has the port", "port_in_use"),
        ],
        decides: "whether anything listens where the proxy dials",
        needs: None,
        run: |it| {
            let port = it.port()?;
            match container(it) {
                true => Some((
                    "the container host".to_owned(),
                    format!(
                        "docker compose ps; docker compose exec {} sh -c 'ss -ltn || netstat -ltn'",
                        service(it)
                    ),
                )),
                false => Some((
                    host_of(it),
                    match program(it) {
                        it if it == "APP" => format!("sudo ss -ltnp 'sport = :{port}'"),
                        it => format!("sudo ss -ltnp | grep -E ':{port}|{it}'"),
                    },
                )),
            }
        },
    },
    Look {
        then: &[
            ("it exits, and its last lines are an error", "crash_at_start"),
            ("inactive or stopped", "process_down"),
            ("it restarts again and again", "crash_loop"),
            ("still starting", "startup_not_ready"),
            ("`Address already in use`", "port_in_use"),
            ("the database cannot be reached", "db_down"),
        ],
        decides: "whether the app runs, and why not",
        needs: None,
        run: |it| Some((host_of(it), app_log(it))),
    },
    Look {
        then: &[
            (
                "`Killed process` with the worker's name, CONSTRAINT_MEMCG",
                "worker_oom_killed_cgroup",
            ),
            ("`Killed process`, without a cgroup", "worker_oom_killed_global"),
            ("`segfault at`", "worker_crashed"),
        ],
        decides: "whether the kernel ended the worker",
        needs: Some("root"),
        run: |it| {
            Some((
                host_of(it),
                format!(
                    "sudo journalctl -k {} | grep -iE 'oom|killed process|segfault'",
                    since(it)
                ),
            ))
        },
    },
    Look {
        then: &[
            ("`WORKER TIMEOUT`, `HARAKIRI` or `execution timed out`", "worker_timeout_killed"),
            ("a worker exits or is replaced at that second", "worker_crashed"),
            ("`Autorestarting worker` or `lifetime reached`", "worker_recycled"),
            ("`Handling signal: term` or a deploy", "deploy_in_progress"),
            ("nothing at all at that second", "keepalive_race"),
        ],
        decides: "what the app server did at the second of the failure",
        needs: None,
        run: |it| Some((host_of(it), app_log(it))),
    },
    Look {
        then: &[
            ("the app's idle time is shorter than the proxy's", "keepalive_race"),
            ("the proxy opens a connection for each request", "worker_crashed"),
        ],
        decides: "whether idle connections are reused for longer than the app keeps them",
        needs: None,
        run: |it| match it.incident.hop.stack() {
            Stack::Nginx => Some((
                "the nginx host".to_owned(),
                "nginx -T 2>/dev/null | grep -nE 'keepalive|proxy_http_version|upstream '"
                    .to_owned(),
            )),
            _ => None,
        },
    },
    Look {
        then: &[
            ("every request is slow, also the simplest", "worker_pool_exhausted"),
            ("only this path is slow", "response_header_timeout"),
            ("even the health path does not answer", "process_hung"),
        ],
        decides: "whether one route is slow, or the whole app",
        needs: None,
        run: |it| {
            let upstream = dialled(it)?;
            Some((
                host_of(it),
                format!(
                    "curl -s -o /dev/null -w '%{{http_code}} %{{time_starttransfer}}s\\n' http://{upstream}/"
                ),
            ))
        },
    },
    Look {
        then: &[
            ("it connects at once", "accept_backlog_full"),
            ("it times out here too", "firewall_drop"),
            ("no route to host", "host_down"),
            ("it connects, but later than the proxy waits", "connect_timeout_too_short"),
            ("`Network is unreachable`, or `ip route get` names no way", "no_route"),
        ],
        decides: "whether the address answers at all",
        needs: None,
        run: |it| {
            let upstream = dialled(it)?;
            let port = address::port(upstream)?;
            Some((hop_host(it), format!("time nc -vz -w 10 {} {port}", address::host(upstream))))
        },
    },
    Look {
        then: &[
            ("Recv-Q is larger than Send-Q", "accept_backlog_full"),
            ("no line", "process_down"),
            ("Recv-Q is 0", "firewall_drop"),
        ],
        decides: "whether the app's queue of connections is full",
        needs: None,
        run: |it| Some(("the app's host".to_owned(), format!("ss -ltn 'sport = :{}'", it.port()?))),
    },
    Look {
        then: &[("the two share no network", "wrong_network"), ("they share one", "firewall_drop")],
        decides: "whether proxy and app are on one container network",
        needs: None,
        run: |it| {
            container(it).then(|| {
            ("the container host".to_owned(), "docker network inspect $(docker network ls -q) --format '{{.Name}}: {{range .Containers}}{{.Name}} {{end}}'".to_owned())
        })
        },
    },
    Look {
        then: &[
            ("the name is not found", "dns_nxdomain"),
            ("another address than the one dialled", "dns_stale_ip"),
            ("SERVFAIL", "dns_servfail"),
            ("no answer", "dns_timeout"),
        ],
        decides: "what the name resolves to now, where the proxy runs",
        needs: None,
        run: |it| {
            let name = it.incident.detail.as_deref().or(it.upstream()).map(address::host)?;
            (!address::is_ip(name) && is_name(name))
                .then(|| (hop_host(it), format!("getent hosts {name} || dig {name}")))
        },
    },
    Look {
        then: &[
            ("it completes with this name (0)", "tls_sni_rejected"),
            ("`wrong version number`", "tls_to_plain_port"),
            ("`certificate has expired` (10)", "tls_cert_expired"),
            ("`self-signed certificate` (18): it is its own issuer", "tls_self_signed"),
            ("`unable to get local issuer` (20), or `in certificate chain` (19)", "tls_unknown_ca"),
            ("`unable to verify the first certificate` (21)", "tls_incomplete_chain"),
            ("`hostname mismatch` (62)", "tls_wrong_hostname"),
            ("`alert protocol version`", "tls_version_mismatch"),
            (
                "`Acceptable client certificate CA names`, or `alert certificate required`",
                "tls_client_cert_required",
            ),
            (
                "with the proxy's -cert and -key: `alert unknown ca`, `bad certificate` or `certificate expired`",
                "tls_client_cert_rejected",
            ),
            ("`alert handshake failure`, and none with another -cipher", "tls_cipher_mismatch"),
            ("`unexpected eof while reading`, without an alert", "tls_peer_closed"),
            ("`CONNECTED`, and then nothing", "tls_handshake_timeout"),
        ],
        decides: "how the upstream's TLS answers, with a server name and without",
        needs: None,
        run: |it| {
            let tls =
                crate::signs_on_wire::wire(it.sign()).is_some_and(|it| it.starts_with("tls_"));
            (tls && it.upstream().is_some()).then(|| (hop_host(it), tls_words::check(it)))
        },
    },
    Look {
        then: &[
            ("bytes of TLS, or `HTTP request was sent to HTTPS port`", "http_to_tls_port"),
            ("an answer of HTTP", "premature_close"),
        ],
        decides: "whether the port speaks plain HTTP",
        needs: None,
        run: |it| {
            let upstream = dialled(it)?;
            Some((host_of(it), format!("curl -sv http://{upstream}/ -o /dev/null")))
        },
    },
    Look {
        then: &[
            (
                "a directory on the way lacks the x bit, or owner and mode exclude the proxy's user",
                "unix_socket_permission",
            ),
            ("modes are fine, and `ausearch -m avc` has a denial", "selinux_denied"),
            ("no such file", "unix_socket_missing"),
        ],
        decides: "who may open the socket",
        needs: None,
        run: |it| {
            let path = it.upstream().and_then(address::socket).filter(|it| is_plain(it))?;
            Some((hop_host(it), format!("namei -l {path}; sudo ausearch -m avc -ts recent")))
        },
    },
    Look {
        then: &[
            ("`avc: denied { name_connect }`", "selinux_denied"),
            ("no denial", "egress_policy_denied"),
        ],
        decides: "whether SELinux denied the connection",
        needs: Some("root"),
        run: |it| {
            (it.sign() == Sign::ConnectDenied).then(|| {
                (
                    hop_host(it),
                    "getenforce; sudo ausearch -m avc -ts today | grep name_connect".to_owned(),
                )
            })
        },
    },
    Look {
        then: &[
            ("no ready address", "endpoints_empty"),
            ("addresses that do not match the pods", "discovery_stale"),
            ("another targetPort than the pods listen on", "k8s_target_port_mismatch"),
        ],
        decides: "which pods the service leads to",
        needs: None,
        run: |it| {
            kubernetes(it).then(|| {
                (
                    "where kubectl works".to_owned(),
                    "kubectl get endpointslices,pods -o wide; kubectl describe service".to_owned(),
                )
            })
        },
    },
    Look {
        then: &[
            ("state Terminated, reason OOMKilled", "worker_oom_killed_cgroup"),
            ("CrashLoopBackOff", "crash_loop"),
            ("Readiness probe failed", "k8s_readiness_failing"),
            ("Liveness probe failed", "k8s_liveness_kill"),
            ("Killing, at the time of the failures", "deploy_in_progress"),
        ],
        decides: "what happened to the pods",
        needs: None,
        run: |it| {
            kubernetes(it).then(|| {
                (
                    "where kubectl works".to_owned(),
                    "kubectl describe pods; kubectl get events --sort-by=.lastTimestamp".to_owned(),
                )
            })
        },
    },
    Look {
        then: &[
            ("active queries that wait, or run for long", "db_slow_or_locked"),
            ("as many connections as allowed", "db_too_many_clients"),
            ("it cannot be reached", "db_down"),
        ],
        decides: "whether the database holds the app up",
        needs: None,
        run: |it| {
            matches!(it.sign(), Sign::HeadTimedOut | Sign::Answered504).then(|| {
            ("the database".to_owned(), "psql -c \"select state, wait_event_type, count(*) from pg_stat_activity group by 1, 2\"".to_owned())
        })
        },
    },
    Look {
        then: &[
            ("other text than `HTTP/1.1 200 …` in the first line", "malformed_status_line"),
            (
                "the greeting of another protocol (`-ERR`, `SSH-2.0`, `220 `)",
                "wrong_protocol_service",
            ),
            ("a line without a colon, or a space in a header's name", "invalid_header_line"),
            ("`^@` or another `^` within a header", "control_char_in_header"),
            ("Content-Length and Transfer-Encoding together", "cl_and_te"),
            ("a Transfer-Encoding other than chunked", "unknown_transfer_encoding"),
            ("headers of more bytes than the proxy's buffer", "header_too_big"),
            ("it ends before the empty line", "partial_head"),
            ("`content-type: application/grpc`, or frames of HTTP/2", "grpc_mismatch"),
            ("a sound answer of HTTP/1.1, while the proxy speaks HTTP/2", "http2_to_http1"),
        ],
        decides: "what the app answers, byte by byte",
        needs: None,
        run: |it| {
            matches!(
                it.sign(),
                Sign::ProtocolError
                    | Sign::NotHttp
                    | Sign::StatusLineBad
                    | Sign::HeaderBad
                    | Sign::HeaderControlChar
                    | Sign::HeadPartial
                    | Sign::CodingUnknown
                    | Sign::LengthAndChunked
            )
            .then(|| (hop_host(it), advice::bytes(it)))
        },
    },
    Look {
        then: &[
            (
                "`unexpected data while we expected SETTINGS`, or an answer of HTTP/1.1",
                "http2_to_http1",
            ),
            ("HTTP/2, with another content-type than application/grpc", "grpc_mismatch"),
            ("`stream … was not closed cleanly`, or a code of RST_STREAM", "http2_stream_reset"),
            ("the connection itself is reset", "connection_reset"),
        ],
        decides: "whether the port speaks HTTP/2, and with which content type",
        needs: None,
        run: |it| {
            let of_http2 =
                matches!(it.sign(), Sign::Http2ToHttp1 | Sign::GrpcMismatch | Sign::StreamReset);
            let upstream = dialled(it).filter(|_| of_http2)?;
            let command =
                format!("curl -sv --http2-prior-knowledge http://{upstream}/ -o /dev/null");
            Some((hop_host(it), command))
        },
    },
    Look {
        then: &[
            ("the app answers 5xx here too", "upstream_own_5xx"),
            ("a second number above the proxy's buffer (4096 or 8192)", "header_too_big"),
            ("`Connection reset by peer`", "connection_reset"),
            ("it answers at once, and its log is silent about the failed ones", "circuit_open"),
            (
                "it answers, and the proxy counts as many connections as it may",
                "upstream_connection_limit",
            ),
        ],
        decides: "whether the app itself gives the error, and how large the head of its answer is",
        needs: None,
        run: |it| {
            let unexplained = matches!(it.sign(), Sign::Answered502 | Sign::Answered503);
            let command = ask(it).filter(|_| unexplained)?;
            Some((
                hop_host(it),
                command.replace("-sv", "-sS -w '%{http_code}, head of %{size_header} bytes\\n'"),
            ))
        },
    },
    Look {
        then: &[
            ("the app resets at once, before the request is complete", "client_upload_rejected"),
            (
                "an R after a rest of minutes, and the app's host never sent it",
                "idle_drop_by_middlebox",
            ),
            ("the app resets right after the TLS handshake", "tls_client_cert_required"),
            ("the app resets after the request is complete", "connection_reset"),
            ("the request begins with bytes 01 01, and the app speaks HTTP", "fastcgi_mismatch"),
            ("an F within milliseconds after the answer before", "head_fin_race"),
        ],
        decides: "who ends the connection, and after what",
        needs: Some("root"),
        run: |it| {
            let ended = matches!(
                it.sign(),
                Sign::Reset | Sign::SendBroken | Sign::Closed | Sign::Disconnected
            );
            let port = it.port().filter(|_| ended)?;
            Some((
                hop_host(it),
                format!(
                    "sudo timeout 300 tcpdump -ni any -ttt 'tcp port {port} and tcp[tcpflags] & (tcp-syn|tcp-fin|tcp-rst|tcp-push) != 0'"
                ),
            ))
        },
    },
    Look {
        then: &[
            ("one server's scur stands at its slim and qcur grows", "gateway_queue_timeout"),
            ("requests are refused at once, and nothing waits", "upstream_connection_limit"),
            ("the app's log is silent, after failures of its own", "circuit_open"),
        ],
        decides: "whether requests wait for a connection, or are refused at the proxy's limit",
        needs: None,
        run: |it| {
            let held = matches!(
                it.sign(),
                Sign::QueueTimedOut | Sign::ConnectionLimit | Sign::CircuitOpen
            );
            let command = match it.incident.hop.stack() {
                Stack::HaProxy => {
                    "echo 'show stat' | sudo socat stdio /run/haproxy/admin.sock | cut -d, -f1-8,14"
                }
                Stack::Envoy => {
                    "curl -s http://127.0.0.1:9901/stats | grep -E 'overflow|rq_pending_active|cx_active|circuit_breakers'"
                }
                _ => return None,
            };
            held.then(|| (hop_host(it), command.to_owned()))
        },
    },
    Look {
        then: &[
            ("most of them lead from the proxy to its own address", "proxy_loop"),
            ("they lead to clients and to the app", "proxy_connection_table_full"),
        ],
        decides: "whose connections fill the proxy's table",
        needs: None,
        run: |it| {
            (it.sign() == Sign::ConnectionTableFull).then(|| {
                (hop_host(it), "ss -Htn state established | awk '{print $4}' | sort | uniq -c | sort -rn | head".to_owned())
            })
        },
    },
    Look {
        then: &[
            ("`message too long`, or only the small one comes back", "mtu_blackhole"),
            ("both come back", "tls_handshake_timeout"),
        ],
        decides: "whether large packets reach the app's host",
        needs: None,
        run: |it| {
            let upstream = dialled(it).filter(|_| it.sign() == Sign::TlsTimedOut)?;
            let host = address::host(upstream);
            Some((
                hop_host(it),
                format!("ping -c 3 -s 1000 {host}; ping -c 3 -M do -s 1472 {host}"),
            ))
        },
    },
    Look {
        then: &[
            ("it breaks off here too, with `transfer closed` (18)", "truncated_chunk"),
            ("`Recv failure: Connection reset` (56), or an error of TLS", "response_truncated"),
        ],
        decides: "how the body ends where no proxy is in between",
        needs: None,
        run: |it| {
            let command = ask(it).filter(|_| it.sign() == Sign::ChunkCut)?;
            Some((hop_host(it), command))
        },
    },
];

/// The upstream's host and port, where it is none of unix.
fn dialled<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    dossier.upstream().filter(|it| !it.starts_with("unix:") && is_plain(it))
}

/// The looks that would move the most probability, at most three.
pub(crate) fn steps(dossier: &Dossier, weighed: &[Weighed]) -> Vec<Next> {
    let confidence = |id: &str| {
        weighed.iter().find(|it| it.entry.cause.id == id).map_or(0.0, |it| it.confidence)
    };
    let mut decided: Vec<&str> = Vec::new();
    let mut steps: Vec<Next> = Vec::new();
    while steps.len() < STEPS {
        let worth = |look: &Look| {
            let open = look.then.iter().filter(|(_, id)| !decided.contains(id));
            open.map(|(_, id)| confidence(id)).sum::<f32>()
        };
        let best = LOOKS
            .iter()
            .filter(|look| worth(look) >= 0.03)
            .filter_map(|look| Some((look, (look.run)(dossier)?)))
            .filter(|(_, (_, run))| steps.iter().all(|it| it.run != *run))
            // Ties go to the cheaper, which stands first.
            .reduce(|a, b| if worth(b.0) > worth(a.0) + 1e-6 { b } else { a });
        let Some((look, (place, run))) = best else { break };
        decided.extend(look.then.iter().map(|(_, id)| *id));
        steps.push(Next {
            place,
            run,
            needs: look.needs.map(str::to_owned),
            decides: look.decides.to_owned(),
            then: outcomes(look, &confidence),
        });
    }
    steps
}

/// What the outcomes would say: of the candidates, and of others where there is room.
fn outcomes(look: &Look, confidence: &dyn Fn(&str) -> f32) -> Vec<Then> {
    let candidate = |id: &str| confidence(id) >= WORTH;
    let candidates = look.then.iter().filter(|(_, id)| candidate(id)).count();
    let mut room = match look.then.len() <= OUTCOMES {
        true => OUTCOMES,
        false => AT_LEAST.saturating_sub(candidates),
    };
    let shown = look.then.iter().filter(|(_, id)| {
        let others = usize::from(!candidate(id));
        let fits = room >= others;
        room = room.saturating_sub(others);
        fits
    });
    let then = |(condition, cause): &(&str, &str)| Then {
        condition: (*condition).to_owned(),
        cause: (*cause).to_owned(),
    };
    shown.map(then).collect()
}

/// Where no candidate can be told: what would say more at all.
pub(crate) fn fallback(dossier: &Dossier) -> Vec<Next> {
    let incident = dossier.incident;
    let step = |place: &str, run: String, decides: &str, then: &[(&str, &str)]| Next {
        place: place.to_owned(),
        run,
        needs: None,
        decides: decides.to_owned(),
        then: then
            .iter()
            .map(|(a, b)| Then { condition: (*a).to_owned(), cause: (*b).to_owned() })
            .collect(),
    };
    if incident.hop.stack() == Stack::Caller
        || matches!(incident.sign, Sign::CallerSawError | Sign::CallerFailed | Sign::CallerTimedOut)
    {
        let url = incident.routes.keys().find(|it| it.starts_with("http") && is_plain(it));
        let url = url.map_or("URL", String::as_str);
        return vec![
            step(
                "the machine that made the call",
                format!("curl -sv -o /dev/null {url} 2>&1 | grep -iE '^< |^\\* '"),
                "which server made the answer (Server, Via and its page), and in which phase",
                &[
                    ("a 5xx that the app itself made", "upstream_own_5xx"),
                    ("`Received HTTP code … from proxy`", "client_proxy_misconfig"),
                ],
            ),
            step(
                "the host of the API, if it is yours",
                "goodgate why /var/log/nginx/error.log".to_owned(),
                "why the proxy there could not get an answer",
                &[],
            ),
        ];
    }
    let log = match incident.hop.stack() {
        Stack::Nginx => "tail -n 1000 /var/log/nginx/error.log | goodgate why".to_owned(),
        Stack::Apache => "tail -n 1000 /var/log/apache2/error.log | goodgate why".to_owned(),
        Stack::HaProxy => "journalctl -u haproxy --since -1h | goodgate why".to_owned(),
        Stack::Kubernetes => "kubectl describe pods | goodgate why".to_owned(),
        _ => format!("{} | goodgate why", log_of(dossier)),
    };
    vec![step(
        "the host of the proxy",
        log,
        "what the proxy's error log and the app's say of the same time",
        &[],
    )]
}

/// Where nothing failed: failures may lie outside of what was given.
pub(crate) fn whole_day() -> Next {
    Next {
        place: "the hosts concerned".to_owned(),
        run: "goodgate why LOGS-OF-THAT-TIME --since all".to_owned(),
        needs: None,
        decides: "whether something failed outside of what was read".to_owned(),
        then: Vec::new(),
    }
}

/// Sources that would say more and were not given.
pub(crate) fn missing(dossier: &Dossier) -> Vec<NotLookedAt> {
    let mut missing = Vec::new();
    let incident = dossier.incident;
    let not_given = |source: &str, run: String| NotLookedAt {
        source: source.to_owned(),
        why: "not given".to_owned(),
        run: Some(run),
    };
    let has = |of: &dyn Fn(Stack) -> bool| {
        dossier.testimony.sources.iter().any(|it| it.products.iter().any(|it| of(it.stack())))
    };
    if incident.sign.kind() == Kind::Answer && incident.hop.stack() != Stack::Caller {
        missing.push(not_given(&format!("{}'s error log", dossier.hop()), log_of(dossier)));
    }
    if incident.of_requests() && !has(&|it| it.runs_apps() && it != Stack::Unknown) {
        missing.push(not_given("the app's log", app_log(dossier)));
    }
    if matches!(incident.sign, Sign::Closed | Sign::Reset | Sign::ConnectRefused | Sign::BodyCut)
        && !has(&|it| it == Stack::Kernel)
    {
        missing.push(not_given(
            "the kernel log of the app's host",
            format!("sudo journalctl -k {}", since(dossier)),
        ));
    }
    if incident.of_requests() && dossier.testimony.settings.is_empty() {
        missing.push(not_given("configurations of the proxy and the app", config_of(dossier)));
    }
    missing.push(NotLookedAt {
        source: "the hosts themselves".to_owned(),
        why: "the inputs come from elsewhere, so nothing was probed".to_owned(),
        run: None,
    });
    missing
}

#[cfg(test)]
mod tests {
    use super::{LOOKS, outcomes};
    use crate::testing::explained;

    fn of(first: &str, candidates: &[&str]) -> Vec<String> {
        let look = LOOKS.iter().find(|it| it.then.iter().any(|(_, id)| *id == first));
        let confidence = |id: &str| if candidates.contains(&id) { 0.3 } else { 0.0 };
        outcomes(look.expect("a look"), &confidence).into_iter().map(|it| it.cause).collect()
    }

    #[test]
    fn a_step_with_many_outcomes_shows_those_of_the_candidates() {
        let two = of("partial_head", &["header_too_big", "partial_head"]);
        assert_eq!(two, ["malformed_status_line", "header_too_big", "partial_head"]);
        let four = ["header_too_big", "partial_head", "cl_and_te", "grpc_mismatch"];
        assert_eq!(of("partial_head", &four).len(), 4);
    }

    #[test]
    fn what_a_log_says_is_not_run() {
        for line in [
            "2026/11/20 15:16:30 [error] 12#12: *5 $(evil).example.com could not be resolved (3: Host not found), client: 192.0.2.1, server: example.com, request: \"GET / HTTP/1.1\", host: \"example.com\"",
            "2026/11/20 15:16:30 [error] 12#12: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: example.com, request: \"GET / HTTP/1.1\", upstream: \"http://$(evil):8000/\", host: \"example.com\"",
            "2026/11/20 15:16:30 [crit] 12#12: *5 connect() to unix:/run/$(evil).sock failed (13: Permission denied) while connecting to upstream, client: 192.0.2.1, server: example.com, request: \"GET / HTTP/1.1\", upstream: \"http://unix:/run/$(evil).sock:/\", host: \"example.com\"",
            "requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: http://api.example.com/$(evil)",
        ] {
            let report = explained(&[("error.log", line)]);
            let runs = report.next.iter().map(|it| &it.run);
            let missing = report.not_looked_at.iter().filter_map(|it| it.run.as_ref());
            for run in runs.chain(missing) {
                assert!(!run.contains("$(evil)"), "{line}: {run}");
            }
        }
    }

    #[test]
    fn a_step_with_few_outcomes_shows_all() {
        assert_eq!(of("mtu_blackhole", &["tls_handshake_timeout"]).len(), 2);
    }
}
