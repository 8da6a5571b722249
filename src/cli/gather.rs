//! Waits until enough was heard to print.

use std::time::Duration;

use crate::model::{Problem, Stamp};
use crate::watch::World;

use super::ready::Verdict;

/// Looked again at least this often, for deadlines that no news wakes us for.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Folds news until `verdict` says that it is enough.
///
/// `hear` waits at most this long for news, folds what came and tells the time.
///
/// # Errors
/// What `verdict` failed with.
pub fn gather(
    world: &mut World,
    mut now: Stamp,
    mut hear: impl FnMut(&mut World, Duration) -> Stamp,
    verdict: impl Fn(&World, Stamp) -> Verdict,
) -> Result<(), Problem> {
    loop {
        match verdict(world, now) {
            Verdict::Print => return Ok(()),
            Verdict::Fail(problem) => return Err(problem),
            Verdict::Wait => now = hear(world, LOOK_AGAIN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ready;
    use crate::model::{EngineInfo, EngineNews, HostId};
    use jiff::Timestamp;

    #[test]
    fn news_is_folded_until_it_is_enough_and_silence_ends() {
        let stamp = |ms| Stamp::simulated(Timestamp::UNIX_EPOCH, Duration::from_millis(ms));
        let mut world = World::new(HostId(0));
        let mut ms = 0;
        let mut news = vec![
            EngineNews::Listed(Vec::new()),
            EngineNews::Up(EngineInfo::default()),
        ];
        let heard = gather(
            &mut world,
            stamp(0),
            |world, timeout| {
                ms += timeout.as_millis() as u64;
                if let Some(news) = news.pop() {
                    world.engine_news(news, stamp(ms));
                }
                stamp(ms)
            },
            |world, now| ready::ps(world, false, stamp(0), now),
        );
        assert_eq!(heard, Ok(()));
        // No driver ever answered: it was printed without, at the deadline after the list.
        assert_eq!(ms, 100 + ready::OTHER_PARTS.as_millis() as u64);

        let mut silent = World::new(HostId(0));
        let mut ms = 0;
        let heard = gather(
            &mut silent,
            stamp(0),
            |_, timeout| {
                ms += timeout.as_millis() as u64;
                stamp(ms)
            },
            |world, now| ready::ps(world, false, stamp(0), now),
        );
        assert!(heard.is_err());
    }
}
