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
use crate::look::Fix;
use crate::signs::{listener, remote};
use crate::text::{DECIDES, Text, during};
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

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_among, check_not};

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
}
