//! Java: Tomcat, Spring Boot, connection pools, Netty, and stack traces as one unit.
//!
//! Of a trace the last `Caused by:` is the reason. Collectors write `[gc] GC(7) Pause Full
//! (Ergonomics) 800M->700M(1024M) 2345.678ms` with unified logging (JEP 158).

use crate::event::{Event, Sink};
use crate::lead::Lead;
use crate::line::{Below, Line};
use crate::product::Product;
use crate::reader::Reader;
use crate::readers::raised::{Raised, span};
use crate::rule::{self, Rule, milliseconds, rule, words};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const LOG: Reader = Reader {
    name: "Tomcat, Spring and Java logs",
    product: Product::Java,
    hooks: &[
        "Server startup in ",
        "Starting ProtocolHandler [",
        "Stopping ProtocolHandler [",
        "Pausing ProtocolHandler [",
        "Failed to initialize component [Connector",
        "Failed to initialize connector",
        "may be stuck",
        "All threads (",
        "Tomcat started on port",
        "Netty started on port",
        "Jetty started on port",
        "Undertow started on port",
        "Application run failed",
        "APPLICATION FAILED TO START",
        "Web server failed to start",
        "was already in use",
        "is not available, request timed out after",
        "Unable to find instance for ",
        "No servers available for service",
        "No instances available for ",
        "Load balancer does not ",
        "Request header is too large",
        "Header is too large",
        "eader larger than",
        "eader is larger than",
        "Request Header Fields Too Large",
        "Response took longer than timeout",
        "Pending acquire queue has reached its maximum size",
        "Pool#acquire(Duration) has been pending",
        "does not permit further calls",
        "short-circuited and is OPEN",
        "finishConnect(..) failed",
        "Connection prematurely closed BEFORE response",
        "Pause Full",
        "Pause Young",
        "Full GC",
        "Started ServerConnector@",
        "Started @",
        "Servlet.service() for servlet [",
        "Commencing graceful shutdown",
        " in {",
        " seconds (",
        "Could not resolve placeholder '",
        "Terminating due to java.lang.OutOfMemoryError",
        "Aborting due to java.lang.OutOfMemoryError",
    ],
    fits: |line| told(line).is_some(),
    read: |line, sink| {
        if let Some(event) = told(line) {
            sink.event(event);
        }
    },
    source: "Tomcat 10.1 LocalStrings.properties; Spring Boot 3: TomcatWebServer, StartupInfoLogger, PortInUseFailureAnalyzer; HikariCP HikariPool; JEP 158",
    example: "20-Nov-2026 15:16:30.123 INFO [main] org.apache.catalina.startup.Catalina.start Server startup in [5021] milliseconds",
};

