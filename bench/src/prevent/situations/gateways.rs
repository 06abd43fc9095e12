//! What is done to the gateway itself.

use crate::prevent::schedule::Load;
use crate::prevent::situation::{At, Reach, Servers, Situation, Step, at};
use crate::prevent::target::Manner;

pub(super) fn all() -> Vec<Situation> {
    let reloads = [1.5, 3.0, 4.5, 6.0].map(|it| at(it, Step::Reload));
    vec![
        gateway("gateway_reloads", "gateway reloads its configuration four times", reloads.into()),
        gateway(
            "gateway_restarts",
            "gateway is restarted as its manual recommends",
            vec![at(3.0, Step::Restart)],
        ),
    ]
}

fn gateway(name: &'static str, title: &'static str, script: Vec<At>) -> Situation {
    let servers = Servers::Own { count: 3, manner: Manner::GOOD };
    Situation { name, title, servers, load: Load::steady(8.0), script, reach: Reach::failed(0.0) }
}
