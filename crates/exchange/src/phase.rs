//! The stations of a request, in the order in which it passes them, and the time spent in each.

use serde::{Serialize, Serializer, ser::SerializeMap};

/// Microseconds. A plain number, because records are made of them by the million.
pub type Micros = u64;

/// Where a request or one of its attempts is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Finding the route.
    Route,
    /// Policies decide whether the caller may.
    Admit,
    /// Choosing a target.
    Select,
    /// Waiting for a place in a limit of ours.
    Queue,
    /// Asking for the addresses of the target's name.
    Resolve,
    /// Opening the connection.
    Connect,
    /// The TLS handshake with the target.
    Tls,
    /// Writing the request head.
    SendHead,
    /// Writing the request body, until its last byte or the answer's first.
    SendBody,
    /// Everything is sent; not one byte of the answer has come.
    WaitFirstByte,
    /// From the first byte of the answer to the end of its head.
    ReadHead,
    /// From the end of the head to the end of the body.
    ReadBody,
    /// The attempt has failed, and the app that the gateway started may still say why.
    WaitEvidence,
}

impl Phase {
    pub const ALL: [Phase; 13] = [
        Phase::Route,
        Phase::Admit,
        Phase::Select,
        Phase::Queue,
        Phase::Resolve,
        Phase::Connect,
        Phase::Tls,
        Phase::SendHead,
        Phase::SendBody,
        Phase::WaitFirstByte,
        Phase::ReadHead,
        Phase::ReadBody,
        Phase::WaitEvidence,
    ];

    /// The word for it, in logs, JSON and answers alike.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Route => "route",
            Phase::Admit => "admit",
            Phase::Select => "select",
            Phase::Queue => "queue",
            Phase::Resolve => "resolve",
            Phase::Connect => "connect",
            Phase::Tls => "tls",
            Phase::SendHead => "send_head",
            Phase::SendBody => "send_body",
            Phase::WaitFirstByte => "wait_first_byte",
            Phase::ReadHead => "read_head",
            Phase::ReadBody => "read_body",
            Phase::WaitEvidence => "wait_evidence",
        }
    }
}

/// Time spent in each phase that was reached. A phase that was never entered is absent, which is
/// not the same as one that took no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Phases {
    spent: [Micros; Phase::ALL.len()],
    reached: u16,
}

impl Phases {
    /// Adds time to a phase and marks it as reached.
    pub fn add(&mut self, phase: Phase, spent: Micros) {
        self.spent[phase as usize] = self.spent[phase as usize].saturating_add(spent);
        self.reached |= 1 << phase as u16;
    }

    #[must_use]
    pub fn get(&self, phase: Phase) -> Option<Micros> {
        (self.reached & 1 << phase as u16 != 0).then(|| self.spent[phase as usize])
    }

    /// The phases that were reached, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Phase, Micros)> + '_ {
        Phase::ALL.into_iter().filter_map(|phase| Some((phase, self.get(phase)?)))
    }

    /// Adds all of another's times to this one: the phases of an exchange are those of its
    /// attempts together.
    pub fn absorb(&mut self, other: &Phases) {
        for (phase, spent) in other.iter() {
            self.add(phase, spent);
        }
    }

    #[must_use]
    pub fn total(&self) -> Micros {
        self.spent.iter().sum()
    }
}

impl Serialize for Phases {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (phase, spent) in self.iter() {
            map.serialize_entry(phase.name(), &spent)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_that_took_no_time_is_still_reached() {
        let mut phases = Phases::default();
        phases.add(Phase::Connect, 0);
        assert_eq!(phases.get(Phase::Connect), Some(0));
        assert_eq!(phases.get(Phase::Tls), None);
    }

    #[test]
    fn the_second_attempt_adds_to_the_first() {
        let (mut all, mut one) = (Phases::default(), Phases::default());
        one.add(Phase::Connect, 40);
        all.absorb(&one);
        all.absorb(&one);
        assert_eq!(all.iter().collect::<Vec<_>>(), [(Phase::Connect, 80)]);
        assert_eq!(all.total(), 80);
    }

    #[test]
    fn names_are_those_of_the_wire_format() {
        for phase in Phase::ALL {
            let json = serde_json::to_string(&phase).expect("a phase serialises");
            assert_eq!(json, format!("\"{}\"", phase.name()));
        }
    }
}
