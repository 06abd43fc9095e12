//! What is there before anything is served: the folder, the sockets that others opened, and the
//! process that is to be succeeded.

use super::{Failure, Options};
use crate::activation::Given;
use crate::control::socket::Unpublished;
use crate::folder::{self, Folder};
use crate::output::Output;
use crate::takeover::{self, Heritage, Predecessor};
use crate::why::reason;
use config::{Config, Data};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// With what serving starts.
pub(super) struct Start {
    pub(super) home: Option<Home>,
    /// Listening sockets that are there already.
    pub(super) sockets: Vec<OwnedFd>,
    /// Addresses of those that a service manager opened.
    pub(super) given: Vec<SocketAddr>,
    /// What else the service manager gave, in words.
    pub(super) strange: Vec<String>,
    pub(super) predecessor: Option<Predecessor>,
}

/// A folder that is ours, and the socket in it that nobody finds yet.
pub(super) struct Home {
    // Dropped in this order: the lock goes last.
    pub(super) socket: Unpublished,
    pub(super) folder: Folder,
}

impl Start {
    pub(super) fn new(
        config: &Config,
        options: &Options,
        mut given: Given,
        output: &Output,
    ) -> Result<Start, Failure> {
        raise_descriptors();
        let (addresses, strange) = (given.addresses(), std::mem::take(&mut given.strange));
        let mut start = Start {
            home: None,
            sockets: given.into_descriptors(),
            given: addresses,
            strange,
            predecessor: None,
        };
        match options.settings.data(config) {
            Some(data) => start.settle(data, options.takeover, output)?,
            None if options.takeover => return Err(Failure::NoFolder),
            None => {}
        }
        Ok(start)
    }

    fn settle(&mut self, data: &Data, takeover: bool, output: &Output) -> Result<(), Failure> {
        let folder = match Folder::open(&data.dir) {
            Err(folder::Failure::Taken { .. }) if takeover => {
                let heritage = takeover::ask(&data.dir).map_err(Failure::TakeOver)?;
                let Heritage { folder, sockets, predecessor } = heritage;
                self.sockets.extend(sockets);
                self.predecessor = Some(predecessor);
                Ok(folder)
            }
            other => other,
        };
        let home = folder.and_then(|folder| {
            let unusable =
                |why| folder::Failure::Unusable { folder: folder.path().to_owned(), why };
            Ok(Home { socket: Unpublished::new(folder.path()).map_err(unusable)?, folder })
        });
        match home {
            Ok(home) => self.home = Some(home),
            // A gateway in a place that nobody may write serves all the same.
            Err(folder::Failure::Unusable { folder, why }) if data.assumed => {
                output.message(&format!(
                    "warning: cannot use the folder `{}`: {}; `goodgate reload`, `status`, `drain` \
                     and `stop` will not reach this process (`data.dir` names another folder)\n",
                    folder.display(),
                    reason(&why)
                ));
            }
            Err(failure) => return Err(Failure::Folder(failure)),
        }
        Ok(())
    }
}

/// The soft limit of open files is a habit of shells; the hard one is what the system allows.
fn raise_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum {
        // Where it is refused the old limit stays, and is told when it is met.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
    }
}
