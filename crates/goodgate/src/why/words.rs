//! Why something cannot be read, in words.

use super::inputs::{MAX_FILES, Misused, Refusal};
use std::io;

/// The system's words without its number, which says nothing more.
pub(crate) fn reason(why: &io::Error) -> String {
    let text = why.to_string();
    let text = text.split(" (os error").next().unwrap_or_default();
    let mut letters = text.chars();
    letters.next().map(|it| it.to_lowercase().chain(letters).collect()).unwrap_or_default()
}

impl Refusal {
    /// What is the matter with it.
    pub(crate) fn why(&self) -> String {
        match self {
            Refusal::Failed(it) if it.kind() == io::ErrorKind::NotFound => {
                "there is no such file".to_owned()
            }
            Refusal::Failed(it) if it.kind() == io::ErrorKind::UnexpectedEof => {
                "it ends too early".to_owned()
            }
            Refusal::Failed(it) => reason(it),
            Refusal::Device => "it is a device or a socket, not a file".to_owned(),
            Refusal::NoText => "no text file is in it".to_owned(),
            Refusal::Binary => "it is not text".to_owned(),
            Refusal::Empty => "it is empty".to_owned(),
            Refusal::TooDeep => "it is an archive within too many archives".to_owned(),
            Refusal::TooMany => format!("only the first {MAX_FILES} files of it were read"),
        }
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Refusal::Failed(it) => match it.kind() {
                io::ErrorKind::NotFound => Some("a line of a log is given in quotes, or piped in"),
                io::ErrorKind::PermissionDenied => {
                    Some("read it as a user who may: `sudo cat FILE | goodgate why`")
                }
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                    Some("it may be damaged, or not copied whole")
                }
                _ => None,
            },
            Refusal::Device => Some("pipe what it says: `journalctl -u app | goodgate why`"),
            Refusal::NoText => {
                Some("name the folder that the logs are in, such as `/var/log/nginx`")
            }
            Refusal::Binary => Some("for the journal: `journalctl -o json | goodgate why`"),
            Refusal::Empty => {
                Some("a log may just have been rotated: name the folder that it is in")
            }
            Refusal::TooDeep => Some("unpack it first"),
            Refusal::TooMany => None,
        }
    }
}

const EXAMPLES: &str = "\
goodgate why /var/log/nginx/error.log
goodgate why 'connect() failed (111: Connection refused) while connecting to upstream'
docker compose logs | goodgate why";

impl Misused {
    /// What was typed wrong, and what may be typed instead.
    pub(crate) fn words(&self) -> (String, String) {
        match self {
            Misused::Url(it) => (
                format!("`{it}` is a URL, and asking one is not in this version"),
                "give what its gateway logged: `goodgate why /var/log/nginx/error.log`".to_owned(),
            ),
            Misused::RequestId(it) => (
                format!("`{it}` is a request id, and looking one up is not in this version"),
                format!("give a log and what to find in it: `goodgate why FILE --match {it}`"),
            ),
            Misused::Nothing => (
                "there is nothing to read, and looking at this host is not in this version"
                    .to_owned(),
                format!(
                    "give it a log, a line of one, or a pipe:\n\n  {}",
                    EXAMPLES.replace('\n', "\n  ")
                ),
            ),
            Misused::Unknown(it) => (
                format!("`{it}` is no file, no folder and no line of a log"),
                "name a log file, a folder or an archive, quote a line of a log, or pipe it in"
                    .to_owned(),
            ),
        }
    }
}
