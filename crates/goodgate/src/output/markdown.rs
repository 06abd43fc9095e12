//! A page of Markdown on a terminal: what its marks mean, instead of the marks.

const BOLD: &str = "\x1b[1m";
const CODE: &str = "\x1b[36m";
const PLAIN: &str = "\x1b[0m";

/// Our pages use headings, code spans and fenced or indented code; everything else stays as it is
/// written.
pub(super) fn painted(page: &str) -> String {
    let mut text = String::new();
    let (mut fenced, mut in_code) = (false, false);
    for line in page.lines() {
        let fence = line.trim_start().starts_with("```");
        let indented = line.starts_with("    ");
        match line.trim_start_matches('#').strip_prefix(' ') {
            _ if fence => {
                fenced = !fenced;
                continue;
            }
            _ if fenced => text += &format!("    {CODE}{line}{PLAIN}"),
            _ if indented && !in_code => text += &format!("{CODE}{line}{PLAIN}"),
            Some(heading) if line.starts_with('#') => text += &format!("{BOLD}{heading}{PLAIN}"),
            // A span may go on in the next line, but not past a paragraph.
            _ if line.is_empty() => in_code = false,
            _ => in_code = spans(line, in_code, &mut text),
        }
        text.push('\n');
    }
    text
}

/// Paints the code spans of a line and says whether one is still open at its end. Each line ends
/// plain, so that a pager that shows it alone shows it right.
fn spans(line: &str, mut in_code: bool, text: &mut String) -> bool {
    for (at, piece) in line.split('`').enumerate() {
        if at > 0 {
            in_code = !in_code;
        }
        match in_code && !piece.is_empty() {
            true => *text += &format!("{CODE}{piece}{PLAIN}"),
            false => *text += piece,
        }
    }
    in_code
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(page: &str, expected: &str) {
        let seen = painted(page).replace(BOLD, "<b>").replace(CODE, "<c>").replace(PLAIN, "</>");
        assert_eq!(seen, expected, "{page}");
    }

    #[test]
    fn headings_and_code_stand_out() {
        check("# one\n\n## two\n", "<b>one</>\n\n<b>two</>\n");
        check("see `ss -ltn` now\n", "see <c>ss -ltn</> now\n");
    }

    #[test]
    fn a_span_may_go_over_a_line_but_not_over_a_paragraph() {
        check("a `b\nc` d\n", "a <c>b</>\n<c>c</> d\n");
        check("a `b\n\nc d\n", "a <c>b</>\n\nc d\n");
    }

    #[test]
    fn code_blocks_are_kept_word_for_word() {
        check("```text\n# not `a` heading\n```\n", "    <c># not `a` heading</>\n");
        check("    # so is `this`\n", "<c>    # so is `this`</>\n");
        check("#no heading\n", "#no heading\n");
    }
}
