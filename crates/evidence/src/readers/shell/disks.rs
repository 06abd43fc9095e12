//! `df`, the mode of SELinux, and its switches for proxies.

use crate::event::Event;
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const DISKS: Reader = Reader {
    name: "df, getenforce and getsebool",
    product: Product::Shell,
    hooks: &[
        "100% ",
        "Enforcing",
        "Permissive",
        "SELinux status:",
        "Current mode:",
        "httpd_can_network_",
        "haproxy_connect_any",
    ],
    fits: |line| line.ident.is_none() && found(&line.text).is_some(),
    read: |line, sink| {
        let Some((sign, words, who, detail)) = found(&line.text) else { return };
        sink.event(
            Event::new(Product::Shell, sign, Trust::B, span_of(&line.text, words))
                .who(who)
                .detail(detail),
        );
    },
    source: "coreutils df(1); getenforce(8), sestatus(8), getsebool(8), semanage-boolean(8)",
    example: "/dev/sda1        40G   40G     0 100% /",
};

type Found<'a> = Option<(Sign, &'a str, Option<&'a str>, Option<&'a str>)>;

fn found(text: &str) -> Found<'_> {
    full(text).or_else(|| mode(text)).or_else(|| switch(text))
}

/// A file system without room, or without inodes (`df -i`). Images that are always full (snaps) are
/// none.
fn full(text: &str) -> Found<'_> {
    let words: Vec<&str> = text.split_ascii_whitespace().take(8).collect();
    let &[device, .., used, mount] = &*words else { return None };
    let numbers = words.len() == 6
        && words[1..4]
            .iter()
            .all(|it| it.starts_with(|it: char| it.is_ascii_digit()) && it.len() <= 16);
    let images = device.starts_with("/dev/loop") || mount.starts_with("/snap/");
    if used != "100%" || !numbers || images || !mount.starts_with('/') {
        return None;
    }
    let end = span_of(text, mount).end;
    let words = &text[span_of(text, used).start..end];
    Some((Sign::AppDiskFull, words, None, Some(mount)))
}

/// `httpd_can_network_connect --> off`, `httpd_can_network_connect    off` (sestatus -b) and
/// `httpd_can_network_connect  (off  ,  off)  Allow …` (semanage boolean -l): the switches that let a
/// proxy connect to the network.
fn switch(text: &str) -> Found<'_> {
    const NAMES: [&str; 3] =
        ["httpd_can_network_connect", "httpd_can_network_relay", "haproxy_connect_any"];
    let text = text.trim();
    let name = NAMES.iter().find(|it| text.starts_with(**it))?;
    let rest = text[name.len()..].strip_prefix([' ', '\t'])?.trim_start();
    let state = rest.strip_prefix("--> ").or_else(|| rest.strip_prefix('(')).unwrap_or(rest);
    let state = ["off", "on"].iter().find(|it| state.starts_with(**it))?;
    let told = rest.starts_with("--> ") || rest.starts_with('(') || rest == *state;
    let end = text.len() - rest.len() + rest.find(state)? + state.len();
    told.then(|| (Sign::SelinuxMode, &text[..end], Some(*name), Some(*state)))
}

/// `Enforcing` alone, or `Current mode:   enforcing`.
fn mode(text: &str) -> Found<'_> {
    let text = text.trim();
    let mode = match text {
        "Enforcing" | "Permissive" => text,
        _ => {
            let mode = text.strip_prefix("Current mode:")?.trim();
            matches!(mode, "enforcing" | "permissive").then_some(mode)?
        }
    };
    Some((Sign::SelinuxMode, mode, None, Some(mode)))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn full_disks_are_told_and_full_images_are_not() {
        check(
            "/dev/sda1   41152736 41152736   0 100% /var",
            "the shell: AppDiskFull detail=/var | 100% /var",
        );
        check_nothing("/dev/loop3   56M   56M   0 100% /snap/core18/2128");
        check_nothing("/dev/sda1   40G   20G   20G  50% /");
        check_nothing("we are 100% sure about the disk /");
    }

    #[test]
    fn the_mode_of_selinux_is_a_state() {
        check_nothing("set httpd_can_network_connect --> off");
        check("Enforcing", "the shell: SelinuxMode detail=Enforcing | Enforcing");
        check_nothing("Enforcing the rules");
        for line in [
            "httpd_can_network_connect --> off",
            "httpd_can_network_connect      (off",
            "httpd_can_network_connect      off",
        ] {
            check(
                line,
                &format!(
                    "the shell: SelinuxMode who=httpd_can_network_connect detail=off | {line}"
                ),
            );
        }
        check_nothing("httpd_can_network_connect_db --> off");
        check_nothing("httpd_can_network_connect off is what I have");
    }
}
