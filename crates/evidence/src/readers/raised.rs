//! What an exception says, whatever language raised it: its type and message to a sign.
//!
//! Types scope phrases: a message may hold what a caller sent, so that its words count only where
//! the type is that of a client of the dependency they speak of.

use crate::sign::Sign;
use std::ops::Range;

/// An exception, as the last line of a traceback or the first of a stack trace writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raised<'a> {
    /// With its module or package, where that is written.
    pub(super) kind: &'a str,
    pub(super) message: &'a str,
    /// The whole text.
    pub(super) text: &'a str,
}

/// A type, by its end, the words that the message holds, and what that says.
struct Known {
    kinds: &'static [&'static str],
    phrases: &'static [&'static str],
    sign: Sign,
}

const fn known(
    kinds: &'static [&'static str],
    phrases: &'static [&'static str],
    sign: Sign,
) -> Known {
    Known { kinds, phrases, sign }
}

/// Whatever the message says.
const ANY: &[&str] = &[""];

/// Types of clients of relational databases: DB-API, JDBC, node drivers, PDO, Npgsql.
const DATABASE: &[&str] = &[
    "OperationalError",
    "InterfaceError",
    "DatabaseError",
    "InternalError",
    "DBAPIError",
    "ConnectionException",
    "PSQLException",
    "SQLException",
    "SQLTransientConnectionException",
    "SQLNonTransientConnectionException",
    "CommunicationsException",
    "JDBCConnectionException",
    "CannotGetJdbcConnectionException",
    "CannotCreateTransactionException",
    "DataAccessResourceFailureException",
    "PDOException",
    "QueryException",
    "mysqli_sql_exception",
    "ConnectionNotEstablished",
    "StatementInvalid",
    "NoDatabaseError",
    "PG::ConnectionBad",
    "PG::UnableToSend",
    "Mysql2::Error",
    "Mysql2::Error::ConnectionError",
    "NpgsqlException",
    "PostgresException",
    "MySqlException",
    "SqlException",
    "SequelizeConnectionRefusedError",
    "SequelizeConnectionError",
    "PrismaClientInitializationError",
    "DatabaseException",
    "error",
];

const UNKNOWN_HOST: &[&str] = &[
    "could not translate host name",
    "Name or service not known",
    "Temporary failure in name resolution",
    "nodename nor servname",
    "Unknown MySQL server host",
    "Unknown server host",
    "getaddrinfo",
    "No address associated with hostname",
    "The connection attempt failed. Caused by: java.net.UnknownHostException",
];

