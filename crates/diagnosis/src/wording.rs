//! Words that the statements and cures of several causes share.

use crate::dossier::{Cite, Dossier, Seen};
use crate::platform::{app_log, ask, container, heroku, inside, kubernetes, log_of, restart, unit};
use crate::report::{Cure, Risk, Step};
use crate::text::When;
use evidence::{Limit, Product, Sign, Stack, What, address};

/// What was seen with a sign, the most surely of this incident; of equals, one that says more.
pub(crate) fn first<'a>(dossier: &Dossier<'a>, sign: Sign, when: When) -> Option<Seen<'a>> {
    let seen = dossier.seen(sign, when);
    let surest = seen.first()?.near;
    let says_more = |it: &&Seen| it.near >= surest && it.detail().is_some();
    seen.iter().find(says_more).or(seen.first()).copied()
}

/// The longest detail that a sentence bears, in bytes.
const BRIEF: usize = 160;

/// A detail as part of a sentence: one line, not long, without a full stop.
pub(crate) fn brief(text: &str) -> String {
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = match words.len() > BRIEF {
        true => format!("{} …", words[..words.floor_char_boundary(BRIEF)].trim_end()),
        false => words,
    };
    cut.trim_end_matches(['.', ':', ';', ',', '-', ' ']).to_owned()
}

/// `: ` and the detail, where there is one.
pub(crate) fn because(seen: &Seen) -> String {
    seen.detail()
        .map(brief)
        .filter(|it| !it.is_empty())
        .map(|it| format!(": {it}"))
        .unwrap_or_default()
}

/// The app's server by its name, or the app where only its language is known.
pub(crate) fn app(dossier: &Dossier) -> &'static str {
    use Product::*;
    match dossier.server_product() {
        None
        | Some(Unknown | Page | Shell | Python | Php | Java | Ruby | Go | Rust | Node | DotNet) => {
            "the app"
        }
        Some(Flask | Django | FastApi | Spring) => "the app",
        Some(it) => it.name(),
    }
}

/// The same and where it is dialled: `gunicorn at 127.0.0.1:8000`, `10.0.0.7:8000`.
pub(crate) fn app_at(dossier: &Dossier) -> String {
    match (app(dossier), dossier.upstream()) {
        ("the app", Some(upstream)) => upstream.to_owned(),
        (app, Some(upstream)) => format!("{app} at {upstream}"),
        (app, None) => app.to_owned(),
    }
}

/// Whom a line names, with the process where it is known: `gunicorn (pid 4242)`.
pub(crate) fn who(dossier: &Dossier, seen: &Seen) -> String {
    let name = seen.key.who.as_deref().map(brief).filter(|it| !it.is_empty());
    let name = name.unwrap_or_else(|| app(dossier).to_owned());
    // A manager's line has its own process.
    let own =
        !matches!(seen.key.product.stack(), Stack::Systemd | Stack::Docker | Stack::Kubernetes);
    match seen.run.opening.pid.filter(|_| own) {
        Some(pid) => format!("{name} (pid {pid})"),
        None => name,
    }
}

/// What the app needs and could not use: ` db:5432`, or nothing.
pub(crate) fn named(seen: &Seen) -> String {
    seen.key.upstream.as_deref().map(|it| format!(" {}", brief(it))).unwrap_or_default()
}

/// Bytes for sentences: `512 MiB`.
pub(crate) fn size(bytes: i64) -> String {
    const KIB: i64 = 1024;
    match bytes {
        it if it >= KIB * KIB * KIB && it % (KIB * KIB * KIB) == 0 => {
            format!("{} GiB", it / (KIB * KIB * KIB))
        }
        it if it >= KIB * KIB => format!("{} MiB", it / (KIB * KIB)),
        it if it >= KIB => format!("{} KiB", it / KIB),
        it => format!("{it} bytes"),
    }
}

/// A changed setting: the words that were read, and the same with other ones in their place.
pub(crate) fn change(
    dossier: &Dossier,
    text: impl Into<String>,
    cite: &Cite,
    old: &str,
    new: &str,
    risk: Risk,
) -> Option<Step> {
    let changed = cite.quote.replacen(old, new, 1);
    if old.is_empty() || changed == cite.quote || cite.quote.contains('\n') {
        return None;
    }
    Some(Step::diff(text, file(dossier, cite), format!("-{}\n+{changed}", cite.quote), risk))
}

