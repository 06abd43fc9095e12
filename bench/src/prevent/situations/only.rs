//! There is one target, or all are alike: nowhere else to go.

use crate::prevent::schedule::{Load, Part, RATE, Stretch};
use crate::prevent::situation::{At, Bound, Figure, Limit, Reach, Servers, Situation, Step, at};
use crate::prevent::target::{AtOnce, Fault, Health, Manner};
use std::time::Duration;

/// Twenty a second for each of the two.
const NARROW: Manner = Manner {
    work: Duration::from_millis(50),
    at_once: AtOnce::Only(2),
    health: Health::Same,
    ..Manner::GOOD
};
const RETRY_AFTER: u32 = 1;

pub(super) fn all() -> Vec<Situation> {
    vec![
        only(
            "only_killed_briefly",
            "the only target is killed, down 1 s",
            7.0,
            Manner::BUSY,
            vec![at(3.0, Step::Kill(0)), at(4.0, Step::Start(0))],
            4.0,
        ),
        only(
            "only_killed",
            "the only target is killed, down 3 s",
            9.0,
            Manner::BUSY,
            vec![at(3.0, Step::Kill(0)), at(6.0, Step::Start(0))],
            3.0,
        ),
        only(
            "only_unavailable",
            "the only target answers 503 with Retry-After 1, for 2 s",
            8.0,
            Manner::GOOD,
            vec![
                at(
                    3.0,
                    Step::Become(
                        0,
                        Manner::GOOD.with(Fault::Unavailable(RETRY_AFTER), Health::Same),
                    ),
                ),
                at(5.0, Step::Become(0, Manner::GOOD)),
            ],
            130.0,
        ),
        all_reset(),
        flash_crowd(),
    ]
}

fn only(
    name: &'static str,
    title: &'static str,
    seconds: f64,
    manner: Manner,
    script: Vec<At>,
    failed: f64,
) -> Situation {
    let servers = Servers::Own { count: 1, manner };
    let load = Load::with_trouble(seconds, 3.0, seconds - 2.0);
    Situation { name, title, servers, load, script, reach: Reach::failed(failed) }
}

fn all_reset() -> Situation {
    let resets = Manner::GOOD.with(Fault::Reset, Health::Well);
    let all_become = |time, manner| (0..3).map(move |it| at(time, Step::Become(it, manner)));
    Situation {
        name: "all_reset",
        title: "all three reset after the work, 2 s: attempts for one request",
        servers: Servers::Own { count: 3, manner: Manner::GOOD },
        load: Load::with_trouble(8.0, 3.0, 5.0),
        script: all_become(3.0, resets).chain(all_become(5.0, Manner::GOOD)).collect(),
        reach: Reach {
            failed: Some(250.0),
            bounds: &[Bound { figure: Figure::Attempts(Part::During), limit: Limit::AtMost(1.2) }],
        },
    }
}

fn flash_crowd() -> Situation {
    let few = |seconds, part| Stretch { rate: 20.0, seconds, part };
    let crowd = Stretch { rate: 400.0, seconds: 4.0, part: Part::Crowd };
    debug_assert!(RATE < crowd.rate);
    Situation {
        name: "flash_crowd",
        title: "flash crowd: 400/s for 4 s on a target that does 40/s (2 at once)",
        servers: Servers::Own { count: 1, manner: NARROW },
        load: Load::even(vec![few(2.0, Part::Steady), crowd, few(4.0, Part::After)]),
        script: Vec::new(),
        reach: Reach {
            failed: None,
            bounds: &[
                Bound { figure: Figure::Goodput(Part::Crowd), limit: Limit::AtLeast(38.0) },
                Bound { figure: Figure::P99(Part::Crowd), limit: Limit::AtMost(500.0) },
                Bound { figure: Figure::Failed(Part::After), limit: Limit::AtMost(0.0) },
            ],
        },
    }
}
