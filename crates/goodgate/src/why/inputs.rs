//! What the arguments of `goodgate why` mean: files, folders, pasted lines, standard input.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// How deep folders within folders are read.
pub(crate) const MAX_DEPTH: usize = 8;

/// How many files of a folder or an archive are read.
pub(crate) const MAX_FILES: usize = 2000;

/// Folders that hold no logs, and many files.
const PASSED_OVER: &[&str] = &[".git", "node_modules"];

/// Something to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Files(Set),
    Pasted { name: String, text: String },
    Standard,
}

/// A file, or a log with those that were rotated away from it, which are one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Set {
    /// As the report names it.
    pub(crate) name: String,
    /// The oldest first.
    pub(crate) files: Vec<PathBuf>,
    /// Named by the user, and not found in a folder: it is missed where it cannot be read.
    pub(crate) named: bool,
}

/// What cannot be read, and why.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) name: String,
    pub(crate) why: Refusal,
}

#[derive(Debug)]
pub(crate) enum Refusal {
    Failed(io::Error),
    /// A device or a socket.
    Device,
    /// A folder without any text file.
    NoText,
    Binary,
    Empty,
    /// An archive within too many archives.
    TooDeep,
    /// More files than [`MAX_FILES`].
    TooMany,
}

/// Arguments that are no input.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Misused {
    Url(String),
    RequestId(String),
    /// No input at all, on a terminal.
    Nothing,
    Unknown(String),
}

/// What was asked to be read.
#[derive(Debug, Default)]
pub(crate) struct Inputs {
    pub(crate) inputs: Vec<Input>,
    pub(crate) refused: Vec<Refused>,
}

/// From the arguments, in their order. `terminal`: nothing comes on standard input.
pub(crate) fn of(arguments: &[OsString], terminal: bool) -> Result<Inputs, Misused> {
    let mut gathered = Gathered::default();
    if arguments.is_empty() {
        if terminal {
            return Err(Misused::Nothing);
        }
        return Ok(Inputs { inputs: vec![Input::Standard], refused: Vec::new() });
    }
    for argument in arguments {
        gathered.argument(argument)?;
    }
    Ok(gathered.inputs())
}

/// Files alone, for callers that name nothing else.
pub(crate) fn of_paths(paths: &[PathBuf]) -> Inputs {
    let mut gathered = Gathered::default();
    for path in paths {
        gathered.path(path);
    }
    gathered.inputs()
}

#[derive(Default)]
struct Gathered {
    /// Files and whether they were named, in order.
    files: Vec<(PathBuf, bool)>,
    known: HashSet<PathBuf>,
    pasted: Vec<String>,
    standard: bool,
    refused: Vec<Refused>,
}

impl Gathered {
    fn argument(&mut self, argument: &OsString) -> Result<(), Misused> {
        let path = Path::new(argument);
        if argument == "-" {
            self.standard = true;
            return Ok(());
        }
        if path.symlink_metadata().is_ok() {
            self.path(path);
            return Ok(());
        }
        let text = argument.to_string_lossy();
        if is_url(&text) {
            return Err(Misused::Url(text.into_owned()));
        }
        if is_request_id(&text) {
            return Err(Misused::RequestId(text.into_owned()));
        }
        if text.trim().contains([' ', '\t', '\n']) && !names_a_file(path) {
            self.pasted.push(text.into_owned());
            return Ok(());
        }
        if text.contains(['/', '.']) {
            let why = Refusal::Failed(io::ErrorKind::NotFound.into());
            self.refused.push(Refused { name: text.into_owned(), why });
            return Ok(());
        }
        Err(Misused::Unknown(text.into_owned()))
    }

