//! A report for others to read: what names a machine or a person is replaced, each thing by the
//! same stand-in wherever it stands. Secrets are masked for everybody.

use crate::report::{Cure, Report, Step};
use crate::secrets;
use std::collections::HashMap;
use std::net::{Ipv4Addr, Ipv6Addr};

/// What is masked, and what stands for what.
#[derive(Debug, Default)]
pub struct Mask {
    /// Not only secrets.
    all: bool,
    hosts: Names,
    users: Names,
    v4: HashMap<Ipv4Addr, Ipv4Addr>,
    v6: HashMap<Ipv6Addr, Ipv6Addr>,
}

/// `host-1`, `host-2`: in the order in which they are met.
#[derive(Debug, Default)]
struct Names(HashMap<String, String>);

impl Names {
    fn stand_in(&mut self, kind: &str, name: &str) -> String {
        let next = self.0.len() + 1;
        let name = name.to_ascii_lowercase();
        self.0.entry(name).or_insert_with(|| format!("{kind}-{next}")).clone()
    }
}

/// Names that are the same everywhere, and say what went wrong.
const COMMON_HOSTS: &[&str] = &["localhost", "example.com", "example.org", "example.net"];

const COMMON_USERS: &[&str] = &[
    "root", "nobody", "www-data", "nginx", "apache", "http", "httpd", "haproxy", "envoy", "caddy",
    "traefik", "postgres", "mysql", "redis", "app", "admin", "ubuntu", "debian", "runner",
    "shared",
];

/// Last labels of host names. Not among them are those that are rather the end of a file's name or
/// of a name in code: `py`, `rs`, `sh`, `so`, `md`, `pl`, `cc`, `in`, `is`, `it`, `to`, `go`.
const TOP: &[&str] = &[
    "com",
    "org",
    "net",
    "edu",
    "gov",
    "mil",
    "int",
    "io",
    "dev",
    "app",
    "cloud",
    "ai",
    "co",
    "info",
    "biz",
    "online",
    "site",
    "tech",
    "xyz",
    "shop",
    "store",
    "internal",
    "local",
    "lan",
    "corp",
    "home",
    "localdomain",
    "intranet",
    "private",
    "svc",
    "consul",
    "arpa",
    "onion",
    "test",
    "at",
    "au",
    "be",
    "br",
    "ca",
    "ch",
    "cn",
    "cz",
    "de",
    "dk",
    "es",
    "eu",
    "fi",
    "fr",
    "gr",
    "hk",
    "hu",
    "ie",
    "il",
    "jp",
    "kr",
    "mx",
    "nl",
    "no",
    "nz",
    "pt",
    "ro",
    "ru",
    "se",
    "sg",
    "sk",
    "tr",
    "tw",
    "ua",
    "uk",
    "us",
    "za",
];

impl Mask {
    /// Masks secrets only.
    #[must_use]
    pub fn secrets() -> Mask {
        Mask::default()
    }

    /// Masks what others need not know. Names of hosts without a dot are known by the report's own
    /// upstream.
    #[must_use]
    pub fn for_others(report: &Report) -> Mask {
        let mut mask = Mask { all: true, ..Mask::default() };
        let upstream = report.incident.as_ref().and_then(|it| it.upstream.as_deref());
        if let Some(upstream) = upstream.filter(|it| !it.starts_with("unix:")) {
            let host = upstream.rsplit_once(':').map_or(upstream, |(host, _)| host);
            if host.len() > 1 && is_label(host) && !common_host(host) {
                mask.hosts.stand_in("host", host);
            }
        }
        mask
    }

    /// Masks all text of a report.
    pub fn report(&mut self, report: &mut Report) {
        self.text(&mut report.statement);
        self.text(&mut report.retry.says);
        if let Some(incident) = &mut report.incident {
            self.text_of(&mut incident.made_by);
            self.text_of(&mut incident.upstream);
            self.text_of(&mut incident.service);
            incident.routes.iter_mut().for_each(|(route, _)| self.text(route));
        }
        report.others.iter_mut().for_each(|it| self.text(&mut it.statement));
        for it in &mut report.path {
            self.text(&mut it.effect);
            self.text(&mut it.because);
        }
        for it in &mut report.evidence {
            self.text(&mut it.source);
            self.text(&mut it.quote);
            self.text(&mut it.says);
        }
        report.rejected.iter_mut().for_each(|it| self.text(&mut it.why));
        for it in &mut report.not_looked_at {
            self.text(&mut it.source);
            self.text(&mut it.why);
            self.text_of(&mut it.run);
        }
        for it in &mut report.next {
            self.text(&mut it.place);
            self.text(&mut it.run);
            self.text_of(&mut it.needs);
            self.text(&mut it.decides);
            it.then.iter_mut().for_each(|it| self.text(&mut it.condition));
        }
        let Cure { before, now, lasting, verify } = &mut report.fix;
        for step in [before, now, lasting, verify].into_iter().flatten() {
            self.step(step);
        }
        report.read.iter_mut().for_each(|it| self.text(&mut it.source));
    }