const TABLE: &[Known] = &[
    // Pools.
    known(&["TimeoutError"], &["QueuePool limit"], Sign::DbPoolExhausted),
    known(&["PoolTimeout", "PoolError", "PoolExhaustedException"], ANY, Sign::DbPoolExhausted),
    known(
        &[
            "SQLTransientConnectionException",
            "CannotGetJdbcConnectionException",
            "SQLException",
            "JDBCConnectionException",
        ],
        &[
            "Connection is not available, request timed out",
            "Timeout waiting for connection",
            "Cannot get a connection, pool error",
        ],
        Sign::DbPoolExhausted,
    ),
    known(
        &["ConnectionTimeoutError"],
        &["could not obtain a connection from the pool", "could not obtain a database connection"],
        Sign::DbPoolExhausted,
    ),
    known(
        &["InvalidOperationException"],
        &["The timeout period elapsed prior to obtaining a connection from the pool"],
        Sign::DbPoolExhausted,
    ),
    known(&["Error"], &["timeout exceeded when trying to connect"], Sign::DbPoolExhausted),
    // Caches.
    known(&["redis.exceptions.AuthenticationError"], ANY, Sign::DbAuthFailed),
    known(
        &[
            "redis.exceptions.ConnectionError",
            "redis.exceptions.TimeoutError",
            "redis.exceptions.BusyLoadingError",
            "Redis::CannotConnectError",
            "Redis::TimeoutError",
            "RedisConnectionException",
            "RedisConnectionFailureException",
            "JedisConnectionException",
            "RedisException",
            "MaxRetriesPerRequestError",
            "MemcacheError",
            "MemcachedError",
        ],
        ANY,
        Sign::CacheDown,
    ),
    known(
        &[
            "redis.exceptions.ResponseError",
            "ReplyError",
            "Redis::CommandError",
            "RedisCommandExecutionException",
        ],
        &[
            "OOM command not allowed",
            "LOADING Redis is loading",
            "MISCONF",
            "READONLY You can't write",
        ],
        Sign::CacheDown,
    ),
    // Brokers.
    known(
        &[
            "kombu.exceptions.OperationalError",
            "AMQPConnectionError",
            "AMQPConnectorException",
            "AMQPError",
            "NoBrokersAvailable",
            "KafkaTimeoutError",
            "KafkaConnectionError",
            "KafkaJSConnectionError",
            "KafkaJSNumberOfRetriesExceeded",
            "AmqpConnectException",
            "Bunny::TCPConnectionFailed",
            "BrokerNotAvailableException",
            "BrokerUnreachableException",
            "amqp.exceptions.ConnectionForced",
        ],
        ANY,
        Sign::BrokerDown,
    ),
    known(&["TimeoutException", "KafkaException"], &["Topic ", "metadata"], Sign::BrokerDown),
    // Relational databases, from the most telling words on.
    known(DATABASE, &["Connection is not available, request timed out"], Sign::DbPoolExhausted),
    known(
        DATABASE,
        &[
            "too many clients already",
            "remaining connection slots are reserved",
            "Too many connections",
            "max_user_connections",
        ],
        Sign::DbTooManyClients,
    ),
    known(
        DATABASE,
        &[
            "password authentication failed",
            "Access denied for user",
            "no pg_hba.conf entry",
            "authentication failed",
            "Login failed for user",
            "no password supplied",
        ],
        Sign::DbAuthFailed,
    ),
    known(
        DATABASE,
        &[
            "the database system is",
            "read-only",
            "MySQL server has gone away",
            "Lost connection to MySQL server",
            "server closed the connection unexpectedly",
            "terminating connection due to",
            "SSL SYSCALL error: EOF detected",
            "Server shutdown in progress",
        ],
        Sign::DbFailover,
    ),
    known(
        DATABASE,
        &[
            "statement timeout",
            "Lock wait timeout exceeded",
            "deadlock detected",
            "Deadlock found",
            "database is locked",
            "lock timeout",
        ],
        Sign::DbSlow,
    ),
    known(DATABASE, UNKNOWN_HOST, Sign::DbNameUnknown),
    known(
        DATABASE,
        &[
            "Connection refused",
            "ECONNREFUSED",
            "Can't connect to",
            "could not connect to server",
            "connection to server",
            "timeout expired",
            "Communications link failure",
            "Connection to",
            "Can't reach database server",
            "Unable to connect to any of the specified",
            "Failed to connect to",
            "Unable to acquire JDBC Connection",
            "network-related or instance-specific",
        ],
        Sign::DbRefused,
    ),
    known(DATABASE, &["database or disk is full", "No space left on device"], Sign::AppDiskFull),
    known(DATABASE, &["no such table", "no such column", "Unknown column"], Sign::MigrationMissing),
    known(
        &[
            "ProgrammingError",
            "UndefinedTable",
            "UndefinedColumn",
            "UndefinedTableError",
            "UndefinedColumnError",
            "PSQLException",
            "PG::UndefinedTable",
            "PG::UndefinedColumn",
            "PDOException",
            "QueryException",
            "StatementInvalid",
            "PostgresException",
            "error",
        ],
        &["does not exist", "doesn't exist", "Base table or view not found"],
        Sign::MigrationMissing,
    ),
    known(&["PendingMigrationError"], ANY, Sign::MigrationMissing),
    known(
        &["InvalidPasswordError", "InvalidAuthorizationSpecificationError"],
        ANY,
        Sign::DbAuthFailed,
    ),
    known(&["TooManyConnectionsError"], ANY, Sign::DbTooManyClients),
    known(
        &[
            "CannotConnectNowError",
            "ConnectionDoesNotExistError",
            "ReadOnlySqlTransaction",
            "ReadOnlySQLTransactionError",
            "AdminShutdown",
        ],
        ANY,
        Sign::DbFailover,
    ),
    known(
        &[
            "QueryCanceledError",
            "QueryCanceled",
            "LockNotAvailable",
            "DeadlockDetected",
            "DeadlockDetectedError",
            "LockWaitTimeout",
        ],
        ANY,
        Sign::DbSlow,
    ),
    // MongoDB.
    known(
        &[
            "ServerSelectionTimeoutError",
            "MongoServerSelectionError",
            "MongoNetworkError",
            "MongooseServerSelectionError",
            "MongoTimeoutException",
            "MongoSocketOpenException",
        ],
        &[
            "Name or service not known",
            "ENOTFOUND",
            "EAI_AGAIN",
            "Temporary failure in name resolution",
            "UnknownHostException",
        ],
        Sign::DbNameUnknown,
    ),
    known(
        &[
            "ServerSelectionTimeoutError",
            "MongoServerSelectionError",
            "MongoNetworkError",
            "MongooseServerSelectionError",
            "MongoTimeoutException",
            "MongoSocketOpenException",
            "pymongo.errors.AutoReconnect",
            "pymongo.errors.NetworkTimeout",
            "pymongo.errors.ConnectionFailure",
        ],
        ANY,
        Sign::DbRefused,
    ),
    known(
        &["NotPrimaryError", "NotMasterError", "MongoNotPrimaryException"],
        ANY,
        Sign::DbFailover,
    ),
    // The system.
    known(
        &["OSError", "IOError", "IOException", "Error", "Errno::ENOSPC", "FileSystemException"],
        &["No space left on device", "ENOSPC", "[Errno 28]"],
        Sign::AppDiskFull,
    ),
    known(
        &[
            "OSError",
            "IOError",
            "SocketException",
            "IOException",
            "FileSystemException",
            "Error",
            "Errno::EMFILE",
        ],
        &["Too many open files", "EMFILE", "[Errno 24]"],
        Sign::AppFdExhausted,
    ),
    known(
        &["OSError", "IOError", "Error", "FileSystemException", "Errno::EROFS"],
        &["Read-only file system", "EROFS", "[Errno 30]"],
        Sign::ReadOnlyFs,
    ),
    known(
        &[
            "OSError",
            "Error",
            "BindException",
            "Errno::EADDRINUSE",
            "AddressInUseException",
            "AddrInUse",
            "IOException",
            "PortInUseException",
        ],
        &[
            "Address already in use",
            "address already in use",
            "EADDRINUSE",
            "already in use",
            "[Errno 98]",
            "[Errno 48]",
        ],
        Sign::PortInUse,
    ),
    known(
        &["OSError", "PermissionError", "Error"],
        &[
            "error while attempting to bind",
            "listen EACCES",
            "listen EADDRNOTAVAIL",
            "bind EADDRNOTAVAIL",
        ],
        Sign::BindFailed,
    ),
    known(
        &["MemoryError", "java.lang.OutOfMemoryError", "NoMemoryError", "OutOfMemoryException"],
        ANY,
        Sign::HeapExhausted,
    ),
    // Settings.
    known(
        &["ImproperlyConfigured", "KeyMissingError", "MissingEnvironmentVariable"],
        ANY,
        Sign::ConfigMissing,
    ),
    known(
        &["ValidationError"],
        &[" for Settings", " for Config", " for AppSettings"],
        Sign::ConfigMissing,
    ),
    known(
        &["IllegalArgumentException", "PlaceholderResolutionException"],
        &["Could not resolve placeholder"],
        Sign::ConfigMissing,
    ),
    known(&["KeyError"], &["key not found: \""], Sign::ConfigMissing),
    known(
        &["RateLimitError", "InsufficientQuotaError", "PaymentRequiredError"],
        ANY,
        Sign::QuotaDenied,
    ),
    // Names and other services.
    known(
        &["gaierror", "UnknownHostException", "SocketError", "ClientConnectorDNSError"],
        ANY,
        Sign::DbNameUnknown,
    ),
    known(&["Error"], &["getaddrinfo ENOTFOUND", "getaddrinfo EAI_AGAIN"], Sign::DbNameUnknown),
    known(
        &[
            "ReadTimeout",
            "ConnectTimeout",
            "WriteTimeout",
            "PoolTimeout",
            "ReadTimeoutError",
            "ConnectTimeoutError",
            "requests.exceptions.Timeout",
            "ServerTimeoutError",
            "ConnectionTimeoutError",
            "SocketTimeoutError",
            "APITimeoutError",
            "socket.timeout",
            "TimeoutError",
            "SocketTimeoutException",
            "HttpTimeoutException",
            "ConnectTimeoutException",
            "ReadTimeoutException",
            "Net::ReadTimeout",
            "Net::OpenTimeout",
            "HttpConnectTimeoutException",
            "TaskCanceledException",
        ],
        ANY,
        Sign::ExternalTimedOut,
    ),
    known(
        &[
            "requests.exceptions.ConnectionError",
            "requests.exceptions.HTTPError",
            "requests.exceptions.ProxyError",
            "requests.exceptions.SSLError",
            "requests.exceptions.RetryError",
            "requests.exceptions.ChunkedEncodingError",
            "httpx.ConnectError",
            "httpx.HTTPStatusError",
            "httpx.RemoteProtocolError",
            "httpx.ReadError",
            "httpx.ProxyError",
            "httpcore.ConnectError",
            "NewConnectionError",
            "MaxRetryError",
            "ProtocolError",
            "ClientConnectorError",
            "ClientConnectionError",
            "ClientResponseError",
            "ServerDisconnectedError",
            "ClientOSError",
            "ContentTypeError",
            "RemoteDisconnected",
            "APIConnectionError",
            "openai.InternalServerError",
            "openai.APIStatusError",
            "anthropic.InternalServerError",
            "ConnectionRefusedError",
            "ConnectionResetError",
            "java.net.ConnectException",
            "ConnectException",
            "NoRouteToHostException",
            "HttpServerErrorException",
            "HttpServerErrorException$BadGateway",
            "HttpServerErrorException$ServiceUnavailable",
            "HttpServerErrorException$GatewayTimeout",
            "WebClientRequestException",
            "ResourceAccessException",
            "PrematureCloseException",
            "Errno::ECONNREFUSED",
            "Errno::ECONNRESET",
            "HttpRequestException",
            "urllib.error.HTTPError",
            "urllib.error.URLError",
            "AxiosError",
        ],
        ANY,
        Sign::ExternalFailed,
    ),
    known(
        &["Error", "TypeError"],
        &["connect ECONNREFUSED", "read ECONNRESET", "socket hang up", "fetch failed"],
        Sign::ExternalFailed,
    ),
    known(&["Error"], &["connect ETIMEDOUT", "ESOCKETTIMEDOUT"], Sign::ExternalTimedOut),
];

