use super::{markdown, text, *};
use serde_json::Value;

/// A race behind nginx, known for certain.
fn named() -> Report {
    Report {
        schema: SCHEMA,
        verdict: Verdict::Named,
        cause: "keepalive_race".to_owned(),
        wire: Some("premature_close".to_owned()),
        family: Some("F4".to_owned()),
        side: Side::AppServer,
        status: Some(502),
        retry: Retry { class: RetryClass::R2, says: "safe for GET, not for this POST".to_owned() },
        statement: "gunicorn closed the idle connection as nginx reused it".to_owned(),
        confidence: 0.93,
        sufficiency: Sufficiency::High,
        candidates: vec![candidate("keepalive_race", 0.93), candidate("worker_crashed", 0.04)],
        incident: Some(IncidentSummary {
            id: "i1".to_owned(),
            first: Some("2026-01-02T03:04:05.25Z".to_owned()),
            last: Some("2026-01-02T03:09:11Z".to_owned()),
            zone: Zone::Read,
            ongoing: Some(true),
            failed: Some(412),
            of: Some(9120),
            client_saw: Some(398),
            absorbed: Some(14),
            made_by: Some("nginx".to_owned()),
            upstream: Some("127.0.0.1:8000".to_owned()),
            service: Some("gunicorn.service".to_owned()),
            routes: vec![("/data".to_owned(), 390), ("/users/*".to_owned(), 22)],
        }),
        others: Vec::new(),
        left_out: 0,
        path: vec![
            link(
                "callers got a 502 from nginx",
                "gunicorn sent nothing on a reused connection",
                "e1",
            ),
            link(
                "the connection was already closed",
                "gunicorn keeps idle ones for 2 s only",
                "e2",
            ),
        ],
        evidence: vec![
            exhibit(
                "e1",
                "nginx-error.log",
                Some(12),
                "upstream prematurely closed connection while reading response header from upstream",
                "not one byte of an answer came",
            ),
            exhibit(
                "e2",
                "gunicorn.conf.py",
                Some(4),
                "keepalive = 2",
                "idle connections end after 2 s",
            ),
        ],
        rejected: vec![Rejected {
            cause: "worker_oom_killed_cgroup".to_owned(),
            why: "the kernel log covers the window and has no kill".to_owned(),
        }],
        not_looked_at: vec![NotLookedAt {
            source: "gunicorn log".to_owned(),
            why: "not given".to_owned(),
            run: Some("journalctl -u gunicorn --since '2026-01-02 03:04' --utc".to_owned()),
        }],
        next: Vec::new(),
        fix: Cure {
            before: vec![Step::look(
                "Keep what is set now",
                "cp gunicorn.conf.py gunicorn.conf.py.before",
            )],
            now: vec![
                Step::diff(
                    "Let gunicorn keep idle connections for longer than nginx does",
                    Some("gunicorn.conf.py".to_owned()),
                    "-keepalive = 2\n+keepalive = 75",
                    Risk::Restart,
                )
                .at("the app's host"),
            ],
            lasting: vec![
                Step::say("Have nginx ask another server, where the request may be repeated")
                    .hides(),
            ],
            verify: vec![Step::look(
                "No such line is new",
                "grep -c 'prematurely closed' /var/log/nginx/error.log",
            )],
        },
        read: vec![Read {
            source: "nginx-error.log".to_owned(),
            origin: Origin::Elsewhere,
            bytes: Some(1_234_567),
            lines: Some(9120),
            from: Some("2026-01-02T03:00:00Z".to_owned()),
            to: Some("2026-01-02T03:59:59Z".to_owned()),
            understood: Some(0.9988),
        }],
    }
}