const RULES: &[(Product, Rule)] = &[
    (Product::Tomcat, rule("Server startup in ", Sign::Ready)),
    (Product::Tomcat, rule("Starting ProtocolHandler [\"{who}\"]", Sign::Listening)),
    (Product::Tomcat, rule("Stopping ProtocolHandler [\"{who}\"]", Sign::ShuttingDown)),
    (Product::Tomcat, rule("Pausing ProtocolHandler [\"{who}\"]", Sign::ShuttingDown)),
    (Product::Tomcat, rule("Failed to initialize component [Connector[{_}]", Sign::BindFailed)),
    (Product::Tomcat, rule("Failed to initialize connector", Sign::BindFailed)),
    (
        Product::Tomcat,
        rule(
            "Thread [{who}] (id=[{_}]) has been active for [{number}] milliseconds",
            Sign::RequestSlow,
        ),
    ),
    (Product::Tomcat, rule("All threads ({number}) are currently busy", Sign::PoolExhausted)),
    (
        Product::Tomcat,
        rule(
            "«Servlet.service() for servlet [{who}]» in context with path [{_}] threw exception",
            Sign::UnhandledException,
        ),
    ),
    (Product::Spring, rule("Tomcat started on port(s): {upstream}", Sign::Listening)),
    (Product::Spring, rule("Tomcat started on port {upstream}", Sign::Listening)),
    (Product::Spring, rule("Netty started on port(s): {upstream}", Sign::Listening)),
    (Product::Spring, rule("Netty started on port {upstream}", Sign::Listening)),
    (Product::Spring, rule("Jetty started on port {upstream}", Sign::Listening)),
    (Product::Spring, rule("Undertow started on port {upstream}", Sign::Listening)),
    (Product::Spring, rule("Application run failed", Sign::BootFailed)),
    (Product::Spring, rule("APPLICATION FAILED TO START", Sign::BootFailed)),
    (
        Product::Spring,
        rule("Web server failed to start. Port {upstream} was already in use", Sign::PortInUse),
    ),
    (Product::Spring, rule("Commencing graceful shutdown", Sign::ShuttingDown)),
    (
        Product::Spring,
        rule(
            "503 SERVICE_UNAVAILABLE \"«Unable to find instance for {detail}»\"",
            Sign::NoEndpoints,
        ),
    ),
    (Product::Spring, rule("Unable to find instance for {detail}", Sign::NoEndpoints)),
    (Product::Spring, rule("No servers available for service: {detail}", Sign::NoEndpoints)),
    (Product::Spring, rule("No instances available for {detail}", Sign::NoEndpoints)),
    (
        Product::Spring,
        rule(
            "Load balancer does not have available server for client: {detail}",
            Sign::NoEndpoints,
        ),
    ),
    (
        Product::Spring,
        rule(
            "Load balancer does not contain an instance for the service {detail}",
            Sign::NoEndpoints,
        ),
    ),
    (Product::Spring, rule("Response took longer than timeout: {detail}", Sign::HeadTimedOut)),
    (
        Product::Java,
        rule("Pending acquire queue has reached its maximum size", Sign::ConnectionLimit),
    ),
    (Product::Java, rule("Pool#acquire(Duration) has been pending", Sign::QueueTimedOut)),
    (Product::Java, rule("CircuitBreaker '{who}' is OPEN and does not permit", Sign::CircuitOpen)),
    (Product::Java, rule("Hystrix circuit short-circuited and is OPEN", Sign::CircuitOpen)),
    (Product::Java, rule("Request header is too large", Sign::RequestTooBigForUpstream)),
    (Product::Java, rule("Header is too large", Sign::RequestTooBigForUpstream)),
    (
        Product::Java,
        rule("{_}«431» Request Header Fields Too Large", Sign::RequestTooBigForUpstream),
    ),
    (Product::Java, rule("Connection prematurely closed BEFORE response", Sign::Closed)),
    (
        Product::Java,
        rule("Terminating due to java.lang.OutOfMemoryError: {detail}", Sign::HeapExhausted),
    ),
    (
        Product::Java,
        rule("Aborting due to java.lang.OutOfMemoryError: {detail}", Sign::HeapExhausted),
    ),
    (Product::Java, words("Could not resolve placeholder '{detail}'", Sign::ConfigMissing)),
    (
        Product::Java,
        rule(
            "{who} - Connection is not available, request timed out after {number}ms",
            Sign::DbPoolExhausted,
        ),
    ),
];

fn told<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = &*line.text;
    let lead = Lead::of(text);
    let lead = Lead { inset: lead.inset.max(cut_lead(text)), ..lead };
    let rest = &text[lead.inset..];
    let found = RULES.iter().find_map(|(product, rule)| {
        rule::event(std::slice::from_ref(rule), *product, text, lead.inset)
    });
    let event = found
        .or_else(|| connector(text, lead.inset))
        .or_else(|| pause(text, lead.inset))
        .or_else(|| started(text, rest, &lead))?;
    let event = event.pid(lead.pid).at(lead.at);
    // A pool's name is a word, so that nobody's sentence is one.
    let pool = event.sign != Sign::DbPoolExhausted
        || event.who.as_deref().is_some_and(|it| !it.contains(' '));
    pool.then(|| with_port(event))
}

