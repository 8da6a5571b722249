//! A terminal's screen as an SVG picture.

use vt100::{Cell, Color, Screen};

const CELL_WIDTH: f32 = 8.4;
const CELL_HEIGHT: f32 = 18.0;
const MARGIN: f32 = 14.0;
const INK: u32 = 0xd4d7dd;
const PAPER: u32 = 0x11151c;
/// The sixteen colours of the palette; terminals differ, these are quiet ones.
const PALETTE: [u32; 16] = [
    0x1d222b, 0xe06c75, 0x98c379, 0xe5c07b, 0x61afef, 0xc678dd, 0x56b6c2, 0xc8ccd4, 0x6b7280,
    0xf28b93, 0xb1d88f, 0xf2d08f, 0x86c5f7, 0xd8a1ea, 0x7fd1db, 0xffffff,
];

/// What a run of cells has in common.
#[derive(Clone, Copy, PartialEq)]
struct Style {
    ink: u32,
    paper: u32,
    bold: bool,
    italic: bool,
    underline: bool,
}

/// The picture. `title` is read out by screen readers.
pub fn render(screen: &Screen, title: &str) -> String {
    let (lines, columns) = screen.size();
    let (lines, columns) = (lines.get(), columns.get());
    let width = f32::from(columns) * CELL_WIDTH + 2.0 * MARGIN;
    let height = f32::from(lines) * CELL_HEIGHT + 2.0 * MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" role=\"img\">\n\
         <title>{}</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"8\" fill=\"#{PAPER:06x}\"/>\n\
         <g font-family=\"DejaVu Sans Mono,Menlo,Consolas,Liberation Mono,monospace\" font-size=\"14\" \
         xml:space=\"preserve\">\n",
        escape(title)
    );
    for line in 0..lines {
        draw_line(screen, line, columns, &mut svg);
    }
    svg.push_str("</g>\n</svg>\n");
    svg
}

fn draw_line(screen: &Screen, line: u16, columns: u16, svg: &mut String) {
    let mut runs: Vec<(u16, u16, Style, String)> = Vec::new();
    for column in 0..columns {
        let Some(cell) = screen.cell(line, column) else {
            continue;
        };
        if cell.is_wide_continuation() {
            continue;
        }
        let width = if cell.is_wide() { 2 } else { 1 };
        let style = style(cell);
        let text = if cell.has_contents() {
            cell.contents()
        } else {
            " "
        };
        match runs.last_mut() {
            Some((_, cells, last, run)) if *last == style => {
                *cells += width;
                run.push_str(text);
            }
            _ => runs.push((column, width, style, text.to_owned())),
        }
    }
    let top = f32::from(line) * CELL_HEIGHT + MARGIN;
    for (column, cells, style, text) in &runs {
        let left = f32::from(*column) * CELL_WIDTH + MARGIN;
        let width = f32::from(*cells) * CELL_WIDTH;
        if style.paper != PAPER {
            svg.push_str(&format!(
                "<rect x=\"{left:.1}\" y=\"{top:.1}\" width=\"{width:.1}\" height=\"{CELL_HEIGHT}\" fill=\"#{:06x}\"/>\n",
                style.paper
            ));
        }
        draw_text(left, top, text, style, svg);
    }
}

/// Blank ends are left away, and the rest is stretched to its cells, whatever font the reader has.
fn draw_text(left: f32, top: f32, text: &str, style: &Style, svg: &mut String) {
    let shown = text.trim_end();
    let blank = shown.len() - shown.trim_start().len();
    let shown = shown.trim_start();
    if shown.is_empty() {
        return;
    }
    let cells = unicode_width::UnicodeWidthStr::width(shown) as f32;
    let mut marks = String::new();
    for (on, mark) in [
        (style.bold, " font-weight=\"bold\""),
        (style.italic, " font-style=\"italic\""),
        (style.underline, " text-decoration=\"underline\""),
    ] {
        if on {
            marks.push_str(mark);
        }
    }
    svg.push_str(&format!(
        "<text x=\"{:.1}\" y=\"{:.1}\" textLength=\"{:.1}\" lengthAdjust=\"spacingAndGlyphs\" fill=\"#{:06x}\"{marks}>{}</text>\n",
        left + blank as f32 * CELL_WIDTH,
        top + CELL_HEIGHT * 0.76,
        cells * CELL_WIDTH,
        style.ink,
        escape(shown)
    ));
}

fn style(cell: &Cell) -> Style {
    let mut ink = colour(cell.fgcolor(), INK);
    let mut paper = colour(cell.bgcolor(), PAPER);
    if cell.inverse() {
        std::mem::swap(&mut ink, &mut paper);
    }
    if cell.dim() {
        ink = mix(ink, paper);
    }
    Style {
        ink,
        paper,
        bold: cell.bold(),
        italic: cell.italic(),
        underline: cell.underline(),
    }
}

fn mix(a: u32, b: u32) -> u32 {
    let part = |shift: u32| (((a >> shift & 0xff) * 3 + (b >> shift & 0xff) * 2) / 5) << shift;
    part(0) | part(8) | part(16)
}

fn colour(colour: Color, default: u32) -> u32 {
    match colour {
        Color::Default => default,
        Color::Rgb(r, g, b) => u32::from(r) << 16 | u32::from(g) << 8 | u32::from(b),
        Color::Idx(i @ 0..16) => PALETTE[usize::from(i)],
        // The 6x6x6 cube and the grey ramp of xterm.
        Color::Idx(i @ 16..232) => {
            let i = u32::from(i) - 16;
            let level = |n: u32| if n == 0 { 0 } else { 55 + 40 * n };
            level(i / 36) << 16 | level(i / 6 % 6) << 8 | level(i % 6)
        }
        Color::Idx(i) => 0x010101 * (8 + 10 * (u32::from(i) - 232)),
    }
}

fn escape(text: &str) -> String {
    text.chars()
        .map(|c| match c {
            '&' => "&amp;".to_owned(),
            '<' => "&lt;".to_owned(),
            '>' => "&gt;".to_owned(),
            '"' => "&quot;".to_owned(),
            c if c.is_control() => String::new(),
            c => c.to_string(),
        })
        .collect()
}

#[test]
fn cells_become_text_at_their_place() {
    let mut parser = vt100::Parser::new(2.try_into().unwrap(), 20.try_into().unwrap(), 0);
    parser.process(
        "a <b>\x1b[1;31m&\x1b[0m 训\r\n\x1b[38;5;196;48;5;232m  x\x1b[7m\x1b[38;2;1;2;3my"
            .as_bytes(),
    );
    let svg = render(parser.screen(), "t<");
    for part in [
        "<title>t&lt;</title>",
        ">a &lt;b&gt;</text>",
        "fill=\"#e06c75\" font-weight=\"bold\">&amp;</text>",
        "textLength=\"16.8\" lengthAdjust=\"spacingAndGlyphs\" fill=\"#d4d7dd\">训</text>",
        "fill=\"#ff0000\">x</text>",
        "fill=\"#080808\"/>",
    ] {
        assert!(svg.contains(part), "{part}\n{svg}");
    }
    assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
}
