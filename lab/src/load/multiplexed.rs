//! Clients of HTTP/2: several requests at a time on one connection.

use super::{BREATHER, Goal, Loss, PATIENCE, Shared};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

/// One connection after the other, each for as long as it takes requests.
pub(super) async fn run(goal: Goal, streams: usize, gap: Duration, mut shared: Shared) {
    while shared.goes_on() {
        let began = Instant::now();
        let opened = timeout(PATIENCE, open(&goal)).await.unwrap_or(Err(Loss::Silent));
        let (send, connection) = match opened {
            Ok(opened) => opened,
            Err(loss) => {
                shared.tally().add(Err(loss), began.elapsed());
                shared.rest(BREATHER).await;
                continue;
            }
        };
        let mut asking = JoinSet::new();
        for _ in 0..streams {
            asking.spawn(ask_again(send.clone(), gap, shared.clone()));
        }
        drop(send);
        while asking.join_next().await.is_some() {}
        // What was asked is answered or lost; the connection has nothing more to do.
        connection.abort();
    }
}

async fn open(goal: &Goal) -> Result<(SendRequest<Bytes>, tokio::task::JoinHandle<()>), Loss> {
    let stream = goal.stream().await?;
    let (send, connection) = h2::client::handshake(stream).await.map_err(|_| Loss::Closed)?;
    let driven = tokio::spawn(async move {
        // How it ended is seen by those who ask on it.
        drop(connection.await);
    });
    Ok((send, driven))
}

/// Asks until the connection takes no more.
async fn ask_again(send: SendRequest<Bytes>, gap: Duration, mut shared: Shared) {
    while shared.goes_on() {
        let began = Instant::now();
        match timeout(PATIENCE, ask(send.clone())).await.unwrap_or(Err(Some(Loss::Silent))) {
            Ok(status) => {
                shared.tally().add(Ok(status), began.elapsed());
                if !gap.is_zero() {
                    shared.rest(gap).await;
                }
            }
            // Nothing was asked: the connection had ended or was told to.
            Err(None) => return,
            Err(Some(loss)) => {
                shared.tally().add(Err(loss), began.elapsed());
                return;
            }
        }
    }
}

async fn ask(send: SendRequest<Bytes>) -> Result<u16, Option<Loss>> {
    let request = Request::get("http://lab.test/load").body(()).map_err(|_| None)?;
    let mut send = send.ready().await.map_err(|_| None)?;
    let (answer, _) = send.send_request(request, true).map_err(|_| None)?;
    let answer = answer.await.map_err(|it| Some(why(&it)))?;
    let status = answer.status().as_u16();
    let mut body = answer.into_body();
    while let Some(data) = body.data().await {
        let data = data.map_err(|_| Some(Loss::Cut))?;
        body.flow_control().release_capacity(data.len()).map_err(|_| Some(Loss::Strange))?;
    }
    Ok(status)
}

/// Why a request that was sent has no answer.
fn why(error: &h2::Error) -> Loss {
    match () {
        // It was on its way when the server said that it takes no more.
        () if error.is_go_away() && error.is_remote() => Loss::Raced,
        () if error.is_reset() => Loss::Reset,
        () => Loss::Closed,
    }
}
