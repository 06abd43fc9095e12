//! The control socket as a file: made so that nobody else can ever open it, found again, and taken
//! away only while it is still ours.

use rustix::fs::{CWD, Mode, OFlags, fchmod, openat};
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen, socket_with,
};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file in the folder of a running gateway.
pub(crate) const NAME: &str = "control.sock";
/// Its name until it is ready to be found.
const UNFINISHED: &str = "control.sock.new";

/// What a path of a socket may hold beside its final zero (unix(7)).
const LONGEST_PATH: usize = 107;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 16;

/// A socket that listens and has no name yet under which it is found.
pub(crate) struct Unpublished {
    listener: OwnedFd,
    folder: PathBuf,
    /// Device and inode.
    identity: (u64, u64),
}

/// The socket under its name. Dropping it takes the name away, unless another socket has it.
pub(crate) struct Published {
    folder: PathBuf,
    identity: (u64, u64),
    /// Another process has the folder now, and may give the name to its own socket at any moment.
    is_left: bool,
}

impl Published {
    /// Leaves the name to the next process.
    pub(crate) fn leave(mut self) {
        self.is_left = true;
    }
}

impl Unpublished {
    /// What stands there under this name, such as after `kill -9`, stays until this is published.
    pub(crate) fn new(folder: &Path) -> io::Result<Unpublished> {
        let place = Place::of(folder, UNFINISHED)?;
        match fs::remove_file(&place.path) {
            Err(why) if why.kind() != io::ErrorKind::NotFound => return Err(why),
            Ok(()) | Err(_) => {}
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let listener = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        // Before it has a name: the file takes the mode of the socket (unix(7)), and no path is
        // followed that somebody else could have put there.
        fchmod(&listener, Mode::RUSR | Mode::WUSR)?;
        bind(&listener, &SocketAddrUnix::new(&place.path)?)?;
        let made = fs::symlink_metadata(&place.path)?;
        listen(&listener, BACKLOG)?;
        Ok(Unpublished { listener, folder: folder.to_owned(), identity: (made.dev(), made.ino()) })
    }

    /// Takes the place of whatever has the name.
    pub(crate) fn publish(self) -> io::Result<(UnixListener, Published)> {
        let Unpublished { listener, folder, identity } = self;
        let (from, to) = (Place::of(&folder, UNFINISHED)?, Place::of(&folder, NAME)?);
        fs::rename(&from.path, &to.path)?;
        Ok((UnixListener::from(listener), Published { folder, identity, is_left: false }))
    }
}

impl Drop for Published {
    fn drop(&mut self) {
        if self.is_left {
            return;
        }
        let Ok(place) = Place::of(&self.folder, NAME) else { return };
        let there = fs::symlink_metadata(&place.path).map(|it| (it.dev(), it.ino()));
        if there.is_ok_and(|it| it == self.identity) {
            // One that stays is replaced by the next process.
            let _ = fs::remove_file(&place.path);
        }
    }
}

/// Connects to whoever serves with this folder. `limit` bounds the wait for a place in its queue.
pub(crate) fn dial(folder: &Path, limit: Duration) -> io::Result<UnixStream> {
    let place = Place::of(folder, NAME)?;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&socket, Timeout::Send, Some(limit))?;
    connect(&socket, &SocketAddrUnix::new(&place.path)?)?;
    Ok(UnixStream::from(socket))
}

/// A path that fits into the address of a socket, however long the folder's own is.
struct Place {
    path: PathBuf,
    /// What a short way through `/proc` leads over.
    _folder: Option<OwnedFd>,
}

impl Place {
    fn of(folder: &Path, name: &str) -> io::Result<Place> {
        let path = folder.join(name);
        if path.as_os_str().len() <= LONGEST_PATH {
            return Ok(Place { path, _folder: None });
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = openat(CWD, folder, flags, Mode::empty())?;
        let path = PathBuf::from(format!("/proc/self/fd/{}/{name}", opened.as_raw_fd()));
        Ok(Place { path, _folder: Some(opened) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::os::unix::fs::PermissionsExt;

    const SOON: Duration = Duration::from_secs(5);

    fn published(folder: &Path) -> (UnixListener, Published) {
        Unpublished::new(folder).unwrap().publish().unwrap()
    }

    #[test]
    fn it_is_for_its_owner_and_replaces_what_a_crash_left() {
        let scratch = Scratch::new("socket-mode");
        let path = scratch.path().join(NAME);
        let (listener, left) = published(scratch.path());
        // As after kill -9: the name stays, and nobody listens.
        std::mem::forget(left);
        drop(listener);
        assert!(dial(scratch.path(), SOON).is_err());
        let (_listener, socket) = published(scratch.path());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        dial(scratch.path(), SOON).unwrap();
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn the_socket_of_a_successor_stays() {
        let scratch = Scratch::new("socket-successor");
        let (_old, old) = published(scratch.path());
        let (new, successor) = published(scratch.path());
        drop(old);
        dial(scratch.path(), SOON).unwrap();
        successor.leave();
        drop(new);
        assert!(scratch.path().join(NAME).exists());
    }

    #[test]
    fn nobody_finds_it_before_it_is_published() {
        let scratch = Scratch::new("socket-unpublished");
        let socket = Unpublished::new(scratch.path()).unwrap();
        assert!(dial(scratch.path(), SOON).is_err());
        let _published = socket.publish().unwrap();
        dial(scratch.path(), SOON).unwrap();
    }

    #[test]
    fn a_long_path_is_no_hindrance() {
        let scratch = Scratch::new("socket-long");
        let folder = scratch.path().join("a".repeat(120)).join("b".repeat(120));
        fs::create_dir_all(&folder).unwrap();
        let (_listener, socket) = published(&folder);
        dial(&folder, SOON).unwrap();
        drop(socket);
        assert!(!folder.join(NAME).exists());
    }
}