/// Where the message begins in a line of Spring's whose start was cut: `o.s.c.Balancer      : …`.
fn cut_lead(text: &str) -> usize {
    let cut = || {
        let (name, rest) = text.trim_start().split_once(' ')?;
        let letter = |it: u8| it.is_ascii_alphanumeric() || b"._$".contains(&it);
        let named = name.matches('.').count() >= 2 && name.bytes().all(letter);
        let message = rest.trim_start().strip_prefix(": ")?;
        named.then(|| text.len() - message.len())
    };
    cut().unwrap_or(0)
}

/// Jetty's `Started ServerConnector@1b2c3d{HTTP/1.1, (http/1.1)}{0.0.0.0:8080}`.
fn connector(text: &str, start: usize) -> Option<Event<'_>> {
    // Its own logger puts class and thread before it.
    let at = text[start..].find("Started ServerConnector@")? + start;
    let before = &text[start..at];
    if before.contains(['"', ' ']) && !before.ends_with(": ") || before.len() > 100 {
        return None;
    }
    let (_, address) = text[at..].trim_end().strip_suffix('}')?.rsplit_once('{')?;
    let span = at..text.trim_end().len();
    let event = Event::new(Product::Java, Sign::Listening, Trust::C, span);
    Some(event.upstream(Some(address)))
}

/// `8080 (http) with context path ''` is a port on every address; Tomcat's handler is
/// `http-nio-8080`.
fn with_port(event: Event<'_>) -> Event<'_> {
    let port = match event.sign {
        Sign::Listening | Sign::PortInUse => event.upstream.clone().or(event.who.clone()),
        _ => None,
    };
    let port = port.and_then(|it| it.rsplit('-').next()?.parse::<u16>().ok());
    match port {
        Some(port) => event.upstream(Some(format!("*:{port}"))),
        None => event,
    }
}

/// `Started App in 4.2 seconds (process running for 5.1)`.
fn started<'a>(text: &'a str, rest: &'a str, lead: &Lead) -> Option<Event<'a>> {
    let name = rest.strip_prefix("Started ")?;
    let (app, after) = name.split_once(" in ")?;
    let (seconds, _) = after.split_once(" seconds (")?;
    let taken = milliseconds(seconds)?;
    let end = text.len() - after.len() + seconds.len() + " seconds".len();
    (!app.contains(' ')).then(|| {
        Event::new(Product::Spring, Sign::Ready, Trust::C, lead.inset..end)
            .who(Some(app))
            .number(Some(taken))
    })
}

/// A pause that is as long as callers notice, in milliseconds.
const LONG_PAUSE: i64 = 1000;

/// `GC(7) Pause Full (Ergonomics) 800M->700M(1024M) 2345.678ms`; before JDK 9, `[Full GC
/// (Ergonomics) … , 2.3456780 secs]`.
fn pause(text: &str, start: usize) -> Option<Event<'_>> {
    let rest = &text[start..];
    let (at, taken) = if let Some(at) = rest.find("Pause ").filter(|at| rest[..*at].contains("GC("))
    {
        let value = rest.trim_end().strip_suffix("ms")?;
        let number = value.rsplit(' ').next()?;
        (at, number.parse::<f64>().ok()?.round() as i64)
    } else {
        let at = rest.find("[Full GC ").or_else(|| rest.strip_prefix("Full GC ").map(|_| 0))?;
        let (before, _) = rest.rsplit_once(" secs]")?;
        (at, milliseconds(before.rsplit([' ', ',']).next()?)?)
    };
    (taken >= LONG_PAUSE).then(|| {
        let end = rest[at..].find('(').map_or(rest.len(), |it| at + it);
        let end = start + at + rest[at..end].trim_end().len();
        Event::new(Product::Java, Sign::GcPause, Trust::C, start + at..end).number(Some(taken))
    })
}

pub(super) const TRACE: Reader = Reader {
    name: "Java stack trace",
    product: Product::Java,
    hooks: &["Exception", "java.lang.OutOfMemoryError", "Caused by: "],
    fits: |line| first(line).is_some(),
    read,
    source: "java.lang.Throwable.printStackTrace, JDK 8 to 21",
    example: "java.lang.OutOfMemoryError: Java heap space",
};

