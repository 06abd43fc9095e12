//! A proxy dials a port on which nothing of these files listens.
//!
//! Within a compose network the container's own port counts; the published one is the host's.

use super::files::{Dial, Fact, Files, Unit};
use super::{Check, Found, Severity, change, with_number};
use crate::report::{Risk, Step};
use evidence::What;
use evidence::address::{host, is_loopback, port, socket};

pub(super) const CHECK: Check = Check { cause: "wrong_port", look };

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    for dial in &files.dials {
        for (fact, address) in &dial.addresses {
            if socket(address).is_some() {
                continue;
            }
            for at in files.named_by(dial, host(address)).into_iter().filter(|it| *it != dial.unit)
            {
                named(files, dial, *fact, address, &files.units[at], found);
            }
            if is_loopback(address) && files.container_of(dial).is_none() {
                local(files, dial, *fact, address, found);
            }
        }
    }
    for unit in &files.units {
        told(unit, found);
    }
}

/// A container is dialled by its name.
fn named(
    files: &Files<'_>,
    dial: &Dial<'_>,
    fact: Fact<'_>,
    address: &str,
    unit: &Unit<'_>,
    found: &mut Found<'_>,
) {
    let Some(dialled) = dial.port(address) else { return };
    let name = host(address);
    let inside = !files.units[dial.unit].shares_host();
    let published = unit.find(|it| match it.what() {
        What::Publishes { host, container } if *host == dialled && host != container => {
            Some(*container)
        }
        _ => None,
    });
    let listens = unit.listens();
    if listens.iter().any(|(_, it)| *it == dialled) {
        return;
    }
    let declared = unit.all(|it| match it.what() {
        What::Publishes { container, .. } => Some(*container),
        What::Exposes { port } | What::TargetPort { port } => Some(*port),
        _ => None,
    });
    // Ports that a Kubernetes service leads from are its own.
    if unit.facts.iter().any(|it| it.product() == evidence::Product::Kubernetes) {
        return;
    }
    if let (Some((proof, container)), true) = (published, inside) {
        let right = listens.first().map_or(container, |(_, it)| *it);
        let statement = format!(
            "{} dials `{name}` at port {dialled}, which is published for the host only; \
             within the network it is {right}",
            fact.product().name()
        );
        found.say(Severity::Breaks, statement, &[fact, proof], to(fact, right));
    } else if let Some((proof, right)) = listens.first().copied() {
        let statement = format!(
            "{} dials `{name}` at port {dialled}, but it listens on {right}",
            fact.product().name()
        );
        found.say(Severity::Breaks, statement, &[fact, proof], to(fact, right));
    } else if let Some((proof, right)) = declared.first().copied()
        && declared.iter().all(|(_, it)| *it != dialled)
    {
        let statement = format!(
            "{} dials `{name}` at port {dialled}, but only {right} is named as a port of it",
            fact.product().name()
        );
        found.say(Severity::Risk, statement, &[fact, proof], to(fact, right));
    }
}

/// The machine itself is dialled, and the one app of the files listens elsewhere.
fn local(files: &Files<'_>, dial: &Dial<'_>, fact: Fact<'_>, address: &str, found: &mut Found<'_>) {
    let Some(dialled) = dial.port(address) else { return };
    let leads = |it: Fact<'_>| match it.what() {
        What::Publishes { host, .. } => Some(*host == dialled),
        What::Listens { address, .. } => Some(port(address) == Some(dialled)),
        _ => None,
    };
    if files.facts().filter_map(leads).any(|it| it) {
        return;
    }
    let Some(app) = files.reached(dial, address).first().copied() else { return };
    if files.units[app].is_container() {
        return;
    }
    let Some((proof, right)) = files.units[app].listens().first().copied() else {
        return at_a_socket(&files.units[app], fact, address, found);
    };
    let statement = format!(
        "{} dials port {dialled}, but {} listens on {right}",
        fact.product().name(),
        proof.product().name()
    );
    found.say(Severity::Breaks, statement, &[fact, proof], to(fact, right));
}

