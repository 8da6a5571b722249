//! What lines come of what bytes.

use proptest::prelude::*;

use super::super::sgr;
use super::*;

fn lines_in(bytes: &[u8], size: usize) -> Vec<(String, bool)> {
    let mut assembler = Assembler::default();
    let mut lines = Vec::new();
    let mut out = |line: Assembled<'_>| lines.push((line.text.to_owned(), line.continued));
    for chunk in bytes.chunks(size) {
        assembler.push(chunk, &mut out);
    }
    assembler.finish(&mut out);
    lines
}

fn lines(bytes: impl AsRef<[u8]>) -> Vec<String> {
    lines_in(bytes.as_ref(), usize::MAX)
        .into_iter()
        .map(|(text, _)| text)
        .collect()
}

#[test]
fn plain_lines_with_either_ending() {
    assert_eq!(lines("one\ntwo\r\n\nlast"), ["one", "two", "", "last"]);
    assert_eq!(lines("x\r\r\ny\n"), ["x", "y"]);
}

#[test]
fn a_progress_bar_writes_over_its_line() {
    assert_eq!(lines("\r 1%\r 2%\r100%\n"), ["100%"]);
    assert_eq!(lines("abc\rX\n"), ["Xbc"]);
    assert_eq!(lines("long text\rshort    \n"), ["short"]);
    assert_eq!(lines("long text\r\x1b[Kab\n"), ["ab"]);
    assert_eq!(lines("long text\x1b[2K\rab\n"), ["ab"]);
    assert_eq!(lines("long\x1b[1Gab\n"), ["abng"]);
    // Keras: backspaces over what was printed.
    assert_eq!(
        lines("1/9 [..]\x08\x08\x08\x08\x08\x08\x08\x082/9\n"),
        ["2/9 [..]"]
    );
    assert_eq!(
        lines("\x1b[31m50%\x1b[0m\r\x1b[32m60%\x1b[0m\n"),
        ["\x1b[0;32m60%"]
    );
}

#[test]
fn wide_characters_are_not_cut_in_half() {
    assert_eq!(lines("日本\rx\n"), ["x 本"]);
    assert_eq!(lines("a日\r12\n"), ["12"]);
    assert_eq!(lines("ab\r日\n"), ["日"]);
    assert_eq!(lines("e\u{301}x\ry\n"), ["yx"]);
    assert_eq!(lines("ae\u{301}\ry\n"), ["ye\u{301}"]);
}

#[test]
fn colours_stay_and_go_on_in_the_next_line() {
    assert_eq!(
        lines("\x1b[31mred\nstill\x1b[0m not\n"),
        ["\x1b[0;31mred", "\x1b[0;31mstill\x1b[m not"]
    );
    assert_eq!(lines("\x1b[31m\x1b[0mplain\n"), ["plain"]);
    assert_eq!(lines("\u{9b}31mred\n"), ["\x1b[0;31mred"]);
}

#[test]
fn every_other_sequence_is_left_out() {
    for text in [
        "a\x1b]52;c;aGVsbG8=\x07b",
        "a\x1b]52;c;aGVsbG8=\x1b\\b",
        "a\u{9d}52;c;aGVsbG8=\u{9c}b",
        "a\x1b[2J\x1b[10;10Hb",
        "a\x1b[?1049hb",
        "a\x1b[>4;1mb",
        "a\x1b[1 qb",
        "a\x1bP1$r0m\x1b\\b",
        "a\x1b_Gf=100;AAAA\x1b\\b",
        "a\x1b^pm\x1b\\b",
        "a\x1b(0b",
        "a\x1b7\x1b8\x1bMb",
        "a\x07\x0b\x0c\x00\x7fb",
        "a\u{85}\u{8d}b",
        "a\u{202e}\u{2066}b",
        "a\x1b[11111111111111111111111111111111111111111111111111111111111111111111111mb",
    ] {
        assert_eq!(lines(text), ["ab"], "{text:?}");
    }
    // A sequence that never ends takes its line with it, not the log.
    assert_eq!(lines("a\x1b]0;title\nnext\n"), ["a", "next"]);
    assert_eq!(lines("a\x1b[31\nnext\n"), ["a", "next"]);
}