/// The first line of a trace: a class in a package, or `Exception in thread "main" ` before it; a
/// `Caused by:` alone, where the start was cut.
fn first<'a>(line: &'a Line) -> Option<(Lead<'a>, Raised<'a>)> {
    let lead = Lead::of(&line.text);
    let mut text = line.text[lead.inset..].trim_start();
    if let Some(rest) = text.strip_prefix("Exception in thread \"") {
        text = rest.split_once("\" ")?.1;
    }
    let cut = text.strip_prefix("Caused by: ");
    let raised = class(cut.unwrap_or(text))?;
    let known = raised.kind == "java.lang.OutOfMemoryError"
        || raised.sign().is_some()
        || WIRE.iter().any(|it| it.own && it.says(&raised));
    (known || has_frame(line)).then_some((lead, raised))
}

fn class(text: &str) -> Option<Raised<'_>> {
    let raised = Raised::any(text)?;
    let packages = [
        "java.",
        "javax.",
        "jakarta.",
        "org.",
        "com.",
        "io.",
        "net.",
        "reactor.",
        "feign.",
        "redis.clients.",
    ];
    let named = packages.iter().any(|it| raised.kind.starts_with(it));
    let ends = ["Exception", "Error", "Exception$BadGateway", "Exception$ServiceUnavailable"];
    (named && ends.iter().any(|it| raised.kind.ends_with(it))).then_some(raised)
}

fn has_frame(line: &Line) -> bool {
    line.below().take(3).any(|it| is_frame(&it.text) || of_reactor(&it.text))
}

/// What an exception says of a connection to an upstream, where a gateway raised it.
struct OfWire {
    /// The end of the type's name, and words of its message.
    kind: &'static str,
    words: &'static str,
    sign: Sign,
    /// Gateways and balancers raise it and nobody else.
    own: bool,
}

impl OfWire {
    fn says(&self, raised: &Raised) -> bool {
        raised.kind.ends_with(self.kind) && raised.message.contains(self.words)
    }
}

const fn wire(kind: &'static str, words: &'static str, sign: Sign) -> OfWire {
    OfWire { kind, words, sign, own: false }
}

const fn own(kind: &'static str, words: &'static str, sign: Sign) -> OfWire {
    OfWire { kind, words, sign, own: true }
}

