//! Small packets pass and large ones vanish: somewhere the path takes less than the ends believe.
//!
//! ## What you see
//! Connecting works, small requests work, and large ones hang until a limit ends them: uploads,
//! long cookies, TLS handshakes with long certificate chains. Nothing is logged anywhere.
//!
//! ## Why it happens
//! A tunnel or VPN on the way carries smaller packets (1420, 1380 bytes). The router that cannot
//! pass one says so by ICMP, and a firewall drops that message, so the sender repeats the same
//! large packet for ever.
//!
//! ## How to tell
//! Failures go with sizes above about 1400 bytes; `ping -M do -s 1400` gets no answer where `-s
//! 1200` does; retransmissions of one connection grow in `ss -ti`.
//!
//! ## Fix
//! Let ICMP `fragmentation needed` (and `packet too big` with IPv6) through, or clamp the segment
//! size at the tunnel: `nft add rule ... tcp option maxseg size set rt mtu`.

use crate::case::Case;
use crate::catalogue::{Cause, Family, Finding, RetryClass, Side};
use crate::dossier::Dossier;
use crate::look::Fix;
use crate::report::{Cure, Risk, Step};
use crate::signs::{address, remote, waited_in_vain};
use crate::text::Text;
use crate::{platform, wording};
use evidence::{Sign, address};
use exchange::{BodyFault, Fault, SendFault, TlsFault};

/// What surely fits into one packet on any path.
const SMALL: u64 = 1_200;

pub(super) static CAUSE: Cause = Cause {
    id: "mtu_blackhole",
    family: Family::F3,
    title: "Large packets vanish on the way",
    side: Side::Network,
    retry: RetryClass::R2,
    passing: false,
    look,
    fix,
    text: Text {
        behind: &[(Sign::TlsTimedOut, 0.08), (Sign::HeadTimedOut, 0.002)],
        cure,
        ..Text::NONE
    },
};

fn look(case: &Case) -> Option<Finding> {
    let sent = case.attempt()?.sent;
    let confidence = match case.fault()? {
        _ if !remote(case) => return None,
        Fault::Send(SendFault::TimedOut(_)) => 0.15,
        Fault::Tls(TlsFault::TimedOut(_)) => 0.1,
        Fault::Body(BodyFault::Stalled(_)) => 0.05,
        _ if waited_in_vain(case) && SMALL < sent => 0.05,
        _ => return None,
    };
    Some(Finding::new(
        confidence,
        format!("large packets to or from {} may vanish on the way", case.dialled()),
        "connecting takes small packets only; what hung here needs large ones",
    ))
}

fn fix(case: &Case) -> Vec<Fix> {
    let address = address(case);
    vec![
        Fix::run("See whether a large packet passes", format!("ping -c 3 -M do -s 1400 {address}")),
        Fix::run("And at which hop the size shrinks", format!("tracepath -n {address}")),
        Fix::new(
            "Let ICMP `fragmentation needed` through, or clamp the TCP segment size at the tunnel",
        ),
    ]
}

fn cure(dossier: &Dossier) -> Cure {
    let to = dossier
        .upstream()
        .map(address::host)
        .filter(|it| platform::is_plain(it))
        .unwrap_or("ADDRESS");
    Cure {
        before: vec![Step::look("See whether large packets get through: 1400 bytes fail where 1200 pass", format!("ping -c 3 -M do -s 1200 {to}; ping -c 3 -M do -s 1400 {to}"))],
        now: vec![
            Step::run(
                "Let the host clamp segments to what the way carries",
                "sudo iptables -t mangle -A POSTROUTING -p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu",
                Risk::None,
            )
            .hides(),
        ],
        lasting: vec![
            Step::say("Let the firewalls on the way pass ICMP `fragmentation needed` and `packet too big`"),
            Step::say("Give the tunnel, and the container networks over it, the MTU that it carries"),
        ],
        verify: vec![wording::through(dossier)],
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check_among, check_not};

    #[test]
    fn a_large_request_may_have_vanished() {
        check_among("send: timed_out | to=10.0.0.7:80 fresh sent=90000", "mtu_blackhole");
        check_among("head: timed_out | to=10.0.0.7:80 fresh sent=3000", "mtu_blackhole");
    }

    #[test]
    fn a_small_one_fits_everywhere() {
        check_not("head: timed_out | to=10.0.0.7:80 fresh sent=300", "mtu_blackhole");
    }

    #[test]
    fn loopback_has_no_path() {
        check_not("send: timed_out | to=127.0.0.1:80 fresh sent=90000", "mtu_blackhole");
    }
}