impl<'a> Raised<'a> {
    /// `psycopg2.OperationalError: could not connect`, `KeyError: 'X'`, `MemoryError`: a name that
    /// ends as names of exceptions do or stands in a package.
    pub(super) fn of(text: &'a str) -> Option<Raised<'a>> {
        Raised::any(text).filter(Raised::is_plausible)
    }

    /// The same with any name, for where an exception must stand.
    pub(super) fn any(text: &'a str) -> Option<Raised<'a>> {
        let text = text.trim_end();
        let length = text.len() - text.trim_start_matches(is_of_type).len();
        let kind = text[..length].trim_end_matches(':');
        let rest = &text[kind.len()..];
        let message = match rest {
            "" => "",
            _ => rest
                .strip_prefix(": ")
                .or_else(|| rest.strip_prefix(':').filter(|it| it.is_empty()))?,
        };
        (!kind.is_empty()).then_some(Raised { kind, message, text })
    }

    fn is_plausible(&self) -> bool {
        let name = self.name();
        let first = name.bytes().next();
        let capital = first.is_some_and(|it| it.is_ascii_uppercase());
        let ends = [
            "Error",
            "Exception",
            "Exit",
            "Interrupt",
            "Timeout",
            "Failure",
            "Exhausted",
            "Refused",
            "ConnectionBad",
            "Configured",
            "Disconnected",
            "Available",
            "Missing",
            "Table",
            "Column",
        ];
        let known = matches!(name, "gaierror" | "herror" | "timeout" | "mysqli_sql_exception");
        (capital && (ends.iter().any(|it| name.ends_with(it)) || self.kind.contains("Error::")))
            || (known && self.kind.len() > name.len())
            || (name == "error" && self.kind == "error")
            || (capital && self.kind.starts_with("Errno::"))
            || (capital && self.kind.matches('.').count() >= 1 && !self.kind.contains(".."))
    }

    /// The type without its package.
    pub(super) fn name(&self) -> &'a str {
        let name = self.kind.rsplit("::").next().unwrap_or(self.kind);
        name.rsplit('.').next().unwrap_or(name)
    }

    /// What the type and its words say; nothing for an exception of the app's own.
    pub(super) fn sign(&self) -> Option<Sign> {
        // SQLAlchemy and JDBC wrap: the words are those of the inner one.
        let found = TABLE.iter().find(|it| {
            it.kinds.iter().any(|kind| self.is(kind))
                && it.phrases.iter().any(|phrase| self.message.contains(phrase))
        })?;
        Some(match (found.sign, self.port()) {
            (Sign::ExternalFailed | Sign::ExternalTimedOut, Some(port)) => {
                dependency(port).unwrap_or(found.sign)
            }
            (sign, _) => sign,
        })
    }

    /// Whether the type is this one: by its full name where a package is given, else by its last
    /// part.
    pub(super) fn is(&self, kind: &str) -> bool {
        match kind.contains(['.', ':']) {
            false => self.name() == kind,
            true => {
                self.kind == kind
                    || kind
                        .rsplit_once('.')
                        .is_some_and(|(_, last)| last == self.kind && unmistakable(last))
            }
        }
    }

    /// The port that was dialled, where the message says it.
    pub(super) fn port(&self) -> Option<u16> {
        crate::address::port(&self.dialled()?)
    }

    /// The address that was dialled, as drivers and clients write it.
    pub(super) fn dialled(&self) -> Option<String> {
        let message = self.message;
        let within = |before: &str, ends: &[char]| {
            let start = message.find(before)? + before.len();
            let rest = &message[start..];
            let end = rest.find(ends).unwrap_or(rest.len());
            (end > 0).then(|| &rest[..end])
        };
        // libpq: `connection to server at "db" (192.0.2.7), port 5432 failed`.
        if let Some(host) = within("connection to server at \"", &['"']) {
            let port = within(", port ", &[' ', ':'])?;
            return Some(format!("{host}:{port}"));
        }
        // urllib3: `HTTPConnectionPool(host='a', port=80)`.
        if let Some(host) = within("host='", &['\'']) {
            let port = within("port=", &[')', ','])?;
            return Some(format!("{host}:{port}"));
        }
        // PyMySQL: `Can't connect to MySQL server on 'db'`, with `:3306` or `(192.0.2.7:3306)`.
        if let Some(host) = within("MySQL server on '", &['\'']) {
            return Some(match host.contains(':') {
                true => host.to_owned(),
                false => format!("{host}:3306"),
            });
        }
        // asyncio: `Connect call failed ('127.0.0.1', 5432)`.
        if let Some(host) = within("Connect call failed ('", &['\'']) {
            let port = within("', ", &[')', ','])?;
            return Some(format!("{host}:{port}"));
        }
        for before in [
            "connecting to ",
            "connect ECONNREFUSED ",
            "connect ETIMEDOUT ",
            "Cannot connect to host ",
            "Connection to ",
            "Connection refused: ",
            "Failed to connect to ",
        ] {
            if let Some(it) = within(before, &[' ', ',', ';', '/']) {
                let address = it.trim_matches(['.', '"', '\'']);
                if crate::address::port(address).is_some() {
                    return Some(address.to_owned());
                }
            }
        }
        None
    }

    /// The words that are the code's own: values in a message may be what a caller sent, and
    /// follow a quote, a bracket or a scheme.
    pub(super) fn own_words(&self) -> &'a str {
        let message = span(self.text, self.message).start;
        let end = self.message.find(['\'', '"', '`', '<', '(', '{', '[', '=', '\u{201c}']);
        let url = self.message.find("http").filter(|at| self.message[*at..].contains("://"));
        let end = [end, url, self.message.find(" for url")].into_iter().flatten().min();
        let end = end.map_or(self.text.len(), |it| message + it);
        crate::scan::clip(&self.text[..end], 300).trim_end_matches([' ', ':', ','])
    }

