//! The driver's lines in the kernel log: pure.

use super::session::clean;

/// An Xid, or a loss told without a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    /// PCI address as written.
    pub address: String,
    /// Number; `None` for a loss told in words.
    pub xid: Option<u32>,
    /// Pid, where named.
    pub pid: Option<u32>,
    /// What follows the number, without control characters.
    pub text: String,
}

/// Lines of one incident that say the same come within this time, µs: one fault prints a line for each
/// multiprocessor.
const ONE_INCIDENT: u64 = 1_000_000;
/// A loss told in words this long after its Xid 79 is the same loss, µs.
const SAME_LOSS: u64 = 5_000_000;
/// Lines over which a loss may be told.
const LOSS_LINES: u8 = 4;
/// Incidents remembered.
const REMEMBERED: usize = 32;

/// Reads line after line; remembers what a line alone does not tell.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    /// A loss begun and not yet told whole: address, text, lines left.
    begun: Option<(String, String, u8)>,
    /// What was told lately: address, number, stamp.
    told: std::collections::VecDeque<(String, Option<u32>, u64)>,
}

impl Scanner {
    /// Reads one line; `micros` is its stamp.
    pub fn scan(&mut self, line: &str, micros: u64) -> Option<Found> {
        let (_, text) = line.split_once("NVRM: ")?;
        let found = xid(text).or_else(|| self.loss(text))?;
        self.is_new(&found, micros).then_some(found)
    }

    fn is_new(&mut self, found: &Found, micros: u64) -> bool {
        let known = self.told.iter().any(|(address, xid, at)| {
            let age = micros.saturating_sub(*at);
            let same = *xid == found.xid && found.text_is_free() && age < ONE_INCIDENT;
            let same_loss = found.xid.is_none() && *xid == Some(79) && age < SAME_LOSS;
            same_device(address, &found.address) && (same || same_loss)
        });
        if !known {
            if self.told.len() >= REMEMBERED {
                self.told.pop_front();
            }
            self.told
                .push_back((found.address.clone(), found.xid, micros));
        }
        !known
    }

    /// `The NVIDIA GPU 0000:b3:00.0 (PCI ID: 10de:26b5) installed in this system has fallen off the bus and is not
    /// responding to commands.`, whole or over several lines; or `GPU 0000:b3:00.0: GPU has fallen off the bus.`
    fn loss(&mut self, text: &str) -> Option<Found> {
        let start = text
            .strip_prefix("The NVIDIA GPU ")
            .or_else(|| text.strip_prefix("GPU "));
        let address = start.and_then(|rest| {
            let word = rest.split_whitespace().next()?;
            is_address(word.trim_end_matches([':', ',']))
                .then(|| word.trim_end_matches([':', ',']).to_owned())
        });
        let (address, text, left) = match (address, self.begun.take()) {
            (Some(address), _) => (address, text.to_owned(), LOSS_LINES),
            (None, Some((address, before, left))) => {
                (address, format!("{before} {}", text.trim()), left)
            }
            (None, None) => return None,
        };
        if text.contains("fallen off the bus") {
            return Some(Found {
                address,
                xid: None,
                pid: None,
                text: clean(text),
            });
        }
        if let Some(left) = left.checked_sub(1) {
            self.begun = Some((address, text, left));
        }
        None
    }
}

impl Found {
    /// Whether the text adds nothing to the number: 154 names in it what is to be done.
    fn text_is_free(&self) -> bool {
        self.xid != Some(154)
    }
}

/// `Xid (PCI:0000:05:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.`
fn xid(text: &str) -> Option<Found> {
    let rest = text.strip_prefix("Xid (")?;
    let (place, rest) = rest.split_once("): ")?;
    let place = place.strip_prefix("PCI:").unwrap_or(place);
    // Under MIG the address is followed by `GPU-I:05`.
    let address = place.split_whitespace().next()?.to_owned();
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (number, rest) = rest.split_at_checked(digits)?;
    let text = rest.trim_start_matches([',', ' ']);
    let pid = text
        .split_once("pid=")
        .and_then(|(_, after)| after.split([',', ' ']).next())
        .and_then(|pid| pid.trim_matches('\'').parse().ok());
    Some(Found {
        address,
        xid: Some(number.parse().ok()?),
        pid,
        text: clean(text.to_owned()),
    })
}

/// `0000:b3:00.0`
fn is_address(word: &str) -> bool {
    word.matches(':').count() == 2
        && word
            .chars()
            .all(|c| c.is_ascii_hexdigit() || c == ':' || c == '.')
}

