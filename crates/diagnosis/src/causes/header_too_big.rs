//! The headers of the target's answer are larger, or more, than the gateway accepts.
//!
//! ## What you see
//! 502 for some users or pages only, often around a login. nginx logs `upstream sent too big header
//! while reading response header from upstream` (its limit is `proxy_buffer_size`, 4 or 8 KiB),
//! HAProxy marks `PH--`; Apache logs AH10124 behind a misleading `(28)No space left on device`.
//!
//! ## Why it happens
//! A session that is kept in a cookie and grows, the cookies of an OpenID Connect login, a long
//! `Content-Security-Policy` or `Link` field, an error text in a field. Cookies add up, for each
//! `Set-Cookie` is a field of its own.
//!
//! ## How to tell
//! The largest field is named in the verdict; its value is not shown.
//!
//! ## Fix
//! Make that field smaller: keep sessions on the server, and put nothing into cookies that is not
//! needed with every request. If the size is meant, raise `limits.response_head` knowingly: clients
//! and proxies behind have limits of their own.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::show;
use crate::text::Text;
use evidence::{Limit, Sign, address};
use exchange::HeadFault;

pub(super) static CAUSE: Cause = Cause {
    id: "header_too_big",
    family: Family::F9,
    title: "The head of the answer is larger than the limit",
    side: Side::App,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::HeadTooBig, 0.95),
            (Sign::HeadPartial, 0.03),
            (Sign::ProtocolError, 0.1),
            (Sign::Answered502, 0.04),
        ],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let server = case.server();
    let (statement, says) = match case.head_fault()? {
        HeadFault::TooBig { limit, largest_field: Some(field), largest_bytes } => (
            format!(
                "the head of {server}'s answer is larger than {} bytes: its largest field is {} \
                 with {largest_bytes} bytes",
                limit.value,
                show::text(field)
            ),
            format!("`{}` allows {} bytes", limit.name, limit.value),
        ),
        HeadFault::TooBig { limit, .. } => (
            format!("the head of {server}'s answer is larger than {} bytes", limit.value),
            format!("`{}` allows {} bytes", limit.name, limit.value),
        ),
        HeadFault::TooManyFields(limit) => (
            format!("the head of {server}'s answer has more than {} fields", limit.value),
            format!("`{}` allows {} fields", limit.name, limit.value),
        ),
        _ => return None,
    };
    Some(Finding::new(0.9, statement, says))
}

