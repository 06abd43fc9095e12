//! API Gateway: execution logs, and access logs whose fields people choose from `$context`.

use crate::clock;
use crate::event::{Event, Served, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, find, phrase, span_of};
use crate::readers::flat::{self, Flat};
use crate::sign::Sign;
use crate::trust::Trust;

pub(in crate::readers) const EXECUTION: Reader = Reader {
    name: "AWS API Gateway execution log",
    product: Product::AwsApiGateway,
    hooks: &[
        "Execution failed due to",
        "Malformed Lambda proxy response",
        "Endpoint request timed out",
        "Lambda execution failed with status",
        "Internal server error",
    ],
    fits: |line| told(&line.text).is_some(),
    read: |line, sink| {
        let Some((message, found, span)) = told(&line.text) else { return };
        let inset = span_of(&line.text, message).start;
        let span = inset + span.start..inset + span.end;
        let at = clock::iso(&line.text).map(|(it, _)| it);
        sink.event(Event::new(Product::AwsApiGateway, found.sign, found.trust, span).at(at));
    },
    source: "https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-logging.html; \
             https://repost.aws/knowledge-center/malformed-502-api-gateway",
    example: "(b5b3a1f0-1111-4222-8333-444455556666) Execution failed due to configuration error: \
              Malformed Lambda proxy response",
};

pub(in crate::readers) const ACCESS: Reader = Reader {
    name: "AWS API Gateway access log",
    product: Product::AwsApiGateway,
    hooks: &[],
    fits: |line| {
        let text = object(&line.text);
        let named = text.contains("ntegration")
            || text.contains("esponseType")
            || text.contains("esponse_type");
        named && access(text).is_some()
    },
    read: |line, sink| {
        if let Some(it) = access(object(&line.text)) {
            it.tell(line, sink);
        }
    },
    source: "https://docs.aws.amazon.com/apigateway/latest/developerguide/\
             api-gateway-mapping-template-reference.html#context-variable-reference",
    example: "{\"requestId\":\"b5b3a1f0-1111\",\"httpMethod\":\"GET\",\"status\":\"504\",\
              \"integrationStatus\":\"-\",\"errorResponseType\":\"INTEGRATION_TIMEOUT\"}",
};

const MESSAGES: &[Phrase] = &[
    phrase("Malformed Lambda proxy response", Sign::LambdaMalformed, Trust::C),
    phrase("doesn't match the format that API Gateway expects", Sign::LambdaMalformed, Trust::C),
    phrase("Lambda function returned the following error", Sign::LambdaFailed, Trust::C),
    phrase("doesn't have permissions to call the integration", Sign::AuthDenied, Trust::C),
    phrase("Output mapping refers to an invalid method response", Sign::LambdaMalformed, Trust::C),
    phrase("No match for output mapping and no default", Sign::LambdaMalformed, Trust::C),
    phrase("Unable to transform response", Sign::LambdaMalformed, Trust::C),
    phrase("due to a timeout error", Sign::IntegrationTimedOut, Trust::C),
    phrase("Endpoint request timed out", Sign::IntegrationTimedOut, Trust::C),
    phrase("Invalid permissions on Lambda function", Sign::AuthDenied, Trust::C),
    phrase("API Gateway does not have permission to assume", Sign::AuthDenied, Trust::C),
    phrase(
        "Lambda execution failed with status 200 due to customer function error",
        Sign::LambdaFailed,
        Trust::C,
    ),
    phrase("Rate Exceeded", Sign::ConnectionLimit, Trust::C),
    phrase("TooManyRequestsException", Sign::ConnectionLimit, Trust::C),
    phrase("Network error communicating with endpoint", Sign::Disconnected, Trust::C),
    phrase("Connect to ", Sign::ConnectFailed, Trust::C),
    phrase("Host name may not be null", Sign::NoCluster, Trust::C),
    phrase("Invalid endpoint address", Sign::NoCluster, Trust::C),
    phrase("PKIX path building failed", Sign::CertUntrusted, Trust::C),
    phrase("PKIX path validation failed", Sign::CertRefused, Trust::C),
    phrase("Received fatal alert: handshake_failure", Sign::TlsCipher, Trust::C),
    phrase("Received fatal alert: unrecognized_name", Sign::TlsNameRejected, Trust::C),
    phrase("General SSLEngine problem", Sign::TlsFailed, Trust::C),
    phrase("SSLException", Sign::TlsFailed, Trust::C),
    phrase("Execution failed due to configuration error", Sign::Answered500, Trust::C),
    phrase("Execution failed due to an internal error", Sign::Answered500, Trust::C),
];

