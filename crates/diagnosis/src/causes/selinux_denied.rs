//! SELinux does not let the gateway connect there.
//!
//! ## What you see
//! `Permission denied` on a TCP address, at once, on every request, mostly on RHEL, Fedora, Rocky
//! or Alma. nginx logs `connect() to 127.0.0.1:8082 failed (13: Permission denied) while connecting
//! to upstream`; the audit log `avc:  denied  { name_connect } for  pid=N comm="nginx" dest=8082
//! ... tclass=tcp_socket permissive=0` (for Unix sockets `{ connectto }`, or `{ write }` on the
//! file).
//!
//! ## Why it happens
//! The policy lists to which kinds of ports and files a confined web server may connect, and this
//! one is not among them. Modes and users have nothing to do with it.
//!
//! ## How to tell
//! The audit record names the process and the port. On TCP hardly anything else yields this error.
//! `getenforce` says `Enforcing`.
//!
//! ## Fix
//! Allow just this, and leave SELinux on: label the port (`semanage port -a -t http_port_t -p tcp
//! 8082`), allow web servers to connect out (`setsebool -P httpd_can_network_connect 1`), or
//! restore the label of the socket's folder (`restorecon -Rv`).

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::look::Fix;
use crate::text::{DECIDES, Text, before};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "selinux_denied",
    family: Family::F10,
    title: "SELinux does not let the gateway connect",
    side: Side::Platform,
    retry: RetryClass::R3,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectDenied, 0.93),
            (Sign::ConnectNotPermitted, 0.03),
            (Sign::SocketDenied, 0.07),
        ],
        clues: &[before(Sign::SelinuxDenied, DECIDES)],
        brings: &["unix_socket_permission"],
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::PermissionDenied) = case.fault()? else {
        return None;
    };
    let dialled = case.dialled();
    Some(match case.unix_path() {
        None => Finding::new(
            0.65,
            format!("SELinux does not let the gateway connect to {dialled}"),
            "a network address has no mode; only a security policy says permission denied there",
        ),
        Some(_) => Finding::new(
            0.2,
            format!("SELinux may not let the gateway connect to {dialled}"),
            "a security policy denies with the same error as the mode of a file",
        ),
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    let allow = match (case.unix_path(), case.port()) {
        (Some(path), _) => {
            Fix::run("Then restore the label of the socket", format!("restorecon -v '{path}'"))
        }
        (None, port) => Fix::run(
            "Then allow this port for web servers, and leave SELinux on",
            format!("semanage port -a -t http_port_t -p tcp {}", port.unwrap_or(8000)),
        ),
    };
    vec![
        Fix::run("Read what was denied, to whom", "ausearch -m avc -ts recent"),
        allow,
        Fix::run(
            "Or, if the gateway runs confined as a web server, allow it to connect out",
            "setsebool -P httpd_can_network_connect 1",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

    #[test]
    fn permission_denied_on_a_port_is_a_policy() {
        check(
            "connect: permission_denied | to=127.0.0.1:8082 errno=13",
            "selinux_denied: SELinux does not let the gateway connect to 127.0.0.1:8082",
        );
    }

    #[test]
    fn on_a_file_the_mode_is_likelier() {
        check_among("connect: permission_denied | to=unix:/run/app.sock", "selinux_denied");
    }

    #[test]
    fn not_permitted_is_a_packet_filter() {
        check_not("connect: not_permitted | to=127.0.0.1:8082", "selinux_denied");
    }
}