/// The file in which a setting stands.
pub(crate) fn file(dossier: &Dossier, cite: &Cite) -> Option<String> {
    dossier.testimony.sources.get(cite.source as usize).map(|it| it.name.clone())
}

/// Takes over what was changed in the hop's configuration.
pub(crate) fn reload(dossier: &Dossier) -> Step {
    match (dossier.incident.hop, dossier.incident.hop.stack()) {
        (Product::Istio, _) => Step::run("Apply the change", "kubectl apply -f FILE", Risk::Reload),
        (_, Stack::Envoy) => Step::run(
            "Let Envoy read its file again, where no control plane hands it over",
            "sudo systemctl restart envoy",
            Risk::Restart,
        ),
        (_, Stack::Traefik) => Step::look(
            "Traefik takes the change over by itself: see that it did",
            "docker logs --tail 20 traefik",
        ),
        _ => Step::run(
            format!("Check the configuration of {} and take it over", dossier.hop()),
            crate::platform::reload(dossier),
            Risk::Reload,
        ),
    }
}

/// Takes over what was changed of the app.
pub(crate) fn restarted(dossier: &Dossier) -> Step {
    Step::run(format!("Restart {} with that", app(dossier)), restart(dossier), Risk::Restart)
}

/// Shows that the app answers, past the proxy.
pub(crate) fn answers(dossier: &Dossier) -> Step {
    let speaks_http = dossier.server_product() != Some(Product::PhpFpm)
        && dossier.server_product() != Some(Product::Uwsgi);
    match ask(dossier).filter(|_| speaks_http) {
        Some(ask) => Step::look(format!("{} answers by itself", app_at(dossier)), ask)
            .at(format!("the {} host", place(dossier))),
        None => through(dossier),
    }
}

/// Shows that a request gets through the proxy.
pub(crate) fn through(dossier: &Dossier) -> Step {
    let text = match dossier.incident.hop.stack().is_proxy() {
        true => format!("A request that failed gets its answer through {}", dossier.hop()),
        false => "A request that failed gets its answer".to_owned(),
    };
    Step::look(text, "curl -sS -o /dev/null -w '%{http_code} %{time_total}s\\n' URL")
}

/// Shows how long the app takes, which fills queues and pools when it grows.
pub(crate) fn pace(dossier: &Dossier) -> Step {
    let upstream = dossier.upstream().filter(|it| crate::platform::is_plain(it));
    let at = upstream.filter(|it| !it.starts_with("unix:")).map(|it| format!("http://{it}/"));
    Step::look(
        "See whether answers take longer than they did before",
        format!(
            "curl -sS -o /dev/null -w '%{{http_code}} %{{time_starttransfer}}s\\n' {}",
            at.as_deref().unwrap_or("URL")
        ),
    )
}

/// Shows that something listens where the proxy dials.
pub(crate) fn listens(dossier: &Dossier) -> Step {
    let upstream = dossier.upstream();
    if let Some(path) =
        upstream.and_then(address::socket).filter(|it| crate::platform::is_plain(it))
    {
        return Step::look("The socket has a listener", format!("ss -lxp src {path}"));
    }
    let Some(port) = dossier.port() else { return answers(dossier) };
    Step::look(
        format!("Something listens on port {port}"),
        inside(dossier, &format!("ss -ltnp 'sport = :{port}'")),
    )
}

/// Shows that the hop's log has no new line of the kind.
pub(crate) fn quiet(dossier: &Dossier) -> Step {
    if !dossier.incident.hop.stack().is_proxy() {
        return read_log(dossier, format!("{} logs no new failure of this kind", app(dossier)));
    }
    Step::look(format!("{} logs no new failure of this kind", dossier.hop()), log_of(dossier))
}

/// The log of the app around the failures.
pub(crate) fn read_log(dossier: &Dossier, text: impl Into<String>) -> Step {
    Step::look(text, app_log(dossier))
}