    /// The words that say it: up to the phrase of a known message, else the code's own.
    pub(super) fn decisive(&self) -> &'a str {
        let phrase =
            TABLE.iter().filter(|it| it.kinds.iter().any(|kind| self.is(kind))).find_map(|it| {
                it.phrases
                    .iter()
                    .filter(|it| !it.is_empty())
                    .find_map(|phrase| self.message.find(phrase).map(|at| at + phrase.len()))
            });
        match phrase {
            Some(end) if end < 300 => {
                let start = span(self.text, self.message).start;
                &self.text[..start + end]
            }
            _ => self.own_words(),
        }
    }
}

/// Whether a name without its package can be no other package's.
fn unmistakable(name: &str) -> bool {
    !matches!(
        name,
        "ConnectionError"
            | "TimeoutError"
            | "Timeout"
            | "HTTPError"
            | "ReadError"
            | "ProxyError"
            | "SSLError"
            | "ConnectError"
            | "OperationalError"
            | "ResponseError"
            | "AuthenticationError"
            | "AutoReconnect"
            | "URLError"
            | "timeout"
            | "InternalServerError"
            | "RetryError"
            | "ConnectionFailure"
    )
}

fn is_of_type(it: char) -> bool {
    it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | ':' | '$')
}

/// What stands on a well-known port.
pub(super) fn dependency(port: u16) -> Option<Sign> {
    match port {
        5432 | 6432 | 3306 | 33060 | 1433 | 1521 | 27017 | 26257 | 9042 => Some(Sign::DbRefused),
        6379 | 6380 | 11211 => Some(Sign::CacheDown),
        5672 | 5671 | 9092 | 4222 | 1883 | 61616 => Some(Sign::BrokerDown),
        _ => None,
    }
}

