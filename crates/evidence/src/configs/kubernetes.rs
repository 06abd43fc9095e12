//! Manifests of Kubernetes (kubernetes.io/docs/reference/kubernetes-api), with those of Istio
//! (istio.io/docs/reference/config) that stand among them. Each document of a file counts.

use super::tree::{Node, documents, entry};
use super::words::{bytes, is_safe, millis, port};
use super::{command, nginx, systemd};
use crate::product::Product;
use crate::setting::{Config, Limit, Object, Places, Scheme, Setting, What};

mod istio;
mod status;

pub(crate) use status::statuses;

pub(super) const KUBERNETES: Config = Config {
    name: "Kubernetes manifest",
    product: Product::Kubernetes,
    fits,
    read,
    source: "https://kubernetes.io/docs/reference/kubernetes-api/",
    example: "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  ports:\n    - port: 80\n      targetPort: 8000\n",
};

/// Keys that make a text without its head a piece of a manifest.
const OWN: [&str; 12] = [
    "containerPort",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "targetPort",
    "backend-protocol",
    "proxy-read-timeout",
    "proxy-body-size",
    "terminationGracePeriodSeconds",
    "trafficPolicy",
    "hostNetwork",
    "mtls",
];

fn fits(_: &str, text: &str) -> bool {
    let hint = text.contains("kind") || OWN.iter().any(|it| text.contains(it));
    hint && all(&documents(text)).iter().any(|it| is_manifest(it) || is_piece(it))
}

fn is_manifest(document: &Node<'_>) -> bool {
    let kind = document
        .str("kind")
        .is_some_and(|it| it.starts_with(|it: char| it.is_ascii_uppercase()) && !it.contains(' '));
    let spec = ["spec", "metadata", "data"].iter().any(|it| document.get(it).is_some());
    kind && (spec || document.str("apiVersion").is_some())
}

fn is_piece(document: &Node<'_>) -> bool {
    let own =
        |it: &&(&str, Node<'_>)| OWN.contains(&it.0) || it.0.strip_prefix(ANNOTATION).is_some();
    let services = document.get("services").is_some();
    !services && document.maps().iter().any(|it| it.entries().iter().any(|it| own(&it)))
}

/// The documents, and those within lists of them.
fn all<'d, 't>(documents: &'d [Node<'t>]) -> Vec<&'d Node<'t>> {
    let mut all = Vec::new();
    for document in documents {
        let items = document.list("items");
        match document.str("kind").is_some_and(|it| it.ends_with("List")) && !items.is_empty() {
            true => all.extend(items),
            false => all.push(document),
        }
    }
    all
}

fn read(_: &str, text: &str) -> Vec<Setting> {
    let documents = documents(text);
    let mut reading = Reading {
        places: Places::new(Product::Kubernetes, text),
        text,
        named: documents.iter().flat_map(named_ports).collect(),
    };
    for document in all(&documents) {
        reading.places.product(Product::Kubernetes);
        reading.places.service(document.str("metadata/name"));
        reading.places.object(document.str("kind").map(|kind| Object {
            kind: kind.to_owned(),
            namespace: document.str("metadata/namespace").map(str::to_owned),
        }));
        if !istio::read(&mut reading.places, document) {
            reading.document(document);
        }
    }
    reading.places.settings
}

/// Ports of containers that have a name.
fn named_ports<'t>(document: &Node<'t>) -> Vec<(&'t str, u16)> {
    let maps = document.maps();
    maps.iter().filter_map(|it| Some((it.str("name")?, it.port("containerPort")?))).collect()
}

struct Reading<'t> {
    places: Places<'t>,
    text: &'t str,
    named: Vec<(&'t str, u16)>,
}

impl<'t> Reading<'t> {
    fn document(&mut self, document: &Node<'t>) {
        match document.str("kind") {
            Some("Service") => self.service(document),
            Some("Ingress") => self.ingress(document),
            Some("NetworkPolicy") => self.network_policy(document),
            Some("ConfigMap") => self.config_map(document),
            Some("Secret") => {}
            _ => self.pods(document),
        }
    }

