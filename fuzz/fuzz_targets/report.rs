//! Whatever several sources say, the answer can be shown: as text, as Markdown and as JSON; and no
//! control character of a log reaches a terminal.

#![no_main]

use diagnosis::report::{markdown, text};
use diagnosis::why::{Question, why};
use evidence::{Arrival, Testimony};

const NAMES: [&str; 4] = ["error.log", "app.log", "compose.yaml", "status.txt"];

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let data = String::from_utf8_lossy(data);
    // Sources are separated by a form feed, which stands in no log.
    let inputs: Vec<(&str, &str)> = NAMES.into_iter().zip(data.split('\x0c')).collect();
    let testimony = Testimony::of(&inputs, Arrival::File, 2026);
    let report = why(&testimony, &Question::default());
    assert!(report.candidates.iter().map(|it| it.confidence).sum::<f64>() <= 1.0);
    for page in [text::render(&report, false), markdown::render(&report)] {
        assert!(!page.chars().any(|it| it.is_control() && it != '\n'), "{page:?}");
    }
    let _ = text::render(&report, true);
    assert!(serde_json::to_string(&report).is_ok());
});
