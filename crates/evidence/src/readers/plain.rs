//! Text that no other reader takes: an app's own words, shell output, pieces of logs.

use crate::event::{Event, Sink};
use crate::line::Line;
use crate::product::Product;
use crate::reader::{Phrase, Reader, find, phrase};
use crate::sign::Sign;
use crate::trust::Trust;

pub(super) const TEXT: Reader = Reader {
    name: "plain text",
    product: Product::Unknown,
    hooks: &["listening on port ", "Address already in use"],
    fits: |_| true,
    read,
    source: "words that programs in any language share",
    example: "bind(): Address already in use",
};

const PHRASES: &[Phrase] = &[phrase("Address already in use", Sign::PortInUse, Trust::D)];

fn read(line: &Line, sink: &mut dyn Sink) {
    if let Some((found, span)) = find(PHRASES, &line.text) {
        sink.event(Event::new(Product::Unknown, found.sign, found.trust, span));
    }
}
