//! Command lines as people paste them: `docker run`, and servers that are started by hand; and the
//! processes of a Procfile.

use super::command;
use super::systemd::environment;
use super::words::{bytes, joined, lines, mostly, port, without_comment, words};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Setting, What};

pub(super) const PROCFILE: Config = Config {
    name: "Procfile",
    product: Product::Heroku,
    fits: fits_procfile,
    read: read_procfile,
    source: "https://devcenter.heroku.com/articles/procfile",
    example: "web: gunicorn app:app --timeout 20\n",
};

pub(super) const COMMANDS: Config = Config {
    name: "command lines",
    product: Product::Shell,
    fits: fits_commands,
    read: read_commands,
    source: "https://docs.docker.com/reference/cli/docker/container/run/",
    example: "docker run -d -p 80:8000 --network web example/app\n",
};

/// The processes of a Procfile: a name and a command.
fn processes(text: &str) -> Option<Vec<(&str, &str)>> {
    let mut all = Vec::new();
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        let (name, command) = line.split_once(':')?;
        let plain = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
        if name.is_empty() || !name.bytes().all(plain) || !command.starts_with([' ', '\t']) {
            return None;
        }
        all.push((name, command.trim()));
    }
    Some(all)
}

fn fits_procfile(name: &str, text: &str) -> bool {
    let Some(all) = processes(text) else { return false };
    let named = name.ends_with("Procfile");
    let serves = |(name, command): &(&str, &str)| *name == "web" && !command.is_empty();
    all.iter().any(|it| {
        command::is_known(it.1) && (named || serves(it) || all.len() == 1 && it.0 != "command")
    }) || named && all.iter().any(serves)
}

fn read_procfile(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Heroku, text);
    for (name, line) in processes(text).unwrap_or_default() {
        places.service(Some(name));
        let all = words(line);
        command::runs(&mut places, &all);
        command::read_words(&mut places, &all);
        places.product(Product::Heroku);
    }
    places.settings
}

/// Lines without their prompt.
fn statements(text: &str) -> Vec<&str> {
    let all = joined(text).into_iter().map(prompted);
    all.filter(|it| !it.is_empty() && !it.starts_with('#')).collect()
}

/// Without `$ `, `# ` and `user@host:~$ ` before it.
fn prompted(line: &str) -> &str {
    if let Some(rest) =
        line.strip_prefix("$ ").or_else(|| line.strip_prefix("# docker").map(|_| &line[2..]))
    {
        return rest.trim_start();
    }
    match line.find("$ ").or_else(|| line.find("# ")) {
        Some(at) if line[..at].contains('@') && !line[..at].contains(' ') => {
            line[at + 2..].trim_start()
        }
        _ => line,
    }
}

/// The words of `docker run` behind it, or `None` for another command.
fn docker<'w, 't>(all: &'w [&'t str], verbs: &[&str]) -> Option<&'w [&'t str]> {
    let all = if all.first() == Some(&"sudo") { &all[1..] } else { all };
    let [program, rest @ ..] = all else { return None };
    if !matches!(*program, "docker" | "podman" | "nerdctl") {
        return None;
    }
    let rest = if rest.first() == Some(&"container") { &rest[1..] } else { rest };
    rest.first().filter(|it| verbs.contains(it)).map(|_| &rest[1..])
}

fn fits_commands(_: &str, text: &str) -> bool {
    let statements = statements(text);
    let known = statements.iter().filter(|it| {
        let all = words(it);
        let runs = docker(&all, &["run", "create"]).is_some_and(is_run);
        runs || docker(&all, &["network"])
            .is_some_and(|it| it.first() == Some(&"connect") && it.len() <= 8)
            || strict_mesh(&all).is_some()
            || is_server(&all, it)
    });
    mostly(known.count(), statements.len())
}

/// Prose about `docker run` has no options; the shortest command is a name.
fn is_run(rest: &[&str]) -> bool {
    rest.iter().any(|it| it.starts_with('-')) || rest.len() == 1
}

fn is_server(all: &[&str], line: &str) -> bool {
    let options = all.iter().any(|it| it.starts_with('-'));
    let short = all.len() <= 4 && all.iter().skip(1).any(|it| it.contains([':', '.']));
    let subcommand = all.iter().any(|it| matches!(*it, "runserver" | "run"));
    (options || short || subcommand) && !line.ends_with(['.', ':', '?']) && command::is_known(line)
}

