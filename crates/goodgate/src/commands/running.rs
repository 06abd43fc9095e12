//! Which running gateway a command means, and how it is asked.

use super::DEFAULT_FILE;
use crate::control::client::{self, Answer};
use crate::problem::Failure;
use crate::settings;
use std::path::{Path, PathBuf};

/// Which running gateway is meant.
#[derive(clap::Args)]
pub(super) struct Running {
    /// The file by which it runs [default: goodgate.toml]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The folder of its data [default: `data.dir` of the file]
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data: Option<PathBuf>,
}

impl Running {
    /// The folder by which it is found.
    pub(super) fn folder(&self) -> Result<PathBuf, Failure> {
        let file = match (&self.data, &self.config) {
            (Some(folder), _) => return Ok(folder.clone()),
            (None, Some(file)) => file.as_path(),
            (None, None) if Path::new(DEFAULT_FILE).exists() => Path::new(DEFAULT_FILE),
            (None, None) => return Err(Failure::NobodyNamed),
        };
        Ok(settings::read(file)?.data_dir())
    }

    /// What it answers, where it does what is asked.
    pub(super) fn ask(&self, method: &str, path: &str, body: &str) -> Result<Answer, Failure> {
        let answer = client::ask(&self.folder()?, method, path, body)?;
        if answer.is_fine() { Ok(answer) } else { Err(Failure::Refused(answer)) }
    }
}
