//! The last hour in memory: one-second values for five minutes, ten-second means for the hour.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Stamp;

/// One-second values kept.
pub const FINE: usize = 300;
/// Ten-second means kept: the hour.
pub const COARSE: usize = 360;
/// Room that is added at a time.
const GROWTH: usize = 60;
const COARSE_STEP: Duration = Duration::from_secs(10);

/// One metric over the last hour. A second without a value is a gap (`NaN` inside, `None` outside).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    fine: VecDeque<f32>,
    coarse: VecDeque<f32>,
    fine_count: u64,
    coarse_count: u64,
    sum: f32,
    count: u16,
    step_started: Option<Duration>,
}

impl Series {
    /// Adds this second's value.
    pub fn push(&mut self, now: Stamp, value: Option<f32>) {
        let start = *self.step_started.get_or_insert(now.mono);
        if now.mono.saturating_sub(start) >= COARSE_STEP {
            let mean = if self.count == 0 {
                f32::NAN
            } else {
                self.sum / f32::from(self.count)
            };
            push_bounded(&mut self.coarse, mean, COARSE);
            self.coarse_count += 1;
            self.sum = 0.0;
            self.count = 0;
            self.step_started = Some(now.mono);
        }
        if let Some(value) = value {
            self.sum += value;
            self.count = self.count.saturating_add(1);
        }
        push_bounded(&mut self.fine, value.unwrap_or(f32::NAN), FINE);
        self.fine_count += 1;
    }

    /// Adds this second's value; a series that never had one stays empty, and takes no memory.
    pub fn push_if_any(&mut self, now: Stamp, value: Option<f32>) {
        if value.is_some() || self.fine_count > 0 {
            self.push(now, value);
        }
    }

    /// The one-second values of the last five minutes, oldest first.
    pub fn fine(&self) -> impl ExactSizeIterator<Item = Option<f32>> + '_ {
        self.fine.iter().map(|v| (!v.is_nan()).then_some(*v))
    }

    /// The ten-second means of the last hour, oldest first (the step under way not counted).
    pub fn coarse(&self) -> impl ExactSizeIterator<Item = Option<f32>> + '_ {
        self.coarse.iter().map(|v| (!v.is_nan()).then_some(*v))
    }

    /// How many one-second values there have been, those no longer kept included.
    pub fn fine_count(&self) -> u64 {
        self.fine_count
    }

    /// How many ten-second means there have been, those no longer kept included.
    pub fn coarse_count(&self) -> u64 {
        self.coarse_count
    }

    /// The newest value.
    pub fn last(&self) -> Option<f32> {
        self.fine.back().copied().filter(|v| !v.is_nan())
    }
}

fn push_bounded(values: &mut VecDeque<f32>, value: f32, limit: usize) {
    if values.len() >= limit {
        values.pop_front();
    } else if values.len() == values.capacity() {
        // Many of these live long: no doubling beyond what is ever needed.
        values.reserve_exact(GROWTH.min(limit - values.len()));
    }
    values.push_back(value);
}

/// A container's metrics over the last hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContainerChart {
    /// CPU, percent of one core.
    pub cpu_percent: Series,
    /// Memory, bytes.
    pub memory_bytes: Series,
    /// Mean SM utilization over its GPUs, percent.
    pub sm_percent: Series,
    /// GPU memory over its GPUs, bytes.
    pub gpu_memory_bytes: Series,
}

/// A GPU's metrics over the last hour.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GpuChart {
    /// Device busy time, percent.
    pub gpu_percent: Series,
    /// Memory in use, bytes.
    pub memory_bytes: Series,
    /// Draw, watts.
    pub power_watts: Series,
    /// Core temperature, °C.
    pub temperature_celsius: Series,
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    #[test]
    fn the_hour_is_kept_and_no_more() {
        let mut series = Series::default();
        for second in 0..8000u64 {
            let now = Stamp::simulated(Timestamp::UNIX_EPOCH, Duration::from_secs(second));
            series.push(now, (second % 2 == 0).then_some(second as f32));
        }
        assert_eq!(series.fine().len(), FINE);
        assert_eq!(series.coarse().len(), COARSE);
        assert_eq!((series.fine_count(), series.coarse_count()), (8000, 799));
        assert_eq!(series.last(), None);
        let fine: Vec<_> = series.fine().collect();
        assert_eq!(fine[298..], [Some(7998.0), None]);
        // A ten-second step that began at 7980: its even seconds' mean.
        assert_eq!(series.coarse().last(), Some(Some(7984.0)));
    }
}
