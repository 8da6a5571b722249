//! What the containers' programs write and how they take signals.
//!
//! [`writes`] gives every write of a run within a stretch of its time; the same stretch gives the same
//! writes, whatever was asked before.

mod made;
mod services;

use jiff::Timestamp;

use crate::model::Signal;

use super::cast::Program;
use super::output::Output;
use super::random::Dice;
use super::training::{self, CHECKPOINT, EVAL, LAST_CHECKPOINT, LOAD, Phase, TOTAL};
use super::world::{Cause, Member, Run, T, World, lost_since};

/// Milliseconds that the broken server lives.
pub(super) const SERVER_LIFE: i64 = 7_000;
/// Milliseconds that a backup takes.
pub(super) const BACKUP_LIFE: i64 = 41_000;
/// Milliseconds of a look at the GPUs, and of a program that ends at once.
pub(super) const SMI_LIFE: i64 = 900;
pub(super) const BRIEF_LIFE: i64 = 60;
/// Milliseconds after which a program that a user made has found its GPUs.
pub(super) const GPU_AFTER: i64 = 3_000;
/// Milliseconds after the training's start at which its memory is full, and a server answers.
pub(super) const READY_AFTER: i64 = 12_000;
/// Milliseconds after which the training's main process notices that its worker is gone.
pub(super) const WORKER_LOST: i64 = 2_400;
/// Pid of the training's second rank, counted from the main process.
pub(super) const RANK_1: u32 = 2;
/// Pid of the notebook's kernel, counted from the main process.
pub(super) const KERNEL: u32 = 5;

/// One write of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Write {
    /// Milliseconds of the run.
    pub at: i64,
    /// Order within the millisecond.
    pub order: u16,
    pub output: Output,
    pub text: String,
}

/// What a signal makes the main process do: end after so many milliseconds with this code, or nothing
/// (`None`; process 1 of a container ignores what it has no handler for).
pub(super) fn reaction(program: Program, run: &Run, signal: Signal, now: T) -> Option<(i64, i64)> {
    let loading = run.elapsed(now) < LOAD;
    match (program, signal.0) {
        (Program::Trainer, "TERM") if loading => Some((300, 143)),
        (Program::Trainer, "TERM") => Some((LAST_CHECKPOINT + 150, 143)),
        (Program::Trainer, "INT") => Some((1_500, 130)),
        (Program::Evaluation, "TERM") => Some((900, 143)),
        (Program::Evaluation, "INT") => Some((900, 130)),
        (Program::Notebook, "TERM") => Some((1_200, 0)),
        (Program::Redis, "TERM" | "INT") => Some((260, 0)),
        (Program::Postgres, "INT" | "TERM") => Some((420, 0)),
        (Program::Postgres, "QUIT") => Some((30, 2)),
        (Program::Grafana | Program::Prometheus, "TERM" | "INT") => Some((340, 0)),
        (Program::Grafana | Program::Prometheus | Program::Exporter, "QUIT") => Some((20, 2)),
        (Program::Exporter, "TERM" | "INT") => Some((180, 0)),
        (Program::Backup, "TERM" | "INT") => Some((60, 1)),
        (Program::Training, "TERM") => Some((700, 143)),
        (Program::Training, "INT") => Some((700, 130)),
        (Program::Serving, "TERM" | "INT") => Some((900, 0)),
        _ => None,
    }
}

/// The writes of a run at `from <= at < to`, in order.
pub(super) fn writes(world: &World, member: &Member, run: &Run, from: i64, to: i64) -> Vec<Write> {
    let mut scene = Scene {
        world,
        run,
        dice: Dice::new(world.seed, member.role.name),
        from,
        to,
        tty: member.role.tty,
        out: Vec::new(),
    };
    match member.role.program {
        Program::Trainer => scene.trainer(),
        Program::Evaluation => scene.evaluation(),
        Program::Notebook => scene.notebook(),
        Program::Server => scene.fixed(SERVER),
        Program::Redis => scene.redis(),
        Program::Postgres => scene.postgres(),
        Program::Grafana => scene.grafana(),
        Program::Prometheus => scene.prometheus(),
        Program::Exporter => scene.exporter(),
        Program::Backup => scene.fixed(BACKUP),
        Program::Training => scene.training(member),
        Program::Serving => scene.serving(member),
        Program::Smi => scene.smi(member),
        Program::Brief => {}
        Program::Job => scene.job(member),
    }
    scene.out.sort_by_key(|write| (write.at, write.order));
    scene.out
}

