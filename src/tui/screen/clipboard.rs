//! OSC 52: text onto the clipboard of the terminal that the user sits at, also over SSH.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// The longest text, in bytes: base64 makes it 100,000 with the sequence around it, which is where
/// terminals begin to drop it (hterm's limit, which others took over).
pub const OSC52_LIMIT: usize = 74_994;

/// GNU screen takes so many bytes of a passed-through string at once.
const SCREEN_PIECE: usize = 512;

/// A program between us and the terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Multiplexer {
    /// None.
    None,
    /// tmux.
    Tmux,
    /// GNU screen.
    Screen,
}

impl Multiplexer {
    /// Reads `TMUX`, `STY` and `TERM`.
    pub fn detect(env: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| env(name).is_some_and(|value| !value.is_empty());
        // Over SSH only TERM is left, and `screen` may be either's; the plain sequence is safe then.
        if set("TMUX") || env("TERM").is_some_and(|term| term.starts_with("tmux")) {
            Self::Tmux
        } else if set("STY") {
            Self::Screen
        } else {
            Self::None
        }
    }
}

/// The text is too long for a terminal's clipboard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("too long to copy: {bytes} bytes, terminals take {OSC52_LIMIT}")]
pub struct TooLong {
    /// Its length.
    pub bytes: usize,
}

/// The bytes that put `text` on the clipboard.
///
/// tmux is told twice: plainly, which it heeds with `set-clipboard on`, and passed through, which it heeds
/// with `allow-passthrough on`; whichever is set, the text arrives.
pub fn osc52(text: &str, multiplexer: Multiplexer) -> Result<Vec<u8>, TooLong> {
    if text.len() > OSC52_LIMIT {
        return Err(TooLong { bytes: text.len() });
    }
    let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(text)).into_bytes();
    Ok(match multiplexer {
        Multiplexer::None => plain,
        Multiplexer::Tmux => {
            let mut bytes = plain.clone();
            bytes.extend_from_slice(b"\x1bPtmux;\x1b");
            bytes.extend_from_slice(&plain);
            bytes.extend_from_slice(b"\x1b\\");
            bytes
        }
        Multiplexer::Screen => {
            let mut bytes = Vec::with_capacity(plain.len() + plain.len() / 64);
            for piece in plain.chunks(SCREEN_PIECE) {
                bytes.extend_from_slice(b"\x1bP");
                bytes.extend_from_slice(piece);
                bytes.extend_from_slice(b"\x1b\\");
            }
            bytes
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_way_carries_the_text() {
        let plain = osc52("hi", Multiplexer::None).unwrap();
        assert_eq!(plain, b"\x1b]52;c;aGk=\x07");
        let tmux = osc52("hi", Multiplexer::Tmux).unwrap();
        assert_eq!(
            tmux,
            b"\x1b]52;c;aGk=\x07\x1bPtmux;\x1b\x1b]52;c;aGk=\x07\x1b\\"
        );
        let long = "x".repeat(1000);
        let screen = osc52(&long, Multiplexer::Screen).unwrap();
        let joined: Vec<u8> = String::from_utf8(screen)
            .unwrap()
            .replace("\x1b\\", "")
            .replace("\x1bP", "")
            .into_bytes();
        assert_eq!(joined, osc52(&long, Multiplexer::None).unwrap());
        let error = osc52(&"x".repeat(OSC52_LIMIT + 1), Multiplexer::None).unwrap_err();
        assert_eq!(error.bytes, OSC52_LIMIT + 1);
    }

    #[test]
    fn multiplexers_are_told_apart() {
        let detect = |name: &'static str, value: &'static str| {
            Multiplexer::detect(move |n| (n == name).then(|| value.to_owned()))
        };
        assert_eq!(detect("TMUX", "/tmp/x"), Multiplexer::Tmux);
        assert_eq!(detect("STY", "1.pts"), Multiplexer::Screen);
        assert_eq!(detect("TERM", "tmux-256color"), Multiplexer::Tmux);
        assert_eq!(detect("TERM", "screen-256color"), Multiplexer::None);
        assert_eq!(detect("TERM", "xterm"), Multiplexer::None);
    }
}
