//! The kernel: `dmesg`, `dmesg -T`, and the same lines carried by syslog and journald.
//!
//! The kernel writes one message a line; only an OOM block has many, of which those that name the
//! victim count. A line is read from its start, so that nothing that a process chose (its name, an
//! audit record's path) is taken for the kernel's words.

use super::audit;
use crate::clock::{self, Stamp};
use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between, number, span_of};
use crate::sign::Sign;
use crate::trust::Trust;

const HOOKS: &[&str] = &[
    "oom",
    "ut of memory",
    "Killed process",
    "killed as a result of limit of",
    "segfault at",
    "general protection",
    "trap ",
    "SYN flooding",
    "table full",
    "file-max limit",
    "error (device",
    "I/O error",
    "ead-only",
    "XFS (",
    " DPT=",
    "ink is Down",
    "link status definitely down",
    "martian source",
    "neighbor table overflow",
    "neighbour table overflow",
    "Linux version ",
    "blocked for more than",
    "soft lockup",
    "apparmor=",
    "avc: ",
];

pub(super) const LOG: Reader = Reader {
    name: "kernel log",
    product: Product::Kernel,
    hooks: HOOKS,
    fits: |line| matches!(place(line), Some((_, _, true))) || known(line),
    read: |line, sink| {
        if let Some((inset, at, _)) = place(line) {
            read(line, inset, at, sink);
        }
    },
    source: "Linux 6.1: mm/oom_kill.c, arch/x86/mm/fault.c, net/ipv4/tcp_input.c; dmesg(1)",
    example: "[12345.678901] Memory cgroup out of memory: Killed process 1492 (gunicorn) \
              total-vm:612344kB, anon-rss:261120kB, file-rss:1024kB, shmem-rss:0kB, UID:33",
};

/// A message without its time, as people paste it, and `dmesg -T`, whose time others use too: read
/// where the kernel's words are certain.
fn known(line: &Line) -> bool {
    place(line).is_some_and(|(inset, _, _)| {
        let message = &line.text[inset..];
        say(message).is_some() || inset > 0 && audit::is_record(message)
    })
}

/// Where the message begins, its time, and whether the frame alone proves that it is the kernel's.
fn place(line: &Line) -> Option<(usize, Option<Stamp>, bool)> {
    let text = &*line.text;
    let carried = line.ident.as_deref() == Some("kernel");
    if line.ident.is_some() && !carried {
        return None;
    }
    let cut = text.strip_prefix("kernel: ");
    let rest = cut.unwrap_or(text);
    let rest = level(rest);
    let inset = text.len() - rest.len();
    let framed = carried || cut.is_some();
    if let Some(rest) = uptime(rest) {
        return Some((text.len() - rest.len(), None, true));
    }
    if let Some((at, end)) = rest.strip_prefix('[').and_then(clock::ctime) {
        let message = rest.get(1 + end..)?.strip_prefix("] ")?;
        return Some((text.len() - message.len(), Some(at), false));
    }
    Some((inset, None, framed))
}

/// `<4>` in front, from `dmesg -r`.
fn level(text: &str) -> &str {
    let rest = text.strip_prefix('<').and_then(|it| it.split_once('>'));
    match rest {
        Some((digits, rest)) if !digits.is_empty() && number(digits).is_some() => rest,
        _ => text,
    }
}

/// What stands after `[12345.678901] `: seconds since the start, with microseconds.
fn uptime(text: &str) -> Option<&str> {
    let rest = text.strip_prefix('[')?.trim_start_matches(' ');
    let (time, message) = rest.split_once(']')?;
    let (seconds, micros) = time.split_once('.')?;
    let digits = |it: &str| !it.is_empty() && it.bytes().all(|it| it.is_ascii_digit());
    if !digits(seconds) || !digits(micros) || micros.len() != 6 {
        return None;
    }
    // `dmesg -x` and kernels with CONFIG_PRINTK_CALLER: `[    T1]`.
    let message = message.strip_prefix(' ')?;
    match message.strip_prefix('[').and_then(|it| it.split_once("] ")) {
        Some((caller, rest)) if caller.trim_start().starts_with(['T', 'C']) => Some(rest),
        _ => Some(message),
    }
}

/// What a message says, with the decisive words as a part of it.
#[derive(Default)]
struct Said<'a> {
    words: &'a str,
    who: Option<&'a str>,
    pid: Option<u32>,
    detail: Option<&'a str>,
    upstream: Option<String>,
    client: Option<&'a str>,
    number: Option<i64>,
}

