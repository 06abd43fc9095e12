//! Lambda: the platform's lines around each invocation, and answers of functions that a balancer or
//! an API gateway refuses.

use crate::clock;
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::readers::flat::Flat;
use crate::sign::Sign;
use crate::trust::Trust;
use std::ops::Range;

pub(in crate::readers) const LOG: Reader = Reader {
    name: "AWS Lambda log",
    product: Product::AwsLambda,
    hooks: &[
        "Task timed out after ",
        "REPORT RequestId",
        "Runtime.",
        "Runtime exited",
        "\"errorType\"",
        "Unable to import module",
        "RequestId: ",
    ],
    fits: |line| {
        let text = &*line.text;
        let frame = ["START RequestId: ", "END RequestId: ", "INIT_START Runtime Version: "];
        frame.iter().any(|it| text.starts_with(it))
            || event(text).is_some()
            || report(line).is_some()
    },
    read,
    source: "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-view.html; \
             https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html",
    example: "2026-11-20T15:16:30.123Z b5b3a1f0-1111-4222-8333-444455556666 Task timed out after 3.00 \
              seconds",
};

/// What a function returned: `{"statusCode": 301, "statusDescription": null, …}`.
pub(in crate::readers) const ANSWER: Reader = Reader {
    name: "answer of a Lambda function",
    product: Product::AwsLambda,
    hooks: &[
        "\"statusCode\"",
        "\"statusDescription\"",
        "\"isBase64Encoded\"",
        "\"body\": {",
        "\"body\": [",
    ],
    fits: |line| answer(line).is_some(),
    read: |line, sink| {
        let Some((span, why)) = answer(line) else { return };
        let event = Event::new(Product::AwsLambda, Sign::LambdaMalformed, Trust::D, span);
        sink.event(event.detail(Some(why)));
    },
    source: "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html\
             #respond-to-load-balancer; https://docs.aws.amazon.com/apigateway/latest/developerguide/\
             set-up-lambda-proxy-integrations.html",
    example: "{\"statusCode\": 200, \"headers\": {}, \"body\": {\"ok\": true}, \"isBase64Encoded\": false}",
};

fn read(line: &Line, sink: &mut dyn Sink) {
    let text = &*line.text;
    let at = clock::iso(text).map(|(it, _)| it);
    if let Some(it) = event(text) {
        return sink.event(it.at(at));
    }
    let Some(it) = report(line) else { return };
    // All of its memory was used: the platform ended it, or it was about to.
    if it.size <= it.used {
        let event =
            Event::new(Product::AwsLambda, Sign::OomKilled, Trust::B, span_of(text, it.words));
        sink.event(event.number(Some(it.size.saturating_mul(1 << 20))));
    }
    if let Some(words) = it.status {
        let sign =
            if words.ends_with("timeout") { Sign::WorkerTimedOut } else { Sign::LambdaFailed };
        sink.event(Event::new(Product::AwsLambda, sign, Trust::B, span_of(text, words)));
    }
}

/// The platform's sentence after time and id, which are taken off in front.
fn event(text: &str) -> Option<Event<'_>> {
    let bare = behind_id(text, "Task timed out after ").unwrap_or_else(|| after_ids(text));
    let make = |sign, trust, words: &str| {
        Event::new(Product::AwsLambda, sign, trust, span_of(text, words))
    };
    if let Some(rest) = bare.strip_prefix("Task timed out after ") {
        let seconds = rest.split(' ').next()?;
        let limit: f64 = seconds.parse().ok().filter(|it| (0.0..1e6).contains(it))?;
        let length = "Task timed out after ".len() + seconds.len() + " seconds".len();
        let words = crate::scan::clip(bare, length);
        return Some(
            make(Sign::WorkerTimedOut, Trust::B, words).number(Some((limit * 1e3) as i64)),
        );
    }
    if let Some(rest) = bare
        .strip_prefix("Error: Runtime exited with error: ")
        .or_else(|| bare.strip_prefix("Error Runtime exited with error: "))
        .or_else(|| bare.strip_prefix("Runtime exited with error: "))
    {
        let words = bare.split(" Runtime.").next().unwrap_or(bare).trim_end_matches(['"', '}']);
        return Some(match rest {
            it if it.starts_with("signal: killed") => {
                make(Sign::ProcessKilled, Trust::B, words).number(Some(9))
            }
            it if it.starts_with("signal: ") => make(Sign::ProcessKilled, Trust::B, words),
            it => {
                let code = it.strip_prefix("exit status ").and_then(number);
                make(Sign::ProcessExited, Trust::B, words).number(code)
            }
        });
    }
    if bare.starts_with("Runtime exited without providing a reason") {
        return Some(make(Sign::ProcessExited, Trust::B, crate::scan::clip(bare, 41)));
    }
    let level = bare.strip_prefix("[ERROR] ").unwrap_or(bare);
    if level.starts_with("Runtime.ImportModuleError: ")
        || level.starts_with("Unable to import module")
    {
        let detail = level.rsplit_once("': ").map(|(_, it)| it.split('\n').next().unwrap_or(it));
        return Some(make(Sign::BootFailed, Trust::D, level).detail(detail));
    }
    if level.starts_with("Runtime.HandlerNotFound")
        || level.starts_with("Runtime.UserCodeSyntaxError")
    {
        return Some(make(Sign::BootFailed, Trust::D, level));
    }
    // `START RequestId: … [ERROR] KeyError: 'x'` is an app's own; the JSON form is the runtime's.
    let json = &bare[bare.find('{')?..];
    let before = &bare[..bare.len() - json.len()];
    let runtime = before.is_empty()
        || before.contains("Invoke Error")
        || before.contains("Uncaught Exception");
    let flat = Flat::of(json).filter(|_| runtime && before.len() < 120)?;
    let kind = flat.text("errorType")?;
    let message = flat.any(&["errorMessage"]).unwrap_or("");
    let (sign, words) = match kind {
        "Runtime.ImportModuleError" | "Runtime.HandlerNotFound" | "Runtime.UserCodeSyntaxError" => {
            (Sign::BootFailed, message)
        }
        "Runtime.ExitError" if message.contains("signal: killed") => (Sign::ProcessKilled, message),
        "Runtime.ExitError" => (Sign::ProcessExited, message),
        _ if message.contains("Task timed out after ") => (Sign::WorkerTimedOut, message),
        _ => (Sign::UnhandledException, kind),
    };
    let detail = if sign == Sign::UnhandledException { kind } else { message };
    Some(make(sign, Trust::D, words).detail(Some(detail)))
}

