//! Targets that are restarted one after the other, as deployments do.

use crate::prevent::schedule::Load;
use crate::prevent::situation::{At, Reach, Servers, Situation, Step, at};
use crate::prevent::target::Manner;

const COUNT: usize = 3;
const FIRST: f64 = 1.5;
const BETWEEN: f64 = 2.0;
const DOWN: f64 = 0.5;

pub(super) fn all() -> Vec<Situation> {
    vec![
        Situation {
            name: "rolling_term",
            title: "rolling restart of three, SIGTERM, each down 0.5 s",
            servers: Servers::Own { count: COUNT, manner: Manner::GOOD },
            load: Load::steady(8.0),
            script: rolling(Step::Terminate),
            reach: Reach::failed(1.0),
        },
        Situation {
            name: "rolling_kill",
            title: "rolling restart of three, SIGKILL, each down 0.5 s",
            servers: Servers::Own { count: COUNT, manner: Manner::BUSY },
            load: Load::steady(8.0),
            script: rolling(Step::Kill),
            reach: Reach::failed(3.0),
        },
    ]
}

fn rolling(down: fn(usize) -> Step) -> Vec<At> {
    let mut script = Vec::new();
    let mut time = FIRST;
    for number in 0..COUNT {
        script.push(at(time, down(number)));
        script.push(at(time + DOWN, Step::Start(number)));
        time += BETWEEN;
    }
    script
}
