//! Servers behind apps, of themselves: PostgreSQL, MySQL and MariaDB, Redis, RabbitMQ, Kafka,
//! MongoDB. They start, stop, run out of room, and refuse clients.

use crate::event::Event;
use crate::lead::Lead;
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Reader, between};
use crate::rule::{self, Rule, rule};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const POSTGRES: Reader = Reader {
    name: "PostgreSQL log",
    product: Product::Postgres,
    hooks: &[
        "the database system is ",
        "database system is ",
        "database system was ",
        "too many clients already",
        "remaining connection slots",
        "too many connections for ",
        "could not extend file",
        "could not write ",
        "could not create ",
        "could not fsync ",
        "could not access status ",
        "No space left on device",
        "authentication failed for user",
        "canceling statement due to",
        "deadlock detected",
        "was terminated by signal",
        "received fast shutdown",
        "received smart shutdown",
        "terminating connection due to",
        "out of memory",
        "listening on IPv",
        "could not bind IPv",
        "cannot execute ",
        "no pg_hba.conf entry",
        "invalid length of startup packet",
    ],
    fits: |line| {
        at_level(line, &["FATAL", "LOG", "ERROR", "PANIC"], POSTGRES_RULES, Product::Postgres)
            .is_some()
    },
    read: |line, sink| {
        if let Some(event) =
            at_level(line, &["FATAL", "LOG", "ERROR", "PANIC"], POSTGRES_RULES, Product::Postgres)
        {
            sink.event(event);
        }
    },
    source: "PostgreSQL 16: src/backend/postmaster/postmaster.c, src/backend/utils/init/postinit.c, src/backend/tcop/postgres.c",
    example: "2026-11-20 15:16:30.123 UTC [77] FATAL:  sorry, too many clients already",
};

const POSTGRES_RULES: &[Rule] = &[
    rule("sorry, too many clients already", Sign::DbTooManyClients),
    rule("remaining connection slots are reserved", Sign::DbTooManyClients),
    rule("too many connections for ", Sign::DbTooManyClients),
    rule("the database system is starting up", Sign::DbFailover),
    rule("the database system is shutting down", Sign::DbFailover),
    rule("the database system is in recovery mode", Sign::DbFailover),
    rule("the database system is not yet accepting connections", Sign::DbFailover),
    rule("database system is shut down", Sign::DbFailover),
    rule("database system was interrupted", Sign::DbFailover),
    rule("database system was not properly shut down", Sign::DbFailover),
    rule("database system is ready to accept", Sign::Ready),
    rule("listening on IPv4 address \"{upstream}\", port {number}", Sign::Listening),
    rule("listening on IPv6 address \"{upstream}\", port {number}", Sign::Listening),
    rule("could not bind IPv4 address \"{upstream}\": Address already in use", Sign::PortInUse),
    rule("could not bind IPv6 address \"{upstream}\": Address already in use", Sign::PortInUse),
    rule("received fast shutdown request", Sign::ShuttingDown),
    rule("received smart shutdown request", Sign::ShuttingDown),
    rule("terminating connection due to administrator command", Sign::DbFailover),
    rule("password authentication failed for user", Sign::DbAuthFailed),
    rule("could not extend file {_}: No space left on device", Sign::AppDiskFull),
    rule("could not write {_}: No space left on device", Sign::AppDiskFull),
    rule("could not create {_}: No space left on device", Sign::AppDiskFull),
    rule("could not fsync {_}: No space left on device", Sign::AppDiskFull),
    rule("could not access status {_}: No space left on device", Sign::AppDiskFull),
    rule("could not create {_}: Address already in use", Sign::PortInUse),
    rule("could not create lock file {_}: Permission denied", Sign::BootFailed),
    rule("no pg_hba.conf entry for", Sign::DbAuthFailed),
    rule("the database system is not accepting connections", Sign::DbFailover),
    rule("canceling statement due to statement timeout", Sign::DbSlow),
    rule("canceling statement due to lock timeout", Sign::DbSlow),
    rule("deadlock detected", Sign::DbSlow),
    rule("server process (PID {pid}) was terminated by signal 9", Sign::WorkerKilled),
    rule("server process (PID {pid}) was terminated by signal 11", Sign::WorkerSegfault),
    rule("server process (PID {pid}) was terminated by signal {number}", Sign::WorkerDied),
    rule("out of memory", Sign::HeapExhausted),
    rule("cannot execute {_} in a read-only transaction", Sign::DbFailover),
    // `GET ` and `POST` as a length; a scan of ports makes it too.
    rule("invalid length of startup packet", Sign::SpokenToInHttp),
];