fn read(line: &Line, inset: usize, at: Option<Stamp>, sink: &mut dyn Sink) {
    let text = &*line.text;
    let message = &text[inset..];
    if audit::is_record(message) {
        if let Some(event) = audit::denial(line, message) {
            sink.event(event);
        }
        return;
    }
    let Some((sign, said)) = say(message) else { return };
    sink.event(
        Event::new(Product::Kernel, sign, Trust::B, span_of(text, said.words))
            .at(at)
            .who(said.who)
            .pid(said.pid)
            .detail(said.detail)
            .upstream(said.upstream)
            .client(said.client)
            .number(said.number),
    );
}

fn say(message: &str) -> Option<(Sign, Said<'_>)> {
    oom(message)
        .or_else(|| crash(message))
        .or_else(|| network(message))
        .or_else(|| firewall(message))
        .or_else(|| disk(message))
        .or_else(|| host(message))
}

fn oom(message: &str) -> Option<(Sign, Said<'_>)> {
    if let Some(fields) = message.strip_prefix("oom-kill:constraint=") {
        let constraint = fields.split(',').next()?;
        let sign = match constraint {
            "CONSTRAINT_MEMCG" => Sign::OomKilledCgroup,
            "CONSTRAINT_NONE" => Sign::OomKilledGlobal,
            _ => Sign::OomKilled,
        };
        let words = &message[..message.len() - fields.len() + constraint.len()];
        return Some((
            sign,
            Said {
                words,
                who: between(fields, ",task=", ",pid="),
                pid: fields.rfind(",pid=").and_then(|at| pid(&fields[at + 5..])),
                detail: between(fields, ",task_memcg=", ","),
                ..Said::default()
            },
        ));
    }
    if let Some(rest) = message.strip_prefix("Task in ") {
        let (group, _) = rest.split_once(" killed as a result of limit of ")?;
        return Some((
            Sign::OomKilledCgroup,
            Said { words: message, detail: Some(group), ..Said::default() },
        ));
    }
    if let Some(rest) = message.strip_prefix("oom_reaper: reaped process ") {
        let said = victim(message, rest)?;
        return Some((Sign::OomKilled, said));
    }
    if let Some(at) = message.find(" invoked oom-killer: ") {
        // Who asked for memory last; the victim may be another.
        let words = &message[..at + " invoked oom-killer".len()];
        return Some((Sign::OomKilled, Said { words, detail: Some(words), ..Said::default() }));
    }
    let (sign, rest) = if let Some(rest) = message.strip_prefix("Memory cgroup out of memory: ") {
        (Sign::OomKilledCgroup, rest)
    } else if let Some(rest) = message.strip_prefix("Out of memory: ") {
        (Sign::OomKilledGlobal, rest)
    } else if let Some(rest) = message.strip_prefix("Out of memory (oom_kill_allocating_task): ") {
        (Sign::OomKilledGlobal, rest)
    } else if message.starts_with("Killed process ") && message.contains("total-vm:") {
        (Sign::OomKilled, message)
    } else {
        return None;
    };
    let rest =
        rest.strip_prefix("Killed process ").or_else(|| rest.strip_prefix("Kill process "))?;
    Some((sign, victim(message, rest)?))
}

/// `1492 (gunicorn) …`, or `1492, UID 0, (gunicorn) …`; the words go up to the name.
fn victim<'a>(message: &'a str, rest: &'a str) -> Option<Said<'a>> {
    let open = rest.find('(')?;
    let close = rest[open..].find(')')? + open;
    let end = message.len() - rest.len() + close + 1;
    Some(Said {
        words: &message[..end],
        who: Some(&rest[open + 1..close]),
        pid: pid(rest),
        ..Said::default()
    })
}

fn pid(digits: &str) -> Option<u32> {
    number(digits).and_then(|it| it.try_into().ok())
}

fn crash(message: &str) -> Option<(Sign, Said<'_>)> {
    let message = message.strip_prefix("traps: ").unwrap_or(message);
    const FAULTS: [&str; 4] =
        ["]: segfault at ", "] general protection", "] trap ", "]: general protection fault"];
    let (at, fault) = FAULTS.iter().find_map(|it| Some((message.find(it)?, *it)))?;
    let open = message[..at].rfind('[')?;
    let process = &message[open + 1..at];
    if process.is_empty() || !process.bytes().all(|it| it.is_ascii_digit()) {
        return None;
    }
    // `… error 4 in libc.so.6[7f…+1b000]`.
    let tail = &message[at..];
    let library = tail.rfind(" in ").map(|it| &tail[it + 4..]);
    let library = library.map(|it| it.split(['[', ' ']).next().unwrap_or(it));
    let words = match fault.contains("segfault") {
        true => &message[..at + "]: segfault".len()],
        false => message[..].split(" ip:").next().unwrap_or(message),
    };
    Some((
        Sign::WorkerSegfault,
        Said {
            words,
            who: Some(&message[..open]),
            pid: pid(process),
            detail: library,
            ..Said::default()
        },
    ))
}

