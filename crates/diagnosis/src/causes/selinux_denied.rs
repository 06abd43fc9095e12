//! SELinux does not let the gateway connect there.
//!
//! ## What you see
//! `Permission denied` on a TCP address, at once, on every request, mostly on RHEL, Fedora, Rocky
//! or Alma. nginx logs `connect() to 127.0.0.1:8082 failed (13: Permission denied) while connecting
//! to upstream`; the audit log `avc:  denied  { name_connect } for  pid=N comm="nginx" dest=8082
//! ... tclass=tcp_socket permissive=0` (for Unix sockets `{ connectto }`, or `{ write }` on the
//! file).
//!
//! ## Why it happens
//! The policy lists to which kinds of ports and files a confined web server may connect, and this
//! one is not among them. Modes and users have nothing to do with it.
//!
//! ## How to tell
//! The audit record names the process and the port. On TCP hardly anything else yields this error.
//! `getenforce` says `Enforcing`.
//!
//! ## Fix
//! Allow just this, and leave SELinux on: label the port (`semanage port -a -t http_port_t -p tcp
//! 8082`), allow web servers to connect out (`setsebool -P httpd_can_network_connect 1`), or
//! restore the label of the socket's folder (`restorecon -Rv`).

use crate::advice;
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{AGAINST, Claim, DECIDES, Text, When, before};
use evidence::{Sign, Stack, address};
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "selinux_denied",
    family: Family::F10,
    title: "SELinux does not let the gateway connect",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectDenied, 0.93),
            (Sign::ConnectNotPermitted, 0.03),
            (Sign::SocketDenied, 0.07),
            (Sign::NoLiveUpstream, 0.002),
        ],
        clues: &[before(Sign::SelinuxDenied, DECIDES)],
        brings: &["unix_socket_permission"],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::PermissionDenied) = case.fault()? else {
        return None;
    };
    let dialled = case.dialled();
    Some(match case.unix_path() {
        None => Finding::new(
            0.65,
            format!("SELinux does not let the gateway connect to {dialled}"),
            "a network address has no mode; only a security policy says permission denied there",
        ),
        Some(_) => Finding::new(
            0.2,
            format!("SELinux may not let the gateway connect to {dialled}"),
            "a security policy denies with the same error as the mode of a file",
        ),
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    let allow = match (case.unix_path(), case.port()) {
        (Some(path), _) => {
            Fix::run("Then restore the label of the socket", format!("restorecon -v '{path}'"))
        }
        (None, port) => Fix::run(
            "Then allow this port for web servers, and leave SELinux on",
            format!("semanage port -a -t http_port_t -p tcp {}", port.unwrap_or(8000)),
        ),
    };
    vec![
        Fix::run("Read what was denied, to whom", "ausearch -m avc -ts recent"),
        allow,
        Fix::run(
            "Or, if the gateway runs confined as a web server, allow it to connect out",
            "setsebool -P httpd_can_network_connect 1",
        ),
    ]
}

/// The switch without which no web server may connect out, as the host shows it.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let confined = matches!(dossier.incident.hop.stack(), Stack::Nginx | Stack::Apache);
    let reached = [Sign::ConnectDenied, Sign::NoLiveUpstream, Sign::ConnectFailed];
    let unix = dossier.upstream().is_some_and(|it| address::socket(it).is_some());
    if !confined || unix || !reached.contains(&dossier.sign()) {
        return Vec::new();
    }
    let shown = dossier.seen(Sign::SelinuxMode, When::Any);
    let Some(switch) = shown.into_iter().find(|it| it.key.who.is_some()) else {
        return Vec::new();
    };
    let (weight, says) = match switch.detail() {
        Some("off") => (7.0, "SELinux lets no web server connect to the network"),
        _ => (AGAINST, "SELinux lets web servers connect to the network"),
    };
    vec![Claim::new(weight, says, vec![switch.cite()])]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::SelinuxDenied, When::Before);
    let Some(first) = seen.first() else {
        let switch = dossier.seen(Sign::SelinuxMode, When::Any);
        let switch = switch.iter().find(|it| it.detail() == Some("off"));
        if let Some(name) = switch.and_then(|it| it.key.who.as_deref()) {
            return Some(format!(
                "SELinux lets {} connect to no network address: `{name}` is off",
                dossier.hop()
            ));
        }
        return Some(format!(
            "the host of {} denied it the connection to {} (EACCES), as SELinux does",
            dossier.hop(),
            dossier.address()
        ));
    };
    let who = first.key.who.as_deref().unwrap_or_else(|| dossier.hop());
    let access = first.detail().unwrap_or("access");
    Some(match (&first.key.upstream, dossier.upstream(), first.run.opening.number) {
        (Some(path), ..) => format!("SELinux denied {who} the access to {path} ({access})"),
        (None, Some(to), _) if access == "name_connect" => {
            format!("SELinux denied {who} the connection to {to}")
        }
        (None, None, Some(port)) => format!("SELinux denied {who} the connection to port {port}"),
        _ => format!("SELinux denied {who} the access ({access})"),
    })
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let port = dossier.port();
    let seen = dossier.seen(Sign::SelinuxDenied, When::Before);
    let named = seen.first().and_then(|it| it.run.opening.number);
    let path = dossier.upstream().and_then(address::socket);
    let now = match path {
        Some(path) => {
            let directory = path.rsplit_once('/').map_or("/run", |(it, _)| it);
            let directory = if directory.is_empty() { "/" } else { directory };
            let word = advice::word(directory);
            vec![
                Step::run(
                    "Give the socket's directory the label that web servers may use",
                    format!("sudo semanage fcontext -a -t httpd_var_run_t {} && sudo restorecon -Rv {word}", format_args!("'{word}(/.*)?'")),
                    Risk::None,
                )
                .at(at.clone()),
                Step::run(
                    "If the denial is `connectto`, allow that one access by a module of its own, after reading what is in it",
                    "sudo ausearch -m avc -ts recent | audit2allow -M proxy-app && cat proxy-app.te && sudo semodule -i proxy-app.pp",
                    Risk::None,
                )
                .at(at.clone()),
            ]
        }
        None => {
            let boolean = match dossier.incident.hop.stack() {
                Stack::HaProxy => "haproxy_connect_any",
                _ => "httpd_can_network_connect",
            };
            let mut now = vec![
                Step::run(
                    "Let the proxy connect to the network",
                    format!("sudo setsebool -P {boolean} 1"),
                    Risk::None,
                )
                .at(at.clone()),
            ];
            if let Some(port) = port.map(i64::from).or(named) {
                now.push(
                    Step::run(
                        "Or allow it this one port, in place of all",
                        format!("sudo semanage port -a -t http_port_t -p tcp {port}"),
                        Risk::None,
                    )
                    .at(at.clone()),
                );
            }
            now
        }
    };
    Cure {
        before: vec![
            Step::look("See the denial", "getenforce; sudo ausearch -m avc -ts today")
                .at(at.clone()),
        ],
        now,
        verify: vec![
            advice::through(dossier, "an answer of the app"),
            Step::look("See no new denial", "sudo ausearch -m avc -ts recent").at(at),
        ],
        ..Cure::default()
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn permission_denied_on_a_port_is_a_policy() {
        check(
            "connect: permission_denied | to=127.0.0.1:8082 errno=13",
            "selinux_denied: SELinux does not let the gateway connect to 127.0.0.1:8082",
        );
    }

    #[test]
    fn on_a_file_the_mode_is_likelier() {
        check_among("connect: permission_denied | to=unix:/run/app.sock", "selinux_denied");
    }

    #[test]
    fn not_permitted_is_a_packet_filter() {
        check_not("connect: not_permitted | to=127.0.0.1:8082", "selinux_denied");
    }

    #[test]
    fn the_switch_that_is_off_is_said() {
        let line = nginx("no live upstreams while connecting to upstream", "http://localhost/");
        let report = crate::testing::explained(&[
            ("error.log", &line),
            ("getsebool.txt", "httpd_can_network_connect --> off\n"),
        ]);
        let ids: Vec<&str> = report.candidates.iter().map(|it| it.cause.as_str()).collect();
        assert!(ids[..2].contains(&"selinux_denied"), "{ids:?}");
    }

    #[test]
    fn the_denial_is_said() {
        let line = nginx(
            "connect() to 127.0.0.1:8082 failed (13: Permission denied) while connecting to upstream",
            "http://127.0.0.1:8082/",
        );
        let audit = "type=AVC msg=audit(1795187790.123:417): avc:  denied  { name_connect } for  pid=12 comm=\"nginx\" dest=8082 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:us_cli_port_t:s0 tclass=tcp_socket permissive=0\n";
        let report = check_report(
            &[("error.log", &line), ("audit.log", audit)],
            "selinux_denied: SELinux denied nginx the connection to 127.0.0.1:8082",
        );
        check_told(
            &report,
            &[
                "setsebool -P httpd_can_network_connect 1",
                "semanage port -a -t http_port_t -p tcp 8082",
            ],
        );
    }
}
