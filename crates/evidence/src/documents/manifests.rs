//! `kubectl get … -o yaml` with the status of what runs: pods, endpoints, and lists of them. What was
//! asked for, their `spec`, is read as a configuration.

use super::{Document, Found};
use crate::configs::statuses;
use crate::product::Product;

pub(super) const STATUSES: Document = Document {
    name: "kubectl get -o yaml",
    product: Product::Kubernetes,
    fits: |_, text| {
        let lines = |wanted: &[&str]| text.lines().any(|it| wanted.contains(&it.trim()));
        !text.trim_start().starts_with('{')
            && text.contains("apiVersion:")
            && (text.contains("containerStatuses:")
                || lines(&["kind: Endpoints", "kind: EndpointSlice"]))
    },
    read: |text, tell| statuses(text, &mut |it| tell(Found::Event(it))),
    source: "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodStatus, \
             Endpoints, EndpointSlice",
    example: "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop-0\nstatus:\n  phase: Running\n  containerStatuses:\n  - name: app\n    ready: false\n    restartCount: 7\n    state:\n      waiting:\n        reason: CrashLoopBackOff\n",
};

#[cfg(test)]
mod tests {
    use super::*;

    /// `Sign who: words`, by line.
    #[track_caller]
    fn check(text: &str, want: &[&str]) {
        assert!((STATUSES.fits)("", text), "{text}");
        let mut found = Vec::new();
        (STATUSES.read)(text, &mut |it| {
            let Found::Event(it) = it else { return };
            let number = it.number.map(|it| format!(" {it}")).unwrap_or_default();
            let who = it.who.as_deref().unwrap_or("");
            found.push(format!("{:?}{number} {who}: {}", it.sign, &text[it.span]));
        });
        assert_eq!(found, want, "{text}");
    }

    #[test]
    fn containers_say_why_they_do_not_run() {
        check(
            "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: shop-0\n  status:\n    containerStatuses:\n    - name: app\n      ready: false\n      restartCount: 7\n      lastState:\n        terminated:\n          exitCode: 137\n          finishedAt: \"2026-11-20T15:16:30Z\"\n          reason: OOMKilled\n      state:\n        waiting:\n          reason: CrashLoopBackOff\n- apiVersion: v1\n  kind: Pod\n  metadata:\n    name: shop-1\n  status:\n    containerStatuses:\n    - name: app\n      ready: true\n      state:\n        running:\n          startedAt: \"2026-11-20T15:16:30Z\"\n",
            &[
                "CrashLooping 7 shop-0: reason: CrashLoopBackOff",
                "OomKilled 137 shop-0: reason: OOMKilled",
                "Ready shop-1: ready: true",
            ],
        );
        check(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop-0\nstatus:\n  containerStatuses:\n  - image: shop:1\n    ready: false\n    state:\n      waiting:\n        message: Back-off pulling image\n        reason: ImagePullBackOff\n",
            &["ImagePullFailed shop-0: reason: ImagePullBackOff"],
        );
        check(
            "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop-0\nstatus:\n  containerStatuses:\n  - lastState:\n      terminated:\n        exitCode: 1\n        reason: Error\n    ready: false\n    state:\n      running: {}\n",
            &["ProcessExited 1 shop-0: exitCode: 1", "ReadinessFailed shop-0: ready: false"],
        );
    }

    #[test]
    fn a_service_without_addresses_is_named() {
        check(
            "apiVersion: v1\nkind: Endpoints\nmetadata:\n  name: shop\n",
            &["SelectorEmpty shop: name: shop"],
        );
        check(
            "apiVersion: v1\nkind: Endpoints\nmetadata:\n  name: shop\nsubsets:\n- notReadyAddresses:\n  - ip: 192.0.2.7\n  ports:\n  - port: 8000\n",
            &["SelectorEmpty shop: name: shop"],
        );
        check(
            "apiVersion: v1\nkind: Endpoints\nmetadata:\n  name: shop\nsubsets:\n- addresses:\n  - ip: 192.0.2.7\n  ports:\n  - port: 8000\n",
            &[],
        );
        check(
            "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata:\n  name: shop-x2x9z\n  labels:\n    kubernetes.io/service-name: shop\nendpoints:\n- addresses:\n  - 192.0.2.7\n  conditions:\n    ready: false\n",
            &["SelectorEmpty shop: name: shop-x2x9z"],
        );
    }

    #[test]
    fn what_is_only_asked_for_is_no_status() {
        let text = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: shop\nspec:\n  containers: []\n";
        assert!(!(STATUSES.fits)("", text));
    }
}
