//! Who may use whom: arrows point down only.

use crate::scan::{Source, crate_paths, is_test_file, read, sources, words};

/// What a module may use besides itself. A module that is not here is an error.
const LAYERS: &[(&str, &[&str])] = &[
    // `cli` starts the dashboard; nothing else looks at `tui`.
    (
        "cli",
        &[
            "tui", "launcher", "build", "check", "watch", "engine", "gpu", "host", "inspect",
            "demo", "join", "verdict", "launch", "failures", "logs", "lanes", "model", "trace",
        ],
    ),
    (
        "tui",
        &[
            "launcher", "build", "check", "watch", "engine", "gpu", "host", "inspect", "demo",
            "join", "verdict", "launch", "failures", "logs", "lanes", "model", "trace",
        ],
    ),
    // A launch from its check to its first seconds.
    (
        "launcher",
        &[
            "check", "watch", "engine", "gpu", "host", "inspect", "join", "verdict", "launch",
            "failures", "lanes", "model", "trace",
        ],
    ),
    // From a project folder to an image.
    (
        "build",
        &[
            "check", "engine", "host", "inspect", "verdict", "launch", "lanes", "model", "trace",
        ],
    ),
    (
        "check",
        &[
            "watch", "engine", "gpu", "host", "inspect", "join", "verdict", "lanes", "model",
            "trace",
        ],
    ),
    (
        "watch",
        &[
            "engine", "gpu", "host", "inspect", "demo", "join", "verdict", "logs", "lanes",
            "model", "trace",
        ],
    ),
    // The one seam between the real and the simulated engine is the enum in `engine`.
    (
        "engine",
        &["demo", "join", "logs", "lanes", "model", "trace"],
    ),
    ("gpu", &["join", "logs", "lanes", "model", "trace"]),
    ("host", &["join", "logs", "lanes", "model", "trace"]),
    ("demo", &["join", "logs", "lanes", "model", "trace"]),
    ("inspect", &["verdict", "lanes", "model", "trace"]),
    ("join", &["lanes", "model", "trace"]),
    ("verdict", &["model"]),
    ("launch", &["join", "model"]),
    ("failures", &["model"]),
    ("logs", &["lanes", "model", "trace"]),
    ("lanes", &["model", "trace"]),
    ("trace", &[]),
    ("model", &[]),
];

/// Crates that stay inside one module.
const FENCED: &[(&str, &str)] = &[
    ("bollard", "engine"),
    ("hyper", "engine"),
    ("hyper_util", "engine"),
    ("http_body_util", "engine"),
    ("rustls", "engine"),
    ("nvml_wrapper", "gpu"),
    ("nvml_wrapper_sys", "gpu"),
    ("ratatui", "tui"),
    ("crossterm", "tui"),
    ("tui_input", "tui"),
    ("clap", "cli"),
    ("clap_complete", "cli"),
];

/// `src/engine/list.rs` and `src/engine.rs` -> `engine`.
fn module(path: &str) -> Option<&str> {
    let inner = path.strip_prefix("src/")?;
    let name = inner.split_once('/').map_or_else(
        || inner.strip_suffix(".rs").unwrap_or(inner),
        |(folder, _)| folder,
    );
    (!matches!(name, "lib" | "main")).then_some(name)
}

fn layer_faults(path: &str, code: &str) -> Vec<String> {
    let Some(module) = module(path) else {
        return Vec::new();
    };
    let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == module) else {
        return vec![format!("{path}: `{module}` has no place in LAYERS")];
    };
    crate_paths(code)
        .into_iter()
        .filter(|used| used != module && !below.contains(&used.as_str()))
        .map(|used| format!("{path}: `{module}` may not use `{used}`"))
        .collect()
}

fn fence_faults(path: &str, code: &str) -> Vec<String> {
    let words = words(code);
    FENCED
        .iter()
        .filter(|(_, home)| module(path) != Some(home))
        .filter(|(name, _)| {
            words
                .windows(2)
                .any(|pair| pair[0] == *name && matches!(pair[1].as_str(), "::" | "as" | ";"))
        })
        .map(|(name, home)| format!("{path}: `{name}` may not leave `{home}`"))
        .collect()
}

fn unsafe_faults(path: &str, code: &str) -> Vec<String> {
    let allowed = path == "src/gpu/raw.rs" || path.starts_with("tests/fake_nvml/");
    let found = words(code).iter().any(|word| word == "unsafe");
    if found && !allowed {
        vec![format!(
            "{path}: `unsafe` belongs to src/gpu/raw.rs and tests/fake_nvml"
        )]
    } else {
        Vec::new()
    }
}

fn product_code() -> Vec<Source> {
    let mut all = sources("src");
    all.retain(|source| !is_test_file(&source.path));
    all
}

#[test]
fn arrows_point_down_only() {
    assert_eq!(
        layer_faults("src/join/mod.rs", "use crate::watch::World;"),
        ["src/join/mod.rs: `join` may not use `watch`"]
    );
    assert_eq!(
        layer_faults("src/tui/x.rs", "use crate::{cli::x, model::y};").len(),
        1
    );
    assert_eq!(layer_faults("src/fresh/mod.rs", "").len(), 1);
    assert!(
        layer_faults(
            "src/watch/mod.rs",
            "use crate::engine::Engine; use crate::watch::x;"
        )
        .is_empty()
    );
    let faults: Vec<String> = product_code()
        .iter()
        .flat_map(|source| layer_faults(&source.path, &source.code))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_module_has_its_place_and_every_place_its_module() {
    let lib = read("src/lib.rs");
    let declared: Vec<&str> = lib
        .lines()
        .filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'))
        .collect();
    assert!(declared.len() > 5, "{declared:?}");
    for name in &declared {
        assert!(
            LAYERS.iter().any(|(module, _)| module == name),
            "`{name}` has no place in LAYERS"
        );
    }
    // No two modules may use each other, whatever the table says.
    for (upper, below) in LAYERS {
        for lower in *below {
            let back = LAYERS
                .iter()
                .any(|(name, uses)| name == lower && uses.contains(upper));
            assert!(!back, "`{upper}` and `{lower}` use each other");
        }
    }
}

#[test]
fn foreign_types_stay_in_their_module() {
    assert_eq!(
        fence_faults("src/watch/x.rs", "use bollard::Docker;").len(),
        1
    );
    assert_eq!(
        fence_faults("src/cli/ps.rs", "fn f(x: ratatui::Frame) {}").len(),
        1
    );
    assert_eq!(fence_faults("src/main.rs", "use clap::Parser;").len(), 1);
    assert!(fence_faults("src/tui/x.rs", "use ratatui::Frame;").is_empty());
    assert!(fence_faults("src/cli/x.rs", "let hyper = 1;").is_empty());
    let faults: Vec<String> = product_code()
        .iter()
        .flat_map(|source| fence_faults(&source.path, &source.code))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn unsafe_has_two_homes() {
    assert_eq!(
        unsafe_faults("src/gpu/mod.rs", "fn f() { unsafe { g() } }").len(),
        1
    );
    assert!(unsafe_faults("src/gpu/raw.rs", "unsafe fn f() {}").is_empty());
    let faults: Vec<String> = sources("src")
        .iter()
        .chain(&sources("tests"))
        .flat_map(|source| unsafe_faults(&source.path, &crate::scan::code_only(&source.text)))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}
