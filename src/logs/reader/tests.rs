//! Bodies of a real engine's shape to lines, in any chunking; places; pages.

use proptest::prelude::*;

use super::*;

fn frame(stream: Stream, text: &str) -> Vec<u8> {
    let mut bytes = vec![if stream == Stream::Out { 1 } else { 2 }, 0, 0, 0];
    bytes.extend((text.len() as u32).to_be_bytes());
    bytes.extend(text.as_bytes());
    bytes
}

fn at(nanos: i64) -> String {
    LineTime(nanos).timestamp().to_string()
}

/// A framed body of lines with times in nanoseconds.
fn body(lines: &[(Stream, i64, &str)]) -> Vec<u8> {
    lines
        .iter()
        .flat_map(|(stream, time, text)| frame(*stream, &format!("{} {text}\n", at(*time))))
        .collect()
}

fn read(mut reader: LogReader, bytes: &[u8], size: usize) -> Vec<(i64, Stream, String)> {
    let mut lines = Vec::new();
    let mut sink = |line: Line<'_>| {
        lines.push((
            line.time.map_or(-1, |t| t.0),
            line.stream,
            line.text.to_owned(),
        ));
    };
    for chunk in bytes.chunks(size) {
        reader.push(chunk, &mut sink);
    }
    reader.finish(&mut sink);
    lines
}

use Stream::{Err as E, Out as O};

const S: i64 = 1_000_000_000;

#[test]
fn both_outputs_are_read_apart() {
    let mut bytes = frame(O, &format!("{} half ", at(S)));
    bytes.extend(frame(E, &format!("{} error\n", at(2 * S))));
    bytes.extend(frame(O, &format!("{} line\n", at(S))));
    let seen = read(LogReader::new(false, 0, Skip::Nothing), &bytes, 3);
    assert_eq!(
        seen,
        [
            (2 * S, E, "error".to_owned()),
            (S, O, "half line".to_owned())
        ]
    );
}

#[test]
fn what_was_read_before_is_not_read_again() {
    let all = [
        (O, S, "a"),
        (E, S - 5, "b"),
        (O, S, "c"),
        (O, S, "d"),
        (E, S + 1, "e"),
        (O, S + 2, "f"),
    ];
    let bytes = body(&all);
    let mut first = LogReader::new(false, 0, Skip::Nothing);
    let mut seen = Vec::new();
    let upto = body(&all[..3]).len();
    first.push(&bytes[..upto], &mut |l| seen.push(l.text.to_owned()));
    let place = first.last().unwrap();
    assert_eq!((place.time.0, place.ties), (S, 2));
    let rest = read(
        LogReader::new(false, 0, Skip::Through(place)),
        &bytes,
        usize::MAX,
    );
    let rest: Vec<_> = rest.into_iter().map(|(_, _, t)| t).collect();
    assert_eq!(rest, ["d", "e", "f"]);
}

#[test]
fn a_page_before_a_place_ends_with_the_places_own_lines() {
    let all = [
        (O, S, "a"),
        (O, 2 * S, "b"),
        (E, 3 * S, "x"),
        (O, 3 * S - 1, "c"),
        (O, 3 * S, "d"),
        (O, 3 * S, "d2"),
        (E, 3 * S + 1, "y"),
        (O, 4 * S, "e"),
        (O, 5 * S, "f"),
    ];
    let place = Place {
        time: LineTime(3 * S),
        stream: O,
        source: 0,
        ties: 1,
    };
    let mut page = Before::new(
        place,
        Limits {
            lines: 4,
            bytes: 10_000,
        },
    );
    let mut reader = LogReader::new(false, 0, Skip::Nothing);
    reader.push(&body(&all), &mut |line| page.push(line));
    let (batches, total) = page.finish();
    let seen: Vec<String> = batches
        .iter()
        .flat_map(|b| b.iter().map(|l| l.text.to_owned()).collect::<Vec<_>>())
        .collect();
    // The limit counts what came behind the place before it was known to be behind.
    assert_eq!(seen, ["c", "d", "d2"]);
    assert_eq!(total, 6);
}

#[test]
fn the_mark_of_a_bar() {
    let mut reader = LogReader::new(false, 0, Skip::Nothing);
    reader.push(&frame(E, &format!("{} \r 1%\r 2%", at(S))), &mut |_| {});
    assert!(reader.rewrote());
    assert_eq!(reader.unfinished(), " 2%");
    let mut tty = LogReader::new(true, 0, Skip::Nothing);
    tty.push(format!("{} line\r\n", at(S)).as_bytes(), &mut |_| {});
    assert!(!tty.rewrote());
}

proptest! {
    #[test]
    fn any_bytes_in_any_chunks_give_the_same_lines(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        frames in prop::collection::vec((any::<bool>(), "[ -~\r\n\u{1b}é]{0,40}"), 0..8),
        size in 1usize..64,
        tty: bool,
    ) {
        let mut all: Vec<u8> = frames
            .iter()
            .flat_map(|(out, text)| frame(if *out { O } else { E }, &format!("{} {text}", at(S))))
            .collect();
        all.extend(bytes);
        let whole = read(LogReader::new(tty, 0, Skip::Nothing), &all, usize::MAX);
        prop_assert_eq!(whole, read(LogReader::new(tty, 0, Skip::Nothing), &all, size));
    }

    /// Reading up to any place and then again from before it gives every line once.
    #[test]
    fn a_log_read_in_two_parts_is_whole(
        steps in prop::collection::vec((any::<bool>(), 0i64..3), 1..40),
        cut in 0usize..40,
    ) {
        let mut time = S;
        let lines: Vec<(Stream, i64, String)> = steps.iter().enumerate().map(|(n, (out, step))| {
            time += step;
            (if *out { O } else { E }, time, n.to_string())
        }).collect();
        let borrowed: Vec<_> = lines.iter().map(|(s, t, x)| (*s, *t, x.as_str())).collect();
        let cut = cut.min(lines.len());
        let mut first = LogReader::new(false, 0, Skip::Nothing);
        let mut seen = Vec::new();
        first.push(&body(&borrowed[..cut]), &mut |l| seen.push(l.text.to_owned()));
        let skip = first.last().map_or(Skip::Nothing, Skip::Through);
        seen.extend(read(LogReader::new(false, 0, skip), &body(&borrowed), usize::MAX).into_iter().map(|(_, _, t)| t));
        let expected: Vec<String> = lines.iter().map(|(_, _, x)| x.clone()).collect();
        prop_assert_eq!(seen, expected);
    }
}
