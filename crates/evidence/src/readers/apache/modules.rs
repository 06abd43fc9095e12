//! What the modules say that reach apps: FastCGI, AJP, mod_wsgi, mod_fcgid and CGI.

use super::Code;
use super::error::{Parts, Said, connect_sign, new, waiting_sign, words};
use crate::product::Product;
use crate::reader::{between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) fn read<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    wsgi(parts).or_else(|| fcgid(parts)).or_else(|| proxy_fcgi(parts)).or_else(|| cgi(parts))
}

/// mod_wsgi.c. The process is named, and is the app.
fn wsgi<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    const TABLE: [(&str, Sign); 5] = [
        ("Timeout when reading response headers from daemon process", Sign::HeadTimedOut),
        ("Truncated or oversized response headers received from daemon process", Sign::Closed),
        ("Daemon process closed connection", Sign::Closed),
        ("Queue timeout expired for WSGI daemon process", Sign::QueueTimedOut),
        ("Unable to connect to WSGI daemon process", Sign::ConnectFailed),
    ];
    let text = match parts.message.strip_prefix("mod_wsgi (pid=") {
        Some(rest) => rest.split_once("): ")?.1,
        None => parts.message,
    };
    if let Some((known, sign)) = TABLE.iter().find(|(it, _)| text.starts_with(it)) {
        let name = between(text, "'", "'");
        let sign = match sign {
            Sign::ConnectFailed if text.contains("as listener backlog limit was exceeded") => {
                Sign::SocketBacklogFull
            }
            Sign::ConnectFailed => connect_sign(parts.code, true),
            other => *other,
        };
        return Some(Said { upstream: name, ..new(sign, &text[..known.len()]) });
    }
    let sign = match text {
        it if it.contains("Exception occurred processing WSGI script") => Sign::UnhandledException,
        it if it.contains("cannot be loaded as Python module") => Sign::BootFailed,
        _ => return None,
    };
    let told = parts.message.starts_with("mod_wsgi (pid=");
    let (start, known) =
        ["Exception occurred processing WSGI script", "cannot be loaded as Python module"]
            .iter()
            .find_map(|it| Some((text.find(it)?, *it)))?;
    told.then(|| Said { product: Product::Python, ..new(sign, &text[start..start + known.len()]) })
}

fn fcgid<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    let text = parts.message.strip_prefix("mod_fcgid: ")?;
    const TABLE: [(&str, Sign); 6] = [
        ("read data timeout in ", Sign::HeadTimedOut),
        ("error reading data from FastCGI server", Sign::Disconnected),
        ("error reading data, FastCGI server closed connection", Sign::Closed),
        ("can't apply process slot for ", Sign::PoolExhausted),
        ("HTTP request length ", Sign::ClientBodyTooLarge),
        ("ap_pass_brigade failed", Sign::ClientClosed),
    ];
    let (known, sign) = TABLE.iter().find(|(it, _)| text.starts_with(it))?;
    let count = number(&text[known.len()..]);
    let sign = match sign {
        Sign::Disconnected => waiting_sign(parts.code),
        other => *other,
    };
    let number = match sign {
        Sign::HeadTimedOut => count.and_then(|it| it.checked_mul(1000)),
        _ => count,
    };
    Some(Said { number, ..new(sign, text[..known.len()].trim_end()) })
}