/// Without `TIME ID `, `[ERROR] TIME\tID\t`, `RequestId: ID ` in front.
fn behind_id<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let at = text.find(words)?;
    let id = text[..at].trim_end_matches([' ', '\t']).rsplit([' ', '\t']).next()?;
    let is_id = id.len() == 36 && id.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-');
    (is_id && at < 200).then(|| &text[at..])
}

fn after_ids(text: &str) -> &str {
    let mut rest = text;
    for _ in 0..6 {
        let before = rest.len();
        if let Some((_, end)) = clock::iso(rest) {
            rest = &rest[end..];
        }
        rest = rest.trim_start_matches([' ', '\t']);
        rest = rest.strip_prefix("RequestId: ").unwrap_or(rest);
        let word = rest.split([' ', '\t']).next().unwrap_or("");
        if word.len() == 36 && word.bytes().all(|it| it.is_ascii_hexdigit() || it == b'-') {
            rest = &rest[word.len()..];
        }
        rest = rest.strip_prefix("ERROR\t").unwrap_or(rest);
        if rest.len() == before {
            break;
        }
    }
    rest
}

struct Report<'a> {
    /// In MB.
    size: i64,
    used: i64,
    words: &'a str,
    status: Option<&'a str>,
}

/// `REPORT RequestId: … Memory Size: 128 MB Max Memory Used: 39 MB Status: timeout`.
fn report<'l>(line: &'l Line) -> Option<Report<'l>> {
    let text = &*line.text;
    // Behind a time it looks like a host's name and a process's.
    let rest = match line.ident.as_deref() {
        Some("RequestId") => text,
        _ => after_ids(text).strip_prefix("REPORT RequestId")?,
    };
    let size = number(between(rest, "Memory Size: ", " MB")?)?;
    let start = rest.find("Max Memory Used: ")?;
    let words = &rest[start..];
    let words = &words[..words.find(" MB").map_or(words.len(), |at| at + 3)];
    let used = number(&words["Max Memory Used: ".len()..])?;
    let status = rest.find("Status: ").map(|at| &rest[at..]);
    let status = status.and_then(|it| it.split(['\t', '\n']).next()).map(str::trim_end);
    let status = status.filter(|it| it.ends_with("timeout") || it.ends_with("error"));
    Some(Report { size, used, words, status })
}

/// How many lines of an answer over several lines are looked at.
const ANSWER_LINES: usize = 60;