fn fix(case: &Case) -> Vec<Fix> {
    let (what, setting) = match case.head_fault() {
        Some(HeadFault::TooManyFields(limit)) => ("send fewer fields", limit.name),
        Some(HeadFault::TooBig { limit, .. }) => ("make that field smaller", limit.name),
        _ => ("make the head smaller", "limits.response_head"),
    };
    vec![
        Fix::new(format!("Let the app {what}: keep session data on the server, not in cookies")),
        Fix::run(
            "See how large each field is, without the gateway",
            format!(
                "curl -sD - -o /dev/null {}/PATH | awk '{{print length, $1}}' | sort -rn",
                case.url()
            ),
        ),
        Fix::new(format!(
            "If that size is meant, raise `{setting}`; clients and proxies behind the gateway have \
             limits too, and will be the next to refuse"
        )),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let stack = dossier.incident.hop.stack();
    let hop = dossier.hop();
    let limit = dossier.limit(Limit::AnswerHead, |it| it.stack() == stack);
    let of = limit.map(|(bytes, _)| format!(" of {bytes} bytes")).unwrap_or_default();
    Some(format!(
        "the head of the answer of {} is larger than {hop}'s buffer{of}",
        dossier.server_at()
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let module = advice::module(dossier);
    let busy = if module == "grpc" {
        String::new()
    } else {
        format!("\n{module}_buffers 8 16k;\n{module}_busy_buffers_size 32k;")
    };
    let text = "Give the proxy room for a head of this size";
    let mut now = match advice::old(dossier, Limit::AnswerHead)
        .filter(|_| advice::proxy(dossier) == Hop::Nginx)
    {
        Some((file, old)) => {
            let old = old.trim_end_matches(';');
            let diff = format!(
                "-    {old};\n+    {module}_buffer_size 16k;\n+    {module}_busy_buffers_size 32k;"
            );
            vec![Step::diff(text, file, diff, Risk::Reload).at(advice::hop_host(dossier))]
        }
        None => {
            let nginx = format!("{module}_buffer_size 16k;{busy}");
            vec![advice::set(
                dossier,
                text,
                &[
                    (Hop::Nginx, &nginx),
                    (Hop::IngressNginx, "nginx.ingress.kubernetes.io/proxy-buffer-size: \"16k\""),
                    (Hop::Apache, "ProxyPass / http://ADDRESS:PORT/ responsefieldsize=16384"),
                    (Hop::HaProxy, "tune.bufsize 32768"),
                    (Hop::Envoy, "common_http_protocol_options: { max_response_headers_kb: 96 }"),
                    (Hop::Caddy, "transport http { max_response_header 64KiB }"),
                    (Hop::Varnish, "-p http_resp_hdr_len=32k -p http_resp_size=64k"),
                ],
            )]
        }
    };
    now.extend(advice::apply(dossier));
    Cure {
        before: vec![size(dossier, "See how large the head is, for the route that fails")],
        now,
        lasting: vec![Step::say(
            "Let the app send less: one session cookie with an id in place of the session itself, and no cookie twice",
        )],
        verify: vec![advice::through(dossier, "an answer of the app")],
    }
}

fn size(dossier: &Dossier, text: &str) -> Step {
    let run = match dossier.upstream().map(|it| (it, address::socket(it))) {
        Some((_, Some(path))) => format!(
            "curl -sS -D - -o /dev/null --unix-socket {} http://localhost/PATH | wc -c",
            advice::word(path)
        ),
        Some((to, None)) => {
            format!("curl -sS -D - -o /dev/null http://{}/PATH | wc -c", advice::word(to))
        }
        None => "curl -sS -D - -o /dev/null http://HOST:PORT/PATH | wc -c".to_owned(),
    };
    Step::look(text, run).at(advice::hop_host(dossier))
}

#[cfg(test)]
mod tests {
    use crate::testing::report::{check_report, check_told, nginx};
    use crate::testing::{check, check_not};

    #[test]
    fn the_largest_field_is_named() {
        check(
            "head: too_big | server=gunicorn",
            "header_too_big: the head of gunicorn's answer is larger than 65536 bytes: its \
             largest field is set-cookie with 70000 bytes",
        );
    }

    #[test]
    fn too_many_fields_are_counted() {
        check(
            "head: too_many_fields | server=gunicorn",
            "header_too_big: the head of gunicorn's answer has more than 200 fields",
        );
    }

    #[test]
    fn half_a_head_is_not_too_much() {
        check_not("head: slow | server=gunicorn", "header_too_big");
    }

    #[test]
    fn the_buffer_is_set_where_it_is_set() {
        let line = nginx(
            "upstream sent too big header while reading response header from upstream",
            "http://127.0.0.1:8000/",
        );
        let report = check_report(
            &[("error.log", &line)],
            "header_too_big: the head of the answer of 127.0.0.1:8000 is larger than nginx's buffer",
        );
        check_told(&report, &["+    proxy_buffer_size 16k;"]);
        let conf = "server {\n    location / {\n        proxy_pass http://127.0.0.1:8000;\n        proxy_buffer_size 4k;\n    }\n}\n";
        let report = check_report(
            &[("error.log", &line), ("nginx.conf", conf)],
            "header_too_big: the head of the answer of 127.0.0.1:8000 is larger than nginx's buffer of 4096 bytes",
        );
        check_told(&report, &["nginx.conf", "-    proxy_buffer_size 4k;"]);
    }
}
