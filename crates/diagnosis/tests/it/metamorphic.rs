//! Changes of the inputs that do not change the truth: the answer stays the same.

use crate::scenes::scenes;
use crate::world::{From, Input, World, YEAR, brings, confidence, report, testimony};
use diagnosis::report::Verdict;
use diagnosis::why::{Question, why};
use evidence::{Arrival, Origin, Part, Shape, Testimony, Window, leading_time, scan};

/// What each scene becomes by a change says the same.
#[track_caller]
fn unchanged(change: &str, of: impl Fn(&World) -> Vec<Input>) {
    let wrong: Vec<String> =
        scenes().iter().filter_map(|it| it.wrong(change, &report(&of(it)))).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn map(world: &World, of: impl Fn(&Input) -> String) -> Vec<Input> {
    world.map(of).inputs
}

fn lines(text: &str, of: impl FnMut(&str) -> String) -> String {
    text.lines().map(of).collect::<Vec<_>>().join("\n") + "\n"
}

/// A line begins a unit where it is not a part of what stands before it.
fn begins(line: &str) -> bool {
    line.starts_with(|it: char| it == '[' || it.is_ascii_digit())
}

#[test]
fn the_order_of_inputs_does_not_matter() {
    unchanged("reversed", |it| it.inputs.iter().rev().cloned().collect());
    unchanged("rotated", |it| {
        let mut inputs = it.inputs.clone();
        inputs.rotate_left(1);
        inputs
    });
}

#[test]
fn a_log_that_is_given_twice_says_no_more() {
    unchanged("each input twice", |it| {
        let copy =
            it.inputs.iter().map(|it| Input { name: format!("copy-{}", it.name), ..it.clone() });
        it.inputs.iter().cloned().chain(copy).collect()
    });
}

#[test]
fn a_line_that_is_repeated_says_no_more() {
    let logs = |it: &Input| it.from != From::Configuration && it.text.lines().all(begins);
    unchanged("each line twice", |world| {
        map(world, |it| match logs(it) {
            true => lines(&it.text, |line| format!("{line}\n{line}")),
            false => it.text.clone(),
        })
    });
    unchanged("forty times", |world| {
        map(world, |it| match logs(it) {
            true => lines(&it.text, |line| [line; 40].join("\n")),
            false => it.text.clone(),
        })
    });
}

#[test]
fn names_and_addresses_do_not_matter() {
    const NAMES: [(&str, &str); 6] = [
        ("192.0.2.10", "203.0.113.77"),
        ("api.example.com", "shop.example.org"),
        ("example.com", "example.net"),
        ("myapp", "billing"),
        ("myhost", "otherhost"),
        ("192.0.2.20", "203.0.113.5"),
    ];
    unchanged("renamed", |world| {
        map(world, |it| {
            NAMES.iter().fold(it.text.clone(), |text, (old, new)| text.replace(old, new))
        })
    });
    unchanged("other ports", |world| {
        map(world, |it| {
            it.text.replace("8000", "9100").replace("8001", "9101").replace("8443", "9443")
        })
    });
    unchanged("other file names", |world| {
        let renamed = |(at, it): (usize, &Input)| Input { name: format!("{at}"), ..it.clone() };
        world.inputs.iter().enumerate().map(renamed).collect()
    });
}

/// Nginx writes local times without a zone.
fn in_zone(text: &str, hours: i32) -> String {
    text.replace("2026/11/20 12:", &format!("2026/11/20 {:02}:", 12 + hours))
}

#[test]
fn a_log_in_the_local_time_of_another_zone_is_the_same_log() {
    for hours in [-8, -5, -1, 1, 2, 9] {
        unchanged(&format!("{hours} hours ahead"), |world| {
            map(world, |it| in_zone(&it.text, hours))
        });
    }
}

#[test]
fn a_clock_that_is_off_by_half_a_minute_never_leads_to_another_cause() {
    for world in scenes() {
        let moved = world.map(|it| it.text.replace("2026/11/20 12:00:", "2026/11/20 12:01:"));
        let answer = report(&moved.inputs);
        let named = answer.verdict == Verdict::Named;
        let parent = answer.cause == world.cause || brings(world.cause, &answer.cause, 0);
        assert!(!named || parent, "{}: {}", world.name, answer.statement);
    }
}

#[test]
fn healthy_noise_does_not_matter() {
    let access: String = (0..100)
        .map(|it| {
            format!(
                "192.0.2.{} - - [20/Nov/2026:12:{:02}:{:02} +0000] \"GET /healthy/{it} HTTP/1.1\" 200 \
                 512 \"-\" \"Mozilla/5.0\"\n",
                it % 200,
                it / 60,
                it % 60
            )
        })
        .collect();
    let uvicorn: String = (0..100)
        .map(|it| {
            format!("INFO:     192.0.2.7:{} - \"GET /up/{it} HTTP/1.1\" 200 OK\n", 40000 + it)
        })
        .collect();
    unchanged("with an access log", |world| {
        // The failing requests of a world without an access log of its own stay what they are.
        let access =
            Input { name: "other-access.log".into(), from: From::Process, text: access.clone() };
        let uvicorn =
            Input { name: "other.log".into(), from: From::Process, text: uvicorn.clone() };
        world.inputs.iter().cloned().chain([access, uvicorn]).collect()
    });
    unchanged("between its lines", |world| {
        map(world, |it| match it.name.as_str() {
            "gunicorn.log" => {
                let noise = "[2026-11-20 12:00:01 +0000] [1492] [INFO] request finished in 12 ms\n";
                noise.repeat(40) + &it.text + &noise.repeat(40)
            }
            "error.log" => {
                let noise = "2026/11/20 12:00:01 [notice] 1234#1234: signal process started\n\
                             2026/11/20 12:00:01 [info] 1234#1234: *1 client 192.0.2.9 closed keepalive connection\n";
                noise.repeat(20) + &it.text + &noise.repeat(20)
            }
            "journal.txt" | "kernel.txt" => {
                let noise = "Nov 20 12:00:02 myhost CRON[77]: (root) CMD (run-parts /etc/cron.hourly)\n\
                             Nov 20 12:00:02 myhost sshd[78]: Accepted publickey for root from 192.0.2.3\n";
                noise.repeat(40) + &it.text + &noise.repeat(40)
            }
            _ => it.text.clone(),
        })
    });
}

/// The two files that a log becomes by rotation, where a unit begins.
fn rotated(it: &Input) -> Vec<Input> {
    let starts = it.text.match_indices('\n').map(|(at, _)| at + 1);
    let middle =
        starts.filter(|at| begins(&it.text[*at..])).min_by_key(|at| at.abs_diff(it.text.len() / 2));
    match middle {
        Some(at) if it.from != From::Configuration => vec![
            Input { name: format!("{}.1", it.name), text: it.text[..at].to_owned(), ..it.clone() },
            Input { text: it.text[at..].to_owned(), ..it.clone() },
        ],
        _ => vec![it.clone()],
    }
}

#[test]
fn a_log_that_was_rotated_in_between_is_the_same_log() {
    unchanged("rotated", |world| world.inputs.iter().flat_map(rotated).collect());
}

#[test]
fn line_ends_and_colours_do_not_matter() {
    unchanged("with CRLF", |world| map(world, |it| it.text.replace('\n', "\r\n")));
    unchanged("without the last line end", |world| map(world, |it| it.text.trim_end().to_owned()));
    unchanged("with empty lines", |world| {
        map(world, |it| match it.text.lines().all(begins) {
            true => it.text.replace('\n', "\n\n"),
            false => it.text.clone(),
        })
    });
    unchanged("in colours", |world| {
        map(world, |it| match it.from {
            From::Process => lines(&it.text, |line| format!("\u{1b}[31m{line}\u{1b}[0m")),
            _ => it.text.clone(),
        })
    });
}

/// What runs in containers dials no loopback, and has no kernel of its own.
fn contained(world: &World) -> bool {
    world.inputs.iter().all(|it| !it.text.contains("127.0.0.1") && !it.text.contains("unix:"))
}

fn wrapped(world: &World, wrap: impl Fn(&Input, &str, usize) -> String) -> Vec<Input> {
    if !contained(world) {
        return world.inputs.clone();
    }
    map(world, |it| {
        let mut number = 0;
        match it.from {
            From::Process => lines(&it.text, |line| {
                number += 1;
                wrap(it, line, number)
            }),
            _ => it.text.clone(),
        }
    })
}

fn stem(it: &Input) -> &str {
    match it.name.split('.').next().unwrap_or_default() {
        "error" | "access" => "proxy",
        it => it,
    }
}

/// When a line was written, for layers that say so by themselves.
fn seconds(line: &str) -> i64 {
    const NOON: i64 = 1_795_176_010;
    leading_time(line).map_or(NOON, |it| it.micros / 1_000_000)
}

fn clock(line: &str) -> String {
    evidence::clock::rfc3339(seconds(line) * 1_000_000)
}

#[test]
fn compose_prefixes_do_not_matter() {
    unchanged("of docker compose logs", |world| {
        wrapped(world, |it, line, _| format!("{}-1  | {line}", stem(it)))
    });
}

#[test]
fn what_docker_stores_is_the_same() {
    unchanged("as Docker stores it", |world| {
        wrapped(world, |_, line, _| {
            serde_json::json!({"log": format!("{line}\n"), "stream": "stderr", "time": clock(line)})
                .to_string()
        })
    });
}

#[test]
fn what_a_container_runtime_stores_is_the_same() {
    unchanged("as CRI stores it", |world| {
        wrapped(world, |_, line, _| format!("{} stderr F {line}", clock(line)))
    });
}

#[test]
fn what_journald_exports_is_the_same() {
    unchanged("as journald exports it", |world| {
        wrapped(world, |it, line, _| {
            serde_json::json!({
                "__REALTIME_TIMESTAMP": (seconds(line) * 1_000_000).to_string(),
                "_SYSTEMD_UNIT": format!("{}.service", stem(it)),
                "SYSLOG_IDENTIFIER": stem(it),
                "_PID": "1490",
                "PRIORITY": "3",
                "MESSAGE": line,
            })
            .to_string()
        })
    });
}

#[test]
fn what_syslog_carries_is_the_same() {
    unchanged("by syslog", |world| {
        if world.inputs.iter().any(|it| it.name == "haproxy.log") {
            return world.inputs.clone();
        }
        wrapped(world, |it, line, _| {
            let time = clock(line);
            format!("Nov 20 {} myhost {}[1490]: {line}", &time[11..19], stem(it))
        })
    });
}

/// Reads each input in parts that begin at every line.
fn in_parts(inputs: &[Input], size: usize) -> Testimony {
    let mut testimony = Testimony::default();
    for it in inputs {
        let bytes = it.text.as_bytes();
        let shape = Shape::of(&it.name, bytes, Arrival::File, YEAR);
        let source = testimony.sources.len() as u32;
        let mut whole =
            scan(&shape, source, Part { bytes, start: 0, end: 0, offset: 0 }, Window::default());
        let mut start = 0;
        while start < bytes.len() {
            let from = (start + size).min(bytes.len());
            let end = bytes[from..]
                .iter()
                .position(|it| *it == b'\n')
                .map_or(bytes.len(), |it| from + it + 1);
            let part =
                scan(&shape, source, Part { bytes, start, end, offset: 0 }, Window::default());
            let before = whole.lines;
            whole.absorb(part, Some(before));
            start = end;
        }
        whole.read_document(&shape, source, &it.text, Window::default());
        testimony.add(&it.name, &shape, Origin::Elsewhere, whole);
        testimony.configure(source, &shape, &it.name, &it.text);
    }
    testimony
}

#[test]
fn reading_in_parts_is_reading_the_whole() {
    for world in scenes() {
        let whole = world.report();
        for size in [1, 200, 700] {
            let parts = why(&in_parts(&world.inputs, size), &Question::default());
            assert_eq!(parts, whole, "{} in parts of {size}", world.name);
        }
    }
}

#[test]
fn a_paste_says_the_same_as_files() {
    for world in scenes() {
        let pasted = why(&testimony(&world.inputs, Arrival::Stream), &Question::default());
        assert_eq!(world.wrong("as pastes", &pasted), None);
    }
}

#[test]
fn without_the_decisive_input_nobody_is_surer() {
    for world in scenes().into_iter().filter(|it| it.inputs.len() > 1 && !it.decisive.is_empty()) {
        let rest: Vec<Input> =
            world.inputs.iter().filter(|it| it.name != world.decisive).cloned().collect();
        assert!(rest.len() < world.inputs.len(), "{}", world.name);
        let (with, without) = (world.report(), report(&rest));
        assert!(
            confidence(&without, world.cause) <= confidence(&with, world.cause),
            "{}: {}",
            world.name,
            without.statement
        );
        let sure = without.verdict == Verdict::Named && without.cause == world.cause;
        assert!(!sure, "{}: named without {}", world.name, world.decisive);
    }
}
