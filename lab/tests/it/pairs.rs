//! The same faults over each pair of protocols: what a caller is told does not depend on them.

use crate::http3::{self, Door};
use crate::peer::{body, connect, get};
use crate::world::{SOON, world_with};
use lab::client::request_for;
use lab::frames::{STATUS_200, field, frame, read_head, settings};
use lab::scene::Ask;
use lab::stage;
use std::io;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What an upstream does with a request that it has read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Nobody,
    Close,
    Reset,
    Silence,
    Own500,
    CutBody,
    ShortBody,
    ShortLargeBody,
    StalledBody,
    StalledShortBody,
    ResetInBody,
}

/// Status, cause, and whether the answer breaks off.
const TABLE: &[(Fault, u16, &str, bool)] = &[
    (Fault::Nobody, 502, "process_down", false),
    (Fault::Close, 502, "premature_close", false),
    (Fault::Reset, 502, "connection_reset", false),
    (Fault::Silence, 504, "response_header_timeout", false),
    (Fault::Own500, 500, "upstream_own_5xx", false),
    (Fault::CutBody, 200, "response_truncated", true),
    // What is small is held back until it is whole, and explained where it does not become so.
    (Fault::ShortBody, 502, "content_length_short", false),
    (Fault::StalledShortBody, 504, "body_stall", false),
    (Fault::ShortLargeBody, 200, "content_length_short", true),
    (Fault::StalledBody, 200, "body_stall", true),
    (Fault::ResetInBody, 200, "response_truncated", true),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
    /// From clients alone.
    Three,
}

async fn play(mut stream: TcpStream, fault: Fault, version: Version) -> io::Result<()> {
    let two = version == Version::Two;
    if two {
        stream.write_all(&settings()).await?;
        read_head(&mut stream, true).await?;
    } else {
        stage::read_request(&mut stream).await?;
    }
    let open = |length: Option<&str>| match (two, length) {
        (true, None) => frame(1, 4, 1, STATUS_200),
        (true, Some(length)) => {
            frame(1, 4, 1, &[STATUS_200, &field("content-length", length)].concat())
        }
        (false, None) => b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec(),
        (false, Some(length)) => {
            format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n").into_bytes()
        }
    };
    let some = |chunked: bool| match (two, chunked) {
        (true, _) => frame(0, 0, 1, b"four"),
        (false, true) => b"4\r\nfour\r\n".to_vec(),
        (false, false) => b"four".to_vec(),
    };
    let answer = match fault {
        Fault::Nobody | Fault::Close | Fault::Reset | Fault::Silence => Vec::new(),
        // `:status: 500` of the static table.
        Fault::Own500 if two => frame(1, 5, 1, &[0x8e]),
        Fault::Own500 => b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n".to_vec(),
        Fault::ShortBody | Fault::StalledShortBody => [open(Some("9")), some(false)].concat(),
        Fault::ShortLargeBody => [open(Some("99999")), some(false)].concat(),
        Fault::CutBody | Fault::StalledBody | Fault::ResetInBody => {
            [open(None), some(true)].concat()
        }
    };
    stream.write_all(&answer).await?;
    match fault {
        // It is asked again on the same connection, which is well.
        Fault::StalledShortBody if two => {
            while let Some(id) = read_head(&mut stream, false).await? {
                let head = [STATUS_200, &field("content-length", "9")].concat();
                let again = [frame(1, 4, id, &head), frame(0, 0, id, b"four")].concat();
                stream.write_all(&again).await?;
            }
            Ok(())
        }
        Fault::Silence | Fault::StalledBody | Fault::StalledShortBody => stage::stay(stream).await,
        Fault::Reset => stage::reset(stream),
        Fault::ResetInBody => {
            // What came must not be overtaken by what ends it.
            tokio::time::sleep(stage::BETWEEN_PARTS).await;
            stage::reset(stream)
        }
        // Head, data and end at once: what came before the end must not be lost with it.
        _ => stage::end(stream).await,
    }
}

/// One route to an upstream that speaks so.
fn config(fault: Fault, version: Version) -> String {
    let scheme = if version == Version::Two { "h2c" } else { "http" };
    let url = match fault {
        Fault::Nobody => format!("{scheme}://127.0.0.1:{}", stage::free_port().expect("a port")),
        _ => format!("{scheme}://{{addr}}"),
    };
    format!(
        "[upstream.app]\ntargets = [\"{url}\"]\n# {{addr}}\n\
         timeout = {{ first_byte = \"150ms\", idle = \"150ms\" }}\n\
         [route.app]\nmatch = \"/*\"\nto = \"app\"\n"
    )
}

/// Status, whether the answer broke off, and the record.
async fn ask(client: Version, upstream: Version, fault: Fault) -> (u16, bool, serde_json::Value) {
    let config = config(fault, upstream);
    let talk = move |stream| play(stream, fault, upstream);
    let (world, status, cut) = match client {
        Version::One => {
            let world = world_with(&config, talk).await;
            let mut client = world.gateway.client().await.expect("the test can go on");
            let request = request_for("/", Ask::Get);
            let answer = timeout(SOON, client.exchange(&request)).await.expect("an answer in time");
            (world, answer.status.unwrap_or_default(), answer.cut())
        }
        Version::Two => {
            let world = world_with(&config, talk).await;
            let mut send = connect(world.gateway.listen).await;
            let answer = get(&mut send, "/").await;
            let status = answer.status().as_u16();
            (world, status, body(answer.into_body()).await.is_err())
        }
        Version::Three => {
            let door =
                Door::with(&format!("pairs-{fault:?}-{upstream:?}"), "", &config, talk).await;
            let mut send = door.client().await;
            let mut stream = http3::asked(&mut send, "/").await;
            let status = http3::answer(&mut stream).await.status().as_u16();
            let cut = http3::body(&mut stream).await.is_err();
            (door.world, status, cut)
        }
    };
    let record = world.gateway.records_soon(1).await[0].clone();
    (status, cut, record)
}

async fn check(client: Version, upstream: Version) {
    for (fault, status, cause, cut) in TABLE {
        let (said, broke, record) = ask(client, upstream, *fault).await;
        let about = format!("{client:?} to {upstream:?}, {fault:?}: {record}");
        assert_eq!((said, broke), (*status, *cut), "{about}");
        // What a cut body of chunks is called differs with its framing alone.
        let named = record["cause"].as_str().unwrap_or_default();
        let by_chunk = *fault == Fault::CutBody && upstream == Version::One;
        assert_eq!(named, if by_chunk { "truncated_chunk" } else { cause }, "{about}");
    }
}

#[tokio::test]
async fn http_1_to_http_1() {
    check(Version::One, Version::One).await;
}

#[tokio::test]
async fn http_1_to_http_2() {
    check(Version::One, Version::Two).await;
}

#[tokio::test]
async fn http_2_to_http_1() {
    check(Version::Two, Version::One).await;
}

#[tokio::test]
async fn http_2_to_http_2() {
    check(Version::Two, Version::Two).await;
}

#[tokio::test]
async fn http_3_to_http_1() {
    check(Version::Three, Version::One).await;
}

#[tokio::test]
async fn http_3_to_http_2() {
    check(Version::Three, Version::Two).await;
}