/// Where a part stands in the text that it was cut from.
pub(super) fn span(whole: &str, part: &str) -> Range<usize> {
    crate::reader::span_of(whole, part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, sign: Option<Sign>, dialled: Option<&str>) {
        let raised = Raised::of(text).expect("an exception");
        assert_eq!((raised.sign(), raised.dialled().as_deref()), (sign, dialled), "{text}");
    }

    #[test]
    fn types_and_words_make_the_sign() {
        check(
            "psycopg2.OperationalError: connection to server at \"db\" (192.0.2.7), port 5432 failed: Connection refused",
            Some(Sign::DbRefused),
            Some("db:5432"),
        );
        check(
            "django.db.utils.OperationalError: FATAL:  sorry, too many clients already",
            Some(Sign::DbTooManyClients),
            None,
        );
        check(
            "pymysql.err.OperationalError: (2003, \"Can't connect to MySQL server on 'db' ([Errno 111] Connection refused)\")",
            Some(Sign::DbRefused),
            Some("db:3306"),
        );
        check(
            "sqlalchemy.exc.TimeoutError: QueuePool limit of size 5 overflow 10 reached, connection timed out, timeout 30.00",
            Some(Sign::DbPoolExhausted),
            None,
        );
        check(
            "redis.exceptions.ConnectionError: Error 111 connecting to localhost:6379. Connection refused.",
            Some(Sign::CacheDown),
            Some("localhost:6379"),
        );
        check(
            "ConnectionRefusedError: [Errno 111] Connect call failed ('127.0.0.1', 5432)",
            Some(Sign::DbRefused),
            Some("127.0.0.1:5432"),
        );
        check("OSError: [Errno 24] Too many open files", Some(Sign::AppFdExhausted), None);
        check(
            "java.sql.SQLTransientConnectionException: HikariPool-1 - Connection is not available, request timed out after 30000ms.",
            Some(Sign::DbPoolExhausted),
            None,
        );
        check(
            "PG::ConnectionBad: could not connect to server: Connection refused",
            Some(Sign::DbRefused),
            None,
        );
        check("MemoryError", Some(Sign::HeapExhausted), None);
        check(
            "Error: connect ECONNREFUSED 127.0.0.1:6379",
            Some(Sign::CacheDown),
            Some("127.0.0.1:6379"),
        );
        check(
            "kombu.exceptions.OperationalError: [Errno 111] Connection refused",
            Some(Sign::BrokerDown),
            None,
        );
    }

    #[test]
    fn words_of_a_database_in_an_exception_of_the_apps_own_are_what_somebody_sent() {
        check("ValueError: too many clients already", None, None);
        check("KeyError: 'Connection refused'", None, None);
        assert_eq!(Raised::of("hello: world"), None);
        assert_eq!(Raised::of("Traceback (most recent call last):"), None);
        assert_eq!(Raised::of("Note: x"), None);
    }

    #[test]
    fn values_are_no_decisive_words() {
        let words = |text| Raised::of(text).map(|it| it.decisive());
        assert_eq!(
            words("ZeroDivisionError: division by zero"),
            Some("ZeroDivisionError: division by zero")
        );
        assert_eq!(
            words("ValueError: invalid literal for int() with base 10: 'x'"),
            Some("ValueError: invalid literal for int")
        );
        assert_eq!(words("KeyError: 'x'"), Some("KeyError"));
        assert_eq!(
            words(
                "requests.exceptions.HTTPError: 502 Server Error: Bad Gateway for url: https://api.example.com/x"
            ),
            Some("requests.exceptions.HTTPError: 502 Server Error: Bad Gateway")
        );
    }
}