    fn add(&mut self, what: What, quote: &'t str) {
        self.places.add(what, quote);
    }

    /// A port that is a number, or the name of a container's port.
    fn port(&self, written: &str) -> Option<u16> {
        let named = || self.named.iter().find(|(it, _)| *it == written).map(|(_, it)| *it);
        port(written).or_else(named)
    }

    fn service(&mut self, document: &Node<'t>) {
        if let Some((name, quote)) = document.said(self.text, "metadata/name") {
            self.add(What::Service { name: name.to_owned() }, quote);
        }
        for (key, value) in document.map("spec/selector") {
            self.label(key, value, |label| What::Selects { label });
        }
        for item in document.list("spec/ports") {
            self.service_port(item);
        }
        if let Some((name, quote)) = document.said(self.text, "spec/externalName") {
            let (to, scheme) = (name.to_owned(), Scheme::Unknown);
            self.add(What::Dials { to, scheme }, quote);
        }
    }

    fn service_port(&mut self, item: &Node<'t>) {
        let host = item.port("port");
        let Some((target, quote)) =
            item.said(self.text, "targetPort").or_else(|| item.said(self.text, "port"))
        else {
            return;
        };
        let Some(container) = self.port(target) else { return };
        self.add(What::TargetPort { port: container }, quote);
        if let Some(host) = host {
            self.add(What::Publishes { host, container }, quote);
        }
    }

    fn label(&mut self, key: &'t str, value: &Node<'t>, what: impl Fn(String) -> What) {
        if let Some(word) = value.as_str() {
            let quote = entry(self.text, key, value);
            self.add(what(format!("{key}={word}")), quote);
        }
    }

    /// What has containers somewhere, or is a piece of such a manifest.
    fn pods(&mut self, document: &Node<'t>) {
        let template = document.at("spec/template").unwrap_or(document);
        for (key, value) in template.map("metadata/labels") {
            self.label(key, value, |label| What::Labelled { label });
        }
        for map in document.maps() {
            for (key, value) in map.entries() {
                self.of_pod(map, key, value);
            }
        }
    }

    fn of_pod(&mut self, map: &Node<'t>, key: &'t str, value: &Node<'t>) {
        let quote = entry(self.text, key, value);
        let word = value.as_str().unwrap_or_default();
        match key {
            "image" if !word.is_empty() => self.add(What::Image { name: word.to_owned() }, quote),
            "containerPort" => {
                if let Some(port) = port(word) {
                    self.add(What::Exposes { port }, quote);
                }
            }
            "targetPort" => self.service_port(map),
            "hostNetwork" if word == "true" => self.add(What::HostNetwork, quote),
            "terminationGracePeriodSeconds" => {
                self.places.limit(Limit::Graceful, millis(word, 1000), quote);
            }
            "livenessProbe" | "readinessProbe" | "startupProbe" => self.probe(value),
            "limits" => {
                if let Some((size, quote)) = value.said(self.text, "memory") {
                    self.places.limit(Limit::Memory, bytes(size), quote);
                }
            }
            "command" if value.items().is_empty() => {}
            "command" | "args" => self.command(map, key, value),
            "env" => {
                for item in value.items() {
                    if let (Some(name), Some((value, quote))) =
                        (item.str("name"), item.said(self.text, "value"))
                    {
                        systemd::environment(&mut self.places, name, value, quote);
                        self.places.product(Product::Kubernetes);
                    }
                }
            }
            "annotations" => self.annotations(value),
            _ => {
                if key.starts_with(ANNOTATION) {
                    self.annotation(key, value);
                }
            }
        }
    }

    fn command(&mut self, map: &Node<'t>, key: &str, value: &Node<'t>) {
        let all = value.texts();
        command::runs(&mut self.places, &all);
        // Arguments belong to the command beside them.
        let before = map.get("command").filter(|_| key == "args").map(Node::texts);
        let known = command::read_words(&mut self.places, &all).is_some();
        if let (false, Some(mut whole)) = (known, before) {
            whole.extend(all);
            command::read_words(&mut self.places, &whole);
        }
        self.places.product(Product::Kubernetes);
    }