use Output::{Stderr, Stdout};

type Fixed = &'static [(i64, Output, &'static str)];

const TRAINER_BOOT: Fixed = &[
    (1_200, Stdout, "config: configs/llama3-8b-sft.yaml\n"),
    (
        1_201,
        Stdout,
        "world size 2, bf16, gradient checkpointing on, micro batch 8, accumulation 4\n",
    ),
    (3_900, Stderr, "NCCL version 2.21.5+cuda12.4\n"),
    (
        9_400,
        Stdout,
        "loading meta-llama/Meta-Llama-3-8B (4 shards)\n",
    ),
    (
        22_000,
        Stderr,
        "\rLoading checkpoint shards:  25%|██▌       | 1/4 [00:11<00:34, 11.6s/it]",
    ),
    (
        33_500,
        Stderr,
        "\rLoading checkpoint shards:  50%|█████     | 2/4 [00:23<00:23, 11.5s/it]",
    ),
    (
        44_800,
        Stderr,
        "\rLoading checkpoint shards:  75%|███████▌  | 3/4 [00:34<00:11, 11.4s/it]",
    ),
    (
        55_900,
        Stderr,
        "\rLoading checkpoint shards: 100%|██████████| 4/4 [00:45<00:00, 11.3s/it]\n",
    ),
    (
        71_000,
        Stdout,
        "dataset: 1,536,000 rows train, 4,096 rows eval, packed to 4096 tokens\n",
    ),
    (94_000, Stdout, "compiled; first step follows\n"),
];

const SERVER: Fixed = &[
    (900, Stdout, "serve-x 2.1 (torch 2.9.0+cu130)\n"),
    (1_400, Stdout, "model acme/x-13b, 1 GPU\n"),
    (
        5_100,
        Stderr,
        "/usr/local/lib/python3.12/site-packages/torch/cuda/__init__.py:182: UserWarning: CUDA initialization: The NVIDIA driver on your system is too old (found version 12040). Please update your GPU driver by downloading and installing a new version from the URL: http://www.nvidia.com/Download/index.aspx (Triggered internally at /pytorch/c10/cuda/CUDAFunctions.cpp:119.)\n",
    ),
    (
        5_101,
        Stderr,
        "  return torch._C._cuda_getDeviceCount() > 0\n",
    ),
    (6_900, Stderr, "Traceback (most recent call last):\n"),
    (
        6_901,
        Stderr,
        "  File \"/app/serve_x/__main__.py\", line 41, in <module>\n",
    ),
    (
        6_902,
        Stderr,
        "    engine = Engine.load(args.model, device=\"cuda\")\n",
    ),
    (
        6_903,
        Stderr,
        "  File \"/app/serve_x/engine.py\", line 88, in load\n",
    ),
    (
        6_904,
        Stderr,
        "    _check(cudart.cudaGetDeviceCount(byref(count)))\n",
    ),
    (
        6_905,
        Stderr,
        "RuntimeError: CUDA error 35: CUDA driver version is insufficient for CUDA runtime version\n",
    ),
];

const BACKUP: Fixed = &[
    (200, Stderr, "pg_dump: last built-in OID is 16383\n"),
    (400, Stderr, "pg_dump: reading schemas\n"),
    (
        2_100,
        Stderr,
        "pg_dump: dumping contents of table \"public.runs\"\n",
    ),
    (
        17_800,
        Stderr,
        "pg_dump: dumping contents of table \"public.metrics\"\n",
    ),
    (
        40_700,
        Stderr,
        "pg_dump: dumping contents of table \"public.users\"\n",
    ),
];

const EVALUATION_BOOT: Fixed = &[
    (
        4_000,
        Stdout,
        "INFO  [config.py:1604] Using max model len 8192\n",
    ),
    (
        9_000,
        Stdout,
        "INFO  [core.py:69] Initializing a V1 LLM engine (v0.9.0) with model acme/chat-7b, dtype=bfloat16, tensor_parallel_size=1\n",
    ),
    (
        31_000,
        Stdout,
        "INFO  [gpu_model_runner.py:1531] Model loading took 14.2717 GiB and 18.402 seconds\n",
    ),
    (
        52_000,
        Stdout,
        "INFO  [kv_cache_utils.py:637] GPU KV cache size: 436,912 tokens\n",
    ),
    (
        71_000,
        Stdout,
        "INFO  [core.py:171] init engine (profile, create kv cache, warmup model) took 39.71 seconds\n",
    ),
];

