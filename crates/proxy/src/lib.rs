//! The data plane: what stands between clients and upstreams, and sees everything that happens
//! between them. `serve.rs` is the spine; read it first.

mod bounds;
mod checks;
mod chunked;
mod contain;
mod core;
mod crowd;
mod dates;
mod deadline;
mod doors;
mod framing;
mod front;
mod grpc;
mod head;
mod hearing;
mod inbound;
mod later;
mod listen;
mod live;
mod log;
mod loud;
mod memory;
mod metrics;
mod orders;
mod outbound;
mod pace;
mod pressure;
mod recorder;
mod refuse;
mod registry;
mod reply;
mod reports;
mod run;
mod seat;
mod serve;
mod share;
mod snapshot;
mod stale;
mod status;
mod stream_io;
mod timer;
mod tries;
mod tunnel;
mod upstream;
mod websocket;
mod witness;
mod worker;

pub mod fuzzing;

pub use contain::serving;
pub use log::Style;
pub use loud::{Notice, Stage, Tell, Trouble};
pub use orders::OrderError;
pub use run::{Gateway, Leave, Options, ReloadError, StartError, Stopped};
pub use snapshot::Prepared;
pub use witness::Witness;

use crate::crowd::{Crowd, TurnedAway};
use crate::hearing::Hearing;
use crate::later::Later;
use crate::listen::Cores;
use crate::listen::floods::Floods;
use crate::listen::http3::quic::Load;
use crate::log::LogSink;
use crate::loud::Loud;
use crate::memory::Memory;
use crate::metrics::{Gauges, Shard};
use crate::pressure::Pressure;
use crate::registry::Registry;
use crate::reports::Reports;
use crate::upstream::names::Names;
use arc_swap::ArcSwapOption;
use http::header::{HeaderValue, InvalidHeaderValue};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What all cores share.
pub(crate) struct Plane {
    /// Our name in `Proxy-Status`.
    pub(crate) name: Arc<str>,
    /// Our mark in `Via`: the name, and a number that is this process's alone.
    pub(crate) via: String,
    pub(crate) via_field: HeaderValue,
    pub(crate) registry: Registry,
    pub(crate) names: Names,
    pub(crate) reports: Reports,
    /// Answers that are fetched later.
    pub(crate) later: Later,
    /// Where the gateway started an app itself.
    pub(crate) hearing: Option<Hearing>,
    pub(crate) log: LogSink,
    pub(crate) loud: Arc<Loud>,
    pub(crate) pressure: Pressure,
    pub(crate) memory: Arc<Memory>,
    pub(crate) crowd: Arc<Crowd>,
    pub(crate) turned_away: TurnedAway,
    pub(crate) cores: Arc<Cores>,
    pub(crate) shards: Vec<Arc<Shard>>,
    pub(crate) client_errors: AtomicU64,
    pub(crate) floods: Floods,
    pub(crate) http3_floods: Floods,
    pub(crate) quic: Load,
    /// `Alt-Svc`, where HTTP/3 is spoken (RFC 7838, RFC 9114 3.1.1).
    pub(crate) alternative: ArcSwapOption<HeaderValue>,
    /// Balancers are told to send nobody any more.
    pub(crate) leaving: AtomicBool,
}

impl Plane {
    pub(crate) fn is_ready(&self) -> bool {
        !self.leaving.load(Relaxed)
    }

    /// What is said of an upstream's own failure: that it was the upstream's.
    pub(crate) fn received(&self, status: u16) -> Result<HeaderValue, InvalidHeaderValue> {
        HeaderValue::from_str(&format!("{}; received-status={status}", self.name))
    }

    pub(crate) fn metrics(&self) -> String {
        let gauges = Gauges {
            connections: self.cores.connections(),
            log_dropped: self.log.dropped(),
            troubles: self.loud.all(),
            front_errors: self.client_errors.load(Relaxed),
            floods: self.floods.all().collect(),
            http3_floods: self.http3_floods.all().collect(),
            upstreams: self.upstreams(),
        };
        metrics::render(&self.shards, &gauges)
    }
}
