//! Apache httpd: the error log of 2.2 and 2.4 with the modules that reach apps, and mod_jk's log.

mod access;
mod error;
mod jk;
mod modules;

pub(super) use access::ACCESS;
pub(super) use error::ERROR;
pub(super) use jk::JK;

/// A number of the system or of APR that stands before a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    System(i64),
    /// `(EAI 2)`: the resolver's.
    Resolver(i64),
}

#[cfg(test)]
mod tests;
