//! Rules of iptables that drop or reject packets: commands as people run them, and `iptables-save`.

use super::words::{lines, mostly, port, words};
use crate::product::Product;
use crate::setting::{Config, Places, Setting, What};

pub(super) const IPTABLES: Config = Config {
    name: "iptables rules",
    product: Product::Kernel,
    fits,
    read,
    source: "iptables(8), iptables-save(8), iptables-extensions(8)",
    example: "iptables -A INPUT -s 192.0.2.0/24 -j ACCEPT\niptables -A INPUT -p tcp --dport 8000 -j DROP\n",
};

/// The words of a rule, from `-A CHAIN` or `-I CHAIN` on.
fn rule<'w, 't>(all: &'w [&'t str]) -> Option<&'w [&'t str]> {
    let all = if all.first() == Some(&"sudo") { &all[1..] } else { all };
    let [first, rest @ ..] = all else { return None };
    let name = first.rsplit('/').next().unwrap_or(first);
    let command = name.starts_with("iptables") || name.starts_with("ip6tables");
    let saved = matches!(*first, "-A" | "-I") && all.len() >= 4;
    if !command && !saved {
        return None;
    }
    let rest = if saved { all } else { rest };
    let at = rest.iter().position(|it| matches!(*it, "-A" | "-I" | "--append" | "--insert"))?;
    // Tables other than that of filters only rewrite.
    let table = rest.iter().position(|it| matches!(*it, "-t" | "--table"));
    let other = table.and_then(|it| rest.get(it + 1)).is_some_and(|it| *it != "filter");
    (!other).then(|| &rest[at..])
}

fn fits(_: &str, text: &str) -> bool {
    let (mut all, mut known, mut rules) = (0, 0, 0);
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        all += 1;
        let words = words(line);
        let is_rule = rule(&words).is_some_and(|it| target(it).is_some());
        rules += usize::from(is_rule);
        let first = words.first().copied().unwrap_or_default();
        let frame = first.contains("iptables") || matches!(first, "sudo" | "COMMIT") || {
            let counted = line.starts_with(':') && line.contains(" [");
            counted || matches!(first, "*filter" | "*nat" | "*mangle" | "*raw")
        };
        known += usize::from(is_rule || frame);
    }
    rules > 0 && mostly(known, all)
}

fn target<'t>(rule: &[&'t str]) -> Option<&'t str> {
    value(rule, &["-j", "--jump"])
}

fn value<'t>(rule: &[&'t str], names: &[&str]) -> Option<&'t str> {
    let at = rule.iter().position(|it| names.contains(it))?;
    rule.get(at + 1).copied()
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let mut places = Places::new(Product::Kernel, text);
    for line in lines(text).filter(|it| !it.starts_with('#')) {
        let all = words(line);
        let Some(rule) = rule(&all) else { continue };
        let (Some(first), Some(last)) = (rule.first(), rule.last()) else { continue };
        let rejects = match target(rule) {
            Some("DROP") => false,
            Some("REJECT") => true,
            _ => continue,
        };
        let ports = value(rule, &["--dport", "--destination-port", "--dports"]);
        let one = ports.and_then(|it| port(it.split([',', ':']).next().unwrap_or(it)));
        // Rules for one peer, interface or state are about others than the gateway, as far as one
        // can see.
        let narrow = rule.iter().any(|it| {
            matches!(*it, "-s" | "--source" | "-d" | "--destination" | "-i" | "-o" | "-m" | "!")
        });
        let by_protocol = value(rule, &["-p", "--protocol"]).is_some_and(|it| it != "tcp");
        if narrow && one.is_none() || by_protocol || rule.contains(&"INVALID") {
            continue;
        }
        let chain = rule.get(1).copied().unwrap_or_default().to_owned();
        let quote = places.between(first, last);
        places.add(What::Blocks { chain, port: one, rejects }, quote);
    }
    places.settings
}

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn rules_that_block_everything_or_a_port_are_read() {
        check_config(
            "fw.sh",
            "iptables -A INPUT -s 192.0.2.0/24 -j ACCEPT\nsudo iptables -A INPUT -p tcp --dport 8000 -j DROP\niptables -A INPUT -m state --state INVALID -j DROP\niptables -A INPUT -s 203.0.113.9 -j DROP\niptables -t nat -A PREROUTING -j DROP\niptables -A FORWARD -j REJECT\n",
            "the kernel: Blocks { chain: \"INPUT\", port: Some(8000), rejects: false }; Blocks { chain: \"FORWARD\", port: None, rejects: true }",
        );
        check_config(
            "",
            "*filter\n:INPUT ACCEPT [0:0]\n-A DOCKER-USER -j DROP\nCOMMIT\n",
            "the kernel: Blocks { chain: \"DOCKER-USER\", port: None, rejects: false }",
        );
    }

    #[test]
    fn prose_about_rules_is_none() {
        for text in
            ["I ran iptables -j DROP and it broke\nthen nothing\nworked", "iptables", "-A -j", ""]
        {
            assert!(!super::fits("", text), "{text}");
        }
    }
}
