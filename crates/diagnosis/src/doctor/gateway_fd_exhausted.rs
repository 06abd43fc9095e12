//! nginx may open fewer files than its connections need.

use super::files::Files;
use super::{Check, Found, Severity, change, with_number};
use crate::report::{Risk, Step};
use evidence::Limit;

pub(super) const CHECK: Check = Check { cause: "gateway_fd_exhausted", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let nginx = |limit| {
        let mut all = files.facts().filter(|it| it.is_nginx());
        all.find_map(|it| it.limit(limit).map(|value| (it, value)))
    };
    let (Some((fact, open)), Some((proof, connections))) =
        (nginx(Limit::Descriptors), nginx(Limit::Connections))
    else {
        return;
    };
    if open >= connections {
        return;
    }
    let statement = format!(
        "a worker of nginx may have {connections} connections, but open only {open} files, and \
         each connection is one"
    );
    let text = "Allow twice as many files as connections: answers are buffered in files too";
    let new = with_number(&fact.setting.quote, &connections.saturating_mul(2).to_string());
    let step = match new {
        Some(new) => change(text, fact, &new, Risk::Restart),
        None => Step::say(text),
    };
    found.say(Severity::Risk, statement, &[fact, proof], vec![step]);
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    #[test]
    fn fewer_files_than_connections() {
        check(
            "gateway_fd_exhausted",
            "n.conf nginx: descriptors 1024, connections 4096",
            "risk: a worker of nginx may have 4096 connections, but open only 1024 files, and each \
             connection is one",
        );
    }

    #[test]
    fn as_many_are_enough() {
        check_nothing("gateway_fd_exhausted", "n.conf nginx: descriptors 4096, connections 4096");
        check_nothing("gateway_fd_exhausted", "n.conf nginx: connections 4096");
    }
}
