use std::num::NonZeroU16;

use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::*;

const FULL: Capabilities = Capabilities {
    depth: ColorDepth::True,
    unicode: true,
};

fn parser(cols: u16, rows: u16) -> vt100::Parser {
    let size = |n| NonZeroU16::new(n).unwrap();
    vt100::Parser::new(size(rows), size(cols), 0)
}

fn color(color: Color) -> vt100::Color {
    match color {
        Color::Reset => vt100::Color::Default,
        Color::Rgb(r, g, b) => vt100::Color::Rgb(r, g, b),
        Color::Indexed(i) => vt100::Color::Idx(i),
        Color::Red => vt100::Color::Idx(1),
        Color::LightCyan => vt100::Color::Idx(14),
        other => panic!("not used here: {other:?}"),
    }
}

/// Asserts that the terminal shows the buffer, by the rules of `shown`.
fn assert_shows(parser: &vt100::Parser, buffer: &Buffer, encoder: &Encoder) {
    for row in 0..buffer.area.height {
        let cells = Encoder::row(buffer, row);
        let mut map = Vec::new();
        widths(cells, &mut map);
        for (x, cell) in cells.iter().enumerate() {
            let got = parser.screen().cell(row, x as u16).unwrap();
            let place = format!("({x}, {row}) {:?}", cell.symbol());
            if map[x] == 0 {
                assert!(got.is_wide_continuation(), "{place}");
                continue;
            }
            let want = encoder.shown(cell, map[x]);
            let text = if got.contents().is_empty() {
                " "
            } else {
                got.contents()
            };
            assert_eq!(text, want.symbol, "{place}");
            assert_eq!(got.bgcolor(), color(want.pen.bg), "{place}");
            let has = |m| want.pen.modifier.contains(m);
            assert_eq!(got.inverse(), has(Modifier::REVERSED), "{place}");
            assert_eq!(got.underline(), has(Modifier::UNDERLINED), "{place}");
            if want.symbol != " " || has(Modifier::REVERSED) || has(Modifier::UNDERLINED) {
                assert_eq!(got.fgcolor(), color(want.pen.fg), "{place}");
                assert_eq!(got.bold(), has(Modifier::BOLD), "{place}");
                assert_eq!(got.dim(), has(Modifier::DIM), "{place}");
                assert_eq!(got.italic(), has(Modifier::ITALIC), "{place}");
            }
        }
    }
}

fn any_symbol() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(" ".to_owned()),
        6 => "[a-c]",
        2 => Just("中".to_owned()),
        1 => Just("😀".to_owned()),
        1 => Just("e\u{301}".to_owned()),
        1 => Just("─".to_owned()),
        1 => Just("\u{301}".to_owned()),
        1 => Just("\u{1b}".to_owned()),
        1 => Just("\u{202e}".to_owned()),
        1 => Just(String::new()),
    ]
}

fn any_style() -> impl Strategy<Value = Style> {
    let color = || {
        prop_oneof![
            5 => Just(Color::Reset),
            1 => Just(Color::Red),
            1 => Just(Color::LightCyan),
            1 => Just(Color::Indexed(200)),
            1 => Just(Color::Rgb(1, 2, 3)),
        ]
    };
    let modifier = prop_oneof![
        5 => Just(Modifier::empty()),
        1 => Just(Modifier::BOLD),
        1 => Just(Modifier::DIM),
        1 => Just(Modifier::ITALIC | Modifier::UNDERLINED),
        1 => Just(Modifier::REVERSED),
    ];
    (color(), color(), modifier).prop_map(|(fg, bg, m)| Style::new().fg(fg).bg(bg).add_modifier(m))
}

fn any_buffer(cols: u16, rows: u16) -> impl Strategy<Value = Buffer> {
    let count = usize::from(cols) * usize::from(rows);
    // Few styles and long stretches, as real frames have, beside pure noise.
    let cells = proptest::collection::vec((any_symbol(), any_style(), 1usize..9), 1..count);
    cells.prop_map(move |cells| {
        let mut buffer = Buffer::empty(Rect::new(0, 0, cols, rows));
        let runs = cells
            .iter()
            .cycle()
            .flat_map(|(symbol, style, n)| std::iter::repeat_n((symbol, style), *n));
        for (cell, (symbol, style)) in buffer.content.iter_mut().zip(runs) {
            cell.set_symbol(symbol).set_style(*style);
        }
        buffer
    })
}