    fn probe(&mut self, probe: &Node<'t>) {
        let http = probe.get("httpGet").or_else(|| probe.get("tcpSocket"));
        if let Some(http) = http {
            let said = http.said(self.text, "path").or_else(|| http.said(self.text, "port"));
            let Some((_, quote)) = said else { return };
            let path = http.str("path").map(|it| it.split('?').next().unwrap_or(it).to_owned());
            let scheme = http.str("scheme").map(|it| Scheme::of(&it.to_ascii_lowercase()));
            let port = http.str("port").and_then(|it| self.port(it));
            let quote = quote.split('?').next().unwrap_or(quote);
            self.add(What::HealthCheck { path, port, scheme }, quote);
        }
        for (key, limit) in [
            ("timeoutSeconds", Limit::Probe),
            ("initialDelaySeconds", Limit::ProbeDelay),
            ("failureThreshold", Limit::MaxFails),
        ] {
            if let Some((written, quote)) = probe.said(self.text, key) {
                let scale = if limit == Limit::MaxFails { 1 } else { 1000 };
                self.places.limit(limit, millis(written, scale), quote);
            }
        }
    }

    fn ingress(&mut self, document: &Node<'t>) {
        let annotations = document.at("metadata/annotations");
        let scheme = annotations
            .and_then(|it| it.get("nginx.ingress.kubernetes.io/backend-protocol")?.as_str());
        let scheme = scheme.map_or(Scheme::Http, |it| Scheme::of(&it.to_ascii_lowercase()));
        if let Some(annotations) = annotations {
            self.annotations(annotations);
        }
        let of_alb = |it: &str| it == "alb";
        let alb = document.at("spec/ingressClassName").and_then(Node::as_str).is_some_and(of_alb)
            || annotations.is_some_and(|it| it.entries().iter().any(|(it, _)| it.starts_with(ALB)));
        let controller = if alb { Product::AwsAlb } else { Product::IngressNginx };
        self.places.product(controller);
        for map in document.maps() {
            if let Some((host, quote)) = map.said(self.text, "host") {
                self.add(What::ServedAs { host: host.to_owned() }, quote);
            }
            let (name, number) = match map.get("service").and_then(|it| it.said(self.text, "name"))
            {
                Some(it) => {
                    (Some(it), map.str("service/port/number").or(map.str("service/port/name")))
                }
                None => (map.said(self.text, "serviceName"), map.str("servicePort")),
            };
            if let Some((name, quote)) = name {
                let to = number.map_or(name.to_owned(), |it| format!("{name}:{it}"));
                self.add(What::Dials { to, scheme }, quote);
            }
        }
    }

    fn annotations(&mut self, annotations: &Node<'t>) {
        for (key, value) in annotations.entries() {
            self.annotation(key, value);
        }
    }

