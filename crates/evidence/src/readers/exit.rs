//! What exit codes say, the same for every platform.

use crate::sign::Sign;

/// What a container's or process's exit code says, and what it counts: the signal where a signal
/// ended it (128 and its number, as shells and Docker write it), else the code. 137 is SIGKILL, from
/// whomever.
pub(crate) fn exited(code: i64) -> (Sign, i64) {
    match code {
        126 | 127 => (Sign::BootFailed, code),
        132 | 134..=136 | 139 => (Sign::WorkerSegfault, code - 128),
        129..=159 => (Sign::ProcessKilled, code - 128),
        _ => (Sign::ProcessExited, code),
    }
}

/// What a signal says of the process that it ended.
pub(super) fn signalled(signal: i64) -> Sign {
    match signal {
        4 | 6..=8 | 11 => Sign::WorkerSegfault,
        _ => Sign::ProcessKilled,
    }
}
