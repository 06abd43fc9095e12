//! The commands of the platform that was seen: where logs are, how a service is named and restarted.

use crate::advice::word;
use crate::dossier::Dossier;
use evidence::{Product, Stack, address, clock};

/// Restarts the app, on the platform that was seen.
pub(crate) fn restart(dossier: &Dossier) -> String {
    if kubernetes(dossier) {
        return "kubectl rollout restart deployment/APP".to_owned();
    }
    match container(dossier) {
        true => format!("docker compose up -d {}", service(dossier)),
        false => format!("sudo systemctl restart {}", program(dossier)),
    }
}

/// Checks the hop's configuration and takes it over, without ending connections.
pub(crate) fn reload(dossier: &Dossier) -> String {
    let inner = match dossier.incident.hop.stack() {
        Stack::Nginx => "nginx -t && nginx -s reload",
        Stack::Apache => "apachectl configtest && apachectl graceful",
        Stack::HaProxy => "haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy",
        Stack::Caddy => "caddy reload --config /etc/caddy/Caddyfile",
        _ => "systemctl reload PROXY",
    };
    match &dossier.incident.service {
        Some(service) if !kubernetes(dossier) => {
            format!("docker compose exec {} sh -c '{inner}'", word(service))
        }
        _ => format!("sudo sh -c '{inner}'"),
    }
}

/// Asks the app itself, past the proxy.
pub(crate) fn ask(dossier: &Dossier) -> Option<String> {
    let upstream = dossier.upstream()?;
    match address::socket(upstream) {
        Some(path) => {
            let path = word(path);
            Some(format!("curl -sv --unix-socket {path} http://localhost/ -o /dev/null"))
        }
        None => Some(format!("curl -sv http://{}/ -o /dev/null", word(upstream))),
    }
}

pub(crate) fn log_of(dossier: &Dossier) -> String {
    match dossier.incident.hop.stack() {
        Stack::Nginx => "sudo tail -n 200 /var/log/nginx/error.log".to_owned(),
        Stack::Apache => "sudo tail -n 200 /var/log/apache2/error.log".to_owned(),
        Stack::HaProxy => "journalctl -u haproxy".to_owned(),
        Stack::Envoy => "kubectl logs POD -c istio-proxy".to_owned(),
        Stack::Traefik => "docker logs traefik".to_owned(),
        _ => format!("journalctl {}", since(dossier)),
    }
}

pub(crate) fn config_of(dossier: &Dossier) -> String {
    match dossier.incident.hop.stack() {
        Stack::Nginx => "nginx -T".to_owned(),
        Stack::Apache => "apachectl -S".to_owned(),
        Stack::HaProxy => "cat /etc/haproxy/haproxy.cfg".to_owned(),
        _ => "docker compose config".to_owned(),
    }
}

/// The command that shows the app's log around the failures, on the platform that was seen.
pub(crate) fn app_log(dossier: &Dossier) -> String {
    if kubernetes(dossier) {
        return "kubectl logs --previous POD; kubectl logs POD".to_owned();
    }
    if container(dossier) {
        return format!(
            "docker compose logs --timestamps {} {}",
            since_compose(dossier),
            service(dossier)
        );
    }
    format!("journalctl -u {} {}", program(dossier), since(dossier))
}

pub(crate) fn since_compose(dossier: &Dossier) -> String {
    match dossier.incident.first {
        Some(first) => format!(
            "--since {}",
            clock::rfc3339((first - clock::MINUTE) / clock::SECOND * clock::SECOND)
        ),
        None => "--tail 200".to_owned(),
    }
}

/// `--since` and `--until` of journalctl, a minute around.
pub(crate) fn since(dossier: &Dossier) -> String {
    let words = |at: i64| {
        let text = clock::rfc3339(at / clock::SECOND * clock::SECOND);
        text.replace('T', " ").replace('Z', " UTC")
    };
    match dossier.incident.first.zip(dossier.incident.last) {
        Some((first, last)) => format!(
            "--since '{}' --until '{}'",
            words(first - clock::MINUTE),
            words(last + clock::MINUTE)
        ),
        None => "--since -1h".to_owned(),
    }
}

/// The unit or program of the app, for commands.
pub(crate) fn program(dossier: &Dossier) -> String {
    match dossier.server_product() {
        Some(Product::PhpFpm | Product::Php) => "php-fpm".to_owned(),
        Some(Product::Uwsgi) => "uwsgi".to_owned(),
        Some(it) => it.name().split(' ').next().unwrap_or("app").to_lowercase(),
        None => "APP".to_owned(),
    }
}

pub(crate) fn service(dossier: &Dossier) -> String {
    let upstream = dossier.upstream().map(address::host);
    let named = upstream.filter(|it| !address::is_ip(it) && !it.starts_with("unix:"));
    word(named.unwrap_or("APP"))
}

pub(crate) fn host_of(dossier: &Dossier) -> String {
    match dossier.upstream() {
        Some(it) if address::is_loopback(it) || it.starts_with("unix:") => {
            format!("the {} host", dossier.hop())
        }
        _ => "the app's host".to_owned(),
    }
}

pub(crate) fn container(dossier: &Dossier) -> bool {
    dossier.incident.service.is_some() && !kubernetes(dossier) || dossier.read(Product::Docker)
}

pub(crate) fn kubernetes(dossier: &Dossier) -> bool {
    dossier.read(Product::Kubernetes)
        || dossier.incident.hop == Product::IngressNginx
        || dossier.incident.service.as_deref().is_some_and(|it| it.contains('/'))
}
