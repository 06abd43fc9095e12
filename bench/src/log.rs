//! The access log of a proxy under test: are there as many lines as there were requests?

use anyhow::Result;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _};
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a proxy may keep lines in its buffer.
const FLUSH: Duration = Duration::from_secs(4);
const BLOCK: usize = 256 * 1024;

pub(crate) struct AccessLog {
    path: PathBuf,
}

impl AccessLog {
    pub(crate) fn new(path: PathBuf) -> AccessLog {
        AccessLog { path }
    }

    /// Counts lines until there are as many as expected or no more can be hoped for.
    pub(crate) fn lines(&self, expected: u64) -> Result<u64> {
        let mut file = match File::open(&self.path) {
            Ok(it) => it,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let until = Instant::now() + FLUSH;
        let mut lines = 0;
        loop {
            lines += lines_to_the_end(&mut file)?;
            if lines >= expected || Instant::now() >= until {
                return Ok(lines);
            }
            sleep(Duration::from_millis(20));
        }
    }

    /// Empties it, so that a long benchmark does not fill the disk.
    pub(crate) fn clear(&self) -> Result<()> {
        match OpenOptions::new().write(true).open(&self.path) {
            Ok(file) => Ok(file.set_len(0)?),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn lines_to_the_end(file: &mut File) -> Result<u64> {
    let mut block = vec![0; BLOCK];
    let mut lines = 0;
    loop {
        let count = file.read(&mut block)?;
        if count == 0 {
            return Ok(lines);
        }
        lines += block[..count].iter().filter(|it| **it == b'\n').count() as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_a_cleared_log_has_none() {
        let name = format!("goodgate-bench-log-test-{}", std::process::id());
        let log = AccessLog::new(std::env::temp_dir().join(name));
        std::fs::write(&log.path, "{}\n{}\n{").unwrap();
        assert_eq!(log.lines(2).unwrap(), 2);
        log.clear().unwrap();
        assert_eq!(log.lines(0).unwrap(), 0);
        std::fs::remove_file(&log.path).unwrap();
    }
}
