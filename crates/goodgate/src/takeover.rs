//! One process serves instead of another: the listening sockets and the lock pass from the old one
//! to the new one, so that no connection in a queue is lost.
//!
//! After `101` on the control socket the old process sends one line of JSON, then a byte for each
//! parcel of descriptors with these beside it (SCM_RIGHTS, unix(7)). The new one starts with them
//! and says `ready`; the old one says `yours` and stops. Where anything else happens first, the old
//! one goes on as if nothing had been.

use crate::control::client::{self, reach, status};
use crate::control::server::API;
use crate::folder::Folder;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::time::timeout;

/// What both sides must speak; another number, another language.
pub(crate) const PROTOCOL: &str = "goodgate-takeover/1";
const NUMBER: u32 = 1;

/// The most that the kernel passes on at once (SCM_MAX_FD of Linux).
const PARCEL: usize = 253;
/// Descriptors in all: some addresses on each of many cores.
const MOST: usize = 16_384;
/// A line of either side.
const LINE: usize = 64 * 1024;
/// For the new process, from the answer until it serves.
const UNTIL_READY: Duration = Duration::from_secs(60);
/// For each step of the other side that needs no work.
const STEP: Duration = Duration::from_secs(10);

const READY: &[u8] = b"ready\n";
const YOURS: &[u8] = b"yours\n";

/// What the old process says before it passes anything on.
#[derive(Debug, Serialize, Deserialize)]
struct Letter {
    protocol: u32,
    version: String,
    pid: u32,
    /// What each descriptor is, in their order.
    descriptors: Vec<Thing>,
    /// What the service manager waits for, which it tells only the first process of a service.
    watchdog_micros: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Thing {
    /// Of the data folder.
    Lock,
    /// A listening socket of TCP.
    Listener,
}

/// What the old process passes on.
#[derive(Debug)]
pub(crate) struct Inheritance {
    pub(crate) lock: OwnedFd,
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) watchdog_micros: Option<u64>,
}

/// Passes it on, and waits until the other side serves and knows that it is alone. Gives that
/// process's number.
pub(crate) async fn bequeath(
    stream: &mut tokio::net::UnixStream,
    inheritance: &Inheritance,
) -> io::Result<u32> {
    let Inheritance { lock, sockets, watchdog_micros } = inheritance;
    let things = [Thing::Lock].into_iter().chain(sockets.iter().map(|_| Thing::Listener));
    let letter = Letter {
        protocol: NUMBER,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        pid: std::process::id(),
        descriptors: things.collect(),
        watchdog_micros: *watchdog_micros,
    };
    let heir = stream.peer_cred().ok().and_then(|it| it.pid()?.try_into().ok()).unwrap_or(0);
    let line = serde_json::to_string(&letter)? + "\n";
    let all: Vec<BorrowedFd<'_>> =
        [lock.as_fd()].into_iter().chain(sockets.iter().map(AsFd::as_fd)).collect();
    let sent = async {
        stream.write_all(line.as_bytes()).await?;
        for parcel in all.chunks(PARCEL) {
            stream.async_io(Interest::WRITABLE, || send(stream.as_fd(), parcel)).await?;
        }
        Ok::<_, io::Error>(())
    };
    in_time(STEP, sent).await?;
    let mut said = [0; READY.len()];
    in_time(UNTIL_READY, stream.read_exact(&mut said)).await?;
    if said != READY {
        return Err(io::Error::other("it did not say that it is ready"));
    }
    // Where this cannot be said, the other side knows nothing of being alone, and ends.
    in_time(STEP, stream.write_all(YOURS)).await?;
    Ok(heir)
}

async fn in_time<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match timeout(limit, work).await {
        Ok(Err(why)) if why.kind() == io::ErrorKind::UnexpectedEof => {
            Err(io::Error::other("it ended before it was ready"))
        }
        Ok(done) => done,
        Err(_) => Err(io::Error::other("it took too long")),
    }
}

fn send(stream: BorrowedFd<'_>, parcel: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PARCEL))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !beside.push(SendAncillaryMessage::ScmRights(parcel)) {
        return Err(io::Error::other("a parcel is larger than its box"));
    }
    let sent = sendmsg(stream, &[IoSlice::new(b"+")], &mut beside, SendFlags::NOSIGNAL)?;
    if sent == 1 { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Why another process could not be succeeded. It goes on.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It holds the folder and cannot be asked.
    Ask(client::Failure),
    /// It refused, in its own words.
    Refused { error: String, hint: Option<String> },
    /// It speaks another language.
    Protocol { version: String },
    /// It did not say that it leaves, although this process serves.
    Unconfirmed { pid: u32, why: io::Error },
    /// What it sent is not what was expected, or did not come.
    Broken { folder: PathBuf, why: io::Error },
}