    /// `nginx.ingress.kubernetes.io/proxy-read-timeout: "60"` is nginx's own directive.
    fn annotation(&mut self, key: &'t str, value: &Node<'t>) {
        if let (Some("load-balancer-attributes"), Some(word)) =
            (key.strip_prefix(ALB), value.as_str())
        {
            let idle = word.split(',').find_map(|it| {
                let (name, time) = it.trim().split_once('=')?;
                (name == "idle_timeout.timeout_seconds").then_some((it.trim(), time))
            });
            if let Some((quote, time)) = idle {
                self.places.product(Product::AwsAlb);
                // The one limit for a silent connection, on both of its sides.
                self.places.limit(Limit::Read, millis(time, 1000), quote);
                self.places.limit(Limit::KeepAliveReuse, millis(time, 1000), quote);
                self.places.product(Product::Kubernetes);
            }
            return;
        }
        let (Some(name), Some(word)) = (key.strip_prefix(ANNOTATION), value.as_str()) else {
            return;
        };
        let quote = entry(self.text, key, value);
        self.places.product(Product::IngressNginx);
        let name = name.replace('-', "_");
        match name.as_str() {
            "backend_protocol" => {
                self.add(What::On { option: format!("backend-protocol={word}") }, quote);
            }
            "proxy_body_size" => self.places.limit(Limit::Body, bytes(word), quote),
            "proxy_http_version" => self.add(What::HttpVersion { version: word.to_owned() }, quote),
            "proxy_ssl_verify" => self.add(What::Verifies { on: word == "on" }, quote),
            "proxy_ssl_name" => self.add(What::SendsName { name: Some(word.to_owned()) }, quote),
            "proxy_next_upstream" => self.add(What::Retries { on: word.to_owned() }, quote),
            "upstream_vhost" => {
                let (name, value) = ("Host".to_owned(), word.to_owned());
                self.add(What::SetsHeader { name, value }, quote);
            }
            "limit_rps" | "limit_connections" | "limit_rpm" => {
                self.add(What::LimitsRate { rule: format!("{name}={word}") }, quote);
            }
            _ => {
                if let Some((limit, value)) = nginx::limit(&name, &[word]) {
                    self.places.limit(limit, value, quote);
                }
            }
        }
        self.places.product(Product::Kubernetes);
    }

    fn network_policy(&mut self, document: &Node<'t>) {
        let labels = document.map("spec/podSelector/matchLabels");
        for (key, value) in labels {
            self.label(key, value, |label| What::Restricts { label });
        }
        if labels.is_empty()
            && let Some((_, quote)) = document.said(self.text, "kind")
        {
            self.add(What::Restricts { label: String::new() }, quote);
        }
    }

    /// The keys of the nginx controller's own map, and variables of apps.
    fn config_map(&mut self, document: &Node<'t>) {
        for (key, value) in document.map("data") {
            let Some(word) = value.as_str().filter(|it| !it.contains('\n')) else { continue };
            let quote = entry(self.text, key, value);
            let name = key.replace('-', "_");
            let own = key.contains('-').then(|| nginx::limit(&name, &[word])).flatten();
            match own {
                Some((limit, value)) if is_safe(quote) => {
                    self.places.product(Product::IngressNginx);
                    self.places.limit(limit, value, quote);
                }
                _ => systemd::environment(&mut self.places, key, word, quote),
            }
            self.places.product(Product::Kubernetes);
        }
    }
}

const ALB: &str = "alb.ingress.kubernetes.io/";
const ANNOTATION: &str = "nginx.ingress.kubernetes.io/";

#[cfg(test)]
mod tests {
    use crate::testing::check_config;

