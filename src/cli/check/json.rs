//! The `midwatch/check/v1` document.

use std::collections::BTreeMap;

use serde::Serialize;

use super::report::{Entry, Judged, Report};
use crate::verdict::facts::{Build, CudaLibrary, Framework, HostFacts, ImageFacts, Scan};
use crate::verdict::matrix::Matrix;
use crate::verdict::{Answer, Finding};

/// The document.
#[derive(Debug, Serialize)]
pub struct CheckJson<'a> {
    schema: &'static str,
    host: HostJson<'a>,
    images: Vec<ImageJson<'a>>,
}

#[derive(Debug, Serialize)]
struct HostJson<'a> {
    driver_version: Option<String>,
    cuda_driver_version: Option<String>,
    gpus: Vec<GpuJson<'a>>,
    mode: &'static str,
    toolkit_version: Option<String>,
    hypothetical: bool,
}

#[derive(Debug, Serialize)]
struct GpuJson<'a> {
    id: &'a str,
    name: &'a str,
    compute_capability: Option<String>,
    brand: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ImageJson<'a> {
    image: &'a str,
    id: Option<&'a str>,
    platform: Option<&'a str>,
    verdict: &'static str,
    scan: Option<&'static str>,
    /// What is missing for an answer, in words.
    unknown: Vec<&'a str>,
    /// Why it could not be looked at.
    problem: Option<String>,
    python: Option<&'a str>,
    libc: Option<String>,
    cuda: CudaJson<'a>,
    frameworks: Vec<FrameworkJson<'a>>,
    libraries: Vec<LibraryJson<'a>>,
    findings: Vec<FindingJson<'a>>,
    /// Ids of the GPUs it was judged for.
    gpus: Vec<&'a str>,
    /// With `--matrix`: every driver branch against every GPU generation.
    matrix: Option<Vec<CellJson>>,
}

#[derive(Debug, Serialize)]
struct CellJson {
    driver_branch: u32,
    cuda_driver_version: String,
    gpu: String,
    compute_capability: String,
    verdict: &'static str,
    rule: Option<String>,
    /// The branch does not know the GPU: there is no such machine.
    impossible: bool,
}

fn matrix(matrix: &Matrix) -> Vec<CellJson> {
    let mut cells = Vec::new();
    for row in &matrix.rows {
        for (gpu, cell) in matrix.gpus.iter().zip(&row.cells) {
            cells.push(CellJson {
                driver_branch: row.branch,
                cuda_driver_version: row.cuda.to_string(),
                gpu: gpu.model.clone(),
                compute_capability: gpu.capability.to_string(),
                verdict: cell.answer.as_str(),
                rule: cell.rule.map(|r| r.to_string()),
                impossible: cell.impossible,
            });
        }
    }
    cells
}

#[derive(Debug, Default, Serialize)]
struct CudaJson<'a> {
    runtime: Option<String>,
    runtimes: Vec<String>,
    toolkit: Option<String>,
    declared: Option<String>,
    requires: Option<&'a str>,
    compat: Option<String>,
    cudnn: Option<&'a str>,
    nccl: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct FrameworkJson<'a> {
    name: &'a str,
    version: Option<&'a str>,
    cuda: Option<String>,
    build: &'static str,
    place: &'a str,
    on_path: Option<bool>,
    library: Option<&'a str>,
    sass: Vec<String>,
    ptx: Vec<String>,
    missing: &'a [String],
    evidence: &'a str,
}

#[derive(Debug, Serialize)]
struct LibraryJson<'a> {
    path: &'a str,
    size_bytes: u64,
    containers: u32,
    sass: BTreeMap<String, f64>,
    ptx: Vec<String>,
    ptx_relocatable: Vec<String>,
    problem: Option<&'a str>,
}

/// A finding, here and in `doctor`.
#[derive(Debug, Serialize)]
pub struct FindingJson<'a> {
    rule: String,
    severity: &'static str,
    title: &'a str,
    evidence: &'a [String],
    remedy: &'a [String],
    gpus: &'a [String],
}

/// The document of a report.
pub fn document(report: &Report) -> CheckJson<'_> {
    CheckJson {
        schema: "midwatch/check/v1",
        host: host(&report.host),
        images: report.entries.iter().map(|e| image(report, e)).collect(),
    }
}

fn host(host: &HostFacts) -> HostJson<'_> {
    HostJson {
        driver_version: host.driver.as_ref().map(ToString::to_string),
        cuda_driver_version: host.cuda.as_ref().map(ToString::to_string),
        gpus: host
            .gpus
            .iter()
            .map(|gpu| GpuJson {
                id: &gpu.id,
                name: &gpu.name,
                compute_capability: gpu.capability.map(|c| c.to_string()),
                brand: gpu.brand.as_deref(),
            })
            .collect(),
        mode: host.injection.as_str(),
        toolkit_version: host.toolkit.as_ref().map(ToString::to_string),
        hypothetical: host.hypothetical,
    }
}

