//! `goodgate mcp`: the same answers for an assistant.

use crate::mcp;
use crate::problem::Failure;

/// Let an assistant ask why requests fail (Model Context Protocol)
///
/// Speaks the protocol on standard input and output, for the settings of an assistant:
/// {"mcpServers": {"goodgate": {"command": "goodgate", "args": ["mcp"]}}}
/// Its tools only read: they open no connection and change nothing.
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {}

pub(super) fn run(_: &Arguments) -> Result<(), Failure> {
    mcp::serve().map_err(Failure::Mcp)
}