/// The gateway's sentence and what it says. Its lines begin with the request's id in brackets.
fn told(text: &str) -> Option<(&str, &'static Phrase, std::ops::Range<usize>)> {
    let text = match clock::iso(text) {
        Some((_, end)) => text[end..].trim_start_matches([' ', ':', '\t']),
        None => text,
    };
    let message = match text.strip_prefix('(').and_then(|it| it.split_once(") ")) {
        Some((id, rest)) if id.len() < 64 && !id.contains(' ') => rest,
        _ => text,
    };
    // `Fri Nov 20 15:16:30 UTC 2026 : Execution failed due to …`, as the console's test prints it.
    let message = match message.split_once(" : ") {
        Some((date, rest)) if date.len() < 40 && date.contains(" UTC ") => rest,
        _ => message,
    };
    let pasted = message.trim_start_matches(['{', ' ', '"']);
    let starts = message.starts_with("Execution failed due to")
        || message.starts_with("Malformed Lambda proxy response")
        || message.starts_with("Lambda execution failed with status")
        || message.starts_with("Endpoint request timed out")
        || pasted.starts_with("message\":") && message.contains("\"Endpoint request timed out\"");
    if !starts {
        return None;
    }
    let (found, span) = find(MESSAGES, message)?;
    Some((message, found, span))
}

struct Access<'a> {
    flat: Flat<'a>,
    status: u16,
    /// Missing where the entry was cut.
    status_text: Option<&'a str>,
}

/// The object in a cell of a table, as queries of Logs Insights print it: `| TIME | {…} |`.
fn object(text: &str) -> &str {
    let bare = text.trim_start_matches(|it: char| it == '|' || it.is_whitespace());
    let bare = match crate::clock::iso(bare) {
        Some((_, end)) => bare[end..].trim_start_matches([' ', '|', '\t', ',']),
        None => bare,
    };
    if bare.starts_with('{') { bare } else { "" }
}

const RESPONSE: [&str; 6] = [
    "errorResponseType",
    "error.responseType",
    "responseType",
    "error_responseType",
    "error_response_type",
    "response_type",
];
const INTEGRATION: [&str; 4] =
    ["integrationStatus", "integration_status", "integrationStatusCode", "integration.status"];

fn access(text: &str) -> Option<Access<'_>> {
    let flat = Flat::of(text)?;
    let ours = INTEGRATION.iter().chain(&RESPONSE).any(|it| flat.has(it))
        || ["integrationLatency", "integrationErrorMessage", "integrationError"]
            .iter()
            .any(|it| flat.has(it));
    let status_text = flat.text("status");
    // Cut before the status, the kind of the answer tells it.
    let told = flat.any(&RESPONSE).and_then(|it| match it {
        "INTEGRATION_TIMEOUT" => Some(504),
        "INTEGRATION_FAILURE" => Some(502),
        _ => None,
    });
    let status = flat.status(&["status"]).or(told.filter(|_| status_text.is_none()))?;
    ours.then_some(Access { flat, status, status_text })
}

