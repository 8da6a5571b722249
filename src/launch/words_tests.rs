use proptest::prelude::*;

use super::*;

fn here() -> Surroundings {
    Surroundings {
        env: [
            ("HOME", "/home/ada"),
            ("USER", "ada"),
            ("HF_TOKEN", "hf_x y"),
            ("EMPTY", ""),
            ("OPTS", "--rm  -it"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into(),
        cwd: "/proj/demo".into(),
        home: Some("/home/ada".into()),
        uid: 1000,
        gid: 1001,
    }
}

fn words(text: &str) -> Vec<String> {
    split(text, &here())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
        .words
}

#[test]
fn words_are_split_as_a_shell_does() {
    for (text, want) in [
        ("a b  c\t d", vec!["a", "b", "c", "d"]),
        ("a 'b c' \"d e\" f\\ g", vec!["a", "b c", "d e", "f g"]),
        ("a '' \"\" b''c", vec!["a", "", "", "bc"]),
        ("a \\\n  b \\\r\n c", vec!["a", "b", "c"]),
        // A blank after the backslash is forgiven: nobody means it.
        ("a \\  \n b \\", vec!["a", "b"]),
        ("a --f'=x y'z", vec!["a", "--f=x yz"]),
        ("a b # rest | of & it", vec!["a", "b"]),
        ("# above\n\na b\n# below\n", vec!["a", "b"]),
        ("a b#c", vec!["a", "b#c"]),
        ("$ a b", vec!["a", "b"]),
        ("a \"\\$X \\\" \\\\ \\n\"", vec!["a", "$X \" \\ \\n"]),
        ("a '$X'", vec!["a", "$X"]),
        (
            "a ~ ~/x ~:/y b~ x=~",
            vec!["a", "/home/ada", "/home/ada/x", "/home/ada:/y", "b~", "x=~"],
        ),
        (
            "a $PWD/x $(pwd):/y `pwd` \"$(pwd)\"",
            vec![
                "a",
                "/proj/demo/x",
                "/proj/demo:/y",
                "/proj/demo",
                "/proj/demo",
            ],
        ),
        (
            "a $(id -u):$(id -g) $UID $USER ${HOME}/x",
            vec!["a", "1000:1001", "1000", "ada", "/home/ada/x"],
        ),
        // Unquoted, a shell makes words of it; quoted, it does not.
        ("a T=$HF_TOKEN", vec!["a", "T=hf_x", "y"]),
        ("a \"T=$HF_TOKEN\"", vec!["a", "T=hf_x y"]),
        ("a $OPTS b", vec!["a", "--rm", "-it", "b"]),
        ("a $EMPTY b \"$EMPTY\"", vec!["a", "b", ""]),
        (
            "a ${NO:-def} ${NO-d2} ${EMPTY:-e} x${EMPTY-e} \"${NO:-$USER x}\"",
            vec!["a", "def", "d2", "e", "x", "ada x"],
        ),
        ("a $ 5$ b", vec!["a", "$", "5$", "b"]),
        (
            "a [::1]:80 x?y=1 {a} {\"k\":1}",
            vec!["a", "[::1]:80", "x?y=1", "{a}", "{k:1}"],
        ),
        ("a `#optional` b", vec!["a", "b"]),
        ("a '*' x*y", vec!["a", "*", "x*y"]),
    ] {
        assert_eq!(words(text), want, "{text}");
    }
}

#[test]
fn lines_above_set_variables() {
    let text = "model=HuggingFaceH4/zephyr-7b-beta\n# share a volume\nvolume=$PWD/data\nexport TOKEN='a b'\n\ndocker run -v $volume:/data \\\n x --model-id $model";
    let done = split(text, &here()).unwrap();
    assert_eq!(
        done.words,
        [
            "docker",
            "run",
            "-v",
            "/proj/demo/data:/data",
            "x",
            "--model-id",
            "HuggingFaceH4/zephyr-7b-beta"
        ]
    );
    // Only what was exported reaches the command.
    assert_eq!(
        done.assigned,
        [("TOKEN".to_owned(), "a b".to_owned())].into()
    );
    let done = split("A=1; B=$A && USER=eve\nC=$B docker run $C $USER", &here()).unwrap();
    assert_eq!(done.words, ["docker", "run", "eve"]);
    assert_eq!(done.unset, ["C"]);
    assert_eq!(
        done.assigned,
        [
            ("C".to_owned(), "1".to_owned()),
            ("USER".to_owned(), "eve".to_owned())
        ]
        .into()
    );
}

#[test]
fn what_a_shell_would_execute_is_named() {
    for (text, say) in [
        ("a | b", "`|`"),
        ("a && b", "`&&`"),
        ("a || true", "`||`"),
        ("a ; b", "`;`"),
        ("a;", "`;`"),
        ("a &", "`&`"),
        ("a > x", "`>`"),
        ("a 2>&1", "`>`"),
        ("a >> x", "`>>`"),
        ("a &> x", "`&>`"),
        ("a < x", "`<`"),
        ("a << EOF", "`<<`"),
        ("(a)", "`( )`"),
        ("a $(cat x)", "$(cat x)"),
        ("a \"$(cat x)\"", "$(cat x)"),
        ("a `hostname`", "`hostname`"),
        ("a\nb", "second command begins at b"),
        ("a 'b", "single quote"),
        ("a \"b", "double quote"),
        ("a `b", "backquote"),
        ("a $(b", "not closed"),
        ("a ${b", "not closed"),
        ("a $1", "$1"),
        ("a $?", "$?"),
        ("a ${x%y}", "${x%y}"),
        ("a ${TOKEN:?set it}", "TOKEN is not set: set it"),
        ("a $'x'", "$'…'"),
        ("a ~bob/x", "another user"),
        ("a /dev/nvidia*", "file names"),
        ("a /dev/nvidia{0,1}", "several words"),
        ("a {1..3}", "several words"),
        ("a “b”", "no quote"),
    ] {
        let error = split(text, &here()).expect_err(text);
        assert!(error.contains(say), "{text}: {error}");
        assert!(error.chars().all(|c| !crate::model::text::is_unsafe(c)));
    }
    assert_eq!(split("", &here()).unwrap(), Split::default());
    assert_eq!(split("a $NONE", &here()).unwrap().unset, ["NONE"]);
}

#[test]
fn lines_hold_a_flag_and_its_value() {
    let words = words("docker run -d --rm -it -e A=b -p8080:80 --name=x -v /a:/b img -c 'x y'");
    assert_eq!(
        lines(&words),
        [
            "docker run \\",
            "  -d \\",
            "  --rm \\",
            "  -it \\",
            "  -e A=b \\",
            "  -p8080:80 \\",
            "  --name=x \\",
            "  -v /a:/b \\",
            "  img -c 'x y'"
        ]
    );
    assert_eq!(lines(&[]), Vec::<String>::new());
    assert_eq!(quote("it's"), "'it'\\''s'");
    assert_eq!(quote(""), "''");
    assert_eq!(quote("~/x"), "'~/x'");
}

proptest! {
    #[test]
    fn one_line_is_read_back(tail in prop::collection::vec("[ -~\n\té’]{0,12}|-[a-zA-Z]{1,3}|--[a-z]{1,8}", 0..8)) {
        let mut words = vec!["docker".to_owned(), "run".to_owned()];
        words.extend(tail);
        prop_assert_eq!(&split(&one_line(&words), &here()).unwrap().words, &words);
        prop_assert_eq!(&split(&lines(&words).join("\n"), &here()).unwrap().words, &words);
    }

    #[test]
    fn no_text_panics(text in "[ -~\n\r\t]{0,40}|\\PC{0,40}") {
        let _ = split(&text, &here());
    }
}
