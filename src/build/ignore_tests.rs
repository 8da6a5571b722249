use super::*;

fn read(text: &str) -> Ignore {
    Ignore::parse(text).unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

#[test]
fn patterns_match_as_mobys_do() {
    // Moby's own table (patternmatcher_test.go), and more.
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("**", &["file", "file/", "/", "dir/file", "dir/sub/x"], &[]),
        ("**/", &["file", "dir/file"], &[]),
        ("**/**", &["dir/file", "dir/file/x"], &[]),
        ("dir/**", &["dir/file", "dir/a/b"], &["dirx/file", "x/dir"]),
        (
            "**/dir2/*",
            &["dir/dir2/file", "dir/dir2/dir2/file", "dir2/x"],
            &["dir2"],
        ),
        (
            "**/dir2/**",
            &["dir/dir2/file", "dir/dir2/dir2/file", "dir2/x"],
            &["dir/file", "dir2"],
        ),
        (
            "**file",
            &["file", "dir/file", "dir/dir/file", "xfile"],
            &["filex"],
        ),
        ("**/file", &["file", "dir/file"], &["xfile", "file.txt"]),
        (
            "**file*txt",
            &["dir/dir/file.txt", "file.txt"],
            &["file.tx"],
        ),
        ("**/file*.txt", &["dir/dir/file.txt"], &["dir/file.txtt"]),
        ("**/**/*.txt", &["dir/dir/file.txt"], &["file.md"]),
        ("**/**/*.txt2", &[], &["dir/dir/file.txt"]),
        ("**/*.txt", &["file.txt", "a/file.txt"], &["file.txt2"]),
        (
            "a**/*.txt",
            &["a/file.txt", "a/dir/file.txt"],
            &["b/file.txt"],
        ),
        ("a/*.txt", &["a/file.txt"], &["a/dir/file.txt"]),
        ("a[b-d]e", &["ace"], &["ae", "aze"]),
        ("a[^b-d]e", &["aze", "a^e"], &["ace"]),
        ("[a-z]*", &["abc"], &["1a", "a/b"]),
        (
            "?.py",
            &["a.py", "é.py"],
            &["ab.py", ".py", "/.py", "a/b.py"],
        ),
        ("a?c", &["abc", "a.c"], &["ac", "a/c", "axyc", "abd"]),
        (".*", &[".git", ".foo"], &["foo", "a/.foo"]),
        ("abc.def", &["abc.def"], &["abcdef", "abcZdef"]),
        ("abc?def", &["abcZdef"], &["abcdef"]),
        ("a\\\\", &["a\\"], &["a"]),
        ("a\\*b", &["a*b"], &["axb"]),
        ("**/foo/bar", &["foo/bar", "dir/foo/bar"], &["foo/x/bar"]),
        ("abc/**", &["abc/def", "abc/def/ghi"], &["abc"]),
        ("**/.foo", &[".foo", "bar/.foo"], &["foo", "x.foo"]),
        ("a(b)c/d", &["a(b)c/d"], &["abc/d"]),
        ("a.|)$(}+{b/c*", &["a.|)$(}+{b/cd"], &[]),
        ("a.|)$(}+{bc", &["a.|)$(}+{bc"], &[]),
        ("weird[[]*", &["weird[x"], &["weirdx"]),
        ("[a&&b]x*", &["&x", "bx"], &["cx"]),
        ("é[à-ü]*", &["éé.txt"], &["ez"]),
        // A class that holds a `*` is what moby's translation makes of it.
        ("x[*]", &["x/]", "x[]"], &["x*"]),
    ];
    for (pattern, yes, no) in cases {
        let ignore = read(pattern);
        let pattern = &ignore.patterns[0];
        for path in *yes {
            assert!(pattern.matches(path), "{} {path}", pattern.text);
        }
        for path in *no {
            assert!(!pattern.matches(path), "{} {path}", pattern.text);
        }
    }
}

#[test]
fn a_file_is_read_line_by_line() {
    let ignore = read(
        "\u{feff}# one\r\n  spaced  \r\n/rooted/\n #not a comment\n\n./a/../b//c/\n! x \n!/y\n\t\n",
    );
    let texts: Vec<(bool, &str)> = ignore
        .patterns
        .iter()
        .map(|p| (p.exception, p.text.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            (false, "spaced"),
            (false, "rooted"),
            (false, "#not a comment"),
            (false, "b/c"),
            (true, "x"),
            (true, "y"),
        ]
    );
    assert!(read("# nothing\n\n").is_empty());
}

