//! A proxy dials the path of a socket that the app does not make.

use super::files::Files;
use super::{Check, Found, Severity, change};
use crate::report::{Risk, Step};
use evidence::What;
use evidence::address::socket;

pub(super) const CHECK: Check = Check { cause: "unix_socket_missing", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let mut made: Vec<&str> = files.sockets().collect();
    made.sort_unstable();
    for dial in &files.dials {
        for (fact, address) in &dial.addresses {
            let Some(path) = socket(address).filter(|it| !it.contains('$')) else { continue };
            if !files.at_socket(path).is_empty() {
                continue;
            }
            // The one socket that there is, or the one of the same name in another directory.
            let name = path.rsplit('/').next();
            let near = match made.as_slice() {
                [one] => Some(*one),
                all => all.iter().find(|it| it.rsplit('/').next() == name).copied(),
            };
            let product = fact.product().name();
            let listens = |it: super::Fact<'_>, wanted: Option<&str>| match it.what() {
                What::Listens { address, .. } if socket(address) == wanted => Some(address.clone()),
                _ => None,
            };
            if let Some(near) = near {
                let made = files.facts().find(|it| listens(*it, Some(near)).is_some());
                let statement =
                    format!("{product} dials the socket {path}, but the app makes {near}");
                let new = fact.setting.quote.replacen(path, near, 1);
                let step = change("Dial the socket that there is", *fact, &new, Risk::Reload);
                let proofs: Vec<super::Fact<'_>> =
                    [Some(*fact), made].into_iter().flatten().collect();
                found.say(Severity::Breaks, statement, &proofs, vec![step]);
            } else if made.is_empty() {
                let Some(app) = files.reached(dial, address).first().copied() else { continue };
                let Some((proof, listens)) = files.units[app].find(|it| listens(it, None)) else {
                    continue;
                };
                let statement = format!(
                    "{product} dials the socket {path}, but {} listens on {listens}",
                    proof.product().name()
                );
                let text = format!("Dial {listens}, or have the app listen on `unix:{path}`");
                found.say(Severity::Breaks, statement, &[*fact, proof], vec![Step::say(text)]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "unix_socket_missing";

    #[test]
    fn the_paths_differ() {
        check(
            ID,
            "n.conf nginx: dials http://unix:/run/app.sock; g.py gunicorn: listens unix:/run/g/app.sock",
            "breaks: nginx dials the socket /run/app.sock, but the app makes /run/g/app.sock",
        );
    }

    #[test]
    fn the_app_listens_on_a_port() {
        check(
            ID,
            "n.conf nginx: dials http://unix:/run/app.sock; g.py gunicorn: listens 127.0.0.1:8000",
            "breaks: nginx dials the socket /run/app.sock, but gunicorn listens on 127.0.0.1:8000",
        );
    }

    #[test]
    fn one_of_several_is_told_by_its_name() {
        check_nothing(
            ID,
            "n.conf nginx: dials unix:/run/c.sock; a.ini uwsgi: listens /run/a.sock; b.ini uwsgi: listens /run/b.sock",
        );
        check(
            ID,
            "n.conf nginx: dials unix:/run/b.sock; a.ini uwsgi: listens /x/a.sock; b.ini uwsgi: listens /x/b.sock",
            "breaks: nginx dials the socket /run/b.sock, but the app makes /x/b.sock",
        );
    }

    #[test]
    fn the_same_path_is_fine_however_it_is_written() {
        check_nothing(
            ID,
            "n.conf nginx: dials uwsgi://unix:/run/a.sock; a.ini uwsgi: listens /run/a.sock",
        );
        check_nothing(ID, "n.conf nginx: dials http://unix:/run/a.sock");
    }
}
