//! Decompresses bzip2: the format of <https://en.wikipedia.org/wiki/Bzip2> and of its manual.

use std::io::{self, Read};

const BLOCK_MAGIC: u64 = 0x3141_5926_5359;
const END_MAGIC: u64 = 0x1772_4538_5090;

/// The longest code of a symbol, in bits.
const LONGEST: usize = 20;

/// Symbols after which the next table of codes is chosen.
const TURN: usize = 50;

/// Reads what was compressed; files that were put one after the other count as one.
pub(super) struct Bunzip<R> {
    bits: Bits<R>,
    /// The largest block of the stream, in bytes; 0 before its head was read.
    largest: usize,
    /// Where each byte of the block leads to, and the byte.
    chain: Vec<u32>,
    at: u32,
    left: usize,
    repeat: Repeat,
    check: u32,
    wanted: u32,
    begun: bool,
    ended: bool,
}

/// The run-length code around a block: four like bytes are followed by how many more come.
#[derive(Default)]
struct Repeat {
    byte: u8,
    seen: u8,
    more: u8,
}

impl<R: Read> Bunzip<R> {
    pub(super) fn new(source: R) -> Bunzip<R> {
        Bunzip {
            bits: Bits { source: io::BufReader::new(source), held: 0, count: 0 },
            largest: 0,
            chain: Vec::new(),
            at: 0,
            left: 0,
            repeat: Repeat::default(),
            check: u32::MAX,
            wanted: 0,
            begun: false,
            ended: false,
        }
    }

    /// Reads up to the next block; `false` at the end of everything.
    fn next_block(&mut self) -> io::Result<bool> {
        loop {
            if self.largest == 0 && !self.head()? {
                return Ok(false);
            }
            match self.bits.take(48)? {
                BLOCK_MAGIC => {
                    self.wanted = self.bits.take(32)? as u32;
                    self.block()?;
                    return Ok(true);
                }
                END_MAGIC => {
                    // The check of all blocks says no more than those of each.
                    self.bits.take(32)?;
                    self.bits.align();
                    self.largest = 0;
                }
                _ => return Err(corrupt("no block begins where one should")),
            }
        }
    }

    /// The head of a stream; `false` where nothing more comes. What follows a whole stream and is
    /// none itself is left alone, as the tool does.
    fn head(&mut self) -> io::Result<bool> {
        let first = !std::mem::replace(&mut self.begun, true);
        let head = match self.bits.take(32) {
            Ok(it) => it,
            Err(it) if !first && it.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(it) => return Err(it),
        };
        let level = head & 0xff;
        if head >> 8 != 0x0042_5a68 || !(0x31..=0x39).contains(&level) {
            return if first { Err(corrupt("it does not begin as bzip2 does")) } else { Ok(false) };
        }
        self.largest = (level as usize - 0x30) * 100_000;
        Ok(true)
    }

    fn block(&mut self) -> io::Result<()> {
        if self.bits.take(1)? == 1 {
            return Err(corrupt("it is written by a version that randomised blocks"));
        }
        let origin = self.bits.take(24)? as usize;
        let mut alphabet = self.alphabet()?;
        let symbols = alphabet.len() + 2;
        let (tables, selectors) = self.tables(symbols)?;
        self.chain.clear();
        let mut counts = [0u32; 256];
        let (mut run, mut weight) = (0usize, 1usize);
        let mut turn = 0;
        loop {
            let table = selectors.get(turn / TURN).and_then(|it| tables.get(*it as usize));
            let table = table.ok_or_else(|| corrupt("its tables end before the block"))?;
            turn += 1;
            let symbol = table.symbol(&mut self.bits)? as usize;
            if symbol < 2 {
                // Runs of the front byte are numbers whose digits are 1 and 2.
                run += weight << symbol;
                weight = weight.checked_mul(2).filter(|_| run <= self.largest).unwrap_or(0);
                if weight == 0 {
                    return Err(corrupt("a run is longer than its block"));
                }
                continue;
            }
            if run > 0 {
                self.push(alphabet[0], run, &mut counts)?;
                (run, weight) = (0, 1);
            }
            if symbol == symbols - 1 {
                break;
            }
            let byte = alphabet[symbol - 1];
            alphabet.copy_within(..symbol - 1, 1);
            alphabet[0] = byte;
            self.push(byte, 1, &mut counts)?;
        }
        self.link(origin, &counts)
    }

    fn push(&mut self, byte: u8, times: usize, counts: &mut [u32; 256]) -> io::Result<()> {
        if self.largest < self.chain.len() + times {
            return Err(corrupt("a block is longer than its stream allows"));
        }
        counts[usize::from(byte)] += times as u32;
        self.chain.resize(self.chain.len() + times, u32::from(byte));
        Ok(())
    }

