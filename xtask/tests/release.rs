//! `cargo xtask release`, around a binary that is given: what is in the archive and in the package,
//! that the checksums fit, and that the same release gives the same bytes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// What stands in for the binary: it writes completions and manual pages.
const PROGRAM: &str = r#"#!/bin/sh
case $1 in
    completions) echo "completions of $2" ;;
    man) echo .TH goodgate 1 >"$2/goodgate.1" ;;
    *) echo goodgate 9.9.9 ;;
esac
"#;

const MACHINE: &str = std::env::consts::ARCH;

#[test]
fn a_release_holds_what_a_machine_needs() {
    let release = Release::make("holds");
    let archive = release.file(".tar.gz");
    let name = file_name(&archive).trim_end_matches(".tar.gz").to_owned();
    let listed = said(Command::new("tar").arg("-tzvf").arg(&archive));
    for (mode, path) in [
        ("-rwxr-xr-x", "goodgate"),
        ("-rw-r--r--", "LICENSE"),
        ("-rw-r--r--", "Dockerfile"),
        ("-rw-r--r--", "goodgate.toml"),
        ("-rw-r--r--", "systemd/goodgate.service"),
        ("-rw-r--r--", "systemd/goodgate.socket"),
        ("-rw-r--r--", "completions/goodgate.bash"),
        ("-rw-r--r--", "man/goodgate.1"),
    ] {
        let there = |it: &str| it.starts_with(mode) && it.ends_with(&format!(" {name}/{path}"));
        assert!(listed.lines().any(there), "no {path} in\n{listed}");
    }
    assert!(listed.lines().all(|it| it.contains(" 0/0 ")), "{listed}");
    let checked = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(&release.out)
        .output();
    good(&checked.unwrap());
    let sums = fs::read_to_string(release.out.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count() + 1, fs::read_dir(&release.out).unwrap().count(), "{sums}");
    assert!(sums.contains("  install.sh\n"), "{sums}");
}

#[test]
fn the_package_installs_a_service() {
    let release = Release::make("service");
    let package = release.file(".deb");
    let listed = said(Command::new("dpkg-deb").arg("--contents").arg(&package));
    for (mode, path) in [
        ("-rwxr-xr-x root/root", "./usr/bin/goodgate"),
        ("-rw-r--r-- root/root", "./etc/goodgate/goodgate.toml"),
        ("-rw-r--r-- root/root", "./usr/lib/systemd/system/goodgate.service"),
        ("-rw-r--r-- root/root", "./usr/lib/systemd/system/goodgate.socket"),
        ("-rwxr-xr-x root/root", "./usr/lib/goodgate/reload"),
        ("-rw-r--r-- root/root", "./usr/share/bash-completion/completions/goodgate"),
        ("-rw-r--r-- root/root", "./usr/share/man/man1/goodgate.1.gz"),
        ("-rw-r--r-- root/root", "./usr/share/doc/goodgate/copyright"),
    ] {
        let there = |it: &str| it.starts_with(mode) && it.ends_with(path);
        assert!(listed.lines().any(there), "no {path} in\n{listed}");
    }
    let control = release.folder.join("control");
    good(&Command::new("dpkg-deb").arg("--control").arg(&package).arg(&control).output().unwrap());
    let read = |name: &str| fs::read_to_string(control.join(name)).unwrap();
    assert_eq!(read("conffiles"), "/etc/goodgate/goodgate.toml\n");
    assert!(read("control").contains("\nDepends: adduser\n"), "{}", read("control"));
    for name in ["postinst", "prerm", "postrm"] {
        let mode = fs::metadata(control.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o755, "{name}");
    }
}

#[test]
fn the_same_release_is_the_same_bytes() {
    let (one, other) = (Release::make("one"), Release::make("other"));
    for end in [".tar.gz", ".deb"] {
        let (one, other) = (one.file(end), other.file(end));
        assert!(fs::read(one).unwrap() == fs::read(other).unwrap(), "{end}");
    }
}

