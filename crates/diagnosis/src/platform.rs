//! The commands of the platform that was seen: where logs are, how a service is named and restarted.

use crate::dossier::Dossier;
use crate::text::When;
use evidence::{Product, Scheme, Sign, Stack, What, address, clock};

/// Restarts the app with what was changed, on the platform that was seen.
pub(crate) fn restart(dossier: &Dossier) -> String {
    if kubernetes(dossier) {
        return format!("kubectl rollout restart {}", deployment(dossier));
    }
    if heroku(dossier) {
        return "heroku ps:restart --app APP".to_owned();
    }
    match (container(dossier), only_container(dossier)) {
        (true, Some(name)) => format!("docker restart {name}"),
        (true, None) => format!("docker compose up -d --force-recreate {}", service(dossier)),
        (false, _) => format!("sudo systemctl restart {}", unit(dossier)),
    }
}

/// Starts the app where it does not run.
pub(crate) fn start(dossier: &Dossier) -> String {
    if kubernetes(dossier) {
        return format!("kubectl scale {} --replicas=2", deployment(dossier));
    }
    if heroku(dossier) {
        return "heroku ps:scale web=1 --app APP".to_owned();
    }
    match (container(dossier), only_container(dossier)) {
        (true, Some(name)) => format!("docker start {name}"),
        (true, None) => format!("docker compose up -d {}", service(dossier)),
        (false, _) => format!("sudo systemctl start {}", unit(dossier)),
    }
}

/// Shows whether the app runs, how it last ended, and how often it was started.
pub(crate) fn state(dossier: &Dossier) -> String {
    if kubernetes(dossier) {
        return match pod(dossier) {
            Some(pod) => format!("kubectl describe pod {pod}"),
            None => "kubectl get pods -o wide".to_owned(),
        };
    }
    if heroku(dossier) {
        return "heroku ps --app APP".to_owned();
    }
    match (container(dossier), only_container(dossier)) {
        (true, Some(name)) => format!("docker ps -a --filter name={name}"),
        (true, None) => format!("docker compose ps -a {}", service(dossier)),
        (false, _) => format!("systemctl status {}", unit(dossier)),
    }
}

/// Runs a command where the app runs.
pub(crate) fn inside(dossier: &Dossier, command: &str) -> String {
    if kubernetes(dossier) {
        return format!("kubectl exec {} -- {command}", deployment(dossier));
    }
    if heroku(dossier) {
        return format!("heroku ps:exec --app APP -- {command}");
    }
    match (container(dossier), only_container(dossier)) {
        (true, Some(name)) => format!("docker exec {name} {command}"),
        (true, None) => format!("docker compose exec {} {command}", service(dossier)),
        (false, _) => command.to_owned(),
    }
}

/// What the app is declared in, for sentences.
pub(crate) fn declaration(dossier: &Dossier) -> String {
    if kubernetes(dossier) {
        return "the deployment".to_owned();
    }
    if heroku(dossier) {
        return "the Procfile and the config vars".to_owned();
    }
    match container(dossier) {
        true => "the compose file".to_owned(),
        false => match unit(dossier) {
            it if it == "APP" => "the app's unit".to_owned(),
            it => format!("the unit {it}"),
        },
    }
}

/// The app's deployment, by the name of one of its pods.
pub(crate) fn deployment(dossier: &Dossier) -> String {
    let named = pod(dossier).and_then(|pod| {
        let (rest, end) = pod.rsplit_once('-')?;
        let (name, set) = rest.rsplit_once('-')?;
        let made = |it: &str| it.bytes().all(|it| it.is_ascii_alphanumeric());
        (end.len() == 5 && (6..=10).contains(&set.len()) && made(end) && made(set)).then_some(name)
    });
    format!("deployment/{}", named.unwrap_or("APP"))
}

/// The pod that the inputs speak of.
pub(crate) fn pod<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    const OF_PODS: [Sign; 9] = [
        Sign::CrashLooping,
        Sign::OomKilled,
        Sign::LivenessFailed,
        Sign::ReadinessFailed,
        Sign::StartupProbeFailed,
        Sign::ProcessKilled,
        Sign::ProcessExited,
        Sign::StartingUp,
        Sign::PodKilling,
    ];
    named(dossier, &OF_PODS, Product::Kubernetes, |_| true)
}

