//! Small worlds in the formats of real servers, each with its truth.

use crate::world::{From, Input, World};
use diagnosis::report::Verdict::{self, Either, Named, Unknown};

/// The worlds, each of which one sentence describes.
pub(crate) fn scenes() -> Vec<World> {
    SCENES
        .iter()
        .map(|(name, verdict, cause, decisive, inputs)| World {
            name,
            verdict: *verdict,
            cause,
            decisive,
            inputs: inputs
                .iter()
                .map(|(name, from, text)| Input {
                    name: (*name).to_owned(),
                    from: *from,
                    text: (*text).to_owned(),
                })
                .collect(),
        })
        .collect()
}

type Scene = (
    &'static str,
    Verdict,
    &'static str,
    &'static str,
    &'static [(&'static str, From, &'static str)],
);

const REFUSED: &str = "2026/11/20 12:00:10 [error] 1234#1234: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://192.0.2.10:8000/data\", host: \"api.example.com\"\n\
2026/11/20 12:00:12 [error] 1234#1234: *7 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.2, server: api.example.com, request: \"GET /list HTTP/1.1\", upstream: \"http://192.0.2.10:8000/list\", host: \"api.example.com\"\n";

const CLOSED: &str = "2026/11/20 12:00:10 [error] 1234#1234: *5 upstream prematurely closed connection while reading response header from upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://192.0.2.10:8000/data\", host: \"api.example.com\"\n\
2026/11/20 12:00:40 [error] 1234#1234: *9 upstream prematurely closed connection while reading response header from upstream, client: 192.0.2.2, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://192.0.2.10:8000/data\", host: \"api.example.com\"\n";

const SLOW: &str = "2026/11/20 12:00:10 [error] 1234#1234: *5 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://192.0.2.10:8000/data\", host: \"api.example.com\"\n\
2026/11/20 12:00:20 [error] 1234#1234: *8 upstream timed out (110: Connection timed out) while reading response header from upstream, client: 192.0.2.2, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://192.0.2.10:8000/data\", host: \"api.example.com\"\n";