/// A message after a level of the server's; without one anybody could have written it.
fn at_level<'a>(
    line: &'a Line,
    levels: &[&str],
    rules: &[Rule],
    product: Product,
) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    let (level, inset) = match lead.level {
        Some(level) => (level, lead.inset),
        None => after_user(&line.text, lead.at.map(|_| lead.inset)?)?,
    };
    levels.contains(&level).then_some(())?;
    let event = rule::event(rules, product, &line.text, inset)?;
    Some(with_port(event).at(lead.at).pid(lead.pid))
}

/// `shop@orders FATAL:  `, `[unknown]@[unknown] [local] FATAL:  ` and `app=x,user=y LOG:  `: what
/// log_line_prefix has between the time and the level. The level and where the message begins.
fn after_user(text: &str, from: usize) -> Option<(&str, usize)> {
    let rest = text.get(from..)?;
    let (at, level) = ["FATAL:", "ERROR:", "LOG:", "PANIC:"]
        .iter()
        .filter_map(|it| Some((rest.find(it)?, it.trim_end_matches(':'))))
        .min()?;
    let before = rest[..at].strip_suffix(' ')?;
    let words = before.split(' ').count();
    if before.len() > 120 || words > 4 || before.contains('"') || !before.contains(['@', '=']) {
        return None;
    }
    let start = from + at + level.len() + 1;
    Some((level, text.len() - text[start..].trim_start().len()))
}

/// Host and port that stand apart.
fn with_port(event: Event<'_>) -> Event<'_> {
    match (event.sign, event.upstream.clone(), event.number) {
        (Sign::Listening, Some(host), Some(port)) if host.contains(':') => {
            event.upstream(Some(format!("[{host}]:{port}"))).number(None)
        }
        (Sign::Listening, Some(host), Some(port)) => {
            event.upstream(Some(format!("{host}:{port}"))).number(None)
        }
        _ => event,
    }
}

pub(super) const MYSQL: Reader = Reader {
    name: "MySQL and MariaDB log",
    product: Product::MySql,
    hooks: &[
        "ready for connections",
        "Too many connections",
        "[InnoDB]",
        "InnoDB: ",
        "Can't start server",
        "Disk is full",
        "Cannot allocate memory for the buffer pool",
        "Database was not shutdown normally",
        "Shutdown complete",
        "Received SHUTDOWN",
        "Access denied for user",
    ],
    fits: |line| mysql(line).is_some(),
    read: |line, sink| {
        if let Some(event) = mysql(line) {
            sink.event(event);
        }
    },
    source: "MySQL 8.0: share/messages_to_error_log.txt; MariaDB 10.11: sql/mysqld.cc",
    example: "2026-11-20T15:16:30.123456Z 0 [ERROR] [MY-010262] [Server] Can't start server: Bind on TCP/IP port: Address already in use",
};

const MYSQL_RULES: &[Rule] = &[
    rule("Can't start server: Bind on TCP/IP port: Address already in use", Sign::PortInUse),
    rule("Can't start server: Bind on TCP/IP port. Got error: 98", Sign::PortInUse),
    rule("Can't start server", Sign::BootFailed),
    rule("{_}: ready for connections", Sign::Ready),
    rule("Too many connections", Sign::DbTooManyClients),
    rule("Disk is full writing ", Sign::AppDiskFull),
    rule("Access denied for user", Sign::DbAuthFailed),
    rule("Received SHUTDOWN from user", Sign::ShuttingDown),
    rule("{_}: Shutdown complete", Sign::ShuttingDown),
    rule("InnoDB: Cannot allocate memory for the buffer pool", Sign::HeapExhausted),
    rule("Cannot allocate memory for the buffer pool", Sign::HeapExhausted),
    rule("InnoDB: Database was not shutdown normally", Sign::DbFailover),
    rule("Database was not shutdown normally", Sign::DbFailover),
    rule("InnoDB: Write to file {_} failed", Sign::AppDiskFull),
];

/// `TIME THREAD [LEVEL] [MY-010931] [Server] MESSAGE`.
fn mysql<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = &*line.text;
    let (at, length) = crate::clock::iso(text)?;
    let level = text.get(length..length + 40.min(text.len() - length))?;
    let open =
        level.find('[').filter(|it| level[..*it].trim().bytes().all(|it| it.is_ascii_digit()))?;
    let mut rest = &text[length + open..];
    let mut brackets = 0;
    while let Some((inner, after)) = rest.strip_prefix('[').and_then(|it| it.split_once("] ")) {
        let known = matches!(inner, "Note" | "Warning" | "ERROR" | "System" | "Server" | "InnoDB")
            || inner.starts_with("MY-");
        if !known {
            return None;
        }
        (rest, brackets) = (after, brackets + 1);
    }
    if brackets == 0 {
        return None;
    }
    let event = rule::event(MYSQL_RULES, Product::MySql, text, text.len() - rest.len())?;
    Some(event.at(Some(at)))
}