    /// Undoes the sorting: each place gets the place of the byte after it.
    fn link(&mut self, origin: usize, counts: &[u32; 256]) -> io::Result<()> {
        if self.chain.is_empty() || self.chain.len() <= origin {
            return Err(corrupt("a block begins outside of itself"));
        }
        let mut next = [0u32; 256];
        let mut sum = 0;
        for (start, count) in next.iter_mut().zip(counts) {
            *start = sum;
            sum += count;
        }
        for place in 0..self.chain.len() {
            let byte = (self.chain[place] & 0xff) as usize;
            self.chain[next[byte] as usize] |= (place as u32) << 8;
            next[byte] += 1;
        }
        self.at = self.chain[origin] >> 8;
        self.left = self.chain.len();
        self.repeat = Repeat::default();
        self.check = u32::MAX;
        Ok(())
    }

    /// The bytes that occur in the block.
    fn alphabet(&mut self) -> io::Result<Vec<u8>> {
        let rows = self.bits.take(16)?;
        let mut bytes = Vec::with_capacity(256);
        for row in 0..16u8 {
            if rows & (0x8000 >> row) == 0 {
                continue;
            }
            let columns = self.bits.take(16)?;
            bytes.extend(
                (0..16u8).filter(|it| columns & (0x8000 >> it) != 0).map(|it| row * 16 + it),
            );
        }
        if bytes.is_empty() { Err(corrupt("a block holds no byte")) } else { Ok(bytes) }
    }

    fn tables(&mut self, symbols: usize) -> io::Result<(Vec<Table>, Vec<u8>)> {
        let count = self.bits.take(3)? as usize;
        let turns = self.bits.take(15)? as usize;
        if !(2..=6).contains(&count) || turns == 0 {
            return Err(corrupt("a block has no tables"));
        }
        let mut front: Vec<u8> = (0..count as u8).collect();
        let mut selectors = Vec::with_capacity(turns);
        for _ in 0..turns {
            let mut place = 0;
            while self.bits.take(1)? == 1 {
                place += 1;
                if count <= place {
                    return Err(corrupt("a table is chosen that is not there"));
                }
            }
            front[..=place].rotate_right(1);
            selectors.push(front[0]);
        }
        let tables: io::Result<Vec<Table>> = (0..count).map(|_| self.table(symbols)).collect();
        Ok((tables?, selectors))
    }

    fn table(&mut self, symbols: usize) -> io::Result<Table> {
        let mut length = self.bits.take(5)? as usize;
        let mut lengths = Vec::with_capacity(symbols);
        for _ in 0..symbols {
            loop {
                if !(1..=LONGEST).contains(&length) {
                    return Err(corrupt("a code is too long"));
                }
                match self.bits.take(1)? {
                    0 => break,
                    _ if self.bits.take(1)? == 0 => length += 1,
                    _ => length -= 1,
                }
            }
            lengths.push(length);
        }
        Ok(Table::of(&lengths))
    }
}

impl<R: Read> Read for Bunzip<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let mut count = 0;
        while count < into.len() && !self.ended {
            if self.repeat.more > 0 {
                self.repeat.more -= 1;
                into[count] = self.repeat.byte;
                count += 1;
                self.check = checked(self.check, self.repeat.byte);
                continue;
            }
            if self.left == 0 {
                if !self.chain.is_empty() && !self.check != self.wanted {
                    return Err(corrupt("a block is not what was compressed"));
                }
                if count > 0 {
                    // What is at hand first.
                    return Ok(count);
                }
                self.ended = !self.next_block()?;
                continue;
            }
            let entry = self.chain[self.at as usize];
            self.at = entry >> 8;
            self.left -= 1;
            let byte = entry as u8;
            if self.repeat.seen == 4 {
                (self.repeat.more, self.repeat.seen) = (byte, 0);
                continue;
            }
            let like = byte == self.repeat.byte && self.repeat.seen > 0;
            self.repeat.seen = if like { self.repeat.seen + 1 } else { 1 };
            self.repeat.byte = byte;
            into[count] = byte;
            count += 1;
            self.check = checked(self.check, byte);
        }
        Ok(count)
    }
}

/// Codes of symbols: shorter ones first, in the order of the symbols.
struct Table {
    symbols: Vec<u16>,
    counts: [u16; LONGEST + 1],
}