#[test]
fn what_is_no_pattern_is_told_with_its_line() {
    for (text, line, why) in [
        ("ok\n[\n", 2, "syntax error in pattern"),
        ("[^]x", 1, "syntax error in pattern"),
        ("[]a]", 1, "syntax error in pattern"),
        ("[-]", 1, "syntax error in pattern"),
        ("a[b-", 1, "syntax error in pattern"),
        ("a[]", 1, "syntax error in pattern"),
        ("[z-a]x", 1, "syntax error in pattern"),
        ("trailing\\", 1, "syntax error in pattern"),
        ("x*[", 1, "syntax error in pattern"),
        ("x\\Qy", 1, "syntax error in pattern"),
        ("a\n\n!\n", 3, "`!` stands alone"),
        ("! \n", 1, "`!` stands alone"),
    ] {
        let error = Ignore::parse(text).unwrap_err();
        assert_eq!((error.line, error.why), (line, why), "{text:?}");
    }
    let long = "x".repeat(MAX_LINE + 1);
    assert_eq!(Ignore::parse(&long).unwrap_err().why, "it is too long");
    let many = "a\n".repeat(MAX_PATTERNS + 1);
    assert!(Ignore::parse(&many).is_err());
    let error = Ignore::parse("\u{1b}[2J[\n").unwrap_err().to_string();
    assert!(!error.contains('\u{1b}'), "{error}");
}

#[test]
fn the_last_line_that_matches_decides_and_folders_count() {
    let cases: &[(&str, &[(&str, bool)])] = &[
        (
            "node_modules",
            &[
                ("node_modules", true),
                ("node_modules/a/b.js", true),
                ("sub/node_modules/x", false),
                ("node_modulesx", false),
            ],
        ),
        (
            "**/node_modules",
            &[("sub/node_modules/x", true), ("node_modules/x", true)],
        ),
        (
            "*\n!app.py\n!src",
            &[
                ("app.py", false),
                ("data/x", true),
                ("src", false),
                ("src/a/b.py", false),
            ],
        ),
        (
            "*.md\n!README*.md\nREADME-secret.md",
            &[
                ("a.md", true),
                ("README.md", false),
                ("README-secret.md", true),
            ],
        ),
        (
            "*.md\nREADME-secret.md\n!README*.md",
            &[("README-secret.md", false)],
        ),
        (
            "a/*\n!a/keep",
            &[("a", false), ("a/x", true), ("a/keep", false)],
        ),
        (
            "a/\n!a/keep",
            &[("a", true), ("a/x", true), ("a/keep", false)],
        ),
        ("*/temp*", &[("some/temp.txt", true), ("a/b/temp", false)]),
        ("!x", &[("x", false), ("y", false)]),
        ("", &[("x", false)]),
        (".", &[("x", false)]),
        ("/", &[("x", false)]),
        ("..", &[("x", false)]),
    ];
    for (text, paths) in cases {
        let ignore = read(text);
        for (path, want) in *paths {
            assert_eq!(ignore.ignores(path), *want, "{text:?} {path}");
            // Walked from above it is the same.
            let mut above = None;
            for folder in folders(path) {
                above = Some(ignore.judge(folder, above.as_ref()).1);
            }
            assert_eq!(
                ignore.judge(path, above.as_ref()).0,
                *want,
                "{text:?} {path} from above"
            );
        }
    }
}

#[test]
fn an_ignored_folder_is_walked_where_an_exception_names_something_below() {
    for (text, folder, want) in [
        ("a\n!a/b/c", "a", true),
        ("a\n!a/b/c", "a/b", true),
        ("a\n!a/b/c", "a/b/c", true),
        ("a\n!a/b/c", "a/x", false),
        ("a\n!ab", "a", false),
        ("a", "a", false),
        // Docker's own client does not look below either.
        ("*\n!**/*.py", "src", false),
    ] {
        assert_eq!(read(text).is_walked(folder), want, "{text:?} {folder}");
    }
}

#[test]
fn the_builders_own_files_are_kept() {
    let mut ignore = read("*\n");
    ignore.keep("Dockerfile");
    ignore.keep("docker/Dockerfile.gpu");
    for (path, out) in [
        ("Dockerfile", false),
        ("docker/Dockerfile.gpu", false),
        ("docker/other", true),
        ("x", true),
    ] {
        assert_eq!(ignore.ignores(path), out, "{path}");
    }
    assert!(ignore.is_walked("docker"));
    let mut none = read("x\n");
    none.keep("Dockerfile");
    assert_eq!(none.patterns.len(), 1);
}

#[test]
fn paths_are_cleaned_as_go_does() {
    for (path, want) in [
        ("", "."),
        ("a//b/./c/", "a/b/c"),
        ("a/../../b", "../b"),
        ("/../a", "/a"),
        ("/", "/"),
        ("..", ".."),
        ("./.", "."),
    ] {
        assert_eq!(path_clean(path), want, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_a_panic_and_plain_names_match_themselves(
        text in "[a-c/*?!\\[\\]\\\\.^é\\- #\n]{0,24}", path in "[a-c./é]{1,12}"
    ) {
        if let Ok(ignore) = Ignore::parse(&text) {
            let _ = ignore.ignores(&path);
            let _ = ignore.is_walked(&path);
        }
    }

    #[test]
    fn a_plain_name_takes_itself_and_what_is_below(name in "[a-z]{1,8}", below in "[a-z]{1,8}") {
        let ignore = read(&name);
        proptest::prop_assert!(ignore.ignores(&name));
        let deep = format!("{name}/{below}");
        let beside = format!("{}{}", name, below);
        proptest::prop_assert!(ignore.ignores(&deep));
        proptest::prop_assert!(!ignore.ignores(&beside));
    }
}
