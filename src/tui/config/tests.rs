use std::path::PathBuf;

use super::*;
use crate::tui::keymap::Key;

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures/config")
        .join(name)
}

fn files(name: &str) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = std::fs::read_dir(folder(name))
        .unwrap()
        .map(|entry| {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).unwrap())
        })
        .collect();
    files.sort();
    assert!(files.len() >= 3);
    files
}

#[test]
fn the_default_file_reads_back_to_the_defaults_and_names_everything() {
    let text = default_text();
    let config = Config::parse(&text, "default").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(config, Config::default());
    for option in options::OPTIONS {
        assert!(
            text.contains(&format!("\n{} = ", option.name)),
            "{}",
            option.name
        );
        let mut config = Config::default();
        assert_eq!(options::default_of(option, &mut config), Ok(()));
    }
    for action in Action::ALL {
        let named = text.contains(&format!("\n{} = [", action.name()));
        assert!(named || keymap::UNBOUND.contains(action), "{action:?}");
    }
    for line in text.lines() {
        assert!(line.len() <= 120, "{line}");
    }
    insta::assert_snapshot!(text);
}

#[test]
fn good_files_are_taken() {
    for (name, text) in files("good") {
        Config::parse(&text, &name).unwrap_or_else(|e| panic!("{e}"));
    }
    let all = std::fs::read_to_string(folder("good").join("changed.toml")).unwrap();
    let config = Config::parse(&all, "changed.toml").unwrap();
    assert_eq!(config.refresh, Duration::from_millis(2500));
    assert_eq!(config.colors, Auto::Set(ColorDepth::Ansi16));
    assert_eq!(config.unicode, Auto::Set(false));
    assert_eq!(config.logs.max_bytes, 1 << 20);
    assert_eq!(config.stop_timeouts.len(), 2);
    let shell = config.keys.action(Mode::Normal, KeyPress::char('s'));
    assert_eq!(shell, Some(Action::Shell));
    let quit = config
        .keys
        .action(Mode::Normal, KeyPress::plain(Key::F(10)));
    assert_eq!(quit, Some(Action::Quit));
    assert_eq!(config.keys.action(Mode::Normal, KeyPress::char('q')), None);
    assert_eq!(config.keys.key_label(Mode::Normal, Action::Filter), None);
}

/// Each bad file ends in lines `#! LINE: TEXT`: what must be complained of, and nothing else.
#[test]
fn bad_files_are_refused_with_line_and_remedy() {
    for (name, text) in files("bad") {
        let wanted: Vec<String> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#! "))
            .map(|what| format!("{name}:{what}"))
            .collect();
        assert!(!wanted.is_empty(), "{name} says nothing of what is wrong");
        let error = Config::parse(&text, &name).expect_err(&name);
        assert_eq!(error.to_string(), wanted.join("\n"));
    }
}

#[test]
fn layers_lie_above_each_other() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "theme = \"light\"\n").unwrap();
    let config = Config::load(Some(&file), &Overrides::default()).unwrap();
    assert_eq!((config.theme.as_str(), config.read_only), ("light", false));
    let overrides = Overrides {
        read_only: true,
        theme: Some("mono".into()),
    };
    let config = Config::load(Some(&file), &overrides).unwrap();
    assert_eq!((config.theme.as_str(), config.read_only), ("mono", true));
    let error = Config::load(Some(&dir.path().join("no")), &overrides).unwrap_err();
    assert!(error.to_string().contains("cannot be read"), "{error}");
}

#[test]
fn the_users_word_on_colours_stands_above_no_color() {
    let detected = Capabilities {
        depth: ColorDepth::Mono,
        unicode: false,
    };
    let config = Config::parse("colors = \"256\"\nunicode = \"on\"", "f").unwrap();
    let used = config.capabilities(detected);
    assert_eq!((used.depth, used.unicode), (ColorDepth::Ansi256, true));
    assert_eq!(Config::default().capabilities(detected), detected);
}

#[test]
fn a_file_full_of_errors_is_cut_off() {
    let text: String = (0..30).map(|i| format!("x{i} = 1\n")).collect();
    let error = Config::parse(&text, "f").unwrap_err().to_string();
    assert_eq!(error.lines().count(), TOLD + 1);
    assert!(error.ends_with("f: and 10 more"), "{error}");
}