const WIRE: &[OfWire] = &[
    own("NotFoundException", "Unable to find instance for ", Sign::NoEndpoints),
    own("ClientException", "Load balancer does not have available server", Sign::NoEndpoints),
    own("Exception", "Load balancer does not contain an instance", Sign::NoEndpoints),
    own("IllegalStateException", "No instances available for ", Sign::NoEndpoints),
    own("Http2Exception", "Unexpected HTTP/1.x request", Sign::Http1ToHttp2),
    own("Http2Exception", "First received frame was not SETTINGS", Sign::Http2ToHttp1),
    own("PoolAcquireTimeoutException", "", Sign::QueueTimedOut),
    own("PoolAcquirePendingLimitException", "", Sign::ConnectionLimit),
    own("RejectedExecutionException", "", Sign::PoolExhausted),
    own("TaskRejectedException", "", Sign::PoolExhausted),
    own("BulkheadFullException", "", Sign::AppConcurrencyLimit),
    own("CallNotPermittedException", "is OPEN and does not permit", Sign::CircuitOpen),
    own("RuntimeException", "circuit short-circuited and is OPEN", Sign::CircuitOpen),
    own("IllegalArgumentException", "Request header is too large", Sign::RequestTooBigForUpstream),
    own("TimeoutException", "Response took longer than timeout", Sign::HeadTimedOut),
    own("ResponseStatusException", "Response took longer than timeout", Sign::HeadTimedOut),
    own("TimeoutException", "Response took longer than configured timeout", Sign::HeadTimedOut),
    wire("DnsNameResolverTimeoutException", "", Sign::NameTimedOut),
    wire("UnknownHostException", "timed out", Sign::NameTimedOut),
    wire("UnknownHostException", "SERVFAIL", Sign::NameServerFailed),
    wire("UnknownHostException", "", Sign::NameNotFound),
    wire("ConnectException", "onnection refused", Sign::ConnectRefused),
    wire("ConnectException", "onnection timed out", Sign::ConnectTimedOut),
    wire("ConnectTimeoutException", "", Sign::ConnectTimedOut),
    wire("NoRouteToHostException", "", Sign::HostUnreachable),
    wire("AnnotatedNoRouteToHostException", "", Sign::HostUnreachable),
    wire("ConnectException", "", Sign::ConnectFailed),
    wire("PrematureCloseException", "DURING response", Sign::BodyCut),
    wire("PrematureCloseException", "", Sign::Closed),
    wire("NoHttpResponseException", "", Sign::Closed),
    wire("ReadTimeoutException", "", Sign::HeadTimedOut),
    wire("SocketTimeoutException", "onnect timed out", Sign::ConnectTimedOut),
    wire("SocketTimeoutException", "", Sign::HeadTimedOut),
    wire("HystrixTimeoutException", "", Sign::HeadTimedOut),
    wire("NativeIoException", "Connection reset by peer", Sign::Reset),
    wire("IOException", "Connection reset by peer", Sign::Reset),
    wire("SocketException", "Connection reset", Sign::Reset),
    wire("NotSslRecordException", "", Sign::TlsToPlain),
    wire("SSLException", "Unsupported or unrecognized SSL message", Sign::TlsToPlain),
    wire("SslHandshakeTimeoutException", "", Sign::TlsTimedOut),
    wire("SSLHandshakeException", "unable to find valid certification path", Sign::CertUntrusted),
    wire("SSLHandshakeException", "PKIX path validation failed", Sign::CertRefused),
    wire("SSLHandshakeException", "No subject alternative", Sign::CertWrongName),
    wire("SSLHandshakeException", "No name matching", Sign::CertWrongName),
    wire("SSLHandshakeException", "handshake_failure", Sign::TlsCipher),
    wire("SSLHandshakeException", "protocol_version", Sign::TlsVersion),
    wire("SSLHandshakeException", "unrecognized_name", Sign::TlsNameRejected),
    wire("SSLHandshakeException", "", Sign::TlsFailed),
    wire("IllegalArgumentException", "invalid version format", Sign::NotHttp),
    wire("IllegalArgumentException", "text is empty (possibly HTTP/0.9)", Sign::NotHttp),
    wire("NumberFormatException", "status", Sign::StatusLineBad),
    wire("TooLongHttpHeaderException", "", Sign::HeadTooBig),
    wire("TooLongFrameException", "HTTP header is larger than", Sign::HeadTooBig),
];

/// Frames and checkpoints of gateways: what such a trace could not reach is their upstream.
fn of_gateway(text: &str) -> bool {
    [
        "org.springframework.cloud.gateway.",
        "o.s.c.g.",
        "com.netflix.zuul.",
        "org.springframework.cloud.netflix.zuul.",
        "org.springframework.cloud.netflix.ribbon.",
        "com.netflix.loadbalancer.",
        "org.mitre.dsmiley.httpproxy.",
    ]
    .iter()
    .any(|it| text.contains(it))
}

fn is_frame(text: &str) -> bool {
    text.starts_with(['\t', ' '])
        && text
            .trim_start()
            .strip_prefix("at ")
            .is_some_and(|it| it.contains('(') && it.contains(')'))
}

fn belongs(text: &str) -> bool {
    is_frame(text)
        || text.starts_with("Caused by: ")
        || text.trim_start().starts_with("... ")
        || text.trim_start().starts_with("Suppressed: ")
        || of_reactor(text)
}

