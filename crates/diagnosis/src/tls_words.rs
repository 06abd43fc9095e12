//! What cures of TLS to the upstream have in common.

use crate::advice::{self, Hop, hop_host, word};
use crate::dossier::Dossier;
use crate::report::Step;
use evidence::{Sign, Stack, What, address};

/// The name that the proxy checks the certificate against, and sends in the handshake.
pub(crate) fn name(dossier: &Dossier) -> Option<String> {
    let detail = dossier.incident.detail.as_deref();
    let checked = match dossier.sign() {
        Sign::CertWrongName | Sign::CertNoIpSan => detail.and_then(|it| match wanted(it) {
            Some(name) => Some(name),
            None => (dossier.incident.hop.stack() == Stack::Nginx).then_some(it),
        }),
        _ => None,
    };
    let sent = dossier.settings(|it| match &it.what {
        What::SendsName { name: Some(name) } if name != "on" && !name.starts_with('$') => {
            Some(name.as_str())
        }
        _ => None,
    });
    let sent = sent.into_iter().map(|(it, _)| it);
    let found = checked.into_iter().chain(sent).find(|it| !address::is_ip(it));
    found.map(str::to_owned).or_else(|| advice::name(dossier))
}

/// `x509: certificate is valid for A, not B`: what was wanted.
fn wanted(detail: &str) -> Option<&str> {
    let (_, name) = detail.strip_prefix("x509: ")?.rsplit_once(", not ")?;
    Some(name.trim())
}

/// The proxy sends no server name, by its configuration.
pub(crate) fn sends_none(dossier: &Dossier) -> bool {
    let sends = dossier.settings(|it| match &it.what {
        What::SendsName { name } if it.product.stack() == dossier.incident.hop.stack() => {
            Some(name.is_some())
        }
        _ => None,
    });
    // nginx sends none unless it is told to.
    !sends.iter().any(|(on, _)| *on)
        && (dossier.incident.hop.stack() == Stack::Nginx || !sends.is_empty())
}

/// A handshake as the proxy makes it.
pub(crate) fn greet(dossier: &Dossier, options: &str) -> String {
    let name = name(dossier).map_or_else(|| "NAME".to_owned(), |it| word(&it));
    let to = dossier.upstream().map_or_else(|| "HOST:443".to_owned(), word);
    format!("openssl s_client -connect {to} -servername {name}{options} </dev/null")
}

/// A handshake that says whether the certificate is for the name, or for the bare address.
pub(crate) fn check(dossier: &Dossier) -> String {
    let host = dossier.upstream().map_or("", address::host).trim_matches(['[', ']']);
    let checked = match name(dossier) {
        Some(name) => format!(" -verify_hostname {}", word(&name)),
        None if address::is_ip(host) => format!(" -verify_ip {}", word(host)),
        None => String::new(),
    };
    greet(dossier, &checked)
}

/// The certificate that the upstream shows for the name.
pub(crate) fn certificate(dossier: &Dossier, text: &str) -> Step {
    let run = format!(
        "{} 2>/dev/null | openssl x509 -noout -subject -issuer -dates -ext subjectAltName",
        greet(dossier, "")
    );
    Step::look(text, run).at(hop_host(dossier))
}

/// A handshake that must succeed, with verification.
pub(crate) fn verified(dossier: &Dossier) -> Step {
    let run = format!("{} 2>&1 | grep -E 'Verif|alert|error'", greet(dossier, ""));
    Step::look("See the handshake complete, with `Verify return code: 0 (ok)`", run)
        .at(hop_host(dossier))
}

/// The authorities that the proxy takes a certificate from.
pub(crate) fn trust(dossier: &Dossier, text: &str) -> Vec<Step> {
    advice::change(
        dossier,
        text,
        &[
            (
                Hop::Nginx,
                "proxy_ssl_trusted_certificate /etc/nginx/upstream-ca.pem;\nproxy_ssl_verify on;",
            ),
            (
                Hop::IngressNginx,
                "nginx.ingress.kubernetes.io/proxy-ssl-secret: \"NAMESPACE/upstream-ca\"\n\
                 nginx.ingress.kubernetes.io/proxy-ssl-verify: \"on\"",
            ),
            (Hop::Apache, "SSLProxyCACertificateFile /etc/ssl/upstream-ca.pem"),
            (
                Hop::HaProxy,
                "server APP ADDRESS:443 ssl verify required ca-file /etc/haproxy/upstream-ca.pem",
            ),
            (
                Hop::Envoy,
                "validation_context: { trusted_ca: { filename: /etc/envoy/upstream-ca.pem } }",
            ),
            (Hop::Istio, "tls: { mode: SIMPLE, caCertificates: /etc/certs/upstream-ca.pem }"),
            (
                Hop::Traefik,
                "serversTransports: { app: { rootCAs: [/etc/traefik/upstream-ca.pem] } }",
            ),
            (Hop::Caddy, "transport http { tls_trust_pool file /etc/caddy/upstream-ca.pem }"),
            (Hop::Goodgate, "tls = { ca = \"upstream-ca.pem\" }"),
        ],
    )
}

