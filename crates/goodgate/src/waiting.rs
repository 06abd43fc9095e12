//! The words for an app that is not there yet: it is waited for, and a mistyped port is noticed.

use crate::listening::{Listener, suggest, url};
use exchange::Fault;
use std::net::SocketAddr;

/// Rows of the table; more do not help to find one's own app.
const ROWS: usize = 8;

/// What is waited for, what listens on this machine instead, and what was probably meant.
pub(crate) fn message(wanted: SocketAddr, fault: &Fault, listeners: &[Listener]) -> String {
    let mut text = format!("waiting for {wanted} ({})\n", fault.name().replace('_', " "));
    text += &table(listeners);
    if let Some(meant) = suggest(wanted, listeners) {
        text += &format!("\n  did you mean {}?\n", url(meant));
    }
    text
}

/// One row a listener, those of this user first. One process may listen on the same port of
/// several addresses, which is one row.
fn table(listeners: &[Listener]) -> String {
    let mut rows: Vec<&Listener> = listeners.iter().collect();
    rows.sort_by_key(|it| (!it.own, it.address.port(), it.pid, it.address));
    rows.dedup_by(|b, a| a.address.port() == b.address.port() && a.pid == b.pid && a.own == b.own);
    if rows.is_empty() {
        return String::new();
    }
    let shown = &rows[..rows.len().min(ROWS)];
    let widest = shown.iter().map(|it| it.address.to_string().len()).max().unwrap_or_default();
    let mut text = "\n  listening on this machine\n".to_owned();
    for it in shown {
        let address = it.address.to_string();
        text += &format!("    {address:<widest$}  {}\n", who(it));
    }
    if shown.len() < rows.len() {
        text += &format!("    and {} more\n", rows.len() - shown.len());
    }
    text
}

fn who(listener: &Listener) -> &str {
    match (&listener.command, listener.own) {
        (Some(command), _) => command,
        (None, true) => "a process of yours that cannot be looked into",
        (None, false) => "another user's process",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use exchange::ConnectFault;

    fn listener(address: &str, pid: u32, command: &str) -> Listener {
        let seen = !command.is_empty();
        Listener {
            address: address.parse().unwrap(),
            own: seen,
            pid: seen.then_some(pid),
            command: seen.then(|| command.to_owned()),
        }
    }

    fn refused(listeners: &[Listener]) -> String {
        let wanted = "127.0.0.1:8000".parse().unwrap();
        message(wanted, &Fault::Connect(ConnectFault::Refused), listeners)
    }

    #[test]
    fn a_mistyped_port_is_noticed() {
        let text = refused(&[
            listener("0.0.0.0:22", 1, ""),
            listener("127.0.0.1:8080", 4_242, "python manage.py runserver"),
            listener("127.0.0.1:5432", 77, "postgres -D data"),
        ]);
        insta::assert_snapshot!(text, @r"
        waiting for 127.0.0.1:8000 (connection refused)

          listening on this machine
            127.0.0.1:5432  postgres -D data
            127.0.0.1:8080  python manage.py runserver
            0.0.0.0:22      another user's process

          did you mean http://localhost:8080?
        ");
    }

    #[test]
    fn an_empty_machine_needs_no_table() {
        assert_eq!(refused(&[]), "waiting for 127.0.0.1:8000 (connection refused)\n");
    }

    #[test]
    fn a_process_on_two_addresses_is_one_row() {
        let both = ["0.0.0.0:3000", "[::]:3000"].map(|it| listener(it, 9, "node server.js"));
        assert_eq!(refused(&both).matches("node").count(), 1);
    }

    #[test]
    fn a_long_table_is_cut() {
        let many: Vec<Listener> =
            (0..20).map(|it| listener(&format!("127.0.0.1:{}", 100 + it), it, "thing")).collect();
        let text = refused(&many);
        assert_eq!(text.matches("thing").count(), ROWS);
        assert!(text.contains("and 12 more"), "{text}");
    }
}