/// What is wrong with the answer of a function, and the words: in an answer of one line, or in the
/// line of one of its keys.
fn answer(line: &Line) -> Option<(Range<usize>, &'static str)> {
    let text = line.text.trim();
    if text.starts_with('{') {
        let flat = Flat::of(text)?;
        let others =
            ["body", "headers", "isBase64Encoded", "multiValueHeaders", "statusDescription"];
        if !flat.has("statusCode") || !others.iter().any(|it| text.contains(it)) {
            return None;
        }
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        let (key, why) = value
            .as_object()?
            .iter()
            .find_map(|(key, value)| Some((key, wrong(key, kind(value))?)))?;
        let quoted = format!("\"{key}\"");
        let start = line.text.find(&quoted)?;
        return Some((start..start + quoted.len(), why));
    }
    let (key, value) = text.strip_prefix('"')?.split_once("\":")?;
    let value = value.trim().trim_end_matches(',');
    let kind = match value.as_bytes().first()? {
        b'{' => "object",
        b'[' => "list",
        _ => kind(&serde_json::from_str(value).ok()?),
    };
    let why = wrong(key, kind)?;
    // Two of the keys are nobody else's; the others need one of them after them.
    let own = |it: &str| it.contains("\"isBase64Encoded\"") || it.contains("\"statusDescription\"");
    let ours = own(text) || line.following().take(ANSWER_LINES).any(|it| own(&it));
    ours.then(|| (span_of(&line.text, text.trim_end_matches(',')), why))
}

fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "null",
        serde_json::Value::Bool(_) => "bool",
        serde_json::Value::Number(it) if it.is_u64() => "status",
        serde_json::Value::Number(_) => "number",
        serde_json::Value::String(it) if it.parse::<u16>().is_ok() => "status",
        serde_json::Value::String(_) => "text",
        serde_json::Value::Array(_) => "list",
        serde_json::Value::Object(_) => "object",
    }
}

/// Why a balancer or gateway refuses a value of this kind under this key.
fn wrong(key: &str, kind: &str) -> Option<&'static str> {
    match (key, kind) {
        ("statusCode", "status") => None,
        ("statusCode", _) => Some("statusCode is no number"),
        ("body", "object" | "list" | "bool") => Some("body is no string"),
        ("headers", "list" | "text" | "status" | "bool") => Some("headers is no object"),
        ("isBase64Encoded", "text" | "status" | "object") => Some("isBase64Encoded is no boolean"),
        ("statusDescription", "null" | "object" | "list") => Some("statusDescription is no string"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn the_platforms_sentences_are_read() {
        check(
            "2026-11-20T15:16:30.123Z b5b3a1f0-1111-4222-8333-444455556666 Task timed out after 3.00 seconds",
            "AWS Lambda: WorkerTimedOut number=3000 | Task timed out after 3.00 seconds",
        );
        check(
            "  6:55:25am INFO 2026-11-20T15:16:30.064Z b5b3a1f0-1111-4222-8333-444455556666 Task timed out after 18.02 seconds",
            "AWS Lambda: WorkerTimedOut number=18020 | Task timed out after 18.02 seconds",
        );
        check_nothing("the user said that his Task timed out after 3.00 seconds");
        check(
            "RequestId: b5b3a1f0-1111-4222-8333-444455556666 Error: Runtime exited with error: signal: \
             killed Runtime.ExitError",
            "AWS Lambda: ProcessKilled number=9 | Error: Runtime exited with error: signal: killed",
        );
        check(
            "[ERROR] Runtime.ImportModuleError: Unable to import module 'app': No module named 'flask'",
            "AWS Lambda: BootFailed detail=No module named 'flask' | Runtime.ImportModuleError: Unable \
             to import module 'app': No module named 'flask'",
        );
        check(
            "REPORT RequestId: x\tDuration: 9 ms\tMemory Size: 128 MB\tMax Memory Used: 128 MB\t",
            "AWS Lambda: OomKilled number=134217728 | Max Memory Used: 128 MB",
        );
    }

    #[test]
    fn healthy_reports_and_other_lines_say_nothing() {
        check_nothing("REPORT RequestId: x\tMemory Size: 128 MB\tMax Memory Used: 39 MB\t");
        check_nothing("INFO path=/Task timed out after 3.00 seconds");
    }

    #[test]
    fn answers_that_are_refused_name_the_key() {
        check(
            r#"{"statusCode": 200, "headers": {}, "body": {"ok": true}}"#,
            "AWS Lambda: LambdaMalformed detail=body is no string | \"body\"",
        );
        check(
            "    \"statusDescription\": null,",
            "AWS Lambda: LambdaMalformed detail=statusDescription is no string | \"statusDescription\": null",
        );
        check_nothing("    \"body\": {\n  \"x\": 1");
        check_nothing(
            r#"{"statusCode": 200, "headers": {}, "body": "ok", "isBase64Encoded": false}"#,
        );
    }

    #[test]
    fn times_before_the_platforms_lines_come_off() {
        check(
            "2026-11-20T15:16:30.123Z REPORT RequestId: b5b3a1f0-1111-4222-8333-444455556666\tDuration: 900.00 ms\tBilled Duration: 900 ms\tMemory Size: 128 MB\tMax Memory Used: 128 MB",
            "AWS Lambda: OomKilled number=134217728 | Max Memory Used: 128 MB",
        );
        check(
            "Error Runtime exited with error: signal: killed",
            "AWS Lambda: ProcessKilled number=9 | Error Runtime exited with error: signal: killed",
        );
    }
}
