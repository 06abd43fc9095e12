//! A folder for configurations and logs that is removed however the benchmark ends.

use crate::Verdict;
use crate::arguments::Janitor;
use anyhow::{Context as _, Result, bail};
use std::fs::DirBuilder;
use std::io::Read as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

const PREFIX: &str = "goodgate-bench-";
/// Tries to remove the folder, while the last children still end.
const TRIES: u32 = 50;

pub(crate) struct Workplace {
    path: PathBuf,
    janitor: Child,
}

impl Workplace {
    pub(crate) fn new() -> Result<Workplace> {
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("making `{}`", path.display()))?;
        // In a group of its own, so that an interrupt from the terminal does not reach it.
        let janitor = Command::new(std::env::current_exe()?)
            .arg("janitor")
            .arg(&path)
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn()?;
        Ok(Workplace { path, janitor })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.file(name);
        std::fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))?;
        Ok(path)
    }

    /// A certificate on the curve P-256 for the listeners, and a file with its key beside it.
    pub(crate) fn write_certificate(&self) -> Result<()> {
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
            .args(["-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .args(["-keyout", "key.pem", "-out", "cert.pem"])
            .current_dir(&self.path)
            .output()
            .context("starting `openssl`")?;
        if !made.status.success() {
            bail!("openssl made no certificate: {}", String::from_utf8_lossy(&made.stderr));
        }
        let mut both = std::fs::read_to_string(self.file("cert.pem"))?;
        both.push_str(&std::fs::read_to_string(self.file("key.pem"))?);
        self.write("both.pem", &both)?;
        Ok(())
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // The end of its input is what the janitor waits for.
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// The janitor's side: waits until the benchmark is gone and removes its folder.
pub(crate) fn clean_up_after(janitor: &Janitor) -> Result<Verdict> {
    let name = janitor.folder.file_name().and_then(|it| it.to_str()).unwrap_or_default();
    if !name.starts_with(PREFIX) {
        bail!("`{}` is no folder of a benchmark", janitor.folder.display());
    }
    // An error is an end as well.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    for _ in 0..TRIES {
        match std::fs::remove_dir_all(&janitor.folder) {
            Ok(()) => return Ok(Verdict::Kept),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Verdict::Kept),
            Err(_) => sleep(Duration::from_millis(100)),
        }
    }
    bail!("`{}` could not be removed", janitor.folder.display())
}
