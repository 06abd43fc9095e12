//! Units of systemd (man systemd.service, systemd.exec, systemd.resource-control, systemd.socket).

use super::command;
use super::words::{
    bytes, host_port, integer, is_safe, joined, lines, millis, pair, port, section, words,
};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const SYSTEMD: Config = Config {
    name: "systemd unit",
    product: Product::Systemd,
    fits,
    read,
    source: "https://www.freedesktop.org/software/systemd/man/latest/systemd.service.html",
    example: "[Service]\nExecStart=/srv/venv/bin/gunicorn --bind unix:/run/app.sock app:app\n",
};

fn fits(_: &str, text: &str) -> bool {
    let sections = ["Service", "Socket"];
    let headed = lines(text).any(|it| section(it).is_some_and(|it| sections.contains(&it)));
    let first = lines(text).find(|it| !it.starts_with(['#', ';'])).unwrap_or_default();
    let started = first.starts_with("ExecStart=") || first.starts_with("ListenStream=");
    headed && lines(text).any(|it| pair(it, '=').is_some()) || started
}

fn read(name: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Systemd, text);
    let unit = name.rsplit('/').next().filter(|it| it.ends_with(".service"));
    places.service(unit.map(|it| it.trim_end_matches(".service")));
    for statement in statements(text) {
        let Some((key, value)) = statement.split_once('=') else { continue };
        setting(&mut places, key.trim(), value.trim(), statement);
        places.product(Product::Systemd);
    }
    places.settings
}

/// The lines that are no remarks.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    joined(text).into_iter().filter(|it| !it.starts_with(['#', ';']))
}

fn setting<'t>(places: &mut Places<'t>, key: &str, value: &'t str, quote: &'t str) {
    match key {
        "ExecStart" => {
            let command = value.trim_start_matches(['-', '@', ':', '+', '!']);
            let all = words(command);
            command::runs(places, &all);
            command::read_words(places, &all);
        }
        "User" => places.add(What::User { name: value.to_owned() }, quote),
        "Type" => places.add(What::On { option: quote.to_owned() }, quote),
        "Restart" => places.add(What::Restarts { policy: value.to_owned() }, quote),
        "PrivateTmp" | "PrivateNetwork" if matches!(value, "true" | "yes" | "on" | "1") => {
            places.add(What::On { option: key.to_owned() }, quote);
        }
        "TimeoutStopSec" => places.limit(Limit::Graceful, millis(value, 1000), quote),
        "RuntimeMaxSec" | "WatchdogSec" => places.limit(Limit::Worker, millis(value, 1000), quote),
        "MemoryMax" | "MemoryLimit" | "MemoryHigh" => {
            places.limit(Limit::Memory, bytes(value), quote);
        }
        "LimitNOFILE" => {
            let soft = value.split(':').next().unwrap_or(value);
            places.limit(Limit::Descriptors, integer(soft), quote);
        }
        "TasksMax" => places.limit(Limit::Workers, integer(value), quote),
        "RuntimeDirectory" => {
            for name in value.split_whitespace() {
                places.add(What::RuntimeDirectory { path: format!("/run/{name}") }, quote);
            }
        }
        "ListenStream" => {
            let address = match value.parse::<u16>() {
                Ok(_) => format!(":{value}"),
                Err(_) if value.starts_with('/') => format!("unix:{value}"),
                Err(_) => value.to_owned(),
            };
            places.add(What::Listens { address, scheme: Scheme::Unknown }, quote);
        }
        "SocketMode" => places.add(What::SocketMode { mode: value.to_owned() }, quote),
        "SocketUser" | "SocketGroup" => {
            places.add(What::SocketOwner { name: value.to_owned() }, quote);
        }
        "Backlog" => places.limit(Limit::Backlog, integer(value), quote),
        "Environment" => {
            for word in words(value) {
                if let Some((name, value)) = word.split_once('=') {
                    environment(places, name, value, word);
                }
            }
        }
        "Requires" | "BindsTo" => {
            for unit in value.split_whitespace() {
                places.add(What::DependsOn { service: unit.to_owned() }, unit);
            }
        }
        _ => {}
    }
}

