//! An image's portability at a glance: every driver branch of the catalogue against every GPU generation.

use std::fmt;

use crate::model::ComputeCapability;

use super::catalogue::{Branch, Catalogue, GpuModel};
use super::facts::{HostFacts, HostGpu, ImageFacts, Injection};
use super::finding::{Answer, Rule};
use super::version::Version;

/// The generations, oldest first: one typical capability each; where a generation has two that builds tell
/// apart, both.
const GENERATIONS: [(&str, (u32, u32)); 11] = [
    ("Maxwell", (5, 2)),
    ("Pascal", (6, 0)),
    ("Volta", (7, 0)),
    ("Turing", (7, 5)),
    ("Ampere", (8, 0)),
    ("Ampere", (8, 6)),
    ("Ada", (8, 9)),
    ("Hopper", (9, 0)),
    ("Blackwell", (10, 0)),
    ("Blackwell", (12, 0)),
    ("Rubin", (10, 7)),
];

/// A column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generation {
    /// Architecture.
    pub name: String,
    /// Its typical capability.
    pub capability: ComputeCapability,
    /// The product it stands for: a data-center one where there is one, else a GeForce.
    pub model: String,
    /// That product's NVML brand.
    pub brand: Option<String>,
}

/// What a branch does with a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cell {
    /// What will happen.
    pub answer: Answer,
    /// The rule that decides, where it fails or is limited.
    pub rule: Option<Rule>,
    /// The branch does not know the GPU (MW108): such a machine cannot exist.
    pub impossible: bool,
}

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Driver branch; its newest build is taken.
    pub branch: u32,
    /// Its CUDA.
    pub cuda: Version,
    /// Whether NVIDIA still supports the branch.
    pub supported: bool,
    /// One for each generation.
    pub cells: Vec<Cell>,
}

/// Driver branches, oldest first, against GPU generations, oldest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matrix {
    /// The columns.
    pub gpus: Vec<Generation>,
    /// The rows.
    pub rows: Vec<Row>,
    /// How GPUs get in, as was assumed.
    pub injection: Injection,
}

/// Judges an image for every driver branch of the catalogue and every GPU generation; `injection` unknown is
/// the legacy hook, and `month` (`2026-11`) tells which branches are supported. The platform is the image's.
pub fn matrix(image: &ImageFacts, injection: Injection, month: &str) -> Matrix {
    let injection = match injection {
        Injection::Unknown => Injection::Legacy,
        known => known,
    };
    let gpus = generations();
    let rows = Catalogue::get()
        .branches
        .iter()
        .map(|branch| Row {
            branch: branch.branch,
            cuda: branch.cuda.clone(),
            supported: branch.is_supported(month),
            cells: gpus
                .iter()
                .map(|gpu| cell(image, branch, gpu, injection, month))
                .collect(),
        })
        .collect();
    Matrix {
        gpus,
        rows,
        injection,
    }
}

fn generations() -> Vec<Generation> {
    let find = |capability| {
        let of = |class: &str| {
            Catalogue::get()
                .gpus
                .iter()
                .find(|g| g.compute_capability == capability && g.class == class)
        };
        of("datacenter").or_else(|| of("geforce"))
    };
    GENERATIONS
        .iter()
        .map(|(name, (major, minor))| {
            let capability = ComputeCapability {
                major: *major,
                minor: *minor,
            };
            let model: Option<&GpuModel> = find(capability);
            Generation {
                name: (*name).to_owned(),
                capability,
                model: model.map_or_else(|| (*name).to_owned(), |m| m.name.clone()),
                brand: model.and_then(|m| m.brand.clone()),
            }
        })
        .collect()
}

fn cell(
    image: &ImageFacts,
    branch: &Branch,
    gpu: &Generation,
    injection: Injection,
    month: &str,
) -> Cell {
    let host = HostFacts {
        // A branch alone is its newest build.
        driver: Some(Version::from_parts(&[branch.branch])),
        cuda: Some(branch.cuda.clone()),
        gpus: vec![HostGpu {
            id: gpu.model.clone(),
            name: gpu.model.clone(),
            capability: Some(gpu.capability),
            brand: gpu.brand.clone(),
        }],
        injection,
        platform: image.platform.clone(),
        hypothetical: true,
        month: month.to_owned(),
        ..HostFacts::default()
    };
    let verdict = super::judge(image, &host);
    let decides = matches!(verdict.answer, Answer::Fails | Answer::Limited);
    Cell {
        answer: verdict.answer,
        rule: verdict.root().filter(|_| decides).map(|f| f.rule),
        impossible: verdict.findings.iter().any(|f| f.rule == Rule(108)),
    }
}

impl Cell {
    /// In at most six letters: `works`, `~MW104` where limited, `MW102` where it fails, `?`, nothing where
    /// there is no such machine.
    pub fn text(&self) -> String {
        let rule = || self.rule.map_or_else(String::new, |rule| rule.to_string());
        match self.answer {
            _ if self.impossible => String::new(),
            Answer::Works => "works".to_owned(),
            Answer::Limited => format!("~{}", rule()),
            Answer::Fails => rule(),
            Answer::NoCuda => "-".to_owned(),
            Answer::Unknown => "?".to_owned(),
        }
    }
}

impl fmt::Display for Matrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = |of: &dyn Fn(&Generation) -> String| -> String {
            self.gpus
                .iter()
                .map(|gpu| format!(" {:<9}", of(gpu)))
                .collect::<String>()
        };
        let line = |text: String| text.trim_end().to_owned();
        let head = format!(
            "{:<6} {:<5}{}",
            "DRIVER",
            "CUDA",
            heads(&|g| g.name.clone())
        );
        writeln!(f, "{}", line(head))?;
        let second = format!(
            "{:<12}{}",
            "",
            heads(&|g| format!("sm_{}{}", g.capability.major, g.capability.minor))
        );
        writeln!(f, "{}", line(second))?;
        for row in &self.rows {
            let cells: String = row
                .cells
                .iter()
                .map(|cell| format!(" {:<9}", cell.text()))
                .collect();
            let cuda = row.cuda.to_string();
            writeln!(f, "{}", line(format!("{:<6} {cuda:<5}{cells}", row.branch)))?;
        }
        Ok(())
    }
}
