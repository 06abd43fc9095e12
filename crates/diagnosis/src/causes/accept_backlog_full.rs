//! The app's listen queue is full, so the kernel drops new connections without a word.
//!
//! ## What you see
//! Connecting times out, though the process runs and its port is open. nginx answers 504 and logs
//! `upstream timed out (110: Connection timed out) while connecting to upstream`; HAProxy 503 with
//! `sC--`; Caddy 502 with `dial tcp A:P: i/o timeout`. The kernel of the target may write `TCP:
//! request_sock_TCP: Possible SYN flooding on port [::]:8080. Sending cookies.`; uWSGI `*** uWSGI
//! listen queue of socket "X" (fd: N) full !!! (101/100) ***`.
//!
//! ## Why it happens
//! The app takes connections more slowly than they come. Linux does not refuse when the queue is
//! full: it drops the SYN and lets the other side try again after 1, 3 and 7 seconds. Queues hold
//! 100 (uWSGI, Hypercorn, Tomcat) to 2048 (Gunicorn, Uvicorn), and never more than
//! `net.core.somaxconn`.
//!
//! ## How to tell
//! On the target `ss -ltn` shows `Recv-Q` at or above `Send-Q` for the port, and `ListenOverflows`
//! grows. If the queue is empty, packets are lost on the way: `firewall_drop`.
//!
//! ## Fix
//! More or faster workers first. Then the app's backlog and `net.core.somaxconn` together: a longer
//! queue alone turns refusals into waiting.

use crate::case::{Case, words};
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::{listener, remote};
use crate::text::{DECIDES, Text, When, during};
use crate::{platform, wording};
use evidence::Sign;
use exchange::{ConnectFault, Fault};

pub(super) static CAUSE: Cause = Cause {
    id: "accept_backlog_full",
    family: Family::F2,
    title: "The app's listen queue is full",
    side: Side::AppServer,
    retry: RetryClass::R0,
    passing: true,
    look,
    fix,
    text: Text {
        behind: &[
            (Sign::ConnectTimedOut, 0.2),
            (Sign::ConnectFailed, 0.03),
            (Sign::TlsTimedOut, 0.04),
            (Sign::HeadTimedOut, 0.004),
            (Sign::Answered504, 0.03),
        ],
        clues: &[during(Sign::BacklogOverflow, DECIDES)],
        brings: &["firewall_drop", "response_header_timeout"],
        says,
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let Fault::Connect(ConnectFault::TimedOut(limit)) = case.fault()? else {
        return None;
    };
    let dialled = case.dialled();
    let waited = words(limit.value);
    Some(if remote(case) {
        Finding::new(
            0.15,
            format!("the listen queue of {dialled} may be full: no connection within {waited}"),
            "a full listen queue drops connections just as silently as a firewall",
        )
    } else {
        Finding::new(
            0.75,
            format!("the listen queue of {dialled} is full: it took no connection within {waited}"),
            "nothing is lost on the way to this machine itself: its kernel dropped the connection \
             because the app does not take those that wait",
        )
    })
}

fn fix(case: &Case) -> Vec<Fix> {
    vec![
        Fix::run(
            "On the target, see whether the queue is full: `Recv-Q` at or above `Send-Q`",
            listener(case),
        ),
        Fix::run("See whether connections are being dropped", "nstat -az TcpExtListenOverflows"),
        Fix::new("Run more workers, or make the app take connections faster"),
        Fix::new(
            "Then raise the app's backlog and `net.core.somaxconn` together: that absorbs \
             bursts, and hides a lasting lack of workers behind waiting",
        ),
    ]
}

fn says(dossier: &Dossier) -> Option<String> {
    let seen = wording::first(dossier, Sign::BacklogOverflow, When::During)?;
    let number = seen.run.opening.number.and_then(|it| u16::try_from(it).ok());
    let port = match number.or(dossier.port()) {
        Some(port) => format!(" on port {port}"),
        None => String::new(),
    };
    Some(format!(
        "{} takes connections more slowly than they come: its listen queue{port} overflowed",
        wording::app(dossier)
    ))
}

fn cure(dossier: &Dossier) -> Cure {
    let queue = match dossier.port() {
        Some(port) => format!("ss -ltn 'sport = :{port}'; nstat -az TcpExtListenOverflows"),
        None => "ss -ltn; nstat -az TcpExtListenOverflows".to_owned(),
    };
    Cure {
        before: vec![Step::look(
            "See that the queue is full (`Recv-Q` at or above `Send-Q`), and find what the workers \
             wait for meanwhile",
            platform::inside(dossier, &queue),
        )],
        now: vec![
            Step::say(format!(
                "Raise {}, as far as CPU and database connections go",
                wording::workers(dossier)
            )),
            wording::restarted(dossier),
        ],
        lasting: vec![
            Step::run(
                format!(
                    "Make room for bursts: {} and the kernel's limit above it; for a lasting lack \
                     of workers that only hides it behind waiting",
                    wording::backlog(dossier)
                ),
                "sudo sysctl -w net.core.somaxconn=4096",
                Risk::None,
            )
            .hides(),
            Step::say(
                "Let the proxy send no more at once than the app can take, and answer 503 above that",
            ),
        ],
        verify: vec![Step::look(
            "The counter of overflows stands still under load",
            "nstat -z TcpExtListenOverflows; sleep 10; nstat TcpExtListenOverflows",
        )],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{UNREACHED, check, check_among, check_not, check_text, nginx};

    #[test]
    fn nothing_drops_packets_on_loopback_but_a_full_queue() {
        check(
            "connect: timed_out | to=127.0.0.1:8000",
            "accept_backlog_full: the listen queue of 127.0.0.1:8000 is full: it took no \
             connection within 60 s",
        );
    }

    #[test]
    fn across_a_network_it_is_one_of_several() {
        check_among("connect: timed_out | to=10.0.0.7:8000", "accept_backlog_full");
    }

    #[test]
    fn a_full_queue_does_not_refuse() {
        check_not("connect: refused | to=127.0.0.1:8000", "accept_backlog_full");
    }

    #[test]
    fn the_kernel_saw_the_queue_overflow() {
        check_text(
            &[
                ("error.log", &nginx(UNREACHED)),
                (
                    "kern.log",
                    "Nov 20 15:16:30 web kernel: [99.000001] TCP: request_sock_TCP: Possible SYN flooding on port [::]:8000. Dropping request.  Check SNMP counters.\n",
                ),
            ],
            "accept_backlog_full: the app takes connections more slowly than they come: its listen queue on port 8000 overflowed\n\
             before: See that the queue is full (`Recv-Q` at or above `Send-Q`), and find what the workers wait for meanwhile [ss -ltn 'sport = :8000'; nstat -az TcpExtListenOverflows] checks\n\
             now: Raise the number of workers, as far as CPU and database connections go\n\
             now: Restart the app with that [sudo systemctl restart APP] restart\n\
             lasting: Make room for bursts: the app's backlog and the kernel's limit above it; for a lasting lack of workers that only hides it behind waiting [sudo sysctl -w net.core.somaxconn=4096] hides\n\
             lasting: Let the proxy send no more at once than the app can take, and answer 503 above that\n\
             verify: The counter of overflows stands still under load [nstat -z TcpExtListenOverflows; sleep 10; nstat TcpExtListenOverflows] checks",
        );
    }
}
