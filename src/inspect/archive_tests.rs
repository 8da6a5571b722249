//! Images in files, of every form.

use super::*;

/// Prints what is found in files named in an environment variable: for looking at real images by hand.
#[test]
fn real_images_if_named() {
    let Ok(paths) = std::env::var("MIDWATCH_TEST_ARCHIVES") else {
        return;
    };
    for path in paths.split(':') {
        let start = std::time::Instant::now();
        let images = read(Path::new(path), Some("linux/amd64"), &mut |_, _| true).unwrap();
        println!("{path}: {:?}", start.elapsed());
        for image in images {
            let content = image.known.content.as_ref().unwrap();
            println!(
                "{} nodes, {} elves, {} texts, gaps {:?}, cache {} bytes",
                content.nodes.len(),
                content.elves.len(),
                content.texts.len(),
                content.gaps,
                serde_json::to_vec(&**content).unwrap().len()
            );
            let start = std::time::Instant::now();
            let mut facts = image.known.facts();
            println!("facts in {:?}", start.elapsed());
            for library in &mut facts.libraries {
                let sass: Vec<String> = library
                    .code
                    .main_sass()
                    .iter()
                    .map(|t| t.sass_name())
                    .collect();
                println!(
                    "  {} {} MB {} {sass:?} ptx {:?} {:?}",
                    library.path,
                    library.size_bytes >> 20,
                    library.code.containers(),
                    library.code.main_ptx().len(),
                    library.problem
                );
            }
            facts.libraries.clear();
            println!("{facts:#?}");
        }
    }
}

#[test]
fn a_bomb_is_told_from_a_large_image() {
    assert!(!is_bomb(40 << 30, 9 << 30));
    assert!(!is_bomb(7 << 30, 1 << 20));
    assert!(is_bomb(9 << 30, 9 << 20));
}