fn network(message: &str) -> Option<(Sign, Said<'_>)> {
    if let Some(at) = message.find("ossible SYN flooding on port ") {
        if !message.starts_with("TCP: ") && !message.starts_with("possible") {
            return None;
        }
        let rest = &message[at + "ossible SYN flooding on port ".len()..];
        let address = rest.split(". ").next().unwrap_or(rest).trim_end_matches('.');
        let port = address.rsplit(':').next().and_then(number);
        let start = at.checked_sub(1)?;
        let end = message.len() - rest.len() + address.len();
        let words = message.get(start..end)?;
        return Some((Sign::BacklogOverflow, Said { words, number: port, ..Said::default() }));
    }
    if let Some(at) = message.find("conntrack: table full, dropping packet") {
        if at > 32 {
            return None;
        }
        let words = &message[..at + "conntrack: table full, dropping packet".len()];
        return Some((Sign::ConntrackFull, Said { words, ..Said::default() }));
    }
    if message.starts_with("TCP: out of memory") {
        let words = &message[.."TCP: out of memory".len()];
        return Some((Sign::MemoryOut, Said { words, ..Said::default() }));
    }
    if message.contains(": neighbor table overflow")
        || message.contains(": neighbour table overflow")
    {
        return Some((Sign::NeighbourLost, Said { words: message, ..Said::default() }));
    }
    let source = message.strip_prefix("IPv4: ").unwrap_or(message);
    if let Some(rest) = source.strip_prefix("martian source ") {
        let words = source.split(", on dev").next().unwrap_or(source);
        let to = rest.split(' ').next().filter(|it| crate::address::is_ip(it));
        let said = Said {
            words,
            upstream: to.map(str::to_owned),
            detail: Some("martian source"),
            ..Said::default()
        };
        return to.map(|_| (Sign::FirewallDropped, said));
    }
    link(message)
}

/// `e1000e 0000:00:19.0 eth0: NIC Link is Down`, `bond0: link status definitely down for interface
/// eth0, disabling it`.
fn link(message: &str) -> Option<(Sign, Said<'_>)> {
    const BONDED: &str = "link status definitely down for interface ";
    if let Some(at) = message.find(BONDED) {
        let name = message[at + BONDED.len()..].split([',', ' ']).next()?;
        let end = at + BONDED.len() + name.len();
        let said = Said { words: &message[at..end], who: Some(name), ..Said::default() };
        return Some((Sign::LinkDown, said));
    }
    let at = message.find("Link is Down")?;
    let own = message[..at].trim_end();
    let own = own.strip_suffix("NIC").map_or(own, str::trim_end).trim_end_matches(':');
    let name = own.rsplit([' ', ':']).next().filter(|it| !it.is_empty())?;
    let words = &message[at..at + "Link is Down".len()];
    Some((Sign::LinkDown, Said { words, who: Some(name), ..Said::default() }))
}

/// `[UFW BLOCK] IN=eth0 OUT= MAC=… SRC=… DST=… … PROTO=TCP SPT=… DPT=8000 …`. The words in front are
/// the rule's own.
fn firewall(message: &str) -> Option<(Sign, Said<'_>)> {
    let at = message.find("IN=")?;
    let prefix = &message[..at];
    let fields = &message[at..];
    if prefix.len() > 64 || !fields.contains(" OUT=") {
        return None;
    }
    let says = |word: &str| prefix.to_ascii_lowercase().contains(word);
    let sign = if says("reject") {
        Sign::FirewallRejected
    } else if ["block", "drop", "den"].iter().any(|it| says(it)) {
        Sign::FirewallDropped
    } else {
        return None;
    };
    let field = |name: &str| {
        let at = fields.find(name)? + name.len();
        fields[at..].split(' ').next().filter(|it| !it.is_empty())
    };
    let (target, port) = (field(" DST=")?, field(" DPT="));
    let upstream = match port {
        Some(port) if target.contains(':') => format!("[{target}]:{port}"),
        Some(port) => format!("{target}:{port}"),
        None => target.to_owned(),
    };
    let said = Said {
        words: prefix.trim_end(),
        upstream: Some(upstream),
        client: field(" SRC="),
        number: port.and_then(number),
        ..Said::default()
    };
    Some((sign, said))
}