/// One run, seen through a stretch of its time.
struct Scene<'a> {
    world: &'a World,
    run: &'a Run,
    dice: Dice,
    from: i64,
    to: i64,
    tty: bool,
    out: Vec<Write>,
}

impl Scene<'_> {
    fn say(&mut self, at: i64, order: u16, output: Output, text: impl Into<String>) {
        if at < self.from || at >= self.to {
            return;
        }
        let mut text = text.into();
        if self.tty {
            // The terminal's line discipline.
            text = text.replace('\n', "\r\n");
        }
        let output = if self.tty { Stdout } else { output };
        self.out.push(Write {
            at,
            order,
            output,
            text,
        });
    }

    fn fixed(&mut self, lines: Fixed) {
        for (at, output, text) in lines {
            self.say(*at, 0, *output, *text);
        }
    }

    /// Calls `line` for each k whose moment `first + k * period` (with jitter) may lie in the stretch.
    fn every(&mut self, first: i64, period: i64, mut line: impl FnMut(&mut Self, i64, i64)) {
        let low = ((self.from - first).div_euclid(period) - 1).max(0);
        let high = (self.to - first).div_euclid(period);
        let jitter = self.dice;
        for k in low..=high {
            let at = first + k * period + (jitter.unit(k as u64) * period as f64 * 0.3) as i64;
            line(self, k, at);
        }
    }

    fn clock(&self, at: i64) -> Timestamp {
        self.world.wall(self.run.when(at))
    }

    /// When a signal that it handles came, in milliseconds of the run.
    fn term(&self) -> Option<i64> {
        self.run.term.map(|t| self.run.elapsed(t))
    }

    fn trainer(&mut self) {
        self.fixed(TRAINER_BOOT);
        let base = self.run.base;
        if base > 0 {
            let text = format!("resuming from /runs/checkpoint-{base}\n");
            self.say(60_000, 0, Stdout, text);
        }
        let term = self.term();
        let lost = self.run.worker_lost.map(|t| self.run.elapsed(t));
        let stop = [term, lost].into_iter().flatten().min().unwrap_or(i64::MAX);
        self.steps(base, stop);
        if let Some(at) = term.filter(|at| *at >= LOAD) {
            let step = training::progress(base, at).step;
            self.say(at, 8, Stderr, "\n");
            self.say(
                at,
                9,
                Stderr,
                format!("[W] SIGTERM received at step {step}: saving a checkpoint before exit\n"),
            );
            if self.run.end.is_none_or(|end| end.cause == Cause::Exit) {
                let text = format!("saved /runs/checkpoint-{step} (6.0 s)\n");
                self.say(at + LAST_CHECKPOINT, 0, Stdout, text);
            }
        }
        if let Some(at) = lost {
            for (order, line) in (10..).zip([
                "\n",
                "W torch.multiprocessing.spawn: Terminating process via signal SIGTERM\n",
                "Traceback (most recent call last):\n",
                "  File \"/workspace/train.py\", line 212, in <module>\n",
                "    mp.start_processes(main, nprocs=args.gpus)\n",
                "torch.multiprocessing.spawn.ProcessExitedException: process 1 terminated with signal SIGKILL\n",
            ]) {
                self.say(at + WORKER_LOST - 100, order, Stderr, line);
            }
        }
        let done = training::finish(base) + 2_000;
        if stop > done {
            self.say(done, 0, Stderr, "\n");
            self.say(done, 1, Stdout, "training finished; model in /runs/final\n");
        }
    }

    fn steps(&mut self, base: i64, stop: i64) {
        let to = self.to.min(stop);
        let first = training::progress(base, self.from).step.max(base + 1);
        for step in first..=TOTAL {
            let at = training::step_end(base, step);
            if at >= to {
                break;
            }
            let loss = training::loss(self.dice, step);
            self.say(at, 0, Stderr, bar(base, step, at, loss, self.dice));
            if step % training::LOG_EVERY == 0 {
                let rate = training::learning_rate(step);
                let norm = 0.41 + 0.2 * self.dice.unit(step as u64 ^ 0x6e6f);
                self.say(at, 1, Stderr, "\n");
                self.say(
                    at,
                    2,
                    Stdout,
                    format!(
                        "{{'step': {step}, 'loss': {loss:.4}, 'grad_norm': {norm:.3}, 'learning_rate': \
                         {rate:.3e}, 'epoch': {:.3}}}\n",
                        step as f64 / 24_000.0
                    ),
                );
            }
            if step % training::EVAL_EVERY == 0 {
                let held_out = training::eval_loss(self.dice, step);
                let text = format!(
                    "{{'eval_loss': {held_out:.4}, 'eval_runtime': 23.9, 'step': {step}}}\n"
                );
                if at + EVAL < stop {
                    self.say(at + EVAL, 3, Stdout, text);
                }
            }
            if step % training::CHECKPOINT_EVERY == 0 && at + EVAL < stop {
                let text = format!("saving /runs/checkpoint-{step}\n");
                self.say(at + EVAL, 4, Stdout, text);
                if at + EVAL + CHECKPOINT < stop {
                    let text = format!("saved /runs/checkpoint-{step} (31.0 s)\n");
                    self.say(at + EVAL + CHECKPOINT, 0, Stdout, text);
                }
            }
        }
    }

    fn evaluation(&mut self) {
        self.fixed(EVALUATION_BOOT);
        // The card is lost at a time of the story, not of the run.
        let lost = lost_since() - self.run.start;
        self.every(80_000, 30_000, |scene, k, at| {
            if at >= lost {
                return;
            }
            let rate = 5_600.0 + 700.0 * scene.dice.wave(at, 120_000);
            let running = 200 + scene.dice.below(k as u64, 56);
            scene.say(
                at,
                0,
                Stdout,
                format!(
                    "INFO  [loggers.py:111] Avg generation throughput: {rate:.1} tokens/s, Running: {running} \
                     reqs, Waiting: {} reqs, GPU KV cache usage: {:.1}%\n",
                    scene.dice.below(k as u64 ^ 1, 900),
                    71.0 + 20.0 * scene.dice.unit(k as u64 ^ 2)
                ),
            );
        });
        for (order, text) in (0..).zip([
            "ERROR [core.py:489] EngineCore encountered a fatal error.\n",
            "ERROR [core.py:489] RuntimeError: CUDA error: unspecified launch failure\n",
            "ERROR [core.py:489] CUDA kernel errors might be asynchronously reported at some other API call, so the stacktrace below might be incorrect.\n",
            "WARN  [evaluator.py:377] engine is gone; keeping 41,208 requests in memory to resubmit\n",
        ]) {
            self.say(lost + 900, order, Stderr, text);
        }
        self.every(lost + 15_000, 45_000, |scene, k, at| {
            let held = 21.0 + 2.9 * (k + 1) as f64;
            scene.say(
                at,
                0,
                Stderr,
                format!(
                    "WARN  [evaluator.py:391] resubmit {} failed: no device; host memory {held:.1} of 64.0 GiB\n",
                    k + 1
                ),
            );
        });
    }
}

