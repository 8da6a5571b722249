//! The Logs tab under scripts of news and keys, and its pictures.

use std::time::Duration;

use jiff::tz::TimeZone;
use proptest::prelude::*;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::*;
use crate::logs::{
    Line, LineBatch, LineTime, LiveBar, LiveLine, LogCommand, LogNews, LogStatus, LogTarget,
    LogUpdate, Page, PageKind, Stream,
};
use crate::model::{ContainerId, ContainerKey, HostId, Stamp};
use crate::tui::keymap::{Key, KeyPress};
use crate::tui::{Action, Effect, Theme};

fn now() -> Stamp {
    Stamp::simulated(
        "2026-11-23T16:14:55Z".parse().unwrap(),
        Duration::from_secs(1),
    )
}

fn target(n: u8, name: &str) -> LogTarget {
    LogTarget {
        key: ContainerKey {
            host: HostId(0),
            id: ContainerId::from_bytes([n; 32]),
        },
        name: name.into(),
    }
}

fn state() -> LogsState {
    let mut state = LogsState::new(TimeZone::UTC, crate::logs::Limits::default());
    let effects = state.open(vec![target(1, "train")], now());
    assert!(matches!(
        effects.as_slice(),
        [Effect::Log(LogCommand::Open { from: None, .. })]
    ));
    tell(
        &mut state,
        LogUpdate::Status {
            source: 0,
            status: LogStatus::Following,
        },
    );
    state
}

fn tell(state: &mut LogsState, update: LogUpdate) -> Vec<Effect> {
    let generation = state.generation();
    state.absorb(LogNews { generation, update })
}

fn batch(lines: &[(i64, &str)]) -> LineBatch {
    let mut batch = LineBatch::default();
    for (second, text) in lines {
        assert!(batch.push(Line {
            text,
            time: Some(LineTime(1_795_450_000_000_000_000 + second * 1_000_000_000)),
            stream: Stream::Out,
            continued: false,
            note: false,
            source: 0,
        }));
    }
    batch
}

fn lines(state: &mut LogsState, from: i64, texts: &[&str]) {
    let all: Vec<(i64, &str)> = (from..).zip(texts.iter().copied()).collect();
    tell(state, LogUpdate::Lines(batch(&all)));
}

fn picture(state: &mut LogsState, columns: u16, rows: u16) -> String {
    let theme = Theme::built_in("mono").unwrap();
    let area = Rect::new(0, 0, columns, rows);
    let mut buf = Buffer::empty(area);
    let viewport = draw(&mut buf, area, state, &theme);
    state.set_viewport(viewport);
    let mut text = String::new();
    for y in 0..rows {
        let mut x = 0;
        let mut row = String::new();
        while x < columns {
            let symbol = buf[(x, y)].symbol();
            row.push_str(symbol);
            x += (unicode_width::UnicodeWidthStr::width(symbol) as u16).max(1);
        }
        text.push_str(row.trim_end());
        text.push('\n');
    }
    text
}

fn press(state: &mut LogsState, text: &str) {
    for c in text.chars() {
        state.key(KeyPress::plain(Key::Char(c)), None);
    }
}

#[test]
fn the_end_is_followed_and_held_when_scrolled() {
    let mut s = state();
    lines(&mut s, 0, &["one", "two", "three", "four"]);
    assert_eq!(
        picture(&mut s, 30, 4),
        "following · 4 lines\ntwo\nthree\nfour\n"
    );
    s.handle(Action::Up, now());
    lines(&mut s, 4, &["five", "six"]);
    assert_eq!(
        picture(&mut s, 30, 4),
        "not following · 6 lines\none\ntwo\nthree\n"
    );
    s.handle(Action::PageDown, now());
    s.handle(Action::PageDown, now());
    assert!(s.follows());
    assert_eq!(
        picture(&mut s, 30, 4),
        "following · 6 lines\nfour\nfive\nsix\n"
    );
}