pub(super) const REDIS: Reader = Reader {
    name: "Redis log",
    product: Product::Redis,
    hooks: &[
        "Ready to accept connections",
        "Error accepting a client connection",
        "User requested shutdown",
        "Received SIGTERM scheduling shutdown",
        "Failed opening the ",
        "Can't save in background",
        "Out Of Memory",
        "Server initialized",
        "Could not create server TCP listening socket",
        "max number of clients reached",
        "MASTER <-> REPLICA sync",
        "Redis is now ready to exit",
        "Possible SECURITY ATTACK detected",
    ],
    fits: |line| redis(line).is_some(),
    read: |line, sink| {
        if let Some(event) = redis(line) {
            sink.event(event);
        }
    },
    source: "Redis 7: src/server.c serverLogRaw(), src/networking.c, src/rdb.c",
    example: "1:M 20 Nov 2026 15:16:30.123 * Ready to accept connections tcp",
};

const REDIS_RULES: &[Rule] = &[
    rule("Ready to accept connections", Sign::Ready),
    rule("Server initialized", Sign::Started),
    rule("User requested shutdown", Sign::ShuttingDown),
    rule("Received SIGTERM scheduling shutdown", Sign::ShuttingDown),
    rule("Redis is now ready to exit", Sign::ShuttingDown),
    rule("Can't save in background: fork: Cannot allocate memory", Sign::CacheDown),
    rule("Failed opening the {_}: No space left on device", Sign::AppDiskFull),
    rule(
        "Warning: Could not create server TCP listening socket {upstream}: bind: Address already in use",
        Sign::PortInUse,
    ),
    rule(
        "Could not create server TCP listening socket {upstream}: bind: Address already in use",
        Sign::PortInUse,
    ),
    rule("Out Of Memory allocating", Sign::CacheDown),
    rule("Error accepting a client connection: {detail}", Sign::CacheDown),
    rule("max number of clients reached", Sign::CacheDown),
    // Since 3.2.7, where a command is `POST` or `Host:`.
    rule(
        "«Possible SECURITY ATTACK detected». It looks like somebody is sending POST or Host: commands",
        Sign::SpokenToInHttp,
    ),
];

/// `PID:ROLE DAY MONTH YEAR TIME LEVEL MESSAGE`.
fn redis<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = &*line.text;
    let (pid, rest) = text.split_once(':')?;
    let pid: u32 = pid.parse().ok()?;
    let role = rest.chars().next().filter(|it| matches!(it, 'M' | 'S' | 'C' | 'X'))?;
    let rest = rest[role.len_utf8()..].strip_prefix(' ')?;
    let (at, length) = crate::clock::day_first(rest)?;
    let rest = rest.get(length..)?.strip_prefix(' ')?;
    let level = rest.chars().next().filter(|it| matches!(it, '.' | '-' | '*' | '#'))?;
    let rest = rest[level.len_utf8()..].strip_prefix(' ')?;
    let event = rule::event(REDIS_RULES, Product::Redis, text, text.len() - rest.len())?;
    Some(event.at(Some(at)).pid(Some(pid)))
}

pub(super) const MONGO: Reader = Reader {
    name: "MongoDB log",
    product: Product::Mongo,
    hooks: &["\"c\":\"NETWORK\"", "\"c\":\"CONTROL\"", "\"c\":\"STORAGE\"", "\"c\":\"REPL\""],
    fits: |line| line.text.starts_with("{\"t\":{\"$date\":\"") && line.text.contains("\"msg\":\""),
    read: |line, sink| {
        if let Some(event) = mongo(&line.text) {
            sink.event(event);
        }
    },
    source: "MongoDB 4.4 to 7: structured logging, src/mongo/logv2",
    example: "{\"t\":{\"$date\":\"2026-11-20T15:16:30.123+00:00\"},\"s\":\"I\",  \"c\":\"NETWORK\",  \"id\":23016,   \"ctx\":\"listener\",\"msg\":\"Waiting for connections\",\"attr\":{\"port\":27017,\"ssl\":\"off\"}}",
};

