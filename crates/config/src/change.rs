//! What differs between two configurations, for a gateway that goes over from one to the other.

use crate::typed::{Config, Https, UpstreamTls};
use std::path::Path;

impl Config {
    /// The keys that differ and that a running gateway cannot change.
    #[must_use]
    pub fn needs_restart(&self, next: &Config) -> Vec<&'static str> {
        let differ = [
            ("workers", self.workers != next.workers),
            // The app that runs was started by it.
            ("child", self.child != next.child),
            // Where its own pages are: whoever watches it there would lose it.
            ("status.listen", (self.status, self.console) != (next.status, next.console)),
            // The lock and the control socket are in it.
            ("data.dir", self.data.dir != next.data.dir),
            ("log.access", self.log.access != next.log.access),
            // By it requests that come back are known, and those in flight bear the old one.
            ("answers.name", self.answers.name != next.answers.name),
        ];
        differ.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }

    /// The files that it names: certificates, keys, authorities and OCSP answers.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let upstreams = self.upstreams.iter().flat_map(|it| it.tls.files());
        self.listen.https.iter().flat_map(Https::files).chain(upstreams)
    }
}

impl Https {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let of_one = self
            .certificates
            .iter()
            .flat_map(|it| [Some(&it.cert), Some(&it.key), it.ocsp.as_ref()].into_iter().flatten());
        of_one.chain(self.client_ca.as_ref().map(|it| &it.file)).map(|it| &**it)
    }
}

impl UpstreamTls {
    /// The files that it names.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let client = self.client.iter().flat_map(|(cert, key)| [cert, key]);
        self.ca.iter().chain(client).map(|it| &**it)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Context, parse};

    fn config(text: &str) -> Config {
        let rest = "\n[upstream.a]\ntargets = [\"https://a.example\"]\n\
                    tls = { ca = \"ca.pem\", cert = \"me.pem\", key = \"me.key\" }\n\
                    [route.a]\nmatch = \"/*\"\nto = \"a\"\n";
        let context = Context { base: Path::new("etc"), env: &|_| None };
        parse(&format!("{text}{rest}"), &context).unwrap().config
    }

    #[track_caller]
    fn check(before: &str, after: &str, expected: &[&str]) {
        assert_eq!(config(before).needs_restart(&config(after)), expected, "{after}");
    }

    #[test]
    fn what_cannot_be_changed_is_named() {
        check("workers = 1", "workers = 2", &["workers"]);
        check("", "[child]\nrestart = \"never\"", &["child"]);
        check("", "data.dir = \"elsewhere\"", &["data.dir"]);
        check("", "[status]\nlisten = \"127.0.0.1:9\"", &["status.listen"]);
        check(
            "",
            "[log]\naccess = \"off\"\n[answers]\nname = \"x\"",
            &["log.access", "answers.name"],
        );
    }

    #[test]
    fn everything_else_can() {
        check("workers = 1", "workers = 1", &[]);
        check(
            "",
            "[listen]\nhttp = \":80\"\n[limits]\nuri = \"1KiB\"\n[dns]\ntimeout = \"1s\"",
            &[],
        );
    }

    #[test]
    fn all_files_are_named() {
        let text = "[listen]\nhttps = { addr = \":443\", cert = \"a.pem\", key = \"a.key\" }";
        let config = config(text);
        let files: Vec<_> = config.files().map(|it| it.display().to_string()).collect();
        let expected = ["etc/a.pem", "etc/a.key", "etc/ca.pem", "etc/me.pem", "etc/me.key"];
        assert_eq!(files, expected);
    }
}