#[test]
fn long_wide_and_combining_text_keeps_its_columns() {
    let mut s = state();
    lines(
        &mut s,
        0,
        &[
            "abcdefghijkl",
            "日本語日本語",
            "e\u{301}a\u{300}x",
            "\x1b[0;31mred\x1b[m plain",
        ],
    );
    assert_eq!(
        picture(&mut s, 10, 8),
        "following\nabcdefghij\nkl\n日本語日本\n語\ne\u{301}a\u{300}x\nred plain\n\n"
    );
    s.handle(Action::LogWrap, now());
    assert_eq!(
        picture(&mut s, 10, 5),
        "following\nabcdefghi→\n日本語日 →\ne\u{301}a\u{300}x\nred plain\n"
    );
}

#[test]
fn a_bar_shows_beneath_the_lines_and_is_never_there_twice() {
    let mut s = state();
    lines(&mut s, 0, &["start"]);
    tell(&mut s, LogUpdate::Bar(LiveBar::Live));
    let live = |text: &str, finished: bool| {
        LogUpdate::Live(LiveLine {
            text: text.into(),
            finished,
            ..LiveLine::default()
        })
    };
    tell(&mut s, live("50%", false));
    assert_eq!(
        picture(&mut s, 30, 4),
        "following live · 1 lines\nstart\n50%\n\n"
    );
    // Finished in the attach stream first, then in the log.
    tell(&mut s, live("100%", true));
    assert!(picture(&mut s, 30, 4).contains("100%"));
    lines(&mut s, 1, &["100%"]);
    assert_eq!(picture(&mut s, 30, 4).matches("100%").count(), 1);
    // The log first, then the attach stream.
    tell(&mut s, live("200%", false));
    lines(&mut s, 2, &["200%"]);
    assert_eq!(picture(&mut s, 30, 5).matches("200%").count(), 1);
    tell(&mut s, live("200%", true));
    assert_eq!(picture(&mut s, 30, 5).matches("200%").count(), 1);
    tell(&mut s, live(" 1%", false));
    assert!(picture(&mut s, 30, 6).ends_with("200%\n 1%\n\n"));
    // Detached: no live line any more.
    tell(&mut s, LogUpdate::Bar(LiveBar::AtNewlines));
    let shown = picture(&mut s, 80, 6);
    assert!(!shown.contains(" 1%\n") && shown.contains("bar moves at newlines"));
}

#[test]
fn a_filter_shows_its_error_and_keeps_the_last_good_one() {
    let mut s = state();
    lines(&mut s, 0, &["loss 1", "step", "loss 2"]);
    picture(&mut s, 60, 6);
    s.handle(Action::LogFilter, now());
    assert!(s.wants_text());
    press(&mut s, "loss");
    assert!(picture(&mut s, 60, 5).contains("filter loss (2 of 3)"));
    press(&mut s, "(");
    let shown = picture(&mut s, 60, 5);
    assert!(shown.contains("unclosed group"), "{shown}");
    assert!(shown.contains("loss 1\nloss 2\n"), "{shown}");
    // Enter does not close a prompt with an error.
    s.key(KeyPress::plain(Key::Enter), Some(Action::Enter));
    assert!(s.wants_text());
    s.key(KeyPress::plain(Key::Backspace), None);
    s.key(KeyPress::plain(Key::Enter), Some(Action::Enter));
    assert!(!s.wants_text());
    lines(&mut s, 3, &["step", "loss 3"]);
    assert!(picture(&mut s, 60, 5).ends_with("loss 1\nloss 2\nloss 3\n\n"));
    s.handle(Action::Back, now());
    assert!(picture(&mut s, 60, 6).contains("step"));
    assert_eq!(s.handle(Action::Back, now()), None);
}

