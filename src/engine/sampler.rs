//! One-shot statistics of the visible rows, where the engine's containers do not run on this machine.
//!
//! The statistics endpoint costs the engine far more than it costs us: at most four questions at a time,
//! and never more than a fifth of the time spent asking.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use tokio::time::Instant;

use crate::model::UsageSnapshot;

use super::docker::Docker;
use super::source::Shared;

/// Questions under way at a time.
const IN_FLIGHT: usize = 4;
/// Between the beginnings of two rounds, at least and at most.
const INTERVAL: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));
/// A round may take this part of the interval.
const SHARE: u32 = 5;

/// Takes rounds while statistics are wanted; ends with its task.
pub(super) async fn run(docker: Docker, shared: Arc<Shared>) {
    let mut interval = INTERVAL.0;
    loop {
        let Some(keys) = shared.demanded() else {
            shared.demand_changed.notified().await;
            continue;
        };
        let begun = Instant::now();
        docker.keep_samples(&keys);
        let entries = futures_util::stream::iter(keys)
            .map(|key| {
                let docker = &docker;
                async move { docker.usage(key).await }
            })
            .buffer_unordered(IN_FLIGHT)
            .filter_map(|read| async move {
                match read {
                    Ok(usage) => usage,
                    Err(error) => {
                        tracing::debug!(%error, "no statistics");
                        None
                    }
                }
            })
            .collect()
            .await;
        interval = adapted(interval, begun.elapsed());
        shared.lanes.usage.put(UsageSnapshot {
            entries,
            local: Vec::new(),
            not_local: Vec::new(),
            interval_ms: u64::try_from(interval.as_millis()).unwrap_or(u64::MAX),
        });
        tokio::time::sleep_until(begun + interval).await;
    }
}

/// The next interval: grows at once with a slow round, shrinks slowly, so that it does not flutter.
fn adapted(interval: Duration, round: Duration) -> Duration {
    let wanted = (round * SHARE).clamp(INTERVAL.0, INTERVAL.1);
    let next = if wanted >= interval {
        wanted
    } else {
        (interval * 3 + wanted) / 4
    };
    // Whole tenths of a second: the screen shows it.
    Duration::from_millis(next.as_millis() as u64 / 100 * 100).clamp(INTERVAL.0, INTERVAL.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_follows_the_cost_of_a_round() {
        let ms = Duration::from_millis;
        assert_eq!(adapted(ms(1000), ms(5)), ms(1000));
        assert_eq!(adapted(ms(1000), ms(600)), ms(3000));
        assert_eq!(adapted(ms(3000), ms(5)), ms(2500));
        assert_eq!(adapted(ms(1000), Duration::from_secs(60)), ms(10_000));
        let mut interval = ms(10_000);
        for _ in 0..100 {
            interval = adapted(interval, ms(5));
        }
        assert_eq!(interval, ms(1000));
    }
}
