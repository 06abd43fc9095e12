//! Sockets that a service manager opened for us, by the protocol of sd_listen_fds(3): `LISTEN_FDS`.

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

/// What was given to this process as it was started.
#[derive(Default)]
pub(crate) struct Given {
    pub(crate) sockets: Vec<TcpListener>,
    /// What cannot be served with, in words.
    pub(crate) strange: Vec<String>,
}

impl Given {
    /// Takes them from the environment, so that nobody whom we start does it again. Called while
    /// the process has one thread.
    pub(crate) fn from_environment() -> Given {
        let mut given = Given::default();
        let mut all = ListenFd::from_env();
        for index in 0..all.len() {
            match all.take_tcp_listener(index) {
                Ok(Some(socket)) if socket_acceptconn(&socket).unwrap_or(false) => {
                    given.sockets.push(socket);
                }
                Ok(Some(_)) => given.strange.push(format!("number {index} does not listen")),
                Ok(None) => {}
                Err(_) => given.strange.push(format!("number {index} is no socket of TCP")),
            }
        }
        given
    }

    /// Their addresses.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.sockets.iter().filter_map(|it| it.local_addr().ok()).collect()
    }

    pub(crate) fn into_descriptors(self) -> Vec<OwnedFd> {
        self.sockets.into_iter().map(OwnedFd::from).collect()
    }
}

/// What is to be said of sockets that were given and serve nobody: whoever gave them believes that
/// somebody answers there.
pub(crate) fn complaint(unused: &[SocketAddr], strange: &[String]) -> Option<String> {
    let unused = unused.iter().map(|it| format!("{it} is not in the configuration"));
    let all: Vec<String> = unused.chain(strange.iter().cloned()).collect();
    (!all.is_empty())
        .then(|| format!("warning: sockets from LISTEN_FDS serve nobody: {}\n", all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sockets_that_serve_nobody_are_named() {
        assert_eq!(complaint(&[], &[]), None);
        let strange = ["number 2 is no socket of TCP".to_owned()];
        assert_eq!(
            complaint(&["[::]:443".parse().unwrap()], &strange).as_deref(),
            Some(
                "warning: sockets from LISTEN_FDS serve nobody: [::]:443 is not in the \
                 configuration; number 2 is no socket of TCP\n"
            )
        );
    }
}
