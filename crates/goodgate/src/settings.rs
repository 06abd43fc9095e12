//! From a file, or addresses on the command line, to a configuration.

use crate::problem::Failure;
use crate::watch::Seen;
use config::{Complaints, Config, Context, Data, Parsed, data_dir, parse};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What a running gateway was told, kept so that a reload says the same again.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) overrides: Overrides,
}

/// Where the configuration comes from.
#[derive(Clone)]
pub(crate) enum Source {
    File(PathBuf),
    Urls(Vec<String>),
}

/// What the command line says instead of the file.
#[derive(Clone, Default)]
pub(crate) struct Overrides {
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) workers: Option<usize>,
    /// The folder of this running gateway.
    pub(crate) data: Option<PathBuf>,
}

impl Settings {
    /// The configuration, and what is odd about it although it can be used.
    pub(crate) fn load(&self) -> Result<(Config, Warnings), Failure> {
        let (mut config, warnings) = match &self.source {
            Source::File(path) => from_file(path)?,
            Source::Urls(urls) => {
                let config = config::for_targets(urls).map_err(Failure::InvalidUrls)?;
                (config, Warnings { file: None, complaints: Complaints::default() })
            }
        };
        if let Some(address) = self.overrides.listen {
            config.listen.http = vec![address];
            config.listen.assumed = false;
        }
        config.workers = self.overrides.workers.or(config.workers);
        if let Some(dir) = &self.overrides.data {
            config.data = Data { dir: dir.clone(), assumed: false };
        }
        Ok((config, warnings))
    }

    /// The file, where there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        match &self.source {
            Source::File(path) => Some(path),
            Source::Urls(_) => None,
        }
    }

    /// The state of the file before it is read.
    pub(crate) fn seen(&self) -> Seen {
        Seen::of(self.file())
    }

    /// The folder of the running gateway. With URLs there is none, unless one was asked for.
    pub(crate) fn data<'a>(&self, config: &'a Config) -> Option<&'a Data> {
        (self.file().is_some() || self.overrides.data.is_some()).then_some(&config.data)
    }
}

fn from_file(path: &Path) -> Result<(Config, Warnings), Failure> {
    let file = read(path)?;
    match file.parse() {
        Ok(Parsed { config, warnings }) => {
            Ok((config, Warnings { file: Some(file), complaints: warnings.into() }))
        }
        Err(complaints) => Err(Failure::InvalidFile { file, complaints }),
    }
}

/// Complaints that do not keep a file from being used, with the text that they point into.
pub(crate) struct Warnings {
    file: Option<File>,
    complaints: Complaints,
}

impl Warnings {
    /// As they are shown on a terminal; `None` where there are none.
    pub(crate) fn render(&self, colour: bool) -> Option<String> {
        let file = self.file.as_ref().filter(|_| !self.complaints.is_empty())?;
        Some(self.complaints.render(&file.name, &file.text, colour))
    }
}

/// A configuration file as it was read.
#[derive(Debug)]
pub(crate) struct File {
    /// As the user wrote its path.
    pub(crate) name: String,
    pub(crate) text: String,
    /// Relative paths in it count from here.
    base: PathBuf,
}

pub(crate) fn read(path: &Path) -> Result<File, Failure> {
    let name = path.display().to_string();
    let unreadable = |why| Failure::Unreadable { file: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    let base = path.parent().unwrap_or(Path::new("")).to_owned();
    Ok(File { name, text, base })
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

impl File {
    pub(crate) fn parse(&self) -> Result<Parsed, Complaints> {
        parse(&self.text, &Context { base: &self.base, env: &environment })
    }

    /// The folder of the gateway that runs by this file, even where the file is wrong by now.
    pub(crate) fn data_dir(&self) -> PathBuf {
        data_dir(&self.text, &Context { base: &self.base, env: &environment })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(source: Source) -> Settings {
        let listen = Some("127.0.0.1:9000".parse().unwrap());
        Settings { source, overrides: Overrides { listen, workers: Some(3), data: None } }
    }

    #[test]
    fn the_command_line_has_the_last_word() {
        let (config, warnings) =
            settings(Source::Urls(vec!["localhost:8000".to_owned()])).load().unwrap();
        assert_eq!(config.listen.http, ["127.0.0.1:9000".parse().unwrap()]);
        assert!(!config.listen.assumed);
        assert_eq!(config.workers, Some(3));
        assert_eq!(warnings.render(false), None);
        let mut settings = settings(Source::Urls(vec!["localhost:8000".to_owned()]));
        assert_eq!(settings.data(&config), None);
        settings.overrides.data = Some("here".into());
        let (config, _) = settings.load().unwrap();
        let data = Data { dir: "here".into(), assumed: false };
        assert_eq!(settings.data(&config), Some(&data));
    }

    #[test]
    fn an_unreadable_file_is_named_as_it_was_typed() {
        let Err(failure) = settings(Source::File("no/where.toml".into())).load() else {
            panic!("there is no such file");
        };
        assert!(matches!(failure, Failure::Unreadable { file, .. } if file == "no/where.toml"));
    }
}