    fn step(&mut self, step: &mut Step) {
        self.text(&mut step.text);
        self.text_of(&mut step.run);
        self.text_of(&mut step.file);
        self.text_of(&mut step.diff);
        self.text_of(&mut step.place);
    }

    fn text_of(&mut self, text: &mut Option<String>) {
        if let Some(text) = text {
            self.text(text);
        }
    }

    /// Masks one text.
    pub fn text(&mut self, text: &mut String) {
        if let std::borrow::Cow::Owned(masked) = secrets::masked(text) {
            *text = masked;
        }
        if self.all {
            *text = self.users(text);
            *text = self.names(text);
        }
    }

    /// Users: of paths, of `user=` and the like.
    fn users(&mut self, text: &str) -> String {
        const BEFORE: &[&str] = &[
            "/home/",
            "/Users/",
            "\\Users\\",
            "user=",
            "user \"",
            "user '",
            "username=",
            "role \"",
            "role '",
            "uid=",
            "login=",
        ];
        let of_user = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'_' | b'-' | b'.');
        let bytes = text.as_bytes();
        let mut shown = String::with_capacity(text.len());
        let (mut done, mut at) = (0, 0);
        while at < bytes.len() {
            let Some(before) = BEFORE.iter().find(|it| bytes[at..].starts_with(it.as_bytes()))
            else {
                at += 1;
                continue;
            };
            let quoted = before.ends_with('=') && bytes.get(at + before.len()) == Some(&b'"');
            let start = at + before.len() + usize::from(quoted);
            let rest = &bytes[start.min(bytes.len())..];
            let length = rest.iter().position(|it| !of_user(*it)).unwrap_or(rest.len());
            at = start + length;
            let name = text.get(start..at).unwrap_or_default();
            let number = name.bytes().all(|it| it.is_ascii_digit());
            if number || COMMON_USERS.contains(&name) {
                continue;
            }
            shown += &text[done..start];
            shown += &self.users.stand_in("user", name);
            done = at;
        }
        shown + &text[done..]
    }

    /// Addresses, host names, and users at hosts: word by word.
    fn names(&mut self, text: &str) -> String {
        let of_word = |it: u8| {
            it.is_ascii_alphanumeric()
                || matches!(it, b'.' | b'-' | b'_' | b':' | b'@' | b'%' | b'*')
        };
        let bytes = text.as_bytes();
        let mut shown = String::with_capacity(text.len());
        let mut at = 0;
        while at < bytes.len() {
            let rest = &bytes[at..];
            let word = rest.iter().position(|it| !of_word(*it)).unwrap_or(rest.len());
            if word == 0 {
                let other = rest.iter().position(|it| of_word(*it)).unwrap_or(rest.len());
                shown += &text[at..at + other];
                at += other;
                continue;
            }
            let in_url = text[..at].ends_with("://");
            self.word(&text[at..at + word], in_url, &mut shown);
            at += word;
        }
        shown
    }

    fn word(&mut self, word: &str, in_url: bool, shown: &mut String) {
        if let Some((user, host)) = word.rsplit_once('@')
            && is_label(user.split(':').next().unwrap_or_default())
        {
            let (name, rest) = user.split_once(':').map_or((user, None), |(a, b)| (a, Some(b)));
            *shown += &match COMMON_USERS.contains(&name) {
                true => name.to_owned(),
                false => self.users.stand_in("user", name),
            };
            if let Some(rest) = rest {
                *shown += ":";
                *shown += rest;
            }
            *shown += "@";
            self.word(host, in_url, shown);
            return;
        }
        // Full stops and colons of the sentence are no part of a name.
        let core = word.trim_end_matches(['.', ':', '-', '%', '@']);
        let (core, end) = word.split_at(core.len());
        match self.address(core) {
            Some(address) => *shown += &address,
            None => self.host_and_port(core, in_url, shown),
        }
        *shown += end;
    }

    fn host_and_port(&mut self, core: &str, in_url: bool, shown: &mut String) {
        let mut pieces = core.split(':');
        let host = pieces.next().unwrap_or_default();
        match self.address(host) {
            Some(address) => *shown += &address,
            None => match self.is_host(host, in_url) {
                true => *shown += &self.hosts.stand_in("host", host),
                false => *shown += host,
            },
        }
        for piece in pieces {
            *shown += ":";
            match self.address(piece) {
                Some(address) => *shown += &address,
                None if self.is_host(piece, false) => {
                    *shown += &self.hosts.stand_in("host", piece);
                }
                None => *shown += piece,
            }
        }
    }

    fn is_host(&self, name: &str, in_url: bool) -> bool {
        if common_host(name) || !name.split('.').all(is_label) {
            return false;
        }
        let known = self.hosts.0.contains_key(&name.to_ascii_lowercase());
        let top = name.rsplit_once('.').map(|(_, top)| top.to_ascii_lowercase());
        known || in_url || top.is_some_and(|it| TOP.contains(&it.as_str()))
    }

    /// The stand-in of an address, from the ranges for documentation. Those that mean the machine
    /// itself stay: they say what went wrong.
    fn address(&mut self, text: &str) -> Option<String> {
        if let Ok(it) = text.parse::<Ipv4Addr>() {
            let stays = it.is_loopback() || it.is_unspecified() || it.is_broadcast();
            let next = self.v4.len() as u32;
            let made = move || {
                let of = [[192, 0, 2], [198, 51, 100], [203, 0, 113]];
                match of.get(next as usize / 254) {
                    Some([a, b, c]) => Ipv4Addr::new(*a, *b, *c, (next % 254 + 1) as u8),
                    // The range for benchmarks, where those for documentation are used up.
                    None => Ipv4Addr::from(0xc612_0000 | next & 0x1_ffff),
                }
            };
            return Some(
                if stays { it } else { *self.v4.entry(it).or_insert_with(made) }.to_string(),
            );
        }
        let it = text.split('%').next()?.parse::<Ipv6Addr>().ok()?;
        let stays = it.is_loopback() || it.is_unspecified();
        let next = self.v6.len() as u128 + 1;
        let made = move || Ipv6Addr::from(0x2001_0db8_u128 << 96 | next);
        Some(if stays { it } else { *self.v6.entry(it).or_insert_with(made) }.to_string())
    }
}

