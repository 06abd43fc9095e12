//! What callers have in their hands: answers as text, error pages, and the words of curl, wget,
//! browsers and HTTP clients.

mod page;
mod response;
mod tool;

pub(super) use page::{PAGE, PLAIN_TO_TLS, SERVER};
pub(super) use response::{HEADER, STATUS};
pub(super) use tool::{BROWSER, CURL, LOOP, PROXY, WGET};
