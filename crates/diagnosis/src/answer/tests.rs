use super::*;
use crate::{Case, first_look, testing};
use data_encoding::BASE64;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// Every kind of failure that an answer of ours is about, each with what may be odd about it.
const CASES: &[&str] = &[
    "connect: refused | to=127.0.0.1:8000",
    "connect: refused | to=127.0.0.1:8000 method=POST",
    "connect: socket_missing | to=unix:/run/app.sock errno=2",
    "connect: timed_out | to=10.0.0.7:8000 after=2s",
    "resolve: no_such_name | target=http://app.internal unresolved",
    "tls: expired | to=10.0.0.7:8443",
    "tls: alert=112 | to=10.0.0.7:8443",
    "send: reset | reused idle=3s",
    "head: closed | reused idle=5s server=uvicorn",
    "head: timed_out | fresh after=60s method=POST",
    "head: not_http | fresh bytes=5353482d322e30",
    "body: chunk_cut | fresh received=900",
    "deadline",
    "refused: no_route",
    "refused: malformed",
    "refused: draining",
    "refused: bug",
];

const AUDIENCES: [Audience; 3] = [Audience::Public, Audience::Trusted, Audience::Operator];
const FORMS: [Form; 3] = [Form::Problem, Form::Html, Form::Text];

/// The body for a case in one line.
fn answer(form: Form, audience: Audience, case: &str) -> String {
    of(form, audience, &testing::exchange(case))
}

fn of(form: Form, audience: Audience, exchange: &Exchange) -> String {
    body(form, &look(exchange), exchange, 502, audience)
}

fn look(exchange: &Exchange) -> Look {
    first_look(&Case::of(exchange).expect("there is something to explain"))
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("the body is JSON")
}

#[track_caller]
fn check_form(accept: &str, expected: Form) {
    assert_eq!(form(Some(accept)), expected, "{accept}");
}

#[test]
fn programs_get_json() {
    assert_eq!(form(None), Form::Problem);
    check_form("*/*", Form::Problem);
    check_form("", Form::Problem);
    check_form("application/json", Form::Problem);
    check_form("application/problem+json, text/html", Form::Problem);
    check_form("text/html, application/json", Form::Problem);
    check_form("text/html;q=0.4, application/json;q=0.5", Form::Problem);
    check_form("image/avif,image/webp,*/*;q=0.8", Form::Problem);
    check_form("text/html;q=0, */*", Form::Problem);
    check_form("text/html;q=high", Form::Problem);
    check_form("text/html;q=NaN, text/plain;q=2", Form::Problem);
}

#[test]
fn browsers_get_a_page() {
    let firefox = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    check_form(firefox, Form::Html);
    check_form("Text/HTML; charset=utf-8 ; Q=0.9, application/json;q=0.8", Form::Html);
    check_form("text/html, text/plain", Form::Html);
}

#[test]
fn terminals_may_ask_for_lines() {
    check_form("text/plain", Form::Text);
    check_form("text/*", Form::Text);
    check_form("text/plain, text/html;q=0.5, */*;q=0.1", Form::Text);
}

#[test]
fn every_problem_keeps_the_contract() {
    let schema = json(include_str!("../../contracts/answer.schema.json"));
    let contract = jsonschema::validator_for(&schema).expect("the contract is a schema");
    for case in CASES {
        for audience in AUDIENCES {
            let problem = json(&answer(Form::Problem, audience, case));
            let broken: Vec<_> = contract.iter_errors(&problem).map(|it| it.to_string()).collect();
            assert!(broken.is_empty(), "{case}, {audience:?}: {broken:?}");
        }
    }
}

#[test]
fn the_same_case_gives_the_same_bytes() {
    for case in CASES {
        for form in FORMS {
            let twice = [0, 1].map(|_| answer(form, Audience::Operator, case));
            assert_eq!(twice[0], twice[1], "{case}");
        }
    }
}