impl Table {
    fn of(lengths: &[usize]) -> Table {
        let mut table =
            Table { symbols: Vec::with_capacity(lengths.len()), counts: [0; LONGEST + 1] };
        for length in 1..=LONGEST {
            let before = table.symbols.len();
            let of_this = lengths.iter().enumerate().filter(|(_, it)| **it == length);
            table.symbols.extend(of_this.map(|(symbol, _)| symbol as u16));
            table.counts[length] = (table.symbols.len() - before) as u16;
        }
        table
    }

    fn symbol<R: Read>(&self, bits: &mut Bits<R>) -> io::Result<u16> {
        let (mut code, mut first, mut index) = (0i64, 0i64, 0usize);
        for count in &self.counts[1..] {
            code |= bits.take(1)? as i64;
            let count = i64::from(*count);
            if code - first < count {
                let symbol = self.symbols.get(index + (code - first) as usize);
                return symbol.copied().ok_or_else(|| corrupt("a code means nothing"));
            }
            index += count as usize;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(corrupt("a code means nothing"))
    }
}

/// Bits, the highest of a byte first.
struct Bits<R> {
    source: io::BufReader<R>,
    held: u64,
    count: u32,
}

impl<R: Read> Bits<R> {
    /// At most 48 at once.
    fn take(&mut self, wanted: u32) -> io::Result<u64> {
        while self.count < wanted {
            let mut byte = [0];
            self.source.read_exact(&mut byte)?;
            self.held = self.held << 8 | u64::from(byte[0]);
            self.count += 8;
        }
        self.count -= wanted;
        Ok(self.held >> self.count & ((1 << wanted) - 1))
    }

    /// Up to the next whole byte.
    fn align(&mut self) {
        self.count -= self.count % 8;
    }
}

/// The check sum of bzip2: CRC-32 with the highest bit first.
fn checked(sum: u32, byte: u8) -> u32 {
    sum << 8 ^ CHECKS[(sum >> 24 ^ u32::from(byte)) as usize]
}

const CHECKS: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut sum = (at as u32) << 24;
        let mut bit = 0;
        while bit < 8 {
            sum = if sum >> 31 == 1 { sum << 1 ^ 0x04c1_1db7 } else { sum << 1 };
            bit += 1;
        }
        table[at] = sum;
        at += 1;
    }
    table
};

fn corrupt(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two files one after the other, as the tool bzip2 1.0.8 writes them.
    const PACKED: &str = "\
        425a68313141592653596bc8a810000174dd80001040827ff00121a2003e003001559b581894cda2\
        a6200d0c353c229a8f5340000a94d126ca4687a8f51a7a551cefad14e514e514e514e514e514e514\
        fee00b0060224952b5db38aade7af474986e625ddc4ddddde62c4ddfa0017c08e446846047cf69e0\
        45af59af1df89117d845255bb08befef5acadb6f8d508ce65b811556910124825944e0c777600c0b\
        ec00c0eb6c652ce54cf02d980021087df4a201149bc168a4b1062b59d828aaac3cce23444402ddb5\
        12466fad029cdb6c0180e6d8a60d54be2aeeef1ad55f158dfbecb5673bedbdeaaf422d243911711c\
        88e4470249711e447423c88b88b08e847423d0bb9229c284835e454080425a683931415926535984\
        4b3be4000003d18000104000064104002000310c01069b42f023945dc914e14242112cef90";

    fn packed() -> Vec<u8> {
        let digits: Vec<u8> = PACKED.bytes().filter(u8::is_ascii_hexdigit).collect();
        let digit = |it: u8| (it as char).to_digit(16).expect("a digit") as u8;
        digits.chunks_exact(2).map(|it| digit(it[0]) << 4 | digit(it[1])).collect()
    }

    fn plain() -> String {
        let line = |it: u32| {
            let runs = "a".repeat(43);
            format!("2026-11-20 12:00:{:02} INFO {runs} request {}\n", it % 60, it * it)
        };
        (0..40).map(line).collect::<String>() + "the end\n"
    }

    #[test]
    fn files_one_after_the_other_are_read() {
        let mut text = String::new();
        Bunzip::new(&*packed()).read_to_string(&mut text).expect("it reads");
        assert_eq!(text, plain());
    }

    #[test]
    fn no_damage_makes_it_panic_or_go_on_for_ever() {
        let packed = packed();
        for at in 0..packed.len() {
            for bits in [1, 0x80, 0xff] {
                let mut damaged = packed.clone();
                damaged[at] ^= bits;
                let mut bytes = Vec::new();
                drop(Bunzip::new(&*damaged).take(10_000_000).read_to_end(&mut bytes));
            }
            let mut bytes = Vec::new();
            drop(Bunzip::new(&packed[..at]).read_to_end(&mut bytes));
        }
    }
}
