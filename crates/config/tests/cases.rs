//! Whole files: what they mean, or every complaint about them.

use config::{Complaints, Context, Parsed, Severity, data_dir, for_targets, parse};
use std::path::Path;
use std::time::{Duration, Instant};

fn environment(name: &str) -> Option<String> {
    match name {
        "HOST" => Some("app.internal".to_owned()),
        "SECRET" => Some("hunter2 is not a port".to_owned()),
        _ => None,
    }
}

fn read(text: &str) -> Result<Parsed, Complaints> {
    parse(text, &Context { base: Path::new("/etc/goodgate"), env: &environment })
}

/// `line code` of each complaint, `?` before the code of a warning, or `fine`.
fn told(text: &str) -> String {
    let complaints = match read(text) {
        Ok(parsed) => Complaints::from(parsed.warnings),
        Err(complaints) => complaints,
    };
    let located = complaints.located(text);
    let told = located.iter().map(|it| {
        let sign = if it.severity == Severity::Warning { "?" } else { "" };
        format!("{} {sign}{}", it.line.unwrap_or(0), it.code)
    });
    let told: Vec<String> = told.collect();
    if told.is_empty() { "fine".to_owned() } else { told.join(", ") }
}

fn check(text: &str, expected: &str) {
    assert_eq!(told(text), expected, "\n{text}");
}

/// The lines of one route beside an upstream `app`.
fn check_route(lines: &str, expected: &str) {
    let text = format!("upstream.app.targets = ['http://h:1']\n[route.r]\n{lines}\n");
    let text = match lines.contains("to = 'app'") {
        true => text,
        false => format!("{text}[route.other]\nmatch = '/other'\nto = 'app'\n"),
    };
    check(&text, expected);
}

/// The lines of one upstream that a route uses.
fn check_upstream(lines: &str, expected: &str) {
    check(&format!("route.r = {{ match = '/', to = 'u' }}\n[upstream.u]\n{lines}\n"), expected);
}

#[test]
fn golden_files() {
    insta::with_settings!({ snapshot_path => "../cases", prepend_module_to_snapshot => false }, {
        insta::glob!("../cases", "*.toml", |path| {
            let text = text_of(path);
            let name = path.file_name().unwrap().to_str().unwrap();
            let told = match read(&text) {
                Ok(Parsed { config, warnings }) if warnings.is_empty() => format!("{config:#?}"),
                Ok(Parsed { warnings, .. }) => {
                    Complaints::from(warnings).render(name, &text, false)
                }
                Err(complaints) => complaints.render(name, &text, false),
            };
            assert!(!told.contains("hunter2"), "a value from the environment shows:\n{told}");
            insta::assert_snapshot!(told);
        });
    });
}

#[test]
fn the_folder_of_a_running_gateway_is_found_in_any_file() {
    for (text, folder) in [
        ("", "/etc/goodgate/goodgate-data"),
        ("data.dir = '/run/goodgate'", "/run/goodgate"),
        ("[data]\ndir = 'state/'\n[route.x]\nno = 1\n", "/etc/goodgate/state/"),
        ("data.dir = '${HOST}'", "/etc/goodgate/app.internal"),
        ("data.dir = 'here'\n[route.", "/etc/goodgate/here"),
        ("data = 'here'", "/etc/goodgate/goodgate-data"),
        ("data.dir = ''", "/etc/goodgate/goodgate-data"),
    ] {
        let context = Context { base: Path::new("/etc/goodgate"), env: &environment };
        assert_eq!(data_dir(text, &context), Path::new(folder), "{text}");
        if let Ok(Parsed { config, .. }) = read(text) {
            assert_eq!(config.data.dir, Path::new(folder), "{text}");
            assert_eq!(config.data.assumed, text.is_empty(), "{text}");
        }
    }
}

#[test]
fn five_mistakes_are_told_at_once() {
    check(
        "workers = 'two'\n\
         [listen]\n\
         htp = ':8080'\n\
         [upstream.app]\n\
         targets = ['http://127.0.0.1:8000']\n\
         timeout = { connect = '2 parsecs' }\n\
         [route.a]\n\
         match = '/a/*'\n\
         to = 'ap'\n\
         [route.b]\n\
         match = '/b'\n\
         to = 'app'\n\
         retry = { attempts = 11 }\n",
        "1 wrong_type, 3 unknown_key, 6 bad_value, 9 unknown_upstream, 13 out_of_range",
    );
}

#[test]
fn an_empty_file_is_fine_and_listens_on_loopback() {
    let config = read("").unwrap().config;
    assert_eq!(config.listen.http, ["127.0.0.1:8080".parse().unwrap()]);
    assert!(config.listen.assumed);
    assert_eq!(config.status, Some("127.0.0.1:9901".parse().unwrap()));
    let config = read("listen.http = ':80'").unwrap().config;
    assert!(!config.listen.assumed);
    let config = read("listen.https = { addr = ':443', cert = 'c', key = 'k' }").unwrap().config;
    assert!(config.listen.http.is_empty() && !config.listen.assumed);
}