#[test]
fn search_goes_through_matches_and_asks_for_older_lines() {
    let mut s = state();
    let texts: Vec<String> = (0..40)
        .map(|n| format!("{} {n}", if n % 10 == 0 { "Epoch" } else { "step" }))
        .collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    lines(&mut s, 0, &texts);
    picture(&mut s, 40, 6);
    s.handle(Action::LogSearch, now());
    press(&mut s, "epoch");
    s.key(KeyPress::plain(Key::Enter), Some(Action::Enter));
    assert!(picture(&mut s, 40, 6).contains("Epoch 30"));
    for expected in ["Epoch 20", "Epoch 10", "Epoch 0"] {
        assert_eq!(s.handle(Action::LogPrevious, now()), Some(vec![]));
        assert!(picture(&mut s, 40, 6).contains(expected));
    }
    let effects = s.handle(Action::LogPrevious, now()).unwrap();
    assert!(matches!(
        effects.as_slice(),
        [Effect::Log(LogCommand::Load {
            page: PageKind::Older(_),
            ..
        })]
    ));
    assert!(picture(&mut s, 90, 6).contains("loading older lines · no match yet"));
    s.handle(Action::LogNext, now());
    assert!(picture(&mut s, 40, 6).contains("Epoch 10"));
}

#[test]
fn older_parts_come_in_without_doubling_and_the_screen_stays() {
    let mut s = state();
    lines(&mut s, 10, &["k", "l", "m", "n"]);
    picture(&mut s, 30, 3);
    let mut effects = Vec::new();
    for _ in 0..5 {
        effects.extend(s.handle(Action::Up, now()).unwrap());
    }
    let [
        Effect::Log(LogCommand::Load {
            page: kind @ PageKind::Older(place),
            ..
        }),
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    assert_eq!(place.ties, 1);
    let before = picture(&mut s, 60, 3);
    assert!(before.contains("loading older lines"));
    tell(
        &mut s,
        LogUpdate::Page(Page {
            kind: *kind,
            batches: vec![batch(&[(8, "i"), (9, "j"), (10, "k")])],
            end: true,
            error: None,
        }),
    );
    assert_eq!(picture(&mut s, 60, 3), "not following · 6 lines\nk\nl\n");
    s.handle(Action::First, now());
    assert_eq!(picture(&mut s, 60, 4), "not following · 6 lines\ni\nj\nk\n");
    assert_eq!(s.handle(Action::Up, now()), Some(vec![]));
}

#[test]
fn the_beginning_and_back_to_the_end_without_a_gap() {
    let mut s = state();
    lines(&mut s, 100, &["y", "z"]);
    picture(&mut s, 30, 3);
    let effects = s.handle(Action::First, now()).unwrap();
    assert!(matches!(
        effects.as_slice(),
        [Effect::Log(LogCommand::Load {
            page: PageKind::Beginning,
            ..
        })]
    ));
    tell(
        &mut s,
        LogUpdate::Page(Page {
            kind: PageKind::Beginning,
            batches: vec![batch(&[(0, "a"), (1, "b"), (2, "c")])],
            end: false,
            error: None,
        }),
    );
    assert!(picture(&mut s, 60, 3).ends_with("a\nb\n"));
    // What comes now does not fit on: it is counted.
    lines(&mut s, 102, &["more"]);
    assert!(picture(&mut s, 60, 3).contains("1+ newer lines"));
    let effects = s.handle(Action::PageDown, now()).unwrap();
    let [
        Effect::Log(LogCommand::Load {
            page: kind @ PageKind::Newer(place),
            ..
        }),
    ] = effects.as_slice()
    else {
        panic!("{effects:?}");
    };
    assert_eq!(place.ties, 1);
    let effects = tell(
        &mut s,
        LogUpdate::Page(Page {
            kind: *kind,
            batches: vec![batch(&[(3, "d")])],
            end: true,
            error: None,
        }),
    );
    // The log goes on right after the last line that is held.
    assert!(matches!(
        effects.as_slice(),
        [Effect::Log(LogCommand::Open { from: Some(_), .. })]
    ));
    assert_eq!(s.buffer().len(), 4);
}

#[test]
fn news_of_another_log_is_dropped() {
    let mut s = state();
    let old = s.generation();
    s.open(vec![target(2, "other")], now());
    s.absorb(LogNews {
        generation: old,
        update: LogUpdate::Lines(batch(&[(0, "stale")])),
    });
    assert!(s.buffer().is_empty());
    assert!(matches!(
        s.close().as_slice(),
        [Effect::Log(LogCommand::Close)]
    ));
}

#[test]
fn an_unreadable_log_says_so_in_one_line() {
    let mut s = state();
    tell(
        &mut s,
        LogUpdate::Status {
            source: 0,
            status: LogStatus::Unreadable(
                "configured logging driver does not support reading".into(),
            ),
        },
    );
    let shown = picture(&mut s, 80, 4);
    assert!(
        shown.starts_with("log not readable: configured logging driver does not support reading")
    );
}

#[test]
fn a_save_and_a_copy_hold_no_colours() {
    let mut s = state();
    lines(&mut s, 0, &["\x1b[0;31mred\x1b[m", "two"]);
    picture(&mut s, 30, 2);
    s.handle(Action::LogTimestamps, now());
    let effects = s.handle(Action::LogSave, now()).unwrap();
    let [Effect::SaveFile { path, text }] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(path.to_str().unwrap(), "train-20261123T161456.log");
    assert_eq!(
        &**text,
        "2026-11-23T16:06:40Z red\n2026-11-23T16:06:41Z two\n"
    );
    s.handle(Action::LogTimestamps, now());
    let effects = s.handle(Action::Copy, now()).unwrap();
    assert_eq!(effects, [Effect::Copy("two".into())]);
}

#[test]
fn merged_logs_carry_their_names() {
    let mut s = LogsState::new(TimeZone::UTC, crate::logs::Limits::default());
    s.open(vec![target(1, "api"), target(2, "worker")], now());
    let mut both = batch(&[(0, "hello")]);
    both.push(Line {
        text: "there",
        time: None,
        stream: Stream::Out,
        continued: false,
        note: false,
        source: 1,
    });
    tell(&mut s, LogUpdate::Lines(both));
    assert!(picture(&mut s, 40, 3).ends_with("api    hello\nworker there\n"));
}

#[test]
fn presets_open_afresh_from_their_moment() {
    let mut s = state();
    let effects = s.set_since(Since::Today, now());
    let [Effect::Log(LogCommand::Open { since, .. })] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(since.unwrap().to_string(), "2026-11-23T00:00:00Z");
    let effects = s.set_since(Since::FiveMinutes, now());
    let [Effect::Log(LogCommand::Open { since, .. })] = effects.as_slice() else {
        panic!("{effects:?}");
    };
    assert_eq!(since.unwrap().to_string(), "2026-11-23T16:09:56Z");
}

fn any_action() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![
        Action::Up,
        Action::Down,
        Action::PageUp,
        Action::PageDown,
        Action::First,
        Action::Last,
        Action::Left,
        Action::Right,
        Action::LogFollow,
        Action::LogNext,
        Action::LogPrevious,
        Action::LogWrap,
        Action::LogTimestamps,
        Action::LogFilter,
        Action::LogSearch,
        Action::Back,
        Action::LogSince,
        Action::Copy,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// Whatever comes in whatever order: nothing panics, and a drawn frame is as full as it can be.
    #[test]
    fn any_script_can_be_drawn(
        steps in prop::collection::vec((any_action(), 0u8..4, "[a-z日é ]{0,30}"), 1..60),
        columns in 0u16..40, rows in 0u16..12,
    ) {
        let mut s = state();
        let mut second = 0;
        for (action, other, text) in steps {
            match other {
                0 => { second += 1; lines(&mut s, second, &[&text, "x"]); second += 1; }
                1 => { tell(&mut s, LogUpdate::Live(LiveLine { text, ..LiveLine::default() })); }
                2 if s.wants_text() => press(&mut s, &text),
                _ => {
                    for effect in s.handle(action, now()).unwrap_or_default() {
                        if let Effect::Log(LogCommand::Load { page: kind, .. }) = effect {
                            tell(&mut s, LogUpdate::Page(Page {
                                kind, batches: vec![batch(&[(-1, "older")])], end: second % 2 == 0, error: None,
                            }));
                        }
                    }
                }
            }
            let theme = Theme::built_in("dark").unwrap();
            let area = Rect::new(0, 0, columns, rows);
            let mut buf = Buffer::empty(area);
            let viewport = draw(&mut buf, area, &s, &theme);
            s.set_viewport(viewport);
        }
    }
}
