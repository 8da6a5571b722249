//! An image's portability.

use super::*;
use crate::verdict::matrix::matrix;

#[test]
fn torch_on_every_branch_and_generation() {
    let image = torch("2.6.0+cu124", "12.4", &TORCH_260, &[]);
    let m = matrix(&image, Injection::Unknown, "2026-11");
    assert_eq!(m.injection, Injection::Legacy);
    assert_eq!(m.rows.len(), Catalogue::get().branches.len());
    let cell = |branch: u32, gpu: (u32, u32)| {
        let column = m
            .gpus
            .iter()
            .position(|g| (g.capability.major, g.capability.minor) == gpu)
            .unwrap();
        let row = m.rows.iter().find(|r| r.branch == branch).unwrap();
        (row.cells[column].text(), row.cells[column].impossible)
    };
    for (branch, gpu, text, impossible) in [
        (550, (9, 0), "works", false),
        (535, (9, 0), "works", false),
        (470, (8, 0), "MW102", false),
        (470, (9, 0), "", true),
        (580, (12, 0), "MW201", false),
        (550, (12, 0), "", true),
        (580, (7, 0), "works", false),
        (590, (7, 0), "", true),
        (525, (8, 9), "works", false),
        (615, (10, 7), "MW201", false),
        (610, (10, 7), "", true),
    ] {
        assert_eq!(
            cell(branch, gpu),
            (text.to_owned(), impossible),
            "{branch} {gpu:?}"
        );
    }
    for gpu in &m.gpus {
        let model = Catalogue::get().find_gpus(&gpu.model);
        assert_eq!(model[0].class, "datacenter", "{gpu:?}");
    }
    let text = m.to_string();
    let width = text.lines().map(str::len).max().unwrap();
    assert!(width <= 132, "{width}\n{text}");
    assert!(text.contains("\n550    12.4"), "{text}");
}
