//! One target of three is not as it should be; the others are.

use crate::prevent::schedule::{Load, Part};
use crate::prevent::situation::{At, Bound, Figure, Limit, Reach, Servers, Situation, Step, at};
use crate::prevent::target::{AtOnce, Fault, Health, Manner};
use std::time::Duration;

const SLOW: Duration = Duration::from_secs(2);
/// What a target that came back cold is up to, and when.
const WARM: AtOnce = AtOnce::Growing(8, Duration::from_secs(5));

pub(super) fn all() -> Vec<Situation> {
    vec![
        one(
            "one_refuses",
            "one of three refuses, 4 s",
            vec![at(2.0, Step::Kill(0)), at(6.0, Step::Start(0))],
            Reach::failed(0.0),
        ),
        faulty(
            "one_resets",
            "one of three resets after the work, 4 s; its health answers",
            Manner::GOOD.with(Fault::Reset, Health::Well),
            Reach::failed(2.0),
        ),
        faulty(
            "one_hangs",
            "one of three hangs, 4 s; its health too",
            Manner::GOOD.with(Fault::Hang, Health::Same),
            Reach::failed(1.0),
        ),
        one(
            "one_vanishes",
            "one of three behind a path that drops its packets, 4 s",
            vec![
                at(2.0, Step::Become(0, Manner::GOOD.with(Fault::Hang, Health::Same))),
                at(2.0, Step::Vanish(0)),
                at(6.0, Step::Become(0, Manner::GOOD)),
                at(6.0, Step::Reappear(0)),
            ],
            Reach::failed(1.0),
        ),
        faulty(
            "one_slow",
            "one of three takes 2 s instead of 5 ms, 4 s; its health is quick",
            Manner { work: SLOW, ..Manner::GOOD },
            Reach {
                failed: Some(0.0),
                bounds: &[Bound { figure: Figure::P99(Part::Steady), limit: Limit::AtMost(50.0) }],
            },
        ),
        one("one_flaps", "one of three is up and down each second", flaps(1.0), Reach::failed(0.0)),
        one(
            "one_flaps_quickly",
            "one of three is up and down each 0.3 s",
            flaps(0.3),
            Reach::failed(0.0),
        ),
        Situation {
            servers: Servers::Own { count: 3, manner: Manner::BUSY },
            load: Load::steady(9.0),
            ..one(
                "one_cold",
                "one of three is killed and comes back cold: one at a time, up to 8 within 5 s",
                vec![
                    at(2.0, Step::Kill(0)),
                    at(3.0, Step::Become(0, Manner { at_once: WARM, ..Manner::BUSY })),
                    at(3.0, Step::Start(0)),
                ],
                Reach::failed(2.0),
            )
        },
    ]
}

fn one(name: &'static str, title: &'static str, script: Vec<At>, reach: Reach) -> Situation {
    let servers = Servers::Own { count: 3, manner: Manner::GOOD };
    Situation { name, title, servers, load: Load::steady(8.0), script, reach }
}

/// Is so from the second to the sixth second.
pub(super) fn faulty(
    name: &'static str,
    title: &'static str,
    manner: Manner,
    reach: Reach,
) -> Situation {
    let script = vec![at(2.0, Step::Become(0, manner)), at(6.0, Step::Become(0, Manner::GOOD))];
    one(name, title, script, reach)
}

/// Down after so many seconds, up after as many, and so on until shortly before the end.
fn flaps(seconds: f64) -> Vec<At> {
    let mut script = Vec::new();
    let mut time = seconds;
    while time + seconds < 7.5 {
        script.push(at(time, Step::Kill(0)));
        script.push(at(time + seconds, Step::Start(0)));
        time += 2.0 * seconds;
    }
    script
}
