//! What people paste from a terminal: sockets, disks, names, certificates, calls by hand.

mod calls;
mod disks;
mod names;
mod sockets;
mod tls;

pub(super) use calls::CALLS;
pub(super) use disks::DISKS;
pub(super) use names::NAMES;
pub(super) use sockets::{FILES, SOCKETS};
pub(super) use tls::TLS;