#[test]
fn listeners() {
    check("listen.http = []", "1 nothing_to_listen");
    check("listen.http = [':1', ':2']", "fine");
    check("listen.http = [':1', ':1']", "1 same_address");
    check("listen.http = [':0', ':0']", "fine");
    check("listen.http = ':1'\nconsole.listen = ':1'", "2 same_address");
    check("listen.http = ':1'\nstatus.listen = ':1'", "2 same_address");
    check("console.listen = ':1'\nstatus.listen = ':1'", "fine");
    check("console.listen = ':1'\nstatus.listen = ':2'", "1 ?no_effect");
    check("console.listen = 'off'", "fine");
    check("listen.https = { addr = ':1', cert = 'c' }", "1 missing_key");
    check("listen.https = { addr = ':1', cert = 'c', key = '' }", "1 bad_value");
    check("listen.http = 8080", "1 wrong_type");
    check("listen = ':8080'", "1 wrong_type");
    assert!(read("status.listen = 'off'").unwrap().config.status.is_none());
    assert!(read("console.listen = 'off'").unwrap().config.status.is_none());
}

#[test]
fn limits_and_ends() {
    check("limits.request_head = 1024\nlimits.uri = '1 KiB'", "fine");
    check("limits.request_head = 1024\nlimits.uri = '2 KiB'", "2 ?ladder");
    check("limits.request_head = 100", "1 ?ladder");
    check("limits.request_head = 0", "1 bad_value");
    check("limits.request_head = -1", "1 bad_value");
    check("limits.request_fields = 0", "1 out_of_range");
    check("limits.interim_responses = 1.5", "1 wrong_type");
    check("limits.request_fields = 99999999999999999999", "1 wrong_type");
    check("shutdown = { grace = '0s', idle = '0s', deadline = '0s' }", "fine");
    check("shutdown.grace = '31s'", "1 ?ladder");
    check("shutdown.deadline = '4s'", "1 ?ladder");
    check("listen.timeout.head = '0s'", "1 bad_value");
    check("workers = 0", "1 out_of_range");
    check("answers.name = 'my gate'", "1 bad_value");
    check("answers.trusted = ['10.0.0.0/8', 'key:ops']", "1 not_in_this_version");
    check("dns.servers = ['127.0.0.1:5353', '10.0.0.2']", "fine");
    check("dns.servers = ['ns.example']", "1 bad_value");
    check("log.access = 'stdot'", "1 bad_value");
}

#[test]
fn upstreams() {
    check_upstream("targets = []", "fine");
    check_upstream("", "2 missing_key");
    check_upstream("targets = 'http://h:1'", "3 wrong_type");
    check_upstream("targets = [{ url = 'http://h:1' }]", "fine");
    check_upstream("targets = [{ url = 'http://h:1', weight = 2 }]", "fine");
    check_upstream("targets = [{ url = 'http://h:1', weight = 0 }]", "3 out_of_range");
    check_upstream("targets = [{}]", "3 missing_key");
    check_upstream("targets = ['http://h:1', 'http://h:1/']", "3 same_target");
    check_upstream("targets = ['http://h:1', 'http://h:1/b', 'https://h:1']", "fine");
    check_upstream("targets = ['unix:app.sock', 'unix:/etc/goodgate/app.sock']", "3 same_target");
    check_upstream("targets = []\nbalance = 'round_robin'", "fine");
    check_upstream("targets = []\nbalance = 'hash'", "fine");
    check_upstream("targets = []\nbalance = 'hash'\nhash = 'header:X-User'", "fine");
    check_upstream("targets = []\nbalance = 'hash'\nhash = 'cookie'", "5 bad_value");
    check_upstream("targets = []\nhash = 'address'", "4 no_effect");
    check_upstream("targets = []\nsticky = 'cookie'", "fine");
    check_upstream("targets = []\nsticky = 'address'", "4 bad_value");
    check_upstream("targets = []\nhealth = { path = '/health' }", "fine");
    check_upstream("targets = []\nhealth = {}", "fine");
    check_upstream("targets = []\nhealth = { by = 'http' }", "4 missing_key");
    check_upstream("targets = []\nhealth = { by = 'tcp', path = '/health' }", "4 no_effect");
    check_upstream("targets = []\nhealth = { path = '/', service = 'app' }", "4 no_effect");
    check_upstream("targets = []\nhealth = { service = 'app' }", "fine");
    check_upstream("targets = []\neject = { after = 0, errors = '0%', slower = 0 }", "fine");
    check_upstream("targets = []\neject = { share = '101%' }", "4 bad_value");
    check_upstream("targets = []\nqueue = { requests = 0 }", "fine");
    check_upstream("targets = []\nbalance = 'round-robin'", "4 bad_value");
    check_upstream("targets = []\npool = { idle = 0, connections = 1 }", "fine");
    check_upstream("targets = []\npool = { idle = 2, connections = 1 }", "4 ?ladder");
    check_upstream("targets = []\npool.connections = 0", "4 out_of_range");
    check_upstream("targets = ['https://h']\ntls = { cert = 'c', key = 'k' }", "fine");
    check_upstream("targets = ['https://h']\ntls = { cert = 'c' }", "4 half_a_pair");
    check_upstream("targets = ['https://h']\ntls = { key = 'k' }", "4 half_a_pair");
    check_upstream("targets = ['http://h']\ntls = { ca = 'c' }", "4 ?no_effect");
    check_upstream("targets = []\nhost = 'keep'", "fine");
    check_upstream("targets = []\nhost = 'a b'", "4 bad_value");
    check("upstream.u.targets = []", "1 ?unused_upstream");
    check("upstream.'a b'.targets = []", "1 bad_name");
    check("upstream.''.targets = []", "1 bad_name");
    check("upstream = 1", "1 wrong_type");
    check("upstream.u = 1", "1 wrong_type");
}