const MONGO_RULES: &[Rule] = &[
    rule("Waiting for connections", Sign::Ready),
    rule("Failed to set up listener", Sign::BindFailed),
    rule("Connection refused because there are too many open connections", Sign::DbTooManyClients),
    rule("Detected unclean shutdown", Sign::DbFailover),
    rule("Starting TCP listener shutdown", Sign::ShuttingDown),
    rule("Received signal", Sign::ShuttingDown),
    rule("Shutting down", Sign::ShuttingDown),
    rule("WiredTiger error message", Sign::DbFailover),
    rule("Stepping down from primary", Sign::DbFailover),
];

fn mongo(text: &str) -> Option<Event<'_>> {
    let (at, _) = crate::clock::iso(between(text, "\"$date\":\"", "\"")?)?;
    let start = text.find("\"msg\":\"")? + 7;
    // What a client sent stands in the attributes, after the message.
    let attributes = text.find("\"attr\":").unwrap_or(text.len());
    let event = rule::event(MONGO_RULES, Product::Mongo, text, start)?;
    (start < attributes).then(|| event.at(Some(at)))
}

pub(super) const RABBIT: Reader = Reader {
    name: "RabbitMQ log",
    product: Product::RabbitMq,
    hooks: &[
        "Server startup complete",
        "resource limit alarm set",
        "alarm_handler: ",
        "Failed to start RabbitMQ",
        "RabbitMQ is asked to stop",
        "PLAIN login refused",
        "Failed to start Ranch listener",
        "connection limit (",
        "started TCP listener on ",
    ],
    fits: |line| rabbit(line).is_some(),
    read: |line, sink| {
        if let Some(event) = rabbit(line) {
            sink.event(event);
        }
    },
    source: "RabbitMQ 3.12: deps/rabbit/src/rabbit_alarm.erl, rabbit_networking.erl, rabbit.erl",
    example: "2026-11-20 15:16:30.123456+00:00 [info] <0.9.0> Server startup complete; 4 plugins started.",
};

const RABBIT_RULES: &[Rule] = &[
    rule("Server startup complete", Sign::Ready),
    rule("started TCP listener on {upstream}", Sign::Listening),
    rule("memory resource limit alarm set on node", Sign::BrokerDown),
    rule("disk resource limit alarm set on node", Sign::AppDiskFull),
    rule("Failed to start RabbitMQ", Sign::BootFailed),
    rule("RabbitMQ is asked to stop", Sign::ShuttingDown),
    rule("PLAIN login refused", Sign::DbAuthFailed),
    rule("Failed to start Ranch listener", Sign::BindFailed),
];

/// `TIME [LEVEL] <0.9.0> MESSAGE`.
fn rabbit<'a>(line: &'a Line) -> Option<Event<'a>> {
    let lead = Lead::of(&line.text);
    lead.at?;
    let (process, rest) = line.text[lead.inset..].strip_prefix('<')?.split_once("> ")?;
    if !process.bytes().all(|it| it.is_ascii_digit() || it == b'.') {
        return None;
    }
    let event =
        rule::event(RABBIT_RULES, Product::RabbitMq, &line.text, line.text.len() - rest.len())?;
    Some(event.at(lead.at))
}

pub(super) const KAFKA: Reader = Reader {
    name: "Kafka log",
    product: Product::Kafka,
    hooks: &["(kafka.", "(org.apache.kafka."],
    fits: |line| kafka(line).is_some(),
    read: |line, sink| {
        if let Some(event) = kafka(line) {
            sink.event(event);
        }
    },
    source: "Kafka 3.6: config/log4j.properties, core/src/main/scala/kafka/server/KafkaServer.scala",
    example: "[2026-11-20 15:16:30,123] INFO [KafkaServer id=1] started (kafka.server.KafkaServer)",
};

const KAFKA_RULES: &[(&str, Sign)] = &[
    ("started", Sign::Ready),
    ("shutting down", Sign::ShuttingDown),
    ("Fatal error during ", Sign::BootFailed),
    ("Shutdown broker because all log dirs in ", Sign::BrokerDown),
    ("Error while writing to checkpoint file", Sign::AppDiskFull),
];

