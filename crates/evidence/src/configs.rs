//! Readers of configurations: one file a product.

use crate::setting::Config;

mod apache;
mod apisix;
mod caddy;
mod code;
mod command;
mod compose;
mod dockerfile;
mod environment;
mod envoy;
mod gunicorn;
mod haproxy;
mod kong;
mod kubernetes;
mod nginx;
mod php_fpm;
mod serverless;
mod shell;
mod spring;
mod systemd;
mod traefik;
mod tree;
mod uwsgi;
mod varnish;
mod words;

/// Every kind of configuration that is read. The first that fits takes it: those with signs of their
/// own come before those that only resemble them.
pub static CONFIGS: &[Config] = &[
    systemd::SYSTEMD,
    uwsgi::UWSGI,
    php_fpm::PHP_FPM,
    apache::APACHE,
    varnish::VARNISH,
    nginx::NGINX,
    haproxy::HAPROXY,
    caddy::CADDY,
    kong::KONG,
    apisix::APISIX,
    envoy::ENVOY,
    serverless::SERVERLESS,
    kubernetes::KUBERNETES,
    compose::COMPOSE,
    traefik::TRAEFIK,
    spring::SPRING,
    dockerfile::DOCKERFILE,
    gunicorn::SETTINGS,
    environment::ENVIRONMENT,
    shell::PROCFILE,
    shell::COMMANDS,
    code::CODE,
];

#[cfg(test)]
mod tests {
    use super::CONFIGS;

    #[test]
    fn every_configuration_is_recognised_and_read() {
        for config in CONFIGS {
            let first = CONFIGS.iter().find(|it| (it.fits)("", config.example)).map(|it| it.name);
            assert_eq!(first, Some(config.name), "{}", config.example);
            let settings = (config.read)("", config.example);
            assert!(!settings.is_empty(), "{}: nothing is read", config.name);
            for it in settings {
                let at = it.offset as usize;
                let there = config.example.get(at..at + it.quote.len());
                assert_eq!(there, Some(&*it.quote), "{}: a quote is misplaced", config.name);
            }
        }
    }

    /// Every example of every kind, cut short, doubled and mixed, is given to every reader: none may
    /// panic, and every quote stands where it is said to stand.
    #[test]
    fn no_reader_fails_on_what_is_cut_or_mixed() {
        let pieces = [
            "", "{", "}", "\"", "'", "\\", "é", "[", ": ", "\n---\n", "=", "://", "@", "&a *a",
            "\r\n",
        ];
        let mut seed = 7_usize;
        for config in CONFIGS {
            for round in 0..60 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695);
                let other = CONFIGS[(seed >> 33) % CONFIGS.len()].example;
                let cut = |text: &str, at: usize| {
                    let at = at % (text.len() + 1);
                    text.chars().take(at).collect::<String>()
                };
                let piece = pieces[round % pieces.len()];
                let text =
                    cut(config.example, seed >> 40) + piece + &cut(other, seed >> 37) + piece;
                for reader in CONFIGS {
                    let _ = (reader.fits)("", &text);
                    for it in (reader.read)("", &text) {
                        let at = it.offset as usize;
                        let there = text.get(at..at + it.quote.len());
                        assert_eq!(there, Some(&*it.quote), "{}: {text}", reader.name);
                    }
                }
            }
        }
    }
}