#[test]
fn destinations() {
    check_route("match = '/'\nto = 'app'", "fine");
    check_route("match = '/'\nto = 'http://h:2'", "fine");
    check("route.r = { match = '/', to = 'http://h:2' }", "fine");
    check("route.r = { match = '/', to = ['http://h:2', 'unix:/x'] }", "fine");
    check("route.r = { match = '/', to = ['http://h:2', 'http://h:2'] }", "1 same_target");
    check("route.r = { match = '/', to = ['app'] }\nupstream.app.targets = []", "1 bad_value");
    check("route.r = { match = '/', to = 'localhost:8000' }", "1 unknown_upstream");
    check("route.r = { match = '/', to = 'h2c://h' }", "fine");
    check(
        "route.r = { match = '/', to = 'http://h' }\nupstream.r.targets = []",
        "1 same_name, 2 ?unused_upstream",
    );
    check("route.r = { match = '/', to = 7 }", "1 wrong_type");
}

#[test]
fn protocols() {
    check_upstream("targets = ['http://h', 'h2c://h:1']\nprotocol = 'http2'", "fine");
    check_upstream("targets = ['https://h', 'http://h:1']\nprotocol = 'auto'", "fine");
    check_upstream("targets = ['http://h']\nprotocol = 'auto'", "4 no_effect");
    check_upstream("targets = ['h2c://h']\nprotocol = 'http1'", "3 protocol_mismatch");
    check_upstream("targets = []\nprotocol = 'http3'", "4 bad_value");
    check_upstream("targets = []\npool.streams = 0", "4 out_of_range");
}

#[test]
fn shares() {
    let upstreams =
        "[upstream.a]\ntargets = ['http://h:1']\n[upstream.b]\ntargets = ['http://h:2']";
    let check = |to: &str, more: &str, expected| {
        check(&format!("[route.r]\nmatch = '/'\nto = {to}\n{more}\n{upstreams}"), expected);
    };
    let both = "[{ upstream = 'a', weight = 9 }, { upstream = 'b' }]";
    check(both, "", "fine");
    check(both, "sticky = 'cookie'", "fine");
    check(both, "sticky = 'header:x-user'", "fine");
    check(both, "sticky = 'x-user'", "4 bad_value");
    check("{ upstream = 'a' }", "", "7 ?unused_upstream");
    check("{ upstream = 'a' }", "sticky = 'cookie'", "4 no_effect, 7 ?unused_upstream");
    check("[{ upstream = 'a', weight = 0 }, { upstream = 'b', weight = 1 }]", "", "fine");
    check("[{ upstream = 'a', weight = 0 }, { upstream = 'b', weight = 0 }]", "", "3 out_of_range");
    check("[{ upstream = 'a', weight = -1 }, { upstream = 'b' }]", "", "3 out_of_range");
    check("[{ upstream = 'a' }, { upstream = 'a' }, { upstream = 'b' }]", "", "3 same_name");
    check("[{ upstream = 'c' }, { upstream = 'b' }]", "", "3 unknown_upstream, 5 ?unused_upstream");
    check("[{ upstream = 'a' }, 'http://h:3', { upstream = 'b' }]", "", "3 bad_value");
    check("[{ upstream = 'a' }, 'b']", "", "3 bad_value");
    check("[{ weight = 1 }, { upstream = 'a' }, { upstream = 'b' }]", "", "3 missing_key");
}

