//! Layouts of real images, made by hand: what the detectors say of each.

mod cudas;
mod layouts;
mod pythons;

use std::sync::Arc;

use crate::inspect::content::Node;
use crate::inspect::elf::ElfFacts;
use crate::inspect::{Config, Content, Known};
use crate::verdict::facts::{
    ContainerShape, DeviceCode, Framework, ImageFacts, PtxCode, Target, Variant,
};

/// The usual place for packages here.
const SITE: &str = "usr/local/lib/python3.11/site-packages";

/// An image in the making.
#[derive(Default)]
struct Image {
    content: Content,
    config: Config,
    live: bool,
}

impl Image {
    fn new() -> Self {
        Self::default()
    }

    /// An image whose PATH gets the Python of [`SITE`].
    fn python() -> Self {
        Self::new()
            .file("usr/local/bin/python3.11")
            .link("usr/local/bin/python", "python3.11")
    }

    fn env(mut self, name: &str, value: &str) -> Self {
        self.config.env.push((name.into(), value.into()));
        self
    }

    fn command(mut self, words: &[&str]) -> Self {
        self.config.command = words.iter().map(|w| (*w).to_owned()).collect();
        self
    }

    fn live(mut self) -> Self {
        self.live = true;
        self
    }

    fn sized(mut self, path: &str, size: u64) -> Self {
        self.content.nodes.insert(path.into(), Node::File(size));
        self
    }

    fn file(self, path: &str) -> Self {
        self.sized(path, 1000)
    }

    fn files(self, paths: &[&str]) -> Self {
        paths.iter().fold(self, |image, path| image.file(path))
    }

    fn link(mut self, path: &str, target: &str) -> Self {
        self.content
            .nodes
            .insert(path.into(), Node::Link(target.into()));
        self
    }

    fn text(mut self, path: &str, text: &str) -> Self {
        self.content.texts.insert(path.into(), text.into());
        self.file(path)
    }

    /// The record of a distribution, `torch-2.6.0`.
    fn dist(mut self, site: &str, dist: &str) -> Self {
        self.content
            .nodes
            .insert(format!("{site}/{dist}.dist-info"), Node::Folder);
        self
    }

    fn dists(self, site: &str, dists: &[&str]) -> Self {
        dists
            .iter()
            .fold(self, |image, dist| image.dist(site, dist))
    }

    fn package(mut self, name: &str, version: &str) -> Self {
        self.content.packages.push((name.into(), version.into()));
        self
    }

    fn elf(mut self, path: &str, facts: ElfFacts) -> Self {
        self.content.elves.insert(path.into(), facts);
        self.sized(path, 1 << 20)
    }

    /// A library with device code that needs these.
    fn cuda(self, path: &str, needed: &[&str]) -> Self {
        self.elf(path, device(needed, None))
    }

    /// The same without `libcudart`, with PTX of this ISA.
    fn fixed(self, path: &str, isa: (u32, u32)) -> Self {
        self.elf(path, device(&["libc.so.6"], Some(isa)))
    }

    fn facts(self) -> ImageFacts {
        Known {
            config: self.config,
            content: Some(Arc::new(self.content)),
            live: self.live,
        }
        .facts()
    }

    /// One line a framework.
    fn lines(self) -> Vec<String> {
        self.facts().frameworks.iter().map(line).collect()
    }
}

fn device(needed: &[&str], isa: Option<(u32, u32)>) -> ElfFacts {
    let mut code = DeviceCode::default();
    code.add(ContainerShape {
        sass: vec![Target::from_number(90, Variant::Plain)],
        ptx: isa
            .map(|isa| PtxCode {
                target: Target::from_number(90, Variant::Plain),
                isa,
            })
            .into_iter()
            .collect(),
    });
    ElfFacts {
        machine: 62,
        needed: needed.iter().map(|n| (*n).to_owned()).collect(),
        code,
        ..ElfFacts::default()
    }
}

/// `torch 2.6.0+cu124: CUDA 12.4, on path; lacks libcudnn.so.9`.
fn line(framework: &Framework) -> String {
    let mut line = format!(
        "{} {}: {}",
        framework.name,
        framework.version.as_deref().unwrap_or("-"),
        framework.build
    );
    if !framework.alternatives.is_empty() {
        let all: Vec<String> = framework
            .alternatives
            .iter()
            .map(ToString::to_string)
            .collect();
        line.push_str(&format!(" of {}", all.join(" ")));
    }
    line.push_str(match framework.on_path {
        Some(true) => ", on path",
        Some(false) => ", off path",
        None => "",
    });
    if framework.jits_ptx {
        line.push_str(", jits");
    }
    if !framework.missing.is_empty() {
        line.push_str(&format!("; lacks {}", framework.missing.join(" ")));
    }
    line
}
