//! The folder of one running gateway: a lock that only one process holds, and the place of its
//! control socket.
//!
//! The lock is flock(2) on an open file, so it is gone with the process however that ends, and it
//! passes on with the descriptor.

use rustix::fs::{FlockOperation, Mode, OFlags, flock};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Held by the process that serves; what it says is that process's number.
const LOCK: &str = "lock";

/// Nobody but the user who runs the gateway looks into what it makes.
const FOLDER_MODE: Mode = Mode::RWXU;
const LOCK_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// A folder that is ours alone for as long as this value lives.
#[derive(Debug)]
pub(crate) struct Folder {
    path: PathBuf,
    lock: File,
}

/// Why a folder is not ours.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Another process serves with it.
    Taken { folder: PathBuf, pid: Option<u32> },
    /// It cannot be made, or not be written.
    Unusable { folder: PathBuf, why: io::Error },
}

impl Folder {
    /// Makes the folder where it is not there, and locks it.
    pub(crate) fn open(path: &Path) -> Result<Folder, Failure> {
        let unusable = |why| Failure::Unusable { folder: path.to_owned(), why };
        let mode = FOLDER_MODE.as_raw_mode();
        DirBuilder::new().recursive(true).mode(mode).create(path).map_err(unusable)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        options.mode(LOCK_MODE.as_raw_mode());
        // Whoever may write into the folder must not have us write elsewhere.
        options.custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let lock = options.open(path.join(LOCK)).map_err(unusable)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(Failure::Taken { folder: path.to_owned(), pid: holder(&lock) });
            }
            Err(why) => return Err(unusable(why.into())),
        }
        let folder = Folder { path: path.to_owned(), lock };
        folder.sign().map_err(unusable)?;
        Ok(folder)
    }

    /// The same with a lock that another process holds and passed on. `None` where it is the lock of
    /// another folder.
    pub(crate) fn inherited(path: &Path, lock: OwnedFd) -> io::Result<Option<Folder>> {
        let lock = File::from(lock);
        let (ours, there) = (lock.metadata()?, fs::metadata(path.join(LOCK))?);
        let same = (ours.dev(), ours.ino()) == (there.dev(), there.ino());
        Ok(same.then(|| Folder { path: path.to_owned(), lock }))
    }

    /// Writes into the lock who holds it.
    pub(crate) fn sign(&self) -> io::Result<()> {
        self.lock.set_len(0)?;
        self.lock.write_all_at(format!("{}\n", std::process::id()).as_bytes(), 0)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn lock(&self) -> BorrowedFd<'_> {
        self.lock.as_fd()
    }
}

fn holder(lock: &File) -> Option<u32> {
    let mut text = [0; 16];
    let read = lock.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(text.get(..read)?).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_folder_that_we_make_is_for_nobody_else() {
        let scratch = Scratch::new("folder-made");
        let path = scratch.path().join("a/b");
        let folder = Folder::open(&path).unwrap();
        for made in [path.clone(), scratch.path().join("a")] {
            assert_eq!(fs::metadata(made).unwrap().permissions().mode() & 0o777, 0o700);
        }
        let lock = fs::metadata(folder.path().join(LOCK)).unwrap();
        assert_eq!(lock.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn only_one_holds_it_and_says_who() {
        let scratch = Scratch::new("folder-taken");
        let first = Folder::open(scratch.path()).unwrap();
        let Err(Failure::Taken { folder, pid }) = Folder::open(scratch.path()) else {
            panic!("two processes cannot hold one folder");
        };
        assert_eq!((folder.as_path(), pid), (scratch.path(), Some(std::process::id())));
        drop(first);
        Folder::open(scratch.path()).unwrap();
    }

    #[test]
    fn the_lock_passes_on_with_its_descriptor() {
        let scratch = Scratch::new("folder-passed");
        let first = Folder::open(scratch.path()).unwrap();
        let passed = first.lock().try_clone_to_owned().unwrap();
        let second = Folder::inherited(scratch.path(), passed).unwrap().unwrap();
        drop(first);
        assert!(matches!(Folder::open(scratch.path()), Err(Failure::Taken { .. })));
        drop(second);
        Folder::open(scratch.path()).unwrap();
    }

    #[test]
    fn the_lock_of_another_folder_is_none_of_this_one() {
        let (here, there) = (Scratch::new("folder-here"), Scratch::new("folder-there"));
        let (_here, there) =
            (Folder::open(here.path()).unwrap(), Folder::open(there.path()).unwrap());
        let lock = there.lock().try_clone_to_owned().unwrap();
        assert!(Folder::inherited(here.path(), lock).unwrap().is_none());
    }

    #[test]
    fn what_is_no_folder_and_what_leads_elsewhere_is_refused() {
        let scratch = Scratch::new("folder-wrong");
        let file = scratch.path().join("file");
        fs::write(&file, "x").unwrap();
        assert!(matches!(Folder::open(&file.join("x")), Err(Failure::Unusable { .. })));
        std::os::unix::fs::symlink(&file, scratch.path().join(LOCK)).unwrap();
        assert!(matches!(Folder::open(scratch.path()), Err(Failure::Unusable { .. })));
        assert_eq!(fs::read_to_string(file).unwrap(), "x");
    }
}
