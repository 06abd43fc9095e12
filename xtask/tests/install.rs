//! `packaging/install.sh`, with releases from a server on this machine: what is not as its checksum
//! says is not installed, whatever went wrong on the way.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What stands in for the binary.
const PROGRAM: &str = "#!/bin/sh\necho goodgate 9.9.9\n";
const OLD: &str = "#!/bin/sh\necho goodgate 1.0.0\n";

/// What the script needs, beside something to download with.
const TOOLS: &[&str] = &[
    "awk",
    "chmod",
    "cp",
    "grep",
    "gzip",
    "id",
    "mkdir",
    "mktemp",
    "mv",
    "rm",
    "sh",
    "sha256sum",
    "tar",
    "uname",
    "wc",
];

#[test]
fn a_release_is_checked_and_installed() {
    let place = Place::new();
    let said = place.install(&place.release(), &[]);
    assert!(said.contains("installed goodgate 9.9.9 as "), "{said}");
    assert_eq!(place.installed().as_deref(), Some(PROGRAM));
    let mode = fs::metadata(place.to().join("goodgate")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
    assert_eq!(fs::read_dir(place.to()).unwrap().count(), 1, "something was left beside it");
}

#[test]
fn an_old_program_is_replaced() {
    let place = Place::with_old();
    place.install(&place.release(), &["--version", "9.9.9"]);
    assert_eq!(place.installed().as_deref(), Some(PROGRAM));
}

#[test]
fn a_dry_run_installs_nothing() {
    let place = Place::new();
    let said = place.install(&place.release(), &["--dry-run"]);
    assert!(said.contains("would install goodgate 9.9.9 as "), "{said}");
    assert_eq!(place.installed(), None);
}

#[test]
fn wget_does_where_curl_is_not() {
    let place = Place::new();
    let path = place.tools(&["wget"]);
    let said = good(&place.run(&place.release(), &[], Some(&path)));
    assert!(said.contains("installed goodgate 9.9.9"), "{said}");
}

#[test]
fn what_is_not_as_its_checksum_says_is_refused() {
    let place = Place::with_old();
    let mut release = place.release();
    let archive = release.archive();
    let middle = release.files[&archive].body.len() / 2;
    release.files.get_mut(&archive).unwrap().body[middle] ^= 1;
    place.refuse(&release, &[], "is not what SHA256SUMS says");
    let mut release = place.release();
    let digit = release.files["SHA256SUMS"].body[0];
    release.files.get_mut("SHA256SUMS").unwrap().body[0] = if digit == b'0' { b'1' } else { b'0' };
    place.refuse(&release, &[], "is not what SHA256SUMS says");
}

#[test]
fn checksums_that_say_nothing_of_it_are_refused() {
    let place = Place::with_old();
    let name = place.release().archive();
    for (sums, said) in [
        ("", "is empty"),
        ("<html>moved</html>\n", "lists no archive"),
        ("0123  goodgate-9.9.9-pdp11-linux.tar.gz\n", "lists no archive"),
        (&format!("  {name}\n"), "lists no archive"),
        (&format!("0123  ../{name}\n"), "lists no archive"),
        (&format!("$(id)  {name}\n"), "no plain checksum"),
        (&format!("0123  {name}\n0123  {name}\n"), "several versions"),
    ] {
        let mut release = place.release();
        release.files.insert("SHA256SUMS".to_owned(), File::whole(sums.into()));
        place.refuse(&release, &[], said);
    }
}

#[test]
fn one_of_several_versions_must_be_chosen() {
    let place = Place::new();
    let mut release = place.release();
    let other = release.archive().replace("9.9.9", "9.9.8");
    let mut sums = release.files["SHA256SUMS"].body.clone();
    sums.extend_from_slice(format!("{}  {other}\n", "0".repeat(64)).as_bytes());
    release.files.insert("SHA256SUMS".to_owned(), File::whole(sums));
    place.refuse(&release, &[], "several versions");
    place.refuse(&release, &["--version", "9.9.7"], "lists no archive of version 9.9.7");
    place.install(&release, &["--version", "9.9.9"]);
}

#[test]
fn what_is_not_there_or_not_whole_is_refused() {
    let place = Place::with_old();
    for name in ["SHA256SUMS".to_owned(), place.release().archive()] {
        let mut release = place.release();
        release.files.remove(&name);
        place.refuse(&release, &[], "cannot download");
        let mut release = place.release();
        release.files.get_mut(&name).unwrap().status = "500 Internal Server Error";
        place.refuse(&release, &[], "cannot download");
        let mut release = place.release();
        let file = release.files.get_mut(&name).unwrap();
        file.body.truncate(file.body.len() / 2);
        place.refuse(&release, &[], "cannot download");
        let mut release = place.release();
        let file = release.files.get_mut(&name).unwrap();
        (file.status, file.location) = ("302 Found", Some("http://127.0.0.1:1/".to_owned()));
        place.refuse(&release, &[], "cannot download");
    }
}

#[test]
fn only_this_machine_is_trusted_without_tls() {
    let place = Place::with_old();
    for url in [
        "http://downloads.example.com",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com/",
        "http://127.0.0.1:80@downloads.example.com/",
        "ftp://127.0.0.1/",
        "file:///tmp",
        "",
    ] {
        let refused = place.run_from(url, &[], None, None);
        bad(&refused, if url.is_empty() { "say where" } else { "`" });
    }
    assert_eq!(place.installed().as_deref(), Some(OLD));
}

#[test]
fn a_script_that_was_cut_short_does_nothing() {
    let place = Place::with_old();
    let site = Site::serve(place.release().files);
    let script = fs::read_to_string(script()).unwrap();
    let whole = script.trim_end().len();
    // Every place in the last lines, and many before.
    let cuts = (0..whole).filter(|it| it % 131 == 0 || whole - it < 120);
    for cut in cuts.filter(|it| script.is_char_boundary(*it)) {
        let url = format!("http://{}", site.address);
        let output = place.run_from(&url, &[], None, Some(&script[..cut]));
        assert_eq!(site.asked(), 0, "cut at {cut}: {output:?}");
        assert_eq!(place.installed().as_deref(), Some(OLD), "cut at {cut}");
    }
}

#[test]
fn without_anything_to_download_with_it_says_so() {
    let place = Place::with_old();
    let path = place.tools(&[]);
    let output = place.run(&place.release(), &[], Some(&path));
    bad(&output, "neither curl nor GNU wget is here");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let place = Place::with_old();
    let taken = place.to().join("goodgate");
    for to in [taken.join("below"), PathBuf::from("/proc/nowhere")] {
        let to = to.display().to_string();
        place.refuse(&place.release(), &["--to", &to], &to);
    }
}

#[test]
fn options_that_do_not_exist_are_refused() {
    let place = Place::with_old();
    place.refuse(&place.release(), &["--force"], "`--force` is no option");
    place.refuse(&place.release(), &["--version"], "`--version` lacks its value");
}

/// A folder of its own, with where to install to.
struct Place {
    folder: PathBuf,
}

impl Place {
    fn new() -> Place {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("install-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed));
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(folder.join("to")).expect("a folder can be made");
        Place { folder }
    }

    fn with_old() -> Place {
        let place = Place::new();
        fs::write(place.to().join("goodgate"), OLD).expect("a file can be written");
        place
    }

    fn to(&self) -> PathBuf {
        self.folder.join("to")
    }

    fn installed(&self) -> Option<String> {
        fs::read_to_string(self.to().join("goodgate")).ok()
    }

    /// A release for this machine, whole and right.
    fn release(&self) -> Release {
        let name = format!("goodgate-9.9.9-{}-linux", std::env::consts::ARCH);
        let tree = self.folder.join(&name);
        fs::create_dir_all(&tree).expect("a folder can be made");
        fs::write(tree.join("goodgate"), PROGRAM).expect("a file can be written");
        let archive = format!("{name}.tar.gz");
        let words = ["-czf", &archive, &name];
        let packed = Command::new("tar").args(words).current_dir(&self.folder).status();
        assert!(packed.expect("tar can be started").success());
        let sums = Command::new("sha256sum").arg(&archive).current_dir(&self.folder).output();
        let body = fs::read(self.folder.join(&archive)).expect("a file can be read");
        let files = [
            ("SHA256SUMS".to_owned(), sums.expect("sha256sum can be started").stdout),
            (archive, body),
        ];
        Release { files: files.into_iter().map(|(name, body)| (name, File::whole(body))).collect() }
    }

    /// A folder with nothing but what the script needs, and these.
    fn tools(&self, more: &[&str]) -> PathBuf {
        let folder = self.folder.join("tools");
        fs::create_dir_all(&folder).expect("a folder can be made");
        for name in TOOLS.iter().chain(more) {
            let from = find(name).unwrap_or_else(|| panic!("{name} is not installed"));
            symlink(from, folder.join(name)).expect("a link can be made");
        }
        folder
    }

    fn install(&self, release: &Release, words: &[&str]) -> String {
        good(&self.run(release, words, None))
    }

    /// Nothing changes, and the reason is told.
    #[track_caller]
    fn refuse(&self, release: &Release, words: &[&str], said: &str) {
        let before = self.installed();
        bad(&self.run(release, words, None), said);
        assert_eq!(self.installed(), before);
    }

    fn run(&self, release: &Release, words: &[&str], path: Option<&Path>) -> Output {
        let site = Site::serve(release.files.clone());
        self.run_from(&format!("http://{}/", site.address), words, path, None)
    }

    /// `text`: what is run in place of the whole script.
    fn run_from(
        &self,
        url: &str,
        words: &[&str],
        path: Option<&Path>,
        text: Option<&str>,
    ) -> Output {
        let mut command = Command::new("/bin/sh");
        match text {
            Some(text) => command.args(["-c", text, "install.sh"]),
            None => command.arg(script()),
        };
        command.arg("--to").arg(self.to()).args(words);
        command.env("GOODGATE_BASE_URL", url).env("TMPDIR", &self.folder);
        if let Some(path) = path {
            command.env("PATH", path);
        }
        for it in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
            command.env_remove(it);
        }
        let output = command.stdin(Stdio::null()).output().expect("a program can be started");
        let left: Vec<_> = fs::read_dir(&self.folder)
            .expect("a folder can be listed")
            .filter_map(|it| it.ok()?.file_name().into_string().ok())
            .filter(|it| it.starts_with("tmp."))
            .collect();
        assert!(left.is_empty(), "left behind: {left:?}");
        output
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/install.sh")
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|it| it.join(program)).find(|it| it.is_file())
}

#[track_caller]
fn good(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("it prints text")
}

#[track_caller]
fn bad(output: &Output, said: &str) {
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{message}");
    assert!(message.contains(said) && message.contains("nothing was installed"), "{message}");
}

struct Release {
    files: HashMap<String, File>,
}

impl Release {
    fn archive(&self) -> String {
        self.files
            .keys()
            .find(|it| it.ends_with(".tar.gz"))
            .expect("a release has an archive")
            .clone()
    }
}

/// A file as it is served.
#[derive(Clone)]
struct File {
    status: &'static str,
    location: Option<String>,
    /// What `Content-Length` says.
    length: usize,
    body: Vec<u8>,
}

impl File {
    fn whole(body: Vec<u8>) -> File {
        File { status: "200 OK", location: None, length: body.len(), body }
    }
}

/// A server of files, for one request a connection.
struct Site {
    address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Site {
    fn serve(files: HashMap<String, File>) -> Site {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port of this machine is free");
        let address = listener.local_addr().expect("a listener has an address");
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        // It ends with the process of the test.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Relaxed);
                // A caller that leaves half-way is what some tests are about.
                let _ = stream.and_then(|it| answer(it, &files));
            }
        });
        Site { address, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Relaxed)
    }
}

fn answer(mut stream: TcpStream, files: &HashMap<String, File>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    let first = lines.next().transpose()?.unwrap_or_default();
    while lines.next().transpose()?.is_some_and(|it| !it.is_empty()) {}
    let name = first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/');
    let absent = File { status: "404 Not Found", ..File::whole(b"no\n".to_vec()) };
    let file = files.get(name).unwrap_or(&absent);
    let location = file.location.iter().map(|it| format!("Location: {it}\r\n")).collect::<String>();
    let head = format!(
        "HTTP/1.1 {}\r\n{location}Content-Length: {}\r\nConnection: close\r\n\r\n",
        file.status, file.length
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(&file.body)
}