fn place(dossier: &Dossier) -> &'static str {
    match dossier.incident.hop {
        Product::Unknown | Product::Page | Product::AccessLog => "proxy's",
        it => it.name(),
    }
}

/// Lets the platform start the app again when it ends.
pub(crate) fn kept_up(dossier: &Dossier) -> Step {
    if kubernetes(dossier) {
        return Step::say(
            "Run two replicas or more with a readiness probe, and a `PodDisruptionBudget`, so that \
             one that ends is no outage",
        );
    }
    if heroku(dossier) {
        return Step::say("Run two dynos or more, so that one that restarts is no outage");
    }
    match container(dossier) {
        true => Step::say("Give the service `restart: unless-stopped` in the compose file"),
        false => Step::run(
            "Let systemd start it after each failure (`Restart=on-failure` in `[Service]`) and at boot",
            format!("sudo systemctl enable {}", unit(dossier)),
            Risk::None,
        ),
    }
}

/// The setting by which the app's server is told how many workers to run.
pub(crate) fn workers(dossier: &Dossier) -> &'static str {
    match dossier.server_product() {
        Some(Product::Gunicorn) => "`gunicorn --workers`",
        Some(Product::Uvicorn) => "`uvicorn --workers`",
        Some(Product::Hypercorn) => "`hypercorn --workers`",
        Some(Product::Uwsgi) => "`processes` of uWSGI",
        Some(Product::Waitress) => "`--threads` of waitress",
        Some(Product::PhpFpm | Product::Php) => "`pm.max_children` of php-fpm",
        Some(Product::Puma) => "`workers` and `threads` of Puma",
        Some(Product::Unicorn) => "`worker_processes` of Unicorn",
        Some(Product::Tomcat | Product::Spring) => "`maxThreads` of Tomcat",
        Some(Product::Node) => "the number of Node processes",
        _ => "the number of workers",
    }
}

/// The setting that bounds how long one request may hold a worker.
pub(crate) fn worker_limit(dossier: &Dossier) -> &'static str {
    match dossier.server_product() {
        Some(Product::Gunicorn) => "`gunicorn --timeout`",
        Some(Product::Uwsgi) => "`harakiri` of uWSGI",
        Some(Product::PhpFpm | Product::Php) => "`request_terminate_timeout` of php-fpm",
        Some(Product::Puma) => "`worker_timeout` of Puma",
        Some(Product::Unicorn) => "`timeout` of Unicorn",
        _ => "the app server's limit",
    }
}

/// The setting by which workers are replaced after so many requests.
pub(crate) fn recycling(dossier: &Dossier) -> &'static str {
    match dossier.server_product() {
        Some(Product::Uvicorn) => "`uvicorn --limit-max-requests`",
        Some(Product::Uwsgi) => "`max-requests` of uWSGI",
        Some(Product::PhpFpm | Product::Php) => "`pm.max_requests` of php-fpm",
        Some(Product::Hypercorn) => "`hypercorn --max-requests 1000 --max-requests-jitter 100`",
        _ => "`gunicorn --max-requests 1000 --max-requests-jitter 100`",
    }
}

/// The setting of the queue of connections that the app has not taken yet.
pub(crate) fn backlog(dossier: &Dossier) -> &'static str {
    match dossier.server_product() {
        Some(Product::Gunicorn) => "`gunicorn --backlog`",
        Some(Product::Uvicorn) => "`uvicorn --backlog`",
        Some(Product::Hypercorn) => "`hypercorn --backlog`",
        Some(Product::Uwsgi) => "`listen` of uWSGI",
        Some(Product::PhpFpm | Product::Php) => "`listen.backlog` of php-fpm",
        Some(Product::Tomcat | Product::Spring) => "`acceptCount` of Tomcat",
        Some(Product::Puma) => "the `backlog` of Puma's `bind`",
        Some(Product::Node) => "the `backlog` of `server.listen`",
        _ => "the app's backlog",
    }
}

