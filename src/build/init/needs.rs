//! What a project requires: lines of `requirements.txt` and of `pyproject.toml`, read as far as a base image
//! depends on them.

/// Most characters of a requirement.
const MAX_LENGTH: usize = 200;

/// A bound on a version, by its first two numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clause {
    op: Op,
    major: u32,
    minor: Option<u32>,
    /// There is a third number, or more.
    patch: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    Not,
    Least,
    Above,
    Most,
    Under,
    Compatible,
    Caret,
}

impl Clause {
    /// Reads `>=3.9,<3.12` and `^3.10`; what cannot be read bounds nothing.
    #[must_use]
    pub fn parse_all(text: &str) -> Vec<Self> {
        text.split([',', ' '])
            .map(str::trim)
            .filter_map(Self::parse)
            .take(16)
            .collect()
    }

    fn parse(text: &str) -> Option<Self> {
        const OPS: [(&str, Op); 9] = [
            ("===", Op::Equal),
            ("==", Op::Equal),
            ("!=", Op::Not),
            (">=", Op::Least),
            ("<=", Op::Most),
            ("~=", Op::Compatible),
            (">", Op::Above),
            ("<", Op::Under),
            ("^", Op::Caret),
        ];
        let (op, rest) = OPS
            .iter()
            .find_map(|(sign, op)| Some((*op, text.strip_prefix(sign)?.trim())))?;
        let rest = rest.split('+').next().unwrap_or_default();
        let mut numbers = rest.split('.');
        Some(Self {
            op,
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next().and_then(|n| n.parse().ok()),
            patch: numbers.next().is_some_and(|n| n != "*"),
        })
    }

    /// Whether some release of `major.minor` fits.
    #[must_use]
    pub fn fits(&self, major: u32, minor: u32) -> bool {
        let bound = (self.major, self.minor.unwrap_or(0));
        let of = (major, minor);
        let same = major == self.major && self.minor.is_none_or(|own| own == minor);
        match self.op {
            Op::Equal => same,
            Op::Not => self.patch || !same,
            Op::Caret => of >= bound && major == self.major,
            Op::Least => of >= bound,
            Op::Above => of > bound || (self.patch && same),
            Op::Most => of < bound || same,
            Op::Under => of < bound || (self.patch && same),
            Op::Compatible if self.patch => same,
            Op::Compatible => of >= bound && major == self.major,
        }
    }
}

/// One requirement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    /// Its name, lower case, `-` for `_` and `.`.
    pub name: String,
    /// The extras asked for, lower case.
    pub extras: Vec<String>,
    /// As pip is to be given it: name, extras and bounds, without a marker.
    pub text: String,
    /// Its bounds.
    pub clauses: Vec<Clause>,
    /// The local version that is pinned, `cu124`.
    pub local: Option<String>,
}

impl Requirement {
    /// Reads a line of a requirements file; `None` where it is none by name (an option, an address, a path).
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let line = line.split(" #").next().unwrap_or_default().trim();
        let line = line.split(';').next().unwrap_or_default().trim();
        let line = line.split(" --").next().unwrap_or_default().trim();
        if line.len() > MAX_LENGTH || !line.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return None;
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let end = line.find(|c| !is_name(c)).unwrap_or(line.len());
        let (name, rest) = line.split_at_checked(end)?;
        let rest = rest.trim();
        let (extras, bounds) = match rest.strip_prefix('[') {
            Some(inner) => inner.split_once(']')?,
            None => ("", rest),
        };
        let bounds = bounds.trim().trim_start_matches('(').trim_end_matches(')');
        let is_bound = |c: char| c.is_ascii_alphanumeric() || "<>=!~^.,*+- _".contains(c);
        let starts = bounds.is_empty() || bounds.starts_with(['<', '>', '=', '!', '~']);
        if !starts || !bounds.chars().all(is_bound) {
            return None;
        }
        let extras: Vec<String> = extras
            .split(',')
            .map(|extra| extra.trim().to_ascii_lowercase())
            .filter(|extra| !extra.is_empty() && extra.chars().all(is_name))
            .collect();
        let listed = if extras.is_empty() {
            String::new()
        } else {
            format!("[{}]", extras.join(","))
        };
        let bounds: String = bounds.chars().filter(|c| *c != ' ').collect();
        Some(Self {
            name: name.to_ascii_lowercase().replace(['_', '.'], "-"),
            text: format!("{name}{listed}{bounds}"),
            clauses: Clause::parse_all(&bounds),
            local: bounds
                .split_once('+')
                .map(|(_, local)| local.split(',').next().unwrap_or_default().to_owned()),
            extras,
        })
    }

    /// Whether it names a release or the releases of one minor version.
    #[must_use]
    pub fn is_pinned(&self) -> bool {
        let pins = |c: &Clause| c.op == Op::Equal || (c.op == Op::Compatible && c.patch);
        self.clauses.iter().any(pins)
    }

    /// Whether some release of `major.minor` fits.
    #[must_use]
    pub fn fits(&self, major: u32, minor: u32) -> bool {
        self.clauses.iter().all(|clause| clause.fits(major, minor))
    }
}

/// Packages of PyTorch's own index.
pub(super) const TORCH: [&str; 3] = ["torch", "torchvision", "torchaudio"];

/// Packages that bring PyTorch along and take any.
pub(super) const WITH_TORCH: [&str; 26] = [
    "accelerate",
    "bitsandbytes",
    "deepspeed",
    "easyocr",
    "fastai",
    "flair",
    "gfpgan",
    "kornia",
    "lightning",
    "monai",
    "open-clip-torch",
    "openai-whisper",
    "peft",
    "pytorch-lightning",
    "realesrgan",
    "segment-anything",
    "sentence-transformers",
    "stable-baselines3",
    "timm",
    "torch-geometric",
    "torchmetrics",
    "trl",
    "ultralytics",
    "unsloth",
    "whisperx",
    "demucs",
];

/// Packages that pin a PyTorch of PyPI's own.
pub(super) const PIN_TORCH: [&str; 4] = ["vllm", "sglang", "xformers", "lmdeploy"];
