//! Pools of php-fpm (php.net/manual/en/install.fpm.configuration.php).

use super::words::{bytes, integer, lines, millis, pair, section};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Scheme, Setting, What};

pub(super) const PHP_FPM: Config = Config {
    name: "php-fpm pool",
    product: Product::PhpFpm,
    fits,
    read,
    source: "https://www.php.net/manual/en/install.fpm.configuration.php",
    example: "[www]\nlisten = /run/php/php-fpm.sock\npm.max_children = 5\n",
};

fn fits(_: &str, text: &str) -> bool {
    let options = || lines(text).filter(|it| !it.starts_with([';', '#', '[']));
    let own = |it: &str| {
        it.starts_with("pm.")
            || matches!(
                it,
                "pm" | "request_terminate_timeout"
                    | "listen.owner"
                    | "listen.mode"
                    | "listen.group"
                    | "listen.backlog"
                    | "listen.allowed_clients"
                    | "request_slowlog_timeout"
            )
    };
    let known = options().filter_map(|it| pair(it, '=')).filter(|(it, _)| own(it)).count();
    let all = options().count();
    let pairs = options().filter(|it| pair(it, '=').is_some()).count();
    known > 0 && pairs * 2 >= all
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::PhpFpm, text);
    for line in lines(text).filter(|it| !it.starts_with([';', '#'])) {
        if let Some(name) = section(line) {
            places.service(Some(name).filter(|it| *it != "global"));
            continue;
        }
        let quote = line.split(" ;").next().unwrap_or(line).trim();
        let Some((name, value)) = pair(quote, '=') else { continue };
        match name {
            "listen" => {
                let address = match value.parse::<u16>() {
                    Ok(_) => format!(":{value}"),
                    Err(_) if value.starts_with('/') => format!("unix:{value}"),
                    Err(_) => value.to_owned(),
                };
                places.add(What::Listens { address, scheme: Scheme::FastCgi }, quote);
            }
            "listen.owner" | "listen.group" => {
                places.add(What::SocketOwner { name: value.to_owned() }, quote);
            }
            "listen.mode" => places.add(What::SocketMode { mode: value.to_owned() }, quote),
            "listen.backlog" => places.limit(Limit::Backlog, integer(value), quote),
            "user" => places.add(What::User { name: value.to_owned() }, quote),
            "pm.max_children" => places.limit(Limit::Workers, integer(value), quote),
            "pm.max_requests" => places.limit(Limit::RequestsPerWorker, integer(value), quote),
            "request_terminate_timeout" => places.limit(Limit::Worker, millis(value, 1000), quote),
            "process_control_timeout" => places.limit(Limit::Graceful, millis(value, 1000), quote),
            "rlimit_files" => places.limit(Limit::Descriptors, integer(value), quote),
            "php_admin_value[max_execution_time]" | "php_value[max_execution_time]" => {
                places.limit(Limit::Script, millis(value, 1000), quote);
            }
            "php_admin_value[memory_limit]" | "php_value[memory_limit]" => {
                places.limit(Limit::Memory, bytes(value), quote);
            }
            _ => {}
        }
    }
    places.settings
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn pools_and_pieces_are_read() {
        for (text, want) in [
            (
                "; a pool\n[www]\nuser = www-data\nlisten = /run/php/php8.2-fpm.sock\nlisten.owner = nginx\nlisten.mode = 0660\npm = dynamic\npm.max_children = 5\nrequest_terminate_timeout = 30s ; kill\n",
                "php-fpm: [www] User { name: \"www-data\" }; [www] Listens unix:/run/php/php8.2-fpm.sock; [www] SocketOwner { name: \"nginx\" }; \
                 [www] SocketMode { mode: \"0660\" }; [www] Limit Workers 5; [www] Limit Worker 30000",
            ),
            ("pm.max_children=50", "php-fpm: Limit Workers 50"),
            ("listen = 9000\npm = static", "php-fpm: Listens :9000"),
        ] {
            check_config("www.conf", text, want);
        }
        assert!(!super::fits(
            "www.conf",
            "[02-Jan-2026 03:04:05] WARNING: [pool www] server reached pm.max_children setting (5)"
        ));
        assert!(!super::fits("", "listen = 80"));
    }
}
