//! What the programs of containers that users made write.

use super::{GPU_AFTER, Output, READY_AFTER, SMI_LIFE, Scene};
use crate::demo::cast::DRIVER;
use crate::demo::facts;
use crate::demo::world::Member;

use Output::{Stderr, Stdout};

/// A training's steps, milliseconds.
const STEP: i64 = 2_000;

fn gpus(member: &Member) -> usize {
    member.made.as_ref().map_or(0, |made| made.gpus.len())
}

impl Scene<'_> {
    /// A training: without GPUs it says so and goes on.
    pub(super) fn training(&mut self, member: &Member) {
        let count = gpus(member);
        self.say(
            400,
            0,
            Stdout,
            format!("$ {}\n", facts::command_line(member.role)),
        );
        let found = match count {
            0 => "torch.cuda.is_available() is False: training on the CPU\n".to_owned(),
            count => format!("{count} x NVIDIA H100 80GB HBM3, bf16\n"),
        };
        self.say(GPU_AFTER, 0, Stdout, found);
        self.say(READY_AFTER, 0, Stdout, "model and data are loaded\n");
        self.every(READY_AFTER + STEP, STEP, |scene, k, at| {
            let step = k + 1;
            let loss = 1.1 + 1.6 / (1.0 + step as f64 / 90.0) + 0.03 * scene.dice.unit(k as u64);
            scene.say(at, 0, Stdout, format!("step {step}: loss {loss:.4}\n"));
        });
        if let Some(at) = self.term() {
            self.say(
                at,
                9,
                Stderr,
                "SIGTERM received: saving a checkpoint before exit\n",
            );
        }
    }

    /// A server.
    pub(super) fn serving(&mut self, member: &Member) {
        let port = member
            .role
            .ports
            .first()
            .map_or(8000, |(inside, _)| *inside);
        self.say(
            400,
            0,
            Stdout,
            format!("$ {}\n", facts::command_line(member.role)),
        );
        let found = match gpus(member) {
            0 => "INFO:     no GPU: serving on the CPU\n".to_owned(),
            count => format!("INFO:     {count} x NVIDIA H100 80GB HBM3\n"),
        };
        self.say(GPU_AFTER, 0, Stderr, found);
        self.say(
            READY_AFTER,
            0,
            Stderr,
            "INFO:     Application startup complete.\n",
        );
        let running =
            format!("INFO:     Uvicorn running on http://0.0.0.0:{port} (Press CTRL+C to quit)\n");
        self.say(READY_AFTER, 1, Stderr, running);
        self.every(READY_AFTER + 4_000, 7_000, |scene, k, at| {
            let last = scene.dice.below(k as u64, 250) + 2;
            let line = format!(
                "INFO:     172.17.0.{last}:41{:03} - \"POST /v1/completions HTTP/1.1\" 200 OK\n",
                last * 3
            );
            scene.say(at, 0, Stdout, line);
        });
        if let Some(at) = self.term() {
            self.say(at, 9, Stderr, "INFO:     Shutting down\n");
        }
    }

    /// `nvidia-smi`, in its short form.
    pub(super) fn smi(&mut self, member: &Member) {
        let gpus = member.made.as_ref().map_or(&[][..], |made| &made.gpus);
        if gpus.is_empty() {
            let line = "NVIDIA-SMI couldn't find libnvidia-ml.so library in your system.\n";
            self.say(SMI_LIFE / 2, 0, Stdout, line);
            return;
        }
        let line = format!("NVIDIA-SMI {DRIVER}   Driver Version: {DRIVER}   CUDA Version: 12.4\n");
        self.say(SMI_LIFE / 2, 0, Stdout, line);
        for (order, _) in (1..).zip(gpus) {
            let line = format!("GPU {}: NVIDIA H100 80GB HBM3\n", order - 1);
            self.say(SMI_LIFE / 2, order, Stdout, line);
        }
    }

    /// Anything else.
    pub(super) fn job(&mut self, member: &Member) {
        self.say(
            300,
            0,
            Stdout,
            format!("$ {}\n", facts::command_line(member.role)),
        );
        self.every(10_000, 60_000, |scene, k, at| {
            scene.say(at, 0, Stdout, format!("still running, {} min\n", k));
        });
    }
}
