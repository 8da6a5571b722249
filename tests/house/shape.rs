//! How large a file may be, and that it says what it is.

use crate::scan::{is_test_file, sources};

/// Lines of a source file without its tests.
const LONGEST: usize = 600;

/// Lines that are neither blank once comments, strings and tests are taken out, nor inside a test module:
/// counted on the text, so that comments count and tests do not.
fn lines_without_tests(text: &str) -> usize {
    let kept: Vec<&str> = text.lines().collect();
    let tests = kept
        .iter()
        .position(|line| line.trim() == "#[cfg(test)]" && !line.starts_with(' '));
    let Some(start) = tests else {
        return kept.len();
    };
    // A test module that stands last ends the count; one in the middle does not hide what follows.
    let after = kept[start..]
        .iter()
        .position(|line| *line == "}")
        .map_or(0, |end| kept.len() - start - end - 1);
    let declared = kept.get(start + 1).is_some_and(|line| line.ends_with(';'));
    if declared { kept.len() } else { start + after }
}

fn length_fault(path: &str, text: &str) -> Option<String> {
    let lines = lines_without_tests(text);
    (!is_test_file(path) && lines > LONGEST)
        .then(|| format!("{path}: {lines} lines without tests, {LONGEST} are allowed"))
}

/// Where a module must say what it is: its file begins with `//!`.
fn docs_fault(path: &str, text: &str) -> Option<String> {
    let documented = text
        .lines()
        .find(|l| !l.trim().is_empty())
        .is_some_and(|l| l.starts_with("//!"));
    (!documented && !is_test_file(path))
        .then(|| format!("{path}: the file does not begin with its `//!`"))
}

#[test]
fn no_file_is_too_long() {
    let long = "//! x\n".repeat(LONGEST + 1);
    assert!(length_fault("src/x.rs", &long).is_some());
    assert!(length_fault("src/x/tests.rs", &long).is_none());
    let tested = format!(
        "fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{}}}\n",
        "    x\n".repeat(900)
    );
    assert_eq!(lines_without_tests(&tested), 1);
    let hidden = format!(
        "#[cfg(test)]\nmod tests {{\n    x\n}}\n{}",
        "x\n".repeat(LONGEST + 1)
    );
    assert!(length_fault("src/x.rs", &hidden).is_some());
    let apart = format!("#[cfg(test)]\nmod tests;\n{}", "x\n".repeat(LONGEST));
    assert!(length_fault("src/x.rs", &apart).is_some());
    let faults: Vec<String> = sources("src")
        .iter()
        .filter_map(|s| length_fault(&s.path, &s.text))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_module_says_what_it_is() {
    assert!(docs_fault("src/x.rs", "use std::fs;\n//! late\n").is_some());
    assert!(docs_fault("src/x.rs", "\n//! A thing.\n").is_none());
    let faults: Vec<String> = sources("src")
        .iter()
        .filter_map(|s| docs_fault(&s.path, &s.text))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
