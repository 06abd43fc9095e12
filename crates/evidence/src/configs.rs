//! Readers of configurations: one file a product.

use crate::setting::Config;

mod command;
mod gunicorn;
mod nginx;
mod tree;
mod uwsgi;
mod words;

/// Every kind of configuration that is read. The first that fits takes it.
pub static CONFIGS: &[Config] = &[uwsgi::UWSGI, nginx::NGINX, gunicorn::SETTINGS];
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
}