/// How the app's server is told to listen there.
pub(crate) fn bind(product: Option<Product>, at: &str) -> String {
    let (host, port) = (address::host(at), address::port(at));
    let port = port.map_or_else(|| "PORT".to_owned(), |it| it.to_string());
    match product {
        Some(Product::Gunicorn) => format!("gunicorn --bind {at}"),
        Some(Product::Hypercorn) => format!("hypercorn --bind {at}"),
        Some(Product::Uvicorn | Product::FastApi) => {
            format!("uvicorn --host {host} --port {port}")
        }
        Some(Product::Daphne) => format!("daphne -b {host} -p {port}"),
        Some(Product::Waitress) => format!("waitress-serve --listen={at}"),
        Some(Product::Flask) => format!("flask run --host {host} --port {port}"),
        Some(Product::Django) => format!("manage.py runserver {at}"),
        Some(Product::Uwsgi) => format!("http-socket = {at}"),
        Some(Product::PhpFpm | Product::Php) => format!("listen = {at}"),
        Some(Product::Puma) => format!("puma -b tcp://{at}"),
        Some(Product::Spring) => format!("server.address={host} and server.port={port}"),
        Some(Product::Node) => format!("server.listen({port}, '{host}')"),
        Some(Product::Go) => format!("http.ListenAndServe(\"{at}\", handler)"),
        Some(Product::DotNet) => format!("ASPNETCORE_URLS=http://{at}"),
        _ => format!("the app's listen address: {at}"),
    }
}

/// The setting by which the app's server keeps idle connections for 75 s.
pub(crate) fn keep_alive(product: Option<Product>) -> &'static str {
    match product {
        Some(Product::Gunicorn) => "gunicorn --keep-alive 75",
        Some(Product::Uvicorn | Product::FastApi) => "uvicorn --timeout-keep-alive 75",
        Some(Product::Hypercorn) => "hypercorn --keep-alive 75",
        Some(Product::Node) => "server.keepAliveTimeout = 75_000; server.headersTimeout = 76_000",
        Some(Product::Puma) => "persistent_timeout 75",
        Some(Product::Tomcat) => "keepAliveTimeout=\"75000\"",
        Some(Product::Spring) => "server.tomcat.keep-alive-timeout=75s",
        Some(Product::Go) => "http.Server{IdleTimeout: 75 * time.Second}",
        Some(Product::DotNet) => "KestrelServerOptions.Limits.KeepAliveTimeout = 75 s",
        Some(Product::Uwsgi) => "http-keepalive = 75",
        _ => "the app server's keep-alive: 75 s",
    }
}

/// The setting by which the hop stops using idle connections, here after 2 s.
pub(crate) fn idle_reuse(stack: Stack) -> &'static str {
    match stack {
        Stack::Nginx => "`keepalive_timeout 2s;` in the `upstream` block",
        Stack::Apache => "`ttl=2` on `ProxyPass`",
        Stack::HaProxy => "`pool-purge-delay 2s` on the `server` line",
        Stack::Envoy => "`common_http_protocol_options.idle_timeout: 2s` of the cluster",
        Stack::Traefik => "`serversTransport.forwardingTimeouts.idleConnTimeout=2s`",
        Stack::Caddy => "`keepalive 2s` in `transport http`",
        Stack::Ours => "`pool.idle_for` of the upstream",
        _ => "the proxy's limit for idle connections",
    }
}

/// The setting by which the hop bounds the wait for an answer.
pub(crate) fn read_limit(dossier: &Dossier) -> &'static str {
    use evidence::Scheme;
    let scheme = dossier.dials().first().map(|it| it.scheme);
    match (dossier.incident.hop.stack(), scheme) {
        (Stack::Nginx, Some(Scheme::FastCgi)) => "`fastcgi_read_timeout`",
        (Stack::Nginx, Some(Scheme::Uwsgi)) => "`uwsgi_read_timeout`",
        (Stack::Nginx, Some(Scheme::Grpc | Scheme::Grpcs)) => "`grpc_read_timeout`",
        (Stack::Nginx, _) => "`proxy_read_timeout`",
        (Stack::Apache, _) => "`ProxyTimeout`",
        (Stack::HaProxy, _) => "`timeout server`",
        (Stack::Envoy, _) => "the route's `timeout`",
        (Stack::Traefik, _) => "`forwardingTimeouts.responseHeaderTimeout`",
        (Stack::Caddy, _) => "`response_header_timeout`",
        (Stack::Aws, _) => "the load balancer's idle timeout",
        (Stack::Ours, _) => "`timeout.first_byte`",
        _ => "the proxy's limit",
    }
}