#[test]
fn rewrites() {
    check_route("match = '/a/{id}'\nto = 'app'\nrewrite = '/b/{id}'", "fine");
    check_route("match = '/a/*'\nto = 'app'\nrewrite = '/b/*'", "fine");
    check_route("match = '/a/{id}/*'\nto = 'app'\nrewrite = '/{id}'", "fine");
    check_route("match = '~/(?<x>.*)'\nto = 'app'\nrewrite = '/b/{x}'", "fine");
    check_route("match = '/a/{id}'\nto = 'app'\nrewrite = '/b/{name}'", "5 unknown_name");
    check_route("match = '/a'\nto = 'app'\nrewrite = '/b/*'", "5 unknown_name");
    check_route("match = '/a'\nto = 'app'\nrewrite = '/b//c'", "5 not_normal");
    check_route("match = '/a'\nto = 'app'\nrewrite = 'b'", "5 bad_value");
    check_route("match = '/a/b'\nto = 'app'\nstrip_prefix = '/a'\nrewrite = '/b'", "5 two_actions");
    check_route("match = '/a/{id}'\nto = 'app'\nstrip_prefix = '/a'", "fine");
    check_route("match = '/a/{id}'\nto = 'app'\nstrip_prefix = '/a/{id}'", "5 prefix_does_not_fit");
    check_route("match = '~/a'\nto = 'app'\nstrip_prefix = '/a'", "5 prefix_does_not_fit");
    check_route(
        "match = '/a'\nanswer = {}\nrewrite = '/b'\nsticky = 'cookie'",
        "5 no_effect, 6 no_effect",
    );
}

#[test]
fn actions() {
    check_route("match = '/'", "2 missing_key");
    check_route("match = '/'\nredirect = '/new'", "fine");
    check_route("match = '/'\nredirect = { to = '/new', status = 302 }", "fine");
    check_route("match = '/'\nredirect = { to = '/new', status = 304 }", "4 out_of_range");
    check_route("match = '/'\nredirect = { status = 302 }", "4 missing_key");
    check_route("match = '/*'\nredirect = '/new'", "4 redirect_loop");
    check_route("match = '/'\nredirect = '/?x'", "4 redirect_loop");
    check_route("match = '/*'\nredirect = '/other'", "fine");
    check_route("match = '/*'\nredirect = 'https://example.com/'", "fine");
    check_route("match = '/'\nanswer = {}", "fine");
    check_route("match = '/'\nanswer = { status = 199 }", "4 out_of_range");
    check_route("match = '/'\nanswer = { status = 204, body = 'x' }", "4 no_effect");
    check_route("match = '/'\nanswer = { content_type = 'x' }", "4 bad_value");
    check_route("match = '/'\nanswer = {}\nretry = { attempts = 1 }", "5 no_effect");
    check_route("match = '/'\nanswer = {}\ngrpc_web = true", "5 no_effect");
    check_route("match = '/'\nto = 'app'\ngrpc_web = true", "fine");
    check_route(
        "match = '/x'\nanswer = {}\nstrip_prefix = '/x'\nhost = 'h'",
        "5 no_effect, 6 no_effect",
    );
    check_route("match = '/'\nanswer = {}\nraw_path = true\nmerge_slashes = false", "fine");
    check_route("match = '/'\nanswer = {}\nredirect = '/x'", "4 two_actions");
    check_route("match = '/'\nto = 'app'\nredirect = 'x'", "5 two_actions, 5 bad_value");
    check_route("to = 'app'", "2 missing_key");
    check_route("match = '/'\nto = 'app'\nretry = { attempts = 0 }", "5 out_of_range");
    check_route("match = '/'\nto = 'app'\nlimit = [{ requests = 5 }]", "5 not_in_this_version");
    check_route("match = '/'\nto = 'app'\nstale = {}", "fine");
    check_route("match = '/'\nto = 'app'\nstale = { for = '0s' }", "5 bad_value");
    check_route("match = '/'\nto = 'app'\nstale = { from = '5m' }", "5 unknown_key");
    check_route("match = '/'\nanswer = {}\nstale = {}", "5 no_effect");
    check_route("match = '/'\nto = 'app'\nai = true", "5 not_in_this_version");
}