/// The app's unit, by what systemd said of it.
pub(crate) fn unit(dossier: &Dossier) -> String {
    let hop = dossier.hop().to_lowercase();
    let of_app = |it: &str| it.ends_with(".service") && !it.starts_with(&hop);
    let named = named(dossier, &OF_PROCESSES, Product::Systemd, of_app);
    // The kernel names the group of whom it killed, which is named after the unit.
    let killed = dossier.seen(Sign::OomKilledCgroup, When::Any).into_iter();
    let mut groups = killed.filter_map(|it| it.key.detail.as_deref()?.rsplit('/').next());
    let named = named.or_else(|| groups.find(|it| is_name(it) && of_app(it)));
    named.or_else(|| unit_read(dossier)).map_or_else(|| program(dossier), str::to_owned)
}

/// The unit whose file was read, where it is the only one that is not the hop's.
fn unit_read<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    let hop = dossier.hop().to_lowercase();
    let sources = dossier.testimony.settings.iter().filter_map(|(source, it)| {
        matches!(it.what, What::Runs { .. } | What::User { .. }).then_some(*source)
    });
    let names = sources.filter_map(|it| dossier.testimony.sources.get(it as usize));
    let names = names.map(|it| it.name.rsplit('/').next().unwrap_or(&it.name));
    let mut units = names.filter(|it| {
        it.ends_with(".service") && is_name(it) && !it.to_lowercase().starts_with(&hop)
    });
    let first = units.next()?;
    units.all(|it| it == first).then_some(first)
}

/// The container that Docker speaks of, where no service has a name.
fn only_container<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    match service(dossier) == "APP" {
        true => named(dossier, &OF_PROCESSES, Product::Docker, |_| true),
        false => None,
    }
}

const OF_PROCESSES: [Sign; 12] = [
    Sign::ProcessInactive,
    Sign::BootFailed,
    Sign::CrashLooping,
    Sign::OomKilled,
    Sign::Hung,
    Sign::WorkerSegfault,
    Sign::ProcessKilled,
    Sign::ProcessExited,
    Sign::ProcessStopped,
    Sign::ContainerUnhealthy,
    Sign::ContainerRestarted,
    Sign::Started,
];

/// Whom a product names with one of these signs.
pub(crate) fn named<'a>(
    dossier: &Dossier<'a>,
    signs: &[Sign],
    product: Product,
    fits: impl Fn(&str) -> bool,
) -> Option<&'a str> {
    let seen = signs.iter().flat_map(|it| dossier.seen(*it, When::Any));
    seen.filter(|it| it.key.product == product)
        .filter_map(|it| it.key.who.as_deref())
        .find(|it| is_name(it) && fits(it))
}

/// It can stand in a command as it is: a log may hold anything.
pub(crate) fn is_plain(word: &str) -> bool {
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"._-:/@[]".contains(&it);
    !word.is_empty() && !word.starts_with('-') && word.len() <= 200 && word.bytes().all(plain)
}

/// It can stand in a command as the name of something: no path and no address.
pub(crate) fn is_name(word: &str) -> bool {
    is_plain(word) && !word.contains(['/', ':', '[', ']'])
}

pub(crate) fn heroku(dossier: &Dossier) -> bool {
    dossier.read(Product::Heroku)
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
    match hop_service(dossier) {
        Some(service) if !kubernetes(dossier) => {
            format!("docker compose exec {service} sh -c '{inner}'")
        }
        _ => format!("sudo sh -c '{inner}'"),
    }
}

/// The compose service in which the hop runs: the one that wrote its lines, or has its name.
pub(crate) fn hop_service<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    let hop = dossier.hop();
    let named = dossier.settings(|it| match &it.what {
        What::Service { name } if name.contains(hop) => Some(name.as_str()),
        _ => None,
    });
    let wrote = dossier.incident.service.as_deref();
    wrote.or_else(|| named.into_iter().map(|(name, _)| name).next()).filter(|it| is_name(it))
}