impl Access<'_> {
    fn tell(&self, line: &Line, sink: &mut dyn Sink) {
        let at = self.flat.time(&["requestTimeEpoch", "requestTime", "time", "timestamp"]);
        if self.status_text.is_some() {
            sink.served(Served { at, status: self.status });
        }
        if self.status < 500 {
            return;
        }
        let integration = self.flat.status(&INTEGRATION);
        let message =
            self.flat.any(&["integrationErrorMessage", "integrationError", "error.messageString"]);
        let known = message.and_then(|it| Some((find(MESSAGES, it)?.0.sign, it)));
        let kind = self.flat.any(&RESPONSE);
        let (sign, words) = match (known, kind, integration) {
            (Some((sign, words)), ..) => (sign, words),
            (_, Some(kind @ "INTEGRATION_TIMEOUT"), _) => (Sign::IntegrationTimedOut, kind),
            (_, Some(kind @ "INTEGRATION_FAILURE"), _) => (Sign::Disconnected, kind),
            (_, _, integration) => match (self.status_text, flat::answered(self.status)) {
                (Some(words), _) if integration.is_some_and(|it| 500 <= it) => {
                    (Sign::RelayedError, words)
                }
                (Some(words), Some(sign)) => (sign, words),
                _ => return,
            },
        };
        let span = span_of(&line.text, words);
        sink.event(
            Event::new(Product::AwsApiGateway, sign, Trust::C, span)
                .at(at)
                .status(Some(self.status))
                .route(self.flat.any(&["path", "resourcePath", "routeKey"]))
                .client(self.flat.any(&["ip", "sourceIp"]))
                .request_id(self.flat.any(&["requestId", "extendedRequestId"])),
        );
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn sentences_of_the_gateway_are_read() {
        check(
            "Execution failed due to configuration error: Malformed Lambda proxy response",
            "AWS API Gateway: LambdaMalformed | Malformed Lambda proxy response",
        );
        check(
            "(abc-1) Execution failed due to a timeout error",
            "AWS API Gateway: IntegrationTimedOut | due to a timeout error",
        );
        check(
            "{\"message\": \"Endpoint request timed out\"}",
            "AWS API Gateway: IntegrationTimedOut | Endpoint request timed out",
        );
        check(
            "Fri Nov 20 15:16:30 UTC 2026 : Execution failed due to configuration error: Malformed \
             Lambda proxy response",
            "AWS API Gateway: LambdaMalformed | Malformed Lambda proxy response",
        );
    }

    #[test]
    fn what_a_caller_sent_says_nothing() {
        check_nothing("(abc-1) Method request path: {proxy=Malformed Lambda proxy response}");
        check_nothing(
            "(abc-1) Method request body before transformations: Execution failed due to x",
        );
        check_nothing(
            r#"{"requestId":"x","status":"200","integrationStatus":"200","path":"/Malformed Lambda proxy response"}"#,
        );
    }

    #[test]
    fn entries_in_tables_and_cut_ones_are_read() {
        check(
            r#"| 2026-11-20 15:16:30.709 | {"apiId": "x", "error_message": "Endpoint request timed out", "error_messageString": " "Endpoint request timed out"", "error_responseType": "INTEGRATION_TIMEOUT", "httpMethod": "POST","#,
            "AWS API Gateway: IntegrationTimedOut status=504 | INTEGRATION_TIMEOUT",
        );
        check_nothing(r#"{"apiId":"x","userAgent":"INTEGRATION_TIMEOUT","responseType":"-""#);
    }

    #[test]
    fn access_lines_tell_the_integration_from_the_gateway() {
        check(
            r#"{"requestId":"x","status":"502","integrationStatus":"502"}"#,
            "served 502; AWS API Gateway: RelayedError status=502 | 502",
        );
    }

    #[test]
    fn a_function_that_raised_is_told_by_the_consoles_test_too() {
        check(
            "Fri Nov 20 15:16:30 UTC 2026 : Lambda execution failed with status 200 due to customer function error: it failed. Lambda request id: b5b3a1f0-1111-4222-8333-444455556666",
            "AWS API Gateway: LambdaFailed | Lambda execution failed with status 200 due to customer function error",
        );
    }
}
