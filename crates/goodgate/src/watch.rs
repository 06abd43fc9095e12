//! Whether files have changed, by looking at them once a second.
//!
//! A change is acted upon once the files have stayed the same for one look, so that a file that is
//! being written is not read in the middle. What was tried is not tried again before it changes
//! again.

use std::fs;
use std::future::pending;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Interval, MissedTickBehavior, interval};

/// How often files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What tells one state of a file from another. Links are followed, so that one that leads
/// elsewhere, as those of Kubernetes do after an update, is a change.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    seconds: i64,
    nanoseconds: i64,
}

/// Files as they were at one moment. `None` stands for one that is not there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen(Vec<(PathBuf, Option<Stamp>)>);

impl Seen {
    pub(crate) fn of<'a>(files: impl IntoIterator<Item = &'a Path>) -> Seen {
        Seen(files.into_iter().map(|it| (it.to_owned(), stamp(it))).collect())
    }

    /// Further ones, as they were when these were looked at.
    pub(crate) fn join(&mut self, other: Seen) {
        self.0.extend(other.0);
    }

    fn again(&self) -> Seen {
        Seen::of(self.0.iter().map(|it| it.0.as_path()))
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    let it = fs::metadata(file).ok()?;
    Some(Stamp {
        device: it.dev(),
        inode: it.ino(),
        size: it.size(),
        seconds: it.mtime(),
        nanoseconds: it.mtime_nsec(),
    })
}

/// Files that are read together.
#[derive(Default)]
struct Group {
    /// As they were when they were last read.
    tried: Seen,
    /// As they were at the last look.
    last: Seen,
}

impl Group {
    /// Whether there is something new, which has stayed as it is since the last look.
    fn has_settled(&mut self, now: Seen) -> bool {
        let settled = now == self.last && now != self.tried;
        if settled {
            self.tried = now.clone();
        }
        self.last = now;
        settled
    }

    fn follow(&mut self, tried: Seen) {
        self.last = tried.clone();
        self.tried = tried;
    }
}

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Changed {
    /// The configuration file, or one that the configuration names which was refused last.
    pub(crate) configuration: bool,
    /// A certificate, a key or another file that the running configuration names.
    pub(crate) papers: bool,
}

/// The files of a running gateway.
pub(crate) struct Watch {
    look: Interval,
    /// A look that is on its way, at the files that were followed when it began.
    looking: Option<JoinHandle<(Seen, Seen)>>,
    configuration: Group,
    papers: Group,
}

impl Watch {
    /// Called on a runtime.
    pub(crate) fn new() -> Watch {
        let mut look = interval(LOOK_EVERY);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Watch { look, looking: None, configuration: Group::default(), papers: Group::default() }
    }

    /// Files whose change is a wish for another configuration, as they were before they were read.
    pub(crate) fn follow_configuration(&mut self, seen: Seen) {
        self.looking = None;
        self.configuration.follow(seen);
    }

    /// Files that the running configuration names, as they were before they were read.
    pub(crate) fn follow_papers(&mut self, seen: Seen) {
        self.looking = None;
        self.papers.follow(seen);
    }

    /// Waits for the next change. It may be left and begun again at any time.
    pub(crate) async fn changed(&mut self) -> Changed {
        if self.configuration.tried.0.is_empty() && self.papers.tried.0.is_empty() {
            return pending().await;
        }
        loop {
            if self.looking.is_none() {
                self.look.tick().await;
            }
            // A file system that hangs must hold up neither whoever waits here too nor a second thread.
            let looking = self.looking.get_or_insert_with(|| {
                let (configuration, papers) =
                    (self.configuration.tried.clone(), self.papers.tried.clone());
                spawn_blocking(move || (configuration.again(), papers.again()))
            });
            let looked = looking.await;
            self.looking = None;
            let Ok((configuration, papers)) = looked else { continue };
            let changed = Changed {
                configuration: self.configuration.has_settled(configuration),
                papers: self.papers.has_settled(papers),
            };
            if changed.configuration || changed.papers {
                return changed;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::os::unix::fs::symlink;

    fn group(file: &Path) -> Group {
        let mut group = Group::default();
        group.follow(Seen::of([file]));
        group
    }

    /// What three looks say.
    fn looks(group: &mut Group) -> [bool; 3] {
        [(); 3].map(|()| {
            let now = group.tried.again();
            group.has_settled(now)
        })
    }

    #[test]
    fn a_change_is_told_once_and_only_when_it_has_settled() {
        let scratch = Scratch::new("watch-once");
        let file = scratch.path().join("file");
        fs::write(&file, "a").unwrap();
        let mut group = group(&file);
        assert_eq!(looks(&mut group), [false; 3]);
        fs::write(&file, "ab").unwrap();
        assert_eq!(looks(&mut group), [false, true, false]);
        fs::write(&file, "abc").unwrap();
        let half = group.tried.again();
        assert!(!group.has_settled(half));
        fs::write(&file, "abcd").unwrap();
        assert_eq!(looks(&mut group), [false, true, false]);
    }

    #[test]
    fn a_file_that_goes_and_comes_back_is_two_changes() {
        let scratch = Scratch::new("watch-gone");
        let file = scratch.path().join("file");
        fs::write(&file, "a").unwrap();
        let mut group = group(&file);
        fs::remove_file(&file).unwrap();
        assert_eq!(looks(&mut group), [false, true, false]);
        fs::write(&file, "a").unwrap();
        assert_eq!(looks(&mut group), [false, true, false]);
    }

    #[test]
    fn a_link_that_leads_elsewhere_is_a_change() {
        let scratch = Scratch::new("watch-link");
        let at = |name: &str| scratch.path().join(name);
        for version in ["one", "two"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("file"), "same").unwrap();
        }
        symlink("one", at("data")).unwrap();
        symlink("data/file", at("file")).unwrap();
        let mut group = group(&at("file"));
        symlink("two", at("next")).unwrap();
        fs::rename(at("next"), at("data")).unwrap();
        assert_eq!(looks(&mut group), [false, true, false]);
    }

    #[tokio::test]
    async fn a_change_is_waited_for() {
        let scratch = Scratch::new("watch-wait");
        let file = scratch.path().join("file");
        fs::write(&file, "a").unwrap();
        let mut watch = Watch::new();
        watch.look = interval(Duration::from_millis(5));
        watch.follow_papers(Seen::of([file.as_path()]));
        fs::write(&file, "ab").unwrap();
        let changed = tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.unwrap();
        assert_eq!(changed, Changed { configuration: false, papers: true });
    }
}