/// A variable of the environment; of those that may hold secrets only host and port are kept.
pub(super) fn environment<'t>(places: &mut Places<'t>, name: &str, value: &'t str, quote: &'t str) {
    let value = value.trim().trim_matches(['"', '\'']);
    // A default that stands for a variable that is missing: `${PORT:-8000}`.
    let default = value.split_once(":-").map_or(value, |(_, it)| it.trim_end_matches('}'));
    match name {
        "PORT" | "SERVER_PORT" | "APP_PORT" | "FLASK_RUN_PORT" | "UVICORN_PORT" => {
            if let Some(port) = port(default) {
                places.add(What::PortGiven { port }, quote);
            }
        }
        "VIRTUAL_PORT" => {
            if let Some(port) = port(default) {
                places.add(What::TargetPort { port }, quote);
            }
        }
        "VIRTUAL_PROTO" => places.add(What::On { option: format!("VIRTUAL_PROTO={value}") }, quote),
        "VIRTUAL_HOST" => {
            for host in value.split(',').map(str::trim).filter(|it| !it.is_empty() && is_safe(it)) {
                places.add(What::ServedAs { host: host.to_owned() }, host);
            }
        }
        "GUNICORN_CMD_ARGS" => {
            command::flags(places, Product::Gunicorn, &words(value));
        }
        "PGOPTIONS" if is_safe(quote) => {
            let set = value.split_once("statement_timeout=").map(|(_, it)| it);
            let time = set.and_then(|it| it.split_whitespace().next());
            places.limit(Limit::Statement, time.and_then(|it| millis(it, 1)), quote);
        }
        "SPRING_DATASOURCE_HIKARI_CONNECTION_TIMEOUT" => {
            places.limit(Limit::PoolWait, millis(default, 1), quote);
        }
        "WEB_CONCURRENCY" => places.limit(Limit::Workers, integer(value), quote),
        _ if value.contains("://") => {
            let address = host_port(value).filter(|it| dependency(name, value) && is_full(it));
            if let Some(address) = address {
                places.add(What::Uses { address: address.to_owned() }, address);
            }
        }
        _ if name.ends_with("_HOST")
            && is_dependency(name)
            && super::words::is_authority(value)
            && is_safe(quote) =>
        {
            places.add(What::Uses { address: value.to_owned() }, quote);
        }
        _ => {}
    }
}

fn is_full(address: &str) -> bool {
    !address.starts_with(['$', '{'])
}

/// A URL of something that the app connects to, not one of the app itself.
fn dependency(name: &str, value: &str) -> bool {
    let scheme = value.split("://").next().unwrap_or_default().trim_start_matches("jdbc:");
    let web = matches!(scheme, "http" | "https");
    !web || ["_URL", "_URI", "_ENDPOINT", "_UPSTREAM", "_BACKEND"]
        .iter()
        .any(|it| name.ends_with(it))
        && !["PUBLIC", "BASE", "SITE", "ROOT", "SELF", "APP_URL", "FRONTEND"]
            .iter()
            .any(|it| name.contains(it))
}

fn is_dependency(name: &str) -> bool {
    [
        "DB",
        "DATABASE",
        "POSTGRES",
        "PG",
        "MYSQL",
        "MARIADB",
        "REDIS",
        "MONGO",
        "RABBIT",
        "AMQP",
        "MEMCACHED",
        "KAFKA",
        "ELASTIC",
        "CACHE",
    ]
    .iter()
    .any(|it| name.contains(it))
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn whether_it_is_started_again_is_read() {
        check_config(
            "app.service",
            "[Service]\nExecStart=/srv/app\nRestart=on-failure\n",
            "systemd: [app] Runs { command: \"/srv/app\" }; [app] Restarts { policy: \"on-failure\" }",
        );
    }

    #[test]
    fn units_are_read_with_what_they_run() {
        check_config(
            "/etc/systemd/system/app.service",
            "[Unit]\nDescription=App\nRequires=app.socket\n\n[Service]\nType=notify\nUser=www-data\nPrivateTmp=true\nRuntimeDirectory=app\nEnvironment=PORT=8000 \"DATABASE_URL=postgres://me:secret@db:5432/x\"\nExecStart=/srv/venv/bin/gunicorn --workers 3 \\\n  --bind unix:/run/app/app.sock app:app\nTimeoutStopSec=5\nMemoryMax=512M\nLimitNOFILE=1024:4096\n",
            "systemd: [app] DependsOn { service: \"app.socket\" }; [app] On { option: \"Type=notify\" }; [app] User { name: \"www-data\" }; \
             [app] On { option: \"PrivateTmp\" }; [app] RuntimeDirectory { path: \"/run/app\" }; [app] PortGiven { port: 8000 }; \
             [app] Uses { address: \"db:5432\" }; \
             [app] Runs { command: \"/srv/venv/bin/gunicorn --workers 3 --bind unix:/run/app/app.sock app:app\" }; \
             [app] Limit Workers 3; [app] Listens unix:/run/app/app.sock; [app] Limit Graceful 5000; \
             [app] Limit Memory 536870912; [app] Limit Descriptors 1024",
        );
    }

    #[test]
    fn pieces_are_read_and_secrets_are_not() {
        check_config(
            "",
            "ExecStart=/usr/bin/node server.js --password hush",
            "systemd: Runs { command: \"/usr/bin/node server.js\" }",
        );
        check_config(
            "",
            "[Socket]\nListenStream=/run/app.sock\nSocketMode=0660",
            "systemd: Listens unix:/run/app.sock; SocketMode { mode: \"0660\" }",
        );
        assert!(!super::fits("app.service", "Jan 02 03:04:05 host systemd[1]: Started App."));
        assert!(!super::fits("app.service", "ExecStart is wrong"));
    }
}