fn mixed(a: &Buffer, b: &Buffer, mask: &[bool]) -> Buffer {
    let mut mixed = a.clone();
    for (i, cell) in mixed.content.iter_mut().enumerate() {
        if mask[i % mask.len()] {
            *cell = b.content[i].clone();
        }
    }
    mixed
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(120))]
    #[test]
    fn the_terminal_shows_exactly_the_new_frame(
        a in any_buffer(23, 7),
        b in any_buffer(23, 7),
        mask in proptest::collection::vec(proptest::bool::weighted(0.2), 1..60),
    ) {
        let mut encoder = Encoder::new(FULL);
        let mut parser = parser(23, 7);
        let mut out = Vec::new();
        encoder.frame(None, &a, &mut out);
        parser.process(&out);
        assert_shows(&parser, &a, &encoder);
        let c = mixed(&a, &b, &mask);
        for (old, new) in [(&a, &c), (&c, &b), (&b, &a)] {
            out.clear();
            encoder.frame(Some(old), new, &mut out);
            parser.process(&out);
            assert_shows(&parser, new, &encoder);
        }
        out.clear();
        prop_assert_eq!(encoder.frame(Some(&a), &a, &mut out), 0);
        prop_assert!(out.is_empty());
    }

    #[test]
    fn without_unicode_only_ascii_is_sent(a in any_buffer(23, 7), b in any_buffer(23, 7)) {
        let mut encoder = Encoder::new(Capabilities { unicode: false, depth: ColorDepth::Mono });
        let mut out = Vec::new();
        encoder.frame(None, &a, &mut out);
        encoder.frame(Some(&a), &b, &mut out);
        prop_assert!(out.is_ascii());
        let mut parser = parser(23, 7);
        parser.process(&out);
        for (row, column) in (0..7).flat_map(|r| (0..23).map(move |c| (r, c))) {
            let cell = parser.screen().cell(row, column).unwrap();
            prop_assert_eq!(cell.fgcolor(), vt100::Color::Default);
            prop_assert_eq!(cell.bgcolor(), vt100::Color::Default);
        }
    }
}

/// A container list as it is at 140x40: names and words stay, CPU and memory change in each row.
fn list(second: u64) -> Buffer {
    let mut buffer = Buffer::empty(Rect::new(0, 0, 140, 40));
    buffer.set_string(
        0,
        0,
        " midwatch  gpu-box-3  driver 550.163.01",
        Style::new().bold(),
    );
    buffer.set_string(130, 0, format!("02:41:{:02}", second % 60), Style::new());
    for row in 0..20u16 {
        let y = 8 + row;
        let noise = (second * 7919 + u64::from(row) * 104_729) % 9973;
        let cpu = 100.0 + (noise % 300) as f64 / 10.0;
        let memory = 20.0 + (noise % 90) as f64 / 100.0;
        let ok = Style::new().fg(Color::Red);
        buffer.set_string(2, y, format!("container-{row:02}"), Style::new());
        buffer.set_string(30, y, "my-train:0.4", Style::new().fg(Color::Indexed(245)));
        buffer.set_string(50, y, "up 9h", ok);
        buffer.set_string(90, y, format!("{cpu:>6.1}%"), Style::new());
        buffer.set_string(100, y, format!("{memory:>6.2} GiB"), Style::new());
    }
    buffer
}

#[test]
fn a_second_of_twenty_busy_rows_stays_in_the_budget() {
    let mut encoder = Encoder::new(FULL);
    let mut parser = parser(140, 40);
    let mut out = Vec::new();
    let mut old = list(0);
    encoder.frame(None, &old, &mut out);
    parser.process(&out);
    let first = out.len();
    let mut total = 0;
    let mut cells = 0;
    for second in 1..=60 {
        let new = list(second);
        out.clear();
        cells += encoder.frame(Some(&old), &new, &mut out);
        parser.process(&out);
        assert_shows(&parser, &new, &encoder);
        total += out.len();
        old = new;
    }
    println!(
        "first frame {first} B; then {} B/s for {} changed cells/s",
        total / 60,
        cells / 60
    );
    assert!(total / 60 <= 400, "{} B/s", total / 60);
}