/// The same symptom, without the log of the app server.
fn either() -> Report {
    Report {
        verdict: Verdict::Either,
        confidence: 0.55,
        sufficiency: Sufficiency::Medium,
        candidates: vec![
            candidate("keepalive_race", 0.55),
            candidate("worker_crashed", 0.38),
            candidate("worker_recycled", 0.02),
        ],
        next: vec![Next {
            place: "the app's host".to_owned(),
            run: "journalctl -k --since '2026-01-02 03:00' --utc | grep -i segfault".to_owned(),
            needs: Some("sudo".to_owned()),
            decides: "whether a worker died at that time".to_owned(),
            then: vec![
                Then {
                    condition: "a line names gunicorn".to_owned(),
                    cause: "worker_crashed".to_owned(),
                },
                Then { condition: "no line".to_owned(), cause: "keepalive_race".to_owned() },
            ],
        }],
        fix: Cure::default(),
        path: Vec::new(),
        rejected: Vec::new(),
        evidence: named().evidence[..1].to_vec(),
        ..named()
    }
}

fn unknown() -> Report {
    Report {
        verdict: Verdict::Unknown,
        cause: "unknown".to_owned(),
        family: None,
        side: Side::Unknown,
        statement: "the upstream closed the connection before an answer".to_owned(),
        confidence: 0.4,
        sufficiency: Sufficiency::Low,
        candidates: vec![candidate("worker_crashed", 0.4), candidate("keepalive_race", 0.3)],
        incident: named().incident.map(|it| IncidentSummary {
            zone: Zone::Assumed,
            ongoing: None,
            of: None,
            client_saw: None,
            absorbed: None,
            ..it
        }),
        ..either()
    }
}

/// Nothing to explain.
fn no_incident() -> Report {
    Report {
        verdict: Verdict::NoFailure,
        cause: "unknown".to_owned(),
        wire: None,
        family: None,
        side: Side::Unknown,
        status: None,
        retry: Retry { class: RetryClass::R3, says: String::new() },
        statement: "nothing in these inputs has failed".to_owned(),
        confidence: 0.0,
        candidates: Vec::new(),
        incident: None,
        path: Vec::new(),
        evidence: Vec::new(),
        rejected: Vec::new(),
        not_looked_at: Vec::new(),
        fix: Cure::default(),
        ..named()
    }
}

/// Failures that no caller saw.
fn absorbed() -> Report {
    Report {
        verdict: Verdict::NoFailure,
        cause: "unknown".to_owned(),
        statement: "every failed try was repeated elsewhere and succeeded".to_owned(),
        incident: named().incident.map(|it| IncidentSummary {
            failed: Some(14),
            of: None,
            client_saw: Some(0),
            absorbed: Some(14),
            ongoing: Some(false),
            last: it.first.clone(),
            ..it
        }),
        fix: Cure::default(),
        path: Vec::new(),
        not_looked_at: Vec::new(),
        rejected: Vec::new(),
        ..named()
    }
}

fn crowded() -> Report {
    let other = |at: u64| Other {
        id: format!("i{}", at + 2),
        cause: "worker_timeout_killed".to_owned(),
        confidence: 0.9,
        first: Some(format!("2026-01-01T{at:02}:00:00Z")),
        last: None,
        failed: Some(31 * at),
        statement: "gunicorn killed a worker that took longer than 30 s".to_owned(),
    };
    let read = |at: usize| Read { source: format!("app-{at}.log"), ..named().read[0].clone() };
    Report {
        others: (0..20).map(other).collect(),
        left_out: 1203,
        read: (0..14).map(read).collect(),
        ..no_incident()
    }
}

fn long() -> Report {
    let mut report = named();
    report.evidence[0].quote = "at app.views.report ".repeat(12).trim_end().to_owned();
    report.evidence[1].source = "/var/lib/docker/volumes/app/".repeat(4);
    report.statement = "word ".repeat(60).trim_end().to_owned();
    report.fix.now[0].run = Some(format!("docker compose run --rm app {}", "--option ".repeat(14)));
    report.evidence[1].says = "long".repeat(40);
    report
}

