//! The last launches and the presets: each a line as it would be typed, kept in a file of its own.

use serde::{Deserialize, Serialize};

use crate::launch::{LaunchSpec, Surroundings};
use crate::model::looks_secret;
use crate::model::text::clean;
use crate::tui::form::line;

/// Launches kept.
const LAST: usize = 20;
/// Presets kept; their list has to be read.
const PRESETS: usize = 50;
/// Bytes of a line that is kept.
const LONGEST: usize = 64 << 10;

/// A preset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preset {
    /// What it is called.
    pub name: String,
    /// `docker run …`, or `midwatch run --free …`.
    pub line: String,
}

/// Everything that is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
pub struct Launches {
    /// Newest first.
    pub last: Vec<String>,
    /// In the order of their making.
    pub presets: Vec<Preset>,
}

/// A change of what is kept. It is applied to the file as it is then: another midwatch may have changed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keep {
    /// This was launched.
    Last(String),
    /// Keep this as a preset, in the place of one of the same name.
    Preset(Preset),
    /// Forget the preset of this name.
    Forget(String),
}

impl Launches {
    /// Applies a change.
    pub fn keep(&mut self, change: Keep) {
        match change {
            Keep::Last(line) => {
                self.last.retain(|l| *l != line);
                self.last.insert(0, line);
                self.last.truncate(LAST);
            }
            Keep::Preset(preset) => {
                match self.presets.iter_mut().find(|p| p.name == preset.name) {
                    Some(old) => *old = preset,
                    None => self.presets.push(preset),
                }
                let over = self.presets.len().saturating_sub(PRESETS);
                self.presets.drain(..over);
            }
            Keep::Forget(name) => self.presets.retain(|p| p.name != name),
        }
    }

    /// Everything in the order of the list: presets, then the last ones; a name where it has one.
    pub fn lines(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        let presets = self
            .presets
            .iter()
            .map(|p| (Some(p.name.as_str()), p.line.as_str()));
        presets.chain(self.last.iter().map(|line| (None, line.as_str())))
    }
}

/// A launch as a line that may be kept, and the names of the variables whose values were left out: what looks
/// like a secret is taken from the environment of whoever launches again.
pub fn kept(spec: &LaunchSpec) -> (String, Vec<String>) {
    let mut spec = spec.clone();
    let mut left_out = Vec::new();
    for var in &mut spec.env {
        if var.value.is_some() && looks_secret(&var.name) {
            var.value = None;
            left_out.push(clean(&var.name, 60));
        }
    }
    (line::one_line(&line::of(&spec)), left_out)
}

/// Reads a kept line again.
///
/// # Errors
/// It is no launch, or was made longer than any launch is.
pub fn read(line: &str, surroundings: &Surroundings) -> Result<LaunchSpec, String> {
    if line.len() > LONGEST {
        return Err("the line is too long".to_owned());
    }
    line::read(line, surroundings).map_err(|why| clean(&why, 300))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::{EnvVar, GpuAsk, Which};

    #[test]
    fn the_last_ones_are_kept_once_and_not_for_ever() {
        let mut launches = Launches::default();
        for number in 0..30 {
            launches.keep(Keep::Last(format!("docker run x{number}")));
        }
        launches.keep(Keep::Last("docker run x15".into()));
        assert_eq!(launches.last.len(), LAST);
        assert_eq!(launches.last[0], "docker run x15");
        assert_eq!(launches.last[1], "docker run x29");
        let again = launches.last.iter().filter(|l| l.ends_with("x15"));
        assert_eq!(again.count(), 1);
    }

    #[test]
    fn a_preset_takes_the_place_of_its_name() {
        let mut launches = Launches::default();
        let preset = |name: &str, line: &str| {
            Keep::Preset(Preset {
                name: name.into(),
                line: line.into(),
            })
        };
        launches.keep(preset("a", "docker run 1"));
        launches.keep(preset("b", "docker run 2"));
        launches.keep(preset("a", "docker run 3"));
        launches.keep(Keep::Last("docker run 4".into()));
        let lines: Vec<_> = launches.lines().collect();
        let all = [
            (Some("a"), "docker run 3"),
            (Some("b"), "docker run 2"),
            (None, "docker run 4"),
        ];
        assert_eq!(lines, all);
        launches.keep(Keep::Forget("a".into()));
        assert_eq!(launches.presets.len(), 1);
    }

    #[test]
    fn a_line_comes_back_without_its_secrets() {
        let var = |name: &str, value: &str| EnvVar {
            name: name.into(),
            value: Some(value.into()),
        };
        let spec = LaunchSpec {
            image: "my-train:0.4".into(),
            env: vec![var("HF_TOKEN", "hf_abc"), var("EPOCHS", "3")],
            gpus: Some(GpuAsk::of(Which::Free(2))),
            command: vec!["python".into(), "train me.py".into()],
            ..LaunchSpec::default()
        };
        let (line, left_out) = kept(&spec);
        assert!(!line.contains("hf_abc"), "{line}");
        assert_eq!(left_out, ["HF_TOKEN"]);
        let mut want = spec;
        want.env[0].value = None;
        assert_eq!(read(&line, &Surroundings::default()), Ok(want), "{line}");
        assert!(read(&"x ".repeat(LONGEST), &Surroundings::default()).is_err());
        assert!(read("rm -rf /", &Surroundings::default()).is_err());
    }
}
