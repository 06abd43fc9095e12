//! The gateway's own configuration sends the request nowhere.
//!
//! ## What you see
//! 500 for every request of one route, at once. Envoy marks `NC`, HAProxy writes `FRONTEND/<NOSRV>`
//! with 503, Apache `AH01144: No protocol handler was valid for the URL`.
//!
//! ## Why it happens
//! The upstream of the route has an empty list of targets: all were removed, or whatever generates
//! the configuration found none.
//!
//! ## How to tell
//! No attempt was made. The configuration shows the upstream without targets.
//!
//! ## Fix
//! Give the upstream a target, and let `goodgate check` judge a configuration before it is put to
//! use.

use crate::advice::{self, Hop};
use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::text::{Claim, DECIDES, Text, When, before};
use evidence::{Sign, What};
use exchange::Refusal;

pub(super) static CAUSE: Cause = Cause {
    id: "gateway_config_error",
    family: Family::F11,
    title: "The route leads to an upstream without targets",
    side: Side::Gateway,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::NoEndpoints, 0.07), (Sign::NoCluster, 0.92), (Sign::Answered500, 0.05)],
        clues: &[before(Sign::NoCluster, DECIDES), before(Sign::ConfigRefused, DECIDES)],
        brings: &["endpoints_empty", "no_live_upstreams", "process_down"],
        reason,
        says,
        cure,
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Refusal::NoTarget = case.refusal()? else {
        return None;
    };
    let route = case.exchange.route.as_deref().unwrap_or("this request");
    let upstream = case.exchange.upstream.as_deref().unwrap_or("an upstream");
    Some(Finding::new(
        0.95,
        format!("route {route} leads to {upstream}, which has no target"),
        "there was nobody to send the request to",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::new(format!("Write at least one target into {}", case.setting("targets"))),
        Fix::run("See all that the configuration lacks", "goodgate check --strict"),
    ]
}

/// A group whose servers the configuration itself takes out of use, or a name that it lacks.
fn reason(dossier: &Dossier) -> Vec<Claim> {
    let usable = dossier.settings(|it| match &it.what {
        What::Member { disabled: false, .. } => Some(()),
        _ => None,
    });
    let wrong = dossier.settings(|it| match &it.what {
        What::Member { disabled: true, .. } if usable.is_empty() => {
            Some((6.0, "the server is taken out of use by its own line"))
        }
        What::Member { disabled: true, .. } => {
            Some((1.0, "one server is taken out of use by its own line"))
        }
        What::Missing { .. } => Some((6.0, "the configuration lacks what it names")),
        _ => None,
    });
    let claim = |((weight, says), cite): ((f32, &str), _)| Claim::new(weight, says, vec![cite]);
    wrong.into_iter().take(1).map(claim).chain(subset(dossier)).collect()
}

/// A subset that a route names and no rule defines: Envoy has no cluster of that name, and answers 503
/// (istio.io: Traffic management problems, 503 errors after setting destination rule).
fn subset(dossier: &Dossier) -> Option<Claim> {
    let subsets = dossier.settings(|it| match &it.what {
        What::Subset { host, name, defined } => Some((host.as_str(), name.as_str(), *defined)),
        _ => None,
    });
    let short = |host: &str| host.split('.').next().unwrap_or(host).to_owned();
    let same = |a: &str, b: &str| short(a) == short(b);
    let ((host, name, _), cite) = subsets.iter().find(|((host, name, defined), _)| {
        let is_defined = |((of, it, defined), _): &&((&str, &str, bool), _)| {
            *defined && it == name && same(of, host)
        };
        !defined && !subsets.iter().any(|it| is_defined(&it))
    })?;
    // Where a rule for the host is there, it is the one that lacks the subset.
    let ruled = subsets.iter().any(|((of, _, defined), _)| *defined && same(of, host));
    let says = format!("the route names the subset {name} of {host}, which no rule here defines");
    Some(Claim::new(if ruled { 7.0 } else { 5.5 }, says, vec![cite.clone()]))
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = dossier.seen(Sign::NoCluster, When::Before);
    let missing = seen.first().and_then(|it| {
        it.key
            .who
            .clone()
            .or_else(|| it.key.upstream.clone())
            .or_else(|| it.detail().map(str::to_owned))
    });
    let missing = missing.filter(|it| it.len() < 200 && !it.chars().any(char::is_control));
    let disabled = dossier.settings(|it| match &it.what {
        What::Member { address, disabled: true, group } => Some(format!("{address} of {group}")),
        _ => None,
    });
    let refused = dossier.seen(Sign::ConfigRefused, When::Before);
    if let Some(it) = refused.first() {
        let product = it.key.product.name();
        let because = crate::wording::because(it);
        return Some(format!("{product} refuses its own configuration{because}"));
    }
    let hop = dossier.hop();
    if let Some(name) = missing {
        return Some(format!("the configuration of {hop} names {name}, which it cannot use"));
    }
    if disabled.is_empty() {
        return subset(dossier).map(|it| it.says);
    }
    let (server, _) = disabled.first()?;
    Some(format!("the configuration of {hop} takes the server {server} out of use (`down`)"))
}

