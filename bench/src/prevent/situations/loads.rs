//! Loads that are not like others.

use crate::prevent::schedule::{Load, Part, RATE};
use crate::prevent::situation::{Bound, Figure, Limit, Reach, Servers, Situation, Step, at};
use crate::prevent::target::Manner;
use std::time::Duration;

const HELD_UP: Manner = Manner { slow_work: Duration::from_millis(2500), ..Manner::GOOD };
const LONG: Manner = Manner { work: Duration::from_millis(1500), ..Manner::GOOD };

pub(super) fn all() -> Vec<Situation> {
    vec![slow_dependency(), clients_leave()]
}

fn slow_dependency() -> Situation {
    let all_become = |time, manner| (0..3).map(move |it| at(time, Step::Become(it, manner)));
    Situation {
        name: "slow_dependency",
        title: "one path of two takes 2.5 s on all targets, 4 s; the other one must not suffer",
        servers: Servers::Own { count: 3, manner: Manner::GOOD },
        load: Load::TwoPaths { rate: RATE, seconds: 8.0 },
        script: all_become(2.0, HELD_UP).chain(all_become(6.0, Manner::GOOD)).collect(),
        reach: Reach {
            failed: Some(0.0),
            bounds: &[Bound { figure: Figure::P99(Part::Quick), limit: Limit::AtMost(50.0) }],
        },
    }
}

fn clients_leave() -> Situation {
    Situation {
        name: "clients_leave",
        title: "clients leave after 0.3 s of 1.5 s of work: is the work cancelled?",
        servers: Servers::Own { count: 3, manner: LONG },
        load: Load::Leaving { count: 100, rate: 50.0, after: Duration::from_millis(300) },
        script: Vec::new(),
        reach: Reach {
            failed: None,
            bounds: &[Bound { figure: Figure::ForNobody, limit: Limit::AtMost(0.0) }],
        },
    }
}
