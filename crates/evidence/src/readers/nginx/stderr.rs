//! What a FastCGI app wrote to its standard error: `FastCGI sent in stderr: "PHP message: …"`.
//!
//! The words are the app's, and an app may repeat what a caller sent: only how a message begins is
//! looked at.

use super::message::Said;
use crate::product::Product;
use crate::reader::{number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

const BEFORE: &str = "FastCGI sent in stderr: \"";

pub(super) fn read(own: &str) -> Option<Said<'_>> {
    let text = own.strip_prefix(BEFORE)?;
    if text.starts_with("Primary script unknown\"") {
        let end = BEFORE.len() + "Primary script unknown".len();
        return Some(Said::new(Sign::RouteWrong, BEFORE.len()..end).product(Product::PhpFpm));
    }
    if text.starts_with("Unable to open primary script: ") {
        let end = BEFORE.len() + "Unable to open primary script".len();
        return Some(Said::new(Sign::RouteWrong, BEFORE.len()..end).product(Product::PhpFpm));
    }
    let text = text.split("\" while ").next().unwrap_or(text);
    // Notices often stand before the error that ended the script.
    let fatal = text.split("PHP message: ").find_map(|it| {
        let it = it.strip_prefix("PHP ").unwrap_or(it);
        Some(it.strip_prefix("Fatal error:")?.trim_start())
    })?;
    let (sign, words, count) = fatal_sign(fatal);
    let span = span_of(own, words);
    let detail = fatal.split(" in /").next().unwrap_or(fatal);
    let detail = detail.split("; PHP message").next().unwrap_or(detail).trim_end();
    let detail = if sign == Sign::UnhandledException { detail } else { words };
    Some(
        Said::new(sign, span)
            .product(Product::Php)
            .trust(Trust::D)
            .number(count)
            .detail(Some(crate::scan::clip(detail, 200))),
    )
}

fn fatal_sign(fatal: &str) -> (Sign, &str, Option<i64>) {
    let head = |words: &str| &fatal[..words.len().min(fatal.len())];
    if let Some(rest) = fatal.strip_prefix("Allowed memory size of ") {
        let end = fatal.find(" exhausted").map_or(fatal.len(), |at| at + " exhausted".len());
        return (Sign::HeapExhausted, &fatal[..end], number(rest));
    }
    if let Some(rest) = fatal.strip_prefix("Maximum execution time of ") {
        let end = fatal.find(" exceeded").map_or(fatal.len(), |at| at + " exceeded".len());
        let limit = number(rest).and_then(|it| it.checked_mul(1000));
        return (Sign::RequestSlow, &fatal[..end], limit);
    }
    const DATABASE: [(&str, Sign); 7] = [
        ("SQLSTATE[HY000] [2002] Connection refused", Sign::DbRefused),
        ("SQLSTATE[HY000] [2002] No such file or directory", Sign::DbRefused),
        ("SQLSTATE[HY000] [2002] php_network_getaddresses", Sign::DbNameUnknown),
        ("SQLSTATE[HY000] [2002] Connection timed out", Sign::DbRefused),
        ("SQLSTATE[HY000] [1045] Access denied", Sign::DbAuthFailed),
        ("SQLSTATE[HY000] [1040] Too many connections", Sign::DbTooManyClients),
        ("SQLSTATE[08004] [1040] Too many connections", Sign::DbTooManyClients),
    ];
    if let Some(thrown) = fatal.strip_prefix("Uncaught ") {
        let (class, text) = thrown.split_once(": ").unwrap_or((thrown, ""));
        let named = DATABASE.iter().find(|(it, _)| text.starts_with(it));
        if let Some((words, sign)) = named.filter(|_| !class.contains(' ')) {
            return (*sign, &text[..words.len()], None);
        }
    }
    (Sign::UnhandledException, head("Uncaught"), None)
}
