//! What is wrong with our own host, or with who takes our log: counted where it happens, and told by
//! one watcher when it begins, now and then while it lasts, and when it is over.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// How often the watcher looks, and so how late it tells.
const LOOK: Duration = Duration::from_millis(250);
/// How long nothing must have happened for it to be over.
const QUIET: Duration = Duration::from_secs(10);
/// How often what lasts is told again.
const AGAIN: Duration = Duration::from_secs(60);

/// What is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// EMFILE or ENFILE.
    NoDescriptors,
    /// EADDRNOTAVAIL on the way to a target.
    NoPorts,
    /// ENOBUFS or ENOMEM.
    NoSocketMemory,
    /// `limits.memory`.
    MemoryFull,
    /// `limits.connections`.
    Crowded,
    /// `limits.connections_per_address`.
    CrowdedAddress,
    /// Lines of the access log had no room on their disk.
    LogFull,
    /// Lines of the access log were not taken fast enough.
    LogSlow,
    /// Lines of the access log could not be written for another reason.
    LogFailed,
    /// A core has not gone over to another configuration in time.
    CoreLate,
    /// Checks of a target's health ask for the wrong thing.
    HealthCheckWrongPath,
    /// A name server fails, and addresses are used beyond their time.
    NamesKept,
}

impl Trouble {
    pub(crate) const ALL: [Trouble; 12] = [
        Trouble::NoDescriptors,
        Trouble::NoPorts,
        Trouble::NoSocketMemory,
        Trouble::MemoryFull,
        Trouble::Crowded,
        Trouble::CrowdedAddress,
        Trouble::LogFull,
        Trouble::LogSlow,
        Trouble::LogFailed,
        Trouble::CoreLate,
        Trouble::HealthCheckWrongPath,
        Trouble::NamesKept,
    ];

    /// A word for metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trouble::NoDescriptors => "no_descriptors",
            Trouble::NoPorts => "no_ports",
            Trouble::NoSocketMemory => "no_socket_memory",
            Trouble::MemoryFull => "memory_full",
            Trouble::Crowded => "crowded",
            Trouble::CrowdedAddress => "crowded_address",
            Trouble::LogFull => "log_full",
            Trouble::LogSlow => "log_slow",
            Trouble::LogFailed => "log_failed",
            Trouble::CoreLate => "core_late",
            Trouble::HealthCheckWrongPath => "health_check_wrong_path",
            Trouble::NamesKept => "names_kept",
        }
    }

    /// Whether accepting or opening a connection failed for want of something of ours (accept(2),
    /// connect(2)).
    pub(crate) fn of_socket(error: &io::Error) -> Option<Trouble> {
        use rustix::io::Errno;
        match Errno::from_raw_os_error(error.raw_os_error()?) {
            Errno::MFILE | Errno::NFILE => Some(Trouble::NoDescriptors),
            Errno::NOBUFS | Errno::NOMEM => Some(Trouble::NoSocketMemory),
            _ => None,
        }
    }

    /// Why a log could not be written (write(2)).
    pub(crate) fn of_log(error: &io::Error) -> Trouble {
        match error.kind() {
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge => Trouble::LogFull,
            _ => Trouble::LogFailed,
        }
    }
}

/// How far a trouble is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Begun,
    /// It has been told before, so long ago.
    Lasts(Duration),
    /// It lasted so long.
    Over(Duration),
}

/// Something to be told to whoever runs the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notice {
    pub trouble: Trouble,
    pub stage: Stage,
    /// How often it happened since it began.
    pub times: u64,
}

/// Takes what is to be told. Called by the background thread; it must not wait for a reader.
pub type Tell = Arc<dyn Fn(Notice) + Send + Sync>;

pub(crate) struct Loud {
    origin: Instant,
    counters: [Counter; Trouble::ALL.len()],
}

#[derive(Default)]
struct Counter {
    times: AtomicU64,
    /// When it happened last, in milliseconds since `origin`.
    last: AtomicU64,
}

