//! The targets as they play, and the configuration that leads to each of them.

use super::page;
use super::targets::{TARGETS, Target};
use config::{Config, Context, Parsed, parse};
use lab::Playing;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

/// The targets play until it drops.
pub(super) struct Stage {
    playing: Vec<(&'static Target, Playing)>,
}

/// One core, so that requests meet the connections that earlier ones left. Nobody waits for a
/// browser that keeps its connections open.
const COMMON: &str = "\
workers = 1
log.access = \"off\"
status.listen = \"off\"
shutdown = { grace = \"0s\", idle = \"0s\", deadline = \"1s\" }
";

impl Stage {
    /// Must be called within a runtime.
    pub(super) fn set() -> io::Result<Stage> {
        let playing = TARGETS.iter().map(|it| Ok((it, it.scene().start()?)));
        Ok(Stage { playing: playing.collect::<io::Result<_>>()? })
    }

    pub(super) fn config(&self, listen: Option<SocketAddr>) -> io::Result<Config> {
        let text = self.text();
        let context = Context { base: Path::new(""), env: &|_| None };
        let Parsed { mut config, .. } = parse(&text, &context)
            .map_err(|it| io::Error::other(it.render("demo", &text, false)))?;
        if let Some(address) = listen {
            config.listen.http = vec![address];
            config.listen.assumed = false;
        }
        Ok(config)
    }

    fn text(&self) -> String {
        let mut text = COMMON.to_owned();
        for (target, playing) in &self.playing {
            let Playing { url, upstream_extra, route_extra, file_extra, .. } = playing;
            let name = target.name;
            text += &format!(
                "{file_extra}\
                 [upstream.{name}]\ntargets = [\"{url}\"]\n{upstream_extra}\
                 [route.{name}]\nmatch = \"/{name}\"\nto = \"{name}\"\n{route_extra}"
            );
        }
        let page = quoted(&page::page(TARGETS));
        text += &format!(
            "[route.page]\nmatch = \"/\"\n\
             answer = {{ content_type = \"text/html; charset=utf-8\", body = {page} }}\n"
        );
        text
    }
}

/// JSON strings are TOML strings, and `$${` is a literal `${` in our files.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string().replace("${", "$${")
}

pub(super) fn nowhere() -> io::Error {
    io::Error::other("the gateway listens nowhere")
}