#[test]
fn matches() {
    check_route("match = {}\nto = 'app'", "fine");
    check_route("match = { host = 'h.example', methods = ['GET'] }\nto = 'app'", "fine");
    check_route("match = { methods = [] }\nto = 'app'", "3 out_of_range");
    check_route("match = { methods = ['get'] }\nto = 'app'", "3 bad_value");
    check_route("match = { headers = { X = 'y', z = '*', w = '~[0-9]+' } }\nto = 'app'", "fine");
    check_route("match = { headers = { X = 'y', x = 'z' } }\nto = 'app'", "3 same_name");
    check_route("match = { headers = { 'a b' = 'y' } }\nto = 'app'", "3 bad_value");
    check_route("match = { headers = { a = '~(' } }\nto = 'app'", "3 bad_value");
    check_route("match = { headers = { a = 1 } }\nto = 'app'", "3 wrong_type");
    check_route("match = { query = { 'a b' = '', c = '*' } }\nto = 'app'", "fine");
    check_route("match = { cookies = { sid = '*' } }\nto = 'app'", "fine");
    check_route("match = { cookies = { 's;d' = '*' } }\nto = 'app'", "3 bad_value");
    check_route("match = { hots = 'x' }\nto = 'app'", "3 unknown_key");
    check_route("match = { host = '*.x' }\nto = 'app'", "fine");
    check_route("match = { host = '*' }\nto = 'app'", "3 bad_value");
    check_route("match = '/a/{id}'\nto = 'app'", "fine");
    check_route("match = '/a//{id}'\nto = 'app'", "3 not_normal");
    check_route("match = '~/x(/.*)?'\nto = 'app'", "fine");
    check_route("match = '~/x('\nto = 'app'", "3 bad_value");
    check_route("match = '/a//b'\nto = 'app'", "3 not_normal");
    check_route("match = '/a//b'\nto = 'app'\nmerge_slashes = false", "fine");
    check_route("match = '/a//*'\nto = 'app'", "3 not_normal");
    check_route("match = '//*'\nto = 'app'", "3 not_normal");
    check_route("match = '/a/../b/*'\nto = 'app'", "3 not_normal");
    check_route("match = '/%61'\nto = 'app'", "3 not_normal");
    check_route("match = '/a%2Fb'\nto = 'app'", "3 bad_value");
    check_route("match = '/a%2Fb'\nto = 'app'\nraw_path = true", "fine");
    check_route("match = '/..'\nto = 'app'", "3 bad_value");
    check_route("match = '/é'\nto = 'app'", "3 bad_value");
    check_route("match = ''\nto = 'app'", "3 bad_value");
}

#[test]
fn prefixes() {
    check_route("match = '/a/*'\nto = 'app'\nstrip_prefix = '/a'", "fine");
    check_route("match = '/a/b'\nto = 'app'\nstrip_prefix = '/a'", "fine");
    check_route("match = '/a/b/*'\nto = 'app'\nstrip_prefix = '/a'", "fine");
    check_route("match = '/a/*'\nto = 'app'\nstrip_prefix = '/a/b'", "5 prefix_does_not_fit");
    check_route("match = '/ab/*'\nto = 'app'\nstrip_prefix = '/a'", "5 prefix_does_not_fit");
    check_route("match = '/*'\nto = 'app'\nstrip_prefix = '/a'", "5 prefix_does_not_fit");
    check_route("match = {}\nto = 'app'\nstrip_prefix = '/a'", "5 prefix_does_not_fit");
    check_route("match = '/a/*'\nto = 'app'\nstrip_prefix = '/a/'", "5 bad_value");
    check_route("match = '/a/*'\nto = 'app'\nstrip_prefix = '/./a'", "5 not_normal");
}

#[test]
fn https() {
    let check = |https: &str, more: &str, expected| {
        let route = "[route.r]\nmatch = '/'\nanswer = {}";
        check(
            &format!("[listen]\nhttps = {{ addr = ':443', {https} }}\n{more}\n{route}"),
            expected,
        );
    };
    check("cert = 'a', key = 'b'", "", "fine");
    check("certs = [{ cert = 'a', key = 'b' }]", "", "fine");
    check("certs = [{ cert = 'a' }]", "", "2 missing_key");
    check("certs = []", "", "2 out_of_range");
    check("cert = 'a'", "", "2 missing_key");
    check("key = 'a'", "", "2 missing_key");
    check("min_version = '1.3'", "", "2 missing_key");
    check("cert = 'a', key = 'b', certs = [{ cert = 'a', key = 'b' }]", "", "2 two_actions");
    check("cert = 'a', key = 'b', min_version = '1.1'", "", "2 bad_value");
    check("cert = 'a', key = 'b', ciphers = []", "", "2 out_of_range");
    check("cert = 'a', key = 'b', ciphers = ['RC4']", "", "2 bad_value");
    let old = "ciphers = ['TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256']";
    check(&format!("cert = 'a', key = 'b', {old}"), "", "fine");
    check(&format!("cert = 'a', key = 'b', min_version = '1.3', {old}"), "", "2 no_effect");
    check("cert = 'a', key = 'b', client_ca = 'c', client_optional = true", "", "fine");
    check("cert = 'a', key = 'b', client_optional = true", "", "2 no_effect");
    check("cert = 'a', key = 'b'", "https_only = true", "fine");
    check("cert = 'a', key = 'b'", "proxy_protocol = true", "3 no_effect");
    check("cert = 'a', key = 'b'", "proxy_protocol = true\ntrusted_proxies = ['::1']", "fine");
}