fn cure(dossier: &Dossier) -> Cure {
    let at = advice::hop_host(dossier);
    let check = match advice::proxy(dossier) {
        Hop::Nginx => "sudo nginx -t",
        Hop::IngressNginx => {
            "kubectl describe ingress -A; kubectl -n ingress-nginx logs deployment/ingress-nginx-controller --tail 100"
        }
        Hop::Apache => "sudo apachectl configtest",
        Hop::HaProxy => "haproxy -c -f /etc/haproxy/haproxy.cfg",
        Hop::Caddy => "caddy validate --config /etc/caddy/Caddyfile",
        Hop::Envoy => "envoy --mode validate -c envoy.yaml",
        Hop::Istio => "istioctl analyze -A",
        Hop::Goodgate => "goodgate check",
        Hop::Traefik => "docker compose logs traefik | grep -iE 'error|does not exist'",
        _ => "PROXY --check",
    };
    let disabled = dossier.settings(|it| match &it.what {
        What::Member { disabled: true, .. } if !it.quote.contains('\n') => Some(it.quote.as_str()),
        _ => None,
    });
    let mut now = match disabled.first() {
        Some((quote, cite)) => {
            let file =
                dossier.testimony.sources.get(cite.source as usize).map(|it| it.name.clone());
            let old = quote.trim_end_matches(';');
            let new = old
                .split(' ')
                .filter(|it| *it != "down" && *it != "disabled")
                .collect::<Vec<_>>()
                .join(" ");
            vec![
                Step::diff(
                    "Take the server back into use, if it is meant to serve",
                    file,
                    format!("-    {old};\n+    {new};"),
                    Risk::Reload,
                )
                .at(at.clone()),
            ]
        }
        None if !dossier.seen(Sign::ConfigRefused, When::Before).is_empty() => {
            vec![Step::say(
                "Correct the line that the check names; until then a proxy that runs keeps its old configuration, and one that was stopped does not start",
            )]
        }
        None => vec![Step::say(
            "Correct the name, or define what it names: an upstream, a service or a backend of exactly that name",
        )],
    };
    now.extend(advice::apply(dossier));
    Cure {
        before: vec![Step::look("See what the proxy's own check says", check).at(at.clone())],
        now,
        lasting: vec![Step::say(
            "Run that check in the pipeline, before a configuration is rolled out",
        )],
        verify: vec![
            Step::look("See the check pass", check).at(at),
            advice::through(dossier, "an answer of the app"),
        ],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::report::check_report;
    use crate::testing::{check, check_not};

    #[test]
    fn an_upstream_without_targets() {
        check(
            "refused: no_target",
            "gateway_config_error: route orders leads to orders, which has no target",
        );
    }

    #[test]
    fn each_gateways_refusal_of_its_own_file() {
        for (line, words) in [
            (
                "2026/11/20 15:16:30 [emerg] 1#1: unknown directive \"proxy_pas\" in /etc/nginx/nginx.conf:21",
                "nginx refuses its own configuration: unknown directive \"proxy_pas\" in /etc/nginx/nginx.conf:21",
            ),
            (
                "AH00526: Syntax error on line 5 of /etc/apache2/sites-enabled/shop.conf:",
                "Apache refuses its own configuration: Syntax error on line 5 of /etc/apache2/sites-enabled/shop.conf",
            ),
            (
                "Error: adapting config using caddyfile: /etc/caddy/Caddyfile:5: unrecognized directive: reverse_prox",
                "Caddy refuses its own configuration: adapting config using caddyfile: /etc/caddy/Caddyfile:5: unrecognized directive: reverse_prox",
            ),
            (
                "[2026-11-20 15:16:30.123][17][critical][main] [source/server/server.cc:131] error initializing configuration '/etc/envoy/envoy.yaml': Protobuf message has unknown fields",
                "Envoy refuses its own configuration",
            ),
        ] {
            check_report(&[("output.log", line)], &format!("gateway_config_error: {words}"));
        }
    }

    #[test]
    fn a_subset_that_no_rule_defines_is_no_cluster() {
        let route = "kind: VirtualService\nmetadata: {name: web}\nspec:\n  hosts: [web]\n  http:\n  - route:\n    - destination: {host: web, subset: v2}\n";
        let rule = |name: &str| {
            format!(
                "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{name: web}}\nspec:\n  host: web.shop.svc.cluster.local\n  subsets:\n  - name: {name}\n    labels: {{version: x}}\n"
            )
        };
        let first = |files: &[(&str, &str)]| {
            let report = crate::testing::explained(files);
            report.candidates.first().map(|it| it.cause.clone())
        };
        let answer = ("curl.txt", "503 Service Unavailable\n");
        let route = format!("apiVersion: networking.istio.io/v1\n{route}");
        let wanted = Some("gateway_config_error".to_owned());
        assert_eq!(first(&[("vs.yaml", &route), answer]), wanted);
        assert_eq!(first(&[("vs.yaml", &route), ("dr.yaml", &rule("v1")), answer]), wanted);
        assert_ne!(first(&[("vs.yaml", &route), ("dr.yaml", &rule("v2")), answer]), wanted);
    }

    #[test]
    fn a_request_without_a_route_never_came_so_far() {
        check_not("refused: no_route", "gateway_config_error");
    }

    #[test]
    fn the_missing_service_is_said() {
        let line = "time=\"2026-11-20T15:16:30Z\" level=error msg=\"the service \\\"app@docker\\\" does not exist\" entryPointName=web routerName=app@docker\n";
        check_report(
            &[("traefik.log", line)],
            "gateway_config_error: the configuration of Traefik names app@docker, which it cannot use",
        );
    }
}
