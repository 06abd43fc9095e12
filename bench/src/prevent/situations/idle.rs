//! Targets that close connections of their own accord, while all is well otherwise.

use crate::prevent::schedule::{Load, Mix};
use crate::prevent::situation::{Reach, Servers, Situation};
use crate::prevent::target::Manner;
use std::time::Duration;

const BURSTS: u32 = 16;
const SIZE: u32 = 20;
const LIMIT: Duration = Duration::from_secs(1);
const REQUESTS: u32 = 40;
const GOAWAY_AFTER: u32 = 50;

pub(super) fn all() -> Vec<Situation> {
    vec![
        Situation {
            name: "all_is_well",
            title: "all is well",
            servers: Servers::Own { count: 3, manner: Manner::GOOD },
            load: Load::steady(8.0),
            script: Vec::new(),
            reach: Reach::failed(0.0),
        },
        bursts(
            "idle_close_get",
            "target closes idle connections after 1 s, bursts just around it; GET",
            Mix::Get,
            0.0,
        ),
        bursts("idle_close_post", "the same; POST", Mix::Post, 10.0),
        Situation {
            name: "workers_leave",
            title: "workers leave after 40 requests without notice",
            servers: Servers::Own {
                count: 3,
                manner: Manner { recycle: Some(REQUESTS), ..Manner::GOOD },
            },
            load: Load::steady(8.0),
            script: Vec::new(),
            reach: Reach::failed(6.0),
        },
        Situation {
            name: "http2_goaway",
            title: "targets that speak HTTP/2 send GOAWAY after 50 requests on a connection",
            servers: Servers::Http2 { count: 3, requests: GOAWAY_AFTER },
            load: Load::steady(8.0),
            script: Vec::new(),
            // What lies above the last stream of a GOAWAY was not begun (RFC 9113 6.8).
            reach: Reach::failed(0.0),
        },
    ]
}

fn bursts(name: &'static str, title: &'static str, mix: Mix, failed: f64) -> Situation {
    Situation {
        name,
        title,
        servers: Servers::Own { count: 1, manner: Manner { idle: Some(LIMIT), ..Manner::GOOD } },
        load: Load::Bursts { count: BURSTS, size: SIZE, mix },
        script: Vec::new(),
        reach: Reach::failed(failed),
    }
}
