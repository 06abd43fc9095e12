//! systemd: what it logs of units, `systemctl status`, and the services of SysV before it.

mod lines;
mod status;
mod sysv;

pub(super) use lines::LOG;
pub(super) use status::STATUS;
pub(super) use sysv::SYSV;

/// The kinds of units that run or wait for something.
const KINDS: [&str; 7] = [".service", ".socket", ".scope", ".slice", ".mount", ".target", ".timer"];

/// The name of a unit at the start of a text: `gunicorn@web.service`.
fn unit(text: &str) -> Option<&str> {
    let plain = |it: char| it.is_ascii_alphanumeric() || ":-_.\\@".contains(it);
    let word = text.split(|it| !plain(it)).next()?.trim_end_matches([':', '.']);
    KINDS.iter().any(|it| word.len() > it.len() && word.ends_with(it)).then_some(word)
}