fn read_commands(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Shell, text);
    for statement in statements(text) {
        let statement =
            if statement.contains('\n') { statement } else { without_comment(statement) };
        let all = words(statement);
        if let Some(rest) = docker(&all, &["run", "create"]) {
            run(&mut places, rest);
        } else if let Some(rest) = docker(&all, &["network"]) {
            connect(&mut places, rest);
        } else if let Some(word) = strict_mesh(&all) {
            places.product(Product::Istio);
            places.add(What::MeshTls { mode: "STRICT".to_owned(), host: None }, word);
        } else if command::is_known(statement) {
            command::runs(&mut places, &all);
            command::read_words(&mut places, &all);
        }
        places.product(Product::Shell);
        places.service(None);
    }
    places.settings
}

/// Istio installed with mutual TLS for the whole mesh: `kubectl apply -f …/istio-demo-auth.yaml`,
/// `helm install … --set global.mtls.enabled=true` (istio.io/docs/setup of releases 0.8 to 1.4).
fn strict_mesh<'t>(all: &[&'t str]) -> Option<&'t str> {
    let all = if all.first() == Some(&"sudo") { &all[1..] } else { all };
    let [program, rest @ ..] = all else { return None };
    if !matches!(*program, "kubectl" | "helm" | "istioctl" | "oc") {
        return None;
    }
    const FILES: [&str; 3] =
        ["istio-demo-auth.yaml", "istio-auth.yaml", "values-istio-demo-auth.yaml"];
    let file = |it: &str| FILES.contains(&it.rsplit('/').next().unwrap_or(it));
    let strict = |it: &&&str| file(it) || it.ends_with("global.mtls.enabled=true");
    rest.iter().find(strict).copied()
}

/// `docker network connect NETWORK CONTAINER`.
fn connect<'t>(places: &mut Places<'t>, rest: &[&'t str]) {
    let mut names = rest.iter().skip(1).filter(|it| !it.starts_with('-'));
    if let (Some(network), Some(name)) = (names.next(), names.next()) {
        places.product(Product::Docker);
        places.service(Some(name));
        places.add(What::Network { name: (*network).to_owned() }, network);
    }
}

/// Options of `docker run` that take no value.
const FLAGS: [&str; 14] = [
    "-d",
    "-i",
    "-t",
    "-it",
    "-ti",
    "-itd",
    "-dit",
    "-dti",
    "--rm",
    "--detach",
    "--interactive",
    "--tty",
    "--privileged",
    "--init",
];

fn run<'t>(places: &mut Places<'t>, rest: &[&'t str]) {
    places.product(Product::Docker);
    let mut options = Vec::new();
    let mut at = 0;
    while let Some(word) = rest.get(at).copied().filter(|it| it.starts_with('-')) {
        at += 1;
        if FLAGS.contains(&word) || matches!(word, "-P" | "--read-only" | "--no-healthcheck") {
            continue;
        }
        match word.split_once('=') {
            Some((name, value)) if name.starts_with("--") => options.push((name, value, word)),
            _ if attached(word) => options.push((&word[..2], &word[2..], word)),
            _ => {
                let value = rest.get(at).copied().unwrap_or_default();
                let quote = if value.is_empty() { word } else { places.between(word, value) };
                options.push((bundled(word), value, quote));
                at += 1;
            }
        }
    }
    let image = rest.get(at).copied();
    let name = options.iter().find(|it| it.0 == "--name").map(|it| it.1);
    let short = image
        .map(|it| it.rsplit('/').next().unwrap_or(it))
        .map(|it| it.split(':').next().unwrap_or(it));
    places.service(name.or(short));
    if let Some((_, value, quote)) = options.iter().find(|it| it.0 == "--name") {
        places.add(What::Service { name: (*value).to_owned() }, quote);
    }
    if let Some(image) = image {
        places.add(What::Image { name: image.to_owned() }, image);
    }
    for (name, value, quote) in options {
        option(places, name, value, quote);
    }
    let all = rest.get(at + 1..).unwrap_or_default();
    command::runs(places, all);
    match image.filter(|_| all.first().is_some_and(|it| it.starts_with('-'))) {
        Some(image) => command::of_image(places, image, all),
        None => {
            command::read_words(places, all);
        }
    }
}

