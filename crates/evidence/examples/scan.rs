use evidence::*;
fn main() {
    let path = std::env::args().nth(1).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let shape = Shape::of(&path, &bytes, Arrival::File, 2026);
    let t = std::time::Instant::now();
    let ledger = scan(&shape, 0, Part::whole(&bytes), Window::default());
    println!(
        "{:?} lines {} groups {} readers {:?}",
        t.elapsed(),
        ledger.lines,
        ledger.groups.len(),
        shape.readers.iter().map(|r| r.name).collect::<Vec<_>>()
    );
}
