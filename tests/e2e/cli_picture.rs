//! The README's picture: the dashboard of the simulated host, drawn from what the program writes to its terminal.

use std::path::Path;

use crate::pty::Terminal;
use crate::svg;

const PICTURE: &str = "assets/dashboard.svg";

/// Writes the picture anew: `cargo test --test e2e picture -- --ignored`.
#[test]
#[ignore = "writes assets/dashboard.svg"]
fn draw_the_readmes_picture() {
    let terminal = Terminal::midwatch(&["--demo"], &[("COLORTERM", "truecolor")], 140, 40);
    terminal.wait_for("llama-sft");
    // A few seconds of the night, so that the charts have begun.
    let first = terminal.bytes();
    terminal.wait("charts", |screen| {
        screen
            .contents()
            .chars()
            .filter(|c| ('\u{2801}'..='\u{28ff}').contains(c))
            .count()
            > 40
    });
    assert!(terminal.bytes() > first);
    let svg = terminal.with_screen(|screen| svg::render(screen, "midwatch --demo"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, svg).unwrap();
}
