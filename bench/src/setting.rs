//! Where a measurement takes place: the folder, the cores, the upstream, and which proxies take part.

use crate::arguments::Common;
use crate::child::Child;
use crate::proxies::{Kind, Proxy};
use crate::workplace::Workplace;
use crate::{cores, proxies, upstream};
use anyhow::Result;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What keeps a measurement from beginning.
#[derive(Debug)]
pub(crate) enum Unmet {
    Usage(String),
    Missing { what: String, hint: &'static str },
}

impl fmt::Display for Unmet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unmet::Usage(what) => f.write_str(what),
            Unmet::Missing { what, hint } => write!(f, "{what} was not found\n\nhint: {hint}"),
        }
    }
}

impl std::error::Error for Unmet {}

/// Fields are dropped in this order: the upstream ends before its folder goes.
pub(crate) struct Setting {
    upstream: Child,
    pub(crate) upstream_addr: SocketAddr,
    h2_upstream: Option<Child>,
    /// Of the upstream that speaks HTTP/2, where a case needs it.
    pub(crate) h2_upstream_addr: Option<SocketAddr>,
    pub(crate) kinds: Vec<Kind>,
    pub(crate) gateway: Option<PathBuf>,
    pub(crate) workers: u32,
    pub(crate) proxy_cores: Vec<usize>,
    pub(crate) load_core: usize,
    pub(crate) place: Workplace,
}

impl Setting {
    pub(crate) fn new(common: &Common) -> Result<Setting> {
        let gateway = gateway(common)?;
        let kinds = kinds(common, gateway.is_some())?;
        check_programs(&kinds, gateway.as_deref())?;
        cores::stay_on(common.load_core, &common.proxy_core)?;
        let place = Workplace::new()?;
        place.write_certificate()?;
        let (upstream, upstream_addr) = upstream::start(&place, common.load_core)?;
        Ok(Setting {
            upstream,
            upstream_addr,
            h2_upstream: None,
            h2_upstream_addr: None,
            kinds,
            gateway,
            workers: common.workers,
            proxy_cores: common.proxy_core.clone(),
            load_core: common.load_core,
            place,
        })
    }

    /// For proxies that are started from now on.
    pub(crate) fn start_h2_upstream(&mut self) -> Result<()> {
        let (child, addr) = proxies::start_h2_upstream(&self.place, self.load_core)?;
        (self.h2_upstream, self.h2_upstream_addr) = (Some(child), Some(addr));
        Ok(())
    }

    pub(crate) fn start(&self, kind: Kind) -> Result<Proxy> {
        Proxy::start(kind, self)
    }

    /// Names an upstream's end, which would otherwise look like the fault of a proxy.
    pub(crate) fn check_upstream(&mut self) -> Result<()> {
        self.upstream.check_running()?;
        self.h2_upstream.as_mut().map_or(Ok(()), Child::check_running)
    }
}

/// The binary to measure; `None` where the caller wants none.
fn gateway(common: &Common) -> Result<Option<PathBuf>> {
    match &common.gateway {
        Some(it) if it == Path::new("none") => Ok(None),
        // A child is started in another folder, where a relative path would mean something else.
        Some(it) => Ok(Some(std::path::absolute(it)?)),
        None => Ok(Some(std::env::current_exe()?.with_file_name("goodgate"))),
    }
}

fn kinds(common: &Common, with_gateway: bool) -> Result<Vec<Kind>> {
    let mut kinds = common.only.clone();
    if kinds.is_empty() {
        kinds = vec![Kind::Goodgate, Kind::Nginx];
        kinds.retain(|it| with_gateway || *it != Kind::Goodgate);
    }
    if common.extra {
        kinds.extend([Kind::NginxWithoutLog, Kind::HaproxyWithoutLog]);
    }
    if kinds.contains(&Kind::Goodgate) && !with_gateway {
        let what = "`--only goodgate` and `--gateway none` exclude each other".to_owned();
        return Err(Unmet::Usage(what).into());
    }
    let mut seen = Vec::new();
    kinds.retain(|it| {
        !seen.contains(it) && {
            seen.push(*it);
            true
        }
    });
    Ok(kinds)
}

fn check_programs(kinds: &[Kind], gateway: Option<&Path>) -> Result<()> {
    if let (true, Some(path)) = (kinds.contains(&Kind::Goodgate), gateway)
        && !path.is_file()
    {
        let what = format!("the gateway `{}`", path.display());
        let hint =
            "build it with `cargo build --release`, or pass `--gateway PATH` or `--gateway none`";
        return Err(Unmet::Missing { what, hint }.into());
    }
    let hint =
        "on Debian: apt-get install nginx wrk nghttp2-client openssl, and haproxy for `--extra`";
    for program in ["openssl"].into_iter().chain(kinds.iter().filter_map(|it| it.program())) {
        find_program(program, hint)?;
    }
    Ok(())
}

/// Debian keeps servers in `sbin`, which is not on the path of an ordinary user.
pub(crate) fn find_program(name: &str, hint: &'static str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/usr/local/sbin".into()])
        .map(|folder| folder.join(name))
        .find(|it| it.is_file())
        .ok_or_else(|| Unmet::Missing { what: format!("`{name}`"), hint }.into())
}