/// `-eNAME=value`, `-p80:80`: a flag of one letter with its value.
fn attached(word: &str) -> bool {
    let takes = ["-e", "-p", "-m", "-l", "-u"].iter().any(|it| word.starts_with(it));
    takes && word.len() > 2
}

/// `-dp`: flags of one letter, of which the last takes a value.
fn bundled(word: &str) -> &str {
    let flags = word.strip_prefix('-').unwrap_or_default();
    let short = !flags.starts_with('-') && flags.len() > 1;
    match flags.trim_start_matches(['d', 'i', 't']) {
        "p" if short => "-p",
        "e" if short => "-e",
        _ => word,
    }
}

fn option<'t>(places: &mut Places<'t>, name: &str, value: &'t str, quote: &'t str) {
    match name {
        "-p" | "--publish" => publish(places, value, quote),
        "--expose" => {
            if let Some(port) = port(value) {
                places.add(What::Exposes { port }, quote);
            }
        }
        "--network" | "--net" if value == "host" => places.add(What::HostNetwork, quote),
        "--network" | "--net" => places.add(What::Network { name: value.to_owned() }, quote),
        "--network-alias" => places.add(What::Service { name: value.to_owned() }, quote),
        "--link" => {
            let service = value.split(':').next().unwrap_or(value).to_owned();
            places.add(What::DependsOn { service }, quote);
        }
        "-e" | "--env" => {
            if let Some((name, it)) = value.split_once('=') {
                environment(places, name, it, value);
            }
        }
        "-l" | "--label" => {
            if let Some((name, it)) = value.split_once('=') {
                super::traefik::label(places, name, it, value);
            }
        }
        "-m" | "--memory" => places.limit(Limit::Memory, bytes(value), quote),
        "-u" | "--user" => places.add(What::User { name: value.to_owned() }, quote),
        "--stop-timeout" => places.limit(Limit::Graceful, super::words::millis(value, 1000), quote),
        "--health-cmd" => super::dockerfile::health_check(places, value),
        _ => {}
    }
}