/// `[TIME] LEVEL [KafkaServer id=1] MESSAGE (kafka.server.KafkaServer)`: the class stands last.
fn kafka<'a>(line: &'a Line) -> Option<Event<'a>> {
    let text = line.text.trim_end();
    let class = text.strip_suffix(')')?.rsplit_once(" (")?.1;
    let lead = Lead::of(text);
    if !(class.starts_with("kafka.") || class.starts_with("org.apache.kafka.")) || lead.at.is_none()
    {
        return None;
    }
    let rest = &text[lead.inset..];
    let rest =
        match rest.strip_prefix("[KafkaServer").or_else(|| rest.strip_prefix("[KafkaRaftServer")) {
            Some(after) => after.split_once("] ")?.1,
            None => rest,
        };
    let start = text.len() - rest.len();
    let (words, sign) = KAFKA_RULES.iter().find(|(words, _)| rest.starts_with(words))?;
    let server = *sign != Sign::Ready && *sign != Sign::ShuttingDown || class.ends_with("Server");
    server.then(|| {
        Event::new(Product::Kafka, *sign, Trust::C, start..start + words.trim_end().len())
            .at(lead.at)
    })
}

#[cfg(test)]
mod tests {
    use super::{
        MYSQL, MYSQL_RULES, POSTGRES, POSTGRES_RULES, RABBIT, RABBIT_RULES, REDIS, REDIS_RULES,
    };
    use crate::rule::assert_hooked;
    use crate::testing::{check, check_nothing};

    #[test]
    fn each_tells_its_own_state() {
        for (line, want) in [
            (
                "2026-11-20 15:16:30.123 UTC [77] FATAL:  sorry, too many clients already",
                "PostgreSQL: DbTooManyClients | sorry, too many clients already",
            ),
            (
                "2026-11-20 15:16:30.123 UTC [1] LOG:  listening on IPv4 address \"0.0.0.0\", port 5432",
                "PostgreSQL: Listening upstream=0.0.0.0:5432 | listening on IPv4 address \"0.0.0.0\", port 5432",
            ),
            (
                "2026-11-20T15:16:30.123456Z 0 [System] [MY-010931] [Server] /usr/sbin/mysqld: ready for connections. Version: '8.0.36'",
                "MySQL: Ready | /usr/sbin/mysqld: ready for connections",
            ),
            (
                "1:M 20 Nov 2026 15:16:30.123 * Ready to accept connections tcp",
                "Redis: Ready | Ready to accept connections",
            ),
            (
                "2026-11-20 15:16:30.123456+00:00 [warning] <0.9.0> memory resource limit alarm set on node rabbit@a.",
                "RabbitMQ: BrokerDown | memory resource limit alarm set on node",
            ),
            (
                "[2026-11-20 15:16:30,123] INFO [KafkaServer id=1] started (kafka.server.KafkaServer)",
                "Kafka: Ready | started",
            ),
        ] {
            check(line, want);
        }
    }

    #[test]
    fn the_prefix_of_a_line_is_the_administrators_choice() {
        for line in [
            "2026-11-20 15:16:30 UTC [126-1] FATAL:  could not write lock file \"postmaster.pid\": No space left on device",
            "2026-11-20 15:16:30.123 UTC [77] shop@orders FATAL:  could not write lock file \"postmaster.pid\": No space left on device",
        ] {
            check(
                line,
                "PostgreSQL: AppDiskFull | could not write lock file \"postmaster.pid\": No space left on device",
            );
        }
        check_nothing(
            "2026-11-20 15:16:30.123 UTC [77] shop@orders STATEMENT:  select 'FATAL: sorry, too many clients already'",
        );
    }

    #[test]
    fn what_a_client_sent_is_no_state() {
        check_nothing(
            "2026-11-20 15:16:30.123 UTC [77] ERROR:  column \"the database system is starting up\" does not exist",
        );
        check_nothing("sorry, too many clients already");
        check_nothing(
            "2026-11-20 15:16:30.123 UTC [77] STATEMENT:  select 'sorry, too many clients already'",
        );
        check_nothing("1:M 20 Nov 2026 15:16:30.123 * Accepted Ready to accept connections");
    }

    #[test]
    fn no_rule_is_passed_over() {
        assert_hooked(POSTGRES.hooks, POSTGRES_RULES);
        assert_hooked(MYSQL.hooks, MYSQL_RULES);
        assert_hooked(REDIS.hooks, REDIS_RULES);
        assert_hooked(RABBIT.hooks, RABBIT_RULES);
    }
}
