//! HAProxy: its lines of requests (httplog, tcplog, httpslog), what it says of servers and of itself,
//! and what it answers to `show stat` and `show errors`.

mod captured;
mod events;
mod requests;
mod stats;

pub(super) use captured::CAPTURED;
pub(super) use events::EVENTS;
pub(super) use requests::REQUESTS;
pub(super) use stats::STATS;

/// What stands behind `haproxy[123]: `, where it stands at all.
fn message(text: &str) -> &str {
    const AT_MOST: usize = 160;
    let window = &text.as_bytes()[..text.len().min(AT_MOST)];
    let Some(at) = memchr::memmem::find(window, b"haproxy[") else { return text };
    // Time and host stand before it; behind a quote, a bracket or a user it is what a caller sent.
    let lead = &text[..at];
    if lead.contains(['"', '[', '{']) || lead.contains(" - ") {
        return text;
    }
    let rest = &text[at + "haproxy[".len()..];
    let width = rest.bytes().take_while(u8::is_ascii_digit).count();
    rest[width..].strip_prefix("]: ").filter(|_| width > 0).unwrap_or(text)
}

#[cfg(test)]
mod tests;
