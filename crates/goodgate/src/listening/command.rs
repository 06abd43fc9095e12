//! A command line for a table: recognisable, short, and without secrets.

/// Columns that a command may take.
const COLUMNS: usize = 60;
const MASK: &str = "***";

/// The program without its folder, and its arguments as far as they fit.
pub(super) fn shown(arguments: &[&str]) -> String {
    let mut words = Vec::with_capacity(arguments.len());
    let mut value_is_secret = false;
    for (at, argument) in arguments.iter().enumerate() {
        let word = match value_is_secret && !argument.starts_with('-') {
            true => MASK.to_owned(),
            false if at == 0 => program(argument).to_owned(),
            false => masked(argument),
        };
        value_is_secret = at > 0 && is_flag(argument) && is_secret_name(argument);
        words.push(word);
    }
    cut(&printable(&words.join(" ")))
}

fn program(path: &str) -> &str {
    // A title that a process gave itself, such as `sshd: /usr/sbin/sshd -D`, is no path.
    match path.contains(' ') {
        true => path,
        false => path.rsplit('/').next().unwrap_or(path),
    }
}

/// A flag whose value is the next argument.
fn is_flag(argument: &str) -> bool {
    argument.starts_with('-') && !argument.contains('=')
}

/// An argument with what must not be seen replaced: the value of a telling name, the login in a
/// URL, and what looks as random as keys and tokens do.
fn masked(argument: &str) -> String {
    if let Some((name, value)) = argument.split_once('=') {
        let hidden = is_secret_name(name) || is_random(value);
        let value = if hidden { MASK.to_owned() } else { without_login(value) };
        return format!("{name}={value}");
    }
    if is_random(argument) { MASK.to_owned() } else { without_login(argument) }
}

fn is_secret_name(name: &str) -> bool {
    const WORDS: [&str; 8] =
        ["password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "auth"];
    let name = name.to_ascii_lowercase();
    WORDS.iter().any(|it| name.contains(it))
        || name.split(['-', '_', '.']).any(|it| matches!(it, "key" | "pass" | "pwd" | "pw"))
}

/// `postgres://user:word@host/` without `user:word`.
fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{MASK}{}", &rest[at..]),
        None => text.to_owned(),
    }
}

/// Prefixes that vendors give their keys, and long words of letters mixed with digits. Paths,
/// module names and versions have separators that keys do not have.
fn is_random(word: &str) -> bool {
    const PREFIXES: [&str; 9] =
        ["sk-", "sk_", "pk_", "ghp_", "gho_", "github_pat_", "glpat-", "xox", "eyJ"];
    let key = |it: u8| it.is_ascii_alphanumeric() || b"+_-=".contains(&it);
    let long = 24 <= word.len() && word.bytes().all(key);
    let mixed = word.bytes().filter(u8::is_ascii_digit).count() >= 4
        && word.bytes().any(|it| it.is_ascii_alphabetic());
    (long && mixed && !word.starts_with("--"))
        || (12 <= word.len() && PREFIXES.iter().any(|it| word.starts_with(it)))
}

/// Another user chose these words; none of them may act on a terminal.
fn printable(text: &str) -> String {
    let acts = |it: char| {
        it.is_control()
            || matches!(it, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
    };
    text.chars().map(|it| if acts(it) { '?' } else { it }).collect()
}

fn cut(text: &str) -> String {
    match text.chars().count() > COLUMNS {
        true => text.chars().take(COLUMNS - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expected: &str) {
        let arguments: Vec<&str> = line.split(' ').collect();
        assert_eq!(shown(&arguments), expected, "{line}");
    }

    #[test]
    fn a_program_is_named_without_its_folder() {
        check("/usr/bin/python3 manage.py runserver", "python3 manage.py runserver");
        check("node server.js", "node server.js");
        assert_eq!(shown(&["sshd: /usr/sbin/sshd -D"]), "sshd: /usr/sbin/sshd -D");
    }

    #[test]
    fn secrets_are_not_shown() {
        check("app --password hunter2 --port 80", "app --password *** --port 80");
        check("app --db-pass=hunter2", "app --db-pass=***");
        check("app API_KEY=abc", "app API_KEY=***");
        check("app --token --debug", "app --token --debug");
        check("app postgres://joe:hunter2@db/x", "app postgres://***@db/x");
        check("app --url=redis://:a@b@db", "app --url=redis://***@db");
        check("app sk-abcdefghijkl", "app ***");
        check("app 0123456789abcdef0123456789abcdef", "app ***");
        check("app --id=0123456789abcdef0123456789abcdef", "app --id=***");
    }

    #[test]
    fn what_tells_apps_apart_stays() {
        check(
            "gunicorn shop.wsgi:application --bind 0.0.0.0:8000",
            "gunicorn shop.wsgi:application --bind 0.0.0.0:8000",
        );
        check("java -jar /srv/shop-1.2.3.jar", "java -jar /srv/shop-1.2.3.jar");
        check("python -m http.server 8000", "python -m http.server 8000");
        check("app --keyboard us", "app --keyboard us");
        check("app http://localhost:80/a@b", "app http://localhost:80/a@b");
    }

    #[test]
    fn a_long_command_is_cut() {
        let text = shown(&["app", &"x.".repeat(100)]);
        assert_eq!(text.chars().count(), COLUMNS);
        assert!(text.ends_with('…'));
    }

    #[test]
    fn a_command_cannot_act_on_the_terminal() {
        assert_eq!(shown(&["app", "\u{1b}[2J\u{202e}é"]), "app ?[2J?é");
    }
}
