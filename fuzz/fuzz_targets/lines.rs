//! Reading lines of any format never panics, and every quote stands where it is said to stand. What
//! is made of them is the target `report`.

#![no_main]

use evidence::{Arrival, Part, READERS, Reader, Shape, Window, scan};
use std::sync::LazyLock;

/// All readers, or those of the product that the environment names.
static FAMILIES: LazyLock<Vec<&Reader>> = LazyLock::new(|| {
    let only = std::env::var("FUZZ_PRODUCT").unwrap_or_default();
    READERS.iter().filter(|it| only.is_empty() || it.product.name() == only).collect()
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((family, rest)) = data.split_first() else { return };
    // The first line is one of the family's own, so that the source is taken for its log.
    let reader = FAMILIES[usize::from(*family) % FAMILIES.len()];
    let mut source = reader.example.as_bytes().to_vec();
    source.push(b'\n');
    source.extend_from_slice(rest);
    for arrival in [Arrival::File, Arrival::Stream] {
        let shape = Shape::of("input", &source, arrival, 2026);
        let ledger = scan(&shape, 0, Part::whole(&source), Window::default());
        for sample in ledger.groups.values().map(|it| it.sample()) {
            let Some(inset) = sample.inset else { continue };
            let start = sample.place.offset as usize + inset;
            let there = source.get(start..start + sample.quote.len());
            assert!(there.is_some_and(|it| same(it, &sample.quote)), "{}", sample.quote);
        }
    }
});

/// A byte that is no UTF-8 is a question mark in the quote.
fn same(raw: &[u8], quote: &str) -> bool {
    raw.iter().zip(quote.bytes()).all(|(a, b)| *a == b || b == b'?')
}
