//! `lab scenes` lists the scenes; `lab table [--md]` plays them through goodgate, nginx and haproxy.

use lab::SCENES;
use lab::table::{Row, play_all};
use std::io::{self, Write};
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match *words {
        ["scenes"] => scenes(),
        ["table"] => table(plain, None).await,
        ["table", "--md"] => table(markdown, Some("| --- | --- | --- | --- |")).await,
        _ => return usage(),
    };
    // Whoever reads us may stop reading.
    done.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
}

fn usage() -> ExitCode {
    drop(writeln!(io::stderr(), "usage: lab scenes | lab table [--md]"));
    ExitCode::from(2)
}

fn scenes() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for scene in SCENES {
        writeln!(out, "{:<28} {}", scene.id, scene.about)?;
    }
    Ok(())
}

type Layout = fn([&str; 4]) -> String;

fn plain([scene, goodgate, nginx, haproxy]: [&str; 4]) -> String {
    format!("{scene:<28} {goodgate:<72} {nginx:<14} {haproxy}")
}

fn markdown(cells: [&str; 4]) -> String {
    format!("| {} |", cells.join(" | "))
}

/// `rule` stands below the headings.
async fn table(layout: Layout, rule: Option<&str>) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "{}", layout(["scene", "goodgate", "nginx", "haproxy"]))?;
    if let Some(rule) = rule {
        writeln!(out, "{rule}")?;
    }
    let mut written = Ok(());
    play_all(|Row { scene, goodgate, nginx, haproxy }| {
        let line = layout([scene.id, goodgate, nginx, haproxy]);
        written = writeln!(out, "{line}").and_then(|()| out.flush());
    })
    .await;
    written
}
