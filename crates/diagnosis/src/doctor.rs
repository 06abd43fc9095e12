//! The doctor: what configurations of other gateways and app servers will do wrong, before it fails.
//!
//! One file a check, in `doctor/`. A check compares settings of all files together; what the files
//! do not show is never held against them.

mod files;
#[cfg(test)]
mod testing;

pub(crate) use self::keepalive_race::{closes_by_default, reuses_by_default};
use crate::report::{Cure, Risk, Step};
use evidence::Testimony;
use files::{Fact, Files};
use serde::Serialize;

mod bound_to_loopback;
mod dns_nxdomain;
mod dns_stale_ip;
mod endpoints_empty;
mod gateway_fd_exhausted;
mod header_too_big;
mod http_to_tls_port;
mod k8s_target_port_mismatch;
mod keepalive_race;
mod keepalive_unused;
mod localhost_in_container;
mod mtls_policy_mismatch;
mod no_health_check;
mod no_live_upstreams;
mod not_restarted;
mod process_hung;
mod proxy_connection_table_full;
mod proxy_protocol_mismatch;
mod request_header_too_big_for_upstream;
mod resolver_missing;
mod reuse_always;
mod script_outlives_worker;
mod startup_not_ready;
mod timeout_ladder_inverted;
mod tls_to_plain_port;
mod tls_unverified;
mod unix_socket_missing;
mod upgrade_not_forwarded;
mod worker_oom_killed_cgroup;
mod worker_pool_exhausted;
mod wrong_network;
mod wrong_port;
mod wrong_protocol;

/// Advice beyond this is counted, not kept.
pub const MAX_ADVICE: usize = 200;

/// One thing to look for.
pub(crate) struct Check {
    /// What it leads to, as the catalogue of causes names it.
    pub(crate) cause: &'static str,
    pub(crate) look: fn(&Files<'_>, &mut Found<'_>),
}

/// Every check, by the severity of what it finds as a rule.
static CHECKS: &[Check] = &[
    wrong_port::CHECK,
    k8s_target_port_mismatch::CHECK,
    dns_nxdomain::CHECK,
    resolver_missing::CHECK,
    localhost_in_container::CHECK,
    bound_to_loopback::CHECK,
    wrong_network::CHECK,
    unix_socket_missing::CHECK,
    tls_to_plain_port::CHECK,
    http_to_tls_port::CHECK,
    wrong_protocol::FASTCGI,
    wrong_protocol::UWSGI,
    proxy_protocol_mismatch::CHECK,
    mtls_policy_mismatch::CHECK,
    endpoints_empty::CHECK,
    no_live_upstreams::CHECK,
    timeout_ladder_inverted::CHECK,
    keepalive_race::CHECK,
    upgrade_not_forwarded::CHECK,
    tls_unverified::CHECK,
    request_header_too_big_for_upstream::CHECK,
    proxy_connection_table_full::CHECK,
    gateway_fd_exhausted::CHECK,
    keepalive_unused::CHECK,
    dns_stale_ip::CHECK,
    startup_not_ready::CHECK,
    process_hung::CHECK,
    worker_pool_exhausted::CHECK,
    worker_oom_killed_cgroup::CHECK,
    no_health_check::CHECK,
    not_restarted::CHECK,
    reuse_always::CHECK,
    script_outlives_worker::CHECK,
    header_too_big::CHECK,
];

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Requests fail, always.
    Breaks,
    /// Requests fail now and then, or under load.
    Risk,
    /// It may be meant so.
    Hint,
}

impl Severity {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Severity::Breaks => "breaks",
            Severity::Risk => "risk",
            Severity::Hint => "hint",
        }
    }
}

/// A setting that was found wanting.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Advice {
    pub severity: Severity,
    pub cause: &'static str,
    /// One sentence without a full stop.
    pub statement: String,
    pub exhibits: Vec<Quote>,
    pub fix: Cure,
}

/// The words of a file that show it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Quote {
    pub source: String,
    pub line: u64,
    pub quote: String,
}

