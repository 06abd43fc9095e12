//! The question over HTTP/2, and that of gRPC.

use super::ask::{Question, judged};
use super::{MOST_OF_BODY, USER_AGENT, protobuf};
use crate::grpc::{Call, status};
use crate::head::Head;
use crate::upstream::http2::{head, head_fault};
use crate::upstream::multiplex::{Under, Watched, Witness};
use crate::upstream::send_fault;
use crate::upstream::wire::Io;
use bytes::Bytes;
use exchange::{BodyFault, CheckFault, Fault, HeadFault, SendFault};
use h2::client::{Builder, Connection, SendRequest};
use h2::{Reason, RecvStream};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderMap, TE, USER_AGENT as AGENT};
use http::{Method, Request, Uri};
use std::future::{Future, pending};
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// What `h2` may read of a head before it ends the connection; a head above `limits.response_head` is
/// named up to there.
const MOST_OF_HEAD: u32 = 1024 * 1024;

/// How long the last words on a connection may take.
const FAREWELL: Duration = Duration::from_millis(250);

/// What passes under h2, seen from two places of one task.
#[derive(Clone)]
struct Seen(Arc<Mutex<Under>>);

impl Seen {
    fn with<T>(&self, look: impl FnOnce(&mut Under) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Witness for Seen {
    fn read(&self, new: &[u8]) {
        self.with(|it| it.read(new));
    }

    fn failed(&self, error: &io::Error) {
        self.with(|it| it.failed(error));
    }
}

/// One request on a connection of its own.
struct Talk {
    send: SendRequest<Bytes>,
    connection: Connection<Watched<Seen>, Bytes>,
    seen: Seen,
}

/// `GET`, and whether the status of the answer is good.
pub(super) async fn get(
    question: &mut Question<'_>,
    io: Io,
    path: &str,
    host: Option<&str>,
    good: (u16, u16),
) -> Result<(), CheckFault> {
    let path = format!("{}{path}", question.subject.target().base_path);
    let request = request(question, Method::GET, question.host(host), &path)?;
    let Talk { send, connection, seen } = open(question, io).await?;
    let told = async {
        let (head, body) = answer(question, send, request, None, &seen).await?;
        question.decided();
        question.heard(&head.fields);
        let _ = question.within(question.end(), read(body, MOST_OF_BODY)).await;
        judged(head.status, good)
    };
    talk(connection, told).await
}

/// `grpc.health.v1.Health/Check`
/// (<https://github.com/grpc/grpc/blob/master/doc/health-checking.md>).
pub(super) async fn call(
    question: &mut Question<'_>,
    io: Io,
    service: &str,
) -> Result<(), CheckFault> {
    let path = format!("{}/grpc.health.v1.Health/Check", question.subject.target().base_path);
    let mut request = request(question, Method::POST, question.host(None), &path)?;
    let millis = question.subject.health.timeout.as_millis().min(99_999_999);
    for (name, value) in [
        (CONTENT_TYPE, "application/grpc"),
        (TE, "trailers"),
        (http::HeaderName::from_static("grpc-timeout"), &format!("{millis}m")),
    ] {
        request.headers_mut().insert(name, value.parse().map_err(|_| malformed())?);
    }
    let Talk { send, connection, seen } = open(question, io).await?;
    let asked = protobuf::request(service);
    let told = async {
        let (head, body) = answer(question, send, request, Some(asked), &seen).await?;
        if let Some(fault) = Call::mismatch(&head) {
            return Err(CheckFault::Way(Fault::Head(fault)));
        }
        if let Some(code) = status::given(&head.fields) {
            return outcome(code, &[]);
        }
        let message = question.within(question.end(), read(body, MOST_OF_BODY)).await;
        let Some(message) = message else {
            return Err(CheckFault::Way(Fault::Body(BodyFault::Stalled(question.whole()))));
        };
        let (message, trailers) = message.map_err(|it| CheckFault::Way(Fault::Body(it)))?;
        match status::given(&trailers) {
            Some(code) => outcome(code, &message),
            None => Err(CheckFault::Way(Fault::Body(BodyFault::NoGrpcStatus))),
        }
    };
    talk(connection, told).await
}

/// What a call came to, by its status (statuscodes.md of gRPC) and its message.
fn outcome(code: u32, message: &[u8]) -> Result<(), CheckFault> {
    match code {
        0 => match protobuf::serving(message) {
            Some(protobuf::SERVING) => Ok(()),
            Some(protobuf::SERVICE_UNKNOWN) => Err(CheckFault::UnknownService),
            Some(_) => Err(CheckFault::NotServing),
            None => Err(CheckFault::NoAnswer),
        },
        5 => Err(CheckFault::UnknownService),
        status::UNIMPLEMENTED => Err(CheckFault::NoHealthService),
        other => Err(CheckFault::Grpc(other)),
    }
}

fn request(
    question: &Question<'_>,
    method: Method,
    host: &str,
    path: &str,
) -> Result<Request<()>, CheckFault> {
    let scheme = if question.subject.target().tls { "https" } else { "http" };
    let uri = Uri::builder().scheme(scheme).authority(host).path_and_query(path).build();
    let request = Request::builder()
        .method(method)
        .uri(uri.map_err(|_| malformed())?)
        .header(AGENT, USER_AGENT)
        .header(ACCEPT, "*/*");
    request.body(()).map_err(|_| malformed())
}

/// A request that cannot be put into HTTP/2, of words that a configuration can hold.
fn malformed() -> CheckFault {
    CheckFault::Way(Fault::Send(SendFault::Errno))
}

async fn open(question: &mut Question<'_>, io: Io) -> Result<Talk, CheckFault> {
    let head_limit = question.subject.limits.response_head;
    let seen = Seen(Arc::new(Mutex::new(Under { head_limit, ..Under::default() })));
    let mut builder = Builder::new();
    builder.enable_push(false).max_header_list_size(MOST_OF_HEAD);
    let shaking = builder.handshake(Watched { io, seen: seen.clone() });
    match question.within(question.end(), shaking).await {
        Some(Ok((send, connection))) => Ok(Talk { send, connection, seen }),
        Some(Err(error)) => {
            let error = error.into_io().unwrap_or_else(|| io::ErrorKind::BrokenPipe.into());
            question.note(&error);
            Err(CheckFault::Way(Fault::Send(send_fault(&error))))
        }
        None => Err(CheckFault::Way(Fault::Send(SendFault::TimedOut(question.whole())))),
    }
}

/// Talks while the connection's frames move, and lets it say goodbye. Whoever talks limits the time.
async fn talk(
    connection: Connection<Watched<Seen>, Bytes>,
    talking: impl Future<Output = Result<(), CheckFault>>,
) -> Result<(), CheckFault> {
    let mut connection = pin!(connection);
    let drive = async {
        // Whoever talks is told how it ended.
        let _ = connection.as_mut().await;
        pending().await
    };
    let told = tokio::select! {
        biased;
        told = talking => told,
        told = drive => told,
    };
    let _ = tokio::time::timeout(FAREWELL, connection).await;
    told
}

/// Sends the request and reads the head of its answer.
async fn answer(
    question: &mut Question<'_>,
    send: SendRequest<Bytes>,
    request: Request<()>,
    message: Option<Bytes>,
    seen: &Seen,
) -> Result<(Head, RecvStream), CheckFault> {
    let asked = async {
        let mut send = send.ready().await?;
        let (response, mut stream) = send.send_request(request, message.is_none())?;
        if let Some(message) = message {
            stream.send_data(message, true)?;
        }
        response.await
    };
    let limit = question.whole();
    let answered = question.within(question.end(), asked).await;
    let (parts, body) = match answered {
        Some(Ok(response)) => response.into_parts(),
        Some(Err(error)) => {
            question.attempt.errno = seen.with(|it| it.errno);
            return Err(CheckFault::Way(seen.with(|it| head_fault(&error, it))));
        }
        None => return Err(CheckFault::Way(Fault::Head(HeadFault::TimedOut(limit)))),
    };
    let over = body.is_end_stream();
    let head = head(parts.status.as_u16(), parts.headers, over, &question.subject.limits);
    head.map(|head| (head, body)).map_err(|it| CheckFault::Way(Fault::Head(it)))
}

/// The body as far as `most`, and what stands after it.
async fn read(mut body: RecvStream, most: u64) -> Result<(Vec<u8>, HeaderMap), BodyFault> {
    let fault = |error: h2::Error| match error.reason() {
        Some(reason) if error.is_remote() => BodyFault::StreamReset(reason.into()),
        Some(reason) => BodyFault::Http2(reason.into()),
        None => BodyFault::StreamCut,
    };
    let mut all = Vec::new();
    while let Some(data) = body.data().await {
        let data = data.map_err(fault)?;
        body.flow_control().release_capacity(data.len()).map_err(fault)?;
        all.extend_from_slice(&data);
        if most < all.len() as u64 {
            return Err(BodyFault::Http2(Reason::CANCEL.into()));
        }
    }
    let trailers = body.trailers().await.map_err(fault)?;
    Ok((all, trailers.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_good_only_where_its_message_says_serving() {
        let check = |code, message: &[u8], expected: Option<CheckFault>| {
            assert_eq!(outcome(code, message).err(), expected, "{code} {message:?}");
        };
        check(0, &[0, 0, 0, 0, 2, 8, 1], None);
        check(0, &[0, 0, 0, 0, 2, 8, 2], Some(CheckFault::NotServing));
        // UNKNOWN is 0, which is left out.
        check(0, &[0, 0, 0, 0, 0], Some(CheckFault::NotServing));
        check(0, &[0, 0, 0, 0, 2, 8, 3], Some(CheckFault::UnknownService));
        check(0, &[], Some(CheckFault::NoAnswer));
        check(5, &[], Some(CheckFault::UnknownService));
        check(12, &[], Some(CheckFault::NoHealthService));
        check(14, &[0, 0, 0, 0, 2, 8, 1], Some(CheckFault::Grpc(14)));
    }
}