#[test]
fn https_only_needs_https() {
    let route = "[route.r]\nmatch = '/'\nanswer = {}\n";
    check(&format!("listen.https_only = true\n{route}"), "1 no_https");
    check(&format!("listen.https_only = true\n{route}https_only = false"), "fine");
    check(&format!("{route}https_only = true"), "4 no_https");
    check(&format!("listen.trusted_proxies = ['::1']\n{route}https_only = true"), "fine");
}

#[test]
fn http3_needs_https_and_tls_13() {
    let route = "[route.r]\nmatch = '/'\nanswer = {}\n";
    let check = |listen: &str, expected| {
        check(&format!("[listen]\nhttp3 = true\n{listen}\n{route}"), expected);
    };
    check("", "2 no_https");
    check("http = ':80'", "2 no_https");
    check("https = { addr = ':443', cert = 'c', key = 'k' }", "fine");
    check("https = { addr = ':443', cert = 'c' }", "3 missing_key");
    let ciphers =
        |names| format!("https = {{ addr = ':443', cert = 'c', key = 'k', ciphers = [{names}] }}");
    check(&ciphers("'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256'"), "2 no_effect");
    check(&ciphers("'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384'"), "fine");
    check(
        "https = { addr = ':443', cert = 'c', key = 'k' }\n[limits.http3]\nstreams = 0",
        "5 out_of_range",
    );
}

#[test]
fn equal_routes() {
    let check = |one: &str, other: &str, expected| {
        let route = |name, it| format!("[route.{name}]\nmatch = {it}\nanswer = {{}}\n");
        check(&(route("a", one) + &route("b", other)), expected);
    };
    check("'/x'", "'/y'", "fine");
    check("'/x'", "'/x/*'", "fine");
    check("'/x'", "'/x'", "5 same_routes");
    check("'/*'", "{}", "5 same_routes");
    check("'/{a}'", "'/{b}'", "5 same_routes");
    check("'/{a}'", "'/{a}/*'", "fine");
    check("'~/a'", "'~/a'", "5 same_routes");
    check("{ headers = { a = '1' } }", "{ headers = { a = '2' } }", "fine");
    check("{ headers = { a = '1' } }", "{ headers = { A = '1' } }", "5 same_routes");
    check("{ host = '*.X' }", "{ host = '*.x' }", "5 same_routes");
    check("{ path = '/x', host = 'h' }", "'/x'", "fine");
    check("{ path = '/x', host = 'H.' }", "{ path = '/x', host = 'h' }", "5 same_routes");
    check("{ path = '/x', methods = ['GET'] }", "'/x'", "fine");
    check("{ path = '/x', methods = ['GET'] }", "{ path = '/x', methods = ['POST'] }", "fine");
    check(
        "{ path = '/x', methods = ['GET', 'PUT'] }",
        "{ path = '/x', methods = ['POST', 'GET'] }",
        "5 same_routes",
    );
}

#[test]
fn the_ladder() {
    let check = |first_byte: &str, total: &str, expected| {
        check_upstream(
            &format!("targets = []\n{first_byte}\n[route.x]\nmatch = '/x'\nto = 'u'\n{total}"),
            expected,
        );
    };
    check("timeout.first_byte = '90s'", "", "fine");
    check("timeout.first_byte = '91s'", "", "4 ?ladder, 4 ?ladder");
    check("timeout.first_byte = '20s'", "timeout.total = '20s'", "fine");
    check("timeout.first_byte = '20s'", "timeout.total = '19s'", "4 ?ladder");
    check("", "timeout.total = '1s'", "fine");
    for key in ["full", "gone"] {
        let queue = |value: &str| format!("queue.{key} = '{value}'");
        check(&queue("20s"), "timeout.total = '20s'", "fine");
        check(&queue("21s"), "timeout.total = '20s'", "4 ?ladder");
    }
    check("", "later = {}", "fine");
    check("", "later = { after = '9s', total = '10s' }", "fine");
    check("", "later = { after = '10s', total = '10s' }", "8 ?ladder");
    check("", "later.total = '10s'", "8 ?ladder");
    check("", "later.requests = 0", "8 out_of_range");
    check("eject = { first = '9s', longest = '9s' }", "", "fine");
    check("eject = { first = '10s', longest = '9s' }", "", "4 ?ladder");
    check("eject.first = '6m'", "", "4 ?ladder");
    check("eject.longest = '900ms'", "", "4 ?ladder");
    // A slow answer to a check holds back the next one only.
    check("health = { interval = '1s', timeout = '2s', path = '/' }", "", "fine");
}