    fn path(&mut self, path: &Path) {
        let name = path.display().to_string();
        let refusal = match fs::metadata(path) {
            Ok(it) if it.is_dir() => return self.folder(path),
            Ok(it) if it.is_file() || it.file_type().is_fifo() => {
                self.file(path.to_owned(), true);
                return;
            }
            Ok(_) => Refusal::Device,
            Err(it) => Refusal::Failed(it),
        };
        self.refused.push(Refused { name, why: refusal });
    }

    fn file(&mut self, path: PathBuf, named: bool) {
        // Each is read once, however often it is named.
        let real = fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
        if self.known.insert(real) {
            self.files.push((path, named));
        }
    }

    fn folder(&mut self, folder: &Path) {
        let mut walk = Walk { root: fs::canonicalize(folder).ok(), ..Walk::default() };
        walk.folder(folder, 0);
        let found = !walk.files.is_empty() || !walk.refused.is_empty();
        self.refused.append(&mut walk.refused);
        let name = || folder.display().to_string();
        if walk.files.len() > MAX_FILES {
            walk.files.truncate(MAX_FILES);
            self.refused.push(Refused { name: name(), why: Refusal::TooMany });
        }
        for file in walk.files {
            self.file(file, false);
        }
        if !found {
            self.refused.push(Refused { name: name(), why: Refusal::NoText });
        }
    }

    /// Rotated logs are put together.
    fn inputs(self) -> Inputs {
        let mut inputs = Vec::new();
        let names: HashSet<&Path> = self.files.iter().map(|(it, _)| it.as_path()).collect();
        let mut sets: BTreeMap<PathBuf, Vec<(Age, &Path)>> = BTreeMap::new();
        let mut order: Vec<(PathBuf, bool)> = Vec::new();
        for (file, named) in &self.files {
            let (base, age) = rotation(file, |it| names.contains(it));
            let set = sets.entry(base.clone()).or_default();
            if set.is_empty() {
                order.push((base, *named));
            }
            set.push((age, file));
        }
        for (base, named) in order {
            let mut files = sets.remove(&base).unwrap_or_default();
            files.sort();
            let name = match &files[..] {
                [(_, one)] => one.display().to_string(),
                _ => base.display().to_string(),
            };
            let files = files.into_iter().map(|(_, it)| it.to_owned()).collect();
            inputs.push(Input::Files(Set { name, files, named }));
        }
        if !self.pasted.is_empty() {
            let text = self.pasted.join("\n");
            inputs.push(Input::Pasted { name: "pasted text".to_owned(), text });
        }
        if self.standard {
            inputs.push(Input::Standard);
        }
        Inputs { inputs, refused: self.refused }
    }
}

/// The files of a folder and those within it.
#[derive(Default)]
struct Walk {
    root: Option<PathBuf>,
    files: Vec<PathBuf>,
    refused: Vec<Refused>,
}

impl Walk {
    fn folder(&mut self, folder: &Path, depth: usize) {
        let entries = match fs::read_dir(folder) {
            Ok(it) => it,
            Err(it) => {
                let name = folder.display().to_string();
                self.refused.push(Refused { name, why: Refusal::Failed(it) });
                return;
            }
        };
        // Sorted, so that the same folder reads the same each time; a folder of millions is cut.
        let mut paths: Vec<PathBuf> =
            entries.filter_map(|it| Some(it.ok()?.path())).take(100 * MAX_FILES).collect();
        paths.sort();
        for path in paths {
            if self.files.len() > MAX_FILES {
                return;
            }
            let Ok(kind) = path.symlink_metadata().map(|it| it.file_type()) else { continue };
            let name = path.file_name().unwrap_or_default();
            if kind.is_dir() && depth < MAX_DEPTH && !PASSED_OVER.iter().any(|it| name == *it) {
                self.folder(&path, depth + 1);
            }
            if kind.is_file() || kind.is_symlink() && self.leads_to_a_file_within(&path) {
                self.files.push(path);
            }
        }
    }

