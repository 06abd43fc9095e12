//! Who takes part in the demonstration. Adding a target is one line of the table.

use lab::{Ask, Expect, Scene};

/// One target with its own route.
pub(super) struct Target {
    /// Its route and its upstream; a slash before it makes its path.
    pub(super) name: &'static str,
    /// The scene of the lab that is played there.
    scene: &'static str,
    pub(super) others: Others,
}

/// What nginx answers in the same situation, as `lab table` measures it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Others {
    Fine,
    BadGateway,
    GatewayTimeout,
    /// A good beginning, and no word about the missing rest.
    Cut,
}

pub(super) const TARGETS: &[Target] = &[
    Target::new("healthy", "healthy", Others::Fine),
    Target::new("refuses", "process_down", Others::BadGateway),
    Target::new("resets", "connection_reset", Others::BadGateway),
    Target::new("closes-early", "premature_close", Others::BadGateway),
    Target::new("closes-idle", "keepalive_race", Others::BadGateway),
    Target::new("never-answers", "response_header_timeout", Others::GatewayTimeout),
    Target::new("bad-header", "invalid_header_line", Others::BadGateway),
    Target::new("expired-certificate", "tls_cert_expired", Others::BadGateway),
    Target::new("plain-port", "tls_to_plain_port", Others::BadGateway),
    Target::new("short-body", "content_length_short", Others::Cut),
    Target::new("stalls", "body_stall", Others::Cut),
    Target::new("breaks-off", "truncated_chunk", Others::Cut),
];

impl Target {
    const fn new(name: &'static str, scene: &'static str, others: Others) -> Target {
        Target { name, scene, others }
    }

    pub(super) fn scene(&self) -> &'static Scene {
        lab::scene(self.scene).expect("a test looks up every scene of this table")
    }

    /// What it does, as a sentence without a full stop.
    pub(super) fn does(&self) -> &'static str {
        self.scene().about
    }

    pub(super) fn path(&self) -> String {
        format!("/{}", self.name)
    }

    /// What is asked of it, and what must come of it.
    pub(super) fn expects(&self) -> &'static [Expect] {
        self.scene().expects
    }
}

impl Others {
    /// The status line as a client sees it.
    pub(super) fn words(self) -> &'static str {
        match self {
            Others::Fine => "200 OK",
            Others::BadGateway => "502 Bad Gateway",
            Others::GatewayTimeout => "504 Gateway Time-out",
            Others::Cut => "200 OK, then half of a body",
        }
    }

    /// The whole page that nginx sends with it, where it makes the answer.
    pub(super) fn page(self) -> Option<String> {
        let title = match self {
            Others::Fine | Others::Cut => return None,
            Others::BadGateway | Others::GatewayTimeout => self.words(),
        };
        Some(format!(
            "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n\
             <center><h1>{title}</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n\
             </body>\r\n</html>\r\n"
        ))
    }
}

pub(super) fn method(ask: Ask) -> &'static str {
    match ask {
        Ask::Get | Ask::WebSocket => "GET",
        Ask::Head => "HEAD",
        Ask::Post | Ask::Upload(_) | Ask::Call => "POST",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_a_scene_of_the_lab_with_a_path_of_its_own() {
        for (at, target) in TARGETS.iter().enumerate() {
            assert!(lab::scene(target.scene).is_some(), "{}", target.scene);
            assert!(TARGETS[..at].iter().all(|it| it.name != target.name), "{}", target.name);
        }
    }

    #[test]
    fn the_bare_page_has_the_size_that_everybody_knows_from_the_logs() {
        assert_eq!(Others::BadGateway.page().map(|it| it.len()), Some(157));
    }

    #[tokio::test]
    async fn nginx_answers_as_it_is_quoted() {
        if !std::path::Path::new("/usr/sbin/nginx").exists() {
            // Nobody to compare with on this machine.
            return;
        }
        for target in TARGETS {
            let playing = target.scene().start().unwrap();
            let nginx = lab::neighbours::nginx(&playing).await.unwrap();
            let answers = lab::table::ask(target.expects(), nginx.listen).await.unwrap();
            let last = answers.last().expect("something was asked");
            let status = last.status.map(|it| it.to_string()).unwrap_or_default();
            assert!(target.others.words().starts_with(&status), "{}: {last:?}", target.name);
            assert_eq!(last.cut(), target.others == Others::Cut, "{}: {last:?}", target.name);
            if let Some(page) = target.others.page() {
                assert_eq!(without_version(&last.text()), without_version(&page));
            }
        }
    }

    fn without_version(page: &str) -> (&str, &str) {
        let (before, after) = page.split_once("nginx/").expect("it says who it is");
        (before, after.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.'))
    }

    #[test]
    fn what_others_answer_is_what_the_fault_allows() {
        for target in TARGETS {
            let last = target.expects().last().expect("something is asked");
            // What others hand on in part is explained where it is small enough to be held back.
            if target.others == Others::Cut && last.error.is_some() {
                assert!((502..=504).contains(&last.status) && !last.cut, "{}", target.name);
                continue;
            }
            let status = target.others.words().get(..3).and_then(|it| it.parse().ok());
            assert_eq!(status, Some(last.status), "{}", target.name);
            assert_eq!(target.others == Others::Cut, last.cut, "{}", target.name);
        }
    }
}