#[test]
fn a_second_try_needs_half_of_the_time() {
    let check = |targets: &str, first_byte: &str, route: &str, expected| {
        check(
            &format!(
                "upstream.u.targets = {targets}\n{first_byte}\n[route.x]\nmatch = '/x'\nto = 'u'\n\
                 {route}"
            ),
            expected,
        );
    };
    let two = "['http://10.0.0.1:1', 'http://10.0.0.2:1']";
    let first_byte = "upstream.u.timeout.first_byte = '20s'";
    check(two, first_byte, "timeout.total = '41s'", "fine");
    check(two, first_byte, "timeout.total = '40s'", "2 ?ladder");
    check(two, first_byte, "timeout.total = '19s'", "2 ?ladder");
    check("['http://10.0.0.1:1']", first_byte, "timeout.total = '40s'", "fine");
    check(two, first_byte, "timeout.total = '40s'\nretry.attempts = 1", "fine");
    check(two, "", "timeout.total = '40s'", "fine");
}

#[test]
fn a_name_is_found_within_the_time_of_its_route() {
    let check = |target: &str, total: &str, expected| {
        let route = format!("[route.x]\nmatch = '/x'\nto = '{target}'\ntimeout.total = '{total}'");
        check(&format!("dns.timeout = '5s'\n{route}"), expected);
    };
    check("http://app.test", "5s", "fine");
    check("http://app.test", "4s", "1 ?ladder");
    check("http://10.0.0.1", "4s", "fine");
}

#[test]
fn unknown_and_later_keys() {
    check("[routes.a]", "1 unknown_key");
    check(
        "[model.x]\n[provider.x]\n[defaults]",
        "1 not_in_this_version, 2 not_in_this_version, 3 not_in_this_version",
    );
    check("[console]\npassword = 'x'", "2 unknown_key");
    check("dns.servers = [1979-05-27]", "1 wrong_type");
}

#[test]
fn the_environment() {
    check("upstream.u.targets = ['http://${HOST}:1']", "1 ?unused_upstream");
    check("answers.name = '${MISSING}'", "1 unset_variable");
    check("route.r = { match = '/', to = '${SECRET}' }", "1 unknown_upstream");
    check("route.r = { match = '/', answer = { body = '$${HOST}' } }", "fine");
    let parsed = read("route.r = { match = '/', to = 'http://${HOST}:1' }").unwrap();
    assert_eq!(&*parsed.config.upstreams[0].targets[0].name, "http://app.internal:1");
}

#[test]
fn syntax() {
    check("a = ", "1 syntax");
    check("wrkers = 1\nlog = 1\na = \nx = 1", "1 unknown_key, 2 wrong_type, 3 syntax");
    check("[route.a]\nmatch = /x", "2 syntax");
    check("[listen", "1 syntax");
    check("workers = 1\nworkers = 2", "2 syntax");
    check("[listen]\nhttp = ':1\n[route.r]\nmatch = '/'\nto = 'x'", "2 syntax");
    check("\u{feff}workers = 0", "1 out_of_range");
}

#[test]
fn every_setting_arrives() {
    // Each setting of the large case differs from its default; a field that says the same in both
    // is a setting that went nowhere, or one that the case forgets.
    let text = include_str!("../cases/everything.toml");
    let debug = |text: &str| format!("{:#?}", read(text).unwrap().config);
    let smallest = "upstream.app.targets = ['http://h']\nroute.app = { match = '/', to = 'app' }";
    let (large, small) = (debug(text), debug(smallest));
    let fields = |debug: &str| -> Vec<String> {
        debug.lines().map(|it| it.trim().to_owned()).filter(|it| it.contains(": ")).collect()
    };
    let large = fields(&large);
    let same: Vec<String> = fields(&small)
        .into_iter()
        .filter(|it| it.ends_with(',') && !it.starts_with("index") && large.contains(it))
        .collect();
    // A route with `strip_prefix` has no `rewrite`; that stands in the case of routes.
    let tolerated = [
        "place: Name {",
        "tls: false,",
        "authority: \"h\",",
        "base_path: \"\",",
        "rewrite: None,",
        "weight: 1,",
        // No listener for the status alone: that would leave the console's without effect.
        "console: true,",
    ];
    let same: Vec<&String> = same.iter().filter(|it| !tolerated.contains(&it.as_str())).collect();
    assert!(same.is_empty(), "{same:#?}");
}