/// `8080:80`, `127.0.0.1:8080:80/tcp`, `3000-3001:3000-3001`, `80`.
pub(super) fn publish<'t>(places: &mut Places<'t>, written: &str, quote: &'t str) {
    let written = written.split('/').next().unwrap_or(written);
    let (rest, container) = match written.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, written),
    };
    let host = rest.map(|it| it.rsplit(':').next().unwrap_or(it));
    let first = |it: &str| {
        let it = it.split_once(":-").map_or(it, |(_, it)| it.trim_end_matches('}'));
        it.split('-').next().and_then(port)
    };
    let Some(container) = first(container) else { return };
    match host.and_then(first) {
        Some(host) => places.add(What::Publishes { host, container }, quote),
        None => places.add(What::Exposes { port: container }, quote),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn options_of_an_image_are_those_of_its_program() {
        check_config(
            "run.sh",
            "docker run -p 4180:4180 quay.io/oauth2-proxy/oauth2-proxy:v7 --upstream=\"http://app:8181\" --http-address=127.0.0.1:4180 --client-secret=hush\n",
            "the shell: [oauth2-proxy] Image { name: \"quay.io/oauth2-proxy/oauth2-proxy:v7\" }; [oauth2-proxy] Publishes 4180->4180; [oauth2-proxy] Runs { command: \"--upstream=\\\"http://app:8181\\\" --http-address=127.0.0.1:4180\" }; [oauth2-proxy] Dials app:8181 Http; [oauth2-proxy] Listens 127.0.0.1:4180",
        );
    }

    #[test]
    fn a_mesh_is_installed_with_mutual_tls() {
        check_config(
            "setup.sh",
            "kubectl apply -f install/kubernetes/istio-demo-auth.yaml\n",
            "the shell: MeshTls { mode: \"STRICT\", host: None }",
        );
        assert!(super::strict_mesh(&["kubectl", "apply", "-f", "istio-demo.yaml"]).is_none());
        assert!(super::strict_mesh(&["echo", "istio-demo-auth.yaml"]).is_none());
    }

    #[test]
    fn containers_are_read_from_their_command_lines() {
        check_config(
            "run.txt",
            "$ docker run -d -p 5000:80 -e VIRTUAL_HOST=example.com -e VIRTUAL_PORT=5000 -eDB_PASSWORD=hush example/app\nsudo docker run --name proxy --network=web --link db:db -v /a:/b:ro --restart=always example/proxy:1 gunicorn -b :80 x:y\ndocker network connect web app\n",
            "the shell: [app] Image { name: \"example/app\" }; [app] Publishes 5000->80; [app] ServedAs { host: \"example.com\" }; \
             [app] TargetPort { port: 5000 }; [proxy] Service proxy; [proxy] Image { name: \"example/proxy:1\" }; [proxy] Network web; \
             [proxy] DependsOn { service: \"db\" }; [proxy] Runs { command: \"gunicorn -b :80 x:y\" }; [proxy] Listens :80; \
             [app] Network web",
        );
    }

    #[test]
    fn servers_are_read_from_their_command_lines() {
        for (text, want) in [
            (
                "gunicorn -w4 -b0.0.0.0:80 --timeout=120 app:app",
                "the shell: Runs { command: \"gunicorn -w4 -b0.0.0.0:80 --timeout=120 app:app\" }; Limit Workers 4; Listens 0.0.0.0:80; Limit Worker 120000",
            ),
            (
                "python3 manage.py runserver 8080",
                "the shell: Runs { command: \"python3 manage.py runserver 8080\" }; Listens 127.0.0.1:8080",
            ),
            (
                "flask run --host=0.0.0.0",
                "the shell: Runs { command: \"flask run --host=0.0.0.0\" }; Listens 0.0.0.0:5000",
            ),
            (
                "PORT=80 poetry run uvicorn a:b --uds /run/a.sock",
                "the shell: Runs { command: \"PORT=80 poetry run uvicorn a:b --uds /run/a.sock\" }; Listens unix:/run/a.sock",
            ),
            (
                "uvicorn main:app --port 8000 --timeout-keep-alive 75",
                "the shell: Runs { command: \"uvicorn main:app --port 8000 --timeout-keep-alive 75\" }; Limit KeepAliveClose 75000; Listens 127.0.0.1:8000",
            ),
            (
                "uvicorn main:app",
                "the shell: Runs { command: \"uvicorn main:app\" }; Listens 127.0.0.1:8000",
            ),
            (
                "uwsgi --socket 127.0.0.1:3031 --harakiri 30",
                "the shell: Runs { command: \"uwsgi --socket 127.0.0.1:3031 --harakiri 30\" }; Listens 127.0.0.1:3031; Limit Worker 30000",
            ),
            (
                "sh -c 'python manage.py migrate && daphne -b 0.0.0.0 -p 8001 a:b'",
                "the shell: Runs { command: \"sh -c python manage.py migrate && daphne -b 0.0.0.0 -p 8001 a:b\" }; Listens 0.0.0.0:8001",
            ),
        ] {
            check_config("", text, want);
        }
    }

    #[test]
    fn a_tls_front_and_a_file_server_are_read() {
        check_config(
            "commands.txt",
            "python3 -m http.server --bind 127.0.0.1 9000\nsudo local-ssl-proxy --source 443 --target 9000\n",
            "the shell: Runs { command: \"python3 -m http.server --bind 127.0.0.1 9000\" }; Listens 127.0.0.1:9000; \
             Runs { command: \"sudo local-ssl-proxy --source 443 --target 9000\" }; Dials localhost:9000 Http",
        );
    }

    #[test]
    fn procfiles_are_read() {
        check_config(
            "Procfile",
            "release: python manage.py migrate\nweb: gunicorn app:app --bind 127.0.0.1:$PORT --timeout 60\n",
            "Heroku: [release] Runs { command: \"python manage.py migrate\" }; \
             [web] Runs { command: \"gunicorn app:app --bind 127.0.0.1:$PORT --timeout 60\" }; [web] Listens 127.0.0.1:$PORT; [web] Limit Worker 60000",
        );
    }

    #[test]
    fn prose_and_logs_are_none() {
        for text in [
            "docker run does not work for me",
            "gunicorn is what I use.",
            "web: it is broken",
            "[2026-01-02 03:04:05 +0000] [1] [INFO] Listening at: http://127.0.0.1:8000 (1)",
        ] {
            assert!(!super::fits_commands("", text) && !super::fits_procfile("", text), "{text}");
        }
    }
}