const SCENES: &[Scene] = &[
    (
        "a refused connection alone",
        Either,
        "process_down",
        "error.log",
        &[(
            "error.log",
            From::Process,
            "2026/11/20 12:00:10 [error] 1234#1234: *5 connect() failed (111: Connection refused) while connecting to upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://127.0.0.1:8000/data\", host: \"api.example.com\"\n",
        )],
    ),
    (
        "a unit that was stopped",
        Named,
        "process_down",
        "journal.txt",
        &[
            ("error.log", From::Process, REFUSED),
            (
                "journal.txt",
                From::Host,
                "Nov 20 11:59:58 myhost systemd[1]: Stopping Gunicorn daemon of myapp...\n\
Nov 20 11:59:59 myhost systemd[1]: myapp.service: Deactivated successfully.\n\
Nov 20 11:59:59 myhost systemd[1]: Stopped Gunicorn daemon of myapp.\n",
            ),
        ],
    ),
    (
        "a port that is taken",
        Named,
        "port_in_use",
        "gunicorn.log",
        &[
            ("error.log", From::Process, REFUSED),
            (
                "gunicorn.log",
                From::Process,
                "[2026-11-20 11:59:57 +0000] [1490] [INFO] Starting gunicorn 21.2.0\n\
[2026-11-20 11:59:57 +0000] [1490] [ERROR] Connection in use: ('192.0.2.10', 8000)\n\
[2026-11-20 11:59:57 +0000] [1490] [ERROR] Retrying in 1 second.\n\
[2026-11-20 11:59:58 +0000] [1490] [ERROR] Can't connect to ('192.0.2.10', 8000)\n",
            ),
        ],
    ),
    (
        "an app that cannot be imported",
        Named,
        "crash_at_start",
        "gunicorn.log",
        &[
            ("error.log", From::Process, REFUSED),
            (
                "gunicorn.log",
                From::Process,
                "[2026-11-20 11:59:57 +0000] [1490] [INFO] Starting gunicorn 21.2.0\n\
[2026-11-20 11:59:57 +0000] [1490] [INFO] Listening at: http://192.0.2.10:8000 (1490)\n\
[2026-11-20 11:59:57 +0000] [1492] [ERROR] Exception in worker process\n\
Traceback (most recent call last):\n  File \"/srv/myapp/wsgi.py\", line 1, in <module>\n    import flask\n\
ModuleNotFoundError: No module named 'flask'\n\
[2026-11-20 11:59:57 +0000] [1490] [ERROR] Worker (pid:1492) exited with code 3.\n\
[2026-11-20 11:59:57 +0000] [1490] [ERROR] Shutting down: Master\n\
[2026-11-20 11:59:57 +0000] [1490] [ERROR] Reason: Worker failed to boot.\n",
            ),
        ],
    ),
    ("a close alone", Unknown, "unknown", "error.log", &[("error.log", From::Process, CLOSED)]),
    (
        "a worker that Gunicorn stopped",
        Named,
        "worker_timeout_killed",
        "gunicorn.log",
        &[
            ("error.log", From::Process, CLOSED),
            (
                "gunicorn.log",
                From::Process,
                "[2026-11-20 12:00:09 +0000] [1490] [CRITICAL] WORKER TIMEOUT (pid:1492)\n\
[2026-11-20 12:00:10 +0000] [1492] [INFO] Worker exiting (pid: 1492)\n\
[2026-11-20 12:00:11 +0000] [1500] [INFO] Booting worker with pid: 1500\n\
[2026-11-20 12:00:39 +0000] [1490] [CRITICAL] WORKER TIMEOUT (pid:1500)\n\
[2026-11-20 12:00:41 +0000] [1501] [INFO] Booting worker with pid: 1501\n",
            ),
        ],
    ),
    (
        "a worker that uWSGI stopped",
        Named,
        "worker_timeout_killed",
        "uwsgi.log",
        &[
            ("error.log", From::Process, CLOSED),
            (
                "uwsgi.log",
                From::Process,
                "Fri Nov 20 12:00:09 2026 - *** HARAKIRI ON WORKER 2 (pid: 1492, try: 1) ***\n\
Fri Nov 20 12:00:10 2026 - DAMN ! worker 2 (pid: 1492) died, killed by signal 9 :( trying respawn ...\n\
Fri Nov 20 12:00:10 2026 - Respawned uWSGI worker 2 (new pid: 1500)\n",
            ),
        ],
    ),
    (
        "a worker that the kernel killed",
        Named,
        "worker_oom_killed_cgroup",
        "kernel.txt",
        &[
            ("error.log", From::Process, CLOSED),
            (
                "kernel.txt",
                From::Host,
                "Nov 20 12:00:10 myhost kernel: oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/system.slice/myapp.service,task_memcg=/system.slice/myapp.service,task=gunicorn,pid=1492,uid=33\n\
Nov 20 12:00:10 myhost kernel: Memory cgroup out of memory: Killed process 1492 (gunicorn) total-vm:612344kB, anon-rss:261120kB, file-rss:1024kB, shmem-rss:0kB, UID:33 pgtables:1080kB oom_score_adj:0\n",
            ),
            (
                "gunicorn.log",
                From::Process,
                "[2026-11-20 12:00:10 +0000] [1490] [ERROR] Worker (pid:1492) was sent SIGKILL! Perhaps out of memory?\n\
[2026-11-20 12:00:10 +0000] [1500] [INFO] Booting worker with pid: 1500\n",
            ),
        ],
    ),
    (
        "a segmentation fault",
        Named,
        "worker_crashed",
        "kernel.txt",
        &[
            ("error.log", From::Process, CLOSED),
            (
                "kernel.txt",
                From::Host,
                "Nov 20 12:00:10 myhost kernel: gunicorn[1492]: segfault at 0 ip 00007f1c2a3b4c5d sp 00007ffd1a2b3c4d error 4 in libfoo.so[7f1c2a000000+200000]\n",
            ),
            (
                "gunicorn.log",
                From::Process,
                "[2026-11-20 12:00:10 +0000] [1500] [INFO] Booting worker with pid: 1500\n",
            ),
        ],
    ),
    (
        "an answer that takes too long",
        Named,
        "response_header_timeout",
        "error.log",
        &[("error.log", From::Process, SLOW)],
    ),
    (
        "too few PHP children",
        Named,
        "worker_pool_exhausted",
        "php-fpm.log",
        &[
            ("error.log", From::Process, SLOW),
            (
                "php-fpm.log",
                From::Process,
                "[20-Nov-2026 12:00:05] WARNING: [pool www] seems busy (you may need to increase pm.start_servers, or pm.min/max_spare_servers), spawning 8 children, there are 0 idle, and 4 total children\n\
[20-Nov-2026 12:00:08] WARNING: [pool www] server reached pm.max_children setting (5), consider raising it\n",
            ),
        ],
    ),
    (
        "a head larger than the buffer",
        Named,
        "header_too_big",
        "error.log",
        &[(
            "error.log",
            From::Process,
            "2026/11/20 12:00:10 [error] 1234#1234: *5 upstream sent too big header while reading response header from upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /login HTTP/1.1\", upstream: \"http://192.0.2.10:8000/login\", host: \"api.example.com\"\n",
        )],
    ),
    (
        "a name that does not exist",
        Named,
        "dns_nxdomain",
        "error.log",
        &[(
            "error.log",
            From::Process,
            "2026/11/20 12:00:10 [error] 1234#1234: *5 myapp.internal.example.com could not be resolved (3: Host not found), client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", host: \"api.example.com\"\n",
        )],
    ),
    (
        "a resolver that is silent",
        Named,
        "dns_timeout",
        "error.log",
        &[(
            "error.log",
            From::Process,
            "2026/11/20 12:00:10 [error] 1234#1234: *5 myapp.internal.example.com could not be resolved (110: Operation timed out), client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", host: \"api.example.com\"\n",
        )],
    ),
    (
        "a socket that is not there",
        Named,
        "unix_socket_missing",
        "error.log",
        &[(
            "error.log",
            From::Process,
            "2026/11/20 12:00:10 [crit] 1234#1234: *5 connect() to unix:/run/myapp.sock failed (2: No such file or directory) while connecting to upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://unix:/run/myapp.sock:/data\", host: \"api.example.com\"\n",
        )],
    ),
    (
        "a denial by SELinux",
        Named,
        "selinux_denied",
        // Nothing else denies a connection with EACCES: the proxy's line is enough.
        "",
        &[
            (
                "error.log",
                From::Process,
                "2026/11/20 12:00:10 [crit] 1234#1234: *5 connect() to 192.0.2.10:8000 failed (13: Permission denied) while connecting to upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"http://192.0.2.10:8000/data\", host: \"api.example.com\"\n",
            ),
            (
                "audit.log",
                From::Host,
                "type=AVC msg=audit(1795176010.123:417): avc:  denied  { name_connect } for  pid=1234 comm=\"nginx\" dest=8000 scontext=system_u:system_r:httpd_t:s0 tcontext=system_u:object_r:soundd_port_t:s0 tclass=tcp_socket permissive=0\n",
            ),
        ],
    ),
    (
        "a certificate that is out of date",
        Named,
        "tls_cert_expired",
        "error.log",
        &[(
            "error.log",
            From::Process,
            "2026/11/20 12:00:10 [error] 1234#1234: *5 upstream SSL certificate verify error: (10:certificate has expired) while SSL handshaking to upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"https://192.0.2.10:8443/data\", host: \"api.example.com\"\n",
        )],
    ),
    (
        "TLS to a plain port",
        Named,
        "tls_to_plain_port",
        "error.log",
        &[(
            "error.log",
            From::Process,
            "2026/11/20 12:00:10 [error] 1234#1234: *5 SSL_do_handshake() failed (SSL: error:0A00010B:SSL routines::wrong version number) while SSL handshaking to upstream, client: 192.0.2.1, server: api.example.com, request: \"GET /data HTTP/1.1\", upstream: \"https://192.0.2.10:8000/data\", host: \"api.example.com\"\n",
        )],
    ),
    (
        "another port in the proxy's file",
        Named,
        "wrong_port",
        "gunicorn.log",
        &[
            ("error.log", From::Process, REFUSED),
            (
                "gunicorn.log",
                From::Process,
                "[2026-11-20 11:50:00 +0000] [1490] [INFO] Starting gunicorn 21.2.0\n\
[2026-11-20 11:50:00 +0000] [1490] [INFO] Listening at: http://192.0.2.10:8001 (1490)\n\
[2026-11-20 11:50:00 +0000] [1490] [INFO] Using worker: sync\n\
[2026-11-20 11:50:00 +0000] [1492] [INFO] Booting worker with pid: 1492\n",
            ),
            (
                "site.conf",
                From::Configuration,
                "server {\n    listen 80;\n    server_name api.example.com;\n    location / {\n        proxy_pass http://192.0.2.10:8000;\n    }\n}\n",
            ),
        ],
    ),
    (
        "a server that HAProxy cannot reach",
        Named,
        "process_down",
        "journal.txt",
        &[
            (
                "haproxy.log",
                From::Process,
                "Nov 20 12:00:10 myhost haproxy[900]: 192.0.2.1:33317 [20/Nov/2026:12:00:10.155] http-in be_myapp/s1 0/0/-1/-1/3 503 217 - - SC-- 1/1/0/0/3 0/0 \"GET /data HTTP/1.1\"\n\
Nov 20 12:00:11 myhost haproxy[900]: 192.0.2.1:33318 [20/Nov/2026:12:00:11.155] http-in be_myapp/s1 0/0/-1/-1/3 503 217 - - SC-- 1/1/0/0/3 0/0 \"GET /data HTTP/1.1\"\n",
            ),
            (
                "journal.txt",
                From::Host,
                "Nov 20 11:59:59 myhost systemd[1]: myapp.service: Deactivated successfully.\n\
Nov 20 11:59:59 myhost systemd[1]: Stopped Gunicorn daemon of myapp.\n",
            ),
        ],
    ),
    (
        "a database that takes no more",
        Named,
        "db_too_many_clients",
        "gunicorn.log",
        &[
            (
                "access.log",
                From::Process,
                "192.0.2.1 - - [20/Nov/2026:12:00:10 +0000] \"GET /data HTTP/1.1\" 500 145 \"-\" \"curl/8.0\"\n\
192.0.2.1 - - [20/Nov/2026:12:00:12 +0000] \"GET /data HTTP/1.1\" 500 145 \"-\" \"curl/8.0\"\n",
            ),
            (
                "gunicorn.log",
                From::Process,
                "[2026-11-20 12:00:10 +0000] [1492] [ERROR] Error handling request /data\n\
Traceback (most recent call last):\n  File \"/srv/myapp/views.py\", line 10, in data\n    rows = connect()\n\
psycopg2.OperationalError: connection to server at \"192.0.2.20\", port 5432 failed: FATAL:  sorry, too many clients already\n",
            ),
        ],
    ),
    (
        "a limit of the JavaScript heap",
        Named,
        "runtime_heap_exhausted",
        "node.log",
        &[
            ("error.log", From::Process, CLOSED),
            (
                "node.log",
                From::Process,
                "2026-11-20T12:00:09.900Z server is listening on port 8000\n\
2026-11-20T12:00:10.000Z FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory\n",
            ),
        ],
    ),
    (
        "a pod that was killed for memory",
        Named,
        "worker_oom_killed_cgroup",
        "describe.txt",
        &[
            ("error.log", From::Process, REFUSED),
            (
                "describe.txt",
                From::Host,
                "Name:             myapp-5d9c7b6f4-abcde\nNamespace:        default\nContainers:\n  myapp:\n    Port:           8000/TCP\n    State:          Waiting\n      Reason:       CrashLoopBackOff\n    Last State:     Terminated\n      Reason:       OOMKilled\n      Exit Code:    137\n      Started:      Fri, 20 Nov 2026 11:58:00 +0000\n      Finished:     Fri, 20 Nov 2026 12:00:09 +0000\n    Ready:          False\n    Restart Count:  6\n",
            ),
        ],
    ),
];

#[test]
fn the_truth_of_every_scene_is_found() {
    let wrong: Vec<String> =
        scenes().iter().filter_map(|it| it.wrong("as it is", &it.report())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
