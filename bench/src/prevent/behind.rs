//! What the proxies of a run forward to, and what the script does to it.

use super::apps::{self, App, Http2};
use super::ledger::Ledger;
use super::names::{self, NameServer};
use super::peers::{Gateway, Places};
use super::ports::{free_address, free_port};
use super::situation::{Servers, Step};
use super::target::{Manner, Target};
use crate::workplace::Workplace;
use anyhow::{Context as _, Result, bail};
use rustix::process::Signal;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

pub(super) struct Behind<'a> {
    place: &'a Workplace,
    servers: Vec<Server>,
    http2: Option<Http2>,
    names: Option<NameServer>,
    pub(super) places: Places,
}

enum Server {
    Own(Target),
    App(App),
}

impl<'a> Behind<'a> {
    pub(super) async fn start(
        servers: Servers,
        ledger: &Arc<Ledger>,
        place: &'a Workplace,
    ) -> Result<Behind<'a>> {
        match servers {
            Servers::Own { count, manner } => {
                let mut all = Vec::new();
                for _ in 0..count {
                    all.push(free_address()?);
                }
                let servers = start_all(&all, manner, ledger).await?;
                let places = Places::Addresses(all);
                Ok(Behind { place, servers, http2: None, names: None, places })
            }
            Servers::Named { count, manner, at_first } => {
                let addresses: Vec<Ipv4Addr> = (0..count).map(names::address).collect();
                let port = free_port(&addresses)?;
                let all: Vec<SocketAddr> =
                    addresses.into_iter().map(|it| SocketAddr::from((it, port))).collect();
                let servers = start_all(&all, manner, ledger).await?;
                let names = NameServer::start(free_address()?, at_first).await?;
                let places = Places::Name { port, server: names.at, most: count };
                Ok(Behind { place, servers, http2: None, names: Some(names), places })
            }
            Servers::Python { python, count } => {
                let (mut servers, mut all) = (Vec::new(), Vec::new());
                for number in 0..count {
                    let app = App::start(python, number, place).await?;
                    all.push(app.at);
                    servers.push(Server::App(app));
                }
                let places = Places::Addresses(all);
                Ok(Behind { place, servers, http2: None, names: None, places })
            }
            Servers::Http2 { count, requests } => {
                let http2 = Http2::start(count, requests, place).await?;
                let places = http2.places();
                let servers = Vec::new();
                Ok(Behind { place, servers, http2: Some(http2), names: None, places })
            }
        }
    }

    pub(super) async fn step(&self, step: Step, gateway: &mut Gateway<'_>) -> Result<()> {
        match step {
            Step::Become(number, manner) => self.target(number)?.behave(manner),
            Step::Kill(number) => self.server(number)?.kill().await,
            Step::Terminate(number) => match self.server(number)? {
                Server::Own(target) => target.terminate().await,
                Server::App(app) => app.tell(Signal::TERM).await,
            },
            Step::Start(number) => match self.server(number)? {
                Server::Own(target) => target.start_again().await?,
                Server::App(app) => app.start_again(self.place).await?,
            },
            Step::HangUp(number) => self.app(number)?.tell(Signal::HUP).await,
            Step::KillWorker(number) => self.app(number)?.kill_worker().await?,
            Step::Vanish(number) => self.target(number)?.vanish().await?,
            Step::Reappear(number) => self.target(number)?.reappear().await?,
            Step::Say(says) => match &self.names {
                Some(names) => names.say(says),
                None => bail!("the script speaks to a name server that is not there"),
            },
            Step::Reload => gateway.reload().await?,
            Step::Restart => gateway.restart().await?,
        }
        Ok(())
    }

    /// Ends all; what real servers wrote comes into the ledger.
    pub(super) async fn kill(self, ledger: &Ledger) {
        for server in &self.servers {
            server.kill().await;
        }
        if let Some(http2) = self.http2 {
            http2.kill();
        }
        apps::read_ledger(self.place, ledger);
    }

    fn server(&self, number: usize) -> Result<&Server> {
        self.servers.get(number).context("the script names a target that is not there")
    }

    fn target(&self, number: usize) -> Result<&Target> {
        match self.server(number)? {
            Server::Own(target) => Ok(target),
            Server::App(_) => bail!("this target is a real server, which cannot do so"),
        }
    }

    fn app(&self, number: usize) -> Result<&App> {
        match self.server(number)? {
            Server::App(app) => Ok(app),
            Server::Own(_) => bail!("this target is no real server"),
        }
    }
}

impl Server {
    async fn kill(&self) {
        match self {
            Server::Own(target) => target.kill().await,
            Server::App(app) => app.kill().await,
        }
    }
}

async fn start_all(
    all: &[SocketAddr],
    manner: Manner,
    ledger: &Arc<Ledger>,
) -> Result<Vec<Server>> {
    let mut targets = Vec::new();
    for at in all {
        targets.push(Server::Own(Target::start(*at, manner, ledger).await?));
    }
    Ok(targets)
}