fn image<'a>(report: &Report, entry: &'a Entry) -> ImageJson<'a> {
    match entry {
        Entry::Judged(judged) => ImageJson {
            matrix: report.matrix(judged).map(|m| self::matrix(&m)),
            ..of(judged)
        },
        Entry::Failed { name, problem } => ImageJson {
            image: name,
            id: None,
            platform: None,
            verdict: Answer::Unknown.as_str(),
            scan: None,
            unknown: Vec::new(),
            problem: Some(problem.to_string()),
            python: None,
            libc: None,
            cuda: CudaJson::default(),
            frameworks: Vec::new(),
            libraries: Vec::new(),
            findings: Vec::new(),
            gpus: Vec::new(),
            matrix: None,
        },
    }
}

fn of(judged: &Judged) -> ImageJson<'_> {
    let facts = &judged.facts;
    ImageJson {
        image: &judged.name,
        id: judged.id.as_deref(),
        platform: facts.platform.as_deref(),
        verdict: judged.verdict.answer.as_str(),
        scan: Some(match facts.scan {
            Scan::Config => "config",
            Scan::Full => "full",
        }),
        unknown: judged.verdict.unknown.iter().map(String::as_str).collect(),
        problem: None,
        python: facts.python.as_deref(),
        libc: super::text::libc(facts),
        cuda: cuda(facts),
        frameworks: facts
            .frameworks
            .iter()
            .map(|f| framework(facts, f))
            .collect(),
        libraries: facts.libraries.iter().map(library).collect(),
        findings: judged.verdict.findings.iter().map(finding).collect(),
        gpus: judged.host.gpus.iter().map(|g| g.id.as_str()).collect(),
        matrix: None,
    }
}

fn cuda(facts: &ImageFacts) -> CudaJson<'_> {
    let requires = facts.requirements.predicates.iter();
    CudaJson {
        runtime: super::text::runtime(facts),
        runtimes: facts
            .runtimes
            .iter()
            .map(|r| r.version.to_string())
            .collect(),
        toolkit: facts.toolkit.as_ref().map(ToString::to_string),
        declared: facts.declared_cuda.as_ref().map(ToString::to_string),
        requires: requires
            .clone()
            .find(|(name, _)| name == "NVIDIA_REQUIRE_CUDA")
            .or_else(|| requires.clone().next())
            .map(|(_, value)| value.as_str()),
        compat: facts.compat.as_ref().map(|c| c.driver.to_string()),
        cudnn: facts.cudnn.as_deref(),
        nccl: facts.nccl.as_deref(),
    }
}

fn framework<'a>(facts: &ImageFacts, framework: &'a Framework) -> FrameworkJson<'a> {
    let main = framework
        .library
        .as_deref()
        .and_then(|path| facts.library(path));
    FrameworkJson {
        name: &framework.name,
        version: framework.version.as_deref(),
        cuda: match &framework.build {
            Build::Cuda(version) => version.as_ref().map(ToString::to_string),
            _ => None,
        },
        build: match framework.build {
            Build::Cuda(_) => "cuda",
            Build::Cpu => "cpu",
            Build::Rocm(_) => "rocm",
            Build::Unknown => "unknown",
        },
        place: &framework.place,
        on_path: framework.on_path,
        library: framework.library.as_deref(),
        sass: main.map_or_else(Vec::new, super::text::sass),
        ptx: main.map_or_else(Vec::new, super::text::ptx),
        missing: &framework.missing,
        evidence: &framework.evidence,
    }
}

fn library(library: &CudaLibrary) -> LibraryJson<'_> {
    let rounded = |share: f64| (share * 10_000.0).round() / 10_000.0;
    LibraryJson {
        path: &library.path,
        size_bytes: library.size_bytes,
        containers: library.code.containers(),
        sass: library
            .code
            .sass_shares()
            .into_iter()
            .map(|(target, share)| (target.sass_name(), rounded(share)))
            .collect(),
        ptx: unique(
            library
                .code
                .ptx_shares()
                .into_iter()
                .map(|(p, _)| p.target.ptx_name()),
        ),
        ptx_relocatable: unique(
            library
                .code
                .relocatable_ptx
                .iter()
                .map(|p| p.target.ptx_name()),
        ),
        problem: library.problem.as_deref(),
    }
}

/// In order, each once.
fn unique(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.dedup();
    names
}

/// A finding's keys.
pub fn finding(finding: &Finding) -> FindingJson<'_> {
    FindingJson {
        rule: finding.rule.to_string(),
        severity: finding.severity.as_str(),
        title: &finding.title,
        evidence: &finding.evidence,
        remedy: &finding.remedy,
        gpus: &finding.gpus,
    }
}