fn same_device(a: &str, b: &str) -> bool {
    crate::model::same_pci_address(a, b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scan(text: &str) -> Vec<Found> {
        let mut scanner = Scanner::default();
        let lines = text.lines().enumerate();
        lines
            .filter_map(|(at, line)| scanner.scan(line, at as u64 * 10_000_000))
            .collect()
    }

    #[test]
    fn xid_lines_of_real_logs_are_read() {
        // Lines as in leptonai/gpud's and NVIDIA's own test data and issues (Apache-2.0).
        let found = scan(
            "kern  :warn  : 2025-01-21T04:41:44,283302+00:00 NVRM: Xid (PCI:0000:38:00): 13, pid='<unknown>', name=<unknown>, Graphics SM Global Exception on (GPC 8, TPC 5, SM 1): Multiple Warp Errors\n\
             kern  :warn  : 2025-01-21T04:41:44,287197+00:00 NVRM: Xid (PCI:0000:38:00): 43, pid=2924364, name=pt_main_thread, Ch 00000008\n\
             [Sun Feb 23 16:24:18 2025] NVRM: GPU at PCI:0000:9b:00: GPU-509665ad-b600-ac93-3616-d754b23d636d\n\
             [Sun Feb 23 16:24:18 2025] NVRM: Xid (PCI:0000:9b:00): 119, pid=2024380, name=nvidia-smi, Timeout after 6s of waiting for RPC response from GPU4 GSP! Expected function 103 (GSP_RM_ALLOC) (0x2081 0x4).\n\
             NVRM: Xid (PCI:0000:61:00): 154, GPU recovery action changed from 0x0 (None) to 0x4 (Drain and Reset)\n\
             NVRM: Xid (PCI:0000:01:00 GPU-I:05): 31, pid=7, name=python, MMU Fault\n\
             NVRM: loading NVIDIA UNIX x86_64 Kernel Module  550.144.03\n",
        );
        let short: Vec<_> = found
            .iter()
            .map(|f| (f.address.as_str(), f.xid, f.pid))
            .collect();
        assert_eq!(
            short,
            [
                ("0000:38:00", Some(13), None),
                ("0000:38:00", Some(43), Some(2_924_364)),
                ("0000:9b:00", Some(119), Some(2_024_380)),
                ("0000:61:00", Some(154), None),
                ("0000:01:00", Some(31), Some(7)),
            ]
        );
        assert!(found[3].text.contains("Drain and Reset"));
    }

    #[test]
    fn a_loss_without_a_number_is_read_whole_and_split() {
        let whole = "NVRM: The NVIDIA GPU 0000:b3:00.0 (PCI ID: 10de:26b5) installed in this system has fallen off the bus and is not responding to commands.";
        let split = "NVRM: The NVIDIA GPU 0000:b3:00.0\nNVRM: (PCI ID: 10de:26b5) installed in this system has\nusb 1-1: new device\nNVRM: fallen off the bus and is not responding to commands.";
        for text in [whole, split] {
            let found = scan(text);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(found[0].address, "0000:b3:00.0");
            assert_eq!(found[0].xid, None);
            assert!(found[0].text.contains("not responding"));
        }
        let other = "NVRM: The NVIDIA GPU 0000:b3:00.0 (PCI ID: 10de:26b5)\nNVRM: installed in this system is not supported by the\nNVRM: a\nNVRM: b\nNVRM: c\nNVRM: fallen off the bus";
        assert_eq!(scan(other), []);
    }

    #[test]
    fn one_incident_is_told_once() {
        let mut scanner = Scanner::default();
        let line = "NVRM: Xid (PCI:0000:38:00): 13, pid=1, name=x, Graphics SM Warp Exception";
        assert!(scanner.scan(line, 1_000).is_some());
        assert!(scanner.scan(line, 900_000).is_none());
        assert!(scanner.scan(line, 2_000_000).is_some());
        let lost = "NVRM: Xid (PCI:0000:05:00): 79, GPU has fallen off the bus.";
        assert!(scanner.scan(lost, 3_000_000).is_some());
        let again = "NVRM: GPU 0000:05:00.0: GPU has fallen off the bus.";
        assert!(scanner.scan(again, 3_000_100).is_none());
    }

    proptest::proptest! {
        #[test]
        fn no_line_makes_it_fail(line in ".{0,200}", stamp: u64) {
            let mut scanner = Scanner::default();
            let _ = scanner.scan(&format!("NVRM: {line}"), stamp);
            let _ = scanner.scan(&format!("NVRM: Xid (PCI:{line}"), stamp);
            let _ = scanner.scan(&format!("NVRM: The NVIDIA GPU {line}"), stamp);
        }
    }
}
