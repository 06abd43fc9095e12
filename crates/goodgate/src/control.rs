//! The control socket of a running gateway: `control.sock` in its folder, HTTP/1.1 and JSON, for the
//! user who runs it and for root.

pub(crate) mod client;
pub(crate) mod orders;
pub(crate) mod server;
pub(crate) mod socket;
