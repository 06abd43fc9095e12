//! How far a source may be believed.

use serde::Serialize;

/// The classes of the report, from what was measured to what is guessed. Text that a caller sent is
/// in no class: it is never evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Trust {
    /// Measured by us on a socket.
    A,
    /// The kernel, a cgroup's counters, a service manager, an orchestrator: not the one who failed.
    B,
    /// A component's fixed message about its own act, and configuration.
    C,
    /// Free text: a traceback, an app's own words, a page or answer that was saved.
    D,
    /// A component guesses at what another did.
    E,
}