#[test]
fn fields_stand_in_the_order_in_which_they_are_read() {
    let text = answer(Form::Problem, Audience::Trusted, CASES[0]);
    assert!(text.starts_with("{\n  \"type\": \"/.well-known/goodgate/causes/process_down\",\n"));
    assert!(text.ends_with("}\n"));
    let fields = [
        "type",
        "title",
        "status",
        "detail",
        "instance",
        "cause",
        "wire",
        "side",
        "retry",
        "retryable",
        "evidence",
        "fix",
        "attempts",
        "request_id",
    ];
    let places = fields.map(|it| text.find(&format!("\n  \"{it}\":")).expect(it));
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(json(&text).as_object().expect("an object").len(), fields.len());
}

#[test]
fn raw_first_bytes_are_for_the_operator_alone() {
    let case = "head: not_http | fresh bytes=5353480d";
    let first = |audience| {
        json(&answer(Form::Problem, audience, case))["attempts"][0]["first_bytes"].take()
    };
    assert_eq!(first(Audience::Trusted), Value::Null);
    assert_eq!(first(Audience::Operator), serde_json::json!({"hex": "5353480d", "text": "SSH\\r"}));
}

#[test]
fn an_attempt_that_was_answered_says_so() {
    let mut exchange = testing::exchange("connect: refused");
    let mut answered = exchange.attempts[0].clone();
    (answered.fault, answered.status) = (None, Some(503));
    exchange.attempts.insert(0, answered);
    let problem = json(&of(Form::Problem, Audience::Trusted, &exchange));
    assert_eq!(problem["attempts"][0]["fault"], "answered");
    assert_eq!(problem["attempts"][1]["fault"], "connection_refused");
    assert_eq!(problem["attempts"][1]["ms"], 0.2);
}

/// An exchange in which every word that a stranger can choose is an attack.
fn hostile() -> Exchange {
    const WORDS: &str =
        "</code></style><script>alert(1)</script>\"'&\u{1b}[2J\u{9b}2J\u{202e}\r\n{";
    let mut exchange = testing::exchange("head: not_http | reused idle=5s");
    exchange.request.method = "GET".into();
    exchange.request.host = WORDS.into();
    exchange.request.path = format!("/{WORDS}").into();
    exchange.request.caller_id = Some(WORDS.into());
    exchange.route = Some(WORDS.into());
    let attempt = &mut exchange.attempts[0];
    attempt.target = WORDS.into();
    attempt.server = Some(WORDS.into());
    attempt.address = Some(exchange::Address::Unix(WORDS.into()));
    attempt.first_bytes = WORDS.as_bytes().to_vec();
    exchange
}

#[test]
fn hostile_text_stays_text_on_a_page() {
    for audience in AUDIENCES {
        let page = of(Form::Html, audience, &hostile());
        assert_eq!(page.matches("<script").count(), 1, "{page}");
        assert_eq!(page.matches("</script").count(), 1, "{page}");
        assert_eq!(page.matches("</style").count(), 1, "{page}");
        assert!(!page.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "{page}");
    }
    let page = of(Form::Html, Audience::Trusted, &hostile());
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"), "{page}");
}

#[test]
fn backticks_become_code_only_in_pairs() {
    let page = answer(Form::Html, Audience::Trusted, "head: closed | reused idle=5s");
    assert!(!page.contains('`'), "{page}");
    let odd = answer(Form::Html, Audience::Trusted, "head: closed | reused idle=5s server=a`b");
    assert!(odd.contains("a`b closed"), "{odd}");
}

