use super::*;

fn read(text: &str, args: &[(&str, &str)]) -> Dockerfile {
    let args = args
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    Dockerfile::read(text, &args)
}

fn shown(ports: &[PortAsk]) -> Vec<String> {
    ports
        .iter()
        .map(|p| match p.container.first == p.container.last {
            true => format!("{}/{}", p.container.first, p.protocol),
            false => format!("{}-{}/{}", p.container.first, p.container.last, p.protocol),
        })
        .collect()
}

#[test]
fn ports_are_those_of_the_built_stage_and_of_what_it_goes_on_from() {
    let text = "\
ARG CUDA=12.4.1
ARG PORT=9000
FROM nvidia/cuda:${CUDA}-base AS base
EXPOSE 22
ENV WEB=8080
FROM python:3.12 as tools
EXPOSE 5678
FROM base AS Api
ARG PORT
EXPOSE $PORT $WEB/tcp 53/udp
expose 7000-7010
FROM api
EXPOSE ${EXTRA:-7860}
";
    let file = read(text, &[]);
    assert_eq!(file.stages[0].base, "nvidia/cuda:12.4.1-base");
    assert_eq!(file.targets(), ["base", "tools", "api"]);
    for (target, want) in [
        (
            None,
            &[
                "22/tcp",
                "53/udp",
                "7000-7010/tcp",
                "7860/tcp",
                "8080/tcp",
                "9000/tcp",
            ][..],
        ),
        (
            Some("API"),
            &["22/tcp", "53/udp", "7000-7010/tcp", "8080/tcp", "9000/tcp"],
        ),
        (Some("tools"), &["5678/tcp"]),
        (Some("1"), &["5678/tcp"]),
        (Some("base"), &["22/tcp"]),
        (Some("nothing"), &[]),
        (Some("9"), &[]),
    ] {
        assert_eq!(shown(&file.exposed(target)), want, "{target:?}");
    }
    let file = read(text, &[("PORT", "4000"), ("CUDA", "13.0.0")]);
    assert_eq!(file.stages[0].base, "nvidia/cuda:13.0.0-base");
    assert!(shown(&file.exposed(Some("api"))).contains(&"4000/tcp".to_owned()));
}

#[test]
fn lines_go_on_and_comments_in_between_count_for_nothing() {
    let file = read(
        "FROM a\nEXPOSE 1 \\\n  # a comment\n\n  2 \\\n  3\nRUN echo EXPOSE 4 \\\n && x\n#EXPOSE 5\n",
        &[],
    );
    assert_eq!(shown(&file.exposed(None)), ["1/tcp", "2/tcp", "3/tcp"]);
    let windows = read(
        "# escape=`\nFROM a\nEXPOSE 1 `\n 2\nENV P=C:\\\nEXPOSE 3\n",
        &[],
    );
    assert_eq!(shown(&windows.exposed(None)), ["1/tcp", "2/tcp", "3/tcp"]);
    let late = read("# a comment\n# escape=`\nFROM a\nEXPOSE 1 \\\n2", &[]);
    assert_eq!(shown(&late.exposed(None)), ["1/tcp", "2/tcp"]);
}

#[test]
fn what_needs_buildkit_is_named_with_its_line() {
    let cases: &[(&str, &[(usize, &str)])] = &[
        ("FROM a\nRUN make\nCOPY --from=x --chown=1:1 a b\n", &[]),
        (
            "FROM a\n\nRUN --mount=type=cache,target=/x \\\n  pip install x\n",
            &[(3, "RUN --mount")],
        ),
        (
            "FROM a\nCOPY --from=b --link --chmod=755 x y\n",
            &[(2, "COPY --link"), (2, "COPY --chmod")],
        ),
        (
            "FROM a\nADD --checksum=sha256:x y z\n",
            &[(2, "ADD --checksum")],
        ),
        ("FROM a\nRUN echo --mount\n", &[]),
        ("FROM a\nRUN cat a<<b\n", &[]),
        ("FROM a\nRUN [\"sh\", \"-c\", \"cat <<EOF\"]\n", &[]),
    ];
    for (text, want) in cases {
        let found: Vec<(usize, String)> = read(text, &[])
            .needs
            .into_iter()
            .map(|n| (n.line, n.what))
            .collect();
        let found: Vec<(usize, &str)> = found.iter().map(|(l, w)| (*l, w.as_str())).collect();
        assert_eq!(&found, want, "{text}");
    }
}

#[test]
fn what_stands_in_a_heredoc_is_no_instruction() {
    let file = read(
        "FROM a\nRUN <<EOF bash\nEXPOSE 1\nFROM b\nEOF\nCOPY <<-'ONE' <<TWO /x/\n\tEXPOSE 2\n\tONE\nEXPOSE 3\nTWO\nEXPOSE 4\n",
        &[],
    );
    assert_eq!(file.stages.len(), 1);
    assert_eq!(shown(&file.exposed(None)), ["4/tcp"]);
    let whats: Vec<&str> = file.needs.iter().map(|n| n.what.as_str()).collect();
    assert_eq!(whats, ["a heredoc in RUN", "a heredoc in COPY"]);
    // One that never ends takes the rest, and nothing worse.
    assert_eq!(read("FROM a\nRUN <<EOF\nEXPOSE 1\n", &[]).exposed(None), []);
}

#[test]
fn directives_stand_at_the_top_alone() {
    let file = read(
        "# syntax = docker/dockerfile:1.7\n# check=skip=all\nFROM a\n",
        &[],
    );
    assert_eq!(file.syntax.as_deref(), Some("docker/dockerfile:1.7"));
    assert_eq!(read("FROM a\n# syntax=x\n", &[]).syntax, None);
    assert_eq!(read("", &[]), Dockerfile::default());
    assert_eq!(read("", &[]).stage(None), None);
}

#[test]
fn arguments_hold_where_they_are_declared() {
    for (text, args, want) in [
        ("ARG P=1\nFROM a\nEXPOSE $P\n", &[][..], &[][..]),
        ("ARG P=1\nFROM a\nARG P\nEXPOSE $P\n", &[], &["1/tcp"]),
        ("FROM a\nARG P=1\nEXPOSE $P\n", &[("P", "2")], &["2/tcp"]),
        (
            "FROM a\nENV P 3\nARG P=1\nEXPOSE $P\n",
            &[("P", "2")],
            &["3/tcp"],
        ),
        (
            "FROM a\nENV P=\"4\" Q='5'\nEXPOSE $P ${Q}\n",
            &[],
            &["4/tcp", "5/tcp"],
        ),
        (
            "FROM a\nEXPOSE 0 70000 x 1/icmp 9-1 6/TCP\n",
            &[],
            &["6/tcp"],
        ),
    ] {
        assert_eq!(shown(&read(text, args).exposed(None)), want, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_is_a_panic(text in "((FROM|RUN|ARG|ENV|EXPOSE|<<E|\\$|\\{|\\}|\\\\|#|=|:-|é|\"|'| |\n|1|a|E|--mount=){0,60})") {
        let file = read(&text, &[("a", "$a${a}")]);
        let _ = file.exposed(None);
    }
}