/// What all checks say of these settings, the worst first.
#[must_use]
pub fn examine(testimony: &Testimony) -> Vec<Advice> {
    let files = Files::of(testimony);
    let mut all = Vec::new();
    for check in CHECKS {
        let mut found = Found { cause: check.cause, advice: &mut all };
        (check.look)(&files, &mut found);
    }
    all.sort_by_key(|it| it.severity);
    all
}

/// Where checks put what they find.
pub(crate) struct Found<'a> {
    cause: &'static str,
    advice: &'a mut Vec<Advice>,
}

impl Found<'_> {
    /// Whether more would be kept.
    fn is_full(&self) -> bool {
        self.advice.len() >= MAX_ADVICE
    }

    /// Says something once; the facts are its proof.
    fn say(
        &mut self,
        severity: Severity,
        statement: impl Into<String>,
        facts: &[Fact<'_>],
        now: Vec<Step>,
    ) {
        let statement = statement.into();
        let known = |it: &Advice| it.cause == self.cause && it.statement == statement;
        if self.is_full() || self.advice.iter().any(known) {
            return;
        }
        let mut exhibits: Vec<Quote> = Vec::new();
        for it in facts.iter().map(Fact::quote) {
            if !exhibits.contains(&it) {
                exhibits.push(it);
            }
        }
        let fix = Cure { now, ..Cure::default() };
        self.advice.push(Advice { severity, cause: self.cause, statement, exhibits, fix });
    }
}

/// A change of the words of one fact.
fn change(text: impl Into<String>, fact: Fact<'_>, new: &str, risk: Risk) -> Step {
    let end = if fact.is_nginx() && !fact.setting.quote.ends_with(';') { ";" } else { "" };
    let old: String = fact.setting.quote.lines().map(|it| format!("-{it}\n")).collect();
    let old = old.trim_end_matches('\n');
    Step::diff(text, Some(fact.name.to_owned()), format!("{old}{end}\n+{new}{end}"), risk)
}

/// Lines to put in beside a fact.
fn add(text: impl Into<String>, fact: Fact<'_>, lines: &str, risk: Risk) -> Step {
    let lines: Vec<String> = lines.lines().map(|it| format!("+{it}")).collect();
    Step::diff(text, Some(fact.name.to_owned()), lines.join("\n"), risk)
}

/// The words with another number in place of their last one.
fn with_number(quote: &str, number: &str) -> Option<String> {
    let end = quote.rfind(|it: char| it.is_ascii_digit())? + 1;
    let start = quote[..end].rfind(|it: char| !it.is_ascii_digit());
    let start = start.map_or(0, |at| at + quote[at..].chars().next().map_or(1, char::len_utf8));
    let unit = quote[end..].find(|it: char| !it.is_ascii_alphabetic());
    let after = unit.map_or(quote.len(), |it| end + it);
    Some(format!("{}{number}{}", &quote[..start], &quote[after..]))
}

