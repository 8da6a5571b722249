//! The `NVIDIA_REQUIRE_*` grammar, exactly as the NVIDIA runtime's legacy hook evaluates it.
//!
//! A space is OR between groups, tested left to right, the first true one wins and later ones are not even
//! parsed; a comma is AND inside a group, tested left to right until the first false rule. A rule is
//! `key operator value`. Every variable must hold, for every visible GPU.
//!
//! Source: libnvidia-container `src/cli/dsl.c` and `configure.c`; nvidia-container-toolkit v1.20.0
//! `internal/config/image`.

use super::version::Version;

/// A host value as a rule may ask for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact<T> {
    /// Known.
    Known(T),
    /// The runtime would have no value either: a rule about it counts as true.
    CountsAsTrue,
    /// The runtime would know it and we do not (a hypothetical GPU named by `sm_120` has no brand).
    Unknown,
}

/// What the rules about one GPU are tested against.
#[derive(Debug, Clone, Copy)]
pub struct GpuTerms<'a> {
    /// Compute capability as a version (`9.0`).
    pub arch: Fact<&'a Version>,
    /// NVML brand, in the runtime's spelling (`tesla`, `nvidiartx`); compared without case, and without
    /// spaces, dashes and underscores.
    pub brand: Fact<&'a str>,
}

/// What a requirement is tested against.
#[derive(Debug, Clone, Copy)]
pub struct HostTerms<'a> {
    /// Highest CUDA of the host driver (never a compat library's).
    pub cuda: Fact<&'a Version>,
    /// Driver version.
    pub driver: Fact<&'a Version>,
    /// The visible GPUs; none: brand and arch rules count as true.
    pub gpus: &'a [GpuTerms<'a>],
}

/// How a requirement came out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds; by the last GPU's first true group (empty where nothing is asked).
    Satisfied {
        /// The group that held.
        by: String,
    },
    /// It does not hold for the visible GPU of this index (0 where there is none).
    Unsatisfied {
        /// Index into the visible GPUs.
        gpu: usize,
        /// The first group: what the runtime prints.
        condition: String,
        /// In each group, in order, the rule that failed.
        failed: Vec<String>,
    },
    /// It depends on a host value that is not known; this rule asks for it.
    Unknown {
        /// The rule.
        rule: String,
    },
    /// The runtime would refuse it as `invalid expression`; this piece is the reason.
    Invalid {
        /// The piece that cannot be read.
        piece: String,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Truth {
    True,
    False,
    Unknown,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

impl Operator {
    fn holds(self, order: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterEqual => order.is_ge(),
        }
    }
}

/// The text the runtime prints for an unsatisfied requirement.
pub fn runtime_message(condition: &str) -> String {
    if condition.starts_with("cuda>=") {
        format!(
            "unsatisfied condition: {condition}, please update your driver to a newer version, or use an earlier cuda container"
        )
    } else {
        format!("unsatisfied condition: {condition}")
    }
}

/// Evaluates one variable's value for every visible GPU.
pub fn evaluate(value: &str, host: &HostTerms<'_>) -> Outcome {
    if host.gpus.is_empty() {
        let nothing = GpuTerms {
            arch: Fact::CountsAsTrue,
            brand: Fact::CountsAsTrue,
        };
        return evaluate_gpu(value, host, &nothing, 0);
    }
    let mut unknown = None;
    let mut satisfied = Outcome::Satisfied { by: String::new() };
    for (index, gpu) in host.gpus.iter().enumerate() {
        match evaluate_gpu(value, host, gpu, index) {
            outcome @ Outcome::Satisfied { .. } => satisfied = outcome,
            outcome @ Outcome::Unknown { .. } => unknown = unknown.or(Some(outcome)),
            failed => return failed,
        }
    }
    unknown.unwrap_or(satisfied)
}

fn evaluate_gpu(value: &str, host: &HostTerms<'_>, gpu: &GpuTerms<'_>, index: usize) -> Outcome {
    let mut groups = value.split(' ').filter(|g| !g.is_empty()).peekable();
    let Some(first) = groups.peek().map(|g| (*g).to_owned()) else {
        return Outcome::Satisfied { by: String::new() };
    };
    let mut failed = Vec::new();
    let mut unknown = None;
    for group in groups {
        match group_truth(group, host, gpu) {
            Err(piece) => return Outcome::Invalid { piece },
            Ok((Truth::True, _)) => {
                return Outcome::Satisfied {
                    by: group.to_owned(),
                };
            }
            Ok((Truth::False, rule)) => failed.push(rule),
            Ok((Truth::Unknown, rule)) => unknown = unknown.or(Some(rule)),
        }
    }
    match unknown {
        Some(rule) => Outcome::Unknown { rule },
        None => Outcome::Unsatisfied {
            gpu: index,
            condition: first,
            failed,
        },
    }
}

/// The group's truth and the rule that decided it.
fn group_truth(
    group: &str,
    host: &HostTerms<'_>,
    gpu: &GpuTerms<'_>,
) -> Result<(Truth, String), String> {
    let mut unknown = None;
    for rule in group.split(',').filter(|r| !r.is_empty()) {
        match rule_truth(rule, host, gpu).ok_or_else(|| rule.to_owned())? {
            Truth::True => {}
            Truth::False => return Ok((Truth::False, rule.to_owned())),
            Truth::Unknown => unknown = unknown.or(Some(rule.to_owned())),
        }
    }
    Ok(match unknown {
        Some(rule) => (Truth::Unknown, rule),
        None => (Truth::True, String::new()),
    })
}

/// `None` is "invalid expression".
fn rule_truth(rule: &str, host: &HostTerms<'_>, gpu: &GpuTerms<'_>) -> Option<Truth> {
    let start = rule.find(is_operator_char)?;
    let (key, rest) = rule.split_at(start);
    let end = rest.find(|c| !is_operator_char(c)).unwrap_or(rest.len());
    let (operator, value) = rest.split_at(end);
    if value.is_empty() {
        return None;
    }
    let operator = match operator {
        "=" => Operator::Equal,
        // A lone "!" passes as "!=": the runtime compares by prefix.
        "!=" | "!" => Operator::NotEqual,
        "<" => Operator::Less,
        "<=" => Operator::LessEqual,
        ">" => Operator::Greater,
        ">=" => Operator::GreaterEqual,
        _ => return None,
    };
    let version = |fact: Fact<&Version>| {
        let wanted = Version::parse(value)?;
        Some(truth(fact, |have| operator.holds(have.cmp(&wanted))))
    };
    match key.to_ascii_lowercase().as_str() {
        "cuda" => version(host.cuda),
        "driver" => version(host.driver),
        "arch" => version(gpu.arch),
        "brand" => {
            let wanted_equal = match operator {
                Operator::Equal => true,
                Operator::NotEqual => false,
                _ => return None,
            };
            Some(truth(gpu.brand, |have| {
                same_brand(have, value) == wanted_equal
            }))
        }
        _ => None,
    }
}

fn truth<T: Copy>(fact: Fact<T>, test: impl FnOnce(T) -> bool) -> Truth {
    match fact {
        Fact::Known(value) if test(value) => Truth::True,
        Fact::Known(_) => Truth::False,
        Fact::CountsAsTrue => Truth::True,
        Fact::Unknown => Truth::Unknown,
    }
}

fn is_operator_char(c: char) -> bool {
    matches!(c, '<' | '>' | '=' | '!')
}

/// Brands compare without case; spaces, dashes and underscores do not count, as NVML's and the runtime's
/// spellings differ in them (`NVIDIA RTX`, `NvidiaRTX`, `nvidiartx`).
pub fn same_brand(a: &str, b: &str) -> bool {
    let letters = |text: &str| {
        text.chars()
            .filter(|c| !matches!(c, ' ' | '-' | '_'))
            .map(|c| c.to_ascii_lowercase())
            .collect::<String>()
    };
    letters(a) == letters(b)
}

/// What an image and its launch ask of the driver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requirements {
    /// Variable and value, in the order of the environment; the legacy one as `CUDA_VERSION`.
    pub predicates: Vec<(String, String)>,
    /// `NVIDIA_DISABLE_REQUIRE` switches the check off.
    pub disabled: bool,
    /// `CUDA_VERSION` is set and `NVIDIA_REQUIRE_CUDA` is not: the runtime asks `cuda>=MAJOR.MINOR`.
    pub legacy: bool,
    /// A legacy image's `CUDA_VERSION` that is no version: the hook fails on it.
    pub bad_cuda_version: Option<String>,
}

