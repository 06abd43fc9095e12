//! The cases: what is asked for, by how many connections, and what one unit of work is.

use clap::ValueEnum;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "snake_case")]
#[value(rename_all = "snake_case")]
pub(crate) enum Case {
    /// An answer of 128 bytes
    Small,
    /// An answer of 10 KiB
    #[serde(rename = "10k")]
    #[value(name = "10k")]
    TenKib,
    /// An upload of 16 KiB
    Post,
    /// An event stream: 200 chunks of 64 bytes, one each millisecond
    Sse,
    /// An answer of 128 bytes, the client speaking TLS
    Tls,
    /// An answer of 128 bytes, the client speaking HTTP/2 from the first byte, without TLS
    H2,
    /// An answer of 128 bytes, the client speaking HTTP/2 over TLS
    H2Tls,
    /// An answer of 128 bytes, the upstream speaking HTTP/2
    H2Upstream,
}

/// What CPU time is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    Request,
    Chunk,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Unit::Request => "request",
            Unit::Chunk => "chunk",
        }
    }
}

pub(crate) const SMALL: usize = 128;
pub(crate) const TEN_KIB: usize = 10 * 1024;
pub(crate) const UPLOAD: usize = 16 * 1024;
pub(crate) const CHUNK: usize = 64;
pub(crate) const CHUNKS: u32 = 200;

pub(crate) struct Plan {
    pub(crate) name: &'static str,
    pub(crate) path: &'static str,
    pub(crate) tls: bool,
    pub(crate) connections: u32,
    /// Requests at a time on each connection of HTTP/2; `None` is HTTP/1.1.
    pub(crate) streams: Option<u32>,
    /// The upstream speaks HTTP/2.
    pub(crate) h2_upstream: bool,
    /// Bytes that each request carries.
    pub(crate) upload: usize,
    /// Bytes that each answer's body has at the least.
    pub(crate) answer: usize,
    pub(crate) unit: Unit,
}

impl Case {
    pub(crate) fn plan(self) -> Plan {
        let usual = Plan {
            name: "small",
            path: "/small",
            tls: false,
            connections: 64,
            streams: None,
            h2_upstream: false,
            upload: 0,
            answer: SMALL,
            unit: Unit::Request,
        };
        match self {
            Case::Small => usual,
            Case::TenKib => Plan { name: "10k", path: "/10k", answer: TEN_KIB, ..usual },
            Case::Post => Plan { name: "post", path: "/upload", upload: UPLOAD, ..usual },
            Case::Sse => Plan {
                name: "sse",
                path: "/events",
                connections: 32,
                answer: CHUNK * CHUNKS as usize,
                unit: Unit::Chunk,
                ..usual
            },
            Case::Tls => Plan { name: "tls", tls: true, ..usual },
            Case::H2 => Plan { name: "h2", connections: 8, streams: Some(16), ..usual },
            Case::H2Tls => Plan { name: "h2_tls", tls: true, ..Case::H2.plan() },
            Case::H2Upstream => {
                Plan { name: "h2_upstream", path: "/h2/small", h2_upstream: true, ..usual }
            }
        }
    }
}
