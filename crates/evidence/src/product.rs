//! Who writes a log.

use serde::Serialize;

macro_rules! products {
    ($($stack:ident: $($name:ident $word:literal)*;)*) => {
        /// A program whose lines or settings we read.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Product {
            $($($name,)*)*
        }

        impl Product {
            pub const ALL: &[Product] = &[$($(Product::$name,)*)*];

            /// As people write it in a sentence.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $($(Product::$name => $word,)*)*
                }
            }

            /// The family of processes that it belongs to.
            #[must_use]
            pub fn stack(self) -> Stack {
                match self {
                    $($(Product::$name => Stack::$stack,)*)*
                }
            }
        }
    };
}

products! {
    Nginx: Nginx "nginx" IngressNginx "ingress-nginx" OpenResty "OpenResty" Kong "Kong" Apisix "APISIX";
    Apache: Apache "Apache";
    HaProxy: HaProxy "HAProxy";
    H2o: H2o "h2o";
    Nghttpx: Nghttpx "nghttpx";
    Hitch: Hitch "Hitch";
    Envoy: Envoy "Envoy" Istio "Istio" Linkerd "Linkerd";
    Traefik: Traefik "Traefik";
    Caddy: Caddy "Caddy";
    Varnish: Varnish "Varnish";
    Squid: Squid "Squid";
    Cloudflare: Cloudflare "Cloudflare" Cloudflared "cloudflared";
    Python: Gunicorn "gunicorn" Uvicorn "uvicorn" Uwsgi "uWSGI" Hypercorn "hypercorn"
        Daphne "daphne" Waitress "waitress" Flask "Flask" Django "Django" FastApi "FastAPI" Python "Python";
    Ruby: Puma "Puma" Unicorn "Unicorn" Passenger "Passenger" Ruby "Ruby";
    Node: Node "Node";
    Java: Tomcat "Tomcat" Spring "Spring Boot" Java "Java";
    Php: PhpFpm "php-fpm" Php "PHP";
    Go: Go "Go";
    DotNet: Iis "IIS" DotNet ".NET";
    Rust: Rust "Rust";
    Kernel: Kernel "the kernel" Audit "audit";
    Systemd: Systemd "systemd" Supervisord "supervisord";
    Docker: Docker "Docker";
    Kubernetes: Kubernetes "Kubernetes";
    Aws: AwsAlb "AWS ALB" AwsApiGateway "AWS API Gateway" AwsLambda "AWS Lambda" AwsEcs "AWS ECS";
    Gcp: GcpLb "the Google Cloud load balancer" GcpRun "Cloud Run";
    Azure: AzureGateway "Azure Application Gateway";
    Heroku: Heroku "Heroku";
    Database: Postgres "PostgreSQL" MySql "MySQL" Mongo "MongoDB" RabbitMq "RabbitMQ" Kafka "Kafka";
    Cache: Redis "Redis";
    Caller: Requests "requests" Httpx "httpx" Urllib3 "urllib3" Aiohttp "aiohttp" OpenAiSdk "the openai SDK"
        Curl "curl" Browser "the browser" Har "the HAR file";
    Proxy: AccessLog "the proxy";
    Ours: Goodgate "goodgate";
    Unknown: Page "the error page" Shell "the shell" Unknown "the log";
}

impl Product {
    /// The product that a name is made of: of a file, a container, a service, a unit. `None` where
    /// it holds none or several.
    #[must_use]
    pub fn in_name(name: &str) -> Option<Product> {
        // The longer names hold the shorter ones.
        const WORDS: &[(&str, Product)] = &[
            ("ingress-nginx", Product::IngressNginx),
            ("nginx-ingress", Product::IngressNginx),
            ("openresty", Product::OpenResty),
            ("nginx", Product::Nginx),
            ("apache-tomcat", Product::Tomcat),
            ("localhost_access_log", Product::Tomcat),
            ("tomcat", Product::Tomcat),
            ("catalina", Product::Tomcat),
            ("other_vhosts_access", Product::Apache),
            ("apache", Product::Apache),
            ("httpd", Product::Apache),
            ("varnish", Product::Varnish),
            ("squid", Product::Squid),
            ("haproxy", Product::HaProxy),
            ("traefik", Product::Traefik),
            ("caddy", Product::Caddy),
            ("gunicorn", Product::Gunicorn),
            ("hypercorn", Product::Hypercorn),
            ("waitress", Product::Waitress),
        ];
        let mut rest = crate::scan::clip(name, 256).to_ascii_lowercase();
        let mut found = None;
        for (word, product) in WORDS {
            if !rest.contains(word) {
                continue;
            }
            if found.is_some_and(|it| it != *product) {
                return None;
            }
            found = Some(*product);
            rest = rest.replace(word, " ");
        }
        found
    }

    /// The product that a path names: in the file's own name, else in that of the nearest folder.
    #[must_use]
    pub fn in_path(path: &str) -> Option<Product> {
        let file = path.rsplit(['/', '\\']).next()?;
        // What Apache calls its access log where nobody gives it another name.
        let httpd = ["access_log", "ssl_access_log"].contains(&file.split('.').next()?);
        let mut names = path.rsplit(['/', '\\']).take(8);
        names.find_map(Product::in_name).or(httpd.then_some(Product::Apache))
    }
}

/// A family of processes. The file of a process may hold the lines of its whole family (access
/// lines, error lines, the app's own lines and tracebacks); lines of another family in it are
/// unexpected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum Stack {
    Nginx,
    Apache,
    HaProxy,
    H2o,
    Nghttpx,
    Hitch,
    Envoy,
    Traefik,
    Caddy,
    Varnish,
    Squid,
    Cloudflare,
    Python,
    Ruby,
    Node,
    Java,
    Php,
    Go,
    DotNet,
    Rust,
    Kernel,
    Systemd,
    Docker,
    Kubernetes,
    Aws,
    Gcp,
    Azure,
    Heroku,
    Database,
    Cache,
    Caller,
    /// Access lines that several write alike, where nothing says who.
    Proxy,
    Ours,
    Unknown,
}

impl Stack {
    /// Stands between callers and apps, and answers in their place when they fail.
    #[must_use]
    pub fn is_proxy(self) -> bool {
        matches!(
            self,
            Stack::Nginx
                | Stack::Apache
                | Stack::HaProxy
                | Stack::H2o
                | Stack::Nghttpx
                | Stack::Hitch
                | Stack::Envoy
                | Stack::Traefik
                | Stack::Caddy
                | Stack::Varnish
                | Stack::Squid
                | Stack::Cloudflare
                | Stack::Aws
                | Stack::Gcp
                | Stack::Azure
                | Stack::Heroku
                | Stack::Proxy
                | Stack::Ours
        )
    }

    /// Runs people's code: what a caller sends may end up in its log as a line of its own.
    #[must_use]
    pub fn runs_apps(self) -> bool {
        matches!(
            self,
            Stack::Python
                | Stack::Ruby
                | Stack::Node
                | Stack::Java
                | Stack::Php
                | Stack::Go
                | Stack::DotNet
                | Stack::Rust
                | Stack::Unknown
        )
    }
}