/// The app listens on a socket's path, and on no port at all.
fn at_a_socket(app: &Unit<'_>, fact: Fact<'_>, address: &str, found: &mut Found<'_>) {
    let path = app.find(|it| match it.what() {
        What::Listens { address, .. } => socket(address),
        _ => None,
    });
    let Some((proof, path)) = path else { return };
    let statement = format!(
        "{} dials {address}, but {} listens on the socket {path} alone",
        fact.product().name(),
        proof.product().name()
    );
    let new = fact.setting.quote.replacen(address, &format!("unix:{path}"), 1);
    let step = change("Dial the socket", fact, &new, Risk::Reload);
    found.say(Severity::Breaks, statement, &[fact, proof], vec![step]);
}

/// `VIRTUAL_PORT` and the like name another port than the program's own.
fn told(unit: &Unit<'_>, found: &mut Found<'_>) {
    let target = unit.find(|it| match it.what() {
        What::TargetPort { port } if it.product() != evidence::Product::Kubernetes => Some(*port),
        _ => None,
    });
    let (Some((fact, told)), Some((proof, right))) = (target, unit.listens().first().copied())
    else {
        return;
    };
    if unit.listens().iter().all(|(_, it)| *it != told) {
        let statement =
            format!("the proxy is told to use port {told}, but the app listens on {right}");
        found.say(Severity::Breaks, statement, &[fact, proof], to(fact, right));
    }
}

fn to(fact: Fact<'_>, right: u16) -> Vec<Step> {
    let text = format!("Use port {right}");
    let new = with_number(&fact.setting.quote, &right.to_string());
    match new.filter(|it| *it != fact.setting.quote) {
        Some(new) => vec![change(text, fact, &new, Risk::Reload)],
        None => vec![Step::say(text)],
    }
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "wrong_port";

    #[test]
    fn the_published_port_is_dialled_within_the_network() {
        check(
            ID,
            "n.conf nginx: dials http://app:8080; c.yml docker app: service app, publishes 8080:80",
            "breaks: nginx dials `app` at port 8080, which is published for the host only; within \
             the network it is 80",
        );
    }

    #[test]
    fn the_app_listens_elsewhere() {
        check(
            ID,
            "n.conf nginx: dials http://app:8000; c.yml docker app: service app; \
             c.yml gunicorn app: listens 0.0.0.0:5000",
            "breaks: nginx dials `app` at port 8000, but it listens on 5000",
        );
        check(
            ID,
            "n.conf nginx: dials http://127.0.0.1:8000; g.py gunicorn: listens 127.0.0.1:5000",
            "breaks: nginx dials port 8000, but gunicorn listens on 5000",
        );
    }

    #[test]
    fn the_app_listens_on_a_socket() {
        check(
            ID,
            "n.conf nginx: dials http://127.0.0.1:8000; g.py gunicorn: listens unix:/run/app.sock",
            "breaks: nginx dials 127.0.0.1:8000, but gunicorn listens on the socket /run/app.sock \
             alone",
        );
    }

    #[test]
    fn a_port_that_is_named_nowhere_is_a_risk() {
        check(
            ID,
            "n.conf nginx: dials http://app; c.yml docker app: service app, exposes 3000",
            "risk: nginx dials `app` at port 80, but only 3000 is named as a port of it",
        );
    }

    #[test]
    fn the_proxy_is_told_another_port() {
        check(
            ID,
            "c.yml docker app: service app, target 80; c.yml gunicorn app: listens 0.0.0.0:8000",
            "breaks: the proxy is told to use port 80, but the app listens on 8000",
        );
    }

    #[test]
    fn right_ports_and_unknown_ones_are_left_alone() {
        for settings in [
            "n.conf nginx: dials http://app:80; c.yml docker app: service app, publishes 8080:80",
            "n.conf nginx: dials http://app:80; c.yml docker app: service app",
            "n.conf nginx: dials http://127.0.0.1:8080; c.yml docker app: service app, publishes 8080:80",
            "n.conf nginx: dials http://127.0.0.1:8000; g.py gunicorn: listens 0.0.0.0:8000",
            "n.conf nginx: dials http://192.0.2.1:8000; g.py gunicorn: listens 0.0.0.0:5000",
            "n.conf nginx: dials http://127.0.0.1:1, dials http://127.0.0.1:2; g.py gunicorn: listens :3",
        ] {
            check_nothing(ID, settings);
        }
    }
}
