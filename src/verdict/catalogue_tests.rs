use super::*;

fn v(text: &str) -> Version {
    Version::parse(text).unwrap()
}

fn increasing<T: PartialOrd + std::fmt::Debug>(values: impl IntoIterator<Item = T>) {
    let values: Vec<T> = values.into_iter().collect();
    for pair in values.windows(2) {
        assert!(pair[0] < pair[1], "{:?} before {:?}", pair[0], pair[1]);
    }
}

#[test]
fn the_files_are_read_and_consistent() {
    let c = Catalogue::load().unwrap();
    increasing(c.toolkits.iter().map(|t| t.cuda.clone()));
    increasing(c.toolkits.iter().map(|t| t.min_driver.clone()));
    increasing(c.branches.iter().map(|b| b.branch));
    for pair in c.branches.windows(2) {
        assert!(pair[0].cuda <= pair[1].cuda, "{pair:?}");
    }
    increasing(c.archs.iter().map(|a| a.compute_capability));
    increasing(c.ptx.iter().map(|p| p.isa.clone()));
    increasing(c.ptx.iter().map(|p| p.cuda.clone()));
    increasing(c.compat.iter().map(|p| p.cuda.clone()));
    increasing(c.minor_floors.iter().map(|f| f.major));
    for t in &c.toolkits {
        if let Some(update) = &t.newest_update_driver {
            assert!(*update > t.min_driver, "{t:?}");
        }
        // A toolkit's driver belongs to the branch that supports it.
        if let Some(branch) = c.branch_of(&t.min_driver) {
            assert_eq!(branch.cuda.pair(), t.cuda.pair(), "{t:?}");
        }
    }
    for gpu in &c.gpus {
        assert!(c.arch(gpu.compute_capability).is_some(), "{gpu:?}");
    }
    let mut names: Vec<String> = c.gpus.iter().map(|g| g.name.to_lowercase()).collect();
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count, "a GPU name twice");
    for arch in &c.archs {
        if let (Some(first), Some(last)) = (arch.first_branch, arch.last_branch) {
            assert!(first < last, "{arch:?}");
        }
        if let Some(last) = &arch.last_toolkit {
            assert!(arch.first_toolkit <= *last, "{arch:?}");
        }
    }
    for package in &c.compat {
        increasing(package.matrix.iter().copied());
        increasing(package.named.iter().copied());
    }
    for row in &c.torch_index {
        for variant in &row.variants {
            let cuda = variant_cuda(variant).unwrap();
            assert!(c.toolkit(&cuda).is_some(), "{variant}");
            assert!(
                c.torch_archs.iter().any(|a| a.variants.contains(variant)
                    && a.first <= row.torch
                    && row.torch <= a.last),
                "{} {variant}: no architectures",
                row.torch
            );
        }
    }
}

#[test]
fn drivers_tell_their_cuda_and_nothing_is_guessed_upward() {
    let c = Catalogue::get();
    for (driver, cuda) in [
        ("535.104.05", Some("12.2")),
        ("550.163.01", Some("12.4")),
        ("565.77", Some("12.7")),
        ("580.95.05", Some("13.0")),
        ("470.256.02", Some("11.4")),
        ("418.226.00", Some("10.1")),
        ("700.10", None),
    ] {
        assert_eq!(c.cuda_of_driver(&v(driver)), cuda.map(v), "{driver}");
    }
    assert_eq!(c.newest_ptx(&v("12.4")), Some(&v("8.4")));
    assert_eq!(c.newest_ptx(&v("12.6")), Some(&v("8.5")));
    assert_eq!(c.cuda_for_ptx(&v("8.8")), Some(&v("12.9")));
    assert_eq!(c.cuda_for_ptx(&v("99.0")), None);
    assert_eq!(c.minor_floor(12), Some(&v("525.60.13")));
    assert_eq!(c.minor_floor(10), None);
}

#[test]
fn gpu_names_match_as_whole_words() {
    let c = Catalogue::get();
    let capabilities = |name: &str| {
        let mut found: Vec<String> = c
            .find_gpus(name)
            .iter()
            .map(|g| g.compute_capability.to_string())
            .collect();
        found.sort();
        found.dedup();
        found
    };
    assert_eq!(capabilities("A100"), ["8.0"]);
    assert_eq!(capabilities("NVIDIA H100 80GB HBM3"), ["9.0"]);
    assert_eq!(capabilities("RTX 5090"), ["12.0"]);
    assert_eq!(capabilities("v100"), ["7.0"]);
    assert_eq!(capabilities("rtx4090"), ["8.9"]);
    assert_eq!(capabilities("A100SXM4"), ["8.0"]);
    assert!(capabilities("RTX 4000").len() > 1, "several generations");
    assert!(capabilities("nonsense").is_empty());
    assert!(capabilities("").is_empty());
    assert_eq!(variant_cuda("cu124"), Some(v("12.4")));
    assert_eq!(variant_cuda("cu102"), Some(v("10.2")));
    assert_eq!(variant_cuda("cpu"), None);
    for (text, major, minor) in [
        ("9.0", 9, 0),
        ("sm_120", 12, 0),
        ("sm_90a", 9, 0),
        ("86", 8, 6),
    ] {
        assert_eq!(
            parse_capability(text),
            Some(ComputeCapability { major, minor })
        );
    }
    assert_eq!(parse_capability("sm_"), None);
}

#[test]
fn branch_life_is_judged_by_month() {
    let c = Catalogue::get();
    let supported = |b: &str, month: &str| c.branch_of(&v(b)).unwrap().is_supported(month);
    assert!(supported("535.1", "2026-06"));
    assert!(!supported("535.1", "2026-11"));
    assert!(supported("580.1", "2026-11"));
    assert!(!supported("565.1", "2026-11"));
}
