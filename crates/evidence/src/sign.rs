//! What a line can say: the closed set of signs.
//!
//! Readers turn the words of many products into these; causes weigh them, and never see a product's
//! words. A sign says what was observed, not why.

use serde::Serialize;

/// What part a sign plays in an explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A hop got no usable answer from what stands behind it. These make incidents.
    Wire,
    /// The same, after the answer had begun: the status in the access log is that of a success.
    Cut,
    /// Somebody answered, or got, a 5xx, and the line does not say why.
    Answer,
    /// The client's doing, or a refusal by policy: no failure of an upstream.
    Client,
    /// Something happened that may be the reason.
    Act,
    /// How things stand. It supports and refutes, and is no failure.
    State,
}

macro_rules! signs {
    ($($kind:ident: $($name:ident $says:literal)*;)*) => {
        /// What was observed. The text beside each says it in words.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Sign {
            $($(#[doc = $says] $name,)*)*
        }

        impl Sign {
            /// Every sign there is.
            pub const ALL: &[Sign] = &[$($(Sign::$name,)*)*];

            #[must_use]
            pub fn kind(self) -> Kind {
                match self {
                    $($(Sign::$name => Kind::$kind,)*)*
                }
            }

            /// What the sign says, as a sentence fragment.
            #[must_use]
            pub fn says(self) -> &'static str {
                match self {
                    $($(Sign::$name => $says,)*)*
                }
            }
        }
    };
}

