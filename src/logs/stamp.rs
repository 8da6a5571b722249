//! The time at the head of each log message (`timestamps=true`): read off and kept as nanoseconds.

/// Nanoseconds since 1970 UTC, as an engine stamps a log message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LineTime(pub i64);

impl LineTime {
    /// As jiff's timestamp.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).unwrap_or_default()
    }

    /// From jiff's timestamp; moments beyond the years 1677 to 2262 are cut to them.
    pub fn from_timestamp(time: jiff::Timestamp) -> Self {
        let ns = time.as_nanosecond();
        Self(i64::try_from(ns).unwrap_or(if ns < 0 { i64::MIN + 1 } else { i64::MAX }))
    }

    /// Whole seconds, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }
}

/// Reads an RFC 3339 time (`2026-11-23T16:14:55.123456789Z`, any number of decimals, any offset).
pub fn parse_time(bytes: &[u8]) -> Option<LineTime> {
    let (head, mut rest) = bytes.split_at_checked(19)?;
    let &[
        y0,
        y1,
        y2,
        y3,
        b'-',
        m0,
        m1,
        b'-',
        d0,
        d1,
        b'T' | b't',
        h0,
        h1,
        b':',
        i0,
        i1,
        b':',
        s0,
        s1,
    ] = head
    else {
        return None;
    };
    let number = |digits: &[u8]| -> Option<i64> {
        digits.iter().try_fold(0i64, |sum, digit| {
            digit
                .is_ascii_digit()
                .then(|| sum * 10 + i64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (
        number(&[y0, y1, y2, y3])?,
        number(&[m0, m1])?,
        number(&[d0, d1])?,
    );
    let (hour, minute, second) = (number(&[h0, h1])?, number(&[i0, i1])?, number(&[s0, s1])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let mut nanos = 0i64;
    if let Some((b'.', decimals)) = rest.split_first() {
        let count = decimals.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, after) = decimals.split_at_checked(count)?;
        if count == 0 {
            return None;
        }
        let mut scale = 100_000_000i64;
        for digit in digits {
            nanos += i64::from(digit - b'0') * scale;
            scale /= 10;
        }
        rest = after;
    }
    let offset = match rest {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), a, b, b':', c, d] => {
            let seconds = number(&[*a, *b])? * 3600 + number(&[*c, *d])? * 60;
            if *sign == b'-' { -seconds } else { seconds }
        }
        _ => return None,
    };
    let seconds =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset;
    seconds
        .checked_mul(1_000_000_000)?
        .checked_add(nanos)
        .map(LineTime)
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (the usual era arithmetic).
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// What [`Stamps`] finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamped<'a> {
    /// A message begins (it may go on a line that began before).
    Begin(Option<LineTime>),
    /// Text of the message.
    Text(&'a [u8]),
}

/// Longest time an engine prints, with its space: 9 decimals and an offset.
const LONGEST: usize = 36;

/// An engine cuts a line it got without an end into messages of so many bytes (moby,
/// daemon/logger/copier.go: default buffer 16 KiB), each stamped; without framing only the count tells.
const PARTIAL: usize = 16 * 1024;

/// Reads the times off one stream of messages.
#[derive(Debug, Clone)]
pub struct Stamps {
    /// Whether messages begin where frames begin; otherwise at line starts and every [`PARTIAL`] bytes.
    framed: bool,
    head: [u8; LONGEST],
    have: usize,
    collecting: bool,
    /// Whether the message being read off goes on a line (a part without its own time is then no message).
    within_line: bool,
    passed: usize,
}

impl Stamps {
    /// For a framed stream, or a raw one (TTY).
    pub fn new(framed: bool) -> Self {
        Self {
            framed,
            head: [0; LONGEST],
            have: 0,
            collecting: true,
            within_line: false,
            passed: 0,
        }
    }

    /// Tells that a frame begins.
    pub fn frame(&mut self, out: &mut impl FnMut(Stamped<'_>)) {
        if self.framed {
            self.give_up(out);
            self.begin(false);
        }
    }

    /// Ends the stream: gives what was held back.
    pub fn finish(&mut self, out: &mut impl FnMut(Stamped<'_>)) {
        self.give_up(out);
        self.begin(false);
    }

    fn begin(&mut self, within_line: bool) {
        self.collecting = true;
        self.have = 0;
        self.within_line = within_line;
        self.passed = 0;
    }

    /// Gives held bytes as text: they were no time.
    fn give_up(&mut self, out: &mut impl FnMut(Stamped<'_>)) {
        if !self.collecting || self.have == 0 {
            return;
        }
        if !self.within_line {
            out(Stamped::Begin(None));
        }
        self.collecting = false;
        self.passed = self.have;
        let head = self.head;
        if let Some(held) = head.get(..self.have) {
            out(Stamped::Text(held));
        }
        self.have = 0;
    }

    /// Takes the stream's next bytes.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(Stamped<'_>)) {
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            if self.collecting {
                rest = self.collect(first, after, rest, out);
                continue;
            }
            if self.framed {
                out(Stamped::Text(rest));
                return;
            }
            rest = self.pass_raw(rest, out);
        }
    }

    fn collect<'a>(
        &mut self,
        first: u8,
        after: &'a [u8],
        all: &'a [u8],
        out: &mut impl FnMut(Stamped<'_>),
    ) -> &'a [u8] {
        if first == b' ' {
            let head = self.head;
            if let Some(time) = head.get(..self.have).and_then(parse_time) {
                out(Stamped::Begin(Some(time)));
                self.collecting = false;
                self.have = 0;
                self.passed = 0;
                return after;
            }
        }
        let plausible = first.is_ascii_digit() || b"-+:.TZtz".contains(&first);
        match self.head.get_mut(self.have) {
            Some(slot) if plausible => {
                *slot = first;
                self.have += 1;
                after
            }
            _ if self.have > 0 => {
                self.give_up(out);
                all
            }
            _ => {
                if !self.within_line {
                    out(Stamped::Begin(None));
                }
                self.collecting = false;
                self.passed = 0;
                all
            }
        }
    }

    /// Raw text up to the next place where a message may begin.
    fn pass_raw<'a>(&mut self, bytes: &'a [u8], out: &mut impl FnMut(Stamped<'_>)) -> &'a [u8] {
        let room = PARTIAL.saturating_sub(self.passed).max(1);
        let window = bytes.get(..room.min(bytes.len())).unwrap_or(bytes);
        let (take, line_ended) = match window.iter().position(|b| *b == b'\n') {
            Some(at) => (at + 1, true),
            None => (window.len(), false),
        };
        let Some((text, rest)) = bytes.split_at_checked(take) else {
            return &[];
        };
        out(Stamped::Text(text));
        self.passed += take;
        if line_ended {
            self.begin(false);
        } else if self.passed >= PARTIAL {
            self.begin(true);
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_agree_with_jiff() {
        for text in [
            "2026-11-23T16:14:55.123456789Z",
            "2024-02-29T23:59:59.000000001Z",
            "1970-01-01T00:00:00Z",
            "1969-12-31T23:59:59.5Z",
            "2026-11-23T16:14:55.12+02:00",
            "2026-11-23T16:14:55.12-09:30",
        ] {
            let expected: jiff::Timestamp = text.parse().unwrap();
            assert_eq!(
                parse_time(text.as_bytes()).unwrap().timestamp(),
                expected,
                "{text}"
            );
        }
        for bad in [
            "",
            "2026-11-23",
            "2026-13-23T16:14:55Z",
            "2026-11-23T16:14:55",
            "2026-11-23T16:14:55.Z",
            "2026-11-23T16:14:55Zx",
            "9999-99-99T99:99:99Z",
        ] {
            assert_eq!(parse_time(bad.as_bytes()), None, "{bad}");
        }
    }

    type Messages = Vec<(Option<i64>, String)>;

    fn run(framed: bool, frames: &[&[u8]], size: usize) -> Messages {
        let mut stamps = Stamps::new(framed);
        let mut all: Messages = Vec::new();
        let mut out = |event: Stamped<'_>| match event {
            Stamped::Begin(time) => all.push((time.map(|t| t.0), String::new())),
            Stamped::Text(text) => all
                .last_mut()
                .unwrap()
                .1
                .push_str(&String::from_utf8_lossy(text)),
        };
        for frame in frames {
            stamps.frame(&mut out);
            for chunk in frame.chunks(size) {
                stamps.push(chunk, &mut out);
            }
        }
        stamps.finish(&mut out);
        all
    }

    #[test]
    fn a_tty_line_longer_than_a_message_loses_its_inner_times() {
        let long = "x".repeat(PARTIAL);
        let text = format!("2026-11-23T16:14:55.1Z {long}2026-11-23T16:14:55.1Z tail\nno time\n");
        for size in [1, 7, 100_000] {
            let seen = run(false, &[text.as_bytes()], size);
            let joined: String = seen.iter().map(|(_, t)| t.as_str()).collect();
            assert_eq!(joined, format!("{long}tail\nno time\n"));
            assert_eq!(seen.last().unwrap().0, None);
        }
    }

    proptest! {
        #[test]
        fn borders_do_not_matter_and_no_byte_is_lost(
            texts in prop::collection::vec("(2026-11-23T16:14:55\\.1Z ){0,2}[0-9TZ :a]{0,40}\n?", 0..6),
            size in 1usize..50, framed: bool,
        ) {
            let frames: Vec<&[u8]> = texts.iter().map(String::as_bytes).collect();
            let whole = run(framed, &frames, 100_000);
            prop_assert_eq!(&whole, &run(framed, &frames, size));
            if framed {
                for (text, (time, shown)) in texts.iter().filter(|t| !t.is_empty()).zip(&whole) {
                    let lost = text.len() - shown.len();
                    prop_assert_eq!(lost, if time.is_some() { "2026-11-23T16:14:55.1Z ".len() } else { 0 });
                }
            }
        }
    }
}