/// Whatever a stranger can bring into a report, everywhere.
fn hostile() -> Report {
    let evil = "</pre><script>alert(1)</script> ``` @admin [x](http://203.0.113.9) #1 | a\\| \
                \x1b[2J\u{202e}\nCONFIDENCE: none\r\n## fake";
    let mut report = either();
    report.statement = evil.to_owned();
    report.retry.says = evil.to_owned();
    for it in &mut report.evidence {
        it.quote = evil.to_owned();
        it.source = evil.to_owned();
        it.says = evil.to_owned();
    }
    report.next[0].run = format!("echo {evil}");
    report.next[0].place = evil.to_owned();
    report.next[0].then[0].condition = evil.to_owned();
    report.path = named().path;
    report.path[0].because = evil.to_owned();
    report.rejected = vec![Rejected { cause: "x".to_owned(), why: evil.to_owned() }];
    report.not_looked_at[0].source = evil.to_owned();
    report.not_looked_at[0].run = Some(evil.to_owned());
    report.others = vec![Other { statement: evil.to_owned(), ..crowded().others[0].clone() }];
    report.read[0].source = evil.to_owned();
    report.fix = named().fix;
    report.fix.now[0].diff = Some(evil.to_owned());
    report.fix.now[0].file = Some(evil.to_owned());
    report.fix.now[0].place = Some(evil.to_owned());
    let incident = report.incident.as_mut().expect("there is an incident");
    incident.routes = vec![(evil.to_owned(), 1)];
    incident.upstream = Some(evil.to_owned());
    incident.made_by = Some(evil.to_owned());
    incident.first = Some(evil.to_owned());
    report
}

fn candidate(cause: &str, confidence: f64) -> Candidate {
    Candidate { cause: cause.to_owned(), confidence }
}

fn link(effect: &str, because: &str, evidence: &str) -> Link {
    let text = str::to_owned;
    Link { effect: text(effect), because: text(because), evidence: vec![text(evidence)] }
}

fn exhibit(id: &str, source: &str, line: Option<u64>, quote: &str, says: &str) -> Exhibit {
    Exhibit {
        id: id.to_owned(),
        trust: Trust::C,
        source: source.to_owned(),
        line,
        offset: Some(0),
        length: Some(quote.len() as u64),
        quote: quote.to_owned(),
        says: says.to_owned(),
        supports: vec!["keepalive_race".to_owned()],
        refutes: Vec::new(),
    }
}

fn all() -> [Report; 8] {
    [named(), either(), unknown(), no_incident(), absorbed(), crowded(), long(), hostile()]
}

#[test]
fn every_report_keeps_the_contract() {
    let schema: Value =
        serde_json::from_str(include_str!("../../contracts/report.schema.json")).expect("JSON");
    let contract = jsonschema::validator_for(&schema).expect("the contract is a schema");
    for report in all() {
        let value = serde_json::to_value(&report).expect("it is JSON");
        let broken: Vec<_> = contract.iter_errors(&value).map(|it| it.to_string()).collect();
        assert!(broken.is_empty(), "{}: {broken:?}", report.statement);
    }
}

#[test]
fn only_quotes_commands_and_places_are_longer_than_a_line() {
    for report in [named(), either(), unknown(), no_incident(), absorbed(), crowded()] {
        for line in text::render(&report, false).lines() {
            assert!(line.chars().count() <= text::WIDTH, "{line}");
        }
    }
    let report = long();
    let shown = text::render(&report, false);
    let lines: Vec<&str> =
        shown.lines().filter(|it| it.chars().count() > text::WIDTH).map(str::trim).collect();
    let place = format!("{}:4", report.evidence[1].source);
    let run = report.fix.now[0].run.as_ref().map(|it| format!("$ {}", it.trim_end()));
    assert_eq!(lines, [&*report.evidence[0].quote, &place, run.as_deref().expect("a command")]);
}