/// Letters, digits, `-` and `_`; not a number alone, as parts of versions are.
fn is_label(label: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
    !label.is_empty() && label.bytes().all(fits)
}

fn common_host(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let common = |it: &&str| name == **it || name.ends_with(&format!(".{it}"));
    name.ends_with(".example") || COMMON_HOSTS.iter().any(common)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Mask {
        Mask { all: true, ..Mask::default() }
    }

    #[track_caller]
    fn check(mask: &mut Mask, text: &str, want: &str) {
        let mut masked = text.to_owned();
        mask.text(&mut masked);
        assert_eq!(masked, want);
    }

    #[test]
    fn a_thing_has_the_same_stand_in_everywhere() {
        let mut mask = all();
        check(
            &mut mask,
            "10.1.2.3:8000 refused, 10.9.9.9 too",
            "192.0.2.1:8000 refused, 192.0.2.2 too",
        );
        check(&mut mask, "again http://10.1.2.3/x.", "again http://192.0.2.1/x.");
        check(&mut mask, "api.shop.corp and API.shop.corp:80", "host-1 and host-1:80");
        check(&mut mask, "[fe80::1%eth0]:80 [2a00::5]", "[2001:db8::1]:80 [2001:db8::2]");
        check(&mut mask, "mail alice@mail.shop.corp", "mail user-1@host-2");
        check(&mut mask, "http://orders:8000/x and orders", "http://host-3:8000/x and host-3");
        check(&mut mask, "/home/alice/app/x.py user=bob", "/home/user-1/app/x.py user=user-2");
        check(&mut mask, "for user \"carol\"", "for user \"user-3\"");
    }

    #[test]
    fn what_says_what_went_wrong_stays() {
        for text in [
            "connect() to 127.0.0.1:8000 failed (111: Connection refused)",
            "dial tcp [::1]:80: connection refused; listening on 0.0.0.0:80",
            "/var/log/nginx/error.log gunicorn.service app.py nginx/1.18.0 java.net.ConnectException",
            "2026-11-20T15:16:30Z worker 15:16:30 http://localhost:8000/ www.example.com",
            "/home/root/x user=www-data",
            "user 1000 uid=1000",
            "über : @ :: .",
        ] {
            check(&mut all(), text, text);
        }
    }

    #[test]
    fn without_sharing_only_secrets_are_masked() {
        let text = "http://bob:pw@10.1.2.3/?token=x";
        check(&mut Mask::secrets(), text, "http://bob:***@10.1.2.3/?token=***");
        check(&mut all(), text, "http://user-1:***@192.0.2.1/?token=***");
    }

    #[test]
    fn there_are_stand_ins_for_many_addresses() {
        let mut mask = all();
        for it in 0..1000u32 {
            let address = Ipv4Addr::from(0x0a00_0000 + it);
            mask.text(&mut address.to_string());
        }
        let mut seen: Vec<Ipv4Addr> = mask.v4.values().copied().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 1000);
    }
}
