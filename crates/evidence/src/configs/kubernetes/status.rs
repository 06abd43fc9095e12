//! What the cluster says of its objects: the `status` of pods, and endpoints, in YAML as
//! `kubectl get … -o yaml` prints it.

use super::all;
use crate::clock;
use crate::configs::tree::{Node, documents};
use crate::event::Event;
use crate::product::Product;
use crate::reader::span_of;
use crate::readers::{exited, state_says};
use crate::sign::Sign;
use crate::trust::Trust;

/// Gives what the objects of a text say; spans are of the whole text.
pub(crate) fn statuses(text: &str, tell: &mut dyn FnMut(Event<'_>)) {
    for document in all(&documents(text)) {
        let object = Object { text, node: document };
        match document.str("kind") {
            Some("Pod") => object.pod(tell),
            Some("Endpoints") => object.endpoints("subsets", tell),
            Some("EndpointSlice") => object.endpoints("endpoints", tell),
            _ => {}
        }
    }
}

struct Object<'d, 't> {
    text: &'t str,
    node: &'d Node<'t>,
}

impl<'t> Object<'_, 't> {
    fn event(&self, sign: Sign, words: &'t str) -> Event<'t> {
        Event::new(Product::Kubernetes, sign, Trust::B, span_of(self.text, words))
            .who(self.node.str("metadata/name"))
    }

    fn pod(&self, tell: &mut dyn FnMut(Event<'_>)) {
        let Some(status) = self.node.get("status") else { return };
        if let Some((reason, words)) = status.said(self.text, "reason")
            && let Some(sign) = state_says(reason)
        {
            tell(self.event(sign, words).detail(status.str("message")));
        }
        let lists = ["initContainerStatuses", "containerStatuses"];
        for container in lists.iter().flat_map(|it| status.list(it)) {
            self.container(container, tell);
        }
    }

    fn container(&self, container: &Node<'t>, tell: &mut dyn FnMut(Event<'_>)) {
        let restarts = container.str("restartCount").and_then(|it| it.parse::<i64>().ok());
        let waiting = container.said(self.text, "state/waiting/reason");
        if let Some((reason, words)) = waiting
            && let Some(sign) = state_says(reason)
        {
            tell(self.event(sign, words).number(restarts.filter(|it| *it > 0)));
        }
        for ended in ["state/terminated", "lastState/terminated"] {
            let Some(ended) = container.at(ended) else { continue };
            let Some((code, words)) = ended.said(self.text, "exitCode") else { continue };
            let Some(code) = code.parse::<i64>().ok().filter(|it| *it != 0) else { continue };
            let oom = ended.said(self.text, "reason").filter(|it| it.0 == "OOMKilled");
            let (sign, number) = if oom.is_some() { (Sign::OomKilled, code) } else { exited(code) };
            let words = oom.map_or(words, |it| it.1);
            let at = ended.str("finishedAt").and_then(clock::any);
            tell(self.event(sign, words).number(Some(number)).at(at));
        }
        let running = container.at("state/running").is_some();
        let Some((ready, words)) = container.said(self.text, "ready") else { return };
        match ready {
            "true" => tell(self.event(Sign::Ready, words)),
            "false" if running => tell(self.event(Sign::ReadinessFailed, words)),
            _ => {}
        }
    }

    /// A service that has no address to send requests to.
    fn endpoints(&self, member: &str, tell: &mut dyn FnMut(Event<'_>)) {
        let has = |it: &&Node<'_>| {
            !it.list("addresses").is_empty() && it.str("conditions/ready") != Some("false")
        };
        if self.node.list(member).iter().any(|it| has(&it)) {
            return;
        }
        let Some((_, words)) = self.node.said(self.text, "metadata/name") else { return };
        let labels = self.node.at("metadata/labels");
        let service = labels.and_then(|it| it.get("kubernetes.io/service-name")?.as_str());
        let event = self.event(Sign::SelectorEmpty, words);
        tell(match service {
            Some(it) => event.who(Some(it)),
            None => event,
        });
    }
}
