//! Text from outside, made safe for one line of a terminal.

/// Whether a character could move the cursor, start an escape sequence or turn the direction of text:
/// C0, DEL and C1 controls, line and paragraph separators, and the bidirectional controls (Unicode UAX #9:
/// ALM, LRM, RLM, LRE..RLO, LRI..PDI).
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// One line of `text`, at most `max` characters: line ends and tabs become a space, whole escape
/// sequences and other controls are dropped, blanks at both ends too. What is cut off ends in `…`.
pub fn clean(text: &str, max: usize) -> String {
    safe(text, max, false)
}

/// As [`clean`], but blanks stay as they are, also at the beginning; a tab becomes four: a line of a log.
pub fn plain(text: &str, max: usize) -> String {
    safe(&text.replace('\t', "    "), max, true)
}

fn safe(text: &str, max: usize, blanks: bool) -> String {
    let mut out = String::with_capacity(text.len().min(max.saturating_mul(4)));
    let mut count = 0usize;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let c = match c {
            '\n' | '\r' | '\t' | '\u{2028}' | '\u{2029}' => ' ',
            '\u{1b}' => {
                skip_escape(&mut chars);
                continue;
            }
            '\u{9b}' => {
                skip_csi(&mut chars);
                continue;
            }
            c if is_unsafe(c) => continue,
            c => c,
        };
        if !blanks && c == ' ' && (out.is_empty() || out.ends_with(' ')) {
            continue;
        }
        if count == max {
            out.pop();
            out.push('…');
            break;
        }
        out.push(c);
        count += 1;
    }
    out.truncate(out.trim_end().len());
    out
}

type Chars<'a> = std::iter::Peekable<std::str::Chars<'a>>;

/// Drops what follows ESC: a CSI to its final byte, an OSC, DCS, APC, PM or SOS to its terminator, or one character.
fn skip_escape(chars: &mut Chars<'_>) {
    match chars.peek() {
        Some('[') => {
            chars.next();
            skip_csi(chars);
        }
        Some(']' | 'P' | '_' | '^' | 'X') => {
            while let Some(c) = chars.next() {
                if c == '\u{7}'
                    || c == '\u{9c}'
                    || (c == '\u{1b}' && chars.next_if_eq(&'\\').is_some())
                {
                    break;
                }
            }
        }
        Some(c) if !c.is_control() => {
            chars.next();
        }
        _ => {}
    }
}

fn skip_csi(chars: &mut Chars<'_>) {
    while let Some(c) = chars.next_if(|c| matches!(c, ' '..='~')) {
        if matches!(c, '@'..='~') {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn controls_sequences_and_bidi_are_dropped() {
        let cases = [
            ("plain", "plain"),
            ("  two\n lines\t", "two lines"),
            ("\u{1b}[31mred\u{1b}[0m", "red"),
            ("\u{1b}]52;c;aGk=\u{7}after", "after"),
            ("\u{1b}]0;title\u{1b}\\after", "after"),
            ("a\u{9b}2Jb\u{202e}c\u{0}d", "abcd"),
            ("\u{1b}", ""),
            ("日本", "日本"),
        ];
        for (text, want) in cases {
            assert_eq!(clean(text, 80), want, "{text:?}");
        }
    }

    #[test]
    fn a_lines_blanks_stay() {
        assert_eq!(plain("  a   b\tc  ", 80), "  a   b    c");
        assert_eq!(plain("\u{1b}[1m  x\u{1b}[0m\r\n", 80), "  x");
        assert_eq!(plain("   abc", 4), "   …");
    }

    #[test]
    fn a_long_text_is_cut_and_says_so() {
        assert_eq!(clean("abcdef", 6), "abcdef");
        assert_eq!(clean("abcdefg", 6), "abcde…");
        assert_eq!(clean("abc", 0), "…");
    }
}
