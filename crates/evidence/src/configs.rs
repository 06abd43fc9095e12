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
mod iptables;
mod kong;
mod kubernetes;
mod nginx;
mod pasted;
mod php_fpm;
mod php_ini;
mod serverless;
mod shell;
mod spring;
mod surroundings;
mod systemd;
mod traefik;
mod tree;
mod uwsgi;
mod varnish;
mod words;

pub(crate) use kubernetes::statuses;

/// Every kind of configuration that is read. The first that fits takes it: those with signs of their
/// own come before those that only resemble them.
pub static CONFIGS: &[Config] = &[
    systemd::SYSTEMD,
    uwsgi::UWSGI,
    php_fpm::PHP_FPM,
    php_ini::PHP_INI,
    apache::APACHE,
    varnish::VARNISH,
    nginx::NGINX,
    haproxy::HAPROXY,
    iptables::IPTABLES,
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
    pasted::PASTED,
    environment::ENVIRONMENT,
    shell::PROCFILE,
    shell::COMMANDS,
    surroundings::SURROUNDINGS,
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

    #[test]
    fn no_fact_holds_a_password_or_a_key() {
        for text in [
            "server { location / { proxy_pass http://me:hush@a:80/; } }",
            "proxy_pass http://a:80/x?token=hush;",
            "ProxyPass / http://me:hush@a/ timeout=3",
            "BalancerMember http://me:hush@a:80 retry=1",
            "RewriteRule ^/(.*) http://me:hush@a/$1 [P]",
            "backend b\n server a 192.0.2.1:80 check\n option httpchk GET /up?key=hush",
            "a.b {\n reverse_proxy http://me:hush@a:80\n}",
            "services:\n a:\n  image: b\n  command: gunicorn -b :80 a:b --password hush\n  environment:\n   DATABASE_URL: postgres://me:hush@db/x\n   DB_PASSWORD: hush\n   API_TOKEN: hush\n",
            "services:\n a:\n  image: b\n  environment:\n   - REDIS_URL=redis://:hush@db/x\n   - A_URL=http://a/?k=hush\n",
            "kind: Deployment\nspec:\n containers:\n - image: a\n   args: [--api-key, hush]\n   env:\n   - {name: PGHOST_URL, value: 'postgres://a:hush@b/c'}\n   livenessProbe:\n    httpGet: {path: '/a?key=hush', port: 80}\n",
            "[Service]\nExecStart=/bin/app --token hush\nEnvironment=MONGO_URL=mongodb://a:hush@b,c/d",
            "FROM a\nENV DATABASE_URL=mysql://a:hush@b/c\nCMD [\"app\", \"--secret\", \"hush\"]",
            "docker run -e DATABASE_URL=amqp://a:hush@b -e PASSWORD=hush -p 80:80 a app --pass hush",
            "_format_version: '3.0'\nservices:\n- name: a\n  url: http://me:hush@a:80\n",
            "http:\n services:\n  a:\n   loadBalancer:\n    servers:\n    - url: http://me:hush@a:80\n",
            "spring.datasource.url=jdbc:mysql://a:hush@b/c\nspring.datasource.password=hush\nserver.port=1",
            "web: DATABASE_URL=postgres://a:hush@b/c gunicorn -b :80 a:b",
        ] {
            let config = CONFIGS.iter().find(|it| (it.fits)("", text)).map(|it| it.read);
            let settings = config.expect(text)("", text);
            let words = format!("{settings:?}");
            assert!(!words.contains("hush"), "{text}: {words}");
        }
    }
}
