//! What callers sent, and what an app prints of it, is no evidence: the answer is that to the inputs
//! without it.

use crate::scenes::scenes;
use crate::world::{From, Input, World, answer, report};
use diagnosis::report::Report;

/// Words of ours that a stranger may write anywhere.
const FORGED: &[&str] = &[
    "Memory cgroup out of memory: Killed process 4242 (evil) total-vm:1kB, anon-rss:1kB, file-rss:0kB, shmem-rss:0kB, UID:33",
    "[12345.678901] Out of memory: Killed process 4242 (evil) total-vm:1kB, anon-rss:1kB, file-rss:0kB",
    "Nov 20 12:00:10 evilhost kernel: evil[4242]: segfault at 0 ip 00007f1c2a3b4c5d sp 00007ffd1a2b3c4d error 4 in evil.so[7f1c2a000000+200000]",
    "Nov 20 12:00:10 evilhost systemd[1]: evil.service: Main process exited, code=killed, status=9/KILL",
    "Nov 20 12:00:10 evilhost systemd[1]: Stopped evil.",
    "evil.service: Failed with result 'oom-kill'.",
    "2026/11/20 12:00:10 [error] 66#66: *6 connect() failed (113: No route to host) while connecting to upstream, client: 192.0.2.66, server: evil, request: \"GET /evil HTTP/1.1\", upstream: \"http://192.0.2.66:8000/evil\", host: \"evil\"",
    "2026/11/20 12:00:10 [crit] 66#66: *6 connect() to unix:/evil.sock failed (13: Permission denied) while connecting to upstream",
    "[Fri Nov 20 12:00:10.123456 2026] [proxy:error] [pid 66:tid 66] (111)Connection refused: AH00957: HTTP: attempt to connect to 192.0.2.66:8000 (evil) failed",
    "Nov 20 12:00:10 evilhost haproxy[66]: Server be_evil/evil is DOWN, reason: Layer4 timeout, check duration: 2000ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
    "[2026-11-20T12:00:10.123Z] \"GET /evil HTTP/1.1\" 503 UH no_healthy_upstream - \"-\" 0 19 0 - \"-\" \"curl/8.0\" \"evil\" \"evil\" \"-\" - - 192.0.2.66:80 192.0.2.66:50000 - -",
    "{\"log\":\"Memory cgroup out of memory: Killed process 4242 (evil)\\n\",\"stream\":\"stderr\",\"time\":\"2026-11-20T12:00:10Z\"}",
    "{\"MESSAGE\":\"Out of memory: Killed process 4242 (evil)\",\"SYSLOG_IDENTIFIER\":\"kernel\",\"_TRANSPORT\":\"kernel\",\"__REALTIME_TIMESTAMP\":\"1795176010000000\"}",
    "{\"level\":\"error\",\"ts\":1795176010.123,\"logger\":\"http.log.error\",\"msg\":\"dial tcp 192.0.2.66:8000: connect: no route to host\",\"request\":{\"method\":\"GET\",\"uri\":\"/evil\"},\"status\":502}",
    "{\"start_time\":\"2026-11-20T12:00:10.123Z\",\"response_code\":503,\"response_flags\":\"UH\",\"response_code_details\":\"no_healthy_upstream\",\"upstream_host\":null,\"upstream_cluster\":\"evil\"}",
    "type=AVC msg=audit(1795176010.123:66): avc:  denied  { name_connect } for  pid=66 comm=\"evil\" dest=8000 scontext=a tcontext=b tclass=tcp_socket permissive=0",
    "upstream prematurely closed connection while reading response header from upstream",
    "connect() failed (111: Connection refused) while connecting to upstream",
    "nf_conntrack: table full, dropping packet",
    "Back-off restarting failed container evil in pod evil_default",
    "Last State:     Terminated\\n      Reason:       OOMKilled",
    "no live upstreams while connecting to upstream",
    "upstream sent too big header while reading response header from upstream",
    "at=error code=H12 desc=\"Request timeout\" method=GET path=\"/evil\" host=evil dyno=web.66 status=503",
    "\u{1b}[31mOut of memory: Killed process 4242 (evil)\u{1b}[0m",
];

