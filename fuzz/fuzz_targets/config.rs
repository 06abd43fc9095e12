//! Reading a configuration never panics, and every complaint can be shown.

#![no_main]

use config::{Context, parse};
use std::path::Path;

libfuzzer_sys::fuzz_target!(|text: &str| {
    let env = |name: &str| (name == "SET").then(|| "value".to_owned());
    let context = Context { base: Path::new("/etc/goodgate"), env: &env };
    if let Err(complaints) = parse(text, &context) {
        complaints.render("goodgate.toml", text, false);
    }
});