    /// Links to folders are not followed, as they may lead in circles.
    fn leads_to_a_file_within(&self, path: &Path) -> bool {
        let Ok(real) = fs::canonicalize(path) else { return false };
        real.is_file() && self.root.as_ref().is_some_and(|it| real.starts_with(it))
    }
}

/// How old a file of a rotated log is; the oldest is the least.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Dated(String),
    /// `error.log.3` is older than `error.log.2`.
    Numbered(std::cmp::Reverse<u32>),
    Current,
}

/// The log that a file was rotated away from, and how old it is; a file of its own is its own log.
fn rotation(file: &Path, is_there: impl Fn(&Path) -> bool) -> (PathBuf, Age) {
    let own = (file.to_owned(), Age::Current);
    let Some(name) = file.file_name().and_then(|it| it.to_str()) else { return own };
    let packed = [".gz", ".zst", ".xz", ".bz2"];
    let stem = packed.iter().find_map(|it| name.strip_suffix(it)).unwrap_or(name);
    let Some((base, age)) = numbered(stem).or_else(|| dated(stem)) else { return own };
    let log = file.with_file_name(base);
    // `10.0.0.1` is no rotated `10.0.0`.
    let base = base.to_ascii_lowercase();
    if is_there(&log) || ["log", "err", "out"].iter().any(|it| base.contains(it)) {
        return (log, age);
    }
    own
}

fn numbered(stem: &str) -> Option<(&str, Age)> {
    let (base, number) = stem.rsplit_once('.')?;
    let digits = (1..=4).contains(&number.len()) && number.bytes().all(|it| it.is_ascii_digit());
    let number = number.parse().ok().filter(|_| digits && !base.is_empty())?;
    Some((base, Age::Numbered(std::cmp::Reverse(number))))
}

/// `error.log-20261120`, `error.log-2026112015`, `error.log.2026-11-20`.
fn dated(stem: &str) -> Option<(&str, Age)> {
    let date = stem.trim_end_matches(|it: char| it.is_ascii_digit() || it == '-' || it == '_');
    let base = date.trim_end_matches(['-', '.', '_']);
    let date = stem[base.len()..].trim_start_matches(['-', '.', '_']);
    let digits = date.bytes().filter(u8::is_ascii_digit).count();
    let century = date.starts_with("20") || date.starts_with("19");
    (century && (8..=14).contains(&digits) && !base.is_empty())
        .then(|| (base, Age::Dated(date.to_owned())))
}

fn is_url(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let letters = !scheme.is_empty() && scheme.bytes().all(|it| it.is_ascii_alphanumeric());
    letters && !rest.is_empty() && !text.contains([' ', '\n'])
}

/// An id as our gateway gives it to requests: a UUID, or 32 hexadecimal digits.
fn is_request_id(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
    let dashes = text.bytes().filter(|it| *it == b'-').count();
    digits == 32 && digits + dashes == text.len() && matches!(dashes, 0 | 4)
}