/// What was taken over from a process that still serves.
pub(crate) struct Heritage {
    pub(crate) folder: Folder,
    pub(crate) sockets: Vec<OwnedFd>,
    pub(crate) predecessor: Predecessor,
}

/// The old process, while it waits for us to be ready.
pub(crate) struct Predecessor {
    pub(crate) pid: u32,
    pub(crate) watchdog_micros: Option<u64>,
    stream: UnixStream,
}

impl Predecessor {
    /// Says that this process serves. Afterwards it is alone, or the old one goes on and this one
    /// has to end.
    pub(crate) fn succeeded(&mut self) -> io::Result<()> {
        self.stream.write_all(READY)?;
        let mut said = [0; YOURS.len()];
        if let Err(why) = self.stream.read_exact(&mut said) {
            // From here on it cannot say it any more. What it has said already counts, or both would
            // leave.
            self.stream.shutdown(Shutdown::Read)?;
            self.stream.read_exact(&mut said).map_err(|_| why)?;
        }
        match said == YOURS {
            true => Ok(()),
            false => Err(io::Error::other("it does not say that it leaves")),
        }
    }
}

/// Asks whoever serves with this folder.
pub(crate) fn ask(folder: &Path) -> Result<Heritage, Failure> {
    let mut stream = reach(folder).map_err(Failure::Ask)?;
    let broken = |why: io::Error| {
        let late = why.kind() == io::ErrorKind::WouldBlock;
        let why = if late { io::ErrorKind::TimedOut.into() } else { why };
        Failure::Broken { folder: folder.to_owned(), why }
    };
    // The other side does nothing between two steps of this one but pass things on.
    stream.set_read_timeout(Some(STEP)).map_err(broken)?;
    stream.set_write_timeout(Some(STEP)).map_err(broken)?;
    let question = format!(
        "POST {API}/takeover HTTP/1.1\r\nHost: goodgate\r\nConnection: upgrade\r\n\
         Upgrade: {PROTOCOL}\r\nContent-Length: 0\r\n\r\n"
    );
    stream.write_all(question.as_bytes()).map_err(broken)?;
    let head = read_until(&mut stream, b"\r\n\r\n").map_err(broken)?;
    if status(&head) != Some(101) {
        return Err(refusal(&mut stream));
    }
    let line = read_until(&mut stream, b"\n").map_err(broken)?;
    let letter = read_letter(&line)?;
    let mut descriptors = receive(&stream, letter.descriptors.len()).map_err(broken)?.into_iter();
    let (mut lock, mut sockets) = (None, Vec::new());
    for thing in letter.descriptors {
        match (thing, descriptors.next()) {
            (Thing::Lock, it) => lock = it,
            (Thing::Listener, it) => sockets.extend(it),
        }
    }
    let lock = lock.ok_or_else(|| broken(io::Error::other("it passed on no lock")))?;
    let Some(ours) = Folder::inherited(folder, lock).map_err(broken)? else {
        return Err(broken(io::Error::other("it serves with another folder than this")));
    };
    let (pid, watchdog_micros) = (letter.pid, letter.watchdog_micros);
    let predecessor = Predecessor { pid, watchdog_micros, stream };
    Ok(Heritage { folder: ours, sockets, predecessor })
}

/// Byte by byte: whatever comes later has descriptors beside it, which another read would lose.
fn read_until(stream: &mut UnixStream, end: &[u8]) -> io::Result<Vec<u8>> {
    let mut read = Vec::new();
    while !read.ends_with(end) {
        if LINE <= read.len() {
            return Err(io::Error::other("it says more than it should"));
        }
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        read.extend(byte);
    }
    Ok(read)
}

fn read_letter(line: &[u8]) -> Result<Letter, Failure> {
    /// What every protocol that may come has.
    #[derive(Deserialize)]
    struct Any {
        protocol: u32,
        #[serde(default)]
        version: String,
    }
    let unknown = |version| Failure::Protocol { version };
    let any: Any = serde_json::from_slice(line).map_err(|_| unknown(String::new()))?;
    if any.protocol != NUMBER {
        return Err(unknown(any.version));
    }
    let letter: Letter = serde_json::from_slice(line).map_err(|_| unknown(any.version.clone()))?;
    if MOST < letter.descriptors.len() {
        return Err(unknown(any.version));
    }
    Ok(letter)
}

fn receive(stream: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PARCEL))];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let mut slices = [IoSliceMut::new(&mut byte)];
        let got = recvmsg(stream, &mut slices, &mut beside, RecvFlags::CMSG_CLOEXEC)?;
        let before = all.len();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(them) = message {
                all.extend(them);
            }
        }
        if got.flags.contains(ReturnFlags::CTRUNC) {
            return Err(io::Error::other("this process may not have so many open files"));
        }
        if got.bytes == 0 || all.len() == before {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    if all.len() == count { Ok(all) } else { Err(io::Error::other("it passed on too much")) }
}

