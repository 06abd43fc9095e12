//! The caller sends its requests through a forward proxy of its own, which cannot or may not reach
//! the target.
//!
//! ## What you see
//! 502, 503, 504 or 407 that no log of the service knows. curl says `Received HTTP code 502 from
//! proxy after CONNECT` or `CONNECT tunnel failed, response 403`; Python `ProxyError('Cannot
//! connect to proxy.', ...)` or `Tunnel connection failed: 407 Proxy Authentication Required`; Node
//! `tunneling socket could not be established, statusCode=503`; Squid's page `ERR_CONNECT_FAIL`,
//! `ERR_DNS_FAIL` or `ERR_ACCESS_DENIED` with `X-Squid-Error`.
//!
//! ## Why it happens
//! `HTTP_PROXY` or `HTTPS_PROXY` is set and `NO_PROXY` does not name the internal host, so that
//! requests to a neighbour go through the company's proxy, which does not know its name. Or the
//! proxy wants a login, allows only some hosts or ports, or breaks TLS with a certificate of its
//! own. Test clients, CI jobs and SDKs take these variables without a word.
//!
//! ## How to tell
//! The service has no line for the request, and without the variables it works. The answer has
//! `Via`, `X-Squid-Error` or `Proxy-Agent`. A proxy on the service's side would be in its own logs;
//! where the caller does reach us and we have no such host, it is `no_route_matched`.
//!
//! ## Fix
//! Name the internal hosts in `NO_PROXY` (`localhost,127.0.0.1,.internal,.svc`), in both spellings,
//! since some programs read only the small letters. Or let the proxy allow the host, and give it
//! its login.

use crate::case::Case;
use crate::catalogue::{Cause, Family, RetryClass, Side, silent};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Text, When};
use evidence::Sign;

pub(super) static CAUSE: Cause = Cause {
    id: "client_proxy_misconfig",
    family: Family::F15,
    title: "The caller's own proxy cannot reach the target",
    side: Side::ClientProxy,
    retry: RetryClass::R3,
    passing: false,
    look: silent,
    fix,
    text: Text { behind: &[(Sign::ClientProxyFailed, 0.9)], says, cure, ..Text::NONE },
};

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "See which proxies the caller's environment sets",
            "env | grep -i _proxy | sed -E 's#//[^@/]*@#//***@#'",
        ),
        Fix::run(
            "Ask without a proxy, from the same place",
            format!("curl -v --noproxy '*' {}/PATH", case.url()),
        ),
        Fix::new(
            "Name the internal hosts in `NO_PROXY` and `no_proxy`, or let the proxy allow them",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let sign = Sign::ClientProxyFailed;
    let seen = dossier.seen(sign, When::During);
    let upstream = seen.first().and_then(|it| it.key.upstream.as_deref()).or(dossier.upstream());
    Some(match upstream {
        Some(to) => format!("the caller's own forward proxy {to} made the answer, not the server"),
        None => "a forward proxy of the caller's made the answer, not the server".to_owned(),
    })
}

fn cure(_: &Dossier) -> Cure {
    let name = "where the call is made";
    Cure {
        before: vec![
            Step::look(
                "See which proxy is set, and by whom",
                "env | grep -i _proxy; cat ~/.curlrc /etc/environment 2>/dev/null | grep -i proxy",
            )
            .at(name),
        ],
        now: vec![
            Step::run(
                "Leave the proxy out for this name (hosts and domains, separated by commas)",
                "export NO_PROXY=localhost,127.0.0.1,SITE no_proxy=localhost,127.0.0.1,SITE",
                Risk::None,
            )
            .at(name),
            Step::say(
                "Or correct the proxy's address, and let it reach this name and port (`CONNECT`)",
            ),
        ],
        lasting: vec![Step::say(
            "Set `NO_PROXY` where the environment of the service is set: its unit, compose file or image",
        )],
        verify: vec![
            Step::look(
                "See the same answer with the proxy left out and without",
                "curl -sS -o /dev/null -w '%{http_code}\\n' --noproxy SITE https://SITE/PATH",
            )
            .at(name),
        ],
    }
}