/// A path with a space in it whose folder is there, so the file is missing.
fn names_a_file(path: &Path) -> bool {
    let folder = path.parent().filter(|it| !it.as_os_str().is_empty());
    folder.is_some_and(Path::is_dir) && !path.to_string_lossy().contains('\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str, files: &[&str]) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("goodgate-{}-{name}", std::process::id()));
        for file in files {
            let file = folder.join(file);
            fs::create_dir_all(file.parent().expect("a folder")).expect("a folder for the test");
            fs::write(file, "text\n").expect("a file for the test");
        }
        folder
    }

    fn given(arguments: &[&str]) -> Result<Inputs, Misused> {
        let arguments: Vec<OsString> = arguments.iter().map(OsString::from).collect();
        of(&arguments, true)
    }

    /// Names of sets and of their files.
    fn sets(folder: &Path) -> Vec<(String, Vec<String>)> {
        let within =
            |it: &Path| it.strip_prefix(folder).expect("it is in the folder").display().to_string();
        let inputs = of_paths(&[folder.to_owned()]).inputs.into_iter();
        let sets = inputs.map(|it| match it {
            Input::Files(it) => {
                (within(Path::new(&it.name)), it.files.iter().map(|it| within(it)).collect())
            }
            _ => panic!("only files are there"),
        });
        sets.collect()
    }

    #[test]
    fn rotated_logs_are_one_source_the_oldest_first() {
        let files = [
            "error.log",
            "error.log.1",
            "error.log.2.gz",
            "error.log.10.gz",
            "app.log-20261101.xz",
            "app.log-20261102",
            "app.log",
            "10.0.0.1",
            "10.0.0.2",
            "messages",
            "messages.1",
            "lone.log.4",
        ];
        let folder = folder("rotated", &files);
        let seen = sets(&folder);
        let of = |name: &str| seen.iter().find(|(it, _)| it == name).map(|(_, it)| it.join(" "));
        assert_eq!(
            of("error.log").as_deref(),
            Some("error.log.10.gz error.log.2.gz error.log.1 error.log")
        );
        assert_eq!(of("app.log").as_deref(), Some("app.log-20261101.xz app.log-20261102 app.log"));
        assert_eq!(of("messages").as_deref(), Some("messages.1 messages"));
        assert_eq!(of("lone.log.4").as_deref(), Some("lone.log.4"));
        assert!(of("10.0.0.1").is_some() && of("10.0.0.2").is_some(), "{seen:?}");
        fs::remove_dir_all(folder).expect("it was there");
    }

    #[test]
    fn folders_are_read_but_not_out_of_them() {
        let folder = folder(
            "walk",
            &[
                "logs/a.log",
                "logs/x/b.log",
                "logs/.git/c",
                "out.log",
                "logs/1/2/3/4/5/6/7/8/in.log",
                "logs/1/2/3/4/5/6/7/8/9/out.log",
            ],
        );
        let logs = folder.join("logs");
        std::os::unix::fs::symlink(folder.join("out.log"), logs.join("out")).expect("a link");
        std::os::unix::fs::symlink(logs.join("x/b.log"), logs.join("in")).expect("a link");
        std::os::unix::fs::symlink(&logs, logs.join("x/circle")).expect("a link");
        let names: Vec<String> = sets(&logs).into_iter().map(|(it, _)| it).collect();
        // The link leads to the same file as `x/b.log`, which is read once.
        assert_eq!(names, ["1/2/3/4/5/6/7/8/in.log", "a.log", "in"]);
        fs::remove_dir_all(folder).expect("it was there");
    }

    #[test]
    fn what_is_no_path_is_told_apart() {
        assert_eq!(
            given(&["https://example.com/x"]).err(),
            Some(Misused::Url("https://example.com/x".into()))
        );
        let id = "0192f0c1-2b3c-7d4e-8f50-61728394a5b6";
        assert_eq!(given(&[id]).err(), Some(Misused::RequestId(id.into())));
        assert_eq!(given(&["nginx"]).err(), Some(Misused::Unknown("nginx".into())));
        assert_eq!(given(&[]).err(), Some(Misused::Nothing));
        let pasted = given(&["connect() failed", "see http://example.com x"]).expect("text");
        let text = "connect() failed\nsee http://example.com x".to_owned();
        assert_eq!(pasted.inputs, [Input::Pasted { name: "pasted text".to_owned(), text }]);
        for missing in ["no.log", "/nowhere/no", "/tmp/no such file.log"] {
            let inputs = given(&[missing]).expect("a path");
            assert!(inputs.inputs.is_empty() && inputs.refused[0].name == missing, "{missing}");
        }
        assert_eq!(given(&["-"]).expect("it is accepted").inputs, [Input::Standard]);
        assert_eq!(of(&[], false).expect("it is accepted").inputs, [Input::Standard]);
        let device = given(&["/dev/null"]).expect("a path");
        assert!(matches!(device.refused[0].why, Refusal::Device));
    }
}
