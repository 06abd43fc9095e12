//! What is started: what it is called, whether it is there, and which port it is handed.

use std::ffi::{OsStr, OsString};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Programs that start another one which is named behind them.
const WRAPPERS: [&str; 9] =
    ["uv", "poetry", "pipenv", "hatch", "rye", "env", "npx", "nice", "time"];
/// Letters of a name; it stands in front of each line.
const LONGEST_NAME: usize = 24;

/// What people call it: `gunicorn` for `uv run gunicorn app:app` and for `python -m gunicorn`.
pub(super) fn name(command: &[OsString]) -> String {
    let words: Vec<String> = command.iter().map(|it| it.to_string_lossy().into_owned()).collect();
    let mut words = &words[..];
    while let [first, rest @ ..] = words
        && (WRAPPERS.contains(&base(first)) || first == "run" || first.contains('='))
        && !rest.is_empty()
    {
        words = rest;
    }
    let name = match words {
        [first, flag, module, ..] if is_python(base(first)) && flag == "-m" => {
            module.split('.').next().unwrap_or(module)
        }
        [first, ..] => base(first),
        [] => "app",
    };
    let plain = |it: &char| it.is_ascii_alphanumeric() || "-_.+@".contains(*it);
    let name: String = name.chars().filter(plain).take(LONGEST_NAME).collect();
    match &*name {
        // Sources of evidence that are us.
        "" | "goodgate" | "gateway" => "app".to_owned(),
        _ => name,
    }
}

fn base(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

fn is_python(program: &str) -> bool {
    program.starts_with("python") || program.starts_with("pypy")
}

/// Why a command cannot be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotStarted {
    /// No such file, here or in `PATH`.
    NotFound,
    Folder,
    /// It is there, without permission to be run.
    NotExecutable,
}

/// The file that a command names: a path, or a name that is looked for in `PATH` as execvp(3) does.
pub(super) fn find(program: &OsStr, path: Option<&OsStr>) -> Result<PathBuf, NotStarted> {
    if program.to_string_lossy().contains('/') {
        return check(Path::new(program)).map(|()| program.into());
    }
    let folders = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    let mut worst = NotStarted::NotFound;
    for folder in std::env::split_paths(folders) {
        let file = folder.join(program);
        match check(&file) {
            Ok(()) => return Ok(file),
            Err(NotStarted::NotExecutable) => worst = NotStarted::NotExecutable,
            Err(_) => {}
        }
    }
    Err(worst)
}

fn check(file: &Path) -> Result<(), NotStarted> {
    match file.metadata() {
        Err(_) => Err(NotStarted::NotFound),
        Ok(it) if it.is_dir() => Err(NotStarted::Folder),
        Ok(it) if it.permissions().mode() & 0o111 == 0 => Err(NotStarted::NotExecutable),
        Ok(_) => Ok(()),
    }
}

/// Variables by which servers of apps take their port. Each is documented by its server: `PORT` by
/// Gunicorn, most of Node's and Ruby's, and every platform that hosts apps; `GRANIAN_PORT`,
/// `FLASK_RUN_PORT` and `UVICORN_PORT` as those of all options of a command by Click; `SERVER_PORT`
/// by Spring Boot; `ASPNETCORE_HTTP_PORTS` by ASP.NET Core 8.
const PORTS: [&str; 8] = [
    "PORT",
    "UVICORN_PORT",
    "FLASK_RUN_PORT",
    "GRANIAN_PORT",
    "STREAMLIT_SERVER_PORT",
    "GRADIO_SERVER_PORT",
    "SERVER_PORT",
    "ASPNETCORE_HTTP_PORTS",
];

/// The environment that hands a port over. Gunicorn takes `PORT` for every address of the machine,
/// and whoever reached the app there would pass the gateway by; so where nothing else says where it
/// listens, it is told the loopback address (`GUNICORN_CMD_ARGS`, which its own arguments overrule).
pub(super) fn environment(
    command: &[OsString],
    port: u16,
    is_configured: bool,
) -> Vec<(&'static str, String)> {
    let mut all: Vec<_> = PORTS.iter().map(|it| (*it, port.to_string())).collect();
    let bound = command.iter().any(|it| {
        let it = it.to_string_lossy();
        ["-b", "-c", "--bind", "--config"].iter().any(|flag| it.starts_with(flag))
    });
    if name(command) == "gunicorn" && !bound && !is_configured {
        all.push(("GUNICORN_CMD_ARGS", format!("--bind=127.0.0.1:{port}")));
    }
    all
}

/// Gunicorn is told something by this user already: by its variable, or by the file that it reads
/// in the current folder.
pub(super) fn gunicorn_is_configured() -> bool {
    std::env::var_os("GUNICORN_CMD_ARGS").is_some() || Path::new("gunicorn.conf.py").exists()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn a_program_is_called_what_people_call_it() {
        for (line, expected) in [
            ("gunicorn app:app", "gunicorn"),
            ("/srv/venv/bin/gunicorn app:app", "gunicorn"),
            ("python3 -m gunicorn app:app", "gunicorn"),
            ("python -m uvicorn.main app:app", "uvicorn"),
            ("uv run gunicorn app:app", "gunicorn"),
            ("env DEBUG=1 node server.js", "node"),
            ("python app.py", "python"),
            ("uv", "uv"),
            ("./goodgate", "app"),
            ("./\u{1b}[2J", "2J"),
        ] {
            assert_eq!(name(&words(line)), expected, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_run_is_told_apart() {
        let find = |it: &str| find(OsStr::new(it), Some(OsStr::new("/nowhere:/bin:/usr/bin")));
        assert!(find("sh").is_ok_and(|it| it.ends_with("sh")));
        assert!(find("/bin/sh").is_ok());
        assert_eq!(find("no-such-program"), Err(NotStarted::NotFound));
        assert_eq!(find("./no-such-program"), Err(NotStarted::NotFound));
        assert_eq!(find("/etc/passwd"), Err(NotStarted::NotExecutable));
        assert_eq!(find("/etc/"), Err(NotStarted::Folder));
    }

    #[test]
    fn a_port_is_handed_over_in_the_ways_that_are_documented() {
        let told = |line: &str, configured| {
            let all = environment(&words(line), 8123, configured);
            assert!(all.contains(&("PORT", "8123".to_owned())));
            all.into_iter().find(|it| it.0 == "GUNICORN_CMD_ARGS").map(|it| it.1)
        };
        let bind = Some("--bind=127.0.0.1:8123".to_owned());
        assert_eq!(told("gunicorn app:app", false), bind);
        assert_eq!(told("python -m gunicorn app:app", false), bind);
        for line in ["gunicorn -b :80 a:a", "gunicorn --bind=:80 a:a", "gunicorn -c x.py a:a"] {
            assert_eq!(told(line, false), None, "{line}");
        }
        assert_eq!(told("gunicorn app:app", true), None);
        assert_eq!(told("uvicorn app:app", false), None);
    }
}
