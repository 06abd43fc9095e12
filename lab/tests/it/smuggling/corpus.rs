//! The corpus of requests that servers read differently: one file a family, in `corpus/`.
//!
//! A case begins with `= STATUS ...: what it is`, the statuses that its caller gets; `cut` is a
//! request that never comes to its end. Lines after it are its bytes, put together without their
//! line ends, in which `\r \n \t \0 \xNN \\` are those bytes and words in braces stand for what
//! [`filled`] puts in. `+ NAME` is a field that the upstream must see, and `- NAME` one that it
//! must not.

use std::path::Path;

/// Parts of a request and what they are to lead to.
#[derive(Debug, Default)]
pub(crate) struct Case {
    pub(crate) name: String,
    /// Of the answers, in order. One that is cut has none.
    pub(crate) statuses: Vec<u16>,
    /// The client ends its side after these bytes.
    pub(crate) cut: bool,
    pub(crate) bytes: Vec<u8>,
    pub(crate) sees: Vec<String>,
    pub(crate) lacks: Vec<String>,
}

/// The request that must never be one.
pub(crate) const HIDDEN: &str =
    "GET /SMUGGLED HTTP/1.1\r\nHost: smuggling.test\r\nSMUGGLED: 1\r\n\r\n";

/// Every case of a folder, with the name of its family before its own.
pub(crate) fn read(folder: &Path) -> Vec<Case> {
    let files = std::fs::read_dir(folder).expect("the folder of the corpus is there");
    let mut files: Vec<_> = files.map(|it| it.expect("it can be listed").path()).collect();
    files.sort();
    files.iter().flat_map(|it| family(it)).collect()
}

pub(crate) fn family(file: &Path) -> Vec<Case> {
    let text = std::fs::read_to_string(file).expect("a family is a file of text");
    let family = file.file_stem().unwrap_or_default().to_string_lossy();
    let mut cases: Vec<Case> = Vec::new();
    let mut written = String::new();
    for line in text.lines().chain(["= "]) {
        match (line.split_at_checked(2), cases.last_mut()) {
            (Some(("# ", _)) | None, _) => {}
            (Some(("= ", rest)), before) => {
                if let Some(before) = before {
                    before.bytes = filled(&std::mem::take(&mut written));
                }
                cases.push(begun(rest, &family));
            }
            (Some(("+ ", name)), Some(case)) => case.sees.push(name.to_owned()),
            (Some(("- ", name)), Some(case)) => case.lacks.push(name.to_owned()),
            (Some(_), _) => written += line,
        }
    }
    cases.pop();
    cases
}

fn begun(line: &str, family: &str) -> Case {
    let (words, name) = line.split_once(": ").unwrap_or_default();
    Case {
        name: format!("{family}: {name}"),
        statuses: words.split(' ').filter_map(|it| it.parse().ok()).collect(),
        cut: words.ends_with("cut"),
        ..Case::default()
    }
}

/// The bytes that a text stands for. `{rest}` is how many come after the first empty line.
fn filled(text: &str) -> Vec<u8> {
    let host = "HTTP/1.1\r\nHost: smuggling.test\r\n";
    let text = text
        .replace("{get}", &format!("GET /x {host}"))
        .replace("{post}", &format!("POST /x {host}"))
        .replace("{next}", &format!("GET /next {host}\r\n"))
        .replace("{hidden}", HIDDEN)
        .replace("{size}", &format!("{:x}", HIDDEN.len()))
        .replace("{length}", &HIDDEN.len().to_string())
        .replace("{long}", &"a".repeat(4096))
        .replace("{many}", &"X: y\r\n".repeat(200));
    let bytes = unescaped(&text);
    // Not those before it.
    let from = bytes.iter().position(|it| !b"\r\n".contains(it)).unwrap_or_default();
    let blank = bytes[from..].windows(4).position(|it| it == b"\r\n\r\n");
    let rest = blank.map_or(0, |at| bytes.len() - from - at - 4);
    unescaped(&text.replace("{rest}", &rest.to_string()))
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        let escaped = (letter == '\\').then(|| rest.next().expect("nothing ends in a backslash"));
        bytes.push(match escaped {
            None => u8::try_from(letter).expect("the corpus is written in ASCII"),
            Some('r') => b'\r',
            Some('n') => b'\n',
            Some('t') => b'\t',
            Some('0') => 0,
            Some('x') => {
                let mut digit = || rest.next().and_then(|it| it.to_digit(16));
                let digits = digit().zip(digit()).expect("`\\x` has two digits");
                u8::try_from(digits.0 << 4 | digits.1).expect("two digits are one byte")
            }
            Some(other) => u8::try_from(other).expect("the corpus is written in ASCII"),
        });
    }
    bytes
}