/// The name that the proxy sends and checks.
pub(crate) fn send_name(dossier: &Dossier, text: &str, name: &str) -> Vec<Step> {
    let nginx = format!("proxy_ssl_server_name on;\nproxy_ssl_name {name};");
    let ingress = format!(
        "nginx.ingress.kubernetes.io/proxy-ssl-server-name: \"on\"\n\
         nginx.ingress.kubernetes.io/proxy-ssl-name: \"{name}\""
    );
    let apache = format!("ProxyPass / https://{name}/");
    let haproxy = format!("server APP ADDRESS:443 ssl sni str({name}) verifyhost {name}");
    let envoy = format!("sni: {name}");
    let istio = format!("tls: {{ mode: SIMPLE, sni: {name} }}");
    let traefik = format!("serversTransports: {{ app: {{ serverName: {name} }} }}");
    let caddy = format!("transport http {{ tls_server_name {name} }}");
    let ours = format!("tls = {{ server_name = \"{name}\" }}");
    advice::change(
        dossier,
        text,
        &[
            (Hop::Nginx, &nginx),
            (Hop::IngressNginx, &ingress),
            (Hop::Apache, &apache),
            (Hop::HaProxy, &haproxy),
            (Hop::Envoy, &envoy),
            (Hop::Istio, &istio),
            (Hop::Traefik, &traefik),
            (Hop::Caddy, &caddy),
            (Hop::Goodgate, &ours),
        ],
    )
}

/// The upstream is spoken to without TLS.
pub(crate) fn without(dossier: &Dossier, text: &str) -> Vec<Step> {
    let to = dossier.upstream().unwrap_or("ADDRESS");
    let nginx = format!("-proxy_pass https://{to};\nproxy_pass http://{to};");
    let apache = format!("-ProxyPass / https://{to}/\nProxyPass / http://{to}/");
    let haproxy = format!("-server app {to} ssl\nserver app {to}");
    let caddy = format!("-reverse_proxy https://{to}\nreverse_proxy http://{to}");
    let traefik = format!("-- url: https://{to}\n- url: http://{to}");
    advice::change(
        dossier,
        text,
        &[
            (Hop::Nginx, &nginx),
            (
                Hop::IngressNginx,
                "-nginx.ingress.kubernetes.io/backend-protocol: \"HTTPS\"\n\
                 nginx.ingress.kubernetes.io/backend-protocol: \"HTTP\"",
            ),
            (Hop::Apache, &apache),
            (Hop::HaProxy, &haproxy),
            (Hop::Envoy, "-transport_socket: { name: envoy.transport_sockets.tls }"),
            (Hop::Istio, "tls: { mode: DISABLE }"),
            (Hop::Traefik, &traefik),
            (Hop::Caddy, &caddy),
        ],
    )
}

/// The upstream is spoken to with TLS.
pub(crate) fn with(dossier: &Dossier, text: &str) -> Vec<Step> {
    let to = dossier.upstream().unwrap_or("ADDRESS");
    let nginx =
        format!("-proxy_pass http://{to};\nproxy_pass https://{to};\nproxy_ssl_server_name on;");
    let apache = format!("SSLProxyEngine on\n-ProxyPass / http://{to}/\nProxyPass / https://{to}/");
    let haproxy = format!(
        "-server app {to}\nserver app {to} ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt"
    );
    let caddy = format!("-reverse_proxy http://{to}\nreverse_proxy https://{to}");
    let traefik = format!("-- url: http://{to}\n- url: https://{to}");
    advice::change(
        dossier,
        text,
        &[
            (Hop::Nginx, &nginx),
            (Hop::IngressNginx, "nginx.ingress.kubernetes.io/backend-protocol: \"HTTPS\""),
            (Hop::Apache, &apache),
            (Hop::HaProxy, &haproxy),
            (Hop::Envoy, "transport_socket: { name: envoy.transport_sockets.tls }"),
            (Hop::Istio, "tls: { mode: SIMPLE }"),
            (Hop::Traefik, &traefik),
            (Hop::Caddy, &caddy),
        ],
    )
}

/// The certificate that the proxy shows as a client.
pub(crate) fn client_certificate(dossier: &Dossier, text: &str) -> Vec<Step> {
    advice::change(
        dossier,
        text,
        &[
            (
                Hop::Nginx,
                "proxy_ssl_certificate /etc/nginx/client.pem;\n\
                 proxy_ssl_certificate_key /etc/nginx/client.key;",
            ),
            (
                Hop::IngressNginx,
                "nginx.ingress.kubernetes.io/proxy-ssl-secret: \"NAMESPACE/client-certificate\"",
            ),
            (Hop::Apache, "SSLProxyMachineCertificateFile /etc/ssl/client-with-key.pem"),
            (Hop::HaProxy, "server APP ADDRESS:443 ssl crt /etc/haproxy/client-with-key.pem"),
            (
                Hop::Envoy,
                "tls_certificates: [{ certificate_chain: { filename: client.pem }, private_key: { \
                 filename: client.key } }]",
            ),
            (
                Hop::Istio,
                "tls: { mode: MUTUAL, clientCertificate: /etc/certs/client.pem, privateKey: \
                 /etc/certs/client.key }",
            ),
            (
                Hop::Traefik,
                "serversTransports: { app: { certificates: [{ certFile: client.pem, keyFile: \
                 client.key }] } }",
            ),
            (Hop::Caddy, "transport http { tls_client_auth client.pem client.key }"),
        ],
    )
}