/// Reads the variables that the runtime reads. A later variable of the same name replaces an earlier one.
pub fn requirements<'a>(env: impl IntoIterator<Item = (&'a str, &'a str)>) -> Requirements {
    let mut found = Requirements::default();
    let mut cuda_version = None;
    let mut require_cuda = false;
    for (name, value) in env {
        match name {
            "NVIDIA_DISABLE_REQUIRE" => found.disabled = is_go_true(value),
            "CUDA_VERSION" => cuda_version = Some(value),
            _ if name.starts_with("NVIDIA_REQUIRE_JETPACK") => {}
            _ if name.starts_with("NVIDIA_REQUIRE_") => {
                found.predicates.retain(|(n, _)| n != name);
                if name == "NVIDIA_REQUIRE_CUDA" {
                    require_cuda = !value.is_empty();
                }
                if !value.is_empty() {
                    found.predicates.push((name.to_owned(), value.to_owned()));
                }
            }
            _ => {}
        }
    }
    if let Some(version) = cuda_version.filter(|v| !v.is_empty() && !require_cuda) {
        found.legacy = true;
        match leading_pair(version) {
            Some((major, minor)) => found
                .predicates
                .push(("CUDA_VERSION".to_owned(), format!("cuda>={major}.{minor}"))),
            None => found.bad_cuda_version = Some(version.to_owned()),
        }
    }
    found
}

/// `12.4.1` and NGC's `13.0.2.006` -> (12, 4), (13, 0); a bare `12` -> (12, 0).
fn leading_pair(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    let major = parts.next()?.parse().ok()?;
    let minor = match parts.next() {
        Some(part) => part.parse().ok()?,
        None => 0,
    };
    Some((major, minor))
}

/// What Go's `ParseBool` takes for true: `yes` and `on` do not count.
fn is_go_true(value: &str) -> bool {
    matches!(value, "1" | "t" | "T" | "true" | "True" | "TRUE")
}

#[cfg(test)]
#[path = "require_tests.rs"]
mod tests;