/// The setting by which the hop bounds the wait for a connection.
pub(crate) fn connect_limit(stack: Stack) -> &'static str {
    match stack {
        Stack::Nginx => "`proxy_connect_timeout`",
        Stack::Apache => "`connectiontimeout=` on `ProxyPass`",
        Stack::HaProxy => "`timeout connect`",
        Stack::Envoy => "`connect_timeout` of the cluster",
        Stack::Traefik => "`forwardingTimeouts.dialTimeout`",
        Stack::Caddy => "`dial_timeout`",
        Stack::Ours => "`timeout.connect`",
        _ => "the proxy's limit for connecting",
    }
}

/// The value of the hop's own limit, and where it is set.
pub(crate) fn hop_limit(dossier: &Dossier, limit: Limit) -> Option<(i64, Cite)> {
    dossier.limit(limit, |it| it.stack() == dossier.incident.hop.stack())
}

/// Where the processes of the app stand still.
pub(crate) fn stacks(dossier: &Dossier) -> Step {
    let run = match dossier.server_product().map(Product::stack) {
        Some(Stack::Python) => "sudo py-spy dump --pid PID",
        Some(Stack::Java) => "jstack PID",
        Some(Stack::Ruby) => "sudo rbspy snapshot --pid PID",
        Some(Stack::Go) => "curl -s 'http://127.0.0.1:6060/debug/pprof/goroutine?debug=2'",
        Some(Stack::Php) => "sudo tail -n 100 /var/log/php-fpm/slow.log",
        Some(Stack::DotNet) => "dotnet-stack report --process-id PID",
        Some(Stack::Node) => "kill -USR1 PID && node inspect -p PID",
        _ => "sudo cat /proc/PID/stack",
    };
    Step::look(
        "Take the stack of a worker while it hangs: the top call is where the time goes",
        run,
    )
}

/// A hole in the firewall for the proxy alone, where the rule is missing.
pub(crate) fn allowed(dossier: &Dossier) -> Cure {
    let seen = [Sign::FirewallDropped, Sign::FirewallRejected]
        .into_iter()
        .find_map(|it| first(dossier, it, When::During));
    let port = seen
        .and_then(|it| it.run.opening.number)
        .and_then(|it| u16::try_from(it).ok())
        .or(dossier.port())
        .map_or_else(|| "PORT".to_owned(), |it| it.to_string());
    let quote = seen.map(|it| it.run.opening.quote.clone()).unwrap_or_default();
    let (rules, allow) = if quote.contains("UFW") {
        (
            "sudo ufw status numbered".to_owned(),
            format!("sudo ufw allow from PROXY_ADDRESS to any port {port} proto tcp"),
        )
    } else if quote.contains("REJECT") {
        (
            "sudo firewall-cmd --list-all".to_owned(),
            format!(
                "sudo firewall-cmd --permanent --add-rich-rule='rule family=ipv4 source \
                 address=PROXY_ADDRESS port port={port} protocol=tcp accept' && sudo firewall-cmd \
                 --reload"
            ),
        )
    } else {
        (
            "sudo nft list ruleset".to_owned(),
            format!("sudo iptables -I INPUT -p tcp -s PROXY_ADDRESS --dport {port} -j ACCEPT"),
        )
    };
    Cure {
        before: vec![Step::look("See which rule it is", rules).at("the app's host")],
        now: vec![
            Step::run(
                format!("Allow the proxy's address, and only that, on port {port}"),
                allow,
                Risk::None,
            )
            .at("the app's host"),
        ],
        lasting: vec![Step::say(
            "Do the same where clouds keep such rules: the security group of the target, the \
             network ACL in both directions, a NetworkPolicy",
        )],
        verify: vec![answers(dossier)],
    }
}