/// tqdm's bar for a pipe: ten cells, redrawn with a carriage return.
fn bar(base: i64, step: i64, at: i64, loss: f64, dice: Dice) -> String {
    const EIGHTHS: [char; 8] = [' ', '▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    let eighths = usize::try_from(step * 80 / TOTAL).unwrap_or(0);
    let mut cells: String = "█".repeat(eighths / 8);
    if eighths < 80 {
        cells.push(EIGHTHS.get(eighths % 8).copied().unwrap_or(' '));
        cells.push_str(&" ".repeat(9 - eighths / 8));
    }
    let spent = (at - LOAD) / 1000;
    let pace = (at - LOAD) as f64 / 1000.0 / (step - base).max(1) as f64;
    let left = (TOTAL - step) as f64 * pace;
    let shown = 1.87 + (dice.unit(step as u64 ^ 0x7170) - 0.5) * 0.04;
    format!(
        "\rTraining: {:>3}%|{cells}| {step}/{TOTAL} [{}<{}, {shown:.2}s/it, loss={loss:.3}]",
        step * 100 / TOTAL,
        hours(spent),
        hours(left as i64)
    )
}

fn hours(seconds: i64) -> String {
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if h > 0 {
        format!("{h}:{m:02}:{s:02}")
    } else {
        format!("{m:02}:{s:02}")
    }
}

/// What the training does at a time of the story; `None` when it does not run.
pub(super) fn training_phase(run: &Run, t: T) -> Option<(training::Progress, bool)> {
    if run.end.is_some() {
        return None;
    }
    let at = run.term.unwrap_or(t).min(t);
    let at = run.worker_lost.map_or(at, |lost| lost.min(at));
    let progress = training::progress(run.base, run.elapsed(at));
    let ending = run.term.is_some() || run.worker_lost.is_some() || progress.phase == Phase::Done;
    Some((progress, ending))
}