#[test]
fn invalid_utf8_shows_as_replacement() {
    assert_eq!(lines(b"a\xff\xfeb\n"), ["a\u{fffd}\u{fffd}b"]);
    assert_eq!(lines(b"a\xe6\x97b\n"), ["a\u{fffd}b"]);
    assert_eq!(lines(b"a\xf0\x9f\x98\n"), ["a\u{fffd}"]);
}

#[test]
fn tabs_go_to_the_next_stop() {
    assert_eq!(lines("a\tb\t\tc\n"), ["a       b               c"]);
    assert_eq!(lines("日本\tx\n"), ["日本    x"]);
}

#[test]
fn stacked_marks_are_bounded() {
    let text = format!("a{}b\n", "\u{301}".repeat(1000));
    assert_eq!(lines(text), [format!("a{}b", "\u{301}".repeat(8))]);
}

#[test]
fn a_line_that_never_ends_is_cut() {
    let mut assembler = Assembler::default();
    let chunk = vec![b'x'; 64 * 1024];
    let mut count = 0;
    for _ in 0..1600 {
        assembler.push(&chunk, &mut |line| {
            assert_eq!(line.text.len(), MAX_LINE);
            assert_eq!(line.continued, count > 0);
            count += 1;
        });
    }
    assert!(assembler.line.capacity() <= 2 * MAX_LINE);
    assert_eq!(count, 1600 * 4 - 1);
}

#[test]
fn the_unfinished_line_can_be_seen() {
    let mut assembler = Assembler::default();
    assembler.push(b"done\n\r 5%\r 6%", &mut |_| {});
    let mut text = String::new();
    assembler.unfinished(&mut text);
    assert_eq!(text, " 6%");
    assert!(assembler.rewrote());
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => "[a-z ]{0,12}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..12),
        2 => Just(b"\r".to_vec()),
        1 => Just(b"\n".to_vec()),
        1 => Just(b"\t\x08".to_vec()),
        2 => "\x1b\\[[0-9;:]{0,6}[mKCDGHJ]".prop_map(String::into_bytes),
        1 => "\x1b[\\]P_^X][ -~]{0,8}(\x07|\x1b\\\\)?".prop_map(String::into_bytes),
        2 => "[日本e\u{301}\u{200d}\u{1f600}\u{202e}\u{9b}\u{9d}]{0,6}".prop_map(String::into_bytes),
    ];
    prop::collection::vec(part, 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_safe_lines(bytes in hostile(), size in 1usize..20) {
        let whole = lines_in(&bytes, usize::MAX);
        prop_assert_eq!(&whole, &lines_in(&bytes, size));
        for (line, _) in &whole {
            prop_assert!(line.len() <= MAX_LINE);
            let plain = sgr::plain(line);
            prop_assert!(!plain.chars().any(|c| c.is_control()), "{:?}", line);
            let turned = plain.contains(['\u{202e}', '\u{2066}']);
            prop_assert!(!turned);
            // Every sequence is the one that Sgr writes.
            let mut again = String::new();
            let mut last = sgr::Sgr::PLAIN;
            for (style, text) in sgr::runs(line) {
                if style != last {
                    style.write(&mut again);
                    last = style;
                }
                again.push_str(text);
            }
            prop_assert_eq!(&again, line);
        }
    }

    #[test]
    fn long_mixtures_stay_bounded(unit in hostile(), times in 1usize..400) {
        let mut assembler = Assembler::default();
        for _ in 0..times {
            assembler.push(&unit, &mut |line| assert!(line.text.len() <= 4 * MAX_LINE));
        }
        let mut text = String::new();
        assembler.unfinished(&mut text);
    }
}
