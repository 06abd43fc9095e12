//! TLS at the listener, as a caller sees it that shares no line with us: `openssl s_client`.

use crate::doors::Papers;
use crate::world::{SOON, World, echo, world_with};
use std::net::SocketAddr;
use std::process::{Output, Stdio};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

const ASK: &str = "GET /x HTTP/1.1\r\nHost: one.test\r\nConnection: close\r\n\r\n";

/// Runs `openssl`, and gives what it says on both outputs.
async fn openssl(words: &[&str], input: &str) -> String {
    let mut command = Command::new("openssl");
    command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.kill_on_drop(true).spawn().expect("openssl is installed");
    let mut to = child.stdin.take().expect("it is piped");
    // It may have ended already; why is in what it says.
    drop(to.write_all(input.as_bytes()).await);
    drop(to);
    let ended = timeout(SOON * 4, child.wait_with_output()).await.expect("it ends");
    let Output { stdout, stderr, .. } = ended.expect("it was started");
    String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned()
}

/// A listener with these settings, and callers of it.
struct Listener {
    papers: Papers,
    address: SocketAddr,
    _world: World,
}

impl Listener {
    async fn new(test: &str, more: &str) -> Listener {
        let papers = Papers::new(test);
        Listener::with(papers, more).await
    }

    async fn with(papers: Papers, more: &str) -> Listener {
        let (settings, address) = papers.https(more);
        Listener { papers, address, _world: world_with(&settings, echo).await }
    }

    /// Asks for `/x` in this way.
    async fn call(&self, words: &[&str]) -> String {
        let (address, ca) = (self.address.to_string(), self.file("ca.pem"));
        let connect = ["s_client", "-connect", &address, "-CAfile", &ca, "-ign_eof"];
        openssl(&[&connect, words].concat(), ASK).await
    }

    fn file(&self, name: &str) -> String {
        self.papers.path(name).display().to_string()
    }

    /// What is agreed on: such as `TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256`.
    #[track_caller]
    fn agreed(said: &str) -> String {
        assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
        let line = said.lines().find_map(|it| it.split_once(", TLSv"));
        line.map_or_else(|| panic!("nothing is agreed on: {said}"), |(_, it)| format!("TLSv{it}"))
    }

    #[track_caller]
    fn refused(said: &str, alert: &str) {
        assert!(!said.contains("HTTP/1.1"), "{said}");
        assert!(said.contains(alert), "{said}");
    }
}

/// Whatever the system's own settings allow it to offer.
const ANYTHING: &str = "DEFAULT:@SECLEVEL=0";

#[tokio::test]
async fn versions_below_the_lowest_are_refused() {
    let usual = Listener::new("tls-versions", "").await;
    for (version, agreed) in [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")] {
        let said = usual.call(&[version, "-servername", "one.test"]).await;
        assert!(Listener::agreed(&said).starts_with(agreed), "{said}");
    }
    // Its greeting lacks even what is needed to say why.
    let said = usual.call(&["-tls1_1", "-cipher", ANYTHING]).await;
    Listener::refused(&said, "alert handshake failure");
    let new = Listener::new("tls-versions-new", ", min_version = \"1.3\"").await;
    let said = new.call(&["-servername", "one.test"]).await;
    assert!(Listener::agreed(&said).starts_with("TLSv1.3"), "{said}");
    Listener::refused(&new.call(&["-tls1_2"]).await, "alert protocol version");
}

#[tokio::test]
async fn suites_that_were_not_named_are_refused_and_the_first_named_is_taken() {
    let suites = ", ciphers = [\"TLS_AES_128_GCM_SHA256\", \"TLS_AES_256_GCM_SHA384\", \
                  \"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\"]";
    let named = Listener::new("tls-suites", suites).await;
    let both = "TLS_AES_256_GCM_SHA384:TLS_AES_128_GCM_SHA256";
    for (words, agreed) in [
        (&["-tls1_3", "-ciphersuites", both][..], "TLSv1.3, Cipher is TLS_AES_128_GCM_SHA256"),
        (
            &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"],
            "TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384",
        ),
        (&["-tls1_2"], "TLSv1.2, Cipher is ECDHE-ECDSA-AES128-GCM-SHA256"),
    ] {
        assert_eq!(Listener::agreed(&named.call(words).await), agreed);
    }
    for words in [
        ["-tls1_3", "-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"],
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
    ] {
        Listener::refused(&named.call(&words).await, "alert handshake failure");
    }
    // None named: the caller's order counts, and nothing without forward secrecy is there.
    let usual = Listener::new("tls-suites-usual", "").await;
    let other = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    let said = usual.call(&["-tls1_3", "-ciphersuites", other]).await;
    assert_eq!(Listener::agreed(&said), "TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256");
    for weak in ["AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "DES-CBC3-SHA:@SECLEVEL=0"] {
        let said = usual.call(&["-tls1_2", "-cipher", weak]).await;
        assert!(!said.contains("HTTP/1.1"), "{weak}: {said}");
    }
}

#[tokio::test]
async fn a_caller_gets_the_certificate_of_the_name_it_asks_for() {
    let listener = Listener::new("tls-names", "").await;
    for (asked, named) in [
        (&["-servername", "one.test"][..], "one.test"),
        (&["-servername", "two.test"], "two.test"),
        (&["-servername", "a.two.test"], "a.two.test"),
        (&["-servername", "TWO.TEST"], "two.test"),
        // The first of all.
        (&["-servername", "three.test"], "one.test"),
        (&["-noservername"], "one.test"),
    ] {
        let verify = ["-verify_hostname", named, "-verify_return_error"];
        let said = listener.call(&[asked, &verify].concat()).await;
        assert!(said.contains("Verify return code: 0 (ok)"), "{asked:?}: {said}");
        assert!(said.contains("HTTP/1.1 200 OK"), "{asked:?}: {said}");
    }
    // As strict as it looks: another name does not pass.
    let other = ["-servername", "two.test", "-verify_hostname", "one.test", "-verify_return_error"];
    assert!(!listener.call(&other).await.contains("HTTP/1.1"));
}