/// `30 s`, `500 ms`.
fn duration(milliseconds: i64) -> String {
    match milliseconds % 1000 {
        0 => format!("{} s", milliseconds / 1000),
        _ => format!("{milliseconds} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_changed_in_its_own_words() {
        for (quote, want) in [
            ("proxy_read_timeout 30s", Some("proxy_read_timeout 90")),
            ("--timeout=120 --x", Some("--timeout=90 --x")),
            ("keepalive = 2  # é", Some("keepalive = 90  # é")),
            ("é2", Some("é90")),
            ("timeout", None),
        ] {
            assert_eq!(with_number(quote, "90").as_deref(), want, "{quote}");
        }
    }

    #[test]
    fn every_file_is_a_check_and_every_check_says_what_it_leads_to() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/doctor");
        let files = std::fs::read_dir(folder).expect("the folder of checks").count();
        // files.rs and testing.rs are none, and wrong_protocol.rs is two.
        assert_eq!(files, CHECKS.len() + 2 - 1);
        for it in CHECKS {
            assert!(it.cause.bytes().all(|it| matches!(it, b'a'..=b'z' | b'0'..=b'9' | b'_')));
        }
    }

    fn said(files: &[(&str, &str)]) -> Vec<String> {
        let testimony = Testimony::of(files, evidence::Arrival::File, 2026);
        assert!(!testimony.settings.is_empty(), "{files:?}");
        examine(&testimony).iter().map(|it| format!("{}: {}", it.cause, it.statement)).collect()
    }

    const NGINX: &str = "user www-data;\nworker_rlimit_nofile 8192;\nevents { worker_connections 2048; }\nhttp {\n  upstream app {\n    server 127.0.0.1:8000;\n    keepalive 32;\n    keepalive_timeout 50s;\n  }\n  server {\n    listen 80;\n    server_name shop.example.com;\n    client_body_timeout 30s;\n    client_header_timeout 30s;\n    location / {\n      proxy_pass http://app;\n      proxy_http_version 1.1;\n      proxy_set_header Connection \"\";\n      proxy_set_header Host $host;\n      proxy_connect_timeout 5s;\n      proxy_read_timeout 65s;\n    }\n  }\n}\n";
    const GUNICORN: &str = "bind = \"127.0.0.1:8000\"\nworkers = 4\nworker_class = \"gthread\"\nthreads = 4\ntimeout = 60\ngraceful_timeout = 60\nkeepalive = 75\n";
    const UNIT: &str = "[Unit]\nAfter=network.target\n[Service]\nUser=shop\nExecStart=/srv/venv/bin/gunicorn --config /srv/gunicorn.conf.py shop:app\nRestart=on-failure\nRestartSec=1\nTimeoutStopSec=70\nLimitNOFILE=8192\n[Install]\nWantedBy=multi-user.target\n";
    const HAPROXY: &str = "global\n    maxconn 2000\ndefaults\n    mode http\n    timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n    timeout queue 30s\n    option httpchk GET /healthz\n    http-reuse safe\nfrontend web\n    bind :80\n    default_backend app\nbackend app\n    server app1 192.0.2.11:8000 check\n    server app2 192.0.2.12:8000 check\n";
    const UVICORN: &str = "[Service]\nUser=shop\nExecStart=/srv/venv/bin/uvicorn shop:app --host 0.0.0.0 --port 8000 --timeout-keep-alive 75\nRestart=always\n";
    const COMPOSE: &str = "services:\n  web:\n    image: nginx:1.27\n    restart: unless-stopped\n    ports: [\"80:80\"]\n    networks: [front]\n    depends_on:\n      app:\n        condition: service_healthy\n  app:\n    image: example/shop:1\n    command: gunicorn --bind 0.0.0.0:8000 --workers 4 --timeout 30 shop:app\n    restart: unless-stopped\n    networks: [front]\n    environment:\n      PGOPTIONS: -c statement_timeout=20s\n      DATABASE_URL: postgres://db:5432/shop\n    healthcheck:\n      test: [\"CMD\", \"curl\", \"-f\", \"http://localhost:8000/healthz\"]\n      timeout: 3s\n      start_period: 20s\n    mem_limit: 1g\n  db:\n    image: postgres:17\n    restart: unless-stopped\n    networks: [front]\n";
    const BEFORE_COMPOSE: &str = "server {\n  listen 80;\n  server_name shop.example.com;\n  resolver 127.0.0.11 valid=10s;\n  set $app app:8000;\n  location / {\n    proxy_pass http://$app;\n    proxy_read_timeout 60s;\n  }\n}\n";
    const MANIFEST: &str = "apiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: prod}\nspec:\n  selector: {app: shop}\n  ports:\n  - port: 80\n    targetPort: http\n---\napiVersion: v1\nkind: Service\nmetadata: {name: shop, namespace: staging}\nspec:\n  selector: {app: shop-next}\n  ports:\n  - port: 80\n    targetPort: 9000\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, namespace: prod}\nspec:\n  replicas: 3\n  template:\n    metadata:\n      labels: {app: shop}\n    spec:\n      terminationGracePeriodSeconds: 60\n      containers:\n      - name: shop\n        image: example/shop:1\n        args: [gunicorn, --bind=0.0.0.0:8000, --worker-class=gthread, --threads=4, --timeout=30, --keep-alive=75, \"shop:app\"]\n        ports:\n        - {name: http, containerPort: 8000}\n        readinessProbe:\n          httpGet: {path: /healthz, port: http}\n          timeoutSeconds: 3\n        resources:\n          limits: {memory: 1Gi}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: shop, namespace: staging}\nspec:\n  template:\n    metadata:\n      labels: {app: shop-next}\n    spec:\n      containers:\n      - name: shop\n        image: example/shop:2\n        ports:\n        - containerPort: 9000\n---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: shop\n  namespace: prod\n  annotations:\n    nginx.ingress.kubernetes.io/proxy-read-timeout: \"60\"\nspec:\n  rules:\n  - host: shop.example.com\n    http:\n      paths:\n      - path: /\n        pathType: Prefix\n        backend:\n          service:\n            name: shop\n            port: {number: 80}\n";
    const POOL: &str = "[www]\nuser = www-data\nlisten = /run/php/php-fpm.sock\nlisten.owner = www-data\nlisten.mode = 0660\npm = dynamic\npm.max_children = 20\nrequest_terminate_timeout = 55s\n";
    const PHP: &str = "[PHP]\nmax_execution_time = 30\nmemory_limit = 256M\n";
    const BEFORE_PHP: &str = "server {\n  listen 80;\n  server_name blog.example.com;\n  location ~ \\.php$ {\n    fastcgi_pass unix:/run/php/php-fpm.sock;\n    fastcgi_read_timeout 60s;\n  }\n}\n";

    #[test]
    fn nothing_is_said_of_sound_configurations() {
        let none: &[String] = &[];
        for files in [
            &[("nginx.conf", NGINX), ("gunicorn.conf.py", GUNICORN), ("shop.service", UNIT)][..],
            &[("haproxy.cfg", HAPROXY), ("shop.service", UVICORN)],
            &[("compose.yml", COMPOSE), ("default.conf", BEFORE_COMPOSE)],
            &[("shop.yaml", MANIFEST)],
            &[("site.conf", BEFORE_PHP), ("www.conf", POOL), ("php.ini", PHP)],
        ] {
            assert_eq!(said(files), none, "{files:?}");
        }
    }

    #[test]
    fn the_same_with_one_wrong_number_is_spoken_of() {
        let slow = NGINX.replace("proxy_read_timeout 65s", "proxy_read_timeout 20s");
        let late = COMPOSE.replace("statement_timeout=20s", "statement_timeout=90s");
        let killed = PHP.replace("30", "300");
        let once = UNIT.replace("Restart=on-failure\n", "");
        for (files, cause) in [
            (
                &[("nginx.conf", &*slow), ("gunicorn.conf.py", GUNICORN)][..],
                "timeout_ladder_inverted",
            ),
            (
                &[
                    ("compose.yml", &late),
                    ("default.conf", &BEFORE_COMPOSE.replace("$app;", "app:8000;")),
                ],
                "timeout_ladder_inverted",
            ),
            (&[("www.conf", POOL), ("php.ini", &killed)], "worker_timeout_killed"),
            (&[("shop.service", &once)], "process_down"),
            (
                &[("shop.yaml", &MANIFEST.replace("targetPort: 9000", "targetPort: 9001"))],
                "k8s_target_port_mismatch",
            ),
        ] {
            let said = said(files);
            assert!(said.iter().any(|it| it.starts_with(cause)), "{cause}: {said:?}");
        }
    }

    #[test]
    fn nothing_is_said_of_nothing() {
        assert_eq!(examine(&Testimony::default()), []);
    }
}