/// What Reactor puts among the frames (reactor-core FluxOnAssembly).
fn of_reactor(text: &str) -> bool {
    let text = text.trim_start();
    text.starts_with("|_")
        || text.starts_with("*__checkpoint")
        || text.starts_with("Error has been observed at the following site(s):")
        || text.starts_with("Error has been observed by the following operator(s):")
        || text.starts_with("Assembly trace from producer [")
        || matches!(text, "Stack trace:" | "Original Stack Trace:")
}

fn read(line: &Line, sink: &mut dyn Sink) {
    let Some((lead, outer)) = first(line) else { return };
    let lines: Vec<Below> = line.below().take_while(|it| belongs(&it.text)).collect();
    let causes: Vec<(&Below, Raised)> = lines
        .iter()
        .filter_map(|it| Some((it, class(it.text.strip_prefix("Caused by: ")?)?)))
        .collect();
    if let Some(last) = lines.last() {
        sink.taken(last);
    }
    let own = |it: &Below| {
        let frame = it.text.trim().strip_prefix("at ")?.to_owned();
        let library = [
            "java.",
            "javax.",
            "jdk.",
            "sun.",
            "org.springframework.",
            "org.apache.",
            "jakarta.",
            "io.netty.",
            "reactor.",
            "com.zaxxer.",
            "org.hibernate.",
            "org.postgresql.",
            "com.mysql.",
            "java.base/",
            "org.eclipse.jetty.",
        ];
        (!library.iter().any(|it| frame.starts_with(it))).then_some(frame)
    };
    let place = lines.iter().find_map(own);
    let boots = lines
        .iter()
        .any(|it| it.text.contains("SpringApplication.run") || it.text.contains(".main("));
    let gateway = of_gateway(&line.text) || lines.iter().any(|it| of_gateway(&it.text));
    let all = std::iter::once(&outer).chain(causes.iter().map(|it| &it.1));
    let of_wire =
        |it: &Raised| WIRE.iter().find(|of| (gateway || of.own) && of.says(it)).map(|of| of.sign);
    if let Some((at, sign, raised)) =
        all.enumerate().filter_map(|(at, it)| Some((at, of_wire(it)?, it))).last()
    {
        // Names and addresses are the gateway's own, as its routes have them.
        let words = match raised.message {
            "" => raised.text,
            _ => crate::scan::clip(raised.text, 300),
        };
        let place_in = if at == 0 { &*line.text } else { &*causes[at - 1].0.text };
        let product = match sign {
            Sign::RequestTooBigForUpstream => Product::Tomcat,
            _ => Product::Spring,
        };
        let event = Event::new(product, sign, Trust::D, span(place_in, words))
            .at(lead.at)
            .upstream(dialled(raised.message).or_else(|| raised.dialled()))
            .detail(Some(words.to_owned()));
        return match at {
            0 => sink.event(event),
            _ => sink.event_below(causes[at - 1].0, event),
        };
    }
    // What a driver says is more than that a socket refused; else the last cause is the reason.
    let external = |it: &Option<Sign>| {
        matches!(it, Some(Sign::ExternalFailed | Sign::ExternalTimedOut) | None)
    };
    let signs: Vec<Option<Sign>> =
        std::iter::once(outer.sign()).chain(causes.iter().map(|(_, it)| it.sign())).collect();
    let at = signs.iter().rposition(|it| !external(it)).unwrap_or(signs.len() - 1);
    let raised = if at == 0 { &outer } else { &causes[at - 1].1 };
    let sign = signs[at].unwrap_or(if boots { Sign::BootFailed } else { Sign::UnhandledException });
    let words = raised.decisive();
    let place_in = if at == 0 { &*line.text } else { &*causes[at - 1].0.text };
    let event = Event::new(Product::Java, sign, Trust::D, span(place_in, words))
        .at(lead.at)
        .detail(Some(words.to_owned()))
        .upstream(raised.dialled())
        .who(place);
    match at {
        0 => sink.event(event),
        _ => sink.event_below(causes[at - 1].0, event),
    }
}