impl Loud {
    pub(crate) fn new() -> Arc<Loud> {
        Arc::new(Loud { origin: Instant::now(), counters: Default::default() })
    }

    /// Counts it. Takes no lock, no memory and no descriptor: those may be what is short.
    pub(crate) fn report(&self, trouble: Trouble, times: u64) {
        let counter = &self.counters[trouble as usize];
        counter.last.store(self.origin.elapsed().as_millis() as u64, Relaxed);
        counter.times.fetch_add(times, Relaxed);
    }

    /// How often each happened.
    pub(crate) fn all(&self) -> Vec<(&'static str, u64)> {
        let times = |it: Trouble| self.counters[it as usize].times.load(Relaxed);
        Trouble::ALL.into_iter().map(|it| (it.name(), times(it))).collect()
    }

    /// Tells for as long as the gateway runs.
    pub(crate) async fn watch(self: Arc<Loud>, tell: Tell) {
        let mut told = [Told::default(); Trouble::ALL.len()];
        loop {
            tokio::time::sleep(LOOK).await;
            let now = self.origin.elapsed();
            for (trouble, told) in Trouble::ALL.into_iter().zip(&mut told) {
                let counter = &self.counters[trouble as usize];
                let times = counter.times.load(Relaxed);
                let last = Duration::from_millis(counter.last.load(Relaxed));
                if let Some((stage, times)) = told.look(times, last, now) {
                    tell(Notice { trouble, stage, times });
                }
            }
        }
    }
}

/// What the watcher remembers of one trouble. Times are counted from its origin.
#[derive(Clone, Copy, Default)]
struct Told {
    /// When it began and when it was told last, while it lasts.
    lasting: Option<(Duration, Duration)>,
    /// The count before it began.
    before: u64,
    /// The count that was told last.
    told: u64,
}

impl Told {
    fn look(&mut self, times: u64, last: Duration, now: Duration) -> Option<(Stage, u64)> {
        let since = times - self.before;
        match self.lasting {
            None if times == self.told => None,
            None => {
                self.lasting = Some((last, now));
                self.told = times;
                Some((Stage::Begun, since))
            }
            Some((began, _)) if QUIET <= now.saturating_sub(last) => {
                *self = Told { lasting: None, before: times, told: times };
                Some((Stage::Over(last.saturating_sub(began)), since))
            }
            Some((began, said)) if AGAIN <= now.saturating_sub(said) && self.told < times => {
                self.lasting = Some((began, now));
                self.told = times;
                Some((Stage::Lasts(now.saturating_sub(began)), since))
            }
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    #[test]
    fn it_is_told_once_and_again_after_a_minute_and_when_it_is_over() {
        let mut told = Told::default();
        assert_eq!(told.look(0, seconds(0), seconds(1)), None);
        assert_eq!(told.look(3, seconds(2), seconds(2)), Some((Stage::Begun, 3)));
        for now in 3..62 {
            assert_eq!(told.look(3 + now, seconds(now), seconds(now)), None, "{now}");
        }
        let lasts = Some((Stage::Lasts(seconds(60)), 70));
        assert_eq!(told.look(70, seconds(62), seconds(62)), lasts);
        assert_eq!(told.look(71, seconds(63), seconds(72)), None);
        assert_eq!(told.look(71, seconds(63), seconds(73)), Some((Stage::Over(seconds(61)), 71)));
        assert_eq!(told.look(71, seconds(63), seconds(200)), None);
        assert_eq!(told.look(72, seconds(201), seconds(201)), Some((Stage::Begun, 1)));
    }

    #[test]
    fn each_is_counted_at_its_own_place() {
        let loud = Loud::new();
        for (at, it) in Trouble::ALL.into_iter().enumerate() {
            assert_eq!(it as usize, at);
            loud.report(it, at as u64 + 1);
        }
        let counts: Vec<u64> = loud.all().into_iter().map(|(_, times)| times).collect();
        assert_eq!(counts, (1..=Trouble::ALL.len() as u64).collect::<Vec<_>>());
    }
}