/// Has the authority answer for one of its certificates (RFC 6960).
async fn ocsp_answer(papers: &Papers, name: &str) -> String {
    let file = |name: &str| papers.path(name).display().to_string();
    std::fs::write(papers.path("ca.key"), papers.authority.key().serialize_pem())
        .expect("the test can go on");
    let certificate = file(&format!("{name}.pem"));
    let serial = openssl(&["x509", "-noout", "-serial", "-in", &certificate], "").await;
    let serial = serial.trim().trim_start_matches("serial=");
    // One line of a database of `openssl ca`: valid until, revoked, serial, file, subject.
    let index = format!("V\t20991231000000Z\t\t{serial}\tunknown\t/CN={name}\n");
    std::fs::write(papers.path("index.txt"), index).expect("the test can go on");
    let (index, ca, key) = (file("index.txt"), file("ca.pem"), file("ca.key"));
    let answer = file(&format!("{name}.ocsp"));
    let from = ["ocsp", "-index", &index, "-CA", &ca, "-rsigner", &ca, "-rkey", &key];
    let about = ["-issuer", &ca, "-cert", &certificate, "-ndays", "1", "-respout", &answer];
    let said = openssl(&[&from[..], &about].concat(), "").await;
    assert!(papers.path(&format!("{name}.ocsp")).is_file(), "{said}");
    answer
}

#[tokio::test]
async fn an_ocsp_answer_is_stapled_to_its_certificate() {
    let papers = Papers::new("tls-ocsp");
    let answer = ocsp_answer(&papers, "one.test").await;
    let (settings, address) = papers.https("");
    // For the first of the two.
    let one = settings.replacen(".key\" }", &format!(".key\", ocsp = \"{answer}\" }}"), 1);
    let listener = Listener { papers, address, _world: world_with(&one, echo).await };
    for version in ["-tls1_2", "-tls1_3"] {
        let said = listener.call(&[version, "-status", "-servername", "one.test"]).await;
        assert!(said.contains("OCSP Response Status: successful (0x0)"), "{said}");
        assert!(said.contains("Cert Status: good"), "{said}");
        assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
        let said = listener.call(&[version, "-status", "-servername", "two.test"]).await;
        assert!(said.contains("OCSP response: no response sent"), "{said}");
        assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
    }
}

#[tokio::test]
async fn sessions_are_resumed_unless_that_is_switched_off() {
    for (setting, resumed) in [("", true), (", tickets = false", false)] {
        let listener = Listener::new(&format!("tls-tickets-{resumed}"), setting).await;
        for version in ["-tls1_2", "-tls1_3"] {
            let session = listener.file(&format!("session{version}.pem"));
            let name = ["-servername", "one.test", version];
            let first = listener.call(&[&name[..], &["-sess_out", &session]].concat()).await;
            assert!(first.contains("New, TLSv1."), "{first}");
            if !resumed {
                assert!(!first.contains("TLS session ticket:"), "{first}");
            }
            if !listener.papers.path(&format!("session{version}.pem")).is_file() {
                assert!(!resumed, "{first}");
                continue;
            }
            let again = listener.call(&[&name[..], &["-sess_in", &session]].concat()).await;
            assert_eq!(again.contains("Reused, TLSv1."), resumed, "{version}: {again}");
            assert!(again.contains("HTTP/1.1 200 OK"), "{again}");
            std::fs::remove_file(&session).unwrap();
        }
    }
}

#[tokio::test]
async fn callers_certificates_are_asked_for_and_checked() {
    let stranger = Papers::new("tls-callers-stranger");
    for (setting, without) in [("", false), (", client_optional = true", true)] {
        let papers = Papers::new("tls-callers");
        let ca = papers.path("ca.pem");
        for (name, issuer) in [("own", &papers), ("other", &stranger)] {
            let (certificate, key) = issuer.issue(&["caller.test"]);
            std::fs::write(papers.path(&format!("{name}.pem")), certificate.pem()).unwrap();
            std::fs::write(papers.path(&format!("{name}.key")), key.serialize_pem()).unwrap();
        }
        let more = format!(", client_ca = \"{}\"{setting}", ca.display());
        let listener = Listener::with(papers, &more).await;
        let file = |name: &str| listener.file(name);
        for version in ["-tls1_2", "-tls1_3"] {
            let shows = |name: &str| [file(&format!("{name}.pem")), file(&format!("{name}.key"))];
            let [own, own_key] = shows("own");
            let said = listener.call(&[version, "-cert", &own, "-key", &own_key]).await;
            assert!(said.contains("HTTP/1.1 200 OK"), "{said}");
            let [other, other_key] = shows("other");
            let said = listener.call(&[version, "-cert", &other, "-key", &other_key]).await;
            Listener::refused(&said, "alert unknown ca");
            let said = listener.call(&[version]).await;
            match (without, version) {
                (true, _) => assert!(said.contains("HTTP/1.1 200 OK"), "{said}"),
                (false, "-tls1_3") => Listener::refused(&said, "alert certificate required"),
                (false, _) => Listener::refused(&said, "alert"),
            }
        }
    }
}