/// The answer stays that to the world as it was, and no quote holds a word of the stranger's.
#[track_caller]
fn unmoved(wrong: &mut Vec<String>, before: &Report, world: &World, how: &str, inputs: &[Input]) {
    let after = report(inputs);
    if answer(before) != answer(&after) {
        let name = world.name;
        let (was, is) = (ranked(before), ranked(&after));
        wrong.push(format!(
            "{name}, {how}: {} instead of {}; {is} instead of {was}",
            after.statement, before.statement
        ));
    }
    for it in after.evidence.iter().filter(|it| foreign(&it.quote)) {
        wrong.push(format!("{}, {how}: quotes {}", world.name, it.quote));
    }
}

fn ranked(report: &Report) -> String {
    let words = report.candidates.iter().map(|it| format!("{} {}", it.cause, it.confidence));
    words.collect::<Vec<_>>().join(", ")
}

fn foreign(quote: &str) -> bool {
    ["evil", "4242", "192.0.2.66"].iter().any(|it| quote.contains(it))
}

#[track_caller]
fn finish(mut wrong: Vec<String>) {
    let all = wrong.len();
    wrong.truncate(12);
    assert!(wrong.is_empty(), "{all}: {wrong:#?}");
}

fn with(world: &World, name: &str, more: &str) -> Option<Vec<Input>> {
    // Whose log it is shows by its lines: those of the stranger are the fewer.
    let healthy = match name {
        "gunicorn.log" => "[2026-11-20 11:59:00 +0000] [1492] [INFO] request finished in 12 ms\n",
        "uwsgi.log" => {
            "[pid: 1492|app: 0|req: 1/1] 192.0.2.7 () {28 vars in 300 bytes} [Fri Nov 20 11:59:00 2026] GET /up => generated 2 bytes in 1 msecs (HTTP/1.1 200) 2 headers in 78 bytes (1 switches on core 0)\n"
        }
        _ => "2026-11-20T11:59:00.000Z INFO done\n",
    };
    let mut inputs = world.inputs.clone();
    let it = inputs.iter_mut().find(|it| it.name == name && it.from == From::Process)?;
    it.text = healthy.repeat(8) + &it.text + more;
    Some(inputs)
}

/// What nginx does with a byte that is not printable, and with quotes.
fn by_nginx(text: &str) -> String {
    text.replace('"', "\\x22").replace('\u{1b}', "\\x1B").replace('\n', "\\x0A")
}

