//! The README's picture: the dashboard of the simulated host, drawn from what the program writes to its terminal.

use std::path::Path;
use std::time::Duration;

use crate::pty::Terminal;
use crate::svg;

const PICTURE: &str = "assets/dashboard.svg";

/// Writes the picture anew: `cargo test --test e2e picture -- --ignored`.
#[test]
#[ignore = "writes assets/dashboard.svg"]
fn draw_the_readmes_picture() {
    let mut terminal = Terminal::midwatch(&["--demo"], &[("COLORTERM", "truecolor")], 140, 40);
    terminal.wait_for("llama-sft");
    // Three images looked into: one that works, one that works by compatibility, one that fails.
    terminal.keys("cd");
    terminal.wait_for("✔ 12.4");
    for (image, badge) in [("eval-7b", "✔ 12.8"), ("serve-x", "✘ MW102")] {
        terminal.keys(&format!("/{image}\r"));
        terminal.wait_for("Containers 1 ");
        terminal.keys("c");
        terminal.wait_for(badge);
        terminal.keys("/\u{15}\r");
        terminal.wait_for("notebook");
    }
    terminal.keys("g");
    // The log of the training run, with the bar of its progress.
    terminal.keys("l");
    terminal.wait_for(" 35%|");
    terminal.settle(Duration::from_millis(250));
    let svg = terminal.with_screen(|screen| svg::render(screen, "midwatch --demo"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, svg).unwrap();
}

/// Writes the launch form's picture anew, by the same command.
#[test]
#[ignore = "writes assets/launch.svg"]
fn draw_the_forms_picture() {
    let data = tempfile::tempdir().unwrap();
    let arguments = ["--demo", "--data-dir", data.path().to_str().unwrap()];
    let mut terminal = Terminal::midwatch(&arguments, &[("COLORTERM", "truecolor")], 140, 44);
    terminal.wait_for("llama-sft");
    terminal.keys("3/my-train\r");
    terminal.wait_for("Images 1 ");
    // Looked into, so that the form knows what is in it.
    terminal.keys("c");
    terminal.wait_for("✔ 12.4");
    terminal.keys("L");
    terminal.wait_for("0 are");
    // GPU 2, which an idle notebook holds.
    terminal.keys("\x1b[B\x1b[B\x1b[B\x1b[B ");
    terminal.wait_for("[x] 2");
    terminal.wait_for("it runs");
    terminal.settle(Duration::from_millis(800));
    let svg = terminal.with_screen(|screen| svg::render(screen, "midwatch --demo"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/launch.svg");
    std::fs::write(path, svg).unwrap();
}

/// The picture that is there shows today's dashboard: what every frame of it has is in it.
#[test]
fn the_picture_is_of_this_dashboard() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PICTURE);
    let svg = std::fs::read_to_string(path).unwrap();
    let terminal = Terminal::midwatch(&["--demo"], &[], 140, 40);
    terminal.wait_for("llama-sft");
    terminal.settle(Duration::from_millis(100));
    let header = terminal.with_screen(|screen| {
        screen
            .rows(0, 140)
            .find(|row| row.contains("NAME"))
            .unwrap()
    });
    for word in header
        .split_whitespace()
        .filter(|word| word.chars().all(|c| c.is_ascii_alphanumeric()))
    {
        assert!(
            svg.contains(word),
            "{word} is not in {PICTURE}: draw it anew (CONTRIBUTING.md)"
        );
    }
}
