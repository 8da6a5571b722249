//! What the documents promise is what is there.

use midwatch::tui::{Action, KeyPress, Keymap, Mode, config};

use crate::scan::{read, root};

/// The lines of every fenced block that follows a heading, up to the next heading.
fn commands_under(text: &str, heading: &str) -> Vec<String> {
    let mut inside = false;
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.starts_with("```") {
            fenced = !fenced;
        } else if !fenced && line.starts_with('#') {
            inside = line.trim_start_matches('#').trim() == heading;
        } else if inside && fenced && !line.trim().is_empty() {
            found.push(line.split(" #").next().unwrap().trim().to_owned());
        }
    }
    found
}

/// The commands a script runs through its `step`.
fn steps(script: &str) -> Vec<String> {
    script
        .lines()
        .filter_map(|line| line.trim().strip_prefix("step "))
        .map(|command| command.trim().to_owned())
        .collect()
}

#[test]
fn the_readers_are_not_blind() {
    let readme = "# x\n## Test\n```sh\ncargo test  # all\n\n```\n## Else\n```\nrm\n```\n";
    assert_eq!(commands_under(readme, "Test"), ["cargo test"]);
    assert_eq!(
        steps("a\n  step cargo fmt --check\n# step x\n"),
        ["cargo fmt --check"]
    );
}

#[test]
fn the_readmes_test_command_is_what_ci_runs() {
    let readme = read("README.md");
    let ci = steps(&read(".ci/run"));
    let commands = commands_under(&readme, "Test");
    assert_eq!(commands.len(), 1, "one test command: {commands:?}");
    assert!(
        ci.contains(&commands[0]),
        "{commands:?} is not among {ci:?}"
    );
    for needed in [
        "cargo fmt --all --check",
        "cargo clippy --all-targets --workspace -- -D warnings",
    ] {
        assert!(
            ci.iter().any(|step| step == needed),
            "{needed:?} is not among {ci:?}"
        );
    }
    let run = commands_under(&readme, "Run");
    assert!(run.contains(&"cargo run --release".to_owned()), "{run:?}");
    assert!(
        run.contains(&"cargo run --release -- --demo".to_owned()),
        "{run:?}"
    );
}

#[test]
fn every_file_the_documents_point_to_is_there() {
    for document in ["README.md", "CONTRIBUTING.md"] {
        let text = read(document);
        let mut links = 0;
        for link in text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next())
        {
            if link.contains("://") || link.starts_with('#') {
                continue;
            }
            links += 1;
            let path = link.split('#').next().unwrap();
            assert!(root().join(path).exists(), "{document} points to {path}");
        }
        assert!(links > 0, "{document} points to nothing");
    }
}

/// `(key, what)` of each row of the tables under this header cell.
fn key_rows(text: &str, header: &str) -> Vec<(String, String)> {
    let mut rows = text
        .lines()
        .skip_while(|line| !line.starts_with(&format!("| {header} |")))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
        .map(|cells| (cells[1].trim_matches('`').to_owned(), cells[2].to_owned()))
        .collect::<Vec<_>>();
    rows.sort();
    rows
}

/// A row that tells of a key what it does not do by default.
fn key_faults(text: &str, header: &str, mode: Mode) -> Vec<String> {
    let keys = Keymap::default();
    let rows = key_rows(text, header);
    assert!(!rows.is_empty(), "no table `{header}`");
    rows.into_iter()
        .filter_map(|(key, what)| {
            let press: KeyPress = key.parse().ok()?;
            let does = keys
                .action(mode, press)
                .map_or("nothing", |action| action.help());
            (does != what).then(|| format!("`{key}` does {does:?}, not {what:?}"))
        })
        .collect()
}

#[test]
fn the_readmes_keys_are_the_default_keys() {
    let wrong = "| here | |\n|---|---|\n| `l` | dance |\n\n| `q` | no row |\n";
    assert_eq!(
        key_faults(wrong, "here", Mode::Normal),
        ["`l` does \"Logs tab\", not \"dance\""]
    );
    let readme = read("README.md");
    assert_eq!(key_faults(&readme, "in the lists", Mode::Normal), [""; 0]);
    assert_eq!(key_faults(&readme, "in the log", Mode::Logs), [""; 0]);
    for (key, _) in key_rows(&readme, "in the lists") {
        assert!(key.parse::<KeyPress>().is_ok(), "{key}");
    }
}

/// Actions whose name is not in the text as a key of its own.
fn missing_actions(text: &str) -> Vec<&'static str> {
    let named = |name: &str| {
        text.lines().any(|line| {
            let line = line.trim_start_matches(['#', ' ']);
            line.strip_prefix(name)
                .is_some_and(|rest| rest.trim_start().starts_with('='))
        })
    };
    Action::ALL
        .iter()
        .map(|action| action.name())
        .filter(|name| !named(name))
        .collect()
}

#[test]
fn the_default_configuration_lists_every_action() {
    assert_eq!(missing_actions("").len(), Action::ALL.len());
    assert!(!missing_actions("# quit = [\"q\"]").contains(&"quit"));
    assert_eq!(missing_actions(&config::default_text()), [""; 0]);
}
