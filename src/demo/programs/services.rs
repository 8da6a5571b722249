//! What the notebook and the services write.

use super::{Output, Scene, lost_since};

use Output::{Stderr, Stdout};

impl Scene<'_> {
    pub(super) fn notebook(&mut self) {
        let stamp = |scene: &Self, at: i64| {
            scene
                .clock(at)
                .strftime("\u{1b}[32m[I %Y-%m-%d %H:%M:%S.%3f ServerApp]\u{1b}[m ")
                .to_string()
        };
        for (at, text) in [
            (
                2_000,
                "Serving notebooks from local directory: /home/jovyan\n",
            ),
            (2_001, "Jupyter Server 2.16.0 is running at:\n"),
            (2_002, "http://notebook:8888/lab?token=...\n"),
            (
                184_000,
                "Kernel started: 7c1f6a0e-5d0c-4b57-9f63-2f0f3a2b8e11\n",
            ),
        ] {
            let line = stamp(self, at) + text;
            self.say(at, 0, Stdout, line);
        }
        self.every(300_000, 120_000, |scene, k, at| {
            // Bob saved his notebook until he went to bed, seven hours before the start.
            if scene.run.when(at) < -7 * 3_600_000 && scene.dice.unit(k as u64 ^ 9) < 0.4 {
                let line = stamp(scene, at) + "Saving file at /notebooks/attention-maps.ipynb\n";
                scene.say(at, 0, Stdout, line);
            }
        });
        if let Some(lost) = self.run.worker_lost {
            let at = self.run.elapsed(lost) + 2_000;
            let line = stamp(self, at)
                + "AsyncIOLoopKernelRestarter: restarting kernel (1/5), keep random ports\n";
            self.say(at, 0, Stdout, line);
        }
        if let Some(at) = self.term() {
            let line = stamp(self, at) + "Shutting down on terminate signal\n";
            self.say(at, 0, Stdout, line);
        }
    }

    pub(super) fn redis(&mut self) {
        let line = |scene: &Self, at: i64, text: &str| {
            let time = scene.clock(at).strftime("%d %b %Y %H:%M:%S.%3f");
            format!("1:M {time} * {text}\n")
        };
        for (at, text) in [
            (
                120,
                "Redis version=7.4.5, bits=64, commit=00000000, modified=0, pid=1, just started",
            ),
            (140, "Running mode=standalone, port=6379."),
            (190, "Ready to accept connections tcp"),
        ] {
            let text = line(self, at, text);
            self.say(at, 0, Stdout, text);
        }
        self.every(60_000, 73_000, |scene, k, at| {
            let changes = 1 + scene.dice.below(k as u64, 400);
            let pid = 20 + k;
            for (after, text) in [
                (0, format!("{changes} changes in 60 seconds. Saving...")),
                (3, format!("Background saving started by pid {pid}")),
                (110, "Background saving terminated with success".to_owned()),
            ] {
                let text = line(scene, at + after, &text);
                scene.say(at + after, 0, Stdout, text);
            }
        });
        if let Some(at) = self.term() {
            let text = line(self, at, "User requested shutdown...");
            self.say(at, 0, Stdout, text);
            let text = line(self, at + 240, "Redis is now ready to exit, bye bye...");
            self.say(at + 240, 0, Stdout, text);
        }
    }

    pub(super) fn postgres(&mut self) {
        let line = |scene: &Self, at: i64, text: &str| {
            let time = scene.clock(at).strftime("%Y-%m-%d %H:%M:%S.%3f UTC");
            format!("{time} [27] LOG:  {text}\n")
        };
        let text = line(self, 900, "database system is ready to accept connections");
        self.say(900, 0, Stderr, text);
        self.every(300_000, 300_000, |scene, k, at| {
            let buffers = 40 + scene.dice.below(k as u64, 900);
            let text = line(scene, at, "checkpoint starting: time");
            scene.say(at, 0, Stderr, text);
            let took = 1_000 + buffers as i64 * 100;
            let done = format!(
                "checkpoint complete: wrote {buffers} buffers ({:.1}%); 0 WAL file(s) added, 0 removed, 0 \
                 recycled; write={:.3} s, sync=0.011 s, total={:.3} s",
                buffers as f64 / 163.84,
                took as f64 / 1000.0,
                took as f64 / 1000.0 + 0.02
            );
            let text = line(scene, at + took, &done);
            scene.say(at + took, 0, Stderr, text);
        });
        if let Some(at) = self.term() {
            let text = line(self, at, "received fast shutdown request");
            self.say(at, 0, Stderr, text);
            let text = line(self, at + 400, "database system is shut down");
            self.say(at + 400, 0, Stderr, text);
        }
    }

    pub(super) fn grafana(&mut self) {
        self.every(2_000, 41_000, |scene, k, at| {
            let time = scene.clock(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
            let text = if k % 14 == 0 {
                format!("logger=cleanup t={time} level=info msg=\"Completed cleanup jobs\" duration=14.1ms\n")
            } else {
                format!(
                    "logger=context userId=0 orgId=0 t={time} level=info msg=\"Request Completed\" method=GET \
                     path=/api/health status=200 duration={}ms\n",
                    1 + scene.dice.below(k as u64, 9)
                )
            };
            scene.say(at, 0, Stdout, text);
        });
    }

    pub(super) fn prometheus(&mut self) {
        self.every(1_500, 7_200_000, |scene, k, at| {
            let time = scene.clock(at).strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
            scene.say(
                at,
                0,
                Stderr,
                format!(
                    "time={time} level=INFO source=compact.go:588 msg=\"write block\" component=tsdb duration={}.{:03}s\n",
                    1 + k % 3,
                    scene.dice.below(k as u64, 1000)
                ),
            );
        });
    }

    pub(super) fn exporter(&mut self) {
        for (at, text) in [
            (400, "Starting dcgm-exporter\n"),
            (2_100, "DCGM successfully initialized!\n"),
            (3_300, "Starting webserver\n"),
        ] {
            let time = self.clock(at).strftime("%Y/%m/%d %H:%M:%S");
            let line = format!("{time} INFO {text}");
            self.say(at, 0, Stderr, line);
        }
        let lost = lost_since() - self.run.start;
        self.every(lost, 30_000, |scene, _, at| {
            let time = scene.clock(at).strftime("%Y/%m/%d %H:%M:%S");
            scene.say(
                at,
                0,
                Stderr,
                format!("{time} ERROR Failed to collect metrics for GPU 3: GPU is lost\n"),
            );
        });
    }
}