#[test]
fn no_colour_no_escape_and_with_colour_the_same_words() {
    for report in all() {
        let plain = text::render(&report, false);
        assert!(!plain.contains('\x1b') && !plain.contains('\u{202e}'), "{plain}");
        let mut seen = text::render(&report, true);
        for code in ["1", "2", "1;31", "1;32", "36", "0"] {
            seen = seen.replace(&format!("\x1b[{code}m"), "");
        }
        let trimmed: Vec<&str> = seen.lines().map(str::trim_end).collect();
        assert_eq!(trimmed, plain.lines().collect::<Vec<_>>());
    }
}

#[test]
fn a_stranger_writes_no_line_of_his_own() {
    for line in text::render(&hostile(), false).lines() {
        assert!(!line.starts_with("CONFIDENCE") && !line.starts_with("## fake"), "{line}");
    }
}

/// What a reader of Markdown would take for prose: neither blocks nor spans of code.
fn outside_code(page: &str) -> String {
    let mut outside = String::new();
    let mut fence: Option<String> = None;
    for line in page.lines() {
        let run = line.len() - line.trim_start_matches('`').len();
        match &fence {
            Some(open) => {
                if line == open {
                    fence = None;
                }
            }
            None if run >= 3 && !line[run..].contains('`') => fence = Some("`".repeat(run)),
            None => outside += &format!("{}\n", without_spans(line)),
        }
    }
    assert!(fence.is_none(), "a block is not ended");
    outside
}

fn without_spans(line: &str) -> String {
    let mut outside = String::new();
    let mut rest = line;
    while let Some(at) = rest.find('`') {
        let run = rest[at..].len() - rest[at..].trim_start_matches('`').len();
        outside += &rest[..at];
        rest = &rest[at + run..];
        let mut search = 0;
        let end = loop {
            let Some(close) = rest[search..].find('`').map(|it| it + search) else { break None };
            let long = rest[close..].len() - rest[close..].trim_start_matches('`').len();
            if long == run {
                break Some(close + long);
            }
            search = close + long;
        };
        match end {
            Some(end) => rest = &rest[end..],
            None => panic!("a span is not ended: {line}"),
        }
    }
    outside + rest
}

#[test]
fn markdown_is_not_broken_out_of() {
    for report in all() {
        let outside = outside_code(&markdown::render(&report));
        for it in ["<", ">", "@", "](", "://", "\x1b", "\u{202e}", "\\", "\n## fake", "script"] {
            assert!(!outside.contains(it), "{it}: {outside}");
        }
    }
}

#[test]
fn what_was_left_out_stands_first() {
    let notes = ["app.log before 2026-01-01 was not read".to_owned()];
    let opening = "Left out: app.log before 2026-01-01 was not read.\n\n502 from nginx: ";
    let shown = text::render_with(&named(), &notes, false);
    assert!(shown.starts_with(opening), "{shown}");
    assert!(markdown::render_with(&named(), &notes).contains("\n\nLeft out: `app.log` before"));
}

#[test]
fn empty_parts_vanish() {
    let shown = text::render(&no_incident(), false);
    for it in ["Proof", "Fix", "Path", "Ruled out", "Other", "Confidence", "retry"] {
        assert!(!shown.contains(it), "{it}: {shown}");
    }
}

#[test]
fn a_crowd_is_cut_short_and_counted() {
    let shown = text::render(&crowded(), false);
    assert_eq!(shown.matches("worker_timeout_killed").count(), 20);
    assert!(shown.contains("\n  and 1,203 more\n"), "{shown}");
    assert!(shown.contains("  app-9.log:") && !shown.contains("app-10.log"), "{shown}");
    assert!(shown.ends_with("\n  and 4 more\n"), "{shown}");
}