/// What to do where only the end of a connection was seen, and nobody says why.
pub(crate) fn silence(dossier: &Dossier) -> Cure {
    Cure {
        before: Vec::new(),
        now: vec![
            read_log(dossier, "Read what the app's server did at that second"),
            Step::look(
                "See whether the kernel ended a process then",
                format!(
                    "sudo journalctl -k {} | grep -iE 'oom|killed process|segfault'",
                    crate::platform::since(dossier)
                ),
            ),
            answers(dossier),
        ],
        lasting: Vec::new(),
        verify: vec![quiet(dossier)],
    }
}

/// Something that the app needs and cannot reach: start it, or correct its address.
pub(crate) fn dependency(dossier: &Dossier, sign: Sign, what: &str, usual: u16) -> Cure {
    let seen = first(dossier, sign, When::Before);
    let at = seen.and_then(|it| it.key.upstream.as_deref());
    let at = at.filter(|it| crate::platform::is_plain(it) && !it.starts_with("unix:"));
    let used = dossier.settings(|it| match &it.what {
        What::Uses { address } if address::port(address) == Some(usual) => Some(address.as_str()),
        _ => None,
    });
    let used = used.first().map(|(it, _)| *it).filter(|it| crate::platform::is_plain(it));
    let at = at.or(used);
    let host = at.map_or("HOST", address::host);
    let port = at.and_then(address::port).unwrap_or(usual);
    let reach = inside(dossier, &format!("nc -vz -w 3 {host} {port}"));
    let local = at.is_some_and(address::is_loopback);
    let start = match (kubernetes(dossier), container(dossier)) {
        (true, _) => Step::look(
            format!("See whether {what} runs, and whether its service leads to it"),
            format!("kubectl get pods,endpointslices -A | grep {host}"),
        ),
        (_, true) if address::is_ip(host) || host == "HOST" => {
            Step::run(format!("Start {what}"), "docker compose up -d SERVICE", Risk::Restart)
        }
        (_, true) => Step::run(
            format!("Start {what}"),
            format!("docker compose up -d {host}"),
            Risk::Restart,
        ),
        _ if heroku(dossier) => {
            Step::look(format!("See whether {what} is up"), "heroku addons --app APP")
        }
        _ => Step::run(
            format!("Start {what}"),
            format!("sudo systemctl start {}", daemon(port)),
            Risk::Restart,
        ),
    };
    let mut now = vec![start];
    if local && container(dossier) {
        now.push(Step::say(format!(
            "Or correct its address: within a container {host} is the container itself, so name the \
             service instead"
        )));
    } else {
        now.push(Step::say(format!(
            "Or correct the address in the app's settings, if {what} is elsewhere"
        )));
    }
    Cure {
        before: vec![Step::look(
            format!("See whether {what} can be reached from where the app runs"),
            reach.clone(),
        )],
        now,
        lasting: vec![Step::say(
            "Let the app connect again by itself, and answer 503 with `Retry-After` until it can",
        )],
        verify: vec![Step::look(format!("{what} can be reached"), reach), through(dossier)],
    }
}

/// The unit of a well-known service, by its port.
fn daemon(port: u16) -> &'static str {
    match port {
        5432 => "postgresql",
        6432 => "pgbouncer",
        3306 => "mysql",
        27017 => "mongod",
        6379 | 6380 => "redis-server",
        11211 => "memcached",
        5672 | 5671 => "rabbitmq-server",
        9092 => "kafka",
        _ => "SERVICE",
    }
}

/// Whether the database is of the MySQL family, by the words of its driver.
pub(crate) fn is_mysql(seen: Option<Seen>) -> bool {
    seen.is_some_and(|it| {
        let words = it.detail().map(str::to_lowercase).unwrap_or_default();
        it.key.product == Product::MySql || ["mysql", "mariadb"].iter().any(|it| words.contains(it))
    })
}

/// Shows what the sessions of the database do.
pub(crate) fn sessions(mysql: bool) -> Step {
    let run = match mysql {
        true => {
            "mysql -e \"select user, command, count(*), max(time) from \
             information_schema.processlist group by 1, 2\""
        }
        false => {
            "psql -c \"select application_name, state, count(*), max(now() - state_change) from \
             pg_stat_activity group by 1, 2 order by 3 desc\""
        }
    };
    Step::look(
        "See who holds the connections: many that are idle within a transaction are a leak",
        run,
    )
}