#[test]
fn requests_user_agents_and_referrers_of_access_lines_say_nothing() {
    let mut wrong = Vec::new();
    let mut text = String::new();
    for forged in FORGED {
        let forged = by_nginx(forged);
        let at = "[20/Nov/2026:12:00:10 +0000]";
        text += &format!("192.0.2.66 - - {at} \"GET /{forged} HTTP/1.1\" 200 5 \"-\" \"curl\"\n");
        text += &format!("192.0.2.66 - - {at} \"GET / HTTP/1.1\" 200 5 \"{forged}\" \"curl\"\n");
        text += &format!("192.0.2.66 - - {at} \"GET / HTTP/1.1\" 200 5 \"-\" \"{forged}\"\n");
        text += &format!("192.0.2.66 - {forged} {at} \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"\n");
        text += &format!("192.0.2.66 - - {at} \"{forged}\" 400 5 \"-\" \"curl\"\n");
    }
    for world in scenes() {
        let access =
            Input { name: "other-access.log".into(), from: From::Process, text: text.clone() };
        let inputs: Vec<Input> = world.inputs.iter().cloned().chain([access]).collect();
        unmoved(&mut wrong, &world.report(), &world, "access lines", &inputs);
    }
    finish(wrong);
}

#[test]
fn requests_hosts_and_referrers_of_error_lines_say_nothing() {
    let mut wrong = Vec::new();
    for world in scenes() {
        let before = world.report();
        for forged in FORGED {
            let forged = by_nginx(forged);
            let inputs = world.map(|it| match it.name.as_str() {
                "error.log" => {
                    it.text.replace("HTTP/1.1\"", &format!("HTTP/1.1 {forged}\"")).replace(
                        "host: \"api.example.com\"",
                        &format!("host: \"{forged}\", referrer: \"{forged}\""),
                    )
                }
                "haproxy.log" => it.text.replace("HTTP/1.1\"", &format!("HTTP/1.1 {forged}\"")),
                _ => it.text.clone(),
            });
            unmoved(&mut wrong, &before, &world, &forged, &inputs.inputs);
        }
    }
    finish(wrong);
}

#[test]
fn a_body_that_an_app_prints_says_nothing() {
    let mut wrong = Vec::new();
    for world in scenes() {
        let before = world.report();
        for forged in FORGED {
            let line = format!("[2026-11-20 12:00:10 +0000] [1492] [INFO] body={forged}\n");
            if let Some(inputs) = with(&world, "gunicorn.log", &line) {
                unmoved(&mut wrong, &before, &world, &line, &inputs);
            }
            let line = format!("2026-11-20T12:00:10.000Z INFO got {forged}\n");
            if let Some(inputs) = with(&world, "node.log", &line) {
                unmoved(&mut wrong, &before, &world, &line, &inputs);
            }
        }
    }
    finish(wrong);
}

/// An app that prints what a client sent, line ends and all.
#[test]
fn lines_of_other_components_in_the_log_of_an_app_say_nothing() {
    let mut wrong = Vec::new();
    for world in scenes() {
        let before = world.report();
        for forged in FORGED {
            for (name, line) in [
                (
                    "gunicorn.log",
                    format!("[2026-11-20 12:00:10 +0000] [1492] [INFO] body: x\n{forged}\n"),
                ),
                ("uwsgi.log", format!("body: x\n{forged}\n")),
                ("node.log", format!("2026-11-20T12:00:10.000Z body: x\n{forged}\n")),
            ] {
                if let Some(inputs) = with(&world, name, &line) {
                    unmoved(&mut wrong, &before, &world, &line, &inputs);
                }
            }
        }
    }
    finish(wrong);
}

#[test]
fn the_log_of_a_uvicorn_that_prints_bodies_says_nothing_of_others() {
    let mut wrong = Vec::new();
    let healthy = "INFO:     192.0.2.7:40000 - \"GET /up HTTP/1.1\" 200 OK\n".repeat(5);
    let log = |text: String| Input { name: "uvicorn.log".into(), from: From::Process, text };
    for mut world in scenes().into_iter().step_by(3) {
        world.inputs.push(log(healthy.clone()));
        let before = world.report();
        for forged in FORGED {
            let mut inputs = world.inputs.clone();
            inputs.pop();
            inputs.push(log(format!("{healthy}body: x\n{forged}\n{healthy}")));
            unmoved(&mut wrong, &before, &world, forged, &inputs);
        }
    }
    finish(wrong);
}

#[test]
fn lines_that_do_not_belong_in_a_file_are_shown_as_unexpected() {
    let healthy = "INFO:     192.0.2.7:40000 - \"GET /up HTTP/1.1\" 200 OK\n".repeat(5);
    let text = format!("{healthy}{}\n", FORGED[6]);
    let testimony =
        evidence::Testimony::of(&[("uvicorn.log", &text)], evidence::Arrival::File, 2026);
    let report = diagnosis::why::why(&testimony, &diagnosis::why::Question::default());
    let [shown] = &report.not_looked_at[..] else { panic!("{:?}", report.not_looked_at) };
    assert_eq!(shown.source, "uvicorn.log:6");
    assert!(shown.why.starts_with("1 line that is unexpected here: of the format of nginx"));
    assert!(report.evidence.is_empty(), "{:?}", report.evidence);
}
