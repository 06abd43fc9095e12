//! Reading configurations and documents of other products never panics, and every quote stands where
//! it is said to stand.

#![no_main]

use evidence::{CONFIGS, DOCUMENTS, Found};

libfuzzer_sys::fuzz_target!(|text: &str| {
    for config in CONFIGS {
        let _ = (config.fits)("", text);
        for it in (config.read)("", text) {
            let at = it.offset as usize;
            let there = text.get(at..at + it.quote.len());
            assert_eq!(there, Some(it.quote.as_str()), "{}", config.name);
        }
    }
    for document in DOCUMENTS {
        let _ = (document.fits)("", text);
        (document.read)(text, &mut |found| match found {
            Found::Event(event) => assert!(event.span.start <= event.span.end),
            Found::Line { offset, .. } => assert!(offset <= text.len()),
        });
    }
});