#[test]
fn what_cannot_be_made_is_told_and_fails() {
    let folder = scratch("fails");
    let binary = program(&folder);
    let path = folder.join("bin");
    fs::create_dir(&path).unwrap();
    for name in ["sh", "tar", "gzip", "sha256sum", "echo"] {
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|it| it.join(name))
            .find(|it| it.is_file());
        std::os::unix::fs::symlink(found.unwrap(), path.join(name)).unwrap();
    }
    for (more, code) in [(None, Some(1)), (Some("--allow-missing"), Some(0))] {
        let output = order(&folder.join("out"), &binary).args(more).env("PATH", &path).output();
        let output = output.unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), code, "{message}");
        assert!(message.contains("NOT MADE"), "{message}");
        assert!(message.contains("Debian package for"), "{message}");
        assert!(message.contains("image for"), "{message}");
    }
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_folder_with_other_files_is_left_alone() {
    let folder = scratch("alone");
    let binary = program(&folder);
    fs::write(folder.join("mine.txt"), "mine").unwrap();
    let output = order(&folder, &binary).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(folder.join("mine.txt").exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn the_units_are_what_systemd_understands() {
    // Absent where there is no systemd, and nothing to install only for this.
    if !works("systemd-analyze") {
        return;
    }
    let folder = scratch("units");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/systemd");
    // What it starts must be there.
    let program = program(&folder).display().to_string();
    for name in ["goodgate.service", "goodgate.socket"] {
        let unit = fs::read_to_string(sources.join(name)).unwrap();
        let unit = unit.replace("/usr/bin/goodgate", &program);
        let unit = unit.replace("/usr/lib/goodgate/reload", &program);
        fs::write(folder.join(name), unit).unwrap();
    }
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(folder.join("goodgate.service"))
        .arg(folder.join("goodgate.socket"))
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !message.contains("goodgate."), "{message}");
    let exposed = Command::new("systemd-analyze")
        .args(["security", "--offline=yes", "--threshold=20", "--no-pager"])
        .arg(folder.join("goodgate.service"))
        .output();
    // Fails above 2.0, which is where "OK" ends.
    good(&exposed.unwrap());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn scripts_are_as_shellcheck_wants_them() {
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    let scripts =
        ["install.sh", "systemd/reload", "debian/postinst", "debian/prerm", "debian/postrm"];
    let checked = Command::new("shellcheck").args(scripts).current_dir(packaging).output();
    good(&checked.unwrap());
}

/// A release in a folder of its own.
struct Release {
    folder: PathBuf,
    out: PathBuf,
}

impl Release {
    fn make(name: &str) -> Release {
        let folder = scratch(name);
        let out = folder.join("out");
        // Without images: those would stay behind in the builder's store.
        let words = ["--no-images", "--allow-missing"];
        good(
            &order(&out, &program(&folder)).args(words).output().expect("a program can be started"),
        );
        Release { folder, out }
    }

    fn file(&self, end: &str) -> PathBuf {
        let mut files = fs::read_dir(&self.out)
            .expect("a folder can be listed")
            .map(|it| it.expect("a folder can be listed").path());
        files.find(|it| file_name(it).ends_with(end)).unwrap_or_else(|| panic!("no {end}"))
    }
}

impl Drop for Release {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// The task, as it is called with a binary that was built before.
fn order(out: &Path, binary: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("release").arg("--out").arg(out);
    command.arg("--binary").arg(format!("{MACHINE}={}", binary.display()));
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    command
}

fn scratch(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let folder = folder.join(format!("release-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder can be made");
    folder
}

fn program(folder: &Path) -> PathBuf {
    let path = folder.join("given");
    fs::write(&path, PROGRAM).expect("a file can be written");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode can be set");
    path
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn works(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|it| it.status.success())
}

#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().expect("a program can be started");
    good(&output);
    String::from_utf8(output.stdout).expect("it prints text")
}

#[track_caller]
fn good(output: &Output) {
    let (out, message) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{message}");
}