/// mod_proxy_fcgi.c and mod_proxy_ajp.c.
fn proxy_fcgi<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    let text = parts.message;
    if let Some(rest) = text.strip_prefix("Error dispatching request to ") {
        let address = rest.split([' ', ',']).next().map(|it| it.trim_end_matches(':'));
        let sign = waiting_sign(parts.code);
        let said = new(sign, &text[.."Error dispatching request to".len()]);
        return Some(Said { upstream: address.filter(|it| !it.is_empty()), ..said });
    }
    if let Some(rest) = text.strip_prefix("Got error '") {
        return app_error(rest);
    }
    if parts.module.starts_with("php") {
        return app_error(text);
    }
    if let Some(rest) = text.strip_prefix("read response failed from ") {
        let address = rest.split(' ').next();
        let said = new(waiting_sign(parts.code), &text[.."read response failed from".len()]);
        return Some(Said { upstream: address, ..said });
    }
    const TABLE: [(&str, Sign); 11] = [
        ("Failed to read FastCGI header", Sign::Disconnected),
        ("ajp_ilink_receive() can't receive header", Sign::Disconnected),
        ("ajp_read_header: ajp_ilink_receive failed", Sign::Disconnected),
        ("ajp_ilink_receive() received bad header", Sign::ProtocolError),
        ("ajp_send_header: ajp_ilink_send failed", Sign::SendBroken),
        ("request failed to ", Sign::SendBroken),
        ("cping/cpong failed to ", Sign::HeadTimedOut),
        ("Got bogus version ", Sign::FastCgiMismatch),
        ("Got bogus rid ", Sign::FastCgiMismatch),
        ("Error parsing script headers", Sign::HeaderBad),
        ("ajp_msg_check_header() got bad signature", Sign::ProtocolError),
    ];
    let (known, sign) = TABLE.iter().find(|(it, _)| text.starts_with(it))?;
    let sign = match sign {
        Sign::Disconnected => waiting_sign(parts.code),
        other => *other,
    };
    let count = number(&text[known.len()..]).filter(|_| sign == Sign::FastCgiMismatch);
    Some(Said { number: count, ..new(sign, text[..known.len()].trim_end()) })
}

/// `Got error 'PHP message: PHP Fatal error:  …'`: words of the app, known by how they begin.
fn app_error(text: &str) -> Option<Said<'_>> {
    if text.starts_with("Primary script unknown") {
        let said = new(Sign::RouteWrong, &text[.."Primary script unknown".len()]);
        return Some(Said { product: Product::PhpFpm, ..said });
    }
    let fatal = text.split("PHP message: ").find_map(|it| it.strip_prefix("PHP Fatal error:"))?;
    let fatal = fatal.trim_start();
    let (sign, end) = if fatal.starts_with("Allowed memory size of ") {
        (Sign::HeapExhausted, " exhausted")
    } else if fatal.starts_with("Maximum execution time of ") {
        (Sign::RequestSlow, " exceeded")
    } else {
        (Sign::UnhandledException, "Uncaught")
    };
    let text = words(fatal, end)?;
    let whole = &fatal[..span_of(fatal, text).end];
    let detail = fatal.split([';', '\\']).next().unwrap_or(fatal);
    let count = fatal.find(" of ").and_then(|at| number(&fatal[at + 4..]));
    let number = match sign {
        Sign::HeapExhausted => count,
        Sign::RequestSlow => count.and_then(|it| it.checked_mul(1000)),
        _ => None,
    };
    let whole = if sign == Sign::UnhandledException { text } else { whole };
    Some(Said {
        product: Product::Php,
        trust: Trust::D,
        detail: Some(crate::scan::clip(detail, 200)),
        number,
        ..new(sign, whole)
    })
}

fn cgi<'a>(parts: &Parts<'a>) -> Option<Said<'a>> {
    const TABLE: [(&str, Sign); 4] = [
        ("Script timed out before returning headers", Sign::HeadTimedOut),
        ("Premature end of script headers", Sign::Closed),
        ("End of script output before headers", Sign::Closed),
        ("premature end of script headers", Sign::Closed),
    ];
    let (known, sign) = TABLE.iter().find(|(it, _)| parts.message.starts_with(it))?;
    let name = parts.message.split_once(": ").map(|(_, it)| it);
    // A time-out of the system, where the number says so.
    let sign = match parts.code {
        Some(Code::System(70007)) => Sign::HeadTimedOut,
        _ => *sign,
    };
    Some(Said { detail: name, ..new(sign, &parts.message[..known.len()]) })
}
