//! A container that prints whatever could hurt a terminal, in the Logs tab of the dashboard.

use std::time::{Duration, Instant};

use crate::docker::Docker;
use crate::proof_ends::straight;
use crate::pty::Terminal;

/// Everything at once, between two plain marks; then a flood on request, and the same again for ever.
const SCRIPT: &str = r#"
hostile() {
  printf 'begin-%s\n' "$1"
  printf 'a\033]52;c;SEFDS0VEIQ==\007b\033]0;owned\033\\c\n'
  printf 'd\033[2J\033[H\033[5;5He\033[999C\033[10Af\033[Kg\n'
  printf 'h\033[?1049l\033[?25h\033[?2004l\033[?1000h\033ci\n'
  printf 'j\033Pq#0;2;0;0;0\033\\k\033_Gi=1;AAAA\033\\l\033^pm\033\\m\033X sos\033\\n\n'
  printf 'o\302\2332J\302\235\065\062;c;SEFDS0VE\302\234p\b\b\b\007\016\017\005q\n'
  printf 'bad \377\376\300\200\355\240\200\364\220\200\200 utf8\n'
  printf 'wide \346\274\242\345\255\227\346\274\242\345\255\227\357\274\241\357\274\242\360\237\221\251\342\200\215\360\237\221\251\342\200\215\360\237\221\247\360\237\207\251\360\237\207\252 end\n'
  printf 'comb e\314\201\314\202\314\203\314\204\314\205\314\206\314\207\314\210\314\201\314\202\314\203\314\204 z\342\200\213z\342\200\256rtl\342\200\254 \340\271\201\340\270\201\340\271\211\n'
  printf '\346\274\242%.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50
  printf 'x%.0s' 1 2 3 4 5 6 7
  printf '\n\033[31mred\033[1;38;5;200mpink\033[0m plain\ttab\n'
  printf '10%%|#\r20%%|##\r30%%|###\rlast-%s\n' "$1"
}
trap 'yes "flood 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789" | busybox head -n "$LINES_OF_FLOOD"; echo flood-over' USR1
hostile first
busybox head -c "$LONG" /dev/zero | busybox tr '\000' x
printf '\n'
n=0
while :; do n=$((n+1)); hostile $n; sleep 0.5; done
"#;

/// Lines printed at once.
const FLOOD: usize = 200_000;

#[test]
fn a_hostile_log_neither_bends_the_screen_nor_reaches_the_terminal() {
    let Some(docker) = Docker::for_test("proof-hostile") else {
        return;
    };
    let long = std::env::var("MIDWATCH_TEST_LONG_LINE").unwrap_or_else(|_| "20000000".into());
    let long = format!("LONG={long}");
    docker.run("one", &["-e", &long, "-e", "LINES_OF_FLOOD=200000"], SCRIPT);
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().to_str().unwrap();
    let endpoint = docker.endpoint();
    let mut terminal = Terminal::midwatch(
        &["-H", &endpoint, "--nvml", "/nonexistent/libnvidia-ml.so.1"],
        &[
            ("HOME", home),
            ("XDG_CONFIG_HOME", home),
            ("XDG_DATA_HOME", home),
        ],
        100,
        40,
    );
    let name = docker.name("one");
    terminal.wait_for("Containers");
    terminal.keys(&format!("/{name}\r"));
    terminal.wait("its row alone", |s| {
        s.contents().contains("Containers 1 of") || s.contents().contains("Containers 1 ")
    });
    let before = memory(terminal.pid());
    terminal.keys("l");
    let took = terminal.wait("the hostile part", |s| {
        let text = s.contents();
        text.contains("wide 漢字") && text.contains("last-") && text.contains("plain")
    });
    println!("its log on the screen after {took:?}");
    look(&terminal, "as it opens");
    // Long lines cut instead of wrapped, and moved sideways.
    terminal.keys("w");
    terminal.settle(Duration::from_millis(100));
    look(&terminal, "the other wrap");
    terminal.keys("\x1b[C");
    terminal.settle(Duration::from_millis(100));
    look(&terminal, "moved sideways");
    terminal.keys("\x1b[D");
    terminal.keys("w");
    terminal.keys("t");
    terminal.settle(Duration::from_millis(100));
    look(&terminal, "with times");
    terminal.keys("z");
    terminal.wait("the details alone", |s| {
        straight(s).is_ok_and(|rows| rows > 20)
    });
    look(&terminal, "zoomed");

    let began = Instant::now();
    docker.docker(&["kill", "-s", "USR1", &name]);
    terminal.wait("the flood", |s| {
        let text = s.contents();
        text.contains("flood 0123456789") || text.contains("flood-over")
    });
    look(&terminal, "in the flood");
    terminal.wait("what comes after it", |s| {
        let text = s.contents();
        let hostile = text.contains("last-") && text.contains("wide 漢字");
        hostile && !text.contains("flood 0123456789") || text.contains("flood-over")
    });
    let took = began.elapsed();
    let kept = docker.docker(&["logs", "--tail", &(FLOOD + 2_000).to_string(), &name]);
    let flooded = kept
        .lines()
        .filter(|line| line.starts_with("flood 0"))
        .count();
    println!(
        "{flooded} lines of {FLOOD} kept by the engine; at the end of the flood after {took:?}"
    );
    assert_eq!(flooded, FLOOD);
    look(&terminal, "after the flood");
    // To the beginning of what is kept, and through it.
    terminal.keys("g");
    for _ in 0..20 {
        terminal.keys("\x1b[5~");
    }
    terminal.settle(Duration::from_millis(200));
    look(&terminal, "far back");
    terminal.keys("G");
    terminal.wait("the end again", |s| s.contents().contains("last-"));
    look(&terminal, "at the end again");
    let after = memory(terminal.pid());
    println!(
        "VmRSS {} -> {} KiB, at most {} KiB",
        before.0, after.0, after.1
    );
    assert!(after.1 < 96 << 10, "{after:?}");
    assert_clean(&terminal.raw());
    terminal.keys("q");
    assert_eq!(terminal.wait_for_end(), 0);
}