/// `Connection refused: shop/192.0.2.7:8080`, `failed to resolve 'shop.internal' after 2 queries`,
/// `Unable to find instance for shop`.
fn dialled(message: &str) -> Option<String> {
    if let Some(it) = message.rsplit(": ").next().filter(|it| it.contains('/')) {
        let address = it.rsplit('/').next()?;
        let address = address.split([' ', ',']).next()?;
        let host = it.split('/').next().filter(|it| !it.is_empty() && !it.contains(' '));
        crate::address::port(address)?;
        return Some(match (host, address.rsplit_once(':')) {
            (Some(host), Some((_, port))) => format!("{host}:{port}"),
            _ => address.to_owned(),
        });
    }
    let lowered = message.strip_prefix("Failed to resolve '");
    let name = lowered.or_else(|| message.strip_prefix("failed to resolve '"))?;
    name.split('\'').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn what_a_gateway_could_not_reach_is_its_upstream() {
        let checkpoint = "\tSuppressed: reactor.core.publisher.FluxOnAssembly$OnAssemblyException: \nError has been observed at the following site(s):\n\t|_ checkpoint ⇢ org.springframework.cloud.gateway.filter.WeightCalculatorWebFilter [DefaultWebFilterChain]\n";
        for (first, want) in [
            (
                "java.net.UnknownHostException: failed to resolve 'shop.internal' after 2 queries",
                "NameNotFound upstream=shop.internal",
            ),
            (
                "io.netty.channel.AbstractChannel$AnnotatedConnectException: finishConnect(..) failed: Connection refused: shop/192.0.2.7:8080",
                "ConnectRefused upstream=shop:8080",
            ),
            (
                "io.netty.channel.ConnectTimeoutException: connection timed out: /192.0.2.7:8080",
                "ConnectTimedOut upstream=192.0.2.7:8080",
            ),
            (
                "reactor.netty.http.client.PrematureCloseException: Connection prematurely closed BEFORE response",
                "Closed",
            ),
        ] {
            check(
                &format!("{first}\n{checkpoint}"),
                &format!("Spring Boot: {want} detail={first} | {first}"),
            );
        }
        let first = "java.lang.IllegalArgumentException: invalid version format: HELLO";
        check(
            &format!("{first}\n{checkpoint}"),
            &format!("Spring Boot: NotHttp detail={first} | {first}"),
        );
        // Without a gateway in the trace, a dependency of the app was meant.
        check(
            "java.net.UnknownHostException: shop.internal\n\tat com.example.Shop.pay(Shop.java:42)\n",
            "Java: DbNameUnknown who=com.example.Shop.pay(Shop.java:42) detail=java.net.UnknownHostException: shop.internal | java.net.UnknownHostException: shop.internal",
        );
    }

    #[test]
    fn balancers_and_limits_are_told_wherever_they_are_raised() {
        for (line, want) in [
            (
                "org.springframework.cloud.gateway.support.NotFoundException: Unable to find instance for shop",
                "NoEndpoints",
            ),
            (
                "com.netflix.client.ClientException: Load balancer does not have available server for client: shop",
                "NoEndpoints",
            ),
        ] {
            check(line, &format!("Spring Boot: {want} detail={line} | {line}"));
        }
        check(
            "2026-11-20 15:16:30.123  WARN 1 --- [x] o.s.c.l.core.RoundRobinLoadBalancer : No servers available for service: shop",
            "Spring Boot: NoEndpoints detail=shop | No servers available for service: shop",
        );
        let large = "java.lang.IllegalArgumentException: Request header is too large";
        check(large, &format!("Tomcat: RequestTooBigForUpstream detail={large} | {large}"));
        check(
            "    o.s.c.l.core.RoundRobinLoadBalancer      : No servers available for service: shop",
            "Spring Boot: NoEndpoints detail=shop | No servers available for service: shop",
        );
        check_nothing("a caller sent No servers available for service: shop");
        check_nothing("a.b c : No servers available for service: shop");
    }

    #[test]
    fn its_own_acts_are_read() {
        for (line, want) in [
            (
                "2026-11-20T15:16:30.123Z INFO 1 --- [app] [main] o.s.b.w.embedded.tomcat.TomcatWebServer  : Tomcat started on port 8080 (http) with context path '/'",
                "Spring Boot: Listening upstream=*:8080 | Tomcat started on port 8080",
            ),
            (
                "2026-11-20T15:16:30.123Z INFO 1 --- [app] [main] com.example.App : Started App in 4.2 seconds (process running for 5.1)",
                "Spring Boot: Ready who=App number=4200 | Started App in 4.2 seconds",
            ),
            (
                "2026-11-20 15:16:30.123:INFO:oejs.AbstractConnector:main: Started ServerConnector@1b2c3d{HTTP/1.1, (http/1.1)}{0.0.0.0:8080}",
                "Java: Listening upstream=0.0.0.0:8080 | Started ServerConnector@1b2c3d{HTTP/1.1, (http/1.1)}{0.0.0.0:8080}",
            ),
            (
                "Web server failed to start. Port 8080 was already in use.",
                "Spring Boot: PortInUse upstream=*:8080 | Web server failed to start. Port 8080 was already in use",
            ),
            (
                "20-Nov-2026 15:16:30.123 INFO [main] org.apache.coyote.AbstractProtocol.start Starting ProtocolHandler [\"http-nio-8080\"]",
                "Tomcat: Listening upstream=*:8080 who=http-nio-8080 | Starting ProtocolHandler [\"http-nio-8080\"]",
            ),
            (
                "503 SERVICE_UNAVAILABLE \"Unable to find instance for orders\"",
                "Spring Boot: NoEndpoints detail=orders | Unable to find instance for orders",
            ),
            (
                "[2026-11-20T15:16:30.123+0000][info][gc] GC(7) Pause Full (Ergonomics) 800M->700M(1024M) 2345.678ms",
                "Java: GcPause number=2346 | Pause Full",
            ),
            (
                "2026-11-20 15:16:30.123 ERROR 1 --- [exec-1] o.h.engine.jdbc.spi.SqlExceptionHelper : HikariPool-1 - Connection is not available, request timed out after 30000ms.",
                "Java: DbPoolExhausted who=HikariPool-1 number=30000 | HikariPool-1 - Connection is not available, request timed out after 30000ms",
            ),
        ] {
            check(line, want);
        }
    }

    #[test]
    fn the_last_cause_of_a_trace_is_the_reason() {
        check(
            "org.springframework.web.client.ResourceAccessException: I/O error on GET request for \"http://x/y\"\n\tat org.springframework.web.client.RestTemplate.exec(RestTemplate.java:1)\n\tat com.example.Shop.pay(Shop.java:42)\nCaused by: java.net.ConnectException: Connection refused\n\tat java.base/sun.nio.ch.Net.connect(Net.java:1)\n\t... 12 more\n",
            "Java: ExternalFailed who=com.example.Shop.pay(Shop.java:42) detail=java.net.ConnectException: Connection refused | java.net.ConnectException: Connection refused",
        );
        check(
            "java.lang.OutOfMemoryError: Java heap space",
            "Java: HeapExhausted detail=java.lang.OutOfMemoryError: Java heap space | java.lang.OutOfMemoryError: Java heap space",
        );
        check(
            "Exception in thread \"main\" java.lang.IllegalStateException: no\n\tat com.example.App.main(App.java:3)\n",
            "Java: BootFailed who=com.example.App.main(App.java:3) detail=java.lang.IllegalStateException: no | java.lang.IllegalStateException: no",
        );
    }

    #[test]
    fn words_within_a_message_are_none() {
        check_nothing(
            "2026-11-20T15:16:30.123Z INFO 1 --- [main] c.e.App : caller sent: Tomcat started on port 1",
        );
        check_nothing("the user sent java.lang.OutOfMemoryError: Java heap space");
        check_nothing(
            "[2026-11-20T15:16:30.123+0000][info][gc] GC(7) Pause Young (Normal) 80M->70M(1024M) 3.678ms",
        );
        check_nothing("a pool of mine - Connection is not available, request timed out after 3ms");
    }
}
