//! End to end: a real goodgate on real sockets.

mod bodies;
mod child;
mod doors;
mod front;
mod grpc;
mod http2;
mod http2_upstream;
mod http3;
mod negotiated;
mod neighbours;
mod pairs;
mod peer;
mod records;
mod reload;
mod routes;
mod scenes;
mod shutdown;
mod smuggling;
mod status;
mod streams;
mod tls;
mod tunnels;
mod way;
mod world;
