//! Services before systemd, and the commands that stop services, as people paste their terminal.

use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(crate) const SYSV: Reader = Reader {
    name: "service scripts and commands",
    product: Product::Systemd,
    hooks: &["Stopping ", "Shutting down ", "Starting ", "service ", "systemctl ", "/etc/init.d/"],
    fits: |line| line.ident.is_none() && found(&line.text).is_some(),
    read,
    source: "initscripts: /etc/init.d/functions; lsb: /lib/lsb/init-functions; service(8)",
    example: "Stopping php-fpm: [  OK  ]",
};

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some((sign, trust, words, who)) = found(&line.text) else { return };
    sink.event(
        Event::new(Product::Systemd, sign, trust, span_of(&line.text, words)).who(Some(who)),
    );
}

fn found(text: &str) -> Option<(Sign, Trust, &str, &str)> {
    script(text).or_else(|| command(text))
}

/// `Stopping php-fpm: [  OK  ]`, `Starting nginx: [FAILED]`, `[ ok ] Stopping nginx: nginx.`
fn script(text: &str) -> Option<(Sign, Trust, &str, &str)> {
    let text = text.trim();
    let mark = |it: &str| {
        let it = it.strip_prefix('[')?.strip_suffix(']')?.trim().to_ascii_lowercase();
        match &*it {
            "ok" | "done" => Some(true),
            "fail" | "failed" | "fail!" => Some(false),
            _ => None,
        }
    };
    let (said, well) = match text.split_once("] ") {
        Some((head, rest)) if text.starts_with('[') => (rest, mark(&text[..=head.len()])?),
        _ => {
            let at = text.rfind('[')?;
            (&text[..at], mark(&text[at..])?)
        }
    };
    let (verb, rest) = ["Stopping ", "Shutting down ", "Starting "]
        .iter()
        .find_map(|it| Some((*it, said.strip_prefix(it)?)))?;
    let who = rest.split([':', ' ']).next().filter(|it| !it.is_empty())?;
    let sign = match (verb, well) {
        ("Starting ", true) => Sign::Started,
        ("Starting ", false) => Sign::BootFailed,
        (_, true) => Sign::ProcessStopped,
        (_, false) => return None,
    };
    let end = span_of(text, who).end;
    let start = span_of(text, said).start;
    Some((sign, Trust::B, &text[start..end], who))
}

/// `sudo service php-fpm stop`, `# systemctl stop shop`, `/etc/init.d/nginx stop`, after a prompt or
/// alone: what somebody did, in his own words.
fn command(text: &str) -> Option<(Sign, Trust, &str, &str)> {
    let text = text.trim();
    let typed = match text.find(['$', '#']) {
        Some(at) if at < 64 && text[at + 1..].starts_with(' ') => text[at + 1..].trim_start(),
        _ => text,
    };
    let bare = typed.strip_prefix("sudo ").unwrap_or(typed);
    let mut words = bare.split_ascii_whitespace();
    let (who, verb) = match words.next()? {
        "service" => (words.next()?, words.next()?),
        "systemctl" => {
            let verb = words.next()?;
            (words.next()?, verb)
        }
        script => (script.strip_prefix("/etc/init.d/")?, words.next()?),
    };
    let named = who.bytes().all(|it| it.is_ascii_alphanumeric() || b"-_.@".contains(&it));
    if verb != "stop" || !named || words.next().is_some() {
        return None;
    }
    Some((Sign::ProcessStopped, Trust::D, bare, who))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn scripts_and_commands_that_stop_are_read() {
        check(
            "Stopping php-fpm: [  OK  ]",
            "systemd: ProcessStopped who=php-fpm | Stopping php-fpm",
        );
        check("Starting nginx:     [FAILED]", "systemd: BootFailed who=nginx | Starting nginx");
        check(
            "[ ok ] Stopping php7.4-fpm (via systemctl): php7.4-fpm.service.",
            "systemd: ProcessStopped who=php7.4-fpm | Stopping php7.4-fpm",
        );
        check(
            "[root@web ~]# service php-fpm stop",
            "systemd: ProcessStopped who=php-fpm | service php-fpm stop",
        );
        check(
            "user@web:~$ sudo systemctl stop shop.service",
            "systemd: ProcessStopped who=shop.service | systemctl stop shop.service",
        );
    }

    #[test]
    fn sentences_are_no_commands() {
        check_nothing("service php-fpm stop did not help me");
        check_nothing("Stopping the world [OKAY]");
        check_nothing("systemctl restart shop");
        check_nothing("Stopping : [");
    }
}