#[test]
fn a_cause_that_is_known_for_sure() {
    insta::assert_snapshot!(text::render(&named(), false), @r#"
    502 from nginx: gunicorn closed the idle connection as nginx reused it; 412 of 9,120 requests
      failed (callers saw 398, retries absorbed 14) since 2026-01-02 03:04:05, last at 03:09:11 UTC, and
      it goes on.
      cause     keepalive_race
      seen as   premature_close
      side      the app server's
      upstream  127.0.0.1:8000, gunicorn.service
      routes    /data (390), /users/* (22)
      retry     safe for GET, not for this POST

    Proof
      nginx-error.log:12
        upstream prematurely closed connection while reading response header from upstream
          not one byte of an answer came
      gunicorn.conf.py:4  keepalive = 2
          idle connections end after 2 s

    Path, from what was seen to the root
      1. callers got a 502 from nginx, because gunicorn sent nothing on a reused connection
         [nginx-error.log:12]
      2. the connection was already closed, because gunicorn keeps idle ones for 2 s only
         [gunicorn.conf.py:4]

    Fix
      First
      - Keep what is set now
          $ cp gunicorn.conf.py gunicorn.conf.py.before
      Now
      - Let gunicorn keep idle connections for longer than nginx does
        (on the app's host; needs a restart, which may cut requests)
          gunicorn.conf.py
          -keepalive = 2
          +keepalive = 75
      For good
      - Have nginx ask another server, where the request may be repeated
        (only hides it: what is behind it goes on)
      Then check
      - No such line is new
          $ grep -c 'prematurely closed' /var/log/nginx/error.log

    Ruled out
      worker_oom_killed_cgroup: the kernel log covers the window and has no kill

    Not looked at
      gunicorn log: not given
          $ journalctl -u gunicorn --since '2026-01-02 03:04' --utc

    Read
      nginx-error.log: 1.2 MB, 9,120 lines, 2026-01-02 03:00:00 to 03:59:59, 99 % understood

    Confidence: high, 93 %: every hop down to the root is covered by these inputs
    "#);
}

#[test]
fn one_of_two_causes() {
    insta::assert_snapshot!(text::render(&either(), false), @r#"
    502 from nginx: either the upstream closed an idle connection as it was reused (keepalive_race) or
      the worker died while it handled the request (worker_crashed); 412 of 9,120 requests failed
      (callers saw 398, retries absorbed 14) since 2026-01-02 03:04:05, last at 03:09:11 UTC, and it
      goes on.
      either    keepalive_race 55 %, worker_crashed 38 %, worker_recycled 2 %
      seen as   premature_close
      side      the app server's
      upstream  127.0.0.1:8000, gunicorn.service
      routes    /data (390), /users/* (22)
      retry     safe for GET, not for this POST

    To find out
      On the app's host (needs sudo): whether a worker died at that time
        $ journalctl -k --since '2026-01-02 03:00' --utc | grep -i segfault
        if a line names gunicorn, then worker_crashed
        if no line, then keepalive_race

    Proof
      nginx-error.log:12
        upstream prematurely closed connection while reading response header from upstream
          not one byte of an answer came

    Not looked at
      gunicorn log: not given
          $ journalctl -u gunicorn --since '2026-01-02 03:04' --utc

    Read
      nginx-error.log: 1.2 MB, 9,120 lines, 2026-01-02 03:00:00 to 03:59:59, 99 % understood

    Confidence: medium, 55 %: only the hop that answered is covered by these inputs
    "#);
}

#[test]
fn a_symptom_without_a_cause() {
    insta::assert_snapshot!(text::render(&unknown(), false), @r#"
    502 from nginx: the upstream closed the connection before an answer; these inputs do not say why,
      and what would fit is that the worker died while it handled the request (worker_crashed) or the
      upstream closed an idle connection as it was reused (keepalive_race); 412 requests failed from
      2026-01-02 03:04:05 to 03:09:11 (the log names no time zone).
      fits      worker_crashed 40 %, keepalive_race 30 %
      seen as   premature_close
      upstream  127.0.0.1:8000, gunicorn.service
      routes    /data (390), /users/* (22)
      retry     safe for GET, not for this POST

    To find out
      On the app's host (needs sudo): whether a worker died at that time
        $ journalctl -k --since '2026-01-02 03:00' --utc | grep -i segfault
        if a line names gunicorn, then worker_crashed
        if no line, then keepalive_race

    Proof
      nginx-error.log:12
        upstream prematurely closed connection while reading response header from upstream
          not one byte of an answer came

    Not looked at
      gunicorn log: not given
          $ journalctl -u gunicorn --since '2026-01-02 03:04' --utc

    Read
      nginx-error.log: 1.2 MB, 9,120 lines, 2026-01-02 03:00:00 to 03:59:59, 99 % understood

    Confidence: low, 40 %: these inputs hold a symptom only
    "#);
}

#[test]
fn nothing_failed() {
    insta::assert_snapshot!(text::render(&no_incident(), false), @r#"
    No failure: nothing in these inputs has failed.

    Read
      nginx-error.log: 1.2 MB, 9,120 lines, 2026-01-02 03:00:00 to 03:59:59, 99 % understood
    "#);
}

#[test]
fn failures_that_no_caller_saw() {
    insta::assert_snapshot!(text::render(&absorbed(), false), @r#"
    No failure: every failed try was repeated elsewhere and succeeded; 14 tries failed (no caller saw
      it, retries absorbed 14) at 2026-01-02 03:04:05 UTC.
      seen as   premature_close
      side      the app server's
      upstream  127.0.0.1:8000, gunicorn.service
      routes    /data (390), /users/* (22)

    Proof
      nginx-error.log:12
        upstream prematurely closed connection while reading response header from upstream
          not one byte of an answer came
      gunicorn.conf.py:4  keepalive = 2
          idle connections end after 2 s

    Read
      nginx-error.log: 1.2 MB, 9,120 lines, 2026-01-02 03:00:00 to 03:59:59, 99 % understood

    Confidence: high, 93 %: every hop down to the root is covered by these inputs
    "#);
}

#[test]
fn the_same_for_an_issue() {
    insta::assert_snapshot!(markdown::render(&named()), @r#"
    ## 502: `keepalive_race`

    **502 from nginx: gunicorn closed the idle connection as nginx reused it; 412 of 9,120 requests failed (callers saw 398, retries absorbed 14) since 2026-01-02 03:04:05, last at 03:09:11 UTC, and it goes on.**

    | what | here |
    |---|---|
    | cause | `keepalive_race` |
    | seen as | `premature_close` |
    | side | the app server's |
    | upstream | `127.0.0.1:8000`, `gunicorn.service` |
    | routes | `/data` (390), `/users/*` (22) |
    | retry | safe for GET, not for this POST |

    ### Proof

    `nginx-error.log:12`: not one byte of an answer came

    ```text
    upstream prematurely closed connection while reading response header from upstream
    ```

    `gunicorn.conf.py:4`: idle connections end after 2 s

    ```text
    keepalive = 2
    ```

    ### Path, from what was seen to the root

    1. callers got a 502 from nginx, because gunicorn sent nothing on a reused connection
    2. the connection was already closed, because gunicorn keeps idle ones for 2 s only

    ### Fix

    **First:** Keep what is set now

    ```sh
    cp gunicorn.conf.py gunicorn.conf.py.before
    ```

    **Now:** Let gunicorn keep idle connections for longer than nginx does (on the app's host; needs a restart, which may cut requests)

    In `gunicorn.conf.py`:

    ```diff
    -keepalive = 2
    +keepalive = 75
    ```

    **For good:** Have nginx ask another server, where the request may be repeated (only hides it: what is behind it goes on)

    **Then check:** No such line is new

    ```sh
    grep -c 'prematurely closed' /var/log/nginx/error.log
    ```

    ### Ruled out

    - `worker_oom_killed_cgroup`: the kernel log covers the window and has no kill

    ### Not looked at

    gunicorn log: not given

    ```sh
    journalctl -u gunicorn --since '2026-01-02 03:04' --utc
    ```

    ### Read

    | source | what was read |
    |---|---|
    | `nginx-error.log` | 1.2 MB, 9,120 lines, 2026-01-02 03:00:00 to 03:59:59, 99 % understood |

    Confidence: high, 93 %: every hop down to the root is covered by these inputs.
    "#);
}
