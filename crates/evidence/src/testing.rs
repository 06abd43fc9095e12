//! Checks of one line: what is read, in one line of text.

use crate::configs::CONFIGS;
use crate::event::{Event, Served, Sink};
use crate::layers::Layers;
use crate::line::Below;
use crate::readers::READERS;
use crate::setting::{Setting, What};

#[derive(Default)]
struct Written {
    events: Vec<String>,
    text: String,
}

impl Sink for Written {
    fn event(&mut self, event: Event<'_>) {
        let text = self.text.clone();
        self.write(event, &text);
    }

    fn served(&mut self, served: Served) {
        self.events.push(format!("served {}", served.status));
    }

    fn event_below(&mut self, below: &Below<'_>, event: Event<'_>) {
        self.write(event, &below.text);
    }

    fn taken(&mut self, _: &Below<'_>) {}
}

impl Written {
    fn write(&mut self, event: Event<'_>, text: &str) {
        let mut words = format!("{}: {:?}", event.product.name(), event.sign);
        let mut add = |name: &str, it: Option<&str>| {
            if let Some(it) = it {
                words += &format!(" {name}={it}");
            }
        };
        add("upstream", event.upstream.as_deref());
        add("who", event.who.as_deref());
        add("detail", event.detail.as_deref());
        add("number", event.number.map(|it| it.to_string()).as_deref());
        add("status", event.status.map(|it| it.to_string()).as_deref());
        words += &format!(" | {}", &text[event.span]);
        self.events.push(words);
    }
}

/// What the readers make of the first line of a text; the lines after it may belong to it.
pub(crate) fn read(text: &str) -> Vec<String> {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    read_line("", first, rest)
}

/// What the readers make of a line that stands between others.
fn read_line(before: &str, line: &str, rest: &str) -> Vec<String> {
    let text = line;
    let layers = Layers::of(format!("{before}{line}\n{rest}").as_bytes(), 2026);
    let line = layers.unwrap(line.as_bytes(), rest.as_bytes(), 2026).after(before.as_bytes());
    let Some(reader) = READERS.iter().find(|it| (it.fits)(&line)) else { return Vec::new() };
    let mut written = Written { events: Vec::new(), text: line.text.clone().into_owned() };
    (reader.read)(&line, &mut written);
    // A line without any reader's hook is never looked at.
    let hooked = reader.hooks.is_empty()
        || READERS.iter().flat_map(|it| it.hooks).any(|it| text.contains(it));
    assert!(written.events.is_empty() || hooked, "{}: no hook in {text}", reader.name);
    written.events
}

/// `product: Sign upstream=… who=… detail=… number=… status=… | quote`; several are joined by `; `.
/// Lines of access logs begin with `served STATUS`.
#[track_caller]
pub(crate) fn check(text: &str, want: &str) {
    assert_eq!(read(text).join("; "), want, "{text}");
}

/// The same for the last line of a text, which belongs to what stands before it.
#[track_caller]
pub(crate) fn check_last(text: &str, want: &str) {
    let at = text.rfind('\n').map_or(0, |it| it + 1);
    assert_eq!(read_line(&text[..at], &text[at..], "").join("; "), want, "{text}");
}

/// Nothing but perhaps a served request is read.
#[track_caller]
pub(crate) fn check_nothing(text: &str) {
    let events: Vec<String> =
        read(text).into_iter().filter(|it| !it.starts_with("served ")).collect();
    assert!(events.is_empty(), "{text}: {events:?}");
}

/// `product: What …; What …`, in the words of [`What`].
#[track_caller]
pub(crate) fn check_config(name: &str, text: &str, want: &str) {
    let config = CONFIGS.iter().find(|it| (it.fits)(name, text)).expect("a configuration");
    let settings = (config.read)(name, text);
    for it in &settings {
        let at = it.offset as usize;
        assert_eq!(text.get(at..at + it.quote.len()), Some(&*it.quote), "a quote is misplaced");
    }
    let words: Vec<String> = settings.iter().map(words).collect();
    assert_eq!(format!("{}: {}", config.product.name(), words.join("; ")), want);
}

fn words(setting: &Setting) -> String {
    let service = setting.service.as_ref().map(|it| format!("[{it}] ")).unwrap_or_default();
    let what = match &setting.what {
        What::Dials { to, scheme } => format!("Dials {to} {scheme:?}"),
        What::Listens { address, .. } => format!("Listens {address}"),
        What::Limit { limit, value } => format!("Limit {limit:?} {value}"),
        What::Service { name } => format!("Service {name}"),
        What::Network { name } => format!("Network {name}"),
        What::Publishes { host, container } => format!("Publishes {host}->{container}"),
        other => format!("{other:?}"),
    };
    service + &what
}