/// What the other side says instead of passing anything on.
fn refusal(stream: &mut UnixStream) -> Failure {
    // It keeps the connection open; what it says is a line.
    let line = read_until(stream, b"\n").unwrap_or_default();
    let said: serde_json::Value = serde_json::from_slice(&line).unwrap_or_default();
    let text = |key: &str| said.get(key).and_then(|it| it.as_str()).map(str::to_owned);
    let error = text("error").unwrap_or_else(|| "what it says is not understood".to_owned());
    Failure::Refused { error, hint: text("hint") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;
    use std::net::TcpListener;

    fn letter(line: &str) -> Result<usize, String> {
        match read_letter(line.as_bytes()) {
            Ok(it) => Ok(it.descriptors.len()),
            Err(Failure::Protocol { version }) => Err(version),
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_letter_of_another_protocol_is_refused_by_its_version() {
        let known = "{\"protocol\":1,\"version\":\"1.0\",\"pid\":7,\"watchdog_micros\":null,\
                     \"descriptors\":[\"lock\",\"listener\",\"listener\"]}\n";
        assert_eq!(letter(known), Ok(3));
        assert_eq!(letter(&known.replace(":1,", ":2,")), Err("1.0".to_owned()));
        // A protocol of ours with things that we do not know is none of ours.
        assert_eq!(letter(&known.replace("\"lock\"", "\"packets\"")), Err("1.0".to_owned()));
        assert_eq!(letter("{\"protocol\":9}\n"), Err(String::new()));
        assert_eq!(letter("ready\n"), Err(String::new()));
        let many = vec!["\"listener\""; MOST + 1].join(",");
        assert_eq!(letter(&known.replace("\"lock\"", &many)), Err("1.0".to_owned()));
    }

    /// The descriptors that arrive of so many.
    fn passed(count: usize) -> io::Result<Vec<OwnedFd>> {
        let (here, there) = UnixStream::pair().unwrap();
        let one = TcpListener::bind("127.0.0.1:0").unwrap();
        let all: Vec<BorrowedFd<'_>> = (0..count).map(|_| one.as_fd()).collect();
        for parcel in all.chunks(PARCEL) {
            send(here.as_fd(), parcel).unwrap();
        }
        drop(here);
        receive(&there, count)
    }

    #[test]
    fn more_than_one_parcel_arrives_whole() {
        for count in [1, PARCEL, PARCEL + 1, 2 * PARCEL + 5] {
            assert_eq!(passed(count).unwrap().len(), count);
        }
    }

    #[test]
    fn what_does_not_come_is_not_waited_for_once_the_other_side_is_gone() {
        let (here, there) = UnixStream::pair().unwrap();
        let one = TcpListener::bind("127.0.0.1:0").unwrap();
        send(here.as_fd(), &[one.as_fd()]).unwrap();
        drop(here);
        assert_eq!(receive(&there, 2).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }

    /// What the old process makes of a new one that says this once it has everything.
    async fn heir_says(said: &[u8]) -> io::Result<u32> {
        let scratch = Scratch::new("takeover");
        let folder = Folder::open(scratch.path()).unwrap();
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let inheritance = Inheritance {
            lock: folder.lock().try_clone_to_owned().unwrap(),
            sockets: vec![socket.into()],
            watchdog_micros: Some(5),
        };
        let (here, mut there) = UnixStream::pair().unwrap();
        here.set_nonblocking(true).unwrap();
        let mut here = tokio::net::UnixStream::from_std(here).unwrap();
        let said = said.to_vec();
        let heir = std::thread::spawn(move || {
            let line = read_until(&mut there, b"\n").unwrap();
            let letter = read_letter(&line).unwrap();
            assert_eq!(letter.descriptors, [Thing::Lock, Thing::Listener]);
            assert_eq!(letter.watchdog_micros, Some(5));
            let got = receive(&there, letter.descriptors.len()).unwrap();
            assert_eq!(got.len(), 2);
            there.write_all(&said).unwrap();
            let mut last = Vec::new();
            if said == READY {
                there.read_to_end(&mut last).unwrap();
            }
            last
        });
        let done = bequeath(&mut here, &inheritance).await;
        drop(here);
        let last = heir.join().unwrap();
        assert_eq!(last, if done.is_ok() { YOURS } else { b"" });
        done
    }

    #[tokio::test]
    async fn only_one_that_is_ready_succeeds() {
        assert_eq!(heir_says(READY).await.unwrap(), std::process::id());
        for said in [&b""[..], b"rea", b"steady"] {
            heir_says(said).await.unwrap_err();
        }
    }
}
