//! Answers of a sign-in carry long cookies, and nginx reads heads into a page of memory at first.

use super::files::Files;
use super::{Check, Found, Severity, add};
use crate::report::Risk;
use evidence::Limit;

pub(super) const CHECK: Check = Check { cause: "header_too_big", look };

/// Programs that sign people in and answer with tokens in cookies.
const SIGN_IN: [&str; 7] =
    ["oauth2-proxy", "oauth2_proxy", "keycloak", "authelia", "authentik", "vouch-proxy", "oidc"];

fn look(files: &Files<'_>, found: &mut Found<'_>) {
    let speaks = SIGN_IN.iter().find_map(|word| {
        let unit = files.units.iter().find(|it| it.mentions(word))?;
        let fact = unit.facts.iter().find(|it| {
            let service = it.setting.service.as_deref().unwrap_or_default();
            let quote = it.setting.quote.to_ascii_lowercase();
            quote.contains(word) || service.to_ascii_lowercase().contains(word)
        })?;
        Some((*word, *fact))
    });
    let Some((word, proof)) = speaks else { return };
    let set = files.facts().any(|it| it.limit(Limit::AnswerHead).is_some());
    let Some(dial) = files.dials.iter().find(|it| it.fact.is_nginx() && !set) else { return };
    let statement = format!(
        "nginx takes heads of 4 or 8 kB (`proxy_buffer_size` is not set), and answers of `{word}` \
         can be longer"
    );
    let lines = "proxy_buffer_size 16k;\nproxy_buffers 8 16k;";
    let step = add("Make room for long cookies", dial.fact, lines, Risk::Reload);
    found.say(Severity::Hint, statement, &[dial.fact, proof], vec![step]);
}

#[cfg(test)]
mod tests {
    use crate::doctor::testing::{check, check_nothing};

    const ID: &str = "header_too_big";

    #[test]
    fn a_sign_in_behind_the_default() {
        check(
            ID,
            "n.conf nginx: dials http://app:80; c.yml docker keycloak: service keycloak",
            "hint: nginx takes heads of 4 or 8 kB (`proxy_buffer_size` is not set), and answers of \
             `keycloak` can be longer",
        );
    }

    #[test]
    fn without_a_sign_in_or_with_room_all_is_well() {
        check_nothing(ID, "n.conf nginx: dials http://app:80");
        check_nothing(ID, "n.conf nginx: dials http://keycloak:80, answer-head 16k");
        check_nothing(ID, "c caddy: dials http://keycloak:80");
    }
}