/// Waits for a straight picture: one that was read in its middle may not be whole yet.
fn look(terminal: &Terminal, when: &str) {
    terminal.wait(when, |screen| straight(screen).is_ok());
    let bent = terminal.with_screen(straight);
    // One more frame may have begun since; a picture that stays bent fails in the wait above.
    println!("{when}: {bent:?}");
    terminal.with_screen(|screen| {
        assert!(screen.alternate_screen(), "{when}");
        assert!(screen.hide_cursor(), "{when}");
        assert!(screen.bracketed_paste(), "{when}");
        assert_eq!(
            screen.mouse_protocol_mode(),
            vt100::MouseProtocolMode::None,
            "{when}"
        );
    });
}

/// `VmRSS` and `VmHWM`, KiB.
fn memory(pid: u32) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    (field("VmRSS:"), field("VmHWM:"))
}

/// Nothing but UTF-8 text, CR, LF and the sequences that the dashboard draws with went to the terminal.
fn assert_clean(raw: &[u8]) {
    // What is being written at this moment may end within a character.
    let whole = match std::str::from_utf8(raw) {
        Ok(text) => text,
        Err(error) => {
            assert!(
                error.error_len().is_none(),
                "invalid UTF-8 at {}",
                error.valid_up_to()
            );
            std::str::from_utf8(&raw[..error.valid_up_to()]).unwrap()
        }
    };
    let mut kinds = std::collections::BTreeMap::<String, usize>::new();
    let mut rest = whole.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            // The cursor goes one down, home or one to the left so.
            '\r' | '\n' | '\x08' => {}
            '\x1b' => {
                let Some((_, opener)) = rest.next() else {
                    break;
                };
                let around = || {
                    let end = raw.len().min(at + 40);
                    String::from_utf8_lossy(&raw[at.saturating_sub(20)..end]).into_owned()
                };
                assert_eq!(opener, '[', "at {at}: {:?}", around());
                let mut sequence = String::new();
                for (_, c) in rest.by_ref() {
                    sequence.push(c);
                    if ('@'..='~').contains(&c) {
                        break;
                    }
                }
                let kind = match sequence.as_bytes() {
                    [b'?', ..] => sequence.clone(),
                    [.., last] => char::from(*last).to_string(),
                    [] => break,
                };
                let known = [
                    "m", "H", "A", "B", "C", "D", "G", "d", "J", "K", "X", "b", "?1049h", "?25l",
                    "?2004h", "?2026h", "?2026l",
                ];
                assert!(
                    known.contains(&kind.as_str()),
                    "at {at}: {kind:?} in {:?}",
                    around()
                );
                *kinds.entry(kind).or_default() += 1;
            }
            c => assert!(!c.is_control(), "{c:?} at {at}"),
        }
    }
    println!("{} bytes, sequences: {kinds:?}", raw.len());
    assert!(
        !whole.contains("SEFDS0VE"),
        "what OSC 52 carried is text of no use to anybody"
    );
    assert_eq!(kinds.get("?1049h"), Some(&1));
}
