//! `goodgate run`: start the gateway.

use crate::output::Output;
use crate::problem::Failure;
use crate::serve;
use crate::settings::{Overrides, Settings, Source};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Start the gateway
///
/// With one or more URLs no file is needed: every request goes to them.
/// Without a URL the configuration is read from `goodgate.toml` in the current folder.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// Where to send requests: http://localhost:8000, localhost:8000 or 8000
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// The file to read [default: goodgate.toml]
    #[arg(long, value_name = "FILE", conflicts_with = "urls")]
    config: Option<PathBuf>,
    /// Where to listen: 127.0.0.1:8080, or :8080 for every address of this machine
    #[arg(long, value_name = "ADDR", value_parser = address)]
    listen: Option<SocketAddr>,
    /// How many cores serve requests [default: all]
    #[arg(long, value_name = "N")]
    workers: Option<NonZeroUsize>,
    /// A folder for this gateway alone [default: data.dir; none with URLs]
    ///
    /// By it `goodgate reload`, `status`, `drain` and `stop` find the gateway.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Serve instead of the gateway that has the same folder
    ///
    /// It passes its sockets on, so that no connection is lost, and ends with its last client.
    /// If this one fails to start, that one goes on.
    #[arg(long, verbatim_doc_comment)]
    takeover: bool,
    /// Read the file again when it changes [default: on a terminal]
    #[arg(long, conflicts_with = "urls")]
    watch: bool,
    /// Read the file again only when told to
    #[arg(long, conflicts_with = "watch")]
    no_watch: bool,
}

pub(super) fn run(arguments: Arguments, output: &Output, began: Instant) -> Result<(), Failure> {
    let overrides = Overrides {
        listen: arguments.listen,
        workers: arguments.workers.map(NonZeroUsize::get),
        data: arguments.data,
    };
    let source = match arguments.config {
        Some(file) => Source::File(file),
        None if !arguments.urls.is_empty() => Source::Urls(arguments.urls),
        None if Path::new(super::DEFAULT_FILE).exists() => Source::File(super::DEFAULT_FILE.into()),
        None => return Err(Failure::NothingToServe),
    };
    let settings = Settings { source, overrides };
    let seen = settings.seen();
    let (config, warnings) = settings.load()?;
    if let Some(warnings) = warnings.render(output.message_colour()) {
        output.message(&warnings);
    }
    let watch = arguments.watch || output.is_terminal() && !arguments.no_watch;
    let takeover = arguments.takeover;
    serve::serve(config, serve::Options { settings, seen, watch, takeover, began }, output)?;
    Ok(())
}

/// The forms that `[listen]` takes: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `:8080`.
pub(super) fn address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let wrong = || "not an address such as 127.0.0.1:8080 or :8080".to_owned();
    let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let ip = match host {
        "" => Ipv4Addr::UNSPECIFIED,
        "localhost" => Ipv4Addr::LOCALHOST,
        _ => return Err(wrong()),
    };
    let digits = !port.is_empty() && port.bytes().all(|it| it.is_ascii_digit());
    let port = digits.then(|| port.parse().ok()).flatten().ok_or_else(wrong)?;
    Ok(SocketAddr::new(IpAddr::V4(ip), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let got = address(text).ok().map(|it| it.to_string());
        assert_eq!(got.as_deref(), expected, "{text}");
    }

    #[test]
    fn addresses_are_read_as_the_file_reads_them() {
        check("127.0.0.1:8080", Some("127.0.0.1:8080"));
        check("[::1]:0", Some("[::1]:0"));
        check("localhost:80", Some("127.0.0.1:80"));
        check(":8080", Some("0.0.0.0:8080"));
    }

    #[test]
    fn what_leaves_a_choice_is_refused() {
        for text in ["", "8080", "example.com:80", ":", ":+80", ":65536", "127.0.0.1"] {
            check(text, None);
        }
    }
}
