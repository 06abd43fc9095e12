//! Servers of Python apps, from the environment that `cargo xtask test` makes for the Python tests.

use std::io;
use std::path::PathBuf;

/// A program of that environment, such as `gunicorn`: in `GOODGATE_VENV`, else in `venv` beside the
/// folder of this program's profile.
pub fn program(name: &str) -> io::Result<PathBuf> {
    let given = std::env::var_os("GOODGATE_VENV").map(PathBuf::from);
    let this = std::env::current_exe()?;
    let beside = this.ancestors().skip(1).take(4).map(|it| it.join("venv"));
    let all = given.into_iter().chain(beside).map(|it| it.join("bin").join(name));
    all.into_iter().find(|it| it.is_file()).ok_or_else(|| {
        let hint = format!(
            "there is no {name} beside this program\n\n\
             hint: `cargo xtask test` installs it; GOODGATE_VENV names another environment"
        );
        io::Error::new(io::ErrorKind::NotFound, hint)
    })
}
