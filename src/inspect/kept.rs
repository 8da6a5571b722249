//! What a walk keeps, by path and with what it costs; how one layer is laid over those below.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::content::Node;
use super::elf::ElfFacts;
use crate::verdict::facts::DeviceCode;

/// What a kept path costs besides its bytes.
const NODE_COST: usize = 96;
/// What a kept library costs besides its bytes.
const ELF_COST: usize = 256;

/// Kept things by their paths.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub nodes: BTreeMap<String, Node>,
    pub texts: BTreeMap<String, String>,
    pub elves: BTreeMap<String, ElfFacts>,
    pub packages: BTreeMap<String, Vec<(String, String)>>,
    pub glibc: BTreeMap<String, String>,
}

/// How much of each bound is used.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub paths: usize,
    pub texts: usize,
    pub elves: usize,
    pub code: usize,
    pub packages: usize,
}

#[cfg(test)]
impl Used {
    /// Adds all of this.
    pub(super) fn count(&mut self, kept: &Kept) {
        let nodes = kept.nodes.iter().map(|(path, node)| node_cost(path, node));
        self.paths += nodes.sum::<usize>();
        let texts = kept.texts.iter().map(|(path, text)| text_cost(path, text));
        self.texts += texts.sum::<usize>();
        for (path, facts) in &kept.elves {
            self.elves += elf_cost(path, facts);
            self.code += entries_of(&facts.code);
        }
        self.packages += kept.packages.values().map(Vec::len).sum::<usize>();
    }
}

fn lay<V>(lower: &mut BTreeMap<String, V>, here: BTreeMap<String, V>) {
    if lower.is_empty() {
        *lower = here;
    } else {
        lower.extend(here);
    }
}

impl Kept {
    /// Lays an upper layer over this one; what it hides was forgotten already.
    pub(super) fn lay(&mut self, upper: Self) {
        lay(&mut self.nodes, upper.nodes);
        lay(&mut self.texts, upper.texts);
        lay(&mut self.elves, upper.elves);
        lay(&mut self.packages, upper.packages);
        lay(&mut self.glibc, upper.glibc);
    }

    pub(super) fn forget(&mut self, path: &str, used: &mut Used) {
        if let Some(node) = self.nodes.remove(path) {
            used.paths -= node_cost(path, &node);
        }
        self.forget_content(path, used);
        if let Some(list) = self.packages.remove(path) {
            used.packages -= list.len();
        }
        self.glibc.remove(path);
    }

    pub(super) fn forget_content(&mut self, path: &str, used: &mut Used) {
        if let Some(text) = self.texts.remove(path) {
            used.texts -= text_cost(path, &text);
        }
        if let Some(facts) = self.elves.remove(path) {
            used.elves -= elf_cost(path, &facts);
            used.code -= entries_of(&facts.code);
        }
    }

    pub(super) fn forget_below(&mut self, folder: &str, used: &mut Used) {
        let begin = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        // Texts and libraries have nodes; lists of packages and C libraries need none.
        for path in below(&self.nodes, &begin)
            .into_iter()
            .chain(below(&self.packages, &begin))
            .chain(below(&self.glibc, &begin))
        {
            self.forget(&path, used);
        }
    }
}

fn below<V>(map: &BTreeMap<String, V>, begin: &str) -> Vec<String> {
    map.range::<str, _>((Bound::Included(begin), Bound::Unbounded))
        .take_while(|(path, _)| path.starts_with(begin))
        .map(|(path, _)| path.clone())
        .collect()
}

pub(super) fn node_cost(path: &str, node: &Node) -> usize {
    let link = match node {
        Node::Link(target) => target.len(),
        _ => 0,
    };
    path.len() + link + NODE_COST
}

pub(super) fn text_cost(path: &str, text: &str) -> usize {
    path.len() + text.len() + NODE_COST
}

pub(super) fn elf_cost(path: &str, facts: &ElfFacts) -> usize {
    let needed: usize = facts.needed.iter().map(|n| n.len() + 40).sum();
    let said = |text: &Option<String>| text.as_ref().map_or(0, |t| t.len() + 16);
    path.len() + needed + said(&facts.note) + said(&facts.problem) + ELF_COST
}

pub(super) fn entries_of(code: &DeviceCode) -> usize {
    let shapes: usize = code
        .shapes
        .iter()
        .map(|(shape, _)| shape.sass.len() + shape.ptx.len() + 4)
        .sum();
    shapes + code.relocatable_ptx.len()
}