#[test]
fn targets_of_the_command_line() {
    let check = |typed: &str, expected: &str| {
        let told = match for_targets(&[typed.to_owned()]) {
            Ok(config) => {
                assert_eq!(config.routes.all().len(), 1);
                assert!(config.listen.assumed);
                config.upstreams[0].targets[0].name.to_string()
            }
            Err(complaints) => complaints.iter().map(|it| it.message.clone()).collect(),
        };
        assert_eq!(told, expected, "{typed}");
    };
    check("localhost:8000", "http://localhost:8000");
    check(":8000", "http://127.0.0.1:8000");
    check("8000", "http://127.0.0.1:8000");
    check("https://api.example.com/v1", "https://api.example.com/v1");
    check("unix:/run/app.sock", "unix:/run/app.sock");
    check("unix:/run/${X}.sock", "unix:/run/${X}.sock");
    check("[::1]:8000", "http://[::1]:8000");
    check("0", "`0` has no port from 1 to 65535 after its colon");
    check("ftp://x", "`ftp://x` has a scheme that cannot be spoken");
    check("", "`` has no host");
    let twice = for_targets(&["8000".to_owned(), ":8000".to_owned()]).unwrap_err();
    assert_eq!(twice.to_string(), "this target is listed twice");
}

#[test]
fn warnings_become_errors_when_strict() {
    let warnings = Complaints::from(read("upstream.u.targets = []").unwrap().warnings);
    assert!(!warnings.has_errors());
    assert!(warnings.strict().has_errors());
}

#[test]
fn complaints_are_json_too() {
    let text = "[listen]\nhtp = 'é'";
    let complaints = read(text).unwrap_err();
    let json = serde_json::to_value(complaints.located(text)).unwrap();
    assert_eq!(json[0]["line"], 2);
    assert_eq!(json[0]["column"], 1);
    assert_eq!(json[0]["end_column"], 4);
    assert_eq!(json[0]["severity"], "error");
    assert_eq!(json[0]["label"], "did you mean `http`?");
}

/// Same numbers every time: what fails once fails again.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        usize::try_from(self.0 >> 33).unwrap_or(0) % limit.max(1)
    }
}

#[test]
fn nothing_panics_whatever_is_typed() {
    let texts = [
        include_str!("../cases/everything.toml"),
        include_str!("../cases/mistakes.toml"),
        include_str!("../cases/syntax.toml"),
    ];
    let bits =
        ["\"", "'", "[", "]", "{", "}", "=", ".", "\n", "\t", "\0", "é", "${", "*", "-1", "''"];
    let mut dice = Dice(7);
    for round in 0..3_000 {
        let mut bytes = texts[round % texts.len()].as_bytes().to_vec();
        for _ in 0..=dice.below(6) {
            let from = dice.below(bytes.len());
            let to = (from + dice.below(8)).min(bytes.len());
            let bit = bits[dice.below(bits.len())].as_bytes();
            let with = if dice.below(2) == 0 {
                bit.to_vec()
            } else {
                bytes[dice.below(from)..from].to_vec()
            };
            bytes.splice(from..to, with.into_iter().take(200));
        }
        let text = String::from_utf8_lossy(&bytes);
        if let Err(complaints) = read(&text) {
            complaints.render("f", &text, true);
            complaints.located(&text);
        }
    }
}

#[test]
fn large_inputs_take_no_more_than_their_share() {
    let many = |it: &dyn Fn(usize) -> String| (0..20_000).map(it).collect::<String>();
    let routes = many(&|it| format!("[route.r{it}]\nmatch = '/{it}'\nto = 'a{it}'\n"));
    let upstreams = many(&|it| format!("upstream.a{it}.targets = ['http://h']\n"));
    let inputs = [
        routes.clone(),
        upstreams.clone() + &routes,
        many(&|it| format!("k{it} = 1\n")),
        format!("listen.http = [{}]", many(&|it| format!("':{}',", it % 60_000))),
        format!("dns.servers = [{}]", many(&|_| "'x', ".to_owned())),
        format!("upstream.u.targets = [{}]", many(&|it| format!("'http://h/{it}',"))),
        format!("route.r.match = '/{}'", "a/".repeat(500_000)),
        "[".repeat(300_000),
        "a = [".repeat(100_000),
        "a.".repeat(200_000),
        "{".repeat(300_000),
        "\"".repeat(300_001),
        "x = '${A".repeat(100_000),
        "[[a]]\n".repeat(100_000),
        "[a]\n".repeat(100_000),
        "a = 1\n".repeat(100_000),
        format!("answers.name = '{}'", "${HOST}".repeat(200_000)),
    ];
    for (index, text) in inputs.iter().enumerate() {
        let begun = clock();
        if let Err(complaints) = read(text) {
            complaints.render("f", text, false);
        }
        let took = begun.elapsed();
        assert!(
            took < Duration::from_secs(10),
            "input {index} of {} bytes took {took:?}",
            text.len()
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may look at the clock")]
fn clock() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "a test may read its cases")]
fn text_of(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
