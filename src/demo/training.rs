//! The training run as a function of the time it has run: where it is, and what it costs.
//!
//! Eight-billion-parameter fine-tuning on two H100: a step takes 1.87 s, every 500 steps come with an
//! evaluation, every 1000 with a checkpoint during which the GPUs wait for the disk.

use super::random::Dice;

/// Milliseconds of one step.
pub(super) const STEP: i64 = 1870;
/// Milliseconds from the start to the first step: imports, NCCL, weights.
pub(super) const LOAD: i64 = 95_000;
/// Steps of the whole run.
pub(super) const TOTAL: i64 = 48_000;
/// Milliseconds of an evaluation.
pub(super) const EVAL: i64 = 24_000;
/// Milliseconds of a checkpoint.
pub(super) const CHECKPOINT: i64 = 31_000;
/// Milliseconds that the checkpoint on SIGTERM takes.
pub(super) const LAST_CHECKPOINT: i64 = 6_000;
/// Steps between two lines of the log.
pub(super) const LOG_EVERY: i64 = 25;
/// Steps between two evaluations.
pub(super) const EVAL_EVERY: i64 = 500;
/// Steps between two checkpoints.
pub(super) const CHECKPOINT_EVERY: i64 = 1000;

const CYCLE: i64 = CHECKPOINT_EVERY * STEP + 2 * EVAL + CHECKPOINT;

/// What the run does at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Phase {
    /// Loading; the part done, 0 to 1.
    Loading(f64),
    /// Training.
    Step,
    /// Evaluating.
    Eval,
    /// Writing a checkpoint; the part done, 0 to 1.
    Checkpoint(f64),
    /// All steps are done.
    Done,
}

/// Where the run is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Progress {
    /// Steps done.
    pub step: i64,
    pub phase: Phase,
}

/// Milliseconds of work up to and with what follows step `step`, from step 0 without loading.
fn span_after(step: i64) -> i64 {
    step * STEP + step / EVAL_EVERY * EVAL + step / CHECKPOINT_EVERY * CHECKPOINT
}

/// When step `step` ends, in milliseconds of a run that resumed at step `base`.
pub(super) fn step_end(base: i64, step: i64) -> i64 {
    LOAD + span_after(step - 1) - span_after(base) + STEP
}

/// Where a run that resumed at step `base` is after `elapsed` milliseconds.
pub(super) fn progress(base: i64, elapsed: i64) -> Progress {
    if elapsed < LOAD {
        return Progress {
            step: base,
            phase: Phase::Loading(elapsed.max(0) as f64 / LOAD as f64),
        };
    }
    let spent = elapsed - LOAD + span_after(base);
    let (cycles, rest) = (spent.div_euclid(CYCLE), spent.rem_euclid(CYCLE));
    let half = EVAL_EVERY * STEP;
    let (inside, phase) = if rest < half {
        (rest / STEP, Phase::Step)
    } else if rest < half + EVAL {
        (EVAL_EVERY, Phase::Eval)
    } else if rest < 2 * half + EVAL {
        ((rest - EVAL) / STEP, Phase::Step)
    } else if rest < 2 * (half + EVAL) {
        (CHECKPOINT_EVERY, Phase::Eval)
    } else {
        let part = (rest - 2 * (half + EVAL)) as f64 / CHECKPOINT as f64;
        (CHECKPOINT_EVERY, Phase::Checkpoint(part))
    };
    let step = cycles * CHECKPOINT_EVERY + inside;
    if step >= TOTAL {
        return Progress {
            step: TOTAL,
            phase: Phase::Done,
        };
    }
    Progress { step, phase }
}

/// When the last step ends.
pub(super) fn finish(base: i64) -> i64 {
    step_end(base, TOTAL)
}

/// Checkpoints written by whole runs up to `elapsed`, with the part of the one under way.
pub(super) fn checkpoints(base: i64, elapsed: i64) -> f64 {
    let at = progress(base, elapsed);
    let whole = (at.step / CHECKPOINT_EVERY - base / CHECKPOINT_EVERY).max(0) as f64;
    match at.phase {
        Phase::Checkpoint(part) => whole - 1.0 + part,
        Phase::Eval if at.step > base && at.step % CHECKPOINT_EVERY == 0 => whole - 1.0,
        _ => whole,
    }
}

/// Training loss after a step.
pub(super) fn loss(dice: Dice, step: i64) -> f64 {
    let k = step as f64;
    let trend = 0.79 + 1.45 * (-k / 700.0).exp() + 0.42 * (-k / 11_000.0).exp();
    trend + (dice.unit(step as u64) - 0.5) * 0.09
}

/// Loss on the held-out set after a step.
pub(super) fn eval_loss(dice: Dice, step: i64) -> f64 {
    let k = step as f64;
    0.86 + 1.3 * (-k / 900.0).exp()
        + 0.38 * (-k / 12_000.0).exp()
        + (dice.unit(step as u64 ^ 0xe7a1) - 0.5) * 0.012
}

/// Learning rate at a step: 500 steps up to 2e-5, then a cosine down.
pub(super) fn learning_rate(step: i64) -> f64 {
    let (k, warm, peak) = (step as f64, 500.0, 2e-5);
    if k < warm {
        return peak * k / warm;
    }
    let part = (k - warm) / (TOTAL as f64 - warm);
    peak * 0.5 * (1.0 + (std::f64::consts::PI * part).cos())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_and_step_times_tell_the_same() {
        for base in [0, 1000, 16_137] {
            for step in base + 1..base + 2100 {
                let end = step_end(base, step);
                assert_eq!(progress(base, end).step, step, "base {base}");
                assert_eq!(progress(base, end - 1).step, step - 1, "base {base}");
            }
        }
    }

    #[test]
    fn a_cycle_has_evaluations_and_a_checkpoint() {
        let after_500 = step_end(0, 500);
        assert_eq!(progress(0, after_500 + 10).phase, Phase::Eval);
        let after_1000 = step_end(0, 1000) + EVAL;
        assert!(matches!(
            progress(0, after_1000 + 10).phase,
            Phase::Checkpoint(_)
        ));
        assert!(checkpoints(0, after_1000 + CHECKPOINT / 2) > 0.4);
        assert!((checkpoints(0, after_1000 + CHECKPOINT + 1) - 1.0).abs() < 1e-9);
        assert_eq!(progress(0, finish(0)).phase, Phase::Done);
    }

    #[test]
    fn written_checkpoints_never_shrink() {
        let mut last = 0.0;
        for t in (0..8_000_000).step_by(500) {
            let now = checkpoints(16_137, t);
            assert!(now >= last - 1e-9, "{t}: {now} < {last}");
            last = now;
        }
    }
}
