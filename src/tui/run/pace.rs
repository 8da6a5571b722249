//! How often data may ask for a frame: a steady rate with a small burst.

use std::time::Duration;

/// A limiter of frames.
#[derive(Debug)]
pub(super) struct Pace {
    interval: Duration,
    burst: u32,
    /// When the frames drawn so far would be paid off at the steady rate.
    paid: Duration,
}

impl Pace {
    /// One frame an `interval`, `burst` of them at once after a rest.
    pub fn new(interval: Duration, burst: u32) -> Self {
        Self {
            interval,
            burst,
            paid: Duration::ZERO,
        }
    }

    /// How long to wait before the next frame.
    pub fn wait(&self, now: Duration) -> Duration {
        let credit = self.interval * self.burst.saturating_sub(1);
        self.paid.saturating_sub(now).saturating_sub(credit)
    }

    /// A frame was drawn.
    pub fn drawn(&mut self, now: Duration) {
        // A storm of keys, which are drawn at once, must not hold data back for longer than one burst.
        let most = now + self.interval * self.burst;
        self.paid = (self.paid.max(now) + self.interval).min(most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_the_steady_rate_and_keys_cost_no_more_than_a_burst() {
        let ms = Duration::from_millis;
        let mut pace = Pace::new(ms(100), 3);
        let start = ms(1000);
        for _ in 0..3 {
            assert_eq!(pace.wait(start), Duration::ZERO);
            pace.drawn(start);
        }
        assert_eq!(pace.wait(start), ms(100));
        let mut frames = 0;
        for now in 1000..11_000 {
            if pace.wait(ms(now)).is_zero() {
                pace.drawn(ms(now));
                frames += 1;
            }
        }
        assert!((98..=100).contains(&frames), "{frames} in 10 s");
        for _ in 0..1000 {
            pace.drawn(ms(20_000));
        }
        assert_eq!(pace.wait(ms(20_000)), ms(100));
        assert_eq!(pace.wait(ms(20_100)), Duration::ZERO);
    }
}