fn disk(message: &str) -> Option<(Sign, Said<'_>)> {
    let systems = ["EXT4-fs", "EXT3-fs", "EXT2-fs", "XFS (", "BTRFS", "F2FS-fs"];
    let system = systems.iter().any(|it| message.starts_with(it));
    let device = between(message, "(device ", ")").or_else(|| between(message, "(", ")"));
    let said = |words| Said { words, detail: device, ..Said::default() };
    const LOST: [&str; 5] = [
        "Remounting filesystem read-only",
        "remounting filesystem read-only",
        "Filesystem has been shut down",
        "hutting down filesystem",
        "forced readonly",
    ];
    if system {
        if let Some((at, words)) = LOST.iter().find_map(|it| Some((message.find(it)?, *it))) {
            return Some((Sign::ReadOnlyFs, said(&message[at..at + words.len()])));
        }
        let faults = ["error (device", "error (", "I/O error", "orruption"];
        let found = faults.iter().find_map(|it| message.find(it).map(|at| at + it.len()))?;
        return Some((Sign::DiskFault, said(&message[..found.min(message.len())])));
    }
    let blocks = ["Buffer I/O error on dev", "blk_update_request: I/O error", "I/O error, dev "];
    let at = blocks.iter().find(|it| message.starts_with(**it))?;
    let device = message.split("dev ").nth(1).or_else(|| message.split("device ").nth(1));
    let device = device.and_then(|it| it.split([',', ' ']).next());
    Some((Sign::DiskFault, Said { words: &message[..at.len()], detail: device, ..Said::default() }))
}

fn host(message: &str) -> Option<(Sign, Said<'_>)> {
    if let Some(rest) = message.strip_prefix("Linux version ") {
        let version = rest.split(' ').next()?;
        version.bytes().next().filter(u8::is_ascii_digit)?;
        let words = &message[.."Linux version ".len() + version.len()];
        return Some((Sign::Rebooted, Said { words, detail: Some(version), ..Said::default() }));
    }
    if let Some(rest) = message.strip_prefix("VFS: file-max limit ") {
        let words = message.split(" reached").next()?;
        let said = Said { words, number: number(rest), ..Said::default() };
        return Some((Sign::AppFdExhausted, said));
    }
    // `INFO: task gunicorn:1492 blocked for more than 120 seconds.`
    if let Some(rest) = message.strip_prefix("INFO: task ") {
        let (task, rest) = rest.split_once(" blocked for more than ")?;
        let (name, process) = task.rsplit_once(':')?;
        let end = message.len() - rest.len();
        let said = Said {
            words: &message[..end - 1],
            who: Some(name),
            pid: pid(process),
            number: number(rest).map(|it| it.saturating_mul(1000)),
            ..Said::default()
        };
        return Some((Sign::Hung, said));
    }
    // `watchdog: BUG: soft lockup - CPU#1 stuck for 23s! [gunicorn:1492]`
    let at = message.find("BUG: soft lockup - ").filter(|it| *it <= 16)?;
    let (rest, task) = message[at..].split_once("! [")?;
    let (name, process) = task.split_once(']')?.0.rsplit_once(':')?;
    Some((Sign::Hung, Said { words: rest, who: Some(name), pid: pid(process), ..Said::default() }))
}

#[cfg(test)]
mod tests {
    use crate::testing::{check, check_nothing};

    #[test]
    fn an_oom_block_names_its_victim_and_whose_limit_it_was() {
        check(
            "[12345.678901] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,\
             mems_allowed=0,oom_memcg=/system.slice/web.service,task_memcg=/system.slice/web.service,\
             task=gunicorn,pid=1492,uid=33",
            "the kernel: OomKilledCgroup who=gunicorn detail=/system.slice/web.service | \
             oom-kill:constraint=CONSTRAINT_MEMCG",
        );
        check(
            "[Fri Nov 20 15:16:30 2026] Out of memory: Killed process 77 (java) total-vm:1kB",
            "the kernel: OomKilledGlobal who=java | Out of memory: Killed process 77 (java)",
        );
        check(
            "Nov 20 15:16:30 db1 kernel: [ 345.678901] Out of memory: Kill process 77 (php-fpm) \
             score 512 or sacrifice child",
            "the kernel: OomKilledGlobal who=php-fpm | Out of memory: Kill process 77 (php-fpm)",
        );
        check(
            "Memory cgroup out of memory: Killed process 9 (node) total-vm:1kB, anon-rss:1kB",
            "the kernel: OomKilledCgroup who=node | Memory cgroup out of memory: Killed process 9 \
             (node)",
        );
        check(
            "[    9.000001] node invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0",
            "the kernel: OomKilled detail=node invoked oom-killer | node invoked oom-killer",
        );
    }

