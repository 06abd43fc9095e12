//! Targets behind a name.

use crate::prevent::names::Says;
use crate::prevent::schedule::Load;
use crate::prevent::situation::{At, Reach, Servers, Situation, Step, at};
use crate::prevent::target::Manner;

pub(super) fn all() -> Vec<Situation> {
    vec![
        Situation {
            load: Load::steady(7.0),
            ..named(
                "name_changes",
                "the name changes to a new address (TTL 1 s), the old target is killed 0.5 s later",
                2,
                Says::Targets(&[0]),
                vec![at(3.0, Step::Say(Says::Targets(&[1]))), at(3.5, Step::Kill(0))],
            )
        },
        named(
            "names_fail",
            "the name server answers SERVFAIL for 3 s (TTL 1 s)",
            1,
            Says::Targets(&[0]),
            vec![at(2.0, Step::Say(Says::Failure)), at(5.0, Step::Say(Says::Targets(&[0])))],
        ),
        named(
            "names_silent",
            "the name server is silent for 3 s (TTL 1 s)",
            1,
            Says::Targets(&[0]),
            vec![at(2.0, Step::Say(Says::Nothing)), at(5.0, Step::Say(Says::Targets(&[0])))],
        ),
        named(
            "name_half_dead",
            "a name with two addresses, of which one refuses",
            2,
            Says::Targets(&[0, 1]),
            vec![at(0.0, Step::Kill(1))],
        ),
    ]
}

fn named(
    name: &'static str,
    title: &'static str,
    count: usize,
    at_first: Says,
    script: Vec<At>,
) -> Situation {
    let servers = Servers::Named { count, manner: Manner::GOOD, at_first };
    Situation { name, title, servers, load: Load::steady(8.0), script, reach: Reach::failed(0.0) }
}
