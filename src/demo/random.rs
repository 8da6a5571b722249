//! Numbers that look random and are not: every value is a function of a seed and a position, so that any
//! moment of the simulated night can be computed without the moments before it.

/// Mixes a 64-bit number (the finalizer of Steele, Lea and Flood's SplitMix64).
pub(super) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// A stream of such numbers, told apart by a name and the world's seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dice(u64);

impl Dice {
    /// The stream of this name in the world of this seed.
    pub fn new(seed: u64, name: &str) -> Self {
        let mut state = mix(seed);
        for byte in name.bytes() {
            state = mix(state ^ u64::from(byte));
        }
        Self(state)
    }

    /// The number at a position.
    pub fn at(self, position: u64) -> u64 {
        mix(self.0 ^ mix(position))
    }

    /// The number at a position, in `0.0..1.0`.
    pub fn unit(self, position: u64) -> f64 {
        (self.at(position) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The number at a position, in `0..limit` (0 for a limit of 0).
    pub fn below(self, position: u64, limit: u64) -> u64 {
        self.at(position).checked_rem(limit).unwrap_or(0)
    }

    /// A smooth curve in `-1.0..=1.0` over time, with about one hill a period.
    pub fn wave(self, at_ms: i64, period_ms: i64) -> f64 {
        let period = period_ms.max(1);
        let knot = at_ms.div_euclid(period);
        let part = at_ms.rem_euclid(period) as f64 / period as f64;
        let smooth = part * part * (3.0 - 2.0 * part);
        let value = |k: i64| self.unit(k as u64) * 2.0 - 1.0;
        value(knot) + (value(knot.wrapping_add(1)) - value(knot)) * smooth
    }

    /// 32 bytes for an id.
    pub fn bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        for (position, part) in (0..).zip(bytes.chunks_exact_mut(8)) {
            part.copy_from_slice(&self.at(position).to_be_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_in_their_ranges_and_do_not_repeat() {
        let dice = Dice::new(7, "power");
        let mut seen = std::collections::HashSet::new();
        for k in 0..10_000 {
            assert!((0.0..1.0).contains(&dice.unit(k)));
            assert!(dice.below(k, 10) < 10);
            assert!(seen.insert(dice.at(k)));
        }
        assert_eq!(dice.below(1, 0), 0);
        assert_ne!(Dice::new(7, "a").bytes(), Dice::new(8, "a").bytes());
    }

    #[test]
    fn the_curve_is_smooth() {
        let dice = Dice::new(1, "x");
        let mut last = dice.wave(-50_000, 1000);
        for t in -49_999..50_000 {
            let value = dice.wave(t, 1000);
            assert!((-1.0..=1.0).contains(&value));
            assert!((value - last).abs() < 0.01);
            last = value;
        }
    }
}