signs! {
    // Reaching the address.
    Wire:
    ConnectRefused "the kernel of the dialled address refused the connection: nothing listens there"
    ConnectTimedOut "no answer to the connection attempt within the limit"
    ConnectFailed "the connection was not made; the line does not say why"
    HostUnreachable "there is no way to the host (EHOSTUNREACH)"
    NetworkUnreachable "there is no way to that network (ENETUNREACH)"
    ConnectDenied "the proxy's own host denied it the network connection (EACCES)"
    ConnectNotPermitted "a rule of the proxy's own host forbids the connection (EPERM)"
    NoLocalPort "no free local port or address for a connection (EADDRNOTAVAIL)"
    NoDescriptors "the proxy's process has no file descriptor left (EMFILE, ENFILE)"
    SocketMissing "the unix socket's path does not exist (ENOENT)"
    SocketDenied "the unix socket may not be opened by the proxy (EACCES)"
    SocketStale "the unix socket's file is there and nobody listens on it (ECONNREFUSED)"
    SocketBacklogFull "the listen queue of the unix socket is full (EAGAIN)"
    ;
    // Names.
    Wire:
    NameNotFound "the name of the upstream does not exist for the proxy's resolver"
    NameServerFailed "the resolver answered with a failure of its own (SERVFAIL)"
    NameRefused "the resolver refused the question (REFUSED)"
    NameTimedOut "no resolver answered in time"
    NameUnresolved "the name was not resolved; the line does not say why"
    ;
    // TLS to the upstream.
    Wire:
    CertExpired "the upstream's certificate is out of date"
    CertSelfSigned "the upstream's certificate is signed by itself"
    CertUntrusted "the upstream's certificate comes from an issuer that the proxy does not trust"
    CertIncomplete "the upstream does not send the certificates between its own and the root"
    CertWrongName "the upstream's certificate is for another name"
    CertNoIpSan "the proxy dials a bare address, which the certificate does not cover"
    CertRefused "the upstream's certificate was not accepted; the line does not say why"
    TlsVersion "the two sides share no TLS version"
    TlsCipher "the two sides agreed on no parameters (handshake_failure)"
    TlsNameRejected "the upstream does not know the server name that was sent, or misses it"
    TlsClientCertRequired "the upstream wants a client certificate"
    TlsClientCertRejected "the upstream does not accept the proxy's client certificate"
    TlsToPlain "the answer to the TLS greeting was no TLS"
    TlsTimedOut "the TLS handshake did not end within the limit"
    TlsClosed "the upstream hung up during the TLS handshake"
    TlsFailed "the TLS handshake failed; the line does not say why"
    MtlsMismatch "one side of the mesh speaks mutual TLS and the other does not"
    ;
    // Waiting for an answer.
    Wire:
    Reset "the connection was reset before the answer began (ECONNRESET)"
    Closed "the upstream closed the connection before the answer began"
    SendBroken "the upstream hung up while the request was being sent (EPIPE)"
    SendTimedOut "the upstream did not take the request within the limit"
    HeadTimedOut "no answer began within the proxy's limit"
    HeadSlow "the head of the answer did not end within the limit"
    Deadline "all attempts together took longer than the limit of the route"
    GoAway "the upstream closed the HTTP/2 connection in an orderly way (GOAWAY)"
    StreamReset "the upstream reset the HTTP/2 stream"
    Disconnected "the connection was lost before or while the answer came; the line does not say how"
    ;
    // Answers that cannot be used.
    Wire:
    NotHttp "what the upstream answered is not HTTP"
    TlsBytes "the upstream answered a plain request with bytes of TLS"
    PlainToTlsPort "the upstream says that a plain request came to its TLS port"
    Http2Bytes "the upstream answered with bytes of HTTP/2"
    Http1ToHttp2 "the upstream speaks HTTP/2 only and was spoken to in HTTP/1"
    Http2ToHttp1 "the upstream speaks HTTP/1 and was spoken to in HTTP/2"
    AlpnMismatch "the two sides agreed on no protocol over TLS (ALPN)"
    GrpcMismatch "the answer is no gRPC"
    FastCgiMismatch "FastCGI was spoken to something that does not speak it, or the reverse"
    UwsgiMismatch "HTTP was spoken to a uwsgi socket, or the reverse"
    ProxyHeaderMissing "one side expects the PROXY header and the other does not send it, or the reverse"
    UpgradeUnexpected "the upstream switched protocols without being asked"
    UpgradeRefused "a WebSocket or other upgrade did not reach the app as one"
    StatusLineBad "the status line of the answer cannot be read"
    HeaderBad "a header of the answer cannot be read"
    HeaderControlChar "a header of the answer holds a byte that no header may hold"
    HeadTooBig "the head of the answer is larger than the proxy's buffer"
    HeadPartial "the connection ended inside the head of the answer"
    LengthTwice "the answer has several Content-Length headers"
    LengthInvalid "the Content-Length of the answer is no length"
    LengthAndChunked "the answer has Content-Length and Transfer-Encoding together"
    CodingUnknown "the answer has a Transfer-Encoding that the proxy does not know"
    CodingTwice "the answer says Transfer-Encoding twice"
    ChunkBad "the chunked body of the answer is broken"
    LengthLong "the upstream sent more than its Content-Length"
    InterimsTooMany "the upstream sent too many interim answers"
    ProtocolError "the answer broke the protocol; the line does not say how"
    LambdaMalformed "the function's answer does not have the shape that the gateway wants"
    LambdaFailed "the function ended in an error, or its limits stopped it"
    ;
    // Bodies.
    Cut:
    BodyCut "the upstream closed the connection inside the body"
    BodyReset "the upstream reset the connection inside the body"
    BodyStalled "the body stopped coming for longer than the limit"
    BodyShort "the body was shorter than its Content-Length"
    ChunkCut "the chunked body ended before its last chunk"
    ;
    // Choosing where to send.
    Wire:
    NoLiveUpstream "the proxy has set all servers of the group aside, and did not try"
    NoEndpoints "the proxy knows no server for this route at all"
    QueueTimedOut "the request waited for a free connection for too long, inside the proxy"
    ConnectionLimit "the proxy's own limit of connections or requests to the upstream is reached"
    CircuitOpen "a circuit breaker keeps requests away from the upstream"
    ConnectionTableFull "the proxy has no connection slot left (worker_connections)"
    NoCluster "the proxy's configuration names an upstream that does not exist"
    RouteWrong "the path reached a place that the upstream does not have"
    ProxyLoop "the request came back to the proxy itself"
    DiskFull "no space left on the proxy's disk"
    MemoryOut "the proxy has no memory or buffers left"
    IntegrationTimedOut "the gateway's limit for one integration call was reached"
    ;
    // Answers without a reason.
    Answer:
    Answered500 "a server answered 500; the line does not say why"
    Answered502 "a hop answered 502; the line does not say why"
    Answered503 "a hop answered 503; the line does not say why"
    Answered504 "a hop answered 504; the line does not say why"
    RelayedError "the app itself gave the 5xx, and the proxy passed it on"
    CallerSawError "a caller got a 5xx; which hop made it is not said"
    CallerTimedOut "a caller gave up waiting"
    CallerFailed "a caller could not reach the server"
    ClientProxyFailed "a forward proxy of the client's cannot reach the target"
    ;
    // The client's doing.
    Client:
    ClientClosed "the client hung up before the answer"
    ClientSlow "the client was too slow to send its request"
    ClientHeaderTooLarge "the client's headers exceed the limit"
    ClientBodyTooLarge "the client's body exceeds the limit"
    ClientTls "the client's TLS handshake failed"
    AuthDenied "the request was refused for who sent it"
    RateLimited "the request was refused for how many there were"
    RouteUnknown "no route of the proxy takes the request"
    RequestUnreadable "what came in could not be read as a request of HTTP"
    ;
    // Life of processes.
    Act:
    ProcessStopped "a service was stopped, on purpose"
    ProcessInactive "the service manager says that the service is not running"
    ProcessExited "the process ended, with an exit code"
    ProcessKilled "the process was killed by a signal"
    BootFailed "the app did not start"
    BootTimedOut "the app did not come up within the limit"
    PortInUse "the address that the app wants to listen on is taken"
    BindFailed "the app could not listen on its address"
    CrashLooping "the process keeps dying and being started again"
    WorkerSegfault "a worker died by a segmentation fault or an abort"
    WorkerKilled "a worker was killed with SIGKILL; the line does not prove by whom"
    WorkerDied "a worker ended unexpectedly"
    WorkerTimedOut "the app server killed a worker that took too long"
    WorkerRecycled "a worker was replaced on purpose"
    OomKilledCgroup "the kernel killed the process because its cgroup reached the memory limit"
    OomKilledGlobal "the kernel killed the process because the host had no memory left"
    OomKilled "the platform says that the process was killed for memory"
    HeapExhausted "the language runtime reached its own memory limit"
    StartingUp "the app is on its way up and does not serve yet"
    ShuttingDown "the app or pod was told to end"
    Hung "the process lives and does nothing"
    RequestSlow "the app server reports a request that takes very long"
    ReloadCut "a reload ended connections that were in use"
    ConfigRefused "the proxy refuses its own configuration"
    ProxyWorkerCrashed "a worker of the proxy itself died"
    ;
    // Capacity.
    Act:
    BacklogOverflow "the listen queue of the app's socket overflowed"
    PoolExhausted "all workers of the app server are busy"
    AppConcurrencyLimit "the app server refuses more concurrent requests"
    CpuThrottled "the app is held back by its CPU limit"
    GcPause "the runtime stood still to collect garbage, or its event loop was blocked"
    RetryStorm "retries make up a large part of the load"
    RequestTooBigForUpstream "the request is larger than the app server's buffer"
    ;
    // Host, network and permissions.
    Act:
    SelinuxDenied "SELinux denied the proxy the access"
    ApparmorDenied "AppArmor denied the access"
    ConntrackFull "the kernel's connection table is full, and drops packets"
    FirewallDropped "a firewall logged that it dropped the packets"
    FirewallRejected "a firewall rejected the packets"
    NeighbourLost "the host at the address does not answer on the local network"
    Rebooted "the host was started again"
    ClockJumped "the host's clock was set by a large step"
    LinkDown "a network interface lost its link"
    DiskFault "a disk or its file system reports errors"
    PolicyDenied "a network policy denies the traffic"
    ;
    // Health checks.
    Act:
    HealthWrongAnswer "the health check got an answer with the wrong status"
    HealthConnectFailed "the health check could not connect"
    HealthTimedOut "the health check did not answer in time"
    HealthWrongProtocol "the health check speaks another protocol than the port"
    HealthFailed "the health check failed; the line does not say how"
    ServerDown "the proxy takes a server out of use"
    ServerUp "the proxy takes a server back into use"
    ;
    // Behind the app.
    Act:
    DbRefused "the app could not connect to its database"
    DbNameUnknown "the app could not resolve the name of its database or other dependency"
    DbAuthFailed "the database refused the app's credentials"
    DbPoolExhausted "the app's pool of database connections is used up"
    DbTooManyClients "the database accepts no more connections"
    DbSlow "a database query was too slow or waited for a lock"
    DbFailover "the database is starting, stopping, or read-only"
    CacheDown "the app's cache does not answer"
    BrokerDown "the app's message broker does not answer"
    ExternalTimedOut "a call of the app to another service timed out"
    ExternalFailed "a call of the app to another service failed"
    AppDiskFull "no space left on the app's disk"
    AppFdExhausted "the app has no file descriptor left"
    ReadOnlyFs "the app's file system is read-only"
    ConfigMissing "the app misses a setting or a secret"
    MigrationMissing "the database lacks a table or column that the app uses"
    QuotaDenied "a dependency refused for quota, licence or payment"
    UnhandledException "an exception ended the request"
    NoResponseFromApp "the app returned without an answer"
    ContentLengthMismatch "the app sent another number of bytes than it announced"
    SpokenToInHttp "a service that knows no HTTP was sent something else than its own protocol"
    ;
    // Platform.
    Act:
    ReadinessFailed "the readiness probe failed"
    LivenessFailed "the liveness probe failed, which kills the container"
    StartupProbeFailed "the startup probe failed"
    PodKilling "the orchestrator ends the container"
    PodEvicted "the pod was evicted from its node"
    PodUnschedulable "no node takes the pod"
    ImagePullFailed "the container's image cannot be pulled"
    NodeLost "the node is gone"
    VolumeFailed "a volume cannot be mounted"
    SelectorEmpty "the service selects no ready pod"
    TargetPortMissing "the service's target port is not open in the pods"
    SidecarNotReady "the sidecar was not ready when the app was, or the reverse"
    LbTargetUnhealthy "the load balancer holds all targets for unhealthy"
    LbUnreachable "the load balancer cannot reach its target"
    LbIdleClosed "the load balancer's connection was closed under a request"
    LbDeregistered "the target was taken out while requests were on their way"
    ContainerRestarted "a container was started again"
    ContainerUnhealthy "the container's health check failed"
    DiscoveryStale "service discovery handed out a server that is gone"
    ;
    // How things stand.
    State:
    Listening "the process listens on this address"
    Started "the process or container has started"
    Ready "the app says that it is ready"
    WorkerBooted "a new worker was started"
    ProxyStarted "the proxy was started or reloaded"
    InContainer "the process runs in a container of its own"
    ServerIs "an answer or page names the server that made it"
    Resolved "a name was resolved to this address"
    SocketMode "owner and mode of a socket's file"
    SelinuxMode "whether SELinux enforces its rules"
    CertNotAfter "the date until which a certificate is valid"
    SlowRequest "a request that was answered, and took long"
    ;
}