    #[test]
    fn a_fault_of_a_process_names_it_and_the_library() {
        check(
            "Nov  6 15:16:30 web1 kernel: [5120.441207] python3[4127]: segfault at 18 ip \
             00007f21c0a1b3d4 sp 00007ffd3c9e1a50 error 4 in _speedups.so[7f21c0a00000+3f000]",
            "the kernel: WorkerSegfault who=python3 detail=_speedups.so | python3[4127]: segfault",
        );
        check(
            "[  12.345678] traps: php-fpm8.2[812] general protection fault ip:55d sp:7ff error:0 \
             in php-fpm8.2[55d000+1000]",
            "the kernel: WorkerSegfault who=php-fpm8.2 detail=php-fpm8.2 | php-fpm8.2[812] \
             general protection fault",
        );
    }

    #[test]
    fn full_tables_and_queues_are_told() {
        check(
            "[99.000001] TCP: request_sock_TCP: Possible SYN flooding on port [::]:8080. Sending \
             cookies.",
            "the kernel: BacklogOverflow number=8080 | Possible SYN flooding on port [::]:8080",
        );
        check(
            "[99.000001] TCP: request_sock_TCP: Possible SYN flooding on port 8000. Dropping \
             request.  Check SNMP counters.",
            "the kernel: BacklogOverflow number=8000 | Possible SYN flooding on port 8000",
        );
        check(
            "Nov 20 15:16:30 gw kernel: nf_conntrack: nf_conntrack: table full, dropping packet",
            "the kernel: ConntrackFull | nf_conntrack: nf_conntrack: table full, dropping packet",
        );
    }

    #[test]
    fn a_firewall_names_what_was_dialled() {
        check(
            "Nov 20 15:16:30 app1 kernel: [12.345678] [UFW BLOCK] IN=eth0 OUT= MAC=aa:bb SRC=192.0.2.7 \
             DST=192.0.2.9 LEN=60 TOS=0x00 PROTO=TCP SPT=51000 DPT=8000 WINDOW=64240 SYN URGP=0",
            "the kernel: FirewallDropped upstream=192.0.2.9:8000 number=8000 | [UFW BLOCK]",
        );
        check(
            "[12.345678] FINAL_REJECT: IN=eth0 OUT= SRC=192.0.2.7 DST=192.0.2.9 PROTO=TCP DPT=80",
            "the kernel: FirewallRejected upstream=192.0.2.9:80 number=80 | FINAL_REJECT:",
        );
        check_nothing(
            "[12.345678] [UFW ALLOW] IN=eth0 OUT= SRC=192.0.2.7 DST=192.0.2.9 PROTO=TCP DPT=8000",
        );
    }

    #[test]
    fn disks_links_and_boots_are_told() {
        check(
            "[12.345678] EXT4-fs (sda1): Remounting filesystem read-only",
            "the kernel: ReadOnlyFs detail=sda1 | Remounting filesystem read-only",
        );
        check(
            "[12.345678] EXT4-fs error (device sda1): ext4_find_entry:1455: inode #2: comm app",
            "the kernel: DiskFault detail=sda1 | EXT4-fs error (device",
        );
        check(
            "[12.345678] e1000e 0000:00:19.0 eth0: NIC Link is Down",
            "the kernel: LinkDown who=eth0 | Link is Down",
        );
        check(
            "Nov 20 15:16:30 h kernel: Linux version 6.1.0-18-amd64 (debian-kernel@x) #1 SMP",
            "the kernel: Rebooted detail=6.1.0-18-amd64 | Linux version 6.1.0-18-amd64",
        );
        check(
            "[12.345678] INFO: task gunicorn:1492 blocked for more than 120 seconds.",
            "the kernel: Hung who=gunicorn number=120000 | INFO: task gunicorn:1492 blocked for \
             more than",
        );
    }

    #[test]
    fn the_words_elsewhere_in_a_line_are_not_the_kernels() {
        check_nothing("[12.345678] usb 1-1: Product: Out of memory: Killed process 1 (x)");
        check_nothing(
            "Nov 20 15:16:30 web app[12]: GET /?Out of memory: Killed process 1 (x) total-vm:1kB",
        );
        check_nothing("Nov 20 15:16:30 web app[12]: Out of memory: Killed process 1 (x) total-vm");
        check_nothing("[Fri Nov 20 15:16:30 2026] 192.0.2.1:1234 [200]: GET /x]: segfault at 7");
        check_nothing("[12.345678] ");
        check_nothing("[12.345678] IN= OUT=");
    }
}