    #[test]
    fn every_document_of_a_file_counts() {
        check_config(
            "app.yaml",
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: web\nspec:\n  selector:\n    app: web\n  ports:\n    - port: 80\n      targetPort: http\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  template:\n    metadata:\n      labels:\n        app: api\n    spec:\n      containers:\n        - name: web\n          image: example/web:1\n          args: [\"gunicorn\", \"--bind=127.0.0.1:8000\", \"app:app\"]\n          ports:\n            - name: http\n              containerPort: 8000\n          env:\n            - name: REDIS_URL\n              value: redis://:secret@cache:6379/0\n          resources:\n            limits:\n              memory: 128Mi\n          readinessProbe:\n            httpGet:\n              path: /up\n              port: http\n            timeoutSeconds: 1\n",
            "Kubernetes: [web] Service web; [web] Selects { label: \"app=web\" }; [web] TargetPort { port: 8000 }; [web] Publishes 80->8000; \
             [web] Labelled { label: \"app=api\" }; [web] Image { name: \"example/web:1\" }; \
             [web] Runs { command: \"gunicorn --bind=127.0.0.1:8000 app:app\" }; [web] Listens 127.0.0.1:8000; \
             [web] Uses { address: \"cache:6379\" }; [web] HealthCheck { path: Some(\"/up\"), port: Some(8000), scheme: None }; \
             [web] Limit Probe 1000; [web] Exposes { port: 8000 }; [web] Limit Memory 134217728",
        );
    }

    #[test]
    fn objects_of_one_name_are_told_apart_by_kind_and_namespace() {
        let text = "kind: Service\nmetadata: {name: web, namespace: prod}\nspec:\n  selector: {app: web}\n---\n\
                    kind: Service\nmetadata: {name: web}\nspec:\n  selector: {app: web}\n---\n\
                    kind: Deployment\nmetadata: {name: web}\nspec:\n  template:\n    metadata:\n      labels: {app: web}\n";
        let mut objects: Vec<String> = super::read("", text)
            .into_iter()
            .filter_map(|it| it.object)
            .map(|it| format!("{} {:?}", it.kind, it.namespace))
            .collect();
        objects.dedup();
        assert_eq!(objects, ["Service Some(\"prod\")", "Service None", "Deployment None"]);
    }

    #[test]
    fn a_piece_without_a_head_is_no_object() {
        let settings = super::read("", "ports:\n- port: 80\n  targetPort: 8080");
        assert!(!settings.is_empty() && settings.iter().all(|it| it.object.is_none()));
    }

    #[test]
    fn ways_in_are_read() {
        check_config(
            "",
            "apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: in\n  annotations:\n    nginx.ingress.kubernetes.io/backend-protocol: \"HTTPS\"\n    nginx.ingress.kubernetes.io/proxy-read-timeout: \"60\"\nspec:\n  rules:\n    - host: a.example.com\n      http:\n        paths:\n          - path: /\n            backend:\n              service:\n                name: web\n                port:\n                  number: 80\n",
            "Kubernetes: [in] On { option: \"backend-protocol=HTTPS\" }; [in] Limit Read 60000; [in] ServedAs { host: \"a.example.com\" }; \
             [in] Dials web:80 Https",
        );
    }

    #[test]
    fn a_balancer_of_aws_has_one_limit_for_silence() {
        let text = "kind: Ingress\nmetadata:\n  name: in\n  annotations:\n    alb.ingress.kubernetes.io/load-balancer-attributes: routing.http2.enabled=true,idle_timeout.timeout_seconds=30\nspec:\n  ingressClassName: alb\n  rules:\n    - http:\n        paths:\n          - backend:\n              service:\n                name: web\n                port:\n                  number: 80\n";
        check_config(
            "",
            text,
            "Kubernetes: [in] Limit Read 30000; [in] Limit KeepAliveReuse 30000; [in] Dials web:80 Http",
        );
        check_config(
            "",
            &text.replace("idle_timeout.timeout_seconds=30", "idle_timeout=x"),
            "Kubernetes: [in] Dials web:80 Http",
        );
    }

    #[test]
    fn pieces_are_read() {
        for (text, want) in [
            ("nginx.ingress.kubernetes.io/proxy-body-size: 8m", "Kubernetes: Limit Body 8388608"),
            (
                "livenessProbe:\n  httpGet:\n    path: /up\n    port: 8080\n  initialDelaySeconds: 3",
                "Kubernetes: HealthCheck { path: Some(\"/up\"), port: Some(8080), scheme: None }; Limit ProbeDelay 3000",
            ),
            (
                "ports:\n- port: 80\n  targetPort: 8080",
                "Kubernetes: TargetPort { port: 8080 }; Publishes 80->8080",
            ),
            (
                "kind: NetworkPolicy\nmetadata: {name: deny}\nspec:\n  podSelector: {}\n",
                "Kubernetes: [deny] Restricts { label: \"\" }",
            ),
        ] {
            check_config("", text, want);
        }
    }

    #[test]
    fn what_is_secret_and_what_is_prose_is_left_alone() {
        let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: s\nstringData:\n  DATABASE_URL: postgres://a:b@c/d\n";
        assert!(super::read("", secret).is_empty());
        for text in [
            "kind: of strange",
            "the livenessProbe: it fails",
            "kind: {",
            "Warning  Unhealthy  5s  kubelet  livenessProbe failed",
        ] {
            assert!(!super::fits("a.yaml", text), "{text}");
        }
    }
}
