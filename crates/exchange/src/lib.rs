//! What happened: the record of one request, from its first byte to the end of its answer.
//!
//! **Invariant:** nothing here has a clock, a disk, a socket or async. Times are microseconds
//! that the caller measured.

mod attempt;
mod check;
mod child;
mod fault;
mod ids;
mod live;
mod order;
mod phase;
mod record;
mod refusal;

pub use attempt::{Address, Attempt, Connection, Http2, Naming, TlsFacts};
pub use check::CheckFault;
pub use child::{Act, Deed, Ending, Heard, Quote, Said, Step};
pub use fault::{
    BodyFault, Certificate, CertificateFault, ConnectFault, DnsFault, Fault, HeadFault, Limit,
    REFUSED_STREAM, SendFault, TlsFault,
};
pub use ids::{ExchangeId, TraceParent};
pub use live::{Live, LiveCheck, LiveHealth, LiveState, LiveTarget, LiveTurn, LiveUpstream};
pub use order::{Obeyed, Order, Treatment};
pub use phase::{Micros, Phase, Phases};
pub use record::{Answer, By, Client, End, Exchange, Maker, Prevented, Request, Stop, Unrepeated};
pub use refusal::{Malformed, Refusal};
