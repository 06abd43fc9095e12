//! The output of an app, cut into lines.

/// Bytes of a line that are kept; what comes after is dropped up to its end.
pub(super) const LONGEST_LINE: usize = 8 * 1024;

/// What marks a line that was cut.
const CUT: &str = " …";

/// One stream, on its way from bytes to lines.
#[derive(Default)]
pub(super) struct Splitter {
    /// The beginning of a line whose end has not come.
    begun: Vec<u8>,
    /// It has been cut: what follows is dropped.
    cut: bool,
}

impl Splitter {
    /// The lines that these bytes end.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut rest = bytes;
        while let Some(at) = memchr::memchr(b'\n', rest) {
            let (piece, after) = rest.split_at(at);
            self.keep(piece);
            lines.push(self.end());
            rest = after.get(1..).unwrap_or_default();
        }
        self.keep(rest);
        lines
    }

    /// What stands behind the last end of a line, once no more comes.
    pub(super) fn last(&mut self) -> Option<String> {
        (!self.begun.is_empty()).then(|| self.end())
    }

    fn keep(&mut self, piece: &[u8]) {
        let room = LONGEST_LINE.saturating_sub(self.begun.len());
        let kept = piece.get(..room).unwrap_or(piece);
        self.begun.extend_from_slice(kept);
        self.cut |= kept.len() < piece.len();
    }

    fn end(&mut self) -> String {
        let bytes = std::mem::take(&mut self.begun);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(&bytes);
        let mut line = String::from_utf8_lossy(bytes).into_owned();
        if std::mem::take(&mut self.cut) {
            line += CUT;
        }
        line
    }
}

/// A line as it is shown behind a name. On a terminal nothing in it may act: an app may log what a
/// stranger sent.
pub(super) fn shown(name: &str, line: &str, colour: bool, terminal: bool) -> String {
    let line: String = match terminal {
        true => {
            line.chars().map(|it| if it.is_control() && it != '\t' { '?' } else { it }).collect()
        }
        false => line.to_owned(),
    };
    match colour {
        true => format!("\x1b[2;36m{name}\x1b[0m {line}\n"),
        false => format!("{name}: {line}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_however_they_came_in() {
        let mut splitter = Splitter::default();
        assert_eq!(splitter.take(b"a\nb"), ["a"]);
        assert_eq!(splitter.take(b"c\r\n\nd"), ["bc", ""]);
        assert_eq!(splitter.last().as_deref(), Some("d"));
        assert_eq!(splitter.last(), None);
    }

    #[test]
    fn an_endless_line_takes_no_more_than_its_share() {
        let mut splitter = Splitter::default();
        for _ in 0..100 {
            assert!(splitter.take(&[b'x'; 1_000]).is_empty());
        }
        assert!(splitter.begun.len() <= LONGEST_LINE);
        let lines = splitter.take(b"\nshort\n");
        assert_eq!(lines[0].len(), LONGEST_LINE + CUT.len());
        assert_eq!(lines[1], "short");
    }

    #[test]
    fn bytes_that_are_no_text_are_shown_as_such() {
        assert_eq!(Splitter::default().take(b"\xff\n"), ["\u{fffd}"]);
    }

    #[test]
    fn a_line_cannot_act_on_a_terminal() {
        assert_eq!(shown("app", "a\x1b[2Jb\tc", false, true), "app: a?[2Jb\tc\n");
        assert_eq!(shown("app", "a\x1b[2Jb", false, false), "app: a\x1b[2Jb\n");
        assert_eq!(shown("app", "a", true, true), "\x1b[2;36mapp\x1b[0m a\n");
    }
}
