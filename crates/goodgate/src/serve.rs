//! Serving: listeners, the proxy and what it tells the terminal, until a signal.

use crate::settings::Settings;
use config::Config;

/// What serving needs besides the configuration.
pub(crate) struct Options {
    /// Where the configuration came from, for reloading it.
    #[expect(dead_code, reason = "read when a reload asks for it")]
    pub(crate) settings: Settings,
}

/// Why serving ended before anybody asked for it.
#[derive(Debug)]
pub(crate) enum Failure {
    NotWired,
}

pub(crate) fn serve(_config: Config, _options: Options) -> Result<(), Failure> {
    Err(Failure::NotWired)
}