#[test]
fn hostile_text_stays_text_in_json() {
    for audience in AUDIENCES {
        let text = of(Form::Problem, audience, &hostile());
        json(&text);
        assert!(!text.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\r']), "{text}");
    }
    let target = json(&of(Form::Problem, Audience::Trusted, &hostile()))["attempts"][0]["target"]
        .as_str()
        .expect("a target")
        .to_owned();
    assert_eq!(*target, *hostile().attempts[0].target, "escaped, not changed");
}

#[test]
fn hostile_text_moves_no_cursor() {
    for audience in AUDIENCES {
        let text = of(Form::Text, audience, &hostile());
        let acts = |it: char| it != '\n' && takes_effect(it);
        assert!(!text.contains(acts), "{text:?}");
    }
}

#[test]
fn a_stranger_learns_no_address_host_or_path() {
    for case in CASES {
        let mut exchange = testing::exchange(&format!("{case} | server=secretd"));
        exchange.request.path = "/orders/secret".into();
        for form in FORMS {
            let text = of(form, Audience::Public, &exchange);
            for inner in ["127.0.0.1", "10.0.0", "secret", "example.com", "/run", "app.internal"] {
                assert!(!text.contains(inner), "{case} says {inner}:\n{text}");
            }
        }
    }
}

#[test]
fn a_stranger_learns_what_to_quote_and_whether_to_repeat() {
    let problem = json(&answer(Form::Problem, Audience::Public, CASES[0]));
    let mut fields: Vec<_> = problem.as_object().expect("an object").keys().collect();
    fields.sort();
    assert_eq!(fields, ["cause", "request_id", "retryable", "status", "title", "type"]);
    for form in [Form::Html, Form::Text] {
        assert!(answer(form, Audience::Public, CASES[0]).contains(&"0".repeat(32)));
    }
}

#[test]
fn a_page_tries_again_where_waiting_helps_and_asking_twice_is_harmless() {
    let again = |case| answer(Form::Html, Audience::Public, case).contains("id=\"again\"");
    assert!(again("connect: refused"));
    assert!(!again("connect: refused | method=POST"));
    assert!(!again("connect: refused | method=HEAD"));
}

#[test]
fn a_page_loads_nothing_and_its_policy_names_its_own_style_and_script() {
    let page = answer(Form::Html, Audience::Operator, CASES[9]);
    for (open, close) in [("<style>", "</style>"), ("<script>", "</script>")] {
        let (_, rest) = page.split_once(open).expect("an element");
        let (text, _) = rest.split_once(close).expect("its end");
        let digest = BASE64.encode(&Sha256::digest(text));
        assert!(page.contains(&format!("'sha256-{digest}'")), "{open} has digest {digest}");
    }
    assert!(page.contains("<meta name=\"robots\" content=\"noindex\">"));
    for external in ["src=", "@import", "url(", "<link", "style=\"", "onclick"] {
        assert!(!page.contains(external), "{external}");
    }
}

#[test]
fn lines_fit_a_terminal_unless_they_are_commands() {
    for case in CASES {
        let mut exchange = testing::exchange(&format!("{case} | server={}", "x".repeat(300)));
        exchange.request.path = "/long".repeat(400).into();
        for audience in AUDIENCES {
            for line in of(Form::Text, audience, &exchange).lines() {
                let command = line.trim_start().starts_with("$ ");
                assert!(command || line.chars().count() <= 100, "{case}: {line}");
            }
        }
    }
}

#[test]
fn the_lines_tell_the_story_in_order() {
    let text = answer(Form::Text, Audience::Operator, CASES[0]);
    let first =
        "502 process_down: nothing is listening on 127.0.0.1:8000: the connection was refused\n";
    assert!(text.starts_with(first), "{text}");
    let order = ["connection_refused", "$ ss -ltnp 'sport = :8000'", &"0".repeat(32)];
    let places = order.map(|it| text.find(it).expect(it));
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn colour_changes_nothing_but_colour() {
    for case in CASES {
        let exchange = testing::exchange(case);
        let (plain, painted) =
            (block(&look(&exchange), &exchange, false), block(&look(&exchange), &exchange, true));
        assert!(painted.contains('\x1b'));
        let mut parts = painted.split('\x1b');
        let bare = parts.next().unwrap_or_default().to_owned();
        let bare = parts.fold(bare, |text, it| text + it.split_once('m').expect("a colour").1);
        assert_eq!(bare, plain, "{case}");
    }
}