/// Asks the app itself, past the proxy.
pub(crate) fn ask(dossier: &Dossier) -> Option<String> {
    let upstream = dossier.upstream().filter(|it| is_plain(it))?;
    match address::socket(upstream) {
        Some(path) => Some(format!("curl -sv --unix-socket {path} http://localhost/ -o /dev/null")),
        None => {
            let https = dossier.dials().iter().any(|it| it.scheme == Scheme::Https);
            let scheme = if https { "https" } else { "http" };
            Some(format!("curl -sv {scheme}://{upstream}/ -o /dev/null"))
        }
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
        let pod = pod(dossier).unwrap_or("POD");
        return format!("kubectl logs --previous {pod}; kubectl logs {pod}");
    }
    if heroku(dossier) {
        return "heroku logs --num 1500 --app APP".to_owned();
    }
    if let Some(name) = only_container(dossier).filter(|_| container(dossier)) {
        return format!("docker logs --timestamps {} {name}", since_compose(dossier));
    }
    if container(dossier) {
        return format!(
            "docker compose logs --timestamps {} {}",
            since_compose(dossier),
            service(dossier)
        );
    }
    format!("journalctl -u {} {}", unit(dossier), since(dossier))
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

/// The program of the app's server, for commands.
pub(crate) fn program(dossier: &Dossier) -> String {
    match dossier.server_product() {
        Some(Product::PhpFpm | Product::Php) => "php-fpm",
        Some(Product::Uwsgi) => "uwsgi",
        Some(Product::Tomcat) => "tomcat",
        Some(Product::Puma) => "puma",
        Some(Product::Unicorn) => "unicorn",
        Some(
            it @ (Product::Gunicorn
            | Product::Uvicorn
            | Product::Hypercorn
            | Product::Daphne
            | Product::Waitress),
        ) => it.name(),
        // Languages and frameworks are no programs of their own.
        _ => "APP",
    }
    .to_owned()
}

pub(crate) fn service(dossier: &Dossier) -> String {
    let upstream = dossier.upstream().map(address::host);
    let dialled = upstream.filter(|it| {
        !address::is_ip(it) && !it.starts_with("unix:") && is_name(it) && *it != "localhost"
    });
    let known = dialled.or_else(|| service_that_wrote(dossier)).or_else(|| service_read(dossier));
    known.unwrap_or("APP").to_owned()
}

/// The one service whose lines are those of an app.
fn service_that_wrote<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    let keys = dossier.testimony.ledger.groups.keys();
    let of_apps =
        keys.filter(|it| it.product.stack().runs_apps() && it.product != Product::Unknown);
    let mut services = of_apps.filter_map(|it| it.service.as_deref()).filter(|it| is_name(it));
    let first = services.next()?;
    services.all(|it| it == first).then_some(first)
}

/// The one service of compose files that an app's server runs in.
fn service_read<'a>(dossier: &Dossier<'a>) -> Option<&'a str> {
    let settings = dossier.testimony.settings.iter().map(|(_, it)| it);
    let of_apps = settings.filter(|it| {
        it.object.is_none() && it.product.stack().runs_apps() && it.product != Product::Unknown
    });
    let composed = |name: &&str| {
        let mut all = dossier.testimony.settings.iter();
        all.any(|(_, it)| matches!(&it.what, What::Service { name: own } if own == name))
    };
    let mut services =
        of_apps.filter_map(|it| it.service.as_deref()).filter(|it| is_name(it)).filter(composed);
    let first = services.next()?;
    services.all(|it| it == first).then_some(first)
}

pub(crate) fn host_of(dossier: &Dossier) -> String {
    match dossier.upstream() {
        Some(it) if address::is_loopback(it) || it.starts_with("unix:") => {
            crate::advice::hop_host(dossier)
        }
        _ => "the app's host".to_owned(),
    }
}

pub(crate) fn container(dossier: &Dossier) -> bool {
    let named = dossier.incident.service.is_some() && !kubernetes(dossier);
    !heroku(dossier) && (named || dossier.read(Product::Docker))
}

pub(crate) fn kubernetes(dossier: &Dossier) -> bool {
    dossier.read(Product::Kubernetes)
        || dossier.incident.hop == Product::IngressNginx
        || dossier.incident.service.as_deref().is_some_and(|it| it.contains('/'))
}
