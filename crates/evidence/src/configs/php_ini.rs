//! `php.ini` (php.net/manual/en/ini.list.php).

use super::words::{bytes, lines, millis, pair, section};
use crate::product::Product;
use crate::setting::{Config, Limit, Places, Setting};

pub(super) const PHP_INI: Config = Config {
    name: "php.ini",
    product: Product::Php,
    fits,
    read,
    source: "https://www.php.net/manual/en/info.configuration.php",
    example: "[PHP]\nmax_execution_time = 30\nmemory_limit = 128M\n",
};

/// Names that no other kind of file has.
const OWN: [&str; 6] = [
    "max_execution_time",
    "max_input_time",
    "post_max_size",
    "upload_max_filesize",
    "display_errors",
    "error_reporting",
];

fn fits(_: &str, text: &str) -> bool {
    let (mut all, mut pairs, mut own) = (0, 0, 0);
    for line in lines(text).filter(|it| !it.starts_with([';', '#']) && section(it).is_none()) {
        all += 1;
        if let Some((name, _)) = pair(line, '=') {
            pairs += 1;
            own += usize::from(OWN.contains(&name));
        }
    }
    own > 0 && pairs * 2 > all
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Php, text);
    for line in lines(text).filter(|it| !it.starts_with([';', '#'])) {
        let quote = line.split(" ;").next().unwrap_or(line).trim();
        let Some((name, value)) = pair(quote, '=') else { continue };
        match name {
            "max_execution_time" => places.limit(Limit::Script, millis(value, 1000), quote),
            "memory_limit" => places.limit(Limit::Memory, bytes(value), quote),
            "post_max_size" => places.limit(Limit::Body, bytes(value), quote),
            _ => {}
        }
    }
    places.settings
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn limits_are_read() {
        check_config(
            "php.ini",
            "[PHP]\n; seconds\nmax_execution_time = 120 ; long\nmemory_limit=128M\npost_max_size = 8M\nerror_log = syslog\n",
            "PHP: Limit Script 120000; Limit Memory 134217728; Limit Body 8388608",
        );
    }

    #[test]
    fn what_only_mentions_them_is_none() {
        for text in [
            "memory_limit = 128M",
            "we set max_execution_time = 30 there",
            "a\nb\nc\nmax_execution_time = 1",
        ] {
            assert!(!super::fits("php.ini", text), "{text}");
        }
    }
}
