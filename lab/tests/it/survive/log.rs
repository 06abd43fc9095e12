//! An access log that cannot be written, and messages that nobody reads: requests go on.

use super::{
    ask, check_said_once, is_root, metric, until, until_it_said, until_metric, world_under,
};
use crate::world::{SOON, World};
use lab::gateway::Hardship;
use lab::scratch::Scratch;
use lab::stage;
use serde_json::Value;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use tokio::net::TcpStream;

async fn logging_to(log: PathBuf) -> World {
    let hardship = Hardship { log: Some(log), ..Hardship::default() };
    world_under(&hardship, "", stage::answer_well::<TcpStream>).await
}

#[tokio::test]
async fn a_disk_without_room_loses_lines_and_no_request() {
    let world = logging_to("/dev/full".into()).await;
    for _ in 0..3 {
        assert_eq!(ask(&world, "/").await.status, Some(200));
    }
    until_metric(&world, "goodgate_log_dropped_total", |it| it == 3.0).await;
    until_it_said(&world, "the disk of the access log is full", SOON).await;
    check_said_once(&world, "the disk of the access log is full");
}

/// A file system of 64 KiB.
struct Disk(Scratch);

impl Disk {
    fn new() -> Disk {
        let folder = Scratch::new("disk").expect("the test can go on");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "none"]).arg(folder.path());
        assert!(mount.status().expect("the test can go on").success());
        Disk(folder)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0.path()).status());
    }
}

#[tokio::test]
async fn a_log_goes_on_with_a_whole_line_when_there_is_room_again() {
    if !is_root() {
        return eprintln!("skipped: only root makes small disks");
    }
    let disk = Disk::new();
    let log = disk.0.path().join("access.jsonl");
    let filler = disk.0.write("filler", &"x".repeat(48 * 1024)).unwrap();
    let world = logging_to(log.clone()).await;
    let mut asked = 0.0;
    let mut client = world.gateway.client().await.unwrap();
    let long = format!("/{}", "a".repeat(1000));
    while metric(&world, "goodgate_log_dropped_total").await == 0.0 {
        assert!(asked < 1_000.0, "the disk never fills");
        for _ in 0..20 {
            let answer = client.exchange(&crate::world::get(&long)).await;
            assert_eq!(answer.status, Some(200));
            asked += 1.0;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until_it_said(&world, "the disk of the access log is full", SOON).await;
    fs::remove_file(filler).unwrap();
    let last = "/after-there-was-room";
    assert_eq!(ask(&world, last).await.status, Some(200));
    asked += 1.0;
    until(SOON, "the last line", async || {
        let text = fs::read_to_string(&log).unwrap();
        text.contains(last).then_some(()).ok_or(text)
    })
    .await;
    let text = fs::read_to_string(&log).unwrap();
    let (whole, torn): (Vec<&str>, Vec<&str>) =
        text.lines().partition(|it| serde_json::from_str::<Value>(it).is_ok());
    assert!(torn.len() <= 1, "{torn:#?}");
    assert!(text.ends_with('\n'));
    let dropped = metric(&world, "goodgate_log_dropped_total").await;
    assert_eq!(whole.len() as f64 + dropped, asked, "each is there, or counted");
}

/// A pipe that is open and that nobody reads.
struct Blocked {
    folder: Scratch,
    _end: fs::File,
}

impl Blocked {
    fn new() -> Blocked {
        let folder = Scratch::new("pipe").expect("the test can go on");
        let path = folder.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&path).status().expect("the test can go on").success());
        let end = OpenOptions::new().read(true).write(true).open(path).expect("the test can go on");
        Blocked { folder, _end: end }
    }

    /// Started with this of its outputs there.
    fn hardship(&self, output: &str) -> Hardship {
        let path = self.folder.path().join("pipe");
        let words = format!("exec \"$0\" \"$@\" {output}{}", path.display());
        let through = ["sh".to_owned(), "-c".to_owned(), words].to_vec();
        Hardship { through, log: Some("stdout".into()), ..Hardship::default() }
    }
}

/// As much as a pipe and all buffers hold, and more.
const LINES: usize = 1_500;

async fn fill(world: &World) {
    let long = format!("/{}", "a".repeat(7_000));
    let mut client = world.gateway.client().await.expect("the test can go on");
    for _ in 0..LINES {
        assert_eq!(client.exchange(&crate::world::get(&long)).await.status, Some(200));
    }
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_holds_back_no_request() {
    let pipe = Blocked::new();
    let config = "[shutdown]\ndeadline = \"1s\"\n[upstream.unused]\ntargets = [\"{url}\"]\n\
                  [route.app]\nmatch = \"/*\"\nanswer = { body = \"ok\" }\n";
    let mut world = world_under(&pipe.hardship(">"), config, stage::answer_well::<TcpStream>).await;
    fill(&world).await;
    until_metric(&world, "goodgate_log_dropped_total", |it| 0.0 < it).await;
    until_it_said(&world, "the access log is not taken fast enough", SOON).await;
    check_said_once(&world, "the access log is not taken fast enough");
    world.gateway.terminate();
    let ended = world.gateway.ended(SOON).await.unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn messages_that_nobody_reads_hold_back_neither_requests_nor_the_end() {
    let pipe = Blocked::new();
    // The pipe is full before anything is said.
    let (mut left, chunk) = (1_000, [b'x'; 4096]);
    let path = pipe.folder.path().join("pipe");
    let mut file = OpenOptions::new()
        .write(true)
        .custom_flags(rustix::fs::OFlags::NONBLOCK.bits().cast_signed())
        .open(path)
        .unwrap();
    while std::io::Write::write(&mut file, &chunk).is_ok() && 0 < left {
        left -= 1;
    }
    assert!(0 < left, "a pipe is never so large");
    let mut world =
        world_under(&pipe.hardship(">/dev/full 2>"), "", stage::answer_well::<TcpStream>).await;
    for _ in 0..20 {
        assert_eq!(ask(&world, "/").await.status, Some(200));
    }
    until_metric(&world, "goodgate_log_dropped_total", |it| it == 20.0).await;
    world.gateway.terminate();
    let ended = world.gateway.ended(SOON).await.unwrap();
    assert_eq!(ended.code(), Some(0));
}
